"""A list of any length: only the lines in sight are made, each of one piece of text.

Textual's DataTable keeps styled cells and heights for every row and lays all of them out when they are sorted anew;
this keeps strings, and a redraw costs what is in sight.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from inspector.report.screen.columns import Fitted, ListColumn, aligned, fitted
from inspector.report.screen.rows import Rows

_T = TypeVar("_T")

_TITLES = Style(bold=True, underline=True)
_CURSOR = Style(reverse=True)
_PLAIN = Style()


class Listing(ScrollView, Generic[_T], can_focus=True):
    """A sorted, filtered list with a cursor."""

    class Chosen(Message):
        """Somebody wants to see more of the row under the cursor."""

    DEFAULT_CSS = """
    Listing { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; background: ansi_default; }
    """

    def __init__(self, columns: Sequence[ListColumn[_T]], sorted_by: int, *, empty: str, id: str) -> None:
        """`empty`: what is said where there is no row."""
        super().__init__(id=id)
        self.rows = Rows(columns, sorted_by)
        self._empty = empty
        self._fitted = Fitted([], [], 1)
        self._cursor: Hashable | None = None
        """The row under the cursor; None: the first one, whichever it is."""
        self._at = 0
        """Where the cursor is."""

    # ---- what there is

    def show(self, subjects: Iterable[tuple[Hashable, _T]]) -> None:
        """What there is now."""
        if self.rows.update(subjects):
            self._settle()

    def start_over(self) -> None:
        """Forget all rows, and where the cursor was."""
        self.rows.clear()
        self._cursor, self._at = None, 0
        self.scroll_to(y=0, animate=False)

    def filter(self, text: str) -> None:
        """Show the rows that contain all words."""
        self.rows.filter(text)
        self._settle()

    def sort_next(self) -> None:
        """Sort by the next column that is shown."""
        shown = self._fitted.shown or [0]
        later = [at for at in shown if at > self.rows.sorted_by]
        self.sort_by(later[0] if later else shown[0])

    def sort_by(self, column: int) -> None:
        """Sort by a column; by the same one the other way round."""
        self.rows.sort_by(column)
        self._cursor, self._at = None, 0
        self.scroll_to(y=0, animate=False)
        self._settle()

    @property
    def order(self) -> str:
        """By what it is sorted, in words."""
        column = self.rows.columns[self.rows.sorted_by]
        return f"{column.title} {'▼' if self.rows.descending else '▲'}"

    def _settle(self) -> None:
        """After rows have moved: the cursor stays on its row, and that row where it is on the screen."""
        before = self._at
        if self._cursor is None:
            self._at = 0
        else:
            place = self.rows.place_of(self._cursor)
            self._at = min(before, max(0, len(self.rows.shown) - 1)) if place is None else place
        self._fitted = fitted(self.rows.columns, self.rows.widest, self._room)
        size = Size(self._room, len(self.rows.shown) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        if self._at != before:
            self.scroll_to(y=max(0, self.scroll_offset.y + self._at - before), animate=False)
        self.refresh()

    # ---- what is seen

    @property
    def _room(self) -> int:
        return max(10, self.size.width - 1)

    def on_resize(self, event: Resize) -> None:
        self._settle()
        self._into_sight()

    def render_line(self, y: int) -> Strip:
        """The titles, then rows from where it is scrolled to."""
        width, shown = self.size.width, self.rows.shown
        if y == 0:
            return _strip(self._titles(), width, _TITLES)
        at = y - 1 + self.scroll_offset.y
        if at < len(shown):
            line = self._fitted.line(self.rows.columns, shown[at].cells, shown[at].subject)
            return _strip(line, width, _CURSOR if at == self._at else _PLAIN)
        if y == 2 and not shown:
            nothing = f" nothing contains '{' '.join(self.rows.words)}'" if self.rows.words else f" {self._empty}"
            return _strip(nothing, width, _PLAIN)
        return Strip.blank(width)

    def _titles(self) -> str:
        rows = self.rows
        sign = "▼" if rows.descending else "▲"
        titles = [column.title + (sign if at == rows.sorted_by else "") for at, column in enumerate(rows.columns)]
        return self._fitted.line(rows.columns, titles)

    # ---- the cursor

    @property
    def chosen(self) -> Hashable:
        """The row under the cursor; None where there is none."""
        return self.rows.shown[self._at].key if self._at < len(self.rows.shown) else None

    def move(self, rows: int) -> None:
        """Move the cursor; no further than to the first or last row."""
        self._move_to(self._at + rows)

    def _move_to(self, place: int) -> None:
        shown = self.rows.shown
        if not shown:
            return
        self._at = max(0, min(place, len(shown) - 1))
        self._cursor = shown[self._at].key
        self._into_sight()
        self.refresh()

    def _into_sight(self) -> None:
        top, lines = self.scroll_offset.y, max(1, self.size.height - 1)
        if self._at < top:
            self.scroll_to(y=self._at, animate=False)
        elif self._at >= top + lines:
            self.scroll_to(y=self._at - lines + 1, animate=False)

    def on_click(self, event: Click) -> None:
        if event.y == 0:
            column = self._column_at(event.x)
            if column is not None:
                self.sort_by(column)
            return
        place = event.y - 1 + self.scroll_offset.y
        if place < len(self.rows.shown):
            again = place == self._at and event.chain > 1
            self._move_to(place)
            if again:
                self.post_message(self.Chosen())

    def _column_at(self, x: int) -> int | None:
        begins = 1
        for at, width in zip(self._fitted.shown, self._fitted.widths, strict=True):
            if begins <= x < begins + width + self._fitted.gap:
                return at
            begins += width + self._fitted.gap
        return None


def _strip(text: str, width: int, style: Style) -> Strip:
    return Strip([Segment(aligned(text, width, False), style)], width)
