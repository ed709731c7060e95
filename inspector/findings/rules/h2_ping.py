"""h2-keepalive-ping: PINGs of HTTP/2 at a steady beat, PINGs that nobody answered, and PINGs that were too many.

A beat is told when the times between PINGs of one side agree on four and more of them. PINGs that software sends to
measure a round trip, to estimate bandwidth, or behind a GOAWAY have payloads of their own, and are no keepalive. A PING
counts as unanswered where the answer had time to come: its sender closed for want of it, or seconds went by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Annotated, NamedTuple

from msgspec import Struct, field

from inspector.findings.advice import way
from inspector.findings.case import IDLE_LEAST_HANDSHAKES, IDLE_LEAST_NS, Case, Scene
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
)
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.suspects import recognised
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Suspect
from inspector.records.http2 import PingFrame

#: PINGs with these payloads measure something or wait for streams that cross a GOAWAY: gRPC-Go and gRPC-Java
#: (bandwidth, then drain), and Rust's h2 (drain).
_OTHER_ENDS = frozenset(
    {"02041010090e0707", "00000000000004d2", "0106010800030309", "000000097acef001", "0b7ba2f08b9bfe54"}
)
#: Seconds between PINGs that gRPC's servers allow by themselves.
_ALLOWED = 300
#: Characters of debug data that are repeated.
_SHOWN = 40


class KeepalivePing(Struct):
    """What was measured."""

    interval_ns: Annotated[int | None, says("Time from one PING to the next: the median; null without a steady beat.")]
    by: Annotated[Side, says("Who sends them.")] = field(name="from")
    unanswered: Annotated[int, says("PINGs that got no answer though there was time for it.")]
    rtt_ns: Annotated[int | None, says("Time from a PING to its answer: the median; null when none was answered.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many times between PINGs of a connection at least, before it is a beat.")] = 4
    steady: Annotated[float, says("They deviate from their median by less than this part of it, ...")] = 0.05
    steady_ns: Annotated[int, says("... or by less than this.")] = 50_000_000
    slowest_ns: Annotated[int, says("Who sends PINGs faster than this measures something.")] = 200_000_000
    jitter: Annotated[float, says("A spread from this part of the beat on is told as jitter.")] = 0.1
    alike: Annotated[float, says("Beats that differ by no more than this part are one.")] = 0.1
    patience_ns: Annotated[int, says("Without a close, an answer has this long to come.")] = 5_000_000_000


LIMITS = Thresholds()


class Place(NamedTuple):
    """Whose PINGs they are."""

    case: Case
    where: str
    """The server, in words."""
    side: Side
    """Who sends them."""

    @property
    def sender(self) -> str:
        """In words."""
        return self.where if self.side == "server" else f"the client of {self.where}"

    @property
    def other(self) -> Side:
        """Who answers them."""
        return OTHER[self.side]


@dataclass(slots=True, frozen=True)
class Beat:
    """The PINGs of one side of a connection."""

    connection: Connection
    pings: list[PingFrame]
    interval_ns: int | None
    """None without a steady beat."""
    between_ns: list[int]
    unanswered: list[PingFrame]
    calmed: bool
    """Whether the other side ended the connection because of them."""


def _judge(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        for side in SIDES:
            place = Place(case, where, side)
            beats = [beat for c in connections if (beat := _beat(c, side, case.scene)) is not None]
            if calmed := [beat for beat in beats if beat.calmed]:
                yield _calmed(place, calmed)
            if silent := [beat for beat in beats if beat.unanswered and not beat.calmed]:
                yield _unanswered(place, silent)
            for steady in _alike([beat for beat in beats if not beat.unanswered and not beat.calmed]):
                yield _steady(place, steady)


# ---- one connection


def _beat(connection: Connection, side: Side, scene: Scene) -> Beat | None:
    """The keepalive of one side; None where it has none, and none of its PINGs went wrong."""
    assert connection.http2 is not None
    calmed = _is_calmed(connection, side)
    sent = [ping for ping in connection.http2.pings if ping.by == side and (calmed or ping.payload not in _OTHER_ENDS)]
    between = [later.sent_ns - earlier.sent_ns for earlier, later in pairwise(sent)]
    interval = steady(between)
    missed = [ping for ping in sent if _is_missed(ping, connection, scene)]
    if interval is None and not missed and not calmed:
        return None
    return Beat(connection, sent, interval, between, missed, calmed)


def steady(between_ns: Sequence[int]) -> int | None:
    """The beat of what comes after these times, in ns; None where they do not agree."""
    if len(between_ns) < LIMITS.least:
        return None
    middle = median(between_ns)
    deviation = median(abs(ns - middle) for ns in between_ns)
    if middle < LIMITS.slowest_ns or deviation >= max(LIMITS.steady * middle, LIMITS.steady_ns):
        return None
    return round(middle)


def _is_missed(ping: PingFrame, connection: Connection, scene: Scene) -> bool:
    """Whether its answer did not come, though there was time, and nothing that it may have been in is missing."""
    if ping.ack_ns is not None or scene.qualifiers or not is_whole(connection):
        return False
    closed = connection.closed
    if closed is None:
        return scene.last_ns - ping.sent_ns >= LIMITS.patience_ns
    waited = closed.time_ns - ping.sent_ns
    if closed.by != ping.by:
        return waited >= LIMITS.patience_ns
    return waited >= max(IDLE_LEAST_NS, IDLE_LEAST_HANDSHAKES * (connection.opened.handshake_ns or 0))


def _is_calmed(connection: Connection, side: Side) -> bool:
    return any(map(is_about_pings, said_by(connection, OTHER[side]).goaways))


def _alike(beats: Sequence[Beat]) -> Iterator[list[Beat]]:
    """Beats by their intervals, so that those of one setting are together."""
    together: list[Beat] = []
    for beat in sorted(beats, key=lambda beat: beat.interval_ns or 0):
        first = together[0].interval_ns if together else None
        if first and (beat.interval_ns or 0) - first > LIMITS.alike * first:
            yield together
            together = []
        together.append(beat)
    if together:
        yield together


# ---- findings


def _steady(place: Place, beats: Sequence[Beat]) -> Finding:
    interval = _interval(beats)
    assert interval is not None
    pings = _pings(beats)
    answered = sum(ping.ack_ns is not None for ping in pings)
    fate = "all are answered" if answered == len(pings) else f"{of_all(answered, len(pings))} were answered"
    return _conclude(
        place,
        beats,
        title=f"{place.sender} sends PING every {seconds(interval)}, and {fate}",
        how=f"{_counted(beats)}{_jitter(beats, interval)}{_round_trip(pings)}",
        advice=None,
    )


def _unanswered(place: Place, beats: Sequence[Beat]) -> Finding:
    missed = [(beat.connection, ping) for beat in beats for ping in beat.unanswered]
    closes = [(c.closed, ping) for c, ping in missed if c.closed is not None and c.closed.by == place.side]
    waits = [closed.time_ns - ping.sent_ns for closed, ping in closes]
    then = f"; the {place.side} closed {seconds(round(median(waits)))} after" if waits else ""
    return _conclude(
        place,
        beats,
        title=f"the client did not answer {count(len(missed), 'PING')} of {place.where}"
        if place.side == "server"
        else f"{place.where} did not answer {count(len(missed), 'PING')} of the client",
        how=f"{_counted(beats)}, without an answer {of_all(len(missed), len(_pings(beats)))}{then}",
        advice=f"look what the {place.other} was doing then: it was gone, busy, or does not read",
    )


def _calmed(place: Place, beats: Sequence[Beat]) -> Finding:
    connections = [beat.connection for beat in beats]
    debug = only(said_by(connection, place.other).goaways[-1].debug for connection in connections)
    said = f' "{debug[:_SHOWN]}"' if debug else ""
    streams = [exchange for connection in connections for exchange in asked(connection)]
    lost = sum(not is_answered(exchange) and not given_up(exchange) for exchange in streams)
    cost = f": {count(lost, 'request')} unanswered" if lost else ""
    between = [ns for beat in beats for ns in beat.between_ns]
    apart = f", {seconds(round(median(between)))} apart" if between else ""
    who, of = (f"the client of {place.where}", "the server") if place.side == "server" else (place.where, "the client")
    seldom = way(connections, place.side, "ping", _ALLOWED)
    return _conclude(
        place,
        beats,
        title=f"{who} ended {count(len(beats), 'connection')} because of too many PINGs of {of}{cost}",
        how=f"{_counted(beats)}{apart}, then GOAWAY ENHANCE_YOUR_CALM{said}",
        advice=f"let the {place.side} send fewer: {seldom or 'no more than the other side allows'}",
    )


def _conclude(place: Place, beats: Sequence[Beat], *, title: str, how: str, advice: str | None) -> Finding:
    connections = [beat.connection for beat in beats]
    round_trips = [ping.ack_ns for ping in _pings(beats) if ping.ack_ns is not None]
    missed = sum(len(beat.unanswered) for beat in beats)
    calmed = any(beat.calmed for beat in beats)
    senders = [] if advice else recognised(connections, place.side)
    return conclude(
        "h2-keepalive-ping",
        "problem" if missed or calmed else "info",
        place.case,
        connections,
        title=title,
        how=how,
        measured=KeepalivePing(
            _interval(beats), place.side, missed, round(median(round_trips)) if round_trips else None
        ),
        evidence=first_of(evidence for beat in beats for evidence in _evidence(beat, place.side)),
        clause="http2.type in {6, 7}" if calmed else "http2.type == 6",
        client=only(connection.client.ip for connection in connections),
        suspects=[Suspect(one.named, None, None, one.sign) for one in senders],
        advice=advice,
    )


def _pings(beats: Sequence[Beat]) -> list[PingFrame]:
    return [ping for beat in beats for ping in beat.pings]


def _interval(beats: Sequence[Beat]) -> int | None:
    intervals = [beat.interval_ns for beat in beats if beat.interval_ns is not None]
    return round(median(intervals)) if intervals else None


def _evidence(beat: Beat, side: Side) -> Iterator[Evidence]:
    """What went wrong, else how it went on."""
    number = beat.connection.id
    if beat.calmed:
        last = said_by(beat.connection, OTHER[side]).goaways[-1]
        yield Evidence(number, last.packet, last.time_ns, f"{OTHER[side]} GOAWAY {last.error}")
    for ping in beat.unanswered or beat.pings:
        fate = "no answer" if ping.ack_ns is None else f"answered after {seconds(ping.ack_ns)}"
        yield Evidence(number, ping.packet, ping.sent_ns, f"{side} PING, {fate}")


# ---- words


def _counted(beats: Sequence[Beat]) -> str:
    on = f" on {count(len(beats), 'connection')}" if len(beats) > 1 else ""
    return f"{count(len(_pings(beats)), 'PING')}{on}"


def _jitter(beats: Sequence[Beat], interval_ns: int) -> str:
    """Timers that many peers share are made uneven by purpose."""
    between = [ns for beat in beats for ns in beat.between_ns]
    spread = max(between) - min(between)
    if spread < LIMITS.jitter * interval_ns:
        return ""
    return f", {seconds(min(between))} to {seconds(max(between))} apart: a jitter of {spread / min(between):.0%}"


def _round_trip(pings: Sequence[PingFrame]) -> str:
    times = [ping.ack_ns for ping in pings if ping.ack_ns is not None]
    return f"; answers after {seconds(round(median(times)))}" if times else ""


RULES = (
    Rule(
        code="h2-keepalive-ping",
        when="one side sends PINGs of HTTP/2 at a steady beat, gets no answer to one, or is told with "
        "ENHANCE_YOUR_CALM that they are too many; PINGs that measure a round trip or bandwidth are not told",
        severity="info; problem when a PING got no answer, or a connection was ended because of them",
        measured=KeepalivePing,
        thresholds=LIMITS,
        meaning="PINGs show a side that the other one is there, and keep state alive in what stands between. They do "
        "not count as use: timers for idle connections end it all the same. A side that gets no answer closes. "
        "A server may find them too many: gRPC's ends the connection with ENHANCE_YOUR_CALM after a few that come "
        "faster than it allows, and with it every call on it.",
        example="A gRPC client with GRPC_ARG_KEEPALIVE_TIME_MS 1000 at a server that allows one PING in five minutes: "
        'GOAWAY ENHANCE_YOUR_CALM "too_many_pings" after four of them.',
        advice="A beat below the shortest timer on the way (load balancers: 60 to 350 s) and above what the server "
        "allows. In gRPC, the client's keepalive time has to be at least the server's permitted one.",
        judge=_judge,
    ),
)
