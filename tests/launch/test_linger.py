"""When to report after the command has ended. Times are in milliseconds here."""

from __future__ import annotations

import pytest

from inspector.launch.linger import is_over

MS = 1_000_000


@pytest.mark.parametrize(
    ("now", "last", "left", "over"),
    [
        (10_100, 9_900, False, False),  # the last segments still come
        (10_300, 9_900, False, True),
        (10_300, 10_200, False, False),  # one just came
        (10_500, 10_200, False, True),
        (10_500, 9_000, True, False),  # a child works on
        (12_000, 9_000, True, True),  # but it is quiet
        (20_000, 19_900, True, False),
        (40_000, 39_900, True, True),  # for ever
        (40_000, 39_900, False, True),
    ],
)
def test_after_an_end_at_10_s(now: int, last: int, left: bool, over: bool) -> None:
    assert is_over(now * MS, 10_000 * MS, last * MS, left) is over
