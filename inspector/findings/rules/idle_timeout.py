"""server-idle-timeout and client-idle-timeout: one side ends connections after the same silence.

The timer is measured from the last application byte to the announcement or the close. Who decided is who announced it,
else who closed: an HTTP/2 client that answers GOAWAY with FIN did not decide. A client whose pool never closes by
itself has no timer, whatever its closes agree on: its programs ended, or threw their pools away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import before_limit
from inspector.findings.agree import Agreement, agreement
from inspector.findings.case import Case, idle_times, is_encrypted
from inspector.findings.catalogue import number
from inspector.findings.rule import Rule, closes, closing, conclude
from inspector.findings.suspects import EARLY, is_default, recognised, suspects
from inspector.findings.waits import reuses
from inspector.findings.words import about, of_all, seconds
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Finding, Qualifier, Severity


class IdleTimeout(Struct):
    """What was measured."""

    timeout_ns: Annotated[int, says("The idle time after which the connection is ended: the median.")]
    n: Annotated[int, says("Closes that agree on it.")]
    min_ns: Annotated[int, says("The shortest of them.")]
    max_ns: Annotated[int, says("The longest of them.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    near_ns: Annotated[int, says("A reuse that came so close to the server's limit makes it a notice, ...")] = (
        1_000_000_000
    )
    near_part: Annotated[
        float, says("... where it came after this part of the limit: short timers are near at once.")
    ] = 0.5
    moment_ns: Annotated[int, says("Closes within so much of each other may have one cause, ...")] = 100_000_000
    round_s: Annotated[float, says("... unless they came so few seconds after a whole one, as timers do.")] = 0.1
    least: Annotated[int, says("So many closes by a client at least: a single one is the end of its program.")] = 2


LIMITS = Thresholds()

#: Outliers that are named one by one.
_NAMED = 3


def limit_ns(agreed: Agreement) -> int:
    """When the timer may run out: of one that ticks, the whole second before the shortest time, else the median."""
    return int(agreed.min_ns / 1e9 + EARLY) * 1_000_000_000 if agreed.ticks else agreed.median_ns


def is_near(reused_ns: int, limit: int) -> bool:
    """Whether a reuse after so long came close to the limit."""
    return reused_ns >= max(limit - LIMITS.near_ns, limit * LIMITS.near_part)


def timer(agreed: Agreement) -> str:
    """The timer in words: "after 7.00 s", or "from 5 s on, checked once a second"."""
    if not agreed.ticks:
        return f"after {seconds(agreed.median_ns)}"
    return f"from {number(limit_ns(agreed) / 1e9)} s on, checked once a second"


def _server(case: Case) -> Iterator[Finding]:
    agreed = case.server_timer
    if agreed is not None and not is_lone_chance(case.server_idle):
        yield _told("server", case, case.server_idle, agreed, _severity(case, agreed))


def _client(case: Case) -> Iterator[Finding]:
    found = client_timer(case)
    if found is not None:
        yield _told("client", case, *found, "info")


def client_timer(case: Case) -> tuple[list[Connection], Agreement] | None:
    """The connections that clients closed after idle, and what they agree on; None where it is no timer's doing."""
    closed = [connection for connection in case.client_idle if not _is_unasked(connection)]
    agreed = agreement(idle_times(closed))
    if agreed is None or agreed.n < LIMITS.least or _is_lazy(closed):
        return None
    return None if _may_be_chance("client", closed, agreed) else (closed, agreed)  # chance: its program ended


def is_lone_chance(closed: Sequence[Connection]) -> bool:
    """Whether all there is of a timer is one RST, which may be anybody's, or the end of one upgraded connection or
    tunnel, which its programs decide."""
    if len(closed) != 1:
        return False
    (only,) = closed
    assert only.closed is not None
    return only.closed.how == "rst" or only.upgrade is not None or only.tunnel is not None


def _may_be_chance(side: Side, closed: Sequence[Connection], agreed: Agreement) -> bool:
    """Whether they were all closed at one moment, after a time that nobody sets: then something else ended them."""
    times = [connection.closed.time_ns for connection in closed if connection.closed is not None]
    if max(times) - min(times) > LIMITS.moment_ns:
        return False
    after_s = limit_ns(agreed) / 1e9
    is_round = -EARLY <= after_s - round(after_s) <= LIMITS.round_s and round(after_s) > 0
    return (agreed.ticks or not is_round) and not is_default(closed, side, "idle", after_s)


def _is_unasked(connection: Connection) -> bool:
    """Whether no request was ever on it: what is closed without one was not kept for the next."""
    if connection.opened.how != "handshake" or connection.protocol == "unknown":
        return False
    if connection.requests is None:  # without keys; a TLS handshake that came to nothing has no estimate
        return connection.estimate is None or not connection.estimate.exchanges
    return not connection.requests


def _is_lazy(connections: Sequence[Connection]) -> bool:
    """Whether their client told who it is, and its pool never closes at its limit."""
    known = recognised(connections, "client")
    settings = [setting for one in known for setting in one.product.settings("idle")]
    return bool(settings) and all(setting.lazy for setting in settings)


def _told(side: Side, case: Case, closed: Sequence[Connection], agreed: Agreement, severity: Severity) -> Finding:
    alike = [connection for i, connection in enumerate(closed) if i not in agreed.outliers]
    qualifiers: list[Qualifier] = list(agreed.qualifiers)
    if any(map(is_encrypted, alike)):
        qualifiers.append("encrypted")
    if _may_be_chance(side, closed, agreed):
        qualifiers.append("few-samples")
    after_s = limit_ns(agreed) / 1e9
    found = suspects(alike, side, "idle", after_s, on_time=agreed.ticks)
    return conclude(
        f"{side}-idle-timeout",
        severity,
        case,
        alike,
        title=_title(side, case, alike, agreed),
        how=_how(side, closed, alike, agreed),
        measured=IdleTimeout(agreed.median_ns, agreed.n, agreed.min_ns, agreed.max_ns),
        evidence=(closing(connection) for connection in alike),
        clause=closes(alike),
        qualifiers=qualifiers,
        suspects=found if "few-samples" not in qualifiers else [one for one in found if one.setting is not None],
        advice=_advice(side, case, alike, after_s),
    )


def _title(side: Side, case: Case, alike: Sequence[Connection], agreed: Agreement) -> str:
    if side == "client":
        return f"the client closes idle connections to {case.where} {timer(agreed)}"
    which = "connections on which nothing is asked" if all(map(_is_unasked, alike)) else "idle connections"
    return f"{case.where} closes {which} {timer(agreed)}"


def _advice(side: Side, case: Case, alike: Sequence[Connection], after_s: float) -> str:
    if side == "client":
        return "nothing; where requests come more seldom than that, a longer timer saves handshakes"
    if all(map(_is_unasked, alike)):
        return "let clients open connections only when there is something to ask"
    return before_limit(case.connections, after_s)


def _severity(case: Case, agreed: Agreement) -> Severity:
    """A limit that clients come close to will meet them."""
    if case.raced:
        return "notice"
    limit = limit_ns(agreed)
    near = agreed.n > 1 and any(is_near(idle_ns, limit) for c in case.connections for idle_ns in reuses(c))
    return "notice" if near else "info"


def _how(side: Side, closed: Sequence[Connection], alike: Sequence[Connection], agreed: Agreement) -> str:
    announced = sum(c.closed is not None and c.closed.announced is not None for c in alike)
    said = "unannounced" if not announced else f"announced {of_all(announced, len(alike))}"
    others = [closed[i] for i in agreed.outliers]
    but = ", ".join(
        f"{seconds(connection.closed.idle_ns)} on connection {connection.id}"
        for connection in others[:_NAMED]
        if connection.closed is not None and connection.closed.idle_ns is not None
    )
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    return (
        f"{of_all(agreed.n, len(closed))} closes by the {side} came {about(agreed.min_ns, agreed.max_ns)} after the "
        f"last byte, {said}{f'; not so {but}{more}' if but else ''}"
    )


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
        judge=_server,
    ),
    Rule(
        code="client-idle-timeout",
        when="the client ended connections after idle, and the times agree",
        severity="info",
        measured=IdleTimeout,
        thresholds=LIMITS,
        meaning="The client's pool has a timer for idle connections. Pools that look at their limit with the next "
        "request only (requests, httpx, curl, Net::HTTP) close nothing by it, and are not told of here.",
        example="Node's fetch: connections were closed 4.0 s after the last response.",
        advice="Nothing is wrong; a longer timer saves handshakes where requests come more seldom than that.",
        judge=_client,
    ),
)
