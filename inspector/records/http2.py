"""HTTP/2: what each side announced, asked for and gave up, beside the exchanges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Struct, field

from inspector.events import Http2Account
from inspector.events import Http2Side as SideAccount
from inspector.records.field import says


class SettingsFrame(Struct, gc=False):
    """One SETTINGS frame."""

    packet: Annotated[int, says("Packet that completed the frame.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    ack: Annotated[bool, says("Whether it acknowledges the other side's.")]
    values: Annotated[dict[str, int], says("Values by RFC 9113's names, unknown ones hexadecimal; the last of equals.")]
    order: Annotated[list[str], says("The names in the frame's order, each as often as it is there.")]
    ack_ns: Annotated[int | None, says("Time from it to its acknowledgment; null without one.")]


class GoawayFrame(Struct, gc=False):
    """One GOAWAY frame."""

    packet: Annotated[int, says("Packet that completed the frame.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    last_stream_id: Annotated[int, says("Streams above it were not and will not be processed.")]
    error: Annotated[str, says("Error code by name (RFC 9113 section 7), or hexadecimal.")]
    debug: Annotated[str, says("Beginning of its debug data, its bytes as latin-1.")]


class PingFrame(Struct, gc=False):
    """One PING, and its acknowledgment."""

    by: Annotated[Literal["client", "server"], says("Who sent it.")] = field(name="from")
    packet: Annotated[int, says("Packet that completed the frame.")]
    payload: Annotated[str, says("Its eight bytes, hexadecimal.")]
    sent_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    ack_ns: Annotated[int | None, says("Time from it to its acknowledgment; null without one.")]


class ForbiddenHeader(Struct, gc=False):
    """A connection-specific header field, which HTTP/2 forbids (RFC 9113 section 8.2.2)."""

    packet: Annotated[int, says("Packet that completed its header section.")]
    name: Annotated[str, says("Its name.")]


class Http2Side(Struct, gc=False):
    """What one side sent. Of frames that are listed, the first ones; `frames` counts them all."""

    settings: Annotated[list[SettingsFrame], says("SETTINGS frames and acknowledgments.")]
    first_window_update: Annotated[int | None, says("Increment of its first WINDOW_UPDATE on the connection.")]
    goaways: Annotated[list[GoawayFrame], says("GOAWAY frames.")]
    rst_streams: Annotated[dict[str, int], says("RST_STREAM frames by error.")]
    window_updates: Annotated[int, says("WINDOW_UPDATE frames.")]
    window_stalls_ns: Annotated[int, says("How long it had bytes to send and no window for them, as far as seen.")]
    pings: Annotated[int, says("PING frames that are no acknowledgments.")]
    frames: Annotated[dict[str, int], says("Frames by type, unknown types hexadecimal.")]


class Http2(Struct, gc=False):
    """HTTP/2 on a connection."""

    client: Annotated[Http2Side, says("What the client sent.")]
    server: Annotated[Http2Side, says("What the server sent.")]
    streams: Annotated[int, says("Streams that were opened.")]
    peak_streams: Annotated[int, says("Most streams of the client in flight at once.")]
    stream_limit: Annotated[int | None, says("The server's MAX_CONCURRENT_STREAMS; null when it announced none.")]
    refused_streams: Annotated[int, says("Streams reset with REFUSED_STREAM.")]
    streams_above_goaway: Annotated[int, says("The client's streams above the last_stream_id of a server's GOAWAY.")]
    headers_reliable: Annotated[bool, says("Whether every header block could be decoded.")]
    pings: Annotated[list[PingFrame], says("The first PINGs.")]
    forbidden_headers: Annotated[list[ForbiddenHeader], says("Connection-specific header fields.")]


def http2_record(account: Http2Account, show: Callable[[str], str]) -> Http2:
    """The record of what the decoder kept; `show` redacts text."""
    client, server = account.sides
    return Http2(
        _side(client, show),
        _side(server, show),
        account.streams,
        account.peak_streams,
        account.stream_limit,
        account.refused_streams,
        account.streams_above_goaway,
        account.headers_reliable,
        [
            PingFrame("server" if ping.direction else "client", ping.packet, ping.payload, ping.sent_ns, ping.ack_ns)
            for ping in account.pings
        ],
        [ForbiddenHeader(packet, show(name)) for packet, name in account.forbidden_fields],
    )


def _side(side: SideAccount, show: Callable[[str], str]) -> Http2Side:
    return Http2Side(
        [
            SettingsFrame(one.packet, one.time_ns, one.ack, one.values, one.order, one.acknowledged_ns)
            for one in side.settings
        ],
        side.first_window_update,
        [GoawayFrame(one.packet, one.time_ns, one.last_stream_id, one.error, show(one.debug)) for one in side.goaways],
        dict(side.rst_streams),
        side.window_updates,
        side.window_stalls_ns,
        side.pings,
        dict(side.frames),
    )
