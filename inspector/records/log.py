"""The event log: what TCP and the decoders say about a connection, as lines for a person and a program.

Events are noted as they come; they become records when the connection has its number, by time and packet. While client
and server may yet turn out to be the other way round, what TCP says of a connection waits, so that `by` is right.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.events import (
    Anomaly,
    Event,
    InterimReceived,
    MessageEnded,
    RequestReceived,
    ResponseReceived,
    Upgraded,
)
from inspector.records.closing import SIDES
from inspector.records.connection import Side
from inspector.records.event import EventKind, EventRecord
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
        return [self._record(one) for one in noted]

    def _record(self, noted: Noted) -> EventRecord:
        kind, by, exchange, detail = _described(noted)
        if not self._show_secrets:
            detail = redacted(detail)
        return EventRecord(noted.connection.id, noted.packet, noted.time_ns, by, kind, exchange, detail)


def _described(noted: Noted) -> tuple[EventKind, Side | None, int | None, str]:
    """Kind, who, which exchange, and words for a person."""
    event = noted.event
    client, server = SIDES
    match event:
        case SegmentNoted():
            return event.kind, SIDES[event.direction], None, event.detail
        case RequestReceived():
            return "request", client, event.exchange, f"{event.fields.method} {event.fields.target}"
        case ResponseReceived():
            return "response", server, event.exchange, f"{event.fields.status} {event.fields.reason or ''}".strip()
        case InterimReceived():
            return "interim", server, event.exchange, str(event.status)
        case MessageEnded():
            kind: EventKind = "request-end" if event.direction == FROM_CLIENT else "response-end"
            cut = "" if event.whole else ", cut off"
            return kind, SIDES[event.direction], event.exchange, f"{event.body_bytes} bytes{cut}"
        case Upgraded():
            return "upgrade", SIDES[FROM_SERVER], event.exchange, f"to {event.target or event.to}"
        case Anomaly():
            return "anomaly", None, None, f"{event.code}: {event.detail}" if event.detail else event.code
        case _:
            raise AssertionError(f"no words for {type(event).__name__}")
