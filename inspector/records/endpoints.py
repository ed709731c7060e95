"""From connections to endpoints: what all connections to one server ip and port add up to.

Each connection is added once it has ended; what cannot be added up (medians, the most at one time) is kept as packed
numbers, eight bytes each, and worked out at the end.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from copy import copy
from operator import is_
from typing import NamedTuple, TypeVar

import numpy as np

from inspector.records.connection import Announcement, CloseHow, Connection, Estimate, Side
from inspector.records.endpoint import (
    AnnouncedCount,
    Client,
    ClosedCounts,
    Decided,
    EndpointRecord,
    Handshakes,
    Headers,
    Idle,
    IdleBeforeClose,
    RequestHeaders,
    RequestsPerConnection,
    ResponseHeaders,
    TcpHandshakes,
    TlsHandshakes,
)
from inspector.records.exchange import Exchange
from inspector.records.exchanges import ExchangeBook

_T = TypeVar("_T")
#: Who announced a close, how, who closed then, and how.
_Announced = tuple[Side, Announcement, Side, CloseHow]
_K = TypeVar("_K", str, _Announced)

#: Openings that led to a connection, which is then closed or still open.
_OPEN = frozenset({"handshake", "mid-stream", "half-open"})
#: Unanswered connections of an endpoint that are listed; further ones are only counted.
LISTED_UNANSWERED = 100_000


class _Kind(NamedTuple):
    """What is counted of a connection: those that look the same are counted together."""

    how: str
    protocol: str
    name: str | None
    client: str
    """Its ip."""
    agent: str | None
    closed: str | None
    """By whom and how; None while open."""
    decided: str | None
    announced: _Announced | None
    requests: int | None
    estimate: int | None
    """Exchanges, where it is encrypted."""


class _Sums:
    """What is known of one endpoint so far."""

    __slots__ = (
        *("added", "ends", "first_packet", "handshakes", "idle", "ip", "kinds", "port", "requests_say"),
        *("responses_say", "responses_say_keep_alive", "starts", "tls_handshakes", "tls_resumed", "unanswered"),
    )

    def __init__(self, ip: str, port: int, first_packet: int) -> None:
        self.ip, self.port, self.first_packet = ip, port, first_packet
        self.added = 0
        """Connections that were added."""
        self.kinds: dict[_Kind, int] = {}
        """Connections by kind, in the order of first appearance."""
        self.unanswered = 0
        self.starts, self.ends = array("q"), array("q")
        """When each connection was opened and closed."""
        self.idle = {"client": array("q"), "server": array("q")}
        self.handshakes = array("q")
        self.tls_handshakes = array("q")
        self.tls_resumed = 0
        self.requests_say: dict[str, int] = {}
        self.responses_say: dict[str, int] = {}
        self.responses_say_keep_alive: dict[str, int] = {}

    def copy(self) -> _Sums:
        """The same, to be added to."""
        other = _Sums(self.ip, self.port, self.first_packet)
        for name in self.__slots__:
            setattr(other, name, copy(getattr(self, name)))
        other.idle = {side: values[:] for side, values in self.idle.items()}
        return other


class Unfinished(NamedTuple):
    """A connection that is not over, as it is now."""

    record: Connection
    book: ExchangeBook | None


class _Recorded(NamedTuple):
    """An endpoint's record, and what it was made of."""

    added: int
    unfinished: list[Connection]
    record: EndpointRecord


class EndpointBook:
    """All endpoints of an inspection."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sums] = {}
        self._recorded: dict[tuple[str, int], _Recorded] = {}
        """What `so_far` said last."""
        self.unlisted = 0
        """Unanswered connections that are counted here and listed nowhere."""

    def add(self, connection: Connection, book: ExchangeBook | None) -> bool:
        """Count a connection; False when it is one too many of an endpoint's unanswered ones to be listed."""
        server = connection.server
        sums = self._sums.get((server.ip, server.port))
        if sums is None:
            sums = self._sums[server.ip, server.port] = _Sums(server.ip, server.port, connection.first_packet)
        _add(sums, connection, book)
        if connection.opened.how == "unanswered":
            sums.unanswered += 1
            if sums.unanswered > LISTED_UNANSWERED:
                self.unlisted += 1
                return False
        return True

    def records(self) -> list[EndpointRecord]:
        """The endpoints, in order of their first packets."""
        return [_record(sums) for sums in sorted(self._sums.values(), key=lambda sums: sums.first_packet)]

    def so_far(self, unfinished: Iterable[Unfinished]) -> list[EndpointRecord]:
        """The endpoints with connections that are not over, in no order; the same record as last time where nothing
        has changed. The records of `unfinished` must be the same objects, too, while they say the same."""
        more: dict[tuple[str, int], list[Unfinished]] = {key: [] for key in self._sums}
        for one in unfinished:
            more.setdefault((one.record.server.ip, one.record.server.port), []).append(one)
        self._recorded = {key: self._so_far(key, unfinished) for key, unfinished in more.items()}
        return [recorded.record for recorded in self._recorded.values()]

    def _so_far(self, key: tuple[str, int], unfinished: list[Unfinished]) -> _Recorded:
        sums, before = self._sums.get(key), self._recorded.get(key)
        added, records = 0 if sums is None else sums.added, [one.record for one in unfinished]
        if before is not None and before.added == added and _same(before.unfinished, records):
            return before
        if unfinished:
            sums = _Sums(*key, records[0].first_packet) if sums is None else sums.copy()
            for one in unfinished:
                _add(sums, one.record, one.book)
        assert sums is not None
        return _Recorded(added, records, _record(sums))


def _same(before: list[Connection], now: list[Connection]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))


def _add(sums: _Sums, connection: Connection, book: ExchangeBook | None) -> None:
    """Count a connection."""
    how, closed = connection.opened.how, connection.closed
    sums.added += 1
    if connection.first_packet < sums.first_packet:
        sums.first_packet = connection.first_packet
    announced, estimate = closed.announced if closed is not None else None, connection.estimate
    kind = _Kind(
        how,
        connection.protocol,
        connection.name,
        # A flood of SYNs from everywhere makes no list of clients.
        connection.client.ip if how == "handshake" or connection.requests else "",
        _agent(connection.exchanges),
        f"{closed.by}_{closed.how}" if closed is not None else None,
        (announced or closed).by if closed is not None else None,
        (announced.by, announced.how, closed.by, closed.how) if closed is not None and announced else None,
        connection.requests,
        estimate.exchanges if estimate is not None else None,
    )
    sums.kinds[kind] = sums.kinds.get(kind, 0) + 1
    if how in _OPEN:
        _add_life(sums, connection)
    for exchange in connection.exchanges:
        request, response = exchange.request, exchange.response
        if request is not None and request.connection is not None:
            _count(sums.requests_say, request.connection, 1)
        if response is not None and response.connection is not None:
            _count(sums.responses_say, response.connection, 1)
    if book is not None and book.responses_say_keep_alive is not None:
        for value, times in book.responses_say_keep_alive.items():
            _count(sums.responses_say_keep_alive, value, times)


def _agent(exchanges: list[Exchange]) -> str | None:
    """The User-Agent of a connection: of its first request."""
    for exchange in exchanges:
        if exchange.request is not None:
            return exchange.request.user_agent
    return None


def _add_life(sums: _Sums, connection: Connection) -> None:
    """From opening to close, and after how long idle."""
    closed = connection.closed
    sums.starts.append(connection.start_ns)
    sums.ends.append(closed.time_ns if closed is not None else connection.end_ns + 1)
    if connection.opened.handshake_ns is not None:
        sums.handshakes.append(connection.opened.handshake_ns)
    tls = connection.tls
    if tls is not None and tls.handshake_ns is not None:
        sums.tls_handshakes.append(tls.handshake_ns)
        sums.tls_resumed += tls.resumed is True
    if closed is not None and closed.idle_ns is not None:
        sums.idle[closed.by].append(closed.idle_ns)


def _count(counts: dict[str, int], what: str, times: int) -> None:
    counts[what] = counts.get(what, 0) + times


def _record(sums: _Sums) -> EndpointRecord:
    kinds = sums.kinds
    hows = _tally(kinds, lambda kind: kind.how)
    alive = {kind: count for kind, count in kinds.items() if kind.how in _OPEN}
    whole = {
        kind: n for kind, n in alive.items() if kind.how == "handshake" and kind.closed and kind.requests is not None
    }
    names = _by_count(_tally(kinds, lambda kind: kind.name))
    return EndpointRecord(
        ip=sums.ip,
        port=sums.port,
        name=next(iter(names), None),
        names=names,
        protocols=_by_count(_tally(kinds, lambda kind: kind.protocol)),
        clients=_clients(kinds),
        connections=sum(kinds.values()),
        opened=hows.get("handshake", 0),
        already_open=hows.get("mid-stream", 0),
        refused=hows.get("refused", 0),
        unanswered=hows.get("unanswered", 0),
        half_open=hows.get("half-open", 0),
        closed=ClosedCounts(**_tally(alive, lambda kind: kind.closed)),
        decided=Decided(**_tally(alive, lambda kind: kind.decided)),
        announced=_announced(alive),
        still_open=sum(count for kind, count in alive.items() if kind.closed is None),
        max_open_at_once=_most_at_once(sums.starts, sums.ends),
        requests=_requests(alive),
        estimate=_estimate(alive),
        requests_per_connection=_per_connection(
            _tally(whole, lambda kind: kind.requests), sum(alive.values()) - sum(whole.values())
        ),
        idle_before_close=IdleBeforeClose(client=_idle(sums.idle["client"]), server=_idle(sums.idle["server"])),
        handshake=Handshakes(
            tcp=TcpHandshakes(len(sums.handshakes), _over(sums.handshakes, median_ns)),
            tls=TlsHandshakes(len(sums.tls_handshakes), _over(sums.tls_handshakes, median_ns), sums.tls_resumed),
        ),
        headers=Headers(
            request=RequestHeaders(_by_count(sums.requests_say)),
            response=ResponseHeaders(_by_count(sums.responses_say), _by_count(sums.responses_say_keep_alive)),
        ),
        pool=None,
    )


def _tally(kinds: dict[_Kind, int], of: Callable[[_Kind], _T | None]) -> dict[_T, int]:
    """Connections by something of their kind; those without it are not counted."""
    counts: dict[_T, int] = {}
    for kind, count in kinds.items():
        value = of(kind)
        if value is not None:
            counts[value] = counts.get(value, 0) + count
    return counts


def _announced(kinds: dict[_Kind, int]) -> list[AnnouncedCount]:
    """Announced closes by who announced them, how, and who closed how; the most first."""
    counts = _by_count(_tally(kinds, lambda kind: kind.announced))
    return [
        AnnouncedCount(by, how, closed_by, closed_how, count)
        for (by, how, closed_by, closed_how), count in counts.items()
    ]


def _requests(kinds: dict[_Kind, int]) -> int | None:
    """All requests that were seen; None where everything that was said was encrypted."""
    known = {kind: count for kind, count in kinds.items() if kind.requests is not None}
    if len(known) < len(kinds) and all(kind.protocol == "none" for kind in known):
        return None
    return sum((kind.requests or 0) * count for kind, count in known.items())


def _estimate(kinds: dict[_Kind, int]) -> Estimate | None:
    estimates = [kind.estimate * count for kind, count in kinds.items() if kind.estimate is not None]
    return Estimate(sum(estimates), "records") if estimates else None


def _clients(kinds: dict[_Kind, int]) -> list[Client]:
    """The clients that got anywhere, the busiest first."""
    clients: dict[tuple[str, str | None], Client] = {}
    for kind, count in kinds.items():
        if kind.client:
            client = clients.setdefault((kind.client, kind.agent), Client(kind.client, kind.agent, 0, None))
            client.opened += count if kind.how == "handshake" else 0
            if kind.requests is not None:
                client.requests = (client.requests or 0) + kind.requests * count
    return sorted(clients.values(), key=_importance)


def _importance(client: Client) -> tuple[int, int, str, str]:
    return -client.opened, -(client.requests or 0), client.ip, client.user_agent or ""


def _by_count(counts: dict[_K, int]) -> dict[_K, int]:
    """The counts, the highest first, and in alphabetical order where they are equal."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def median_ns(values: Iterable[int]) -> int:
    """The median, in whole nanoseconds; there must be one value at least."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def _over(values: array[int], function: Callable[[Iterable[int]], int]) -> int | None:
    return function(values) if values else None


def _idle(values: array[int]) -> Idle:
    return Idle(len(values), _over(values, min), _over(values, median_ns), _over(values, max))


def _most_at_once(starts: array[int], ends: array[int]) -> int:
    """The most connections open at one time; one that closes as another opens is not counted with it."""
    if not starts:
        return 0
    times = np.concatenate([np.frombuffer(starts, np.int64), np.frombuffer(ends, np.int64)])
    change = np.repeat(np.array([1, -1]), len(starts))
    return int(np.cumsum(change[np.lexsort((change, times))]).max())


def _per_connection(histogram: dict[int, int], partial: int) -> RequestsPerConnection:
    count = sum(histogram.values())
    if not count:
        return RequestsPerConnection(None, None, None, None, {}, partial)
    ordered = sorted(histogram.items())
    return RequestsPerConnection(
        min=ordered[0][0],
        median=_median_of(ordered, count),
        mean=sum(requests * connections for requests, connections in ordered) / count,
        max=ordered[-1][0],
        histogram={str(requests): connections for requests, connections in ordered},
        partial=partial,
    )


def _median_of(ordered: list[tuple[int, int]], count: int) -> float:
    """The median of values given as (value, how often), in order."""
    values = np.array([value for value, _ in ordered])
    behind = np.cumsum([often for _, often in ordered])
    low = values[np.searchsorted(behind, (count - 1) // 2, side="right")]
    high = values[np.searchsorted(behind, count // 2, side="right")]
    return float(low + high) / 2
