"""What the TCP layer hands to the protocols: a piece of one direction's byte stream, in order.

A chunk covers the stream offsets [offset, offset + length). Its bytes may lie in several pieces (one a segment), with
headers between them, so a decoder asks for a view of what it wants to read and steps over what it only counts; nothing
is copied or joined for bytes that nobody reads. For every offset the chunk knows the packet by which everything up to
there had arrived, and its time. Views live only as long as the call that brought the chunk: decoders copy what they
keep.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar, Protocol

#: Directions of a connection: indices, so that per-direction state is a two-element list.
FROM_CLIENT = 0
FROM_SERVER = 1


#: `StreamSink.skip_until` of a direction of which no byte is needed any more.
FOREVER = 1 << 62

#: A packet, and its capture time in nanoseconds since the Unix epoch.
Arrival = tuple[int, int]


class StreamChunk(Protocol):
    """In-order bytes of one direction. Offsets count from the first byte after the SYN (or the first byte seen)."""

    direction: int
    """FROM_CLIENT or FROM_SERVER."""
    offset: int
    """Stream offset of the first byte."""
    length: int
    """Bytes; at least 1."""

    def view(self, offset: int) -> memoryview | bytes:
        """The bytes from `offset` (inside the chunk) to the end of the piece that holds it: at least one byte."""

    def arrival(self, offset: int) -> Arrival:
        """The packet with which the byte at `offset`, and all before it, had arrived."""


class Ending(Enum):
    """How a direction ended."""

    FIN = "fin"
    """Its sender closed it: no byte is missing behind what was delivered."""
    RST = "rst"
    """The connection was reset by either side."""
    CAPTURE = "capture"
    """The capture ended, or the connection was given up: more may have followed."""


class StreamSink(Protocol):
    """Who takes a connection's byte streams: all that a protocol is ever told.

    Within one direction data and gaps follow one another without overlap, and nothing follows the end.
    """

    @property
    def protocol(self) -> str:
        """What is spoken, in the contract's word: "http/1.0", "http/1.1", "unknown", ..."""

    @property
    def application_packet(self) -> int | None:
        """Last packet that brought an application byte of either direction, as idle times count them (an unsolicited
        408 is none); None before the first."""

    @property
    def application_ns(self) -> int | None:
        """Its time."""

    @property
    def skip_until(self) -> list[int]:
        """Per direction: bytes below this stream offset are only counted, so whoever buffers need not keep them."""

    def data(self, chunk: StreamChunk) -> None:
        """In-order bytes of one direction. Views of the chunk are valid during this call only."""

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        """`length` bytes from `offset` on will never be seen; that was known by `packet`."""

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        """The direction is over: by its FIN or a RST at `packet`, or for us."""


class Spent:
    """What is left of a sink once both directions have ended: its word for what was spoken.

    Connections wait for stragglers after their end; what they hold until then is small. The last application byte
    matters only up to the first close, so nobody asks a sink that was spent by its ends.
    """

    __slots__ = ("protocol",)

    skip_until: ClassVar = [FOREVER, FOREVER]
    application_packet = None
    application_ns = None

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol

    def data(self, chunk: StreamChunk) -> None:
        """Bytes behind the end are nobody's."""

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        """As with data."""

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        """It was told before."""


class Piece:
    """A chunk of one piece: one segment's payload, or what a reassembler held."""

    __slots__ = ("_arrival", "_data", "direction", "length", "offset")

    def __init__(self, direction: int, offset: int, data: memoryview | bytes, packet: int, time_ns: int) -> None:
        self.direction = direction
        self.offset = offset
        self.length = len(data)
        self._data = data
        self._arrival = (packet, time_ns)

    def view(self, offset: int) -> memoryview | bytes:
        return self._data if offset == self.offset else self._data[offset - self.offset :]

    def arrival(self, offset: int) -> Arrival:
        return self._arrival


class Pieces:
    """A chunk of several pieces that join up. `starts[i]` is the stream offset of `data[i]`."""

    __slots__ = ("_data", "_packets", "_starts", "_times", "direction", "length", "offset")

    def __init__(
        self,
        direction: int,
        starts: Sequence[int],
        data: Sequence[memoryview | bytes],
        packets: Sequence[int],
        times_ns: Sequence[int],
    ) -> None:
        self.direction = direction
        self.offset = starts[0]
        self.length = starts[-1] + len(data[-1]) - starts[0]
        self._starts = starts
        self._data = data
        self._packets = packets
        self._times = times_ns

    def _index(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def view(self, offset: int) -> memoryview | bytes:
        at = self._index(offset)
        return self._data[at][offset - self._starts[at] :]

    def arrival(self, offset: int) -> Arrival:
        at = self._index(offset)
        return self._packets[at], self._times[at]


class Rest:
    """A chunk from some offset on."""

    __slots__ = ("_whole", "direction", "length", "offset")

    def __init__(self, whole: StreamChunk, offset: int) -> None:
        self.direction = whole.direction
        self.offset = offset
        self.length = whole.offset + whole.length - offset
        self._whole = whole

    def view(self, offset: int) -> memoryview | bytes:
        return self._whole.view(offset)

    def arrival(self, offset: int) -> Arrival:
        return self._whole.arrival(offset)
