"""server-max-requests and server-max-age: the server ends connections after so many requests, or when they are so old.

A count is believed when connections ended at exactly it, with the response that reached it, and none went beyond. An
age is believed when connections ended at it whatever they had carried, and none worked on beyond. Connections that
began and ended together are one sample: a server that is ended has them all at the same age and count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import server_setting
from inspector.findings.agree import BULK, TOLERANCE, TOLERANCE_NS, Agreement, agreement
from inspector.findings.case import Case
from inspector.findings.clues import NOTICE
from inspector.findings.rule import Rule, closes, closing, conclude
from inspector.findings.suspects import is_default, suspects
from inspector.findings.words import about, count, of_all, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Finding, Qualifier
from inspector.records.http2 import GoawayFrame

_MESSAGES = {"connection-close": "Connection: close", "http/1.0": "HTTP/1.0", "goaway": "GOAWAY"}


class MaxRequests(Struct):
    """What was measured."""

    max_requests: Annotated[int, says("Requests after which the server ends a connection.")]
    n: Annotated[int, says("Connections that ended at this count.")]


class MaxAge(Struct):
    """What was measured."""

    age_ns: Annotated[int, says("From a connection's SYN to what ended it: the median.")]
    n: Annotated[int, says("Connections that agree on it.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many connections at least have to end at the same count ...")] = 2
    small: Annotated[int, says("... unless it is so small, that it may be chance: ...")] = 3
    least_small: Annotated[int, says("... then so many; one alone where it is the server's default.")] = 3
    right_after_ns: Annotated[int, says("An unannounced close has to follow the response within so much, ...")] = (
        50_000_000
    )
    right_after_handshakes: Annotated[int, says("... or so many round trips of the handshake.")] = 3
    moment_ns: Annotated[int, says("Ends within so much of each other may have one cause.")] = 500_000_000
    least_aged: Annotated[int, says("So many connections at least have to end at the same age.")] = 3
    age_least_ns: Annotated[int, says("The least that is taken for an age.")] = 1_000_000_000


LIMITS = Thresholds()


@dataclass(slots=True, frozen=True)
class _End:
    """A connection that the server ended, and when it said or did so."""

    connection: Connection
    requests: int
    """Those that it took before."""
    at_ns: int

    @property
    def age_ns(self) -> int:
        return self.at_ns - self.connection.start_ns


# ---- what counts as an end


def _ends(case: Case, h2: bool) -> list[_End]:
    """The connections that the server ended with a message, or right after one, and for no reason of that message."""
    found = []
    for connection in case.server_ended:
        if (
            connection.opened.how != "handshake"
            or (connection.http2 is not None) is not h2
            or not _is_meant(connection)
        ):
            continue
        requests = _requests(connection)
        closed = connection.closed
        assert closed is not None
        if requests:
            found.append(_End(connection, requests, (closed.announced or closed).time_ns))
    return found


def _is_meant(connection: Connection) -> bool:
    """Whether the server ended it on purpose, and not for what its last message was."""
    closed = connection.closed
    assert closed is not None
    if connection.tunnel is not None or connection.upgrade is not None:
        return False
    if closed.announced is None or closed.announced.how not in _MESSAGES:
        handshake_ns = connection.opened.handshake_ns or 0
        reach_ns = max(LIMITS.right_after_ns, LIMITS.right_after_handshakes * handshake_ns)
        if closed.how != "fin" or closed.idle_ns is None or closed.idle_ns > reach_ns:
            return False
    elif closed.announced.how == "goaway":
        goaways = [] if connection.http2 is None else connection.http2.server.goaways
        return bool(goaways) and goaways[0].error == "NO_ERROR"
    return _is_whole(connection.exchanges) and not _is_over_error(connection.exchanges)


def _is_whole(exchanges: Sequence[Exchange]) -> bool:
    """Whether the last response was whole, and did not end by closing."""
    if not exchanges or not exchanges[-1].complete or exchanges[-1].response is None:
        return False
    last = exchanges[-1].response
    return last.persistent is not False or "close" in (last.connection or "").lower() or last.content_length is not None


def _is_over_error(exchanges: Sequence[Exchange]) -> bool:
    """Whether the last response was an error, and the first of its kind: that is why it was the last."""
    statuses = [one.response.status or 0 for one in exchanges if one.response is not None]
    return bool(statuses) and statuses[-1] >= 400 and statuses[-1] not in statuses[:-1]


def _requests(connection: Connection) -> int:
    """Requests that the server took before it said that it was the last. Of a long connection only the last ones are
    listed: what is too much is taken off the whole number."""
    goaways = [] if connection.http2 is None else connection.http2.server.goaways
    if not goaways:
        return connection.responses or 0
    return (connection.requests or 0) - sum(_is_above(one, goaways[0]) for one in connection.exchanges)


def _is_above(exchange: Exchange, goaway: GoawayFrame) -> bool:
    """Whether a request is none of those that the server meant to answer."""
    if goaway.last_stream_id < NOTICE:
        return exchange.stream is not None and exchange.stream > goaway.last_stream_id
    return exchange.request is not None and exchange.request.time_ns > goaway.time_ns


# ---- a count


def _max_requests(case: Case) -> Iterator[Finding]:
    for h2 in (False, True):
        ends = _ends(case, h2)
        reached = _at_limit(case, ends, h2)
        if reached:
            yield _count_told(case, reached, len(ends))


def _at_limit(case: Case, ends: Sequence[_End], h2: bool) -> list[_End]:
    """The ends that tell a limit; none where they do not."""
    limit = max((end.requests for end in ends), default=0)
    if limit < 2:
        return []
    reached = [end for end in ends if end.requests == limit]
    if len(reached) < BULK * len(ends):
        return []
    numbers = {end.connection.id for end in reached}
    others = (c for c in case.connections if c.id not in numbers and (c.http2 is not None) is h2)
    if any((connection.responses or 0) > limit for connection in others):
        return []
    if len(reached) == 1:
        return reached if is_default([reached[0].connection], "server", "requests", limit) else []
    if len(reached) < (LIMITS.least_small if limit <= LIMITS.small else LIMITS.least) or _is_one_event(reached):
        return []
    return reached


def _is_one_event(ends: Sequence[_End]) -> bool:
    """Whether they all ran side by side and ended together, as they do when a server is ended."""
    first_ns, last_ns = min(end.at_ns for end in ends), max(end.at_ns for end in ends)
    return last_ns - first_ns <= LIMITS.moment_ns and max(end.connection.start_ns for end in ends) < first_ns


def _count_told(case: Case, reached: Sequence[_End], ends: int) -> Finding:
    limit = reached[0].requests
    connections = [end.connection for end in reached]
    qualifiers: list[Qualifier] = ["few-samples"] if len(reached) == 1 else []
    if len(reached) < ends:
        qualifiers.append("spread")
    setting = server_setting(connections, "requests")
    return conclude(
        "server-max-requests",
        "info",
        case,
        connections,
        title=f"{case.place} ends connections after {limit:,} requests",
        how=f"{of_all(len(reached), ends)} connections that the server ended had {limit:,}, none more; "
        f"{_said(connections)}",
        measured=MaxRequests(limit, len(reached)),
        evidence=(closing(connection) for connection in connections),
        clause=_clause(connections),
        qualifiers=qualifiers,
        suspects=suspects(connections, "server", "requests", limit),
        advice=f"nothing is lost; raise {setting or 'the limit in the server'} to save handshakes",
    )


def _clause(connections: Sequence[Connection]) -> str:
    over_http2 = any(connection.http2 is not None for connection in connections)
    return f"{'http2.goaway' if over_http2 else 'http.response'} || {closes(connections)}"


def _said(connections: Sequence[Connection]) -> str:
    """How the server announced the ends."""
    hows = [c.closed.announced.how for c in connections if c.closed is not None and c.closed.announced is not None]
    said = [_MESSAGES[how] for how in hows if how in _MESSAGES]
    if not said:
        return "the close came right after the response, unannounced"
    each = "each" if len(said) == len(connections) else of_all(len(said), len(connections))
    return f"{each} announced by {' or '.join(sorted(set(said)))}"


# ---- an age


def _max_age(case: Case) -> Iterator[Finding]:
    if case.server_timer is not None:
        return
    by_version = [_ends(case, h2) for h2 in (False, True)]
    if any(_at_limit(case, ends, h2) for ends, h2 in zip(by_version, (False, True), strict=True)):
        return
    ends = [end for found in by_version for end in found if end.requests > 1 and end.age_ns >= LIMITS.age_least_ns]
    ends += _idle_ends(case)
    agreed = agreement([end.age_ns for end in ends])
    if agreed is None or agreed.ticks or agreed.n < LIMITS.least_aged:
        return
    alike = [end for i, end in enumerate(ends) if i not in agreed.outliers]
    if len({end.requests for end in alike}) == 1 or not _are_apart(alike, agreed) or _is_outlived(case, alike, agreed):
        return
    yield _age_told(case, alike, agreed, len(ends))


def _idle_ends(case: Case) -> Iterator[_End]:
    """Connections that were idle when the server ended them, by no timer of idleness: they may have been too old."""
    for connection in case.server_idle:
        closed = connection.closed
        assert closed is not None
        if connection.opened.how == "handshake" and connection.exchanges:
            end = _End(connection, _requests(connection), (closed.announced or closed).time_ns)
            if end.age_ns >= LIMITS.age_least_ns:
                yield end


def _are_apart(alike: Sequence[_End], agreed: Agreement) -> bool:
    """Whether they ended at different times, so that no single event explains their ages."""
    spread_ns = max(end.at_ns for end in alike) - min(end.at_ns for end in alike)
    return spread_ns > max(LIMITS.moment_ns, 2 * (agreed.max_ns - agreed.min_ns))


def _is_outlived(case: Case, alike: Sequence[_End], agreed: Agreement) -> bool:
    """Whether some connection was still used when it was older."""
    most_ns = agreed.max_ns + max(int(TOLERANCE * agreed.median_ns), TOLERANCE_NS)
    numbers = {end.connection.id for end in alike}
    for connection in case.connections:
        last = connection.exchanges[-1].response if connection.exchanges else None
        if last is not None and last.time_ns - connection.start_ns > most_ns and connection.id not in numbers:
            return True
    return False


def _age_told(case: Case, alike: Sequence[_End], agreed: Agreement, ends: int) -> Finding:
    connections = [end.connection for end in alike]
    least, most = min(end.requests for end in alike), max(end.requests for end in alike)
    setting = server_setting(connections, "age")
    return conclude(
        "server-max-age",
        "info",
        case,
        connections,
        title=f"{case.place} ends connections that are {seconds(agreed.median_ns)} old",
        how=f"{of_all(agreed.n, ends)} ended {about(agreed.min_ns, agreed.max_ns)} after their SYN, with {least:,} to "
        f"{count(most, 'request')}; {_said(connections)}",
        measured=MaxAge(agreed.median_ns, agreed.n),
        evidence=(closing(connection) for connection in connections),
        clause=_clause(connections),
        qualifiers=agreed.qualifiers,
        suspects=suspects(connections, "server", "age", agreed.min_ns / 1e9),
        advice=f"nothing is lost; raise {setting or 'the limit in the server'} to save handshakes",
    )


RULES = (
    Rule(
        code="server-max-requests",
        when="the server ended connections at the same number of requests, with or right after the last response",
        severity="info",
        measured=MaxRequests,
        thresholds=LIMITS,
        meaning="The server takes so many requests on a connection, and then ends it. Clients open another; nothing is "
        "lost where the end was announced.",
        example="nginx with keepalive_requests 25 and sixty requests of one client: connections of 25, 25 and 10.",
        advice="Raise the limit (nginx keepalive_requests, Apache MaxKeepAliveRequests) where handshakes are dear; it "
        "is there to give memory back.",
        judge=_max_requests,
    ),
    Rule(
        code="server-max-age",
        when="the server ended connections at the same age, whatever they had carried and however idle they were",
        severity="info",
        measured=MaxAge,
        thresholds=LIMITS,
        meaning="The server ends connections that are old, so that clients come to other servers, too. Mostly the "
        "first response after that time says so.",
        example="nginx with keepalive_time 3s: four connections of 15 to 26 requests ended 3.1 s after their SYN.",
        advice="Nothing is wrong. Raise it (nginx keepalive_time, Envoy max_connection_duration) where handshakes are "
        "dear.",
        judge=_max_age,
    ),
)
