"""One line a connection, one line an event: what --connections and --events add to the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.endpoints import Endpoint
from inspector.records.connection import Connection, End
from inspector.records.event import EventRecord
from inspector.report import units
from inspector.report.layout import Column, Screen, fits, grid
from inspector.report.text import printable

_DURATION = Column("duration", right=True)
_CONNECTIONS = (
    Column("id", right=True),
    Column("client", joint="", breaks=True),
    Column("server", joint="", breaks=True),
    Column("opened"),
    Column("requests", right=True),
    Column("closed by", breaks=True),
    Column("idle", right=True),
    _DURATION,
    Column("state"),
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
    """A line a connection, at most `most` (None: all), and how many were left out. Without room, no durations."""
    rows = [_connection_row(connection) for connection in connections[:most]]
    shown = [i for i, column in enumerate(_CONNECTIONS) if column is not _DURATION or fits(_CONNECTIONS, rows, screen)]
    yield from grid([_CONNECTIONS[i] for i in shown], [[row[i] for i in shown] for row in rows], screen)
    if most is not None and len(connections) > most:
        yield f" … and {len(connections) - most:,} more: -v lists them"


def event_list(events: Sequence[EventRecord], first_ns: int, screen: Screen) -> Iterator[str]:
    """A line an event, with its time in seconds since `first_ns`."""
    yield from grid(_EVENTS, [_event_row(event, first_ns) for event in events], screen)


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
        [connection.opened.how],
        [units.UNKNOWN if connection.requests is None else f"{connection.requests:,}"],
        ["still", "open"] if closed is None else [closed.by, closed.how.upper()],
        [units.duration(None if closed is None else closed.idle_ns)],
        [units.duration(connection.end_ns - connection.start_ns)],
        [connection.state],
    ]


def _event_row(event: EventRecord, first_ns: int) -> list[list[str]]:
    return [
        [units.since_start(event.time_ns - first_ns)],
        [str(event.packet)],
        [str(event.connection)],
        [event.by or ""],
        [event.event],
        printable(event.detail).split(" "),
    ]
