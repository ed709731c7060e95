"""Text of the page's data: each string once, safe to be shown, and named by its number.

Whatever came from the wire passes `text.printable` here; the page sets it as text, never as markup.
"""

from __future__ import annotations

from inspector.report.text import printable


class Strings:
    """A list of different strings."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The string's number."""
        return self._numbers.setdefault(text, len(self._numbers))

    def maybe(self, text: str | None) -> int | None:
        """The string's number; None for what is not known."""
        return None if text is None else self(text)

    def all(self) -> list[str]:
        """The strings by their numbers, as they may be shown."""
        return [printable(text) for text in self._numbers]
