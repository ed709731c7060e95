"""Lines of text that can be scrolled: a connection's story, the help, the event stream."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Lines(ScrollView, can_focus=True):
    """Lines as the reports write them, with their escape sequences for bold, dim and yellow."""

    DEFAULT_CSS = """
    Lines { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; background: ansi_default; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Sequence[str] = []

    def show(self, lines: Sequence[str]) -> None:
        """These lines; where it is scrolled to stays."""
        if lines == self._lines:
            return
        self._lines = lines
        self.virtual_size = Size(self.size.width, len(lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at, width = y + self.scroll_offset.y, self.size.width
        if at >= len(self._lines):
            return Strip.blank(width)
        text = Text.from_ansi(self._lines[at])
        text.truncate(width, overflow="ellipsis", pad=True)
        return Strip(text.render(self.app.console), width)
