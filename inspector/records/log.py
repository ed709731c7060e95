"""The event log: what TCP and the decoders say about a connection, as lines for a person and a program.

Events are noted as they come; they become records when the connection has its number, by time and packet. While client
and server may yet turn out to be the other way round, what TCP says of a connection waits, so that `by` is right.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from inspector.events import Event, TlsEstablished
from inspector.records.described import described
from inspector.records.event import EventRecord
from inspector.records.redact import redacted
from inspector.tcp.connection import Connection
from inspector.tcp.events import SegmentNoted

#: What tells roles for good (Connection.role_from).
_SURE = ("syn", "syn-ack", "content")
#: Events of a connection that wait for its roles; when there are more, they go out by the roles of the time.
EVENTS_WAITING = 64


class Noted(NamedTuple):
    """An event, and whose it is."""

    time_ns: int
    packet: int
    order: int
    connection: Connection
    event: Event | SegmentNoted


class _Waiting(NamedTuple):
    """Events that wait for the roles of their connection."""

    client_end: int
    """Which end of its 4-tuple was taken for the client's when they were noted."""
    noted: list[Noted]


class EventLog:
    """Events of the connections whose log is kept, since they were last taken."""

    def __init__(self, show_secrets: bool) -> None:
        self._show_secrets = show_secrets
        self._count = 0
        self._noted: list[Noted] = []
        self._waiting: dict[Connection, _Waiting] = {}

    def note(self, connection: Connection, event: Event | SegmentNoted) -> None:
        """Something happened on a connection."""
        if isinstance(event, TlsEstablished):
            # What is known now: the decoder goes on with the account.
            event = replace(event, account=replace(event.account))
        self._count += 1
        noted = Noted(event.time_ns, event.packet, self._count, connection, event)
        if connection.role_from in _SURE:
            self.settle(connection)
            self._noted.append(noted)
            return
        waiting = self._waiting.setdefault(connection, _Waiting(connection.client_end, []))
        waiting.noted.append(noted)
        if len(waiting.noted) > EVENTS_WAITING:
            self.settle(connection)

    def settle(self, connection: Connection) -> None:
        """The roles of a connection are as they will be, or nobody waits for them any longer."""
        waiting = self._waiting.pop(connection, None)
        if waiting is None:
            return
        if connection.client_end != waiting.client_end:
            for _, _, _, _, event in waiting.noted:
                if isinstance(event, SegmentNoted):
                    event.direction = 1 - event.direction
        self._noted += waiting.noted

    def take(self) -> list[EventRecord]:
        """What can be said since the last time, by time and packet; connections have their numbers now."""
        noted, self._noted = sorted(self._noted, key=lambda one: one[:3]), []
        return [record for record in map(self._record, noted) if record is not None]

    def _record(self, noted: Noted) -> EventRecord | None:
        words = described(noted.event)
        if words is None:
            return None
        detail = words.detail if self._show_secrets else redacted(words.detail)
        return EventRecord(
            noted.connection.id, noted.packet, noted.time_ns, words.by, words.kind, words.exchange, detail
        )
