"""Columns that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.report.layout import Column, Screen, fits, grid, hanging, pack

COLUMNS = (
    Column("host:port", breaks=True),
    Column("per connection", right=True),
    Column("closed by", joint=", ", breaks=True),
)
ROWS = [
    [["shop.test", "10.0.0.1:8001"], ["3"], ["server FIN ×6", "client RST ×1"]],
    [["10.0.0.2:80"], ["1,200"], ["client FIN ×2"]],
]


def test_without_a_screen_a_row_is_a_line() -> None:
    assert list(grid(COLUMNS, ROWS, Screen())) == [
        " host:port                per connection  closed by",
        " shop.test 10.0.0.1:8001               3  server FIN ×6, client RST ×1",
        " 10.0.0.2:80                       1,200  client FIN ×2",
    ]


def test_titles_break_before_cells_do() -> None:
    assert list(grid(COLUMNS, ROWS, Screen(66))) == [
        " host:port                       per  closed by",
        "                          connection",
        " shop.test 10.0.0.1:8001           3  server FIN ×6, client RST ×1",
        " 10.0.0.2:80                   1,200  client FIN ×2",
    ]


def test_cells_break_between_their_words() -> None:
    assert list(grid(COLUMNS, ROWS, Screen(45))) == [
        " host:port                per  closed by",
        "                   connection",
        " shop.test                  3  server FIN ×6,",
        " 10.0.0.1:8001                 client RST ×1",
        " 10.0.0.2:80            1,200  client FIN ×2",
    ]


def test_a_grid_without_room_is_known() -> None:
    assert fits(COLUMNS, ROWS, Screen(45))
    assert not fits(COLUMNS, ROWS, Screen(38))
    assert fits(COLUMNS, ROWS, Screen())


def test_only_a_coloured_screen_has_escapes() -> None:
    assert next(grid(COLUMNS, ROWS, Screen(80, colour=True))).startswith("\x1b[2m")
    assert "\x1b" not in "".join(grid(COLUMNS, ROWS, Screen(80)))


words = st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=6)


@given(words, st.sampled_from([", ", " ", ""]), st.integers(1, 30))
def test_packing_keeps_every_word_in_order(cell: list[str], joint: str, width: int) -> None:
    lines = pack(cell, joint, width)
    assert "".join(lines).replace(joint.strip(), "").replace(" ", "") == "".join(cell)
    assert all(len(line) <= width or line.removesuffix(joint.rstrip()) in cell for line in lines)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5), st.integers(30, 100))
def test_what_fits_is_not_wider_than_the_screen(rows: list[tuple[list[str], list[str]]], width: int) -> None:
    columns = (Column("left", joint=", ", breaks=True), Column("right", right=True, breaks=True))
    cells = [list(row) for row in rows]
    lines = list(grid(columns, cells, Screen(width)))
    assert max(map(len, lines)) <= width or not fits(columns, cells, Screen(width))


def test_lines_hang_below_the_first_word() -> None:
    assert list(hanging(" skipped   ", ["not TCP 4", "malformed 1"], ", ", Screen(31))) == [
        " skipped   not TCP 4,",
        "           malformed 1",
    ]
