"""The event log: what TCP and the decoders say about a connection, as lines for a person and a program.

Events are noted as they come; they become records when the connection has its number, by time and packet.
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


class Noted(NamedTuple):
    """An event, and whose it is."""

    time_ns: int
    packet: int
    order: int
    connection: Connection
    event: Event | SegmentNoted
    end: int
    """Which end of the 4-tuple did it, for events of TCP: roles may yet turn."""


class EventLog:
    """Events of the connections whose log is kept, since they were last taken."""

    def __init__(self, show_secrets: bool) -> None:
        self._show_secrets = show_secrets
        self._noted: list[Noted] = []

    def note(self, connection: Connection, event: Event | SegmentNoted) -> None:
        """Something happened on a connection."""
        end = event.direction ^ connection.client_end if isinstance(event, SegmentNoted) else 0
        self._noted.append(Noted(event.time_ns, event.packet, len(self._noted), connection, event, end))

    def take(self) -> list[EventRecord]:
        """What was noted since the last time, by time and packet; connections have their numbers now."""
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
            return event.kind, SIDES[noted.end ^ noted.connection.client_end], None, event.detail
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
