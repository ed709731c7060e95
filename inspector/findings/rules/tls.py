"""tls-full-handshakes and tls-truncated: a session that was not resumed, and an end that may have been cut.

A later connection of the same client (its address and what it calls itself) to the same name, with the same version and
cipher suite, could have resumed the session for which the server had given a ticket. A close without close_notify is
common and harmless where every response was whole; where one was not, or ended with the connection, nobody knows who
cut it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Annotated

from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.rule import Rule, conclude, only, opening
from inspector.findings.suspects import recognised
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding

#: Statuses whose responses have no body.
_BODILESS = (204, 304)


class FullHandshakes(Struct):
    """What was measured."""

    full: Annotated[int, says("Full handshakes of clients that had a ticket.")]
    resumed: Annotated[int, says("Handshakes that were resumed.")]
    handshake_ns: Annotated[int, says("Time that such a full handshake took: the median.")]


class Truncated(Struct):
    """What was measured."""

    n: Annotated[int, says("Connections whose last response may have been cut.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many full handshakes that could have been resumed, at least.")] = 3
    part: Annotated[float, says("Of those that could have been resumed, this part was not.")] = 0.5


LIMITS = Thresholds()


# ---- resumption


def _full_handshakes(case: Case) -> Iterator[Finding]:
    full, resumed = _with_ticket(case.tls)
    if len(full) < LIMITS.least or len(full) < LIMITS.part * (len(full) + resumed):
        return
    took = [c.tls.handshake_ns for c in full if c.tls is not None and c.tls.handshake_ns is not None]
    typical = round(median(took))
    yield conclude(
        "tls-full-handshakes",
        "notice",
        case,
        full,
        title=f"{case.place_of(full)}: {of_all(len(full), len(full) + resumed)} TLS handshakes were full, though "
        f"tickets had been given, {seconds(typical)} each",
        how=f"to earlier connections of the same client{_called(full)}; one program can resume them",
        measured=FullHandshakes(len(full), resumed, typical),
        evidence=(opening(connection, "a full handshake follows") for connection in full),
        clause="tcp.flags.syn == 1 || tls.handshake.type in {1, 2, 4}",
        client=only(connection.client.ip for connection in full),
        advice="keep connections, or one TLS context for all of them; single runs of a program cannot resume",
    )


def _with_ticket(connections: Sequence[Connection]) -> tuple[list[Connection], int]:
    """Full handshakes of those that had a ticket when they opened, and the number of resumed ones."""
    given: dict[tuple[str | None, ...], int] = {}
    full: list[Connection] = []
    resumed = 0
    for connection in connections:
        tls = connection.tls
        if tls is None or connection.opened.how != "handshake" or tls.handshake_ns is None:
            continue
        key = connection.client.ip, connection.name, tls.version, tls.cipher, _agent(connection)
        resumed += bool(tls.resumed)
        if tls.resumed is False and given.get(key, connection.start_ns) < connection.start_ns:
            full.append(connection)
        if tls.tickets:
            given[key] = min(given.get(key, 1 << 63), _had_ticket_ns(connection, tls.handshake_ns))
    return full, resumed


def _agent(connection: Connection) -> str | None:
    """What the program calls itself: another one has sessions of its own."""
    request = connection.exchanges[0].request if connection.exchanges else None
    return None if request is None else request.user_agent


def _called(connections: Sequence[Connection]) -> str:
    known = recognised(connections, "client")
    return f" ({known[0].named})" if len(known) == 1 else ""


def _had_ticket_ns(connection: Connection, handshake_ns: int) -> int:
    """When a client has read a ticket at last: with the first response."""
    response = connection.exchanges[0].response if connection.exchanges else None
    if response is not None:
        return response.end_ns or response.time_ns
    return connection.start_ns + (connection.opened.handshake_ns or 0) + handshake_ns


# ---- truncation


def _truncated(case: Case) -> Iterator[Finding]:
    cut = [connection for connection in case.tls if _cut(connection) is not None]
    if not cut:
        return
    incomplete = sum(not whole for connection in cut if (whole := _cut(connection)) is not None)
    ends = [
        *([f"{count(incomplete, 'response')} had not come whole"] if incomplete else []),
        *([f"{count(len(cut) - incomplete, 'response')} ended with the connection"] if incomplete < len(cut) else []),
    ]
    yield conclude(
        "tls-truncated",
        "warning",
        case,
        cut,
        title=f"{count(len(cut), 'response')} of {case.place_of(cut)} may be cut: TLS ended without close_notify",
        how=f"{' and '.join(ends)}{_amount(cut)}; the server closed without close_notify",
        measured=Truncated(len(cut)),
        evidence=(_evidence(connection) for connection in cut),
        clause="tls.record.content_type in {21, 23} || tcp.flags.fin == 1 || tcp.flags.reset == 1",
        client=only(connection.client.ip for connection in cut),
        qualifiers=["few-samples"] if len(cut) == 1 else [],
        advice="see in the server's log what ended it; a client must not take such a response for whole",
    )


def _cut(connection: Connection) -> bool | None:
    """Whether the response that was open at the close had come whole, as far as its framing tells; None where none was,
    or the close was announced, or the client's."""
    tls, closed = connection.tls, connection.closed
    if tls is None or closed is None or closed.by != "server" or tls.server_closes is not False:
        return None
    if connection.server_traffic.missing_bytes or connection.upgrade is not None or tls.client_closes:
        return None
    if connection.http2 is not None:
        return None if connection.http2.server.goaways else _open_stream(connection.exchanges)
    return _open_response(connection.exchanges[-1]) if connection.exchanges else None


def _open_stream(exchanges: Sequence[Exchange]) -> bool | None:
    for exchange in exchanges:
        if exchange.response is not None and exchange.response.end_ns is None and exchange.reset is None:
            return False
    return None


def _open_response(exchange: Exchange) -> bool | None:
    """False for a response that is shorter than it says, True for one that ends with the connection."""
    request, response = exchange.request, exchange.response
    if response is None or response.status is None:
        return None
    if response.end_ns is None:
        return False
    if request is None or request.method in ("HEAD", "CONNECT", None) or response.status in _BODILESS:
        return None
    chunked = "chunked" in (response.transfer_encoding or "").lower()
    return True if response.content_length is None and not chunked else None


def _amount(cut: Sequence[Connection]) -> str:
    """How much of the first incomplete response came."""
    for connection in cut:
        response = connection.exchanges[-1].response if connection.http2 is None else None
        if response is not None and response.end_ns is None and response.content_length:
            return f" ({of_all(response.body_bytes or 0, response.content_length)} bytes)"
    return ""


def _evidence(connection: Connection) -> Evidence:
    closed = connection.closed
    assert closed is not None
    return Evidence(connection.id, closed.packet, closed.time_ns, f"server {closed.how.upper()} without close_notify")


RULES = (
    Rule(
        code="tls-full-handshakes",
        when="at least three handshakes were full though the client had a ticket for the name, and most of those that "
        "could have been resumed were not",
        severity="notice",
        measured=FullHandshakes,
        thresholds=LIMITS,
        meaning="The server had given a session ticket, and a later connection of the client did not use it. A full "
        "handshake costs both sides a key exchange and a signature, and in TLS 1.2 another round trip.",
        example="requests.get four times over TLS 1.3: nginx gave two tickets each time, and three handshakes were "
        "full all the same.",
        advice="Keep connections, so that there are fewer handshakes. Where they are needed, let the client keep one "
        "TLS context (ssl.SSLContext with its session, tls.Config with ClientSessionCache) for all of them. Several "
        "runs of one program look the same, and have nothing to resume.",
        judge=_full_handshakes,
    ),
    Rule(
        code="tls-truncated",
        when="the server ended a TLS connection without close_notify, and the last response was shorter than it said, "
        "or ended with the connection",
        severity="warning",
        measured=Truncated,
        thresholds=LIMITS,
        meaning="TLS says the end of the data with close_notify. Without it, anybody on the way may have cut the "
        "connection, or the server died. Most servers leave it out at times, which is harmless after a response that "
        "was whole by its Content-Length or chunks.",
        example="A server closed after 600 bytes of a response of 1,000.",
        advice="See in the server's log why it ended there: a crash, a timeout towards the server behind it, a full "
        "disk. Let responses have a Content-Length or chunks, and clients refuse what is shorter.",
        judge=_truncated,
    ),
)
