"""One line of a connection's story, for `--events` and `show`. Made only when somebody asked for it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from inspector.records.field import says

EventKind = Literal[
    "syn",
    "syn-ack",
    "established",
    "fin",
    "rst",
    "request",
    "request-end",
    "interim",
    "response",
    "response-end",
    "upgrade",
    "retransmission",
    "keep-alive-probe",
    "zero-window",
    "gap",
    "anomaly",
    "client-hello",
    "tls",
    "alert",
    "close-notify",
    "settings",
    "settings-ack",
    "goaway",
    "ping",
    "ping-ack",
    "stream-reset",
    "window-stall",
    "trailers",
    "websocket-close",
    "proxy-header",
]


class EventRecord(Struct, gc=False):
    """Something that happened on a connection."""

    connection: Annotated[int, says("The connection's id.")]
    packet: Annotated[int, says("The packet by which it was known.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    by: Annotated[Literal["client", "server"] | None, says("Who did it; null where nobody in particular.")]
    event: Annotated[EventKind, says("What happened.")]
    exchange: Annotated[int | None, says("Index of the exchange it belongs to.")]
    detail: Annotated[str, says("For a person: a request line, a status, a number of bytes, settings, a code.")]
