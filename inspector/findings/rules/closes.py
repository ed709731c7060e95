"""server-closes-each-response, client-asked-close, client-never-reuses: one request a connection, by whom.

Who closed first does not decide: a server that obeys a request's Connection: close closes first, though the client
wanted it. The three exclude one another, connection by connection, by what the case has sorted them into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import way
from inspector.findings.case import Case, is_encrypted
from inspector.findings.pool import PoolUse, needed_if_kept
from inspector.findings.rule import Rule, closes, closing, conclude, only
from inspector.findings.rules.idle_timeout import client_timer
from inspector.findings.rules.pool_overflow import surplus
from inspector.findings.suspects import Recognised, recognised, suspects
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Finding, Suspect


class ClosesEach(Struct):
    """What was measured."""

    connections: Annotated[int, says("Connections that the server ended after their one response.")]
    said_close: Annotated[int, says("Of them, those whose response said so: Connection: close, or HTTP/1.0.")]


class AskedClose(Struct):
    """What was measured."""

    connections: Annotated[int, says("Connections whose first request asked that they be closed.")]
    requests: Annotated[int, says("Requests on them that asked for it.")]


class NeverReuses(Struct):
    """What was measured."""

    connections: Annotated[int, says("Connections that the client closed after one request.")]
    avoidable_opens: Annotated[int, says("Connections beyond those that a good pool would have needed.")]
    handshake_ns_saved: Annotated[int, says("Handshake time that these took: their number, by the median.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many connections at least, before it is a habit.")] = 2
    each: Annotated[float, says("Of those that could have been kept, this part was closed after one response.")] = 0.9
    costly: Annotated[int, says("So many avoidable opens at least, before a client is said to never reuse.")] = 3
    most: Annotated[float, says("Of a client's connections, at least this part was closed after one request.")] = 0.5


LIMITS = Thresholds()


def _clause(connections: Sequence[Connection]) -> str:
    return f"tcp.flags.syn == 1 || {closes(connections)}"


# ---- the server


def _closes_each(case: Case) -> Iterator[Finding]:
    ended = [connection for connection in case.server_ended if _one_answer(connection) is not None]
    if len(ended) < LIMITS.least:
        return
    asked = {connection.id for connection in case.asked_close}
    kept = [c for c in case.opened if c.responses and c.http2 is None and c.id not in asked and c.closed is not None]
    if len(ended) < LIMITS.each * len(kept):
        return
    said = sum(connection.closed is not None and connection.closed.announced is not None for connection in ended)
    avoidable = len(ended) - _needed(case.uses, ended)
    costs = f", {avoidable:,} could have been saved" if avoidable else ""
    causes = suspects(ended, "server", "each")
    yield conclude(
        "server-closes-each-response",
        "warning" if avoidable and not _all_brief(case.uses, ended) else "info",
        case,
        ended,
        title=f"{case.place} closes connections after each response: {of_all(len(ended), len(kept))}{costs}",
        how=f"{_said(ended, said)}; no request had asked for it",
        measured=ClosesEach(len(ended), said),
        evidence=(closing(connection) for connection in ended),
        clause=_clause(ended),
        suspects=causes,
        advice=f"let the server keep connections alive{_by_which(causes)}; a client can do nothing about it",
    )


def _by_which(causes: Sequence[Suspect]) -> str:
    """The setting, where there is one suspect that has one."""
    return f" ({causes[0].product} {causes[0].setting})" if len(causes) == 1 and causes[0].setting else ""


def _one_answer(connection: Connection) -> Exchange | None:
    """The one exchange of a connection of HTTP/1 that carried no more and was answered in full; a 408 to nothing is
    none."""
    if len(connection.exchanges) != 1 or connection.http2 is not None or connection.opened.how != "handshake":
        return None
    exchange = connection.exchanges[0]
    if exchange.request is None or exchange.response is None or exchange.response.status == 101:
        return None
    return exchange if exchange.complete else None


def _said(ended: Sequence[Connection], said: int) -> str:
    if not said:
        return "the server's close came right after the response, unannounced"
    versions = {
        connection.closed.announced.how
        for connection in ended
        if connection.closed is not None and connection.closed.announced is not None
    }
    words = {"connection-close": "Connection: close", "http/1.0": "HTTP/1.0", "close-notify": "close_notify"}
    named = " or ".join(words[how] for how in sorted(versions) if how in words)
    return f"{of_all(said, len(ended))} responses announced it ({named})"


def _needed(uses: Sequence[PoolUse], ended: Sequence[Connection]) -> int:
    """Connections that would have done, had the server ended none of these."""
    numbers = {connection.id for connection in ended}
    return sum(needed_if_kept([c for c in use.connections if c.id in numbers]) for use in uses)


def _all_brief(uses: Sequence[PoolUse], connections: Sequence[Connection]) -> bool:
    """Whether they are all of short runs."""
    numbers = {connection.id for connection in connections}
    return all(use.is_brief for use in uses if any(c.id in numbers for c in use.connections))


# ---- the client


def _asked_close(case: Case) -> Iterator[Finding]:
    asked = [connection for connection in case.asked_close if _asks_first(connection)]
    if not asked:
        return
    numbers = {connection.id for connection in asked}
    costly = [use for use in case.uses if use.avoidable and not use.is_brief]
    wasted = any(connection.id in numbers for use in costly for connection in use.connections)
    if len(asked) < LIMITS.least and not wasted:
        return
    requests = sum([1 if len(one.exchanges) == 1 else _asks(one.exchanges) for one in asked])
    first = asked[0].exchanges[0].request
    by_version = first is not None and first.version == "HTTP/1.0" and first.connection is None
    by_server = sum(connection.closed is not None and connection.closed.by == "server" for connection in asked)
    first_to_close = f"the server obeyed, and closed first on {of_all(by_server, len(asked))}"
    yield conclude(
        "client-asked-close",
        "notice" if wasted else "info",
        case,
        asked,
        title=f"{_asker(case)} asks {case.place} to close after each request: "
        f"{of_all(len(asked), len(case.opened))} connections",
        how=f"{count(requests, 'request')} {'spoke HTTP/1.0 without keep-alive' if by_version else 'said close'}; "
        f"{first_to_close if by_server else 'it closed first itself'}",
        measured=AskedClose(len(asked), requests),
        evidence=(closing(connection) for connection in asked),
        clause=_clause(asked),
        client=only(connection.client.ip for connection in asked),
        suspects=_who_asks(case, asked),
        advice=_how_not_to_ask(case, asked),
    )


def _asks_first(connection: Connection) -> bool:
    request = connection.exchanges[0].request if connection.exchanges else None
    return request is not None and request.persistent is False


def _asks(exchanges: Sequence[Exchange]) -> int:
    """Requests that want the connection closed."""
    return sum(exchange.request is not None and exchange.request.persistent is False for exchange in exchanges)


def _asker(case: Case) -> str:
    return "the client" if case.front is None else f"the proxy {case.front}"


def _who_asks(case: Case, asked: Sequence[Connection]) -> list[Suspect]:
    """A proxy's User-Agent is its client's; it is known by the manner of its requests only."""
    if case.front is None or _known_to_ask(asked):
        return suspects(asked, "client", "asks-close")
    return []


def _known_to_ask(asked: Sequence[Connection]) -> Recognised | None:
    """Software whose own setting makes it ask."""
    return next((one for one in recognised(asked, "client") if one.product.settings("asks-close")), None)


def _how_not_to_ask(case: Case, asked: Sequence[Connection]) -> str:
    how = way(asked, "client", "reuse")
    if (known := _known_to_ask(asked)) is not None:
        return f"{known.product.name}: {how}"
    if case.front is not None:
        return (
            "let the proxy speak HTTP/1.1 and keep connections, without Connection: close; 'connspect hops' shows both "
            "its sides"
        )
    return "the client decides this, not the server: " + (
        "let it speak HTTP/1.1 without Connection: close"
        if how is None
        else f"let it leave Connection: close out, and {how}"
    )


def _never_reuses(case: Case) -> Iterator[Finding]:
    candidates = [*case.client_ended, *_without_timer(case)]
    if len(candidates) < LIMITS.costly:
        return
    ended = {connection.id for connection in candidates if _might_go_on(connection)}
    wasted: list[Connection] = []
    avoidable = 0
    for use in case.uses:
        if use.avoidable < LIMITS.costly:
            continue
        thrown = {connection.id for connection in surplus(case, use)}
        once = [c for c in use.connections if c.id in ended and c.id not in thrown]
        if len(once) < LIMITS.most * use.opened:
            continue
        spare = min(use.avoidable, len(once))
        if spare >= LIMITS.costly:
            wasted += once
            avoidable += spare
    if not wasted:
        return
    wasted.sort(key=lambda connection: connection.id)
    handshakes = case.endpoint.handshake
    saved = avoidable * ((handshakes.tcp.median_ns or 0) + (handshakes.tls.median_ns or 0))
    encrypted = any(map(is_encrypted, wasted))
    yield conclude(
        "client-never-reuses",
        "warning",
        case,
        wasted,
        title=f"{case.place} is opened anew for each request: {'at least ' if encrypted else ''}"
        f"{of_all(avoidable, len(wasted))} connections were avoidable"
        f"{f', {seconds(saved)} of handshakes' if saved else ''}",
        how=f"the client closed {count(len(wasted), 'connection')} after one request"
        f"{'' if encrypted else ', though the response allowed reuse'}",
        measured=NeverReuses(len(wasted), avoidable, saved),
        evidence=(closing(connection) for connection in wasted),
        clause=_clause(wasted),
        client=only(connection.client.ip for connection in wasted),
        qualifiers=["encrypted"] if encrypted else [],
        suspects=suspects(wasted, "client", "each"),
        advice=way(wasted, "client", "reuse") or "let the client keep one session or pool for all its requests",
    )


def _without_timer(case: Case) -> Sequence[Connection]:
    """Closed by the client after idle, unless it has a timer for that: then it keeps connections."""
    return case.client_idle if client_timer(case) is None else ()


def _might_go_on(connection: Connection) -> bool:
    """Whether it carried one request, and nothing forbade another."""
    if is_encrypted(connection):
        return connection.estimate is not None and connection.estimate.exchanges == 1
    if len(connection.exchanges) != 1 or connection.upgrade is not None or connection.tunnel is not None:
        return False
    exchange = connection.exchanges[0]
    return exchange.complete and exchange.response is not None and exchange.response.persistent is not False


RULES = (
    Rule(
        code="server-closes-each-response",
        when="the server ends connections after one response, though no request asked for it",
        severity="info; warning when more connections were opened than would have been needed had it kept them",
        measured=ClosesEach,
        thresholds=LIMITS,
        meaning="The server does not keep connections alive, by what it says or by what it does. Every request pays "
        "for a new connection, whatever the client would like.",
        example="nginx with keepalive_timeout 0: five of five responses said Connection: close.",
        advice="Turn keep-alive on in the server (nginx keepalive_timeout, gunicorn with threads instead of sync "
        "workers, HTTP/1.1 instead of HTTP/1.0). A client can do nothing about it.",
        judge=_closes_each,
    ),
    Rule(
        code="client-asked-close",
        when="the first request of a connection says Connection: close, or is HTTP/1.0 without keep-alive",
        severity="info; notice when connections could have been saved",
        measured=AskedClose,
        thresholds=LIMITS,
        meaning="The client wants each connection for one request. The server obeys, and mostly closes first: on the "
        "wire it looks as if the server had decided, but it did not.",
        example="nginx as a proxy without proxy_http_version 1.1: requests to the server behind it are HTTP/1.0 and "
        "say Connection: close.",
        advice="Let the client speak HTTP/1.1 and leave Connection: close out. In nginx: proxy_http_version 1.1; "
        'proxy_set_header Connection ""; and keepalive in the upstream block.',
        judge=_asked_close,
    ),
    Rule(
        code="client-never-reuses",
        when="the client closes connections after one request, though the response allowed another, and at least "
        "three connections could have been saved",
        severity="warning",
        measured=NeverReuses,
        thresholds=LIMITS,
        meaning="The client has no pool, or makes a new one for each request. Every request pays for handshakes, and "
        "ports wait in TIME_WAIT on its side.",
        example="requests.get in a loop of twenty: each call makes a session of its own and throws it away.",
        advice="Make one session, client or agent and use it for all requests: requests.Session, httpx.Client, "
        "aiohttp.ClientSession, http.Agent with keepAlive: true; read responses to their end, and close them.",
        judge=_never_reuses,
    ),
)
