"""The stories of connections in columns: the lines that `connspect show` prints, as far as there is room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.report import units
from inspector.report.html import budget
from inspector.report.html.strings import Strings
from inspector.report.layout import Screen
from inspector.report.lines import Line
from inspector.report.story import told
from inspector.report.totals import ending, totals

#: Who a line is about, as a number.
_WHO = {"": None, "client": 0, "server": 1}
#: Lines of one story, which is summed up already; of more, how many they are.
_LINES_OF_ONE = 400


class Stories:
    """Stories in the order in which they were added."""

    def __init__(self, strings: Strings) -> None:
        self._strings = strings
        self._stories: dict[str, list[Any]] = {"row": [], "lines": [], "below": []}
        self._lines: dict[str, list[Any]] = {name: [] for name in ("time", "number", "who", "what", "remarks")}

    def add_all(
        self,
        connections: Iterable[Connection],
        rows: dict[int, int],
        events_of: Callable[[int], tuple[Sequence[EventRecord], int]],
    ) -> int:
        """Tell these, the first ones first; how many are left out."""
        silent = 0
        for connection in connections:
            events, earlier = events_of(connection.id)
            if not events or len(self._lines["what"]) >= budget.LINES:
                silent += 1
            else:
                self._add(connection, rows[connection.id], told(connection, events, False), earlier)
        return silent

    def columns(self) -> dict[str, list[Any]]:
        """Row, number of lines and what stands below each story; then all lines, one story after the other."""
        return self._stories | self._lines

    def _add(self, connection: Connection, row: int, lines: Sequence[Line], earlier: int) -> None:
        strings, before = self._strings, len(self._lines["what"])
        if earlier:
            self._line(connection, Line(None, 0, "", f"· {units.plural(earlier, 'earlier event')} not kept ·"))
        for line in lines[:_LINES_OF_ONE]:
            self._line(connection, line)
        if len(lines) > _LINES_OF_ONE:
            self._line(connection, Line(None, 0, "", f"· {units.plural(len(lines) - _LINES_OF_ONE, 'further line')} ·"))
        below = [*ending(connection, False), *totals(connection, Screen())]
        self._stories["row"].append(row)
        self._stories["lines"].append(len(self._lines["what"]) - before)
        self._stories["below"].append([strings(line.removeprefix("  ")) for line in below])

    def _line(self, connection: Connection, line: Line) -> None:
        silent = line.time_ns is None
        values = (
            None if line.time_ns is None else line.time_ns - connection.start_ns,
            None if silent else line.packet,
            _WHO[line.who],
            self._strings(line.what),
            self._strings.maybe(", ".join(line.remarks) or None),
        )
        for name, value in zip(self._lines, values, strict=True):
            self._lines[name].append(value)
