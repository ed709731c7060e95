"""One segment as Python sees it, and a run of segments as one chunk of a byte stream.

Both point into the batch's buffer; they are valid while the batch is being processed.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from inspector.bytestream import Arrival
from inspector.packets.batch import I64, PacketBatch

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class Segment:
    """A TCP segment. Numbers as sent; lengths from headers."""

    __slots__ = (
        *("_buffer", "_position", "ack", "captured", "flags", "length", "packet", "seq", "time_ns", "ttl", "window"),
    )

    def __init__(
        self,
        packet: int,
        time_ns: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        length: int,
        captured: int,
        ttl: int,
        buffer: memoryview,
        position: int,
    ) -> None:
        self.packet = packet
        self.time_ns = time_ns
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.window = window
        self.length = length
        self.captured = captured
        self.ttl = ttl
        self._buffer = buffer
        self._position = position

    def payload(self) -> memoryview:
        """The payload bytes that were captured."""
        return self._buffer[self._position : self._position + self.captured]


class Rows:
    """What runs need of a batch's segments, as lists: reading a list is five times faster than reading an array."""

    __slots__ = ("buffer", "lengths", "packets", "positions", "times_ns")

    def __init__(self, batch: PacketBatch, rows: I64, buffer: memoryview) -> None:
        self.buffer = buffer
        self.positions: list[int] = batch.payload_position[rows].tolist()
        self.lengths: list[int] = batch.payload_length[rows].tolist()
        self.packets: list[int] = batch.packet[rows].tolist()
        self.times_ns: list[int] = batch.time_ns[rows].tolist()


class Run:
    """A StreamChunk of segments `first` to `last` of some rows, that join up, each whole in the capture."""

    __slots__ = ("_first", "_last", "_rows", "_starts", "direction", "length", "offset")

    def __init__(self, direction: int, length: int, rows: Rows, first: int, last: int) -> None:
        self.direction = direction
        self.offset = 0
        """Set by the connection that takes the run."""
        self.length = length
        self._rows = rows
        self._first = first
        self._last = last
        self._starts: list[int] | None = None

    def _locate(self, offset: int) -> int:
        """Which of the rows carries `offset`."""
        inside = offset - self.offset
        lengths = self._rows.lengths
        if inside < lengths[self._first]:
            return self._first
        if inside >= self.length - lengths[self._last]:
            return self._last
        if self._starts is None:
            self._starts = list(accumulate(lengths[self._first : self._last], initial=0))
        return self._first + bisect_right(self._starts, inside) - 1

    def view(self, offset: int) -> memoryview:
        rows, at = self._rows, self._first
        if offset == self.offset:
            start = rows.positions[at]
            return rows.buffer[start : start + rows.lengths[at]]
        at = self._locate(offset)
        start, length, inside = rows.positions[at], rows.lengths[at], offset - self.offset
        if at == self._last:
            inside -= self.length - length
        elif at != self._first:
            assert self._starts is not None
            inside -= self._starts[at - self._first]
        return rows.buffer[start + inside : start + length]

    def arrival(self, offset: int) -> Arrival:
        rows, at = self._rows, self._first
        if offset - self.offset >= rows.lengths[at]:
            at = self._locate(offset)
        return rows.packets[at], rows.times_ns[at]
