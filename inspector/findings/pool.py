"""Reuse and its price: connections opened against those that a good pool would have needed for the same requests.

The requests of one client to one endpoint and name are replayed, by their start and end times, through a pool without
size limit (FINDINGS.md, definitions). It takes the connection that has been idle longest, unless that one has been so
for longer than the server keeps it: this keeps most of them alive, so no pool gets by with fewer. Where one request is
on a connection at a time, a replay is a walk over the sorted starts beside the sorted ends: fractions of a microsecond
a request. What cannot be known never counts as avoidable: without keys a connection is busy from its first to its last
byte, and what spoke no HTTP was needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Literal

from inspector.findings.agree import agreement
from inspector.findings.case import Case, decided_by, follows_idle, idle_times
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord, Pool

#: What can share a connection: exchanges one by one, streams, what was not decrypted, no HTTP at all, nothing.
Kind = Literal["http/1", "h2", "tls", "unknown", "none"]

#: A pool gives idle connections up before the server does, by so much or by this part of the limit, if that is less.
MARGIN_NS = 1_000_000_000
MARGIN_PART = 5
#: A run that is over within so long, with so few requests, has no use for a pool: a script, a probe.
BRIEF_NS = 5_000_000_000
BRIEF_REQUESTS = 3

_KINDS: Final[dict[str, Kind]] = {
    "http/1.0": "http/1",
    "http/1.1": "http/1",
    "websocket": "http/1",
    "h2": "h2",
    "h2c": "h2",
    "tls": "tls",
    "unknown": "unknown",
    "none": "none",
}
_FOREVER = 1 << 63


#: Connections that one pool would keep together: client ip, name (pools key on it), tunnel, kind.
_Key = tuple[str, str | None, str | None, Kind]


@dataclass(slots=True)
class PoolUse:
    """What one client did with its connections to one endpoint and name, and what a good pool would have."""

    client: str
    """Its ip."""
    name: str | None
    kind: Kind
    connections: list[Connection]
    """All but those that came to nothing, also those that were open before the capture began; in order of ids."""
    opened: int
    needed: int
    server_ended: int
    """Of those needed, the ones that the server ended by itself, so that a pool could not keep them."""
    idle_at_open: int
    requests: int
    """An estimate, where it is encrypted."""

    @property
    def avoidable(self) -> int:
        """Opens beyond those that were needed."""
        return self.opened - self.needed

    @property
    def is_brief(self) -> bool:
        """Whether it is a short run, for which short connections are right."""
        if self.requests > BRIEF_REQUESTS:
            return False
        first = min(connection.start_ns for connection in self.connections)
        return max(connection.end_ns for connection in self.connections) - first <= BRIEF_NS


def pool_uses(connections: Iterable[Connection], timeout_ns: int | None) -> list[PoolUse]:
    """The uses of an endpoint whose idle connections the server ends after `timeout_ns` (None where that is not
    known), in order of first connections."""
    groups: dict[_Key, list[Connection]] = {}
    for connection in connections:
        if connection.opened.how not in ("handshake", "mid-stream"):
            continue
        tunnel = connection.tunnel
        target = None if tunnel is None else tunnel.target
        key = (connection.client.ip, connection.name, target, _KINDS[connection.protocol])
        group = groups.get(key)
        if group is None:
            groups[key] = [connection]
        else:
            group.append(connection)
    expiry_ns = None if timeout_ns is None else timeout_ns - min(MARGIN_NS, timeout_ns // MARGIN_PART)
    return [_use(key, group, expiry_ns) for key, group in groups.items()]


def pool_record(endpoint: EndpointRecord, uses: Sequence[PoolUse]) -> Pool | None:
    """The sum of an endpoint's uses; None where no request was seen, nor anything that could be one."""
    if not any(use.requests for use in uses):
        return None
    avoidable = sum(use.avoidable for use in uses)
    tcp, tls = endpoint.handshake.tcp, endpoint.handshake.tls
    return Pool(
        connections_needed=sum(use.needed for use in uses),
        avoidable_opens=avoidable,
        idle_at_open=sum(use.idle_at_open for use in uses),
        handshake_ns_saved=avoidable * ((tcp.median_ns or 0) + (tls.median_ns or 0)),
    )


def measure(case: Case) -> None:
    """Fill in what a case knows of its clients' pools, the server's timer, and the endpoint's `pool`."""
    case.server_timer = agreed = agreement(idle_times(case.server_idle))
    case.uses = pool_uses(case.connections, None if agreed is None else agreed.median_ns)
    case.endpoint.pool = pool_record(case.endpoint, case.uses)


def needed_if_kept(connections: Iterable[Connection], timeout_ns: int | None = None) -> int:
    """Connections of HTTP/1 that a good pool of one client would have needed, had the server ended none of them."""
    jobs = [job for connection in connections for job in one_at_a_time(_exchanges(connection))]
    return chains(jobs, timeout_ns)


# ---- one client, one name


@dataclass(slots=True)
class _Lives:
    """What the connections of a use were busy with, and when they rested."""

    opens: list[int] = field(default_factory=list)
    """Times of the SYNs."""
    jobs: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of each request that the pool has to place."""
    rest_from: list[int] = field(default_factory=list)
    rest_until: list[int] = field(default_factory=list)
    server_ended: int = 0
    unknown: int = 0
    """Connections of another protocol: needed, whatever the pool does."""


def _use(key: _Key, connections: list[Connection], expiry_ns: int | None) -> PoolUse:
    client, name, _, kind = key
    requests = sum([_requests(connection) for connection in connections])
    if len(connections) == 1:
        opened = int(connections[0].opened.how == "handshake")
        needed = opened if requests or kind == "unknown" else 0
        return PoolUse(client, name, kind, connections, opened, needed, 0, 0, requests)
    lives = _lives(kind, connections, expiry_ns is not None)
    if kind == "h2":
        replayed = shared(lives.jobs, expiry_ns, _stream_limit(connections))
    else:
        replayed = chains(lives.jobs, expiry_ns)
    opened = len(lives.opens)
    # What really idled longer than the pool would let it must not count as needed anew.
    needed = min(opened, lives.server_ended + lives.unknown + replayed)
    idle_at_open = _opened_beside(lives.opens, lives.rest_from, lives.rest_until)
    return PoolUse(client, name, kind, connections, opened, needed, lives.server_ended, idle_at_open, requests)


def _requests(connection: Connection) -> int:
    if connection.requests is not None:
        return connection.requests
    return 0 if connection.estimate is None else connection.estimate.exchanges


def _lives(kind: Kind, connections: Iterable[Connection], timed: bool) -> _Lives:
    lives = _Lives()
    for connection in connections:
        counts = connection.opened.how == "handshake"
        if counts:
            lives.opens.append(connection.start_ns)
        if kind == "unknown":
            lives.unknown += counts
            continue
        jobs = _unread(connection) if kind == "tls" else _exchanges(connection)
        if not jobs:
            continue
        busy = jobs if len(jobs) == 1 else one_at_a_time(jobs)
        _rest(lives, connection, busy)
        if not counts:
            continue
        if _server_ended(connection, timed):
            lives.server_ended += 1
        else:
            lives.jobs += jobs if kind == "h2" else busy
    return lives


def _exchanges(connection: Connection) -> list[tuple[int, int]]:
    """When each exchange began and ended; what has no end was busy as long as anything was seen of it."""
    jobs = []
    for exchange in connection.exchanges:
        request, response = exchange.request, exchange.response
        if response is None:
            end_ns = connection.end_ns
        else:
            end_ns = response.end_ns or response.time_ns
            if response.status == 101 and connection.protocol == "websocket":
                end_ns = connection.end_ns
        start_ns = end_ns - 1 if request is None else request.time_ns
        jobs.append((start_ns, end_ns if end_ns > start_ns else start_ns + 1))
    return jobs


def _unread(connection: Connection) -> list[tuple[int, int]]:
    """One job for all that could not be read: from the SYN to the last byte."""
    if not _requests(connection):
        return []
    closed, end_ns = connection.closed, connection.end_ns
    if closed is not None and closed.idle_ns is not None:
        end_ns = (closed.announced or closed).time_ns - closed.idle_ns
    return [(connection.start_ns, max(end_ns, connection.start_ns + 1))]


def one_at_a_time(jobs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Jobs of one connection, those that overlap taken together: pipelining needs no second connection."""
    joined: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(jobs):
        if joined and start_ns < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end_ns, joined[-1][1])
        else:
            joined.append((start_ns, end_ns))
    return joined


def _rest(lives: _Lives, connection: Connection, busy: list[tuple[int, int]]) -> None:
    """When a connection waited for the next request: between any two, and until it was known to end."""
    closed = connection.closed
    last_ns = _FOREVER if closed is None else (closed.announced or closed).time_ns
    for i, (_, end_ns) in enumerate(busy):
        until_ns = busy[i + 1][0] if i + 1 < len(busy) else last_ns
        if until_ns > end_ns:
            lives.rest_from.append(end_ns)
            lives.rest_until.append(until_ns)


def _server_ended(connection: Connection, timed: bool) -> bool:
    """Whether the server ended it, and no pool could have known: with a known timer, idleness is the pool's to mind."""
    closed = connection.closed
    if closed is None or decided_by(closed) == "client":
        return False
    return not (timed and follows_idle(connection))


def _stream_limit(connections: Iterable[Connection]) -> int | None:
    """Streams that fit one connection: the least that was announced; None where nothing was."""
    limits = [c.http2.stream_limit for c in connections if c.http2 is not None and c.http2.stream_limit is not None]
    return max(1, min(limits)) if limits else None


# ---- the pool


def chains(jobs: Sequence[tuple[int, int]], expiry_ns: int | None) -> int:
    """Connections for jobs (start, end; end > start) that take one at a time: the fewest that can do.

    Each job takes over from the earliest end that has not expired: of those that could, it is the first to be lost.
    """
    starts = sorted([start_ns for start_ns, _ in jobs])
    ends = sorted([end_ns for _, end_ns in jobs])
    patience_ns = _FOREVER if expiry_ns is None else expiry_ns
    needed = free = 0
    for start_ns in starts:
        while start_ns - ends[free] > patience_ns:
            free += 1
        if ends[free] <= start_ns:
            free += 1
        else:
            needed += 1
    return needed


def shared(jobs: Sequence[tuple[int, int]], expiry_ns: int | None, limit: int | None) -> int:
    """Connections for jobs that share one, at most `limit` at a time (None: any number): one that is in use goes
    before one that is idle, and of these the one that has been so longest."""
    room = _FOREVER if limit is None else limit
    patience_ns = _FOREVER if expiry_ns is None else expiry_ns
    active: list[int] = []
    """Jobs on each connection."""
    free_since: list[int] = []
    ends: list[tuple[int, int]] = []
    """Of running jobs, with their connections: a heap."""
    roomy: list[int] = []
    """Connections in use that may have room."""
    idle: deque[tuple[int, int]] = deque()
    """Since when, and which; in order of time. Some are in use again."""
    for start_ns, end_ns in sorted(jobs):
        while ends and ends[0][0] <= start_ns:
            freed_ns, number = heappop(ends)
            active[number] -= 1
            if active[number]:
                roomy.append(number)
            else:
                free_since[number] = freed_ns
                idle.append((freed_ns, number))
        while roomy and not 0 < active[roomy[-1]] < room:
            roomy.pop()
        while idle and (
            active[idle[0][1]] or free_since[idle[0][1]] != idle[0][0] or start_ns - idle[0][0] > patience_ns
        ):
            idle.popleft()
        if roomy:
            number = roomy[-1]
        elif idle:
            number = idle.popleft()[1]
        else:
            number = len(active)
            active.append(0)
            free_since.append(0)
        if not active[number]:
            roomy.append(number)
        active[number] += 1
        heappush(ends, (end_ns, number))
    return len(active)


def _opened_beside(opens: Iterable[int], rest_from: list[int], rest_until: list[int]) -> int:
    """Opens at whose time some connection was resting."""
    begins, stops = sorted(rest_from), sorted(rest_until)
    begun = stopped = beside = 0
    for at_ns in sorted(opens):
        while begun < len(begins) and begins[begun] <= at_ns:
            begun += 1
        while stopped < len(stops) and stops[stopped] <= at_ns:
            stopped += 1
        beside += begun > stopped
    return beside
