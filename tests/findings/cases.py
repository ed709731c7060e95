"""Cases made by hand: connections of one endpoint at given milliseconds, and what the rules conclude from them."""

from __future__ import annotations

from typing import Any

from inspector.findings.judge import judge
from inspector.records.connection import Announced, Connection, Opened
from inspector.records.endpoint import Handshakes, TcpHandshakes, TlsHandshakes
from inspector.records.finding import Finding
from inspector.records.http2 import GoawayFrame
from tests.report.samples import (
    MS,
    START_NS,
    capture,
    connection,
    endpoint,
    exchange,
    http2,
    http2_side,
    request,
    response,
)

HANDSHAKE_NS = 60_000


def opened(
    *spans_ms: tuple[float, float], end_ms: float | None, by: str = "client", said: str | None = None, **changes: Any
) -> Connection:
    """A connection with requests at these times, opened 1 ms before the first, closed by `by` at `end_ms` (None: still
    open); `said` ("client connection-close") announced it with the last exchange. Made with id 0; see `conclude`."""
    start_ms = spans_ms[0][0] - 1 if spans_ms else (end_ms or 1) - 1
    exchanges = [
        exchange(i, request(4, _ns(first)), response(6, _ns(last))) for i, (first, last) in enumerate(spans_ms)
    ]
    last_ms = spans_ms[-1][1] if spans_ms else start_ms
    record = connection(
        start_ns=START_NS + _ns(start_ms),
        end_ns=START_NS + _ns(last_ms if end_ms is None else end_ms),
        exchanges=exchanges,
        requests=len(exchanges),
        responses=len(exchanges),
        opened=Opened("handshake", 1, 0, HANDSHAKE_NS, False),
    )
    if end_ms is None:
        record.closed = None
    else:
        assert record.closed is not None
        record.closed.by = by  # type: ignore[assignment]
        record.closed.time_ns = record.end_ns
        record.closed.idle_ns = _ns(end_ms - last_ms)
        if said is not None:
            who, how = said.split(" ")
            record.closed.announced = Announced(who, how, 6, START_NS + _ns(last_ms))  # type: ignore[arg-type]
            heard = exchanges[-1].request if who == "client" else exchanges[-1].response
            assert heard is not None
            heard.persistent = False
    for name, value in changes.items():
        getattr(record, name)
        setattr(record, name, value)
    return record


def asking(connection: Connection, /, **fields: Any) -> Connection:
    """The connection, with these fields in all its requests."""
    for one in connection.exchanges:
        assert one.request is not None
        for name, value in fields.items():
            getattr(one.request, name)
            setattr(one.request, name, value)
    return connection


def answering(connection: Connection, /, **fields: Any) -> Connection:
    """The connection, with these fields in all its responses."""
    for one in connection.exchanges:
        assert one.response is not None
        for name, value in fields.items():
            getattr(one.response, name)
            setattr(one.response, name, value)
    return connection


def lost(connection: Connection, how: str, *, method: str = "GET", acknowledged: int | None = 0) -> Connection:
    """The connection, whose last request met the close: "after" or "crossed", with so many bytes acknowledged."""
    last = connection.exchanges[-1]
    assert last.request is not None
    last.request.method, last.request.acknowledged_bytes = method, acknowledged
    last.response, last.complete, last.race = None, False, how  # type: ignore[assignment]
    connection.responses = len(connection.exchanges) - 1
    return connection


def over_http2(connection: Connection, *goaways: tuple[float, int], error: str = "NO_ERROR") -> Connection:
    """The connection as one of HTTP/2 with a stream for each exchange; the server said GOAWAY at these milliseconds,
    for these last streams."""
    frames = [GoawayFrame(6, START_NS + _ns(at_ms), last, error, "") for at_ms, last in goaways]
    connection.protocol, connection.http2 = "h2", http2(server=http2_side(goaways=frames))
    for number, one in enumerate(connection.exchanges):
        one.stream = 2 * number + 1
    if frames and connection.closed is not None:
        connection.closed.announced = Announced("server", "goaway", 6, frames[0].time_ns)
    return connection


def conclude(*connections: Connection, tls_ns: int | None = None) -> dict[str, Finding]:
    """The findings by code about connections of one endpoint, numbered in this order; one of a code at most."""
    findings = conclude_all(*connections, tls_ns=tls_ns)
    codes = [finding.code for finding in findings]
    assert len(codes) == len(set(codes)), codes
    return {finding.code: finding for finding in findings}


def conclude_all(*connections: Connection, tls_ns: int | None = None, **scene: Any) -> list[Finding]:
    """All findings about connections of one endpoint, numbered in this order; `scene` changes the capture."""
    for i, one in enumerate(connections):
        one.id, one.findings = i, []
    tls = TlsHandshakes(len(connections), tls_ns, 0) if tls_ns is not None else TlsHandshakes(0, None, 0)
    place = endpoint(
        connections=len(connections),
        opened=len(connections),
        handshake=Handshakes(TcpHandshakes(len(connections), HANDSHAKE_NS), tls),
    )
    last_ns = max(one.end_ns for one in connections)
    return judge(capture(**{"last_ns": last_ns, "files": [], **scene}), [place], connections)


def _ns(ms: float) -> int:
    return round(ms * MS)
