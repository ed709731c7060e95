"""Durations without end, in bounded room: how many, the shortest, the longest, and the median within half a percent.

Values are counted in buckets, each half a percent wide, and a bucket stands for the mean of what fell into it: so the
median is off by less than that, and where values are close together, as timeouts are, by hardly anything.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from inspector.packets.batch import I64

#: What a bucket's end is of its beginning.
WIDTH = 1.005


class Spread:
    """Values that were added so far."""

    __slots__ = ("_buckets", "_counts", "_sums", "max", "min", "n")

    def __init__(self) -> None:
        self.n = 0
        self.min = self.max = 0
        """Of no meaning without values."""
        self._buckets: I64 = np.zeros(0, np.int64)
        """Those with something in them, in order; there are 8,757 at the most (63 bits)."""
        self._counts: I64 = np.zeros(0, np.int64)
        self._sums: NDArray[np.float64] = np.zeros(0, np.float64)

    def with_values(self, values: array[int]) -> Spread:
        """These and further values, in nanoseconds, none negative."""
        if not values:
            return self
        both, added = Spread(), np.frombuffer(values, np.int64)
        low, high = int(added.min()), int(added.max())
        both.n = self.n + len(added)
        both.min, both.max = (min(self.min, low), max(self.max, high)) if self.n else (low, high)
        buckets = np.concatenate([self._buckets, _bucket(added)])
        both._buckets, place = np.unique(buckets, return_inverse=True)
        both._counts = np.zeros(len(both._buckets), np.int64)
        np.add.at(both._counts, place, np.concatenate([self._counts, np.ones(len(added), np.int64)]))
        both._sums = np.zeros(len(both._buckets), np.float64)
        np.add.at(both._sums, place, np.concatenate([self._sums, added]))
        return both

    def median(self) -> int | None:
        """None without values."""
        if not self.n:
            return None
        behind = np.cumsum(self._counts)
        places = np.searchsorted(behind, [(self.n - 1) // 2, self.n // 2], side="right")
        return round(float((self._sums[places] / self._counts[places]).mean()))


def _bucket(values: I64) -> I64:
    buckets: I64 = np.floor(np.log(np.maximum(values, 1)) / np.log(WIDTH)).astype(np.int64)
    return buckets
