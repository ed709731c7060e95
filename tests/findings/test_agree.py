"""Values in, what they agree on out."""

from __future__ import annotations

from inspector.findings.agree import Agreement, agreement

MS = 1_000_000
SECOND = 1_000 * MS


def ms(*values: int) -> list[int]:
    return [value * MS for value in values]


def test_nothing_agrees_on_nothing() -> None:
    assert agreement([]) is None


def test_one_value_is_few() -> None:
    alone = agreement(ms(7_000))
    assert alone == Agreement(7_000 * MS, 7_000 * MS, 7_000 * MS, 1, (), ticks=False)
    assert alone.qualifiers == ("few-samples",)


def test_two_values_within_100_ms_agree() -> None:
    assert agreement(ms(1_000, 1_100)) == Agreement(1_050 * MS, 1_000 * MS, 1_100 * MS, 2, (), ticks=False)
    assert agreement(ms(1_000, 1_101)) is None


def test_two_values_within_5_percent_agree() -> None:
    assert agreement(ms(60_000, 62_900)) is not None
    assert agreement(ms(60_000, 63_300)) is None


def test_of_many_values_an_outlier_is_set_aside_and_named() -> None:
    agreed = agreement(ms(7_000, 7_010, 3_000, 7_020, 7_005))
    assert agreed == Agreement((7_005 * MS + 7_010 * MS) // 2, 7_000 * MS, 7_020 * MS, 4, (2,), ticks=False)
    assert agreed.qualifiers == ("spread",)


def test_values_all_over_the_place_do_not_agree() -> None:
    assert agreement(ms(500, 2_000, 7_000, 9_000, 30_000)) is None


def test_values_of_two_timers_do_not_agree() -> None:
    assert agreement(ms(5_000, 5_000, 5_000, 15_000, 15_000, 15_000)) is None


def test_a_timer_that_is_looked_at_once_a_second_ticks() -> None:
    agreed = agreement(ms(5_010, 5_300, 5_700, 5_990))
    assert agreed is not None
    assert agreed.ticks
    assert agreed.min_ns == 5_010 * MS
