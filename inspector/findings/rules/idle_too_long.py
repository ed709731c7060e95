"""idle-timeout-too-long: a client's pool uses connections that the server is about to give up.

So far it went well: the next request may come a little later, and be lost. Where one was (keepalive-race), that is
told instead. What counts is what was done, not what was set: the longest idle time after which a connection was used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import MARGIN, MARGIN_PART, before_limit, earlier
from inspector.findings.case import Case
from inspector.findings.catalogue import number
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.rules.idle_timeout import limit_ns, timer
from inspector.findings.suspects import keepers
from inspector.findings.waits import waits
from inspector.findings.words import count, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding


class TooLong(Struct):
    """What was measured."""

    client_reused_after_ns: Annotated[int, says("The longest idle time after which a connection was used again.")]
    timeout_ns: Annotated[int, says("The server's limit, as server-idle-timeout has it.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many closes have to agree on the server's limit.")] = 2
    margin_s: Annotated[float, says("So many seconds before the limit a connection had better not be used, ...")] = (
        MARGIN
    )
    margin_part: Annotated[float, says("... or this part of the limit, if that is less.")] = MARGIN_PART


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    agreed = case.server_timer
    if agreed is None or agreed.n < LIMITS.least:
        return
    limit = limit_ns(agreed)
    raced = {connection.client.ip for connection in case.raced}
    late: list[tuple[int, Exchange, Connection]] = []
    for connection in case.connections:
        if connection.client.ip not in raced:
            late += [
                (idle_ns, exchange, connection)
                for idle_ns, exchange in waits(connection)
                if idle_ns >= earlier(limit / 1e9) * 1e9
            ]
    if not late:
        return
    longest_ns = max(idle_ns for idle_ns, _, _ in late)
    numbers = {connection.id for _, _, connection in late}
    reused = [connection for connection in case.connections if connection.id in numbers]
    yield conclude(
        "idle-timeout-too-long",
        "warning",
        case,
        reused,
        title=f"the client still uses connections to {case.place} after {seconds(longest_ns)} idle, "
        f"which the server ends {timer(agreed)}",
        how=f"{count(len(late), 'request')} came on connections that had been idle for "
        f"{number(earlier(limit / 1e9))} s or more; none met the close yet",
        measured=TooLong(longest_ns, agreed.median_ns),
        evidence=[_evidence(*one) for one in sorted(late, key=lambda one: -one[0])],
        ranked=True,
        clause="http.request || http2.headers || tcp.flags.fin == 1",
        client=only(connection.client.ip for connection in reused),
        qualifiers=agreed.qualifiers,
        suspects=keepers(reused, longest_ns / 1e9),
        advice=before_limit(reused, limit / 1e9),
    )


def _evidence(idle_ns: int, exchange: Exchange, connection: Connection) -> Evidence:
    request = exchange.request
    assert request is not None
    return Evidence(connection.id, request.packet, request.time_ns, f"request after {seconds(idle_ns)} idle")


RULES = (
    Rule(
        code="idle-timeout-too-long",
        when="a client used connections after they had been idle for nearly as long as the server keeps them",
        severity="warning",
        measured=TooLong,
        thresholds=LIMITS,
        meaning="The client's pool keeps connections for as long as the server does, or longer. Sooner or later a "
        "request is sent while the server closes, and is lost.",
        example="nginx with keepalive_timeout 3s, and a requests.Session that comes back every 2.8 s.",
        advice="Make the client's limit a second shorter than the server's, or the server's longer than any client's: "
        "the side that sends requests should be the one that closes.",
        judge=_judge,
    ),
)
