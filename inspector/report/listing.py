"""One line a connection, one line an event: what --connections and --events add to the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.endpoints import Endpoint
from inspector.records.connection import Closed, Connection, End
from inspector.records.event import EventRecord
from inspector.report import units
from inspector.report.endpoint_table import ENCRYPTED, closer
from inspector.report.layout import Column, Screen, fits, grid
from inspector.report.text import printable

_NAME = Column("name")
#: What is left out first where there is no room.
_DURATION = Column("duration", right=True)
_STATE = Column("state")
_CLOSER = Column("closed by", breaks=True)
_CONNECTIONS = (
    Column("id", right=True),
    Column("client", joint="", breaks=True),
    Column("server", joint="", breaks=True),
    _NAME,
    Column("protocol"),
    Column("opened"),
    Column("requests", right=True),
    _CLOSER,
    Column("idle", right=True),
    _DURATION,
    _STATE,
)
_EVENTS = (
    Column("time", right=True),
    Column("packet", right=True),
    Column("id", right=True),
    Column("by"),
    Column("event"),
    Column("detail", breaks=True),
)


def connection_list(connections: Sequence[Connection], screen: Screen, most: int | None) -> Iterator[str]:
    """A line a connection, at most `most` (None: all), and how many were left out. Without room, fewer columns.

    Servers' names are told where they tell connections apart.
    """
    columns, rows = list(_CONNECTIONS), [_connection_row(connection) for connection in connections[:most]]
    if not _names_differ(connections):
        columns, rows = _without(_NAME, columns, rows)
    for spare in (_DURATION, _STATE):
        if not fits(columns, rows, screen):
            columns, rows = _without(spare, columns, rows)
    if not fits(columns, rows, screen):
        at = columns.index(_CLOSER)
        for row in rows:
            row[at] = " ".join(row[at]).split(" ")
    yield from grid(columns, rows, screen)
    if most is not None and len(connections) > most:
        yield f" … and {len(connections) - most:,} more: -v lists them"


def event_list(events: Sequence[EventRecord], first_ns: int, screen: Screen) -> Iterator[str]:
    """A line an event, with its time in seconds since `first_ns`."""
    yield from grid(_EVENTS, [_event_row(event, first_ns) for event in events], screen)


def _names_differ(connections: Sequence[Connection]) -> bool:
    """Whether there are names, and several of them or several servers."""
    named = {connection.name for connection in connections if connection.name is not None}
    if len(named) != 1:
        return bool(named)
    return len({(connection.server.ip, connection.server.port) for connection in connections}) > 1


def _without(
    column: Column, columns: list[Column], rows: list[list[list[str]]]
) -> tuple[list[Column], list[list[list[str]]]]:
    at = columns.index(column)
    return columns[:at] + columns[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]


def _address(end: End) -> list[str]:
    """The address and the port, to be set side by side or one below the other."""
    ip, colon, port = str(Endpoint(end.ip, end.port)).rpartition(":")
    return [ip, colon + port]


def _connection_row(connection: Connection) -> list[list[str]]:
    closed = connection.closed
    return [
        [str(connection.id)],
        _address(connection.client),
        _address(connection.server),
        [units.UNKNOWN if connection.name is None else printable(connection.name)],
        [f"{connection.protocol}*" if connection.protocol == ENCRYPTED else connection.protocol],
        [connection.opened.how],
        [requests_text(connection)],
        ["still open"] if closed is None else closer_words(closed),
        [units.duration(None if closed is None else closed.idle_ns)],
        [units.duration(connection.end_ns - connection.start_ns)],
        [connection.state],
    ]


def requests_text(connection: Connection) -> str:
    """Requests on a connection, or behind ~ an estimate."""
    if connection.requests is not None:
        return f"{connection.requests:,}"
    return units.UNKNOWN if connection.estimate is None else f"~{connection.estimate.exchanges:,}"


def closer_words(closed: Closed) -> list[str]:
    """Who closed a connection and how."""
    said = closed.announced
    return closer(closed.by, closed.how, said.by if said is not None and said.how == "goaway" else None)


def _event_row(event: EventRecord, first_ns: int) -> list[list[str]]:
    return [
        [units.since_start(event.time_ns - first_ns)],
        [str(event.packet)],
        [str(event.connection)],
        [event.by or ""],
        [event.event],
        printable(event.detail).split(" "),
    ]
