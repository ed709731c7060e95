"""Finding frames again in one direction: after a hole, or where a capture begins in the middle.

Bytes are held from the first place on at which a frame header may stand, until a run of headers (frame_run.py) is there
or the place proves wrong; what is held at most is a run. A hole ends where a segment begins, and often a frame, too:
right behind one a single frame will do, if it is unmistakable. At the end of the direction a shorter run will do, if
its last frame ends there. What was found is handed on as a chunk, with the packets that brought it.
"""

from __future__ import annotations

from inspector.bytestream import Arrival, Pieces
from inspector.protocols.frame_run import Run, next_header, run_at, unmistakable

#: `Search` from where no hole ends.
NOWHERE = -1


class Search:
    """Bytes of a direction in which frames are searched for, from the stream offset `start` on: behind a hole."""

    __slots__ = ("_data", "_from", "_hole_end", "_pieces", "_start", "first")

    def __init__(self, start: int) -> None:
        self.first: Arrival | None = None
        """How the first byte searched came."""
        self._start = start
        """Offset of the first byte that is held."""
        self._hole_end = start
        self._data = bytearray()
        self._from = 0
        """Where in the bytes held a header may stand."""
        self._pieces: list[tuple[int, int, int]] = []
        """Offset, packet and time of each piece; the first may have begun before what is held."""

    def add(self, offset: int, data: bytes | bytearray | memoryview, arrival: Arrival) -> None:
        """The next bytes, which begin at `offset`."""
        if not self._data:
            self._start = offset
        if self.first is None:
            self.first = arrival
        if not self._pieces or self._pieces[-1][1:] != arrival:
            self._pieces.append((offset, *arrival))
        self._data += data

    def found(self, direction: int, highest_stream: int, ended: bool = False) -> Pieces | None:
        """All that is held, if it begins with frames. `highest_stream`: the highest that is likely; `ended`: no more
        comes."""
        if self._start == self._hole_end and unmistakable(self._data, direction, highest_stream):
            return self._chunk(direction)
        while len(self._data) > self._from:
            self._drop(next_header(self._data, self._from))
            self._from = 0
            run = run_at(self._data, 0, highest_stream)
            if run is Run.FRAMES or (ended and run is Run.ENDS):
                return self._chunk(direction)
            if run is not Run.NO and not ended:
                return None
            self._from = 1
        return None

    def _drop(self, count: int) -> None:
        """Forget the first bytes held."""
        if not count:
            return
        del self._data[:count]
        self._start += count
        kept = 0
        while kept + 1 < len(self._pieces) and self._pieces[kept + 1][0] <= self._start:
            kept += 1
        del self._pieces[:kept]

    def _chunk(self, direction: int) -> Pieces:
        starts = [max(offset, self._start) for offset, _, _ in self._pieces]
        data = bytes(self._data)
        ends = [*starts[1:], self._start + len(data)]
        parts = [data[start - self._start : end - self._start] for start, end in zip(starts, ends, strict=True)]
        packets = [packet for _, packet, _ in self._pieces]
        return Pieces(direction, starts, parts, packets, [time_ns for _, _, time_ns in self._pieces])
