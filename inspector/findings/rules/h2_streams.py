"""h2-stream-limit and h2-not-shared: too few streams on a connection of HTTP/2, too many connections for few streams.

A limit is reached when as many streams are in flight as the server's MAX_CONCURRENT_STREAMS allows: what else the
client had to ask waited where no capture shows it. Connections are not shared when, at the time of a request, another
one of the same program to the same name was up, not about to end, and had streams free.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import way
from inspector.findings.case import Case
from inspector.findings.http2 import SIDES, announced, asked, by_server, first_of, said_by, stream_ids
from inspector.findings.pool import PoolUse
from inspector.findings.rule import Rule, conclude, only, opening
from inspector.findings.words import count
from inspector.records.connection import Connection
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding

_FOREVER = 1 << 63


class StreamLimit(Struct):
    """What was measured."""

    stream_limit: Annotated[int | None, says("MAX_CONCURRENT_STREAMS of the server, the least; null without one.")]
    peak_streams: Annotated[int, says("Most streams in flight at once on one of the connections.")]
    refused_streams: Annotated[int, says("Streams that the server reset with REFUSED_STREAM.")]


class NotShared(Struct):
    """What was measured."""

    connections: Annotated[int, says("Connections that were used beside each other.")]
    peak_streams: Annotated[int, says("Most streams in flight at once on one of them.")]
    stream_limit: Annotated[int | None, says("MAX_CONCURRENT_STREAMS of the server, the least; null without one.")]


class LimitThresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[
        int, says("A smaller MAX_CONCURRENT_STREAMS is always reached, so only refused streams tell of it.")
    ] = 2


class SharedThresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many connections at least had a request that another one had room for.")] = 2


LIMITS = LimitThresholds()
SHARED = SharedThresholds()


# ---- h2-stream-limit


def _judge_limit(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        found = [connection for connection in connections if _is_full(connection) or _refused(connection)]
        if found:
            yield _at_limit(case, where, found)


def _at_limit(case: Case, where: str, found: Sequence[Connection]) -> Finding:
    limit = _limit(found)
    peak = max(connection.http2.peak_streams for connection in found if connection.http2 is not None)
    refused = sum(map(_refused, found))
    reached = sum(map(_is_full, found))
    return conclude(
        "h2-stream-limit",
        "warning",
        case,
        found,
        title=_limit_title(where, limit, refused, reached),
        how="; ".join(_limit_how(found, limit, peak, refused)),
        measured=StreamLimit(limit, peak, refused),
        evidence=first_of(evidence for connection in found for evidence in _limit_evidence(connection)),
        clause="http2.type in {1, 3, 4}" if refused else "http2.type in {1, 4}",
        client=only(connection.client.ip for connection in found),
        advice=_limit_advice(found, reached),
    )


def _is_full(connection: Connection) -> bool:
    """Whether all streams that the server ever allowed were in use at once."""
    assert connection.http2 is not None
    limits = [
        frame.values["MAX_CONCURRENT_STREAMS"]
        for frame in announced(connection, "server")
        if "MAX_CONCURRENT_STREAMS" in frame.values
    ]
    return bool(limits) and connection.http2.peak_streams >= max(limits) >= LIMITS.least


def _refused(connection: Connection) -> int:
    """Streams that the server refused while it went on with the connection: behind GOAWAY, that is the cause."""
    server = said_by(connection, "server")
    if server.goaways and not _is_full(connection):
        return 0
    return server.rst_streams.get("REFUSED_STREAM", 0)


def _limit(connections: Sequence[Connection]) -> int | None:
    limits = [c.http2.stream_limit for c in connections if c.http2 is not None and c.http2.stream_limit is not None]
    return min(limits, default=None)


def _limit_title(where: str, limit: int | None, refused: int, reached: int) -> str:
    if not reached:
        allowed = "" if limit is None else f", though it allows {limit:,} at once"
        return f"{where} refused {count(refused, 'stream')}{allowed}"
    fate = f"{count(refused, 'further one', 'further ones')} refused" if refused else "a further request has to wait"
    return f"all {count(limit or 0, 'stream')} that {where} allows at once were in use: {fate}"


def _limit_how(found: Sequence[Connection], limit: int | None, peak: int, refused: int) -> Iterator[str]:
    on = f" on each of {len(found):,} connections" if len(found) > 1 else ""
    against = "no MAX_CONCURRENT_STREAMS" if limit is None else f"MAX_CONCURRENT_STREAMS {limit:,}"
    yield f"up to {count(peak, 'stream')} in flight{on}, against {against}"
    if refused:
        yield f"{count(refused, 'stream')} may safely be sent again"
    else:
        yield "what waits in the client is not seen"


def _limit_evidence(connection: Connection) -> Iterator[Evidence]:
    """The announcement, and the packets with the requests that were refused."""
    for frame in announced(connection, "server"):
        if "MAX_CONCURRENT_STREAMS" in frame.values:
            what = f"server SETTINGS, MAX_CONCURRENT_STREAMS {frame.values['MAX_CONCURRENT_STREAMS']}"
            yield Evidence(connection.id, frame.packet, frame.time_ns, what)
    packets: dict[tuple[int, int], list[int]] = {}
    for exchange in asked(connection):
        if exchange.reset is not None and exchange.reset.error == "REFUSED_STREAM":
            assert exchange.request is not None
            assert exchange.stream is not None
            packets.setdefault((exchange.request.packet, exchange.request.time_ns), []).append(exchange.stream)
    for (packet, time_ns), streams in packets.items():
        yield Evidence(connection.id, packet, time_ns, f"refused: {stream_ids(streams, of_one=True)}")


def _limit_advice(found: Sequence[Connection], reached: int) -> str:
    if not reached:
        return "let the client send refused requests again, fewer at once: the server refuses below its own limit"
    setting = way(found, "server", "streams")
    return f"raise {setting or 'MAX_CONCURRENT_STREAMS of the server'}, or let the client use more connections"


# ---- h2-not-shared


class Life:
    """A connection as something to be shared: from when, until when, and its streams over time."""

    __slots__ = ("_ends", "_starts", "connection", "from_ns", "room", "until_ns")

    def __init__(self, connection: Connection) -> None:
        assert connection.http2 is not None
        self.connection = connection
        settings = announced(connection, "server")
        self.from_ns = settings[0].time_ns if settings else _FOREVER
        """A client knows by the server's SETTINGS what it has."""
        goaways = [frame.time_ns for side in SIDES for frame in said_by(connection, side).goaways[:1]]
        closed = [] if connection.closed is None else [(connection.closed.announced or connection.closed).time_ns]
        self.until_ns = min((*goaways, *closed), default=_FOREVER)
        self.room = connection.http2.stream_limit
        """Streams that the server allows; None: any number."""
        self._starts = sorted(self.requests())
        self._ends = sorted(e.response.end_ns for e in asked(connection) if e.response and e.response.end_ns)

    def requests(self) -> Iterator[int]:
        """Times of its requests."""
        return (e.request.time_ns for e in asked(self.connection) if e.request is not None)

    def has_room(self, at_ns: int) -> bool:
        """Whether one more stream would have been allowed at this time, when it was up."""
        return self.room is None or bisect_right(self._starts, at_ns) - bisect_right(self._ends, at_ns) < self.room


def _judge_shared(case: Case) -> Iterator[Finding]:
    for use in case.uses:
        if use.kind != "h2" or use.opened < SHARED.least or use.is_brief:
            continue
        by_agent: dict[str | None, list[Connection]] = {}
        for connection in use.connections:
            if connection.http2 is not None and connection.opened.how == "handshake":
                by_agent.setdefault(_agent(connection), []).append(connection)
        for connections in by_agent.values():
            if beside := _beside(connections):
                yield _not_shared(case, use, beside)


def _agent(connection: Connection) -> str | None:
    """What the program calls itself: another program of the same address has a pool of its own."""
    first = next(asked(connection), None)
    return None if first is None or first.request is None else first.request.user_agent


def _beside(connections: Sequence[Connection]) -> list[Connection]:
    """Connections that had a request which another one had room for, with those; in order of ids. None where too few
    had one."""
    lives = sorted(map(Life, connections), key=lambda life: life.from_ns)
    requests = sorted((at_ns, i) for i, life in enumerate(lives) for at_ns in life.requests())
    found: set[int] = set()
    hosts: set[int] = set()
    up: dict[int, None] = {}
    ends: list[tuple[int, int]] = []
    """Of those that are up, with their numbers: a heap."""
    begun = 0
    for at_ns, asking in requests:
        while begun < len(lives) and lives[begun].from_ns <= at_ns:
            up[begun] = None
            heappush(ends, (lives[begun].until_ns, begun))
            begun += 1
        while ends and ends[0][0] <= at_ns:
            del up[heappop(ends)[1]]
        if asking not in found:
            host = next((i for i in up if i != asking and lives[i].has_room(at_ns)), None)
            if host is not None:
                found.add(asking)
                hosts.add(host)
    if len(found) < SHARED.least:
        return []
    return sorted((lives[i].connection for i in found | hosts), key=lambda connection: connection.id)


def _not_shared(case: Case, use: PoolUse, beside: Sequence[Connection]) -> Finding:
    limit = _limit(beside)
    peak = max(connection.http2.peak_streams for connection in beside if connection.http2 is not None)
    allowed = "any number" if limit is None else f"{limit:,}"
    return conclude(
        "h2-not-shared",
        "notice",
        case,
        beside,
        title=f"{len(beside):,} connections to {case.place} side by side, where one would do",
        how=f"at most {count(peak, 'stream')} in flight on each of them, and the server allows {allowed}",
        measured=NotShared(len(beside), peak, limit),
        evidence=first_of(opening(connection, "opened") for connection in beside),
        clause="tcp.flags.syn == 1 || http2.type == 1",
        client=use.client,
        advice="use one client object for all threads and tasks; separate programs cannot share",
    )


RULES = (
    Rule(
        code="h2-stream-limit",
        when="as many streams were in flight as the server's MAX_CONCURRENT_STREAMS (from 2 on) allows, or the server "
        "reset streams with REFUSED_STREAM and went on with the connection",
        severity="warning",
        measured=StreamLimit,
        thresholds=LIMITS,
        meaning="A client that keeps to the limit makes further requests wait, and the capture does not show how long; "
        "one that does not is refused. A refused stream was not processed and can safely be sent again.",
        example="nginx with http2_max_concurrent_streams 2, and a client that sends four requests at once: two of them "
        "are refused.",
        advice="Raise the limit where the server can take more (nginx http2_max_concurrent_streams), or let the client "
        "open another connection when one is full.",
        judge=_judge_limit,
    ),
    Rule(
        code="h2-not-shared",
        when="several connections of one client and User-Agent to one server name are used beside each other, though "
        "one of them had streams free",
        severity="notice",
        measured=NotShared,
        thresholds=SHARED,
        meaning="One connection of HTTP/2 carries many requests at once, so a client needs one to a server, until the "
        "limit of streams is reached. Several cost handshakes, and each grows its congestion window by itself. "
        "Programs and processes of their own cannot share, and some proxies keep a connection for each thread.",
        example="Four programs at once, each with a connection and one stream at a time, where nginx allows 128.",
        advice="Use one client object for all threads and tasks (httpx.Client, http.Transport, one gRPC channel) "
        "instead of one for each.",
        judge=_judge_shared,
    ),
)
