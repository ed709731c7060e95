"""Sequence numbers (RFC 9293 section 3.4) and sets of stream offsets.

On the wire a position is a number modulo 2^32. Inside connspect it is a stream offset: an unbounded integer that
starts at 0 with the first byte after the SYN. `distance` is the only place where one becomes the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

#: Sequence numbers are taken modulo this, less one.
MASK = 0xFFFF_FFFF
_HALF = 0x8000_0000


def distance(later: int, earlier: int) -> int:
    """How far sequence number `later` lies ahead of `earlier`: -2^31 to 2^31 - 1, negative when it lies behind."""
    return ((later - earlier + _HALF) & MASK) - _HALF


class RangeSet:
    """A set of integers kept as disjoint, sorted, half-open ranges.

    `limit` bounds the number of ranges: when it is reached, the two nearest neighbours are taken for one, so that the
    set errs by the smallest gap and never grows on.
    """

    __slots__ = ("_ends", "_limit", "_starts")

    def __init__(self, limit: int = 4096) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._limit = limit

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._starts)

    def size(self) -> int:
        """How many integers are in the set."""
        return sum(self._ends) - sum(self._starts)

    def lowest(self) -> int | None:
        """The smallest integer in the set."""
        return self._starts[0] if self._starts else None

    def add(self, start: int, end: int) -> int:
        """Put [start, end) in; how many of these were not in before."""
        if end <= start:
            return 0
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        known = 0
        low, high = start, end
        for at in range(first, last):
            known += max(0, min(self._ends[at], end) - max(self._starts[at], start))
            low, high = min(low, self._starts[at]), max(high, self._ends[at])
        self._starts[first:last] = [low]
        self._ends[first:last] = [high]
        if len(self._starts) > self._limit:
            self._merge_nearest()
        return end - start - known

    def remove(self, start: int, end: int) -> int:
        """Take [start, end) out; how many of these were in."""
        if end <= start:
            return 0
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if first >= last:
            return 0
        taken = 0
        left: list[tuple[int, int]] = []
        for low, high in zip(self._starts[first:last], self._ends[first:last], strict=True):
            taken += min(high, end) - max(low, start)
            left += [(low, start)] if low < start else []
            left += [(end, high)] if high > end else []
        self._starts[first:last] = [low for low, _ in left]
        self._ends[first:last] = [high for _, high in left]
        return taken

    def _merge_nearest(self) -> None:
        gaps = [later - earlier for earlier, later in zip(self._ends, self._starts[1:], strict=False)]
        at = gaps.index(min(gaps))
        del self._ends[at], self._starts[at + 1]
