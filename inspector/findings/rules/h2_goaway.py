"""h2-goaway and h2-after-goaway: how connections of HTTP/2 are ended with GOAWAY, and what becomes of their streams.

Told of the server, and of a client that names an error of the server's: else its GOAWAY is its farewell, and a server's
GOAWAY behind that a reply. GOAWAYs of one shape (by whom, how many steps, which error, streams lost or none) are one
finding. A stream above the last_stream_id was not processed and may be sent again; one below it that got no answer may
have been processed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Annotated, NamedTuple

from msgspec import Struct

from inspector.findings.agree import agreement
from inspector.findings.case import Case, follows_idle, idle_times
from inspector.findings.catalogue import products
from inspector.findings.clues import NOTICE
from inspector.findings.http2 import (
    OTHER,
    SIDES,
    asked,
    by_server,
    first_of,
    given_up,
    is_about_pings,
    is_answered,
    is_whole,
    said_by,
    stream_ids,
)
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.suspects import recognised
from inspector.findings.words import count, seconds
from inspector.records.connection import Connection, Side
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Suspect
from inspector.records.http2 import GoawayFrame

_CLAUSE = "http2.type == 7"
#: Characters of debug data that are repeated.
_SHOWN = 40
#: What clients say when they have had enough: libraries that are told to shut down at once call it an error.
_FAREWELLS = frozenset({"NO_ERROR", "CANCEL", "INTERNAL_ERROR"})
#: What is said of errors that have a usual cause.
_ADVICE = {
    "PROTOCOL_ERROR": "look at what the {other} sent just before",
    "FRAME_SIZE_ERROR": "look at the frame that the {other} sent just before: its length was wrong",
    "FLOW_CONTROL_ERROR": "look at the DATA or WINDOW_UPDATE that the {other} sent just before",
    "COMPRESSION_ERROR": "look for something between the two that changes header blocks, or a faulty {other}",
    "ENHANCE_YOUR_CALM": "let the {other} do less of what the {side} counts: resets, control frames, header bytes",
    "SETTINGS_TIMEOUT": "look why the {other} did not acknowledge SETTINGS in time",
    "INADEQUATE_SECURITY": "let both sides negotiate TLS 1.2 or newer with a cipher that HTTP/2 allows",
    "HTTP_1_1_REQUIRED": "let the {other} use HTTP/1.1 for this",
}


class Goaway(Struct):
    """What was measured."""

    steps: Annotated[int, says("Different last_stream_ids that it named: 2 where it first said only that it will end.")]
    error: Annotated[str, says("Its error; NO_ERROR when it is graceful.")]
    last_stream_id: Annotated[int | None, says("The last one named; null when connections differ.")]
    requests_before: Annotated[
        int | None, says("Requests on a connection before the first GOAWAY; null when connections differ.")
    ]
    streams_lost: Annotated[int, says("Requests that got no answer: above last_stream_id, or left when it ended.")]


class AfterGoaway(Struct):
    """What was measured."""

    streams: Annotated[int, says("Streams that were opened after GOAWAY, or given up while the server still answered.")]
    n: Annotated[int, says("Connections.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    crossed_ns: Annotated[int, says("A stream opened so soon after GOAWAY, and a handshake's time, crossed it.")] = (
        20_000_000
    )


LIMITS = Thresholds()


class Shape(NamedTuple):
    """What GOAWAYs have in common."""

    side: Side
    steps: int
    error: str
    loses: bool


class Ended(NamedTuple):
    """A connection that was ended with GOAWAY, and its streams that got no answer."""

    connection: Connection
    goaways: list[GoawayFrame]
    above: list[Exchange]
    """Above the last_stream_id: not processed."""
    below: list[Exchange]
    """Not above it, and unanswered when the connection ended."""

    @property
    def steps(self) -> int:
        """Different last_stream_ids."""
        return len({frame.last_stream_id for frame in self.goaways})

    @property
    def loses(self) -> bool:
        """Whether a request got no answer."""
        return bool(self.above or self.below)


# ---- h2-goaway


def _judge(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        shapes: dict[Shape, list[Ended]] = {}
        for connection in connections:
            for side in SIDES:
                goaways = said_by(connection, side).goaways
                if not goaways or is_about_pings(goaways[-1]):  # h2-keepalive-ping tells that
                    continue
                ended = _ended(connection, side, goaways)
                shape = Shape(side, ended.steps, goaways[-1].error, ended.loses)
                if shape.loses or not (_is_farewell(shape) or _is_reply(ended, side)):
                    shapes.setdefault(shape, []).append(ended)
        for shape, alike in shapes.items():
            yield _finding(case, where, shape, alike)


def _is_farewell(shape: Shape) -> bool:
    """Whether a client leaves of its own accord, with all answers in hand."""
    return shape.side == "client" and shape.error in _FAREWELLS


def _is_reply(ended: Ended, side: Side) -> bool:
    """Whether a server says GOAWAY to a client that had already ended the connection."""
    first, closed = ended.goaways[0], ended.connection.closed
    if side == "client" or ended.goaways[-1].error != "NO_ERROR":
        return False
    before = [frame.time_ns for frame in said_by(ended.connection, "client").goaways]
    if closed is not None and closed.by == "client":
        before.append(closed.time_ns)
    return min(before, default=first.time_ns) < first.time_ns


def _ended(connection: Connection, side: Side, goaways: list[GoawayFrame]) -> Ended:
    """What the streams came to that one side ended. A client that closed on its own streams does not make the server
    lose them."""
    if side == "client":  # its last_stream_id is about what the server pushed
        gracefully = goaways[-1].error == "NO_ERROR"
        return Ended(connection, goaways, [], [] if gracefully else _unanswered(connection))
    last = min(frame.last_stream_id for frame in goaways)
    above = [e for e in asked(connection) if _id(e) > last and not is_answered(e) and not given_up(e)]
    closed = connection.closed
    if goaways[-1].error == "NO_ERROR" and (closed is None or closed.by == "client"):
        return Ended(connection, goaways, above, [])
    return Ended(connection, goaways, above, [e for e in _unanswered(connection) if _id(e) <= last])


def _unanswered(connection: Connection) -> list[Exchange]:
    """Requests that still waited when the connection ended; none where something of it was not seen."""
    if connection.closed is None or not is_whole(connection):
        return []
    return [exchange for exchange in asked(connection) if not is_answered(exchange) and exchange.reset is None]


def _id(exchange: Exchange) -> int:
    assert exchange.stream is not None
    return exchange.stream


def _finding(case: Case, where: str, shape: Shape, ended: Sequence[Ended]) -> Finding:
    connections = [one.connection for one in ended]
    last = only(one.goaways[-1].last_stream_id for one in ended)
    before = only(_requests_before(one) for one in ended)
    above, below = sum(len(one.above) for one in ended), sum(len(one.below) for one in ended)
    advice = _advice(shape, above, below)
    return conclude(
        "h2-goaway",
        "info" if shape.error == "NO_ERROR" and not above + below else "problem",
        case,
        connections,
        title=_title(where, shape, ended, before, above + below),
        how="; ".join(_how(shape, ended)),
        measured=Goaway(shape.steps, shape.error, last, before, above + below),
        evidence=first_of(_evidence(one.connection, shape.side, frame) for one in ended for frame in one.goaways),
        clause=_CLAUSE,
        client=only(connection.client.ip for connection in connections) if above + below else None,
        suspects=_suspects(shape.side, ended, advice is None),
        advice=advice,
    )


def _requests_before(one: Ended) -> int:
    """Requests up to the first GOAWAY, without the one that opened a tunnel; exchanges that are no longer listed came
    before it."""
    connection, first_ns = one.connection, one.goaways[0].time_ns
    listed = [exchange for exchange in connection.exchanges if exchange.request is not None]
    late = sum(exchange.request is not None and exchange.request.time_ns > first_ns for exchange in listed)
    outside = sum(not exchange.inside for exchange in listed) if connection.tunnel is not None else 0
    return (connection.requests or 0) - late - outside


def _title(where: str, shape: Shape, ended: Sequence[Ended], before: int | None, lost: int) -> str:
    who = where if shape.side == "server" else f"the client of {where}"
    if shape.error != "NO_ERROR":
        fate = f": {count(lost, 'request')} unanswered" if lost else ""
        return f"{who} ended {_ones(ended)} with GOAWAY {shape.error}{fate}"
    if lost:
        return f"{who} left {count(lost, 'request')} unanswered when it ended {_ones(ended)} with GOAWAY"
    if all(map(_was_idle, ended)):
        after = _span(idle_times(one.connection for one in ended))
        return f"{who} ended {_ones(ended, 'idle connection')} with GOAWAY after {after}"
    after = "" if before is None else f" after {count(before, 'request')}"
    nothing = ", and lost nothing" if all(map(_is_over, ended)) else ""
    return f"{who} ended {_ones(ended)} with GOAWAY{after}{nothing}"


def _ones(ended: Sequence[Ended], noun: str = "connection") -> str:
    return f"a{'n' if noun[0] in 'aeiou' else ''} {noun}" if len(ended) == 1 else f"{len(ended):,} {noun}s"


def _is_over(one: Ended) -> bool:
    """Whether all of it was seen, to its end."""
    return one.connection.closed is not None and is_whole(one.connection)


def _was_idle(one: Ended) -> bool:
    """Whether GOAWAY came out of silence, and no stream was under way then."""
    closed, first_ns = one.connection.closed, one.goaways[0].time_ns
    if closed is None or closed.announced is None or closed.announced.how != "goaway":
        return False
    return follows_idle(one.connection) and not any(_is_under_way(e, first_ns) for e in asked(one.connection))


def _is_under_way(exchange: Exchange, at_ns: int) -> bool:
    request, response = exchange.request, exchange.response
    if request is None or request.time_ns > at_ns or exchange.reset is not None:
        return False
    return response is None or response.end_ns is None or response.end_ns > at_ns


def _span(times_ns: Sequence[int]) -> str:
    """What durations agree on, else from the least to the most."""
    agreed = agreement(times_ns)
    return f"{seconds(min(times_ns))} to {seconds(max(times_ns))}" if agreed is None else seconds(agreed.median_ns)


def _about(times_ns: Sequence[int]) -> str:
    """The median of durations."""
    return seconds(round(median(times_ns)))


def _how(shape: Shape, ended: Sequence[Ended]) -> Iterator[str]:
    first, last = ended[0].goaways[0], ended[0].goaways[-1]
    same = only(one.goaways[-1].last_stream_id for one in ended) is not None
    named = _number(last.last_stream_id) if same else "one of each connection"
    if shape.steps > 1:
        gap = _about([one.goaways[-1].time_ns - one.goaways[0].time_ns for one in ended])
        named = f"{_number(first.last_stream_id)}, then {named} after {gap}"
    yield f"last_stream_id {named}"
    if debug := only(one.goaways[-1].debug for one in ended):
        yield f'it says "{debug[:_SHOWN]}"'
    yield from _end(ended)
    if above := [_id(exchange) for one in ended for exchange in one.above]:
        yield f"{stream_ids(above, len(ended) == 1)} above last_stream_id"
    if below := [_id(exchange) for one in ended for exchange in one.below]:
        yield f"{stream_ids(below, len(ended) == 1)} unanswered, perhaps processed"


def _number(last_stream_id: int) -> str:
    return "2^31-1" if last_stream_id == NOTICE else str(last_stream_id)


def _end(ended: Sequence[Ended]) -> Iterator[str]:
    """What closed the connections, and how long after the last GOAWAY."""
    closes = [(one, one.connection.closed) for one in ended if one.connection.closed is not None]
    gaps = [closed.time_ns - one.goaways[-1].time_ns for one, closed in closes]
    if closes and min(gaps) >= 0:
        who = only(f"{closed.by} {closed.how.upper()}" for _, closed in closes) or "closed"
        yield f"{who} {_about(gaps)} later"


def _evidence(connection: Connection, side: Side, frame: GoawayFrame) -> Evidence:
    what = f"{side} GOAWAY {frame.error}, last_stream_id {frame.last_stream_id}"
    return Evidence(connection.id, frame.packet, frame.time_ns, what)


def _suspects(side: Side, ended: Sequence[Ended], anybody: bool) -> list[Suspect]:
    """Who sent it: by its debug data, which also names the setting; else, for `anybody`, by whatever else it told."""
    debug = only(one.goaways[-1].debug for one in ended)
    known = recognised([one.connection for one in ended], side)
    names = {one.product.name for one in known}
    told = [
        Suspect(product.name, setting.name, None, "its GOAWAY's debug data")
        for product in products(side)
        for setting in product.setting
        if debug and setting.debug == debug and (not names or product.name in names)
    ]
    return told or [Suspect(one.named, None, None, one.sign) for one in known if anybody]


def _advice(shape: Shape, above: int, below: int) -> str | None:
    if shape.error in _ADVICE:
        return _ADVICE[shape.error].format(side=shape.side, other=OTHER[shape.side])
    if above:
        return "let the client send again what is above last_stream_id: it was not processed"
    return "repeat what got no answer only where doing it twice does no harm" if below else None


# ---- h2-after-goaway


class Regardless(NamedTuple):
    """A connection whose client did not mind the server's GOAWAY."""

    connection: Connection
    goaway: GoawayFrame
    """The first one."""
    late: list[Exchange]
    """Streams that it opened afterwards."""
    left: list[Exchange]
    """Streams that it gave up by closing, though the server was still to answer them."""


def _judge_after(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        found = [one for one in map(_regardless, connections) if one is not None]
        if found:
            yield _finding_after(case, where, found)


def _finding_after(case: Case, where: str, found: Sequence[Regardless]) -> Finding:
    connections = [one.connection for one in found]
    late, left = sum(len(one.late) for one in found), sum(len(one.left) for one in found)
    return conclude(
        "h2-after-goaway",
        "warning",
        case,
        connections,
        title=f"the client opened {count(late, 'stream')} at {where} after GOAWAY had come"
        if late
        else f"the client closed on {count(left, 'request')} that {where} was still to answer after GOAWAY",
        how="; ".join(_after_how(found, left)),
        measured=AfterGoaway(late + left, len(found)),
        evidence=first_of(evidence for one in found for evidence in _after_evidence(one)),
        clause="http2.type in {1, 7}",
        client=only(connection.client.ip for connection in connections),
        advice="let the client open a new connection when GOAWAY comes, and finish the old one's streams",
    )


def _regardless(connection: Connection) -> Regardless | None:
    goaways = said_by(connection, "server").goaways
    if not goaways:
        return None
    known_ns = goaways[0].time_ns + (connection.opened.handshake_ns or 0) + LIMITS.crossed_ns
    late = [e for e in asked(connection) if e.request is not None and e.request.time_ns > known_ns]
    left: list[Exchange] = []
    closed = connection.closed
    if closed is not None and closed.by == "client" and goaways[-1].error == "NO_ERROR":
        last = min(frame.last_stream_id for frame in goaways)
        numbers = {exchange.index for exchange in late}
        left = [e for e in _unanswered(connection) if _id(e) <= last and e.index not in numbers]
    return Regardless(connection, goaways[0], late, left) if late or left else None


def _after_how(found: Sequence[Regardless], left: int) -> Iterator[str]:
    late = [(one, exchange) for one in found for exchange in one.late]
    if late:
        waits = [e.request.time_ns - one.goaway.time_ns for one, e in late if e.request is not None]
        on = f" on {count(len(found), 'connection')}" if len(found) > 1 else ""
        yield f"the last one {seconds(max(waits))} after the first GOAWAY{on}"
        lost = sum(not is_answered(exchange) for _, exchange in late)
        yield f"{lost:,} of them got no answer" if lost else "they were answered all the same"
    if left:
        yield f"the client closed while {count(left, 'stream')} not above last_stream_id had no answer yet"


def _after_evidence(one: Regardless) -> Iterator[Evidence]:
    yield _evidence(one.connection, "server", one.goaway)
    for exchange in (*one.late, *one.left):
        if exchange.request is not None:
            what = f"request on stream {exchange.stream}"
            yield Evidence(one.connection.id, exchange.request.packet, exchange.request.time_ns, what)


RULES = (
    Rule(
        code="h2-goaway",
        when="the server ends a connection of HTTP/2 with GOAWAY, or the client does with an error; not where a client "
        "that has its answers takes leave (NO_ERROR, CANCEL, INTERNAL_ERROR), nor the server's reply to that",
        severity="info; problem when it names an error, or requests got no answer",
        measured=Goaway,
        thresholds=LIMITS,
        meaning="GOAWAY says which streams are still looked at: those up to last_stream_id. Requests above it were not "
        "processed and can safely be sent again on another connection. With last_stream_id 2^31-1 a server first says "
        "that it will end soon, and names the last stream in a second GOAWAY, so that nothing is lost on the way. A "
        "request that is not above it and still gets no answer may have been processed.",
        example="nginx with keepalive_requests 3, and six requests sent at once: GOAWAY with last_stream_id 5, and the "
        "streams 7, 9 and 11 were not processed.",
        advice="Graceful ones cost a new connection and nothing else. Where streams are lost, let the client send "
        "those above last_stream_id again, and the server announce its end in two steps. An error is mostly the other "
        "side's doing: look at what it sent just before.",
        judge=_judge,
    ),
    Rule(
        code="h2-after-goaway",
        when="a client opens streams on a connection whose GOAWAY it must have seen, or closes while the server still "
        "answers what is under way",
        severity="warning",
        measured=AfterGoaway,
        thresholds=LIMITS,
        meaning="After GOAWAY a client may open no stream on that connection (RFC 9113 section 6.8): while the server "
        "drains they may still be answered, later they are ignored. Streams that were opened so soon that they may "
        "have crossed the GOAWAY are not counted.",
        example="Envoy that drains, and a client that goes on with a request every 150 ms: the streams after the "
        "second GOAWAY are never answered.",
        advice="Update or configure the client so that its pool drops a connection with GOAWAY; until then let the "
        "server drain for longer than clients need to notice.",
        judge=_judge_after,
    ),
)
