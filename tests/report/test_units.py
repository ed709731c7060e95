"""Numbers as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.report import units

MS = 1_000_000
SECOND = 1_000 * MS


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (400, "0.4 µs"),
        (9_949, "9.9 µs"),
        (60_000, "0.06 ms"),
        (210_000, "0.21 ms"),
        (9_994_000, "9.99 ms"),
        (9_996_000, "10.0 ms"),
        (123 * MS, "123 ms"),
        (999_499_999, "999 ms"),
        (999_500_000, "1.00 s"),
        (7_003 * MS, "7.00 s"),
        (59_949 * MS, "59.9 s"),
        (59_950 * MS, "1 min 0 s"),
        (123 * SECOND, "2 min 3 s"),
        (3_599_600 * MS, "1 h 0 min"),
        (3 * 86_400 * SECOND + 4 * 3_600 * SECOND, "3 d 4 h"),
        (-210_000, "-0.21 ms"),
    ],
)
def test_durations(ns: int | None, text: str) -> None:
    assert units.duration(ns) == text


UNIT_NS = {"µs": 1_000, "ms": MS, "s": SECOND, "min": 60 * SECOND, "h": 3_600 * SECOND, "d": 86_400 * SECOND}


def meant(text: str) -> float:
    """The duration that a text stands for, in ns."""
    return sum(float(n.replace(",", "")) * UNIT_NS[unit] for n, unit in re.findall(r"([\d.,]+) (\w+)", text))


@given(st.integers(1_000, 10**18))
def test_a_duration_is_told_to_a_twentieth_or_5_microseconds(ns: int) -> None:
    text = units.duration(ns)
    assert meant(text) == pytest.approx(ns, rel=0.05, abs=5_000), text
    assert not re.search(r"(^| )(1000 .s|60(\.0)? s|60 min|24 h)", text)


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_the_longer_duration_never_reads_shorter(one: int, other: int) -> None:
    short, long = sorted((one, other))
    assert meant(units.duration(short)) <= meant(units.duration(long))


@pytest.mark.parametrize(
    ("middle", "low", "high", "words"),
    [
        (7_003 * MS, 7_001 * MS, 7_012 * MS, ["7.00 s", "(7.00 – 7.01)"]),
        (7_003 * MS, 7_001 * MS, 7_002 * MS, ["7.00 s"]),
        (3 * MS, 1 * MS, 20 * SECOND, ["3.00 ms", "(1.00 ms – 20.0 s)"]),
        (70 * SECOND, 61 * SECOND, 80 * SECOND, ["1 min 10 s", "(1 min 1 s – 1 min 20 s)"]),
        (70 * SECOND, 70 * SECOND, 70 * SECOND, ["1 min 10 s"]),
        (None, None, None, ["–"]),
    ],
)
def test_a_range_is_told_where_it_differs(middle: int, low: int, high: int, words: list[str]) -> None:
    assert units.spread(middle, low, high) == words


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (9_999, "9,999 bytes"),
        (10_000, "10.0 kB"),
        (999_499, "999.5 kB"),
        (999_500, "1.0 MB"),
        (20_000_000, "20.0 MB"),
        (5 * 10**12, "5,000.0 GB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert units.size(count) == text


def test_times_within_a_connection_are_grouped() -> None:
    assert units.since_start(7_003_214_400) == "7.003 214"
    assert units.since_start(43_000) == "0.000 043"
    assert units.since_start(-1_500_000) == "-0.001 500"
    assert units.since_start(3_600 * SECOND) == "3,600.000 000"


def test_nouns_follow_their_number() -> None:
    assert units.plural(1, "packet") == "1 packet"
    assert units.plural(1_234, "packet") == "1,234 packets"
    assert units.times("server FIN", 1_234) == "server FIN ×1,234"
