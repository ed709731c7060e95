"""Counts for Prometheus: what a capture has seen so far, much of it by endpoint, in a bounded number of series.

Endpoints have labels of their own in the order in which they first answered, up to ENDPOINTS; what comes after them is
counted together, for good, since a count must never go down. An endpoint's label is its address, which is no text from
the wire; its name stands in one series apart, the first that was seen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from inspector.endpoints import Endpoint
from inspector.records.capture import CaptureRecord
from inspector.records.connection import Connection
from inspector.records.finding import Finding
from inspector.records.going_on import GoingOn, Key
from inspector.records.tally import OPEN
from inspector.report.text import printable
from inspector.version import __version__

#: Endpoints with labels of their own.
ENDPOINTS = 100
#: The label of all others.
OTHER = "other"
#: Characters of a name that are shown.
NAME_LENGTH = 100

#: Upper ends of buckets, in seconds: timeouts that servers have by default, and times of round trips.
IDLE_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 65, 75, 90, 120, 180, 300, 350, 600, 3600)
HANDSHAKE_SECONDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)


class Histogram:
    """Durations by bucket."""

    def __init__(self, ends: tuple[float, ...]) -> None:
        self._ends = ends
        self._counts = [0] * (len(ends) + 1)
        self._sum_ns = 0

    def add(self, ns: int) -> None:
        """One duration."""
        self._counts[bisect_left(self._ends, ns / 1e9)] += 1
        self._sum_ns += ns

    def put(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """As a series; nothing without values."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for end, count in zip((*map(str, map(float, self._ends)), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((end, total))
        if total:
            family.add_metric(labels, buckets, self._sum_ns / 1e9)


@dataclass(slots=True)
class _Counts:
    """Of ended connections to one endpoint, or to all others."""

    began: dict[str, int] = field(default_factory=dict)
    """By how."""
    closed: dict[tuple[str, str], int] = field(default_factory=dict)
    """By whom and how."""
    requests: int = 0
    idle: dict[str, Histogram] = field(default_factory=dict)
    """By who closed."""
    tcp: Histogram = field(default_factory=lambda: Histogram(HANDSHAKE_SECONDS))
    tls: Histogram = field(default_factory=lambda: Histogram(HANDSHAKE_SECONDS))


class Metrics:
    """Tell it of connections as they end; ask it for what there is."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {}
        self._labels: dict[Key, str] = {}
        self._names: dict[str, str] = {}

    def connection(self, connection: Connection) -> None:
        """A connection has ended."""
        how, closed, tls = connection.opened.how, connection.closed, connection.tls
        label = self._label((connection.server.ip, connection.server.port), how in OPEN)
        if connection.name is not None and label != OTHER:
            self._names.setdefault(label, printable(connection.name[:NAME_LENGTH]))
        counts = self._of(label)
        counts.began[how] = counts.began.get(how, 0) + 1
        counts.requests += connection.requests or 0
        if connection.opened.handshake_ns is not None:
            counts.tcp.add(connection.opened.handshake_ns)
        if tls is not None and tls.handshake_ns is not None:
            counts.tls.add(tls.handshake_ns)
        if closed is not None and how in OPEN:
            counts.closed[closed.by, closed.how] = counts.closed.get((closed.by, closed.how), 0) + 1
            if closed.idle_ns is not None:
                counts.idle.setdefault(closed.by, Histogram(IDLE_SECONDS)).add(closed.idle_ns)

    def families(
        self,
        capture: CaptureRecord,
        dropped: Mapping[str, int | None],
        going_on: Mapping[Key, GoingOn],
        anomalies: Mapping[str, int],
        findings: Sequence[Finding] = (),
    ) -> list[Metric]:
        """All there is to say. `going_on`: connections that have not ended, by server; `dropped`: packets
        so far by who lost them, None where he does not say; `findings`: those of the last judgement."""
        live: dict[str, GoingOn] = {}
        for key, connections in going_on.items():
            label = self._label(key, True)
            self._of(label)
            live.setdefault(label, GoingOn()).add(connections)
        return [*self._by_endpoint(live), self._found(findings), *_of_capture(capture, dropped, anomalies)]

    def _label(self, key: Key, answers: bool) -> str:
        label = self._labels.get(key)
        if label is None:
            if not answers or len(self._labels) >= ENDPOINTS:
                return OTHER
            label = self._labels[key] = str(Endpoint(*key))
        return label

    def _of(self, label: str) -> _Counts:
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = _Counts()
        return counts

    def _found(self, findings: Sequence[Finding]) -> Metric:
        """What holds now: a gauge, because a finding may cease to hold."""
        family = GaugeMetricFamily(
            "connspect_findings", "Findings that hold now.", labels=["endpoint", "code", "severity"]
        )
        with_labels = set(self._labels.values())
        counts = Counter(
            (one.endpoint if one.endpoint in with_labels else OTHER, one.code, one.severity) for one in findings
        )
        for labels, count in counts.items():
            family.add_metric(labels, count)
        return family

    def _by_endpoint(self, live: Mapping[str, GoingOn]) -> Iterator[Metric]:
        name = GaugeMetricFamily("connspect_endpoint_name", "First server name seen.", labels=["endpoint", "name"])
        began = CounterMetricFamily(
            "connspect_connections", "Connections by how they began.", labels=["endpoint", "began"]
        )
        closed = CounterMetricFamily(
            "connspect_connections_closed", "Ended connections by who closed and how.", labels=["endpoint", "by", "how"]
        )
        still_open = GaugeMetricFamily("connspect_connections_open", "Connections open now.", labels=["endpoint"])
        requests = CounterMetricFamily("connspect_requests", "Requests that could be read.", labels=["endpoint"])
        idle = HistogramMetricFamily(
            "connspect_idle_at_close_seconds", "Idle time before the close.", labels=["endpoint", "by"]
        )
        tcp = HistogramMetricFamily("connspect_tcp_handshake_seconds", "TCP handshakes.", labels=["endpoint"])
        tls = HistogramMetricFamily("connspect_tls_handshake_seconds", "TLS handshakes.", labels=["endpoint"])
        for label, counts in self._counts.items():
            now = live.get(label, GoingOn())
            if label in self._names:
                name.add_metric([label, self._names[label]], 1)
            for how, count in (counts.began | {"handshake": counts.began.get("handshake", 0) + now.opened}).items():
                began.add_metric([label, how], count)
            for (by, how), count in counts.closed.items():
                closed.add_metric([label, by, how], count)
            still_open.add_metric([label], now.open)
            requests.add_metric([label], counts.requests + now.requests)
            for by, histogram in counts.idle.items():
                histogram.put(idle, [label, by])
            counts.tcp.put(tcp, [label])
            counts.tls.put(tls, [label])
        yield from (name, began, closed, still_open, requests, idle, tcp, tls)


def _of_capture(
    capture: CaptureRecord, dropped: Mapping[str, int | None], anomalies: Mapping[str, int]
) -> Iterator[Metric]:
    build = GaugeMetricFamily("connspect_build_info", "The version.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    yield CounterMetricFamily("connspect_packets", "Packets captured.", value=capture.packets)
    yield CounterMetricFamily("connspect_tcp_segments", "Packets that are TCP segments.", value=capture.tcp_segments)
    yield _labelled("connspect_packets_skipped", "Packets that are none, by reason.", "reason", capture.skipped.items())
    known = [(by, count) for by, count in dropped.items() if count is not None]
    yield _labelled("connspect_packets_dropped", "Packets lost by the capturing system.", "by", known)
    yield _labelled("connspect_anomalies", "Odd things on ended connections.", "code", anomalies.items())


def _labelled(name: str, help: str, label: str, counts: Iterable[tuple[str, int]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help, labels=[label])
    for value, count in counts:
        family.add_metric([value], count)
    return family
