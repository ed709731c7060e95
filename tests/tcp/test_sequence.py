"""Sequence numbers around the wrap, and sets of offsets against sets of integers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.tcp.sequence import MASK, RangeSet, distance

numbers = st.integers(0, MASK)


@pytest.mark.parametrize(
    ("later", "earlier", "ahead"),
    [
        (1, 0, 1),
        (0, 1, -1),
        (0, 0xFFFFFFFF, 1),
        (0xFFFFFFFF, 0, -1),
        (0x10, 0xFFFFFFF0, 0x20),
        (0x7FFFFFFF, 0, 0x7FFFFFFF),
        (0x80000000, 0, -0x80000000),
        (0, 0x80000000, -0x80000000),
        (0x80000001, 0, -0x7FFFFFFF),
    ],
)
def test_distance_around_the_wrap(later: int, earlier: int, ahead: int) -> None:
    assert distance(later, earlier) == ahead


@given(numbers, st.integers(-(1 << 31), (1 << 31) - 1))
def test_distance_undoes_an_addition(start: int, ahead: int) -> None:
    assert distance((start + ahead) & MASK, start) == ahead


_OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(-40, 40), st.integers(-3, 20)), max_size=30)


@settings(max_examples=200)
@given(_OPERATIONS)
def test_a_range_set_is_a_set_of_integers(operations: list[tuple[bool, int, int]]) -> None:
    ranges, integers = RangeSet(), set[int]()
    for adds, start, length in operations:
        told = set(range(start, start + length))
        if adds:
            assert ranges.add(start, start + length) == len(told - integers)
            integers |= told
        else:
            assert ranges.remove(start, start + length) == len(told & integers)
            integers -= told
        assert [number for low, high in ranges for number in range(low, high)] == sorted(integers)
        assert ranges.size() == len(integers)
        assert ranges.lowest() == min(integers, default=None)
        in_pieces = sum(number - 1 not in integers for number in integers)
        assert len(ranges) == in_pieces, "neighbours are one range"


def test_a_range_set_never_grows_beyond_its_limit() -> None:
    ranges = RangeSet(limit=3)
    assert [ranges.add(start, start + 1) for start in (0, 10, 13)] == [1, 1, 1]
    assert ranges.add(100, 101) == 1
    assert list(ranges) == [(0, 1), (10, 14), (100, 101)], "the nearest two are taken for one"


def test_a_range_set_with_many_ranges_keeps_its_limit() -> None:
    ranges = RangeSet()
    for start in range(0, 8_400, 2):
        ranges.add(start, start + 1)
    assert len(ranges) == 4096
    assert ranges.lowest() == 0
