"""keepalive-race: a request that met the server's close of an idle connection, and was lost.

The client took a connection from its pool while the server's FIN was on its way, or was there and had not been read.
It is a race with a close of idleness: what the server ends otherwise (a reset in the middle, a firewall that forgot
the connection, a restart) is no matter of timers, and neither is a RST that answers the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from statistics import median_low
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import before_limit
from inspector.findings.case import IDLE_LEAST_HANDSHAKES, IDLE_LEAST_NS, Case
from inspector.findings.rule import Rule, closes, conclude, only
from inspector.findings.rules.idle_timeout import limit_ns
from inspector.findings.suspects import keepers, suspects
from inspector.findings.waits import waits
from inspector.findings.words import about, count, of_all, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding

#: Methods whose requests may be sent again whatever became of the first (RFC 9110 section 9.2.2).
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class Race(Struct):
    """What was measured."""

    races: Annotated[int, says("Requests that met the close.")]
    retry_safe: Annotated[
        int, says("Of them, those that can be sent again: nothing was acknowledged, or the method is idempotent.")
    ]
    idle_ns: Annotated[int, says("How long the connection had been idle before the request: the median.")]
    margin_ns: Annotated[
        int, says("From the request to the close: the median. Negative: the close was in the capture before it.")
    ]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    idle_least_ns: Annotated[int, says("A race is with a close of idleness: so long at least, ...")] = IDLE_LEAST_NS
    idle_least_handshakes: Annotated[int, says("... and so many round trips of the handshake.")] = IDLE_LEAST_HANDSHAKES


LIMITS = Thresholds()


@dataclass(slots=True, frozen=True)
class _Race:
    connection: Connection
    exchange: Exchange
    idle_ns: int
    margin_ns: int


def _races(connection: Connection) -> Iterator[_Race]:
    """The requests of a connection that met its close, if it was one of idleness."""
    closed = connection.closed
    if closed is None or closed.by != "server":
        return
    least = max(LIMITS.idle_least_ns, LIMITS.idle_least_handshakes * (connection.opened.handshake_ns or 0))
    first = next(((idle_ns, one) for idle_ns, one in waits(connection) if one.race is not None), None)
    if first is None or first[0] < least:
        return
    idle_ns, begins = first
    for exchange in dropwhile(lambda one: one is not begins, connection.exchanges):
        if exchange.race is None or exchange.request is None:
            continue
        if exchange.race == "crossed" and closed.how == "rst":  # it answers the request
            continue
        yield _Race(connection, exchange, idle_ns, closed.time_ns - exchange.request.time_ns)


def _judge(case: Case) -> Iterator[Finding]:
    races = [race for connection in case.raced for race in _races(connection)]
    if not races:
        return
    numbers = {race.connection.id for race in races}
    met = [connection for connection in case.raced if connection.id in numbers]
    idle_ns = median_low([race.idle_ns for race in races])
    limit = _limit(case, races)
    yield conclude(
        "keepalive-race",
        "problem",
        case,
        met,
        title=f"{count(len(races), 'request')} to {case.place} {'was' if len(races) == 1 else 'were'} lost: "
        f"the server {'was closing' if _crossed(races) else 'had closed'} the idle connection",
        how=_how(races),
        measured=Race(len(races), sum(map(_is_safe, races)), idle_ns, median_low([race.margin_ns for race in races])),
        evidence=(_evidence(race) for race in races),
        clause=f"{'http2.headers' if any(c.http2 is not None for c in met) else 'http.request'} || {closes(met)}",
        client=only(connection.client.ip for connection in met),
        suspects=[*suspects(met, "server", "idle", limit), *keepers(met, idle_ns / 1e9)] if limit is not None else [],
        advice="let the client retry what can be sent again" if limit is None else before_limit(met, limit),
    )


def _limit(case: Case, races: Sequence[_Race]) -> float | None:
    """The server's limit, seconds: its timer, else what the races themselves show; None where it told why it closed."""
    if case.server_timer is not None:
        return limit_ns(case.server_timer) / 1e9
    shown = [idle_ns for idle_ns in map(_shown_ns, races) if idle_ns >= LIMITS.idle_least_ns]
    return median_low(shown) / 1e9 if shown else None


def _shown_ns(race: _Race) -> int:
    """After what idle time the server ended the connection, had the request not come; 0 where a message said why."""
    closed, request = race.connection.closed, race.exchange.request
    assert closed is not None
    assert request is not None
    if closed.announced is not None and closed.announced.how in ("connection-close", "http/1.0"):
        return 0
    return (closed.announced or closed).time_ns - request.time_ns + race.idle_ns


def _crossed(races: Sequence[_Race]) -> bool:
    """Whether the close had not come by when any of the requests went."""
    return not any(race.exchange.race == "after" for race in races)


def _how(races: Sequence[_Race]) -> str:
    idle = [race.idle_ns for race in races]
    after = sum(race.exchange.race == "after" for race in races)
    margins = sorted(abs(race.margin_ns) for race in races)
    at_client = only(race.connection.vantage for race in races) == "client"
    there = "had reached the client's host" if at_client else "had passed here"
    came = (
        f"when the server's close {there}"
        if after == len(races)
        else f"{about(margins[0], margins[-1])} before the server's close was seen"
        if not after
        else f"{of_all(after, len(races))} when the server's close {there}"
    )
    return f"sent {about(min(idle), max(idle))} after the last response, {came}; {_safety(races)}"


def _safety(races: Sequence[_Race]) -> str:
    taken = [race for race in races if not _is_unseen(race)]
    if not taken:
        them, all_can = ("it", "it can") if len(races) == 1 else ("them", "all can")
        return f"nothing of {them} was acknowledged, so {all_can} be sent again"
    safe = sum(map(_is_safe, races))
    methods = ", ".join(sorted({_method(race) for race in taken}))
    if safe == len(races):
        return f"{'it' if len(races) == 1 else 'all'} can be sent again: {methods}"
    return f"{of_all(safe, len(races))} can be sent again, the others may have been processed"


def _is_safe(race: _Race) -> bool:
    return _is_unseen(race) or _method(race) in _IDEMPOTENT


def _is_unseen(race: _Race) -> bool:
    """Whether the server's TCP took nothing of the request."""
    request = race.exchange.request
    return request is not None and request.acknowledged_bytes == 0


def _method(race: _Race) -> str:
    request = race.exchange.request
    return "?" if request is None or request.method is None else request.method


def _evidence(race: _Race) -> Evidence:
    request = race.exchange.request
    assert request is not None
    side = f"{seconds(abs(race.margin_ns))} {'before' if race.margin_ns > 0 else 'after'} the close"
    return Evidence(race.connection.id, request.packet, request.time_ns, f"{_method(race)}, {side}")


RULES = (
    Rule(
        code="keepalive-race",
        when="a request was sent on an idle connection that the server was closing, or had closed",
        severity="problem",
        measured=Race,
        thresholds=LIMITS,
        meaning="Client and server did not agree on how long an idle connection is kept. The request came when the "
        "server had given the connection up, and nobody answered it: the program sees a reset or an empty answer.",
        example="nginx with keepalive_timeout 3s, and a session that comes back after 2.95 s over 100 ms of network: "
        "the FIN was on its way when the request left.",
        advice="Let clients give connections up earlier than the server does, and let them retry requests of which "
        "nothing was acknowledged, or whose method is idempotent.",
        judge=_judge,
    ),
)
