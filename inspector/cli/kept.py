"""Events that are kept for the stories of connections, in bounded room: for the screen, and for the HTML report."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from inspector.records.event import EventRecord

#: Events that are kept of one connection (its last ones), and of all together, those of the connections that began
#: first going first.
EVENTS_OF_ONE, EVENTS_OF_ALL = 4_096, 200_000
#: Those that a page may tell.
EVENTS_OF_PAGE = 400_000


class KeptEvents:
    """The events of connections, as far as they are kept."""

    def __init__(self, most: int | None = None) -> None:
        """`most` of all together; EVENTS_OF_ALL, unless given."""
        self._most = EVENTS_OF_ALL if most is None else most
        self._kept: dict[int, deque[EventRecord]] = {}
        self._gone: dict[int, int] = {}
        """How many of a connection's events are kept no more."""
        self._count = 0

    def add(self, event: EventRecord) -> None:
        """The next event."""
        of_one = self._kept.get(event.connection)
        if of_one is None:
            of_one = self._kept[event.connection] = deque(maxlen=EVENTS_OF_ONE)
        if len(of_one) == EVENTS_OF_ONE:
            self._gone[event.connection] = self._gone.get(event.connection, 0) + 1
        else:
            self._count += 1
        of_one.append(event)
        while self._count > self._most and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._count -= len(self._kept.pop(oldest))
            self._gone.pop(oldest, None)

    def of(self, connection: int) -> tuple[Sequence[EventRecord], int]:
        """Those of a connection, and how many before them are gone."""
        # A copy in one step: the other thread adds to it.
        return list(self._kept.get(connection, ())), self._gone.get(connection, 0)
