"""What the screen knows of a capture: from one inspection to the next, what has changed, and what happened meanwhile.

Records that have not changed are the same objects in the next inspection (Inspector.snapshot), so a comparison by
identity finds what is new. Nothing here draws; time is an argument.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from inspector.endpoints import Endpoint
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.report.screen.happenings import Happening, closing, last_event, opening

#: Seconds over which connections that are opened are counted for their rate.
RATE_SECONDS = 10.0
#: Lines of the event stream that are kept.
KEPT_HAPPENINGS = 1_000
#: A connection on which nothing was said yet waits this long (ns of capture time) for its first words, which may tell
#: what it is, before it is told to have been opened.
_PATIENCE_NS = 500_000_000

Key = tuple[str, int]


class EndpointLine(NamedTuple):
    """An endpoint as it is listed."""

    record: EndpointRecord
    rate: float
    """Connections opened a second."""
    last: str
    """What happened on it last; empty before anything did."""

    @property
    def key(self) -> Key:
        return self.record.ip, self.record.port


@dataclass(slots=True)
class _Pace:
    """How many connections an endpoint had, and when."""

    seen: deque[tuple[float, int]]

    def rate(self, now: float, opened: int) -> float:
        while len(self.seen) > 1 and self.seen[1][0] <= now - RATE_SECONDS:
            self.seen.popleft()
        if self.seen[-1][0] < now:
            self.seen.append((now, opened))
        since, before = self.seen[0]
        # A burst at the very beginning is no rate yet.
        return (opened - before) / max(now - since, 1.0)


class Board:
    """Give it inspections; it tells what they changed."""

    def __init__(self) -> None:
        self.inspection: Inspection | None = None
        self.lines: dict[Key, EndpointLine] = {}
        self.happenings: deque[Happening] = deque(maxlen=KEPT_HAPPENINGS)
        """Connections opened and closed, as they were."""
        self._paces: dict[Key, _Pace] = {}
        self._last: dict[Key, tuple[int, str]] = {}
        self._connections: dict[int, Connection] = {}
        self._untold: set[int] = set()
        """Connections that were not yet told to have been opened."""

    def take(self, inspection: Inspection, now: float) -> None:
        """The next inspection, at this time (of a clock that only goes on)."""
        self.inspection = inspection
        self._take_connections(inspection)
        lines: dict[Key, EndpointLine] = {}
        for record in inspection.endpoints:
            key = record.ip, record.port
            opened = record.opened
            pace = self._paces.get(key)
            if pace is None:
                pace = self._paces[key] = _Pace(deque([(now, 0)]))
            rate, last = pace.rate(now, opened), self._last.get(key, (0, ""))[1]
            before = self.lines.get(key)
            if before is not None and before.record is record and before.rate == rate and before.last == last:
                lines[key] = before
            else:
                lines[key] = EndpointLine(record, rate, last)
        self.lines = lines
        for gone in self._paces.keys() - lines.keys():
            del self._paces[gone]
            self._last.pop(gone, None)

    def connections(self, key: Key) -> list[Connection]:
        """Those of an endpoint, by id."""
        if self.inspection is None:
            return []
        ip, port = key
        return [one for one in self.inspection.connections if one.server.port == port and one.server.ip == ip]

    def connection(self, number: int) -> Connection | None:
        """One of them; None when it is no longer kept."""
        return self._connections.get(number)

    def _take_connections(self, inspection: Inspection) -> None:
        known = self._connections
        self._connections = {one.id: one for one in inspection.connections}
        told: list[Happening] = []
        for number, one in self._connections.items():
            before = known.get(number)
            if before is not one:
                self._note(before, one, told)
        last_ns = inspection.capture.last_ns or 0
        for number in list(self._untold):
            kept = self._connections.get(number)
            latest = kept or known[number]
            waits = kept is not None and kept.closed is None and kept.protocol == "none"
            if not waits or last_ns - latest.start_ns > _PATIENCE_NS:
                self._untold.discard(number)
                told.append(opening(latest))
        self.happenings.extend(sorted(told, key=lambda happening: happening.time_ns))

    def _note(self, before: Connection | None, now: Connection, told: list[Happening]) -> None:
        """A connection is new, or has changed."""
        if before is None:
            self._untold.add(now.id)
        newly_closed = now.closed is not None and (before is None or before.closed is None)
        if now.closed is not None and newly_closed and now.opened.how != "refused":
            told.append(closing(now, now.closed))
        time_ns, what = last_event(now)
        key = now.server.ip, now.server.port
        if time_ns >= self._last.get(key, (0, ""))[0]:
            self._last[key] = time_ns, what


def title(record: EndpointRecord) -> str:
    """An endpoint as its connections' view is headed."""
    address = str(Endpoint(record.ip, record.port))
    return address if record.name is None else f"{record.name} {address}"
