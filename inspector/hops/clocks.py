"""How far two captures' clocks are apart, from requests that are in both.

A proxy passes a request on after it has come, and its answer before that is sent on. So for each pair the upstream
times, shifted by the offset, lie inside the downstream ones: the pair allows an interval of offsets. The true offset
lies in the intervals of all true pairs; where pairs are only guessed (the same target), it is the one that most allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Offset:
    """What is added to upstream times to have downstream ones."""

    ns: int
    error_ns: int
    """It may be so much more or less."""
    votes: int
    """Intervals that allow it."""


def offset(intervals: Sequence[tuple[int, int]]) -> Offset | None:
    """The middle of where most intervals (first, last; in nanoseconds) meet; None without a valid one.

    Of several such places the narrowest: true pairs meet in few microseconds, chance does not.
    """
    edges = [(first, 0, 1) for first, last in intervals if first <= last]
    edges += [(last, 1, -1) for first, last in intervals if first <= last]
    if not edges:
        return None
    edges.sort()
    best: tuple[int, int, int] | None = None
    depth = 0
    for i, (at, _, step) in enumerate(edges):
        depth += step
        if step < 0:
            continue
        # A maximum ends where the next edge closes an interval.
        width = edges[i + 1][0] - at
        if edges[i + 1][2] < 0 and (best is None or (-depth, width) < best[:2]):
            best = (-depth, width, at)
    assert best is not None
    votes, width, at = best
    return Offset(at + width // 2, width - width // 2, -votes)
