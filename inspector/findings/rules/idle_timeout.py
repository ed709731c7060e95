"""server-idle-timeout and client-idle-timeout: one side ends connections after the same silence.

The timer is measured from the last application byte to the announcement or the close. Who decided is who announced it,
else who closed: an HTTP/2 client that answers GOAWAY with FIN did not decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated

from msgspec import Struct

from inspector.findings.agree import Agreement, agreement
from inspector.findings.case import Case, is_encrypted
from inspector.findings.rule import Rule, conclude
from inspector.findings.words import of_all, seconds
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Qualifier, Severity


class IdleTimeout(Struct):
    """What was measured."""

    timeout_ns: Annotated[int, says("The idle time after which the connection is ended: the median.")]
    n: Annotated[int, says("Closes that agree on it.")]
    min_ns: Annotated[int, says("The shortest of them.")]
    max_ns: Annotated[int, says("The longest of them.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    near_ns: Annotated[int, says("A reuse that came so close to the limit makes it a notice.")] = 1_000_000_000


LIMITS = Thresholds()


def _judge(side: Side, case: Case) -> Iterator[Finding]:
    """The timer of one side, where its closes agree."""
    closed = case.server_idle if side == "server" else case.client_idle
    agreed = agreement([_idle(connection) for connection in closed])
    if agreed is None:
        return
    alike = [connection for i, connection in enumerate(closed) if i not in agreed.outliers]
    qualifiers: list[Qualifier] = list(agreed.qualifiers)
    if any(map(is_encrypted, alike)):
        qualifiers.append("encrypted")
    yield conclude(
        f"{side}-idle-timeout",
        _severity(side, case, agreed),
        case,
        alike,
        title=f"{case.where} closes idle connections after {seconds(agreed.median_ns)}"
        if side == "server"
        else f"the client closes idle connections to {case.where} after {seconds(agreed.median_ns)}",
        how=_how(side, alike, agreed, len(closed)),
        measured=IdleTimeout(agreed.median_ns, agreed.n, agreed.min_ns, agreed.max_ns),
        evidence=[_evidence(connection) for connection in alike],
        clause="tcp.flags.fin == 1 || tcp.flags.reset == 1",
        qualifiers=qualifiers,
    )


def _idle(connection: Connection) -> int:
    assert connection.closed is not None
    assert connection.closed.idle_ns is not None
    return connection.closed.idle_ns


def _severity(side: Side, case: Case, agreed: Agreement) -> Severity:
    """A server's limit that clients come close to will meet them."""
    if side == "client":
        return "info"
    return "notice" if case.raced else "info"


def _how(side: Side, alike: Sequence[Connection], agreed: Agreement, closes: int) -> str:
    announced = sum(c.closed is not None and c.closed.announced is not None for c in alike)
    said = "unannounced" if not announced else f"announced {of_all(announced, len(alike))}"
    return (
        f"the {side}'s close came {seconds(agreed.median_ns)} after the last byte, {said}, "
        f"on {of_all(agreed.n, closes)} connections"
    )


def _evidence(connection: Connection) -> Evidence:
    closed = connection.closed
    assert closed is not None
    what = f"{closed.by} {closed.how.upper()}, {seconds(_idle(connection))} idle"
    return Evidence(connection.id, closed.packet, closed.time_ns, what)


RULES = (
    Rule(
        code="server-idle-timeout",
        when="the server ended connections after idle, and the times agree",
        severity="info; notice once a client reused a connection within a second of the limit, or raced with it",
        measured=IdleTimeout,
        thresholds=LIMITS,
        meaning="The server has a timer for idle connections. A client that keeps a connection longer than that will "
        "find it closed, and if a request is on its way just then, it is lost.",
        example="nginx with keepalive_timeout 7s: six of six connections were closed 7.00 s after the last response.",
        advice="Let clients give idle connections up at least a second earlier than the server, or retry.",
        judge=partial(_judge, "server"),
    ),
    Rule(
        code="client-idle-timeout",
        when="the client ended connections after idle, and the times agree",
        severity="info",
        measured=IdleTimeout,
        thresholds=LIMITS,
        meaning="The client's pool has a timer for idle connections.",
        example="Node's fetch: connections were closed 4.0 s after the last response.",
        advice="Nothing is wrong; a longer timer saves handshakes where requests come more seldom than that.",
        judge=partial(_judge, "client"),
    ),
)
