"""One segment as Python sees it, and a run of segments as one chunk of a byte stream.

Both point into the batch's buffer; they are valid while the batch is being processed.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

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


class Run:
    """A StreamChunk of several segments that join up, each whole in the capture."""

    __slots__ = ("_batch", "_buffer", "_rows", "_starts", "direction", "length", "offset")

    def __init__(self, direction: int, length: int, batch: PacketBatch, rows: I64, buffer: memoryview) -> None:
        self.direction = direction
        self.offset = 0
        """Set by the connection that takes the run."""
        self.length = length
        self._batch = batch
        self._rows = rows
        self._buffer = buffer
        self._starts: list[int] | None = None

    def _locate(self, offset: int) -> tuple[int, int]:
        """The batch row that carries `offset`, and how far into its payload that is."""
        if self._starts is None:
            ends = np.cumsum(self._batch.payload_length[self._rows])
            self._starts = [0, *ends[:-1].tolist()]
        relative = offset - self.offset
        at = bisect_right(self._starts, relative) - 1
        return int(self._rows[at]), relative - self._starts[at]

    def view(self, offset: int) -> memoryview:
        row, inside = self._locate(offset)
        start = int(self._batch.payload_position[row])
        return self._buffer[start + inside : start + int(self._batch.payload_length[row])]

    def packet_at(self, offset: int) -> int:
        return int(self._batch.packet[self._row_at(offset)])

    def time_at(self, offset: int) -> int:
        return int(self._batch.time_ns[self._row_at(offset)])

    def _row_at(self, offset: int) -> int:
        if offset >= self.offset + self.length - 1:
            return int(self._rows[-1])
        return self._locate(offset)[0]
