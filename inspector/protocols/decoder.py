"""The waist: all that a protocol decoder is ever told, and all that it answers.

A decoder is sans-io. It is told three things: here are bytes in order, here is a hole of known length, this direction
is over. It answers with events, handed to `emit` in the order of the wire. It never raises on anything that the wire
says. Within one direction data and gaps follow one another without overlap, and nothing follows the end.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from inspector.bytestream import StreamChunk
from inspector.events import Event

#: Where a decoder puts its events.
Emit = Callable[[Event], None]


class Ending(Enum):
    """How a direction ended."""

    FIN = "fin"
    """Its sender closed it: no byte is missing behind what was delivered."""
    RST = "rst"
    """The connection was reset by either side."""
    CAPTURE = "capture"
    """The capture ended, or the connection was given up: more may have followed."""


class StreamDecoder(Protocol):
    """A protocol on one TCP connection, both directions."""

    protocol: str
    """The contract's word: "http/1.0", "http/1.1", "unknown", ..."""
    application_packet: int | None
    """Last packet that brought an application byte of either direction, as FINDINGS defines it for idle times (an
    unsolicited 408 is none); None before the first."""
    application_ns: int | None
    """Its time."""
    skip_until: list[int]
    """Per direction: bytes below this stream offset are only counted, so whoever buffers need not keep them."""

    def data(self, chunk: StreamChunk) -> None:
        """In-order bytes of one direction. Views of the chunk are valid during this call only."""

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        """`length` bytes from `offset` on will never be seen; that was known by `packet`."""

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        """The direction is over: by its FIN or a RST at `packet`, or for us."""
