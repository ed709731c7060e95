"""The columns of the lists: what a row says in each, by what it is sorted, and which columns there is room for.

Which columns are shown, and how wide they are, is a pure function of the widest cells and of the room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size

from inspector.endpoints import Endpoint
from inspector.records.connection import Connection, End
from inspector.records.endpoint import EndpointRecord
from inspector.report import units
from inspector.report.endpoint_table import (
    ENCRYPTED,
    closer_words,
    host_words,
    idle_at_close_words,
    median_text,
    per_connection_words,
    protocol_words,
)
from inspector.report.listing import closer_words as closer_of
from inspector.report.listing import requests_text
from inspector.report.screen.board import EndpointLine
from inspector.report.text import printable

_T = TypeVar("_T")

#: Sorts behind everything that is known.
_UNKNOWN = -1


@dataclass(slots=True, frozen=True)
class ListColumn(Generic[_T]):
    """A column of a list."""

    title: str
    text: Callable[[_T], str]
    order: Callable[[_T], Any]
    """What rows are sorted by; values of one column can be compared."""
    least: int
    """The narrowest that still says something."""
    most: int
    """Wider it does not get while other columns want room."""
    spare: int
    """Columns with the highest number go first where there is no room; 0: never."""
    right: bool = False
    largest_first: bool = False
    """How it is sorted at first."""
    shorter: Callable[[_T], str] | None = None
    """Says it with fewer letters, for where there is no room."""


def endpoint_columns() -> list[ListColumn[EndpointLine]]:
    """The list of endpoints."""
    return [
        ListColumn("host:port", _host, _host, 22, 48, 0, shorter=_short_host),
        ListColumn("protocol", lambda line: ", ".join(protocol_words(line.record.protocols)), _protocol, 8, 20, 5),
        ListColumn("open", lambda line: f"{line.record.still_open:,}", _open, 4, 7, 0, True, True),
        ListColumn("opened", lambda line: f"{line.record.opened:,}", _opened, 7, 9, 0, True, True),
        ListColumn("/s", lambda line: f"{line.rate:,.1f}", lambda line: line.rate, 4, 7, 6, True, True),
        ListColumn(
            "req/conn",
            lambda line: " ".join(per_connection_words(line.record, brief=True)),
            _per_connection,
            *(8, 18, 4, True, True),
            shorter=lambda line: median_text(line.record),
        ),
        ListColumn("closed by", lambda line: " ".join(closer_words(line.record)), _closed, 14, 32, 1, False, True),
        ListColumn(
            "idle at close", lambda line: " ".join(idle_at_close_words(line.record)), _idle, 7, 22, 2, False, True
        ),
        ListColumn("last", lambda line: line.last, lambda line: line.last, 11, 18, 7),
    ]


def connection_columns() -> list[ListColumn[Connection]]:
    """The list of an endpoint's connections."""
    return [
        ListColumn("id", lambda one: str(one.id), lambda one: one.id, 4, 9, 0, True, True),
        ListColumn("client", lambda one: _address(one.client), _client, 21, 47, 0),
        ListColumn("started", lambda one: clock(one.start_ns), lambda one: one.start_ns, 8, 8, 6, False, True),
        ListColumn(
            "protocol",
            lambda one: "tls*" if one.protocol == ENCRYPTED else one.protocol,
            lambda one: one.protocol,
            *(8, 9, 4),
        ),
        ListColumn("opened", lambda one: one.opened.how, lambda one: one.opened.how, 9, 10, 7),
        ListColumn("requests", requests_text, _requests, 8, 9, 0, True, True),
        ListColumn("closed by", _closer, _closer, 10, 19, 0),
        ListColumn("idle", _idle_text, _idle_ns, 6, 10, 2, True, True),
        ListColumn("duration", lambda one: units.duration(_lasted(one)), _lasted, 8, 12, 3, True, True),
        ListColumn("state", lambda one: one.state, lambda one: one.state, 6, 6, 8),
    ]


def clock(time_ns: int, milliseconds: bool = False) -> str:
    """The time of the day, here."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    text = f"{datetime.fromtimestamp(seconds):%H:%M:%S}"
    return f"{text}.{rest // 1_000_000:03}" if milliseconds else text


def _host(line: EndpointLine) -> str:
    return " ".join(host_words(line.record))


def _short_host(line: EndpointLine) -> str:
    record = line.record
    return _host(line) if record.name is None else f"{printable(record.name)}:{record.port}"


def _protocol(line: EndpointLine) -> str:
    return next(iter(line.record.protocols), "")


def _open(line: EndpointLine) -> int:
    return line.record.still_open


def _opened(line: EndpointLine) -> int:
    return line.record.opened


def _per_connection(line: EndpointLine) -> float:
    median = line.record.requests_per_connection.median
    return _UNKNOWN if median is None else median


def _closed(line: EndpointLine) -> int:
    closed = line.record.closed
    return closed.client_fin + closed.client_rst + closed.server_fin + closed.server_rst


def _idle(line: EndpointLine) -> int:
    return _longest_idle(line.record)


def _longest_idle(record: EndpointRecord) -> int:
    sides = (record.idle_before_close.server, record.idle_before_close.client)
    return max(_UNKNOWN if side.median_ns is None else side.median_ns for side in sides)


def _address(end: End) -> str:
    return str(Endpoint(end.ip, end.port))


def _client(one: Connection) -> tuple[str, int]:
    return one.client.ip, one.client.port


def _requests(one: Connection) -> int:
    if one.requests is not None:
        return one.requests
    return _UNKNOWN if one.estimate is None else one.estimate.exchanges


def _closer(one: Connection) -> str:
    return "open" if one.closed is None else " ".join(closer_of(one.closed))


def _idle_ns(one: Connection) -> int:
    return _UNKNOWN if one.closed is None or one.closed.idle_ns is None else one.closed.idle_ns


def _idle_text(one: Connection) -> str:
    return units.duration(None if one.closed is None else one.closed.idle_ns)


def _lasted(one: Connection) -> int:
    return one.end_ns - one.start_ns


@dataclass(slots=True, frozen=True)
class Fitted:
    """Which columns are shown, how wide, with how much between them."""

    shown: list[int]
    widths: list[int]
    gap: int

    def line(self, columns: Sequence[ListColumn[_T]], cells: Sequence[str], subject: _T | None = None) -> str:
        """A row of all columns' cells as the line that is shown; without its subject, no cell is said shorter."""
        told = []
        for at, width in zip(self.shown, self.widths, strict=True):
            column, cell = columns[at], cells[at]
            if column.shorter is not None and subject is not None and cell_len(cell) > width:
                cell = column.shorter(subject)
            told.append(aligned(cell, width, column.right))
        return " " + (" " * self.gap).join(told)


def aligned(text: str, width: int, right: bool) -> str:
    """Text in a column; what does not fit is cut, and that is shown."""
    if not text.isascii():
        length = cell_len(text)
        if length > width:
            return set_cell_size(text, width - 1) + "…"
        return " " * (width - length) + text if right else text + " " * (width - length)
    if len(text) > width:
        return text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def fitted(columns: Sequence[ListColumn[_T]], widest: Sequence[int], room: int) -> Fitted:
    """The columns in `room` cells, of which the margins take two; `widest`: their widest cells, titles among them."""
    room -= 2
    natural = [min(width, column.most) for width, column in zip(widest, columns, strict=True)]
    least = [min(width, column.least) for width, column in zip(natural, columns, strict=True)]
    shown = list(range(len(columns)))
    while True:
        for gap in (2, 1):
            between = gap * (len(shown) - 1)
            if sum(natural[at] for at in shown) + between <= room:
                return Fitted(shown, _widened(shown, natural, widest, room - between), gap)
        if sum(least[at] for at in shown) + len(shown) - 1 <= room:
            return Fitted(shown, _narrowed([natural[at] for at in shown], [least[at] for at in shown], room), 1)
        spare = max(shown, key=lambda at: columns[at].spare)
        if not columns[spare].spare:
            return Fitted(shown, [least[at] for at in shown], 1)
        shown.remove(spare)


def _widened(shown: Sequence[int], natural: Sequence[int], widest: Sequence[int], room: int) -> list[int]:
    """What is left over goes to cells that are cut, from the left."""
    widths = [natural[at] for at in shown]
    for i, at in enumerate(shown):
        widths[i] += min(widest[at] - natural[at], room - sum(widths))
    return widths


def _narrowed(widths: list[int], least: list[int], room: int) -> list[int]:
    """The column with most to give gives first."""
    room -= len(widths) - 1
    while (excess := sum(widths) - room) > 0:
        spare = [width - low for width, low in zip(widths, least, strict=True)]
        most = max(range(len(widths)), key=spare.__getitem__)
        widths[most] -= min(excess, max(1, spare[most] // 2))
    return widths
