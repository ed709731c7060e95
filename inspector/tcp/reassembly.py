"""One direction's bytes that came early: held until those before them have come or are given up.

A stream offset is delivered once; where captured bytes overlap, the first one captured counts. Bytes below the sink's
`skip_until` are held by their length alone. Everything held is bounded: HELD_BYTES and HELD_PIECES a direction; the
connection gives up its oldest hole when one of them is reached.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple

#: Bytes that one direction may hold behind its holes: more than a receive window commonly is (Linux: 6 MiB).
HELD_BYTES = 8 << 20
#: Pieces that one direction may hold behind its holes.
HELD_PIECES = 8192


class Held(NamedTuple):
    """Bytes that wait for those before them."""

    offset: int
    end: int
    data: bytes | None
    """None: nobody will read them."""
    packet: int
    time_ns: int


class Reassembler:
    """What one direction holds back. Made when the first hole opens, dropped when the last one is closed."""

    __slots__ = ("held", "held_bytes")

    def __init__(self) -> None:
        self.held: list[Held] = []
        """Disjoint, by offset."""
        self.held_bytes = 0

    def hold(self, piece: Held) -> int:
        """Take bytes that came early; how many of them had not come before."""
        new = 0
        for start, end in self._uncovered(piece.offset, piece.end):
            data = piece.data[start - piece.offset : end - piece.offset] if piece.data is not None else None
            insort(self.held, Held(start, end, data, piece.packet, piece.time_ns), key=_by_offset)
            self.held_bytes += len(data) if data is not None else 0
            new += end - start
        return new

    def _uncovered(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end) that are not held yet."""
        parts = []
        for at in range(bisect_right(self.held, start, key=_by_end), len(self.held)):
            known = self.held[at]
            if known.offset >= end:
                break
            if known.offset > start:
                parts.append((start, known.offset))
            start = known.end
        if start < end:
            parts.append((start, end))
        return parts

    @property
    def full(self) -> bool:
        """Whether a bound is reached."""
        return self.held_bytes > HELD_BYTES or len(self.held) > HELD_PIECES

    def ready(self, offset: int) -> list[Held]:
        """Take out what joins up from `offset` on."""
        count = 0
        for known in self.held:
            if known.offset != offset:
                break
            offset = known.end
            count += 1
        taken, self.held = self.held[:count], self.held[count:]
        self.held_bytes -= sum(len(known.data) for known in taken if known.data is not None)
        return taken


def _by_offset(piece: Held) -> int:
    return piece.offset


def _by_end(piece: Held) -> int:
    return piece.end
