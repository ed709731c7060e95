"""From connections to endpoints: what all connections to one server ip and port add up to.

Each connection is added once it has ended; what cannot be added up (medians, the most at one time) is kept as packed
numbers, eight bytes each, and worked out at the end.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import numpy as np

from inspector.records.connection import Connection
from inspector.records.endpoint import (
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
from inspector.records.exchanges import ExchangeBook

#: What `opened.how` counts as.
_KINDS = {
    "handshake": "opened",
    "mid-stream": "already_open",
    "refused": "refused",
    "unanswered": "unanswered",
    "half-open": "half_open",
}
#: Openings that led to a connection, which is then closed or still open.
_OPEN = frozenset({"handshake", "mid-stream", "half-open"})
#: Unanswered connections of an endpoint that are listed; further ones are only counted.
LISTED_UNANSWERED = 100_000


class _Sums:
    """What is known of one endpoint so far."""

    __slots__ = (
        *("clients", "closed", "decided", "ends", "first_packet", "handshakes", "histogram", "idle", "ip", "kinds"),
        *("names", "partial", "port", "protocols", "requests", "requests_say", "responses_say"),
        *("responses_say_keep_alive", "starts", "still_open"),
    )

    def __init__(self, ip: str, port: int) -> None:
        self.ip, self.port = ip, port
        self.first_packet = 0
        self.kinds = dict.fromkeys(_KINDS.values(), 0)
        self.names: dict[str, int] = {}
        self.protocols: dict[str, int] = {}
        self.clients: dict[tuple[str, str | None], Client] = {}
        self.closed: dict[str, int] = {}
        """By who closed and how."""
        self.decided: dict[str, int] = {}
        self.still_open = 0
        self.starts, self.ends = array("q"), array("q")
        """When each connection was opened and closed."""
        self.requests = 0
        self.histogram: dict[int, int] = {}
        """Whole connections by number of requests."""
        self.partial = 0
        self.idle = {"client": array("q"), "server": array("q")}
        self.handshakes = array("q")
        self.requests_say: dict[str, int] = {}
        self.responses_say: dict[str, int] = {}
        self.responses_say_keep_alive: dict[str, int] = {}


class EndpointBook:
    """All endpoints of an inspection."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sums] = {}
        self.unlisted = 0
        """Unanswered connections that are counted here and listed nowhere."""

    def add(self, connection: Connection, book: ExchangeBook | None) -> bool:
        """Count a connection; False when it is one too many of an endpoint's unanswered ones to be listed."""
        server = connection.server
        sums = self._sums.get((server.ip, server.port))
        if sums is None:
            sums = self._sums[server.ip, server.port] = _Sums(server.ip, server.port)
            sums.first_packet = connection.first_packet
        sums.first_packet = min(sums.first_packet, connection.first_packet)
        how = connection.opened.how
        sums.kinds[_KINDS[how]] += 1
        _count(sums.protocols, connection.protocol)
        if connection.name is not None:
            _count(sums.names, connection.name)
        _add_client(sums, connection)
        if how in _OPEN:
            _add_life(sums, connection)
            _add_requests(sums, connection)
        if book is not None and book.request_count + book.response_count:
            _add_counts(sums.requests_say, book.requests_say)
            _add_counts(sums.responses_say, book.responses_say)
            _add_counts(sums.responses_say_keep_alive, book.responses_say_keep_alive)
        if how == "unanswered" and sums.kinds["unanswered"] > LISTED_UNANSWERED:
            self.unlisted += 1
            return False
        return True

    def records(self) -> list[EndpointRecord]:
        """The endpoints, in order of their first packets."""
        return [_record(sums) for sums in sorted(self._sums.values(), key=lambda sums: sums.first_packet)]


def _add_client(sums: _Sums, connection: Connection) -> None:
    """Count the client, if it got anywhere: a flood of SYNs from everywhere makes no list."""
    if connection.opened.how != "handshake" and not connection.requests:
        return
    agent = None
    for exchange in connection.exchanges:
        if exchange.request is not None:
            agent = exchange.request.user_agent
            break
    key = (connection.client.ip, agent)
    client = sums.clients.get(key)
    if client is None:
        client = sums.clients[key] = Client(connection.client.ip, agent, 0, 0)
    client.opened += connection.opened.how == "handshake"
    client.requests += connection.requests or 0


def _add_life(sums: _Sums, connection: Connection) -> None:
    """From opening to close: by whom, how, after how long."""
    closed = connection.closed
    sums.starts.append(connection.start_ns)
    sums.ends.append(closed.time_ns if closed is not None else connection.end_ns + 1)
    if connection.opened.handshake_ns is not None:
        sums.handshakes.append(connection.opened.handshake_ns)
    if closed is None:
        sums.still_open += 1
        return
    _count(sums.closed, f"{closed.by}_{closed.how}")
    _count(sums.decided, closed.announced.by if closed.announced is not None else closed.by)
    if closed.idle_ns is not None:
        sums.idle[closed.by].append(closed.idle_ns)


def _add_requests(sums: _Sums, connection: Connection) -> None:
    requests = connection.requests
    sums.requests += requests or 0
    if requests is None or connection.opened.how != "handshake" or connection.closed is None:
        sums.partial += 1
    else:
        sums.histogram[requests] = sums.histogram.get(requests, 0) + 1


def _count(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def _add_counts(counts: dict[str, int], more: dict[str, int]) -> None:
    for what, count in more.items():
        counts[what] = counts.get(what, 0) + count


def _record(sums: _Sums) -> EndpointRecord:
    kinds = sums.kinds
    names = _by_count(sums.names)
    return EndpointRecord(
        ip=sums.ip,
        port=sums.port,
        name=next(iter(names), None),
        names=names,
        protocols=_by_count(sums.protocols),
        clients=sorted(sums.clients.values(), key=_importance),
        connections=sum(kinds.values()),
        opened=kinds["opened"],
        already_open=kinds["already_open"],
        refused=kinds["refused"],
        unanswered=kinds["unanswered"],
        half_open=kinds["half_open"],
        closed=ClosedCounts(**sums.closed),
        decided=Decided(**sums.decided),
        still_open=sums.still_open,
        max_open_at_once=_most_at_once(sums.starts, sums.ends),
        requests=sums.requests,
        requests_per_connection=_per_connection(sums.histogram, sums.partial),
        idle_before_close=IdleBeforeClose(client=_idle(sums.idle["client"]), server=_idle(sums.idle["server"])),
        handshake=Handshakes(
            tcp=TcpHandshakes(len(sums.handshakes), _over(sums.handshakes, median_ns)),
            tls=TlsHandshakes(0, None, 0),
        ),
        headers=Headers(
            request=RequestHeaders(_by_count(sums.requests_say)),
            response=ResponseHeaders(_by_count(sums.responses_say), _by_count(sums.responses_say_keep_alive)),
        ),
        pool=None,
    )


def _importance(client: Client) -> tuple[int, int, str, str]:
    return -client.opened, -client.requests, client.ip, client.user_agent or ""


def _by_count(counts: dict[str, int]) -> dict[str, int]:
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
