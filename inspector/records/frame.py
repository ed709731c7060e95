"""HTTP/2 frames of control as rows: what both sides announced, ended and asked, one frame a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Struct

from inspector.records.connection import Connection, Side
from inspector.records.field import says


class ControlFrame(Struct, gc=False):
    """A SETTINGS, GOAWAY or PING frame that was kept."""

    connection: Annotated[int, says("Id of its connection.")]
    side: Annotated[Side, says("Who sent it.")]
    type: Annotated[Literal["SETTINGS", "GOAWAY", "PING"], says("Its type.")]
    packet: Annotated[int, says("Packet that completed it.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    ack: Annotated[bool | None, says("SETTINGS: whether it acknowledges the other side's.")]
    values: Annotated[dict[str, int] | None, says("SETTINGS: values by name.")]
    last_stream_id: Annotated[int | None, says("GOAWAY: streams above it were not processed.")]
    error: Annotated[str | None, says("GOAWAY: its error code by name.")]
    debug: Annotated[str | None, says("GOAWAY: beginning of its debug data.")]
    payload: Annotated[str | None, says("PING: its eight bytes, hexadecimal.")]
    ack_ns: Annotated[int | None, says("SETTINGS and PING: time to the acknowledgment; null without one.")]


def control_frames(connection: Connection) -> Iterator[ControlFrame]:
    """The frames that a connection's record has, by packet."""
    if connection.http2 is not None:
        yield from sorted(_of(connection), key=lambda frame: frame.packet)


def _of(connection: Connection) -> Iterator[ControlFrame]:
    http2 = connection.http2
    assert http2 is not None
    sides: tuple[Side, Side] = ("client", "server")
    for name, side in zip(sides, (http2.client, http2.server), strict=True):
        for settings in side.settings:
            yield ControlFrame(
                *(connection.id, name, "SETTINGS", settings.packet, settings.time_ns, settings.ack, settings.values),
                *(None, None, None, None, settings.ack_ns),
            )
        for goaway in side.goaways:
            yield ControlFrame(
                *(connection.id, name, "GOAWAY", goaway.packet, goaway.time_ns, None, None),
                *(goaway.last_stream_id, goaway.error, goaway.debug, None, None),
            )
    for ping in http2.pings:
        yield ControlFrame(
            *(connection.id, ping.by, "PING", ping.packet, ping.sent_ns, None, None),
            *(None, None, None, ping.payload, ping.ack_ns),
        )
