"""The stages in order, on one screen: packets become columns, connections, events, records.

No I/O, no clock: the only inputs are batches and the times in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.inspection import Inspection
from inspector.packets.batch import RawBatch
from inspector.records.connection import Connection
from inspector.records.event import EventRecord


@dataclass(slots=True, frozen=True)
class Options:
    """What the caller wants to know, and of which connections."""

    select: Callable[[Connection], bool] | None = None
    """Which ended connections are reported; capture counts and ids never depend on it."""
    show_secrets: bool = False
    """Keep query strings and the like as they were sent."""
    events: bool = False
    """Keep the event log of selected connections (all, or those in `events_of`)."""
    events_of: frozenset[int] | None = None
    """Connection ids whose events are kept; None for all."""
    names: bool = True
    """Take server names from the traffic."""
    keep_connections: bool = True
    """Keep connection records until the end; without it they only reach `on_connection` and the endpoints."""
    on_connection: Callable[[Connection], None] | None = None
    """Told of each selected connection once it has ended (2 s of capture time after its last close)."""
    on_event: Callable[[EventRecord], None] | None = None
    """Told of each event, sorted by time and packet within a batch, instead of keeping it."""


class Inspector:
    """Feed it batches, then finish."""

    def __init__(self, options: Options = Options()) -> None:
        self.options = options

    def feed(self, batch: RawBatch) -> None:
        """Take the next packets of the timeline."""

    def finish(self) -> Inspection:
        """No more packets: close the books."""
        raise AssertionError
