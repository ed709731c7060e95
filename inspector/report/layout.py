"""Columns that fit: rows of cells become aligned lines of text no wider than the screen.

A cell is a list of words; the words of a cell stay on one line while the screen allows it, and are set one below the
other in the columns that may break when it does not. Without a screen (a pipe, a file) there is no limit and a row is
one line. No word is ever cut here: a value that cannot be broken makes its line longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Cell = Sequence[str]

_GAPS = (2, 1)


@dataclass(slots=True, frozen=True)
class Screen:
    """Where a report is shown."""

    width: int | None = None
    """Columns of the terminal; None when the output is no terminal."""
    colour: bool = False
    """Whether it may be coloured."""

    def dim(self, text: str) -> str:
        """Text that stands back."""
        return self._style(text, "2")

    def bold(self, text: str) -> str:
        """Text that stands out."""
        return self._style(text, "1")

    def warn(self, text: str) -> str:
        """Text about something wrong."""
        return self._style(text, "33")

    def _style(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


@dataclass(slots=True, frozen=True)
class Column:
    """A column of a grid."""

    title: str
    right: bool = False
    """Numbers stand at the right."""
    joint: str = " "
    """What is between the words of a cell that stand on one line."""
    breaks: bool = False
    """Whether the words of a cell may stand on several lines."""


def pack(words: Cell, joint: str, width: int | None) -> list[str]:
    """The words on as few lines of at most `width` characters as their order allows; a longer word has its own line."""
    if width is None:
        return [joint.join(words)]
    lines = [""]
    for i, word in enumerate(words):
        # A line that is broken keeps the joint, but for its blanks.
        trailing = joint.rstrip() if i + 1 < len(words) else ""
        longer = lines[-1] + joint + word if i else word
        if i == 0 or len(longer + trailing) <= width:
            lines[-1] = longer
        else:
            lines[-1] += joint.rstrip()
            lines.append(word)
    return lines


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen, indent: int = 1) -> Iterator[str]:
    """The titles, then the rows, as lines without trailing blanks."""
    for lines in blocks(columns, rows, screen, indent):
        yield from lines


def blocks(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen, indent: int = 1
) -> Iterator[list[str]]:
    """The lines of the titles, then those of each row."""
    gap, widths = _fit(columns, rows, None if screen.width is None else screen.width - indent)
    titles = [pack(column.title.split(" "), " ", width) for column, width in zip(columns, widths, strict=True)]
    yield [screen.dim(line) for line in _set(columns, widths, titles, gap, indent)]
    for row in rows:
        cells = [
            pack(cell, column.joint, width if column.breaks else None)
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        yield list(_set(columns, widths, cells, gap, indent))


def fits(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen, indent: int = 1) -> bool:
    """Whether the grid has room on the screen, with air between its columns."""
    return _fit(columns, rows, None if screen.width is None else screen.width - indent)[0] == _GAPS[0]


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int | None) -> tuple[int, list[int]]:
    """The gap and the columns' widths: natural where there is room, else with titles broken, else with cells, too."""
    whole = [max((len(column.joint.join(row[i])) for row in rows), default=0) for i, column in enumerate(columns)]
    broken = [_broken(column, whole[i], [row[i] for row in rows]) for i, column in enumerate(columns)]
    titles = [max(map(len, column.title.split(" "))) for column in columns]
    natural = [max(body, len(column.title)) for body, column in zip(whole, columns, strict=True)]
    if room is None:
        return _GAPS[0], natural
    for gap in _GAPS:
        widths = natural
        for bodies in (whole, broken):
            least = list(map(max, bodies, titles))
            widths = _shrink(widths, least, room - gap * (len(columns) - 1))
        if sum(widths) + gap * (len(columns) - 1) <= room:
            break
    return gap, widths


def _broken(column: Column, whole: int, cells: Iterable[Cell]) -> int:
    """The width of the cells when each word has its own line (behind which the joint stands, but for its blanks)."""
    if not column.breaks:
        return whole
    return max((len(word) for cell in cells for word in cell), default=0) + len(column.joint.rstrip())


def _shrink(wide: list[int], least: list[int], room: int) -> list[int]:
    """Widths no narrower than need be: the column with most to give gives first."""
    widths = wide.copy()
    while (excess := sum(widths) - room) > 0:
        spare = [width - low for width, low in zip(widths, least, strict=True)]
        widest = max(range(len(widths)), key=spare.__getitem__)
        if spare[widest] <= 0:
            break
        widths[widest] -= min(spare[widest], excess)
    return widths


def _set(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[str]], gap: int, indent: int
) -> Iterator[str]:
    """The lines of one row, each cell being one line or more."""
    for i in range(max(len(cell) for cell in cells)):
        words = [cell[i] if i < len(cell) else "" for cell in cells]
        aligned = [
            word.rjust(width) if column.right else word.ljust(width)
            for column, width, word in zip(columns, widths, words, strict=True)
        ]
        yield (" " * indent + (" " * gap).join(aligned)).rstrip()


def hanging(label: str, words: Cell, joint: str, screen: Screen) -> Iterator[str]:
    """A label and words behind it; lines that follow are indented to where the words began (three deep, without a
    label)."""
    indent = len(label) or 3
    room = None if screen.width is None else max(screen.width - indent, 20)
    for i, line in enumerate(pack(words, joint, room)):
        yield (label if i == 0 else " " * indent) + line
