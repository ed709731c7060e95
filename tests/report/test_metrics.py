"""What Prometheus is told: the right counts, that never go down, in a bounded number of series."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from inspector.engine import Inspector, Options
from inspector.records.finding import Finding
from inspector.report import metrics
from inspector.report.metrics import OTHER, Metrics
from inspector.sources.memory import MemorySource
from tests.report.samples import finding
from tests.tcp.playbook import REQUEST, Talk, merged

Sample = tuple[str, tuple[tuple[str, str], ...]]


class Once(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        return self._families


def parsed(families: list[Metric]) -> dict[Sample, float]:
    """The samples, having gone through OpenMetrics text and back."""
    registry = CollectorRegistry()
    registry.register(Once(families))
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(
    *talks: Talk, batch_rows: int = 4096, dropped: Mapping[str, int | None] | None = None
) -> dict[Sample, float]:
    """What is said after all packets, before the capture ends."""
    told = Metrics()
    inspector = Inspector(Options(on_connection=told.connection))
    for batch in MemorySource(merged(*talks), batch_rows=batch_rows):
        inspector.feed(batch)
    return parsed(told.families(inspector.capture, dropped or {}, inspector.going_on(), inspector.anomalies))


def sample(name: str, /, **labels: str) -> Sample:
    return name, tuple(sorted(labels.items()))


SERVER = "10.0.0.2:80"


def tick() -> Talk:
    """Time goes on, so that what has ended is over."""
    return Talk("10.9.9.9:1", "10.9.9.8:81", start=60).c("SYN")


def test_connections_requests_and_times() -> None:
    one = Talk("10.0.0.1:1").c("SYN").wait(0.02).s("SYN ACK").c("ACK").exchange().exchange().wait(5.5).close("server")
    two = Talk("10.0.0.1:2").handshake().exchange().c("RST ACK")
    refused = Talk("10.0.0.1:3").c("SYN").s("RST ACK", seq=0)
    still_open = Talk("10.0.0.1:4", start=50).handshake().exchange()
    half_closed = Talk("10.0.0.1:5", start=50).handshake().exchange().s("FIN ACK")
    said = scraped(one, two, refused, still_open, half_closed, tick())
    assert said[sample("connspect_connections_total", endpoint=SERVER, began="handshake")] == 4
    assert said[sample("connspect_connections_total", endpoint=OTHER, began="refused")] == 1
    assert said[sample("connspect_connections_closed_total", endpoint=SERVER, by="server", how="fin")] == 1
    assert said[sample("connspect_connections_closed_total", endpoint=SERVER, by="client", how="rst")] == 1
    assert said[sample("connspect_connections_open", endpoint=SERVER)] == 1
    assert said[sample("connspect_requests_total", endpoint=SERVER)] == 5
    assert said[sample("connspect_idle_at_close_seconds_count", endpoint=SERVER, by="server")] == 1
    assert said[sample("connspect_idle_at_close_seconds_bucket", endpoint=SERVER, by="server", le="5.0")] == 0
    assert said[sample("connspect_idle_at_close_seconds_bucket", endpoint=SERVER, by="server", le="10.0")] == 1
    assert said[sample("connspect_tcp_handshake_seconds_bucket", endpoint=SERVER, le="0.01")] == 1
    assert said[sample("connspect_tcp_handshake_seconds_bucket", endpoint=SERVER, le="+Inf")] == 2
    assert said[sample("connspect_tcp_handshake_seconds_sum", endpoint=SERVER)] == pytest.approx(0.024)
    assert said[sample("connspect_endpoint_name", endpoint=SERVER, name="a.example")] == 1
    assert not [key for key in said if key[0].startswith("connspect_tls_handshake_seconds_")]


def test_the_capture() -> None:
    late = Talk().handshake().close().wait(5).s("ACK")
    said = scraped(late, tick(), dropped={"kernel": 3, "interface": None}, batch_rows=1)
    assert said[sample("connspect_packets_total")] == said[sample("connspect_tcp_segments_total")] == 8
    assert said[sample("connspect_packets_dropped_total", by="kernel")] == 3
    assert sample("connspect_packets_dropped_total", by="interface") not in said
    assert said[sample("connspect_anomalies_total", code="after_close")] == 1


@pytest.mark.parametrize("batch_rows", [1, 3])
def test_counts_never_go_down(batch_rows: int) -> None:
    talks = [
        Talk(f"10.0.0.1:{n}", f"10.0.0.2:{80 + n % 3}", start=n).handshake().exchange().close() for n in range(1, 9)
    ]
    told, before = Metrics(), dict[Sample, float]()
    inspector = Inspector(Options(on_connection=told.connection))
    for batch in MemorySource(merged(*talks, tick()), batch_rows=batch_rows):
        inspector.feed(batch)
        now = parsed(told.families(inspector.capture, {}, inspector.going_on(), inspector.anomalies))
        for key, value in before.items():
            if key[0].endswith(("_total", "_bucket", "_count")):
                assert now[key] >= value, key
        before = now
    assert before[sample("connspect_connections_total", endpoint="10.0.0.2:82", began="handshake")] == 3


def test_endpoints_beyond_the_bound_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ENDPOINTS", 2)
    talks = [Talk(f"10.0.0.1:{n}", f"10.0.0.2:{n}", start=n).handshake().exchange().close() for n in range(1, 6)]
    scan = [Talk("10.0.0.7:1", f"10.0.0.3:{n}").c("SYN").s("RST ACK", seq=0) for n in range(1, 9)]
    said = scraped(*scan, *talks, tick())
    assert {dict(labels).get("endpoint") for _, labels in said} == {None, "10.0.0.2:1", "10.0.0.2:2", OTHER}
    assert said[sample("connspect_connections_total", endpoint=OTHER, began="handshake")] == 3
    assert said[sample("connspect_connections_total", endpoint=OTHER, began="refused")] == 8


def test_names_from_the_wire_are_escaped_and_cut() -> None:
    host = b'evil"}\\ 1\n\x1b[31m'.replace(b"\n", b"") + b"x" * 500
    said = scraped(Talk().handshake().exchange(REQUEST.replace(b"a.example", host)).close(), tick())
    (name,) = [dict(labels)["name"] for key, labels in said if key == "connspect_endpoint_name"]
    assert name.startswith('evil"}\\ 1\\x1b[31mx')
    assert "\x1b" not in name
    assert len(name) <= 4 * metrics.NAME_LENGTH


def test_only_selected_connections_are_counted() -> None:
    told = Metrics()
    options = Options(select=lambda connection: connection.server.port == 81, on_connection=told.connection)
    inspector = Inspector(options)
    talks = [Talk(f"10.0.0.1:{n}", f"10.0.0.2:{80 + n % 2}", start=1).handshake().exchange() for n in range(5)]
    for batch in MemorySource(merged(*talks)):
        inspector.feed(batch)
    said = parsed(told.families(inspector.capture, {}, inspector.going_on(), inspector.anomalies))
    assert said[sample("connspect_connections_open", endpoint="10.0.0.2:81")] == 2
    assert sample("connspect_connections_open", endpoint="10.0.0.2:80") not in said


def found(told: Metrics, *findings: Finding) -> dict[Sample, float]:
    """The series of findings."""
    inspector = Inspector(Options(on_connection=told.connection))
    for batch in MemorySource(merged(Talk("10.0.0.1:1").handshake().exchange().close(), tick())):
        inspector.feed(batch)
    said = parsed(told.families(inspector.capture, {}, inspector.going_on(), inspector.anomalies, findings))
    return {key: value for key, value in said.items() if key[0] == "connspect_findings"}


def test_findings_by_endpoint_code_and_severity() -> None:
    told = Metrics()
    two = [finding(endpoint=SERVER), finding(endpoint=SERVER), finding(endpoint=SERVER, code="reuse")]
    assert found(told, *two, finding(endpoint=SERVER, severity="notice")) == {
        sample("connspect_findings", endpoint=SERVER, code="server-idle-timeout", severity="info"): 2,
        sample("connspect_findings", endpoint=SERVER, code="server-idle-timeout", severity="notice"): 1,
        sample("connspect_findings", endpoint=SERVER, code="reuse", severity="info"): 1,
    }
    assert found(told) == {}, "what does not hold any more is not said"


def test_findings_of_endpoints_beyond_the_bound_are_counted_together() -> None:
    many = [finding(endpoint=f"10.0.7.{n}:443") for n in range(200)]
    assert found(Metrics(), *many) == {
        sample("connspect_findings", endpoint=OTHER, code="server-idle-timeout", severity="info"): 200
    }
