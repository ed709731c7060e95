"""Connections of HTTP/2 made by hand: streams at given milliseconds, and the frames of both sides beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from inspector.records.connection import Announced, Connection, Side
from inspector.records.exchange import Reset
from inspector.records.http2 import ForbiddenHeader, GoawayFrame, Http2, PingFrame, SettingsFrame
from tests.findings.cases import opened
from tests.report.samples import MS, START_NS, http2_side, traffic

#: What nginx and curl announce.
NGINX = {"MAX_CONCURRENT_STREAMS": 128, "INITIAL_WINDOW_SIZE": 65_536, "MAX_FRAME_SIZE": 16_777_215}
CURL = {"MAX_CONCURRENT_STREAMS": 100, "INITIAL_WINDOW_SIZE": 33_554_432, "ENABLE_PUSH": 0}
NOTICE = 2**31 - 1


def ns(ms: float) -> int:
    """Time since the Unix epoch."""
    return START_NS + round(ms * MS)


def settings(at_ms: float, values: dict[str, int], ack_ms: float | None = 0.3) -> SettingsFrame:
    """SETTINGS that were acknowledged so many milliseconds later; None: never."""
    return SettingsFrame(4, ns(at_ms), False, values, list(values), None if ack_ms is None else round(ack_ms * MS))


def goaway(at_ms: float, last_stream_id: int, error: str = "NO_ERROR", debug: str = "") -> GoawayFrame:
    """GOAWAY."""
    return GoawayFrame(12, ns(at_ms), last_stream_id, error, debug)


def ping(by: Side, at_ms: float, ack_ms: float | None = 0.4, payload: str = "0011223344556677") -> PingFrame:
    """PING that was answered so many milliseconds later; None: never."""
    return PingFrame(by, 9, payload, ns(at_ms), None if ack_ms is None else round(ack_ms * MS))


def h2(
    *spans_ms: tuple[float, float | None],
    end_ms: float | None,
    by: Side = "client",
    server: Sequence[Struct] | None = None,
    client: Sequence[Struct] | None = None,
    pings: list[PingFrame] | None = None,
    peak: int = 1,
    refused: int = 0,
    forbidden: list[ForbiddenHeader] | None = None,
    **changes: Any,
) -> Connection:
    """A connection with streams 1, 3, 5 ... at these times (an end of None: no response), and frames of both sides;
    SETTINGS of nginx and curl with the first stream, unless others are given. The first GOAWAY announced the close."""
    record = opened(
        *((first, first if last is None else last) for first, last in spans_ms),
        end_ms=end_ms,
        by=by,
        protocol="h2",
        server_traffic=traffic(),
    )
    start_ms = spans_ms[0][0] if spans_ms else 0
    for i, ((_, last), exchange) in enumerate(zip(spans_ms, record.exchanges, strict=True)):
        exchange.stream = 2 * i + 1
        for message in (exchange.request, exchange.response):
            assert message is not None
            message.version, message.connection, message.keep_alive, message.persistent = "HTTP/2", None, None, None
        assert exchange.request is not None
        exchange.request.packet = 100 + i
        if last is None:
            exchange.response, exchange.complete = None, False
    sent = {
        "server": [settings(start_ms, NGINX)] if server is None else server,
        "client": [settings(start_ms, CURL)] if client is None else client,
    }
    first_settings = {side: [f for f in frames if isinstance(f, SettingsFrame)] for side, frames in sent.items()}
    goaways = {side: [f for f in frames if isinstance(f, GoawayFrame)] for side, frames in sent.items()}
    limits = [frame.values.get("MAX_CONCURRENT_STREAMS") for frame in first_settings["server"]]
    sides = {
        side: http2_side(settings=first_settings[side], goaways=goaways[side], frames={"SETTINGS": 1})
        for side in ("client", "server")
    }
    if refused:
        sides["server"].rst_streams = {"REFUSED_STREAM": refused}
    record.http2 = Http2(
        client=sides["client"],
        server=sides["server"],
        streams=len(spans_ms),
        peak_streams=peak,
        stream_limit=next((limit for limit in reversed(limits) if limit is not None), None),
        refused_streams=refused,
        streams_above_goaway=0,
        headers_reliable=True,
        pings=pings or [],
        forbidden_headers=forbidden or [],
    )
    _announce(record, goaways)
    for name, value in changes.items():
        getattr(record, name)
        setattr(record, name, value)
    return record


def _announce(record: Connection, goaways: dict[str, list[GoawayFrame]]) -> None:
    """The first GOAWAY of either side ends idleness."""
    said: list[tuple[Literal["client", "server"], GoawayFrame]] = [
        (side, frame) for side in ("client", "server") for frame in goaways[side]
    ]
    if record.closed is None or not said:
        return
    side, first = min(said, key=lambda one: one[1].time_ns)
    assert record.closed.idle_ns is not None
    last_byte_ns = record.closed.time_ns - record.closed.idle_ns
    record.closed.announced = Announced(side, "goaway", first.packet, first.time_ns)
    record.closed.idle_ns = max(first.time_ns - last_byte_ns, 0)


def reset(connection: Connection, stream: int, by: Side, error: str) -> None:
    """A stream of it was reset."""
    exchange = next(exchange for exchange in connection.exchanges if exchange.stream == stream)
    exchange.reset = Reset(by, error)
