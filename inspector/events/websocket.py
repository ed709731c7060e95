"""What WebSocket tells (RFC 6455): who closed it, and an account of the rest."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field


class WebSocketClose(NamedTuple):
    """The first Close frame."""

    direction: int
    code: int | None
    """Status code (section 7.4); None where the frame has none."""
    reason: str
    """As sent, latin-1."""


class WebSocketAccount(Struct, gc=False):
    """What is known of a WebSocket; the decoder goes on filling it in."""

    messages: list[int] = field(default_factory=lambda: [0, 0])
    """Text and binary messages, by direction."""
    pings: int = 0
    pongs: int = 0
    close: WebSocketClose | None = None


class WebSocketStarted(Struct, gc=False):
    """The first frame after the upgrade."""

    packet: int
    time_ns: int
    account: WebSocketAccount


class WebSocketClosed(Struct, gc=False):
    """A Close frame of either side."""

    packet: int
    time_ns: int
    close: WebSocketClose
