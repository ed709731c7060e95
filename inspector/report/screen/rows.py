"""The rows of a list: kept by difference, filtered, sorted, and found again when they move. Without Textual."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from rich.cells import cell_len

from inspector.report.screen.columns import ListColumn

_T = TypeVar("_T")


class Row(Generic[_T]):
    """One row."""

    __slots__ = ("cells", "key", "place", "round", "subject", "text")

    def __init__(self, key: Hashable, place: int) -> None:
        self.key = key
        self.place = place
        """In order of appearance: equal rows stay in it."""
        self.round = 0
        """The update in which it was last there."""
        self.subject: _T | None = None
        self.cells: list[str] = []
        self.text = ""
        """All cells in lower case, for the filter."""


class Rows(Generic[_T]):
    """All rows of a list, and those that are shown, in their order."""

    def __init__(self, columns: Sequence[ListColumn[_T]], sorted_by: int) -> None:
        self.columns = columns
        self.sorted_by = sorted_by
        self.descending = columns[sorted_by].largest_first
        self.words: list[str] = []
        """What shown rows contain, in lower case."""
        self.shown: list[Row[_T]] = []
        self.widest = [len(column.title) + 1 for column in columns]
        """Of all cells so far, so that columns do not jump; the titles have room for the sign of their order."""
        self._all: dict[Hashable, Row[_T]] = {}
        self._round = 0
        self._places = 0

    def __len__(self) -> int:
        return len(self._all)

    def update(self, subjects: Iterable[tuple[Hashable, _T]]) -> bool:
        """What there is now; rows of subjects that are the same objects are left alone. Whether anything changed."""
        self._round += 1
        round_, rows, changed, count = self._round, self._all, False, 0
        for key, subject in subjects:
            count += 1
            row = rows.get(key)
            if row is None:
                row = rows[key] = Row(key, self._places)
                self._places += 1
            row.round = round_
            if row.subject is not subject:
                self._fill(row, subject)
                changed = True
        if count < len(rows):
            self._all = {key: row for key, row in rows.items() if row.round == round_}
            changed = True
        if changed:
            self.arrange()
        return changed

    def clear(self) -> None:
        """No rows any more, and columns as narrow as at first."""
        self._all = {}
        self.shown = []
        self.widest = [len(column.title) + 1 for column in self.columns]

    def sort_by(self, column: int) -> None:
        """Sort by a column; by the same one the other way round."""
        if column == self.sorted_by:
            self.descending = not self.descending
        else:
            self.sorted_by = column
            self.descending = self.columns[column].largest_first
        self.arrange()

    def filter(self, text: str) -> None:
        """Show rows that contain all words of `text`."""
        self.words = text.lower().split()
        self.arrange()

    def arrange(self) -> None:
        """Choose and sort the rows that are shown."""
        order = self.columns[self.sorted_by].order
        words = self.words
        chosen = [row for row in self._all.values() if all(word in row.text for word in words)]
        keys: dict[int, Any] = {row.place: order(row.subject) for row in chosen if row.subject is not None}
        chosen.sort(key=lambda row: row.place)
        chosen.sort(key=lambda row: keys[row.place], reverse=self.descending)
        self.shown = chosen

    def place_of(self, key: Hashable) -> int | None:
        """Where a row is shown."""
        row = self._all.get(key)
        if row is None:
            return None
        try:
            return self.shown.index(row)
        except ValueError:
            return None

    def _fill(self, row: Row[_T], subject: _T) -> None:
        row.subject = subject
        row.cells = cells = [column.text(subject) for column in self.columns]
        row.text = " ".join(cells).lower()
        widest = self.widest
        for at, cell in enumerate(cells):
            width = len(cell) if cell.isascii() else cell_len(cell)
            if width > widest[at]:
                widest[at] = width
