"""half-closed-leak: one side's FIN was acknowledged, and the other has not closed for long: CLOSE_WAIT on its host.

requests.Session and httpx notice a server's FIN when they want the connection again, so one that waits is a lazy pool,
and a leak only when they pile up. A side may also end its sending by intent and read on (RFC 9293 section 3.6), so
what still has something to send is not waiting: read off the messages, or else taken from a wire on which nothing came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Annotated

from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.suspects import recognised
from inspector.findings.words import count, seconds
from inspector.records.connection import Closed, Connection, Side
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Suspect

_SIDES: tuple[Side, Side] = ("client", "server")


class HalfClosed(Struct):
    """What was measured."""

    n: Annotated[int, says("Connections that one side had closed, and the other had not, for long.")]
    oldest_ns: Annotated[int, says("The longest of these times, at most to the end of the capture.")]
    side: Annotated[Side, says("Whose host holds them in CLOSE_WAIT.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least_ns: Annotated[int, says("Shorter waits are not told.")] = 3_000_000_000
    long_ns: Annotated[int, says("A wait of so long is a warning.")] = 60_000_000_000
    piled: Annotated[int, says("So many at once on one host are a warning.")] = 3
    silent_ns: Annotated[int, says("What could not be read waits when nothing came later than this after the FIN.")] = (
        1_000_000_000
    )


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    waiting = [connection for connection in case.connections if _waits(connection)]
    for side in _SIDES:
        held = [connection for connection in waiting if connection.closed and connection.closed.by != side]
        if held:
            yield _told(case, side, held)


def _waits(connection: Connection) -> bool:
    """Whether one side had closed for long, the other knew, and had nothing to do but close."""
    closed = connection.closed
    if closed is None or closed.how != "fin" or (closed.half_closed_ns or 0) < LIMITS.least_ns or closed.simultaneous:
        return False
    traffic = connection.client_traffic if closed.by == "client" else connection.server_traffic
    if not traffic.fin_acknowledged:
        return False
    if connection.protocol == "none":
        return True
    if connection.protocol in ("unknown", "websocket") or connection.tunnel is not None:
        return _is_silent(connection, closed)
    if connection.protocol == "tls":
        return closed.by == "server" or _is_silent(connection, closed)
    return not any(_is_under_way(exchange, closed) for exchange in connection.exchanges)


def _is_silent(connection: Connection, closed: Closed) -> bool:
    return closed.reply is None and connection.end_ns - closed.time_ns <= LIMITS.silent_ns


def _is_under_way(exchange: Exchange, closed: Closed) -> bool:
    """Whether an exchange went on after the FIN: a body that was still sent, a response still to come."""
    request, response = exchange.request, exchange.response
    if request is not None and closed.by == "server" and (request.end_ns or request.time_ns) > closed.time_ns:
        return True
    if closed.by == "server" or exchange.reset is not None:
        return False
    return response is None or response.end_ns is None or response.end_ns > closed.time_ns


def _told(case: Case, side: Side, held: Sequence[Connection]) -> Finding:
    oldest = max(_waited(connection) for connection in held)
    at_once = max(_most_at_once(some) for some in _by_host(held, side))
    is_leak = at_once >= LIMITS.piled or oldest >= LIMITS.long_ns
    open_still = sum(connection.closed is not None and connection.closed.reply is None for connection in held)
    until = ", until the capture ended" if open_still == len(held) else ""
    harmless = "" if is_leak or side == "server" else "; a lazy pool closes at its next use"
    return conclude(
        "half-closed-leak",
        "warning" if is_leak else "info",
        case,
        held,
        title=f"the client leaves {count(len(held), 'connection')} open on its side that {case.place} closed"
        if side == "client"
        else f"{case.place} leaves {count(len(held), 'connection')} open on its side that the client closed",
        how=f"CLOSE_WAIT on the {side} for up to {seconds(oldest)}{until}, {at_once:,} at once"
        f"{_passed_over(case, held) if side == 'client' else ''}{harmless}",
        measured=HalfClosed(len(held), oldest, side),
        evidence=[_evidence(connection) for connection in sorted(held, key=_waited, reverse=True)],
        ranked=True,
        clause="tcp.flags.fin == 1 || tcp.flags.reset == 1",
        client=only(connection.client.ip for connection in held),
        suspects=[] if is_leak else _lazy(held, side),
        advice=_advice(held, side) if is_leak else None,
    )


def _passed_over(case: Case, held: Sequence[Connection]) -> str:
    """Whether the client opened others meanwhile: a pool that looked would have closed these then."""
    waiting: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
    for one in held:
        if one.closed is not None:
            since_ns = one.closed.time_ns
            waiting.setdefault((one.client.ip, one.name), []).append((since_ns, since_ns + _waited(one)))
    latest: dict[tuple[str, str | None], list[int]] = {}
    for key, spans in waiting.items():
        spans.sort()
        latest[key] = list(accumulate((until_ns for _, until_ns in spans), max))
    opened = 0
    for new in case.opened:
        if spans := waiting.get((new.client.ip, new.name), []):
            before = bisect_left(spans, (new.start_ns, 0))
            opened += bool(before) and latest[new.client.ip, new.name][before - 1] > new.start_ns
    return f"; {count(opened, 'other')} opened meanwhile" if opened else ""


def _waited(connection: Connection) -> int:
    assert connection.closed is not None
    return connection.closed.half_closed_ns or 0


def _by_host(held: Sequence[Connection], side: Side) -> list[list[Connection]]:
    hosts: dict[str, list[Connection]] = {}
    for connection in held:
        hosts.setdefault(connection.client.ip if side == "client" else connection.server.ip, []).append(connection)
    return list(hosts.values())


def _most_at_once(held: Sequence[Connection]) -> int:
    changes = []
    for connection in held:
        assert connection.closed is not None
        changes += [(connection.closed.time_ns, 1), (connection.closed.time_ns + _waited(connection), -1)]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _evidence(connection: Connection) -> Evidence:
    closed = connection.closed
    assert closed is not None
    answer = "not answered" if closed.reply is None else f"answered by {closed.reply.upper()}"
    return Evidence(
        connection.id, closed.packet, closed.time_ns, f"{closed.by} FIN, {answer} in {seconds(_waited(connection))}"
    )


def _lazy(held: Sequence[Connection], side: Side) -> list[Suspect]:
    """Software that is known to look at a connection only when it wants to use it again."""
    return [
        Suspect(one.named, None, None, f"{one.sign}; it closes such a connection when it wants to use it again")
        for one in recognised(held, side)
        if any(setting.lazy for setting in one.product.settings("idle"))
    ]


def _advice(held: Sequence[Connection], side: Side) -> str:
    who = next((one.product.name for one in recognised(held, side)), "the program")
    if side == "server":
        return f"let {who} close what its clients have closed"
    return f"let {who} close sessions and responses that are done with"


RULES = (
    Rule(
        code="half-closed-leak",
        when="one side's FIN was acknowledged, and the other side, with nothing left to send, does not close for 3 s",
        severity="info; warning when three or more wait at once on one host, or one for a minute",
        measured=HalfClosed,
        thresholds=LIMITS,
        meaning="The connection is in CLOSE_WAIT on the host of the side that has not closed: its program has not "
        "noticed, or has forgotten it. Many pools look only when they want the connection again, so a few that wait "
        "are harmless. Those that pile up hold sockets and file descriptors, and a pool that hands one out loses a "
        "request.",
        example="nginx with keepalive_timeout 1s closed three connections; the client, which kept them without "
        "looking, had not closed after 3.5 s.",
        advice="In the client: close responses, sessions and clients when they are done with, and let the pool give "
        "connections up before the server does. In the server: look for connections that a handler keeps after its "
        "client has gone.",
        judge=_judge,
    ),
)
