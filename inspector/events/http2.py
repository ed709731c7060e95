"""What HTTP/2 tells beside exchanges: the frames that decide something, and an account of the rest."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from msgspec import Struct, field


class Settings(Struct, gc=False):
    """One SETTINGS frame."""

    packet: int
    time_ns: int
    ack: bool
    values: dict[str, int]
    """By RFC 9113's names ("MAX_CONCURRENT_STREAMS"), an unknown one by its hexadecimal id; the last of equals."""
    order: list[str]
    """Names in the frame's order, each as often as it is there."""
    acknowledged_ns: int | None = None
    """Time from the frame to the peer's acknowledgment."""


class Goaway(NamedTuple):
    """One GOAWAY frame."""

    packet: int
    time_ns: int
    last_stream_id: int
    error: str
    """By name ("NO_ERROR"), an unknown one hexadecimal."""
    debug: str
    """The first bytes (MAX_DEBUG) of its debug data as latin-1, as sent: escaped by whoever prints it."""


class Ping(Struct, gc=False):
    """One PING that is no acknowledgment."""

    direction: int
    """FROM_CLIENT or FROM_SERVER: who sent it."""
    packet: int
    payload: str
    """Its eight bytes, hexadecimal."""
    sent_ns: int
    ack_ns: int | None = None
    """Time from it to its acknowledgment; None without one."""


class ForbiddenField(NamedTuple):
    """A connection-specific field in a header section (RFC 9113 section 8.2.2)."""

    packet: int
    name: str


class Http2Side(Struct, gc=False):
    """What one side sent. Lists hold the first ones (MAX_KEPT); `frames` counts them all."""

    settings: list[Settings] = []
    first_window_update: int | None = None
    """Increment of its first WINDOW_UPDATE on stream 0."""
    goaways: list[Goaway] = []
    rst_streams: dict[str, int] = {}
    """RST_STREAM frames by error."""
    window_updates: int = 0
    window_stalls_ns: int = 0
    """How long this side had a window (the connection's or a stream's) used up and had bytes to send, as far as that
    can be seen: from the DATA frame that used it up to the peer's WINDOW_UPDATE, where the message was not over."""
    pings: int = 0
    """PING frames without ACK."""
    frames: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Frames by type, an unknown type hexadecimal."""


class Http2Account(Struct, gc=False):
    """What is known of HTTP/2 on a connection; the decoder goes on filling it in."""

    sides: tuple[Http2Side, Http2Side] = field(default_factory=lambda: (Http2Side(), Http2Side()))
    """By direction."""
    streams: int = 0
    """Streams that were opened, by either side."""
    peak_streams: int = 0
    """Most streams of the client in flight at once."""
    stream_limit: int | None = None
    """The server's MAX_CONCURRENT_STREAMS; None where it announced none."""
    refused_streams: int = 0
    """Streams that were reset with REFUSED_STREAM."""
    streams_above_goaway: int = 0
    """Streams of the client whose ids are above the last_stream_id of a GOAWAY of the server."""
    headers_reliable: bool = True
    """Whether every header block could be decoded with the whole of its table."""
    pings: list[Ping] = []
    """The first ones (MAX_KEPT)."""
    forbidden_fields: list[ForbiddenField] = []


class Http2Started(Struct, gc=False):
    """HTTP/2 was recognised: its preface, its first frame, or stream 1 after an upgrade."""

    packet: int
    time_ns: int
    account: Http2Account


class SettingsReceived(Struct, gc=False):
    """A SETTINGS frame of either side, or its acknowledgment."""

    packet: int
    time_ns: int
    direction: int
    settings: Settings


class GoawayReceived(Struct, gc=False):
    """A GOAWAY frame."""

    packet: int
    time_ns: int
    direction: int
    goaway: Goaway


class PingReceived(Struct, gc=False):
    """A PING frame, or the acknowledgment of one."""

    packet: int
    time_ns: int
    direction: int
    ack: bool
    payload: str
    """Hexadecimal."""
    round_trip_ns: int | None
    """Of an acknowledgment: since the PING that it answers."""


class StreamReset(Struct, gc=False):
    """RST_STREAM."""

    packet: int
    time_ns: int
    exchange: int | None
    """None for a stream without an exchange."""
    stream: int
    direction: int
    error: str


class TrailersReceived(Struct, gc=False):
    """A trailer section."""

    packet: int
    time_ns: int
    exchange: int
    stream: int | None
    direction: int
    grpc_status: str | None
    """Value of grpc-status; also told where it came with the response's header section ("Trailers-Only")."""


class WindowStalled(Struct, gc=False):
    """A closed flow-control window of at least STALL_TOLD_NS was opened again."""

    packet: int
    time_ns: int
    direction: int
    """Whose bytes were held up."""
    stream: int
    """0: the connection's window."""
    stalled_ns: int
