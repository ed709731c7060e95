"""Medians in bounded room: within half a percent, whatever is added, in whatever pieces."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.records.endpoints import median_ns
from inspector.records.spread import WIDTH, Spread

DAY_NS = 86_400 * 10**9

durations = st.one_of(st.integers(0, 10), st.integers(0, DAY_NS), st.integers(6_999_000_000, 7_001_000_000))


def spread(*pieces: list[int]) -> Spread:
    whole = Spread()
    for piece in pieces:
        whole = whole.with_values(array("q", piece))
    return whole


@given(st.lists(durations, min_size=1, max_size=200))
def test_the_median_is_within_half_a_percent(values: list[int]) -> None:
    found, exact = spread(values).median(), median_ns(values)
    assert found is not None
    # Two values, where their number is even: each is off by a bucket's width at the most.
    assert abs(found - exact) <= (WIDTH - 1) * exact + 2


@given(st.lists(st.lists(durations, max_size=30), max_size=6))
def test_pieces_make_no_difference(pieces: list[list[int]]) -> None:
    whole, values = spread(*pieces), [value for piece in pieces for value in piece]
    assert whole.n == len(values)
    assert whole.median() == pytest.approx(spread(values).median(), abs=1)
    if values:
        assert (whole.min, whole.max) == (min(values), max(values))


def test_values_that_are_alike_are_exact() -> None:
    assert spread([7_003_000_000] * 9).median() == 7_003_000_000
    assert spread().median() is None


def test_adding_makes_another_one() -> None:
    one = spread([5])
    other = one.with_values(array("q", [7, 9]))
    assert (one.n, one.median(), other.n, other.median()) == (1, 5, 3, 7)


def test_room_does_not_grow_with_the_number_of_values() -> None:
    values = [round(1.0003**n) for n in range(100_000)]
    assert len(spread(values)._counts) < 6_100 < spread(values).n
