"""Intervals in, the offset that most of them allow out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.hops.clocks import Offset, offset


@pytest.mark.parametrize(
    ("intervals", "found"),
    [
        ([], None),
        ([(5, 4)], None),
        ([(0, 10)], Offset(5, 5, 1)),
        ([(0, 10), (4, 8)], Offset(6, 2, 2)),
        ([(0, 10), (4, 8), (100, 200)], Offset(6, 2, 2)),
        ([(0, 1), (10, 20), (12, 14), (13, 30)], Offset(13, 1, 3)),
        ([(7, 7)], Offset(7, 0, 1)),
    ],
)
def test_where_most_meet(intervals: list[tuple[int, int]], found: Offset | None) -> None:
    assert offset(intervals) == found


def test_of_equal_places_the_narrowest() -> None:
    assert offset([(0, 100), (50, 100), (200, 210), (205, 207)]) == Offset(206, 1, 2)


DURATIONS = st.integers(1, 10**9)


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(DURATIONS, DURATIONS), min_size=1, max_size=20),
)
def test_the_true_offset_lies_within_the_error(true_ns: int, waits: list[tuple[int, int]]) -> None:
    """However long the proxy took before it asked, and after it was answered."""
    found = offset([(true_ns - before, true_ns + after) for before, after in waits])
    assert found is not None
    assert abs(found.ns - true_ns) <= found.error_ns
    assert found.votes == len(waits)
