"""Names that addresses were asked for by, as DNS answers in the capture say: what names a connection that says nothing.

An address may have many names, one after the other (a CDN's). The one that counts was asked for last before the
connection began.
"""

from __future__ import annotations

from inspector.packets.batch import NamedAddress

#: Addresses whose names are kept; when there are more, those that were answered least recently go.
MAX_ADDRESSES = 65_536
#: Names of one address that are kept: the last ones.
MAX_NAMES = 8


class ResolvedNames:
    """Names by address (high and low half) and time."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, int], list[tuple[int, str]]] = {}

    def add(self, answer: NamedAddress) -> None:
        """An answer went by."""
        key = answer.high, answer.low
        names = self._names.pop(key, [])
        if len(self._names) >= MAX_ADDRESSES:
            del self._names[next(iter(self._names))]
        # Of the answers that say the same, the first one since another name is enough.
        if not names or names[-1][1] != answer.name:
            names = [*names[1 - MAX_NAMES :], (answer.time_ns, answer.name)]
        self._names[key] = names

    def name(self, high: int, low: int, time_ns: int) -> str | None:
        """The name by which this address was asked for last before `time_ns`."""
        before = [name for answered_ns, name in self._names.get((high, low), ()) if answered_ns <= time_ns]
        return before[-1] if before else None
