"""silent-drop: a connection was idle, and the next request on it reached nobody who knew it.

Either the request was sent again and again and never acknowledged, or a RST came for it although nobody had closed.
Both are what a NAT, a firewall or a load balancer leaves behind that has forgotten the connection; so does a host that
was restarted, and nothing on the wire tells these apart. Told from requests alone: what was not decrypted does not say
when it was idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Struct

from inspector.findings.advice import earlier, giving_up
from inspector.findings.agree import agreement
from inspector.findings.case import Case, idle_times
from inspector.findings.catalogue import number
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.suspects import forgetters
from inspector.findings.words import count, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange, Request
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding


class SilentDrop(Struct):
    """What was measured."""

    idle_ns: Annotated[int, says("The shortest silence after which a connection was dead.")]
    n: Annotated[int, says("Connections that were.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    idle_ns: Annotated[int, says("Silence of so long at least, before what is sent again and again.")] = 1_000_000_000
    patience_ns: Annotated[int, says("Sent again for so long at least, without an acknowledgment.")] = 1_000_000_000
    reset_idle_ns: Annotated[int, says("Silence of so long at least, before a RST: after less, it may be a race.")] = (
        30_000_000_000
    )


LIMITS = Thresholds()


@dataclass(slots=True, frozen=True)
class _Dead:
    """A request on a connection that nobody knew any more."""

    connection: Connection
    request: Request
    idle_ns: int
    by: Literal["silence", "rst"]


def _judge(case: Case) -> Iterator[Finding]:
    limit = agreement(idle_times(case.server_idle))
    found = [one for connection in case.waited if (one := _dead(connection)) is not None]
    # A server that ends idle connections by itself had done so: the request met its close.
    dead = [one for one in found if one.by == "silence" or limit is None or one.idle_ns < limit.min_ns]
    if dead:
        yield _told(case, dead)


def _dead(connection: Connection) -> _Dead | None:
    if connection.opened.one_sided or connection.client_traffic.keepalives:
        return None  # probes break the silence
    lost = lost_after(connection)
    if lost is None:
        return None
    request, idle_ns = lost
    if _unheard(connection, request) and idle_ns >= LIMITS.idle_ns:
        return _Dead(connection, request, idle_ns, "silence")
    if _reset(connection, request) and idle_ns >= LIMITS.reset_idle_ns:
        return _Dead(connection, request, idle_ns, "rst")
    return None


def lost_after(connection: Connection) -> tuple[Request, int] | None:
    """The first request of which nothing was acknowledged, and the silence before it, in ns; None without one."""
    for i, exchange in enumerate(connection.exchanges):
        request = exchange.request
        if request is not None and exchange.response is None and request.acknowledged_bytes == 0:
            return request, request.time_ns - _last_sign(connection, connection.exchanges[:i], request.time_ns)
    return None


def _last_sign(connection: Connection, earlier: Sequence[Exchange], until_ns: int) -> int:
    """When something moved last, before a request: a message, a PING, or the handshake."""
    times = [connection.start_ns + (connection.opened.handshake_ns or 0)]
    for exchange in earlier:
        messages = (exchange.request, exchange.response)
        times += [message.end_ns or message.time_ns for message in messages if message is not None]
    if connection.http2 is not None:
        times += [ping.sent_ns for ping in connection.http2.pings if ping.sent_ns < until_ns]
    return max(times)


def _unheard(connection: Connection, request: Request) -> bool:
    """Whether a request was sent again and again, and the server said nothing at all."""
    closed = connection.closed
    if closed is not None and (closed.by == "server" or closed.reply is not None):
        return False
    if connection.client_traffic.fin_acknowledged or not connection.client_traffic.retransmitted_bytes:
        return False
    return connection.end_ns - request.time_ns >= LIMITS.patience_ns


def _reset(connection: Connection, request: Request) -> bool:
    """Whether a RST came for a request, on a connection that nobody had closed."""
    closed = connection.closed
    return closed is not None and (closed.by, closed.how) == ("server", "rst") and request.packet < closed.packet


def _told(case: Case, dead: Sequence[_Dead]) -> Finding:
    idle_ns = min(one.idle_ns for one in dead)
    connections = [one.connection for one in dead]
    silent = sum(one.by == "silence" for one in dead)
    ends = [
        *([f"{count(silent, 'request')} sent again and again, never acknowledged"] if silent else []),
        *(
            [f"{count(len(dead) - silent, 'request')} met by RST, though nobody had closed"]
            if silent < len(dead)
            else []
        ),
    ]
    survived = max((gap for c in case.connections for gap in _survived(c) if gap < idle_ns), default=0)
    up_to = f"; silence of {seconds(survived)} did no harm" if survived >= LIMITS.idle_ns else ""
    limit = earlier(idle_ns / 1e9)
    setting = giving_up(connections, limit)
    return conclude(
        "silent-drop",
        "problem",
        case,
        connections,
        title=f"{count(len(dead), 'connection')} to {case.place} {'was' if len(dead) == 1 else 'were'} dead when used "
        f"again after {seconds(idle_ns)} of silence",
        how=f"{' and '.join(ends)}, as if a NAT, firewall or load balancer on the way had forgotten "
        f"{'it' if len(dead) == 1 else 'them'}{up_to}{_meanwhile(case, dead)}",
        measured=SilentDrop(idle_ns, len(dead)),
        evidence=(_evidence(one) for one in dead),
        clause="tcp.len > 0" if silent == len(dead) else "tcp.len > 0 || tcp.flags.reset == 1",
        client=only(connection.client.ip for connection in connections),
        qualifiers=["few-samples"] if len(dead) == 1 else [],
        suspects=forgetters(idle_ns / 1e9),
        advice=f"give idle connections up before {number(limit)} s{f' ({setting})' if setting else ''}, or send TCP "
        f"keep-alive probes (SO_KEEPALIVE) more often than that{'' if up_to else '; the limit itself may be shorter'}",
    )


def _meanwhile(case: Case, dead: Sequence[_Dead]) -> str:
    """Whether the server answered on new connections, so that it was not down."""
    since_ns = min(one.request.time_ns for one in dead)
    answered = sum(connection.start_ns >= since_ns and bool(connection.responses) for connection in case.opened)
    return f"; {count(answered, 'new connection')} {'was' if answered == 1 else 'were'} answered" if answered else ""


def _survived(connection: Connection) -> Iterator[int]:
    """Silences after which a request was answered, where nothing else broke them."""
    if connection.client_traffic.keepalives or connection.http2 is not None:
        return
    since_ns: int | None = None
    for exchange in connection.exchanges:
        request, response = exchange.request, exchange.response
        if request is None or response is None:
            return
        if since_ns is not None:
            yield request.time_ns - since_ns
        since_ns = response.end_ns or response.time_ns


def _evidence(one: _Dead) -> Evidence:
    fate = "never acknowledged" if one.by == "silence" else "met by RST"
    return Evidence(
        one.connection.id,
        one.request.packet,
        one.request.time_ns,
        f"request after {seconds(one.idle_ns)} of silence, {fate}",
    )


RULES = (
    Rule(
        code="silent-drop",
        when="after at least a second of silence a request is sent again and again and never acknowledged; or after "
        "half a minute it is met by RST, though nobody had closed and the server has no shorter limit",
        severity="problem",
        measured=SilentDrop,
        thresholds=LIMITS,
        meaning="Something between client and server, a NAT, a firewall or a load balancer, had forgotten the "
        "connection, and dropped what came for it or answered with RST. Neither end had closed, so the client could "
        "not know, and the request is lost. A server whose host was restarted looks the same.",
        example="A firewall forgot connections that were silent for a second. A request after 2 s was sent again five "
        "times in 3.3 s, and nothing came back.",
        advice="Let the client give idle connections up before that, or let TCP keep-alive probes (or HTTP/2 PINGs) "
        "keep the way open: they have to come more often than the limit. Or raise the limit where it is set.",
        judge=_judge,
    ),
)
