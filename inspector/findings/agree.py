"""Whether measured times agree, so that a timer may be named (FINDINGS.md, definitions: "values agree").

Pure arithmetic on nanoseconds. Few values have to be close together; of four and more, the bulk decides and outliers
are set aside and counted. A timer that is looked at once a second gives values from its nominal one upward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.records.finding import Qualifier

#: Values agree when they lie within this part of the median, or this many nanoseconds, whichever is larger.
TOLERANCE = 0.05
TOLERANCE_NS = 100_000_000
#: From so many values on, the median absolute deviation decides.
ENOUGH = 4
#: A timer that ticks: the spread of its values at most, and their minimum in parts of its nominal value.
TICK_SPREAD_NS = 1_100_000_000
TICK_LEAST = 0.95
#: Values farther from the median than so many deviations (or the tolerance) are outliers.
OUTLYING = 5
#: The bulk: values that must be no outliers.
BULK = 0.75


@dataclass(slots=True, frozen=True)
class Agreement:
    """What values agree on."""

    median_ns: int
    min_ns: int
    max_ns: int
    n: int
    """Values that agree."""
    outliers: tuple[int, ...]
    """Positions, in the given order, of those that do not."""
    ticks: bool
    """Whether they spread like those of a timer that is looked at once a second; then the nominal value is just
    below `min_ns`."""

    @property
    def qualifiers(self) -> tuple[Qualifier, ...]:
        """What makes it less sure."""
        few: tuple[Qualifier, ...] = ("few-samples",) if self.n == 1 else ()
        return (*few, "spread") if self.outliers else few


def agreement(values_ns: Sequence[int]) -> Agreement | None:
    """What the values agree on; None when there are none, or when they do not agree."""
    if not values_ns:
        return None
    ordered = sorted(values_ns)
    median = _median(ordered)
    tolerance = max(int(median * TOLERANCE), TOLERANCE_NS)
    if ordered[-1] - ordered[0] <= tolerance:
        return Agreement(median, ordered[0], ordered[-1], len(ordered), (), ticks=False)
    if len(ordered) < ENOUGH:
        return None
    deviation = _median(sorted(abs(value - median) for value in ordered))
    if deviation <= tolerance // 2:
        return _bulk(values_ns, median, max(tolerance, OUTLYING * deviation))
    if ordered[-1] - ordered[0] <= TICK_SPREAD_NS and ordered[0] >= TICK_LEAST * 1_000_000_000:
        return Agreement(median, ordered[0], ordered[-1], len(ordered), (), ticks=True)
    return None


def _bulk(values_ns: Sequence[int], median: int, reach: int) -> Agreement | None:
    """The values within reach of the median, when they are most of them."""
    inside = [value for value in values_ns if abs(value - median) <= reach]
    if len(inside) < BULK * len(values_ns):
        return None
    outside = tuple(i for i, value in enumerate(values_ns) if abs(value - median) > reach)
    return Agreement(_median(sorted(inside)), min(inside), max(inside), len(inside), outside, ticks=False)


def _median(ordered: Sequence[int]) -> int:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2
