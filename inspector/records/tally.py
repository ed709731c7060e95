"""What the connections of one endpoint add up to, their times apart.

Connections that look the same are counted together, as kinds; what kinds add up to is worked out when it is asked for,
or when there is no room for more of them. Lists that traffic makes (names, clients, header values) can then be cut:
the most frequent stay, the others become one entry, so that the sum stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from inspector.bounds import Bounds
from inspector.records.connection import Announcement, CloseHow, Estimate, Side
from inspector.records.endpoint import AnnouncedCount, Client, ClosedCounts, Decided, RequestsPerConnection

#: Who announced a close, how, who closed then, and how.
Announced = tuple[Side, Announcement, Side, CloseHow]
_K = TypeVar("_K", str, int, Announced)
_ByCount = TypeVar("_ByCount", str, Announced)

#: Openings that led to a connection, which is then closed or still open.
OPEN = frozenset({"handshake", "mid-stream", "half-open"})
#: Stands for entries that a list has no room for.
OTHERS = "…"
#: A number of requests of which no more figures are kept.
_ROUNDED = 1000


class Kind(NamedTuple):
    """What is counted of a connection."""

    how: str
    protocol: str
    name: str | None
    client: str
    """Its ip."""
    agent: str | None
    closed: str | None
    """By whom and how; None while open."""
    decided: str | None
    announced: Announced | None
    requests: int | None
    estimate: int | None
    """Exchanges, where it is encrypted."""


class Tally:
    """Connections by what they have in common. Not to be changed by who did not make it."""

    __slots__ = (
        *("announced", "clients", "closed", "decided", "estimated", "hidden", "hows", "names", "protocols", "requests"),
        *("requests_of", "spoke", "whole"),
    )

    def __init__(self) -> None:
        self.hows: dict[str, int] = {}
        self.protocols: dict[str, int] = {}
        self.names: dict[str, int] = {}
        self.clients: dict[tuple[str, str | None], tuple[int, int | None]] = {}
        """By ip and User-Agent, those that got anywhere: connections opened, and requests."""
        self.closed: dict[str, int] = {}
        """Of those that were a connection, as everything below."""
        self.decided: dict[str, int] = {}
        self.announced: dict[Announced, int] = {}
        self.requests = 0
        self.estimated: int | None = None
        self.hidden = self.spoke = False
        """Whether there were connections of which requests are not known, and some that are and said something."""
        self.whole: dict[int, int] = {}
        """Connections that were seen from handshake to end by requests."""
        self.requests_of: tuple[int, int, int] | None = None
        """Of those: the least requests, the most, and all; None: there are none."""

    def with_kinds(self, kinds: Mapping[Kind, int]) -> Tally:
        """The same and more connections, as many as there are of each kind."""
        more = Tally()
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(more, name, value.copy() if isinstance(value, dict) else value)
        for kind, count in kinds.items():
            more._add(kind, count)
        return more

    def _add(self, kind: Kind, count: int) -> None:
        _count(self.hows, kind.how, count)
        _count(self.protocols, kind.protocol, count)
        if kind.name is not None:
            _count(self.names, kind.name, count)
        if kind.client:
            requests = None if kind.requests is None else kind.requests * count
            self._add_client((kind.client, kind.agent), count if kind.how == "handshake" else 0, requests)
        if kind.how in OPEN:
            self._add_open(kind, count)

    def _add_client(self, client: tuple[str, str | None], opened: int, requests: int | None) -> None:
        before, sent = self.clients.get(client, (0, None))
        self.clients[client] = (before + opened, sent if requests is None else (sent or 0) + requests)

    def _add_open(self, kind: Kind, count: int) -> None:
        for counts, value in ((self.closed, kind.closed), (self.decided, kind.decided)):
            if value is not None:
                _count(counts, value, count)
        if kind.announced is not None:
            _count(self.announced, kind.announced, count)
        if kind.estimate is not None:
            self.estimated = (self.estimated or 0) + kind.estimate * count
        if kind.requests is None:
            self.hidden = True
            return
        self.spoke = self.spoke or kind.protocol != "none"
        self.requests += kind.requests * count
        if kind.how == "handshake" and kind.closed is not None:
            _count(self.whole, kind.requests, count)
            least, most, total = self.requests_of or (kind.requests, kind.requests, 0)
            self.requests_of = (
                min(least, kind.requests),
                max(most, kind.requests),
                total + kind.requests * count,
            )

    def cut(self, bounds: Bounds) -> Tally:
        """The same, in bounded room."""
        less = self.with_kinds({})
        less.names = fewer(self.names, bounds.listed)
        if len(self.clients) > bounds.listed:
            ranked = sorted(self.clients.items(), key=_importance)
            less.clients = dict(ranked[: bounds.listed])
            for _, (opened, requests) in ranked[bounds.listed :]:
                less._add_client((OTHERS, None), opened, requests)
        if len(self.whole) > bounds.counted:
            less.whole = {}
            for requests, connections in self.whole.items():
                _count(less.whole, _rounded(requests), connections)
        return less

    @property
    def opened(self) -> int:
        """Those that were a connection."""
        return sum(count for how, count in self.hows.items() if how in OPEN)

    @property
    def answered(self) -> bool:
        """Whether there was ever more than SYNs and refusals."""
        return any(how in OPEN for how in self.hows)

    def closed_counts(self) -> ClosedCounts:
        return ClosedCounts(**self.closed)

    def decided_counts(self) -> Decided:
        return Decided(**self.decided)

    def announced_counts(self) -> list[AnnouncedCount]:
        """Announced closes by who announced them, how, and who closed how; the most first."""
        return [
            AnnouncedCount(by, how, closed_by, closed_how, count)
            for (by, how, closed_by, closed_how), count in by_count(self.announced).items()
        ]

    def known_requests(self) -> int | None:
        """All requests that were seen; None where everything that was said was encrypted."""
        return None if self.hidden and not self.spoke else self.requests

    def estimate(self) -> Estimate | None:
        return None if self.estimated is None else Estimate(self.estimated, "records")

    def client_list(self) -> list[Client]:
        """The clients that got anywhere, the busiest first."""
        return [
            Client(ip, agent, opened, requests)
            for (ip, agent), (opened, requests) in sorted(self.clients.items(), key=_importance)
        ]

    def per_connection(self) -> RequestsPerConnection:
        count = sum(self.whole.values())
        partial = self.opened - count
        if self.requests_of is None:
            return RequestsPerConnection(None, None, None, None, {}, partial)
        least, most, total = self.requests_of
        ordered = sorted(self.whole.items())
        histogram = {str(requests): connections for requests, connections in ordered}
        return RequestsPerConnection(least, _median_of(ordered, count), total / count, most, histogram, partial)


def fewer(counts: dict[str, int], most: int) -> dict[str, int]:
    """The most frequent ones; what the others were is counted as OTHERS."""
    if len(counts) <= most:
        return counts
    kept: dict[str, int] = {}
    for what, count in by_count(counts).items():
        _count(kept, what if len(kept) < most else OTHERS, count)
    return kept


def by_count(counts: Mapping[_ByCount, int]) -> dict[_ByCount, int]:
    """The counts, the highest first, and in alphabetical order where they are equal."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _count(counts: dict[_K, int], what: _K, times: int) -> None:
    counts[what] = counts.get(what, 0) + times


def _importance(item: tuple[tuple[str, str | None], tuple[int, int | None]]) -> tuple[int, int, str, str]:
    (ip, agent), (opened, requests) = item
    return -opened, -(requests or 0), ip, agent or ""


def _rounded(number: int) -> int:
    unit = 1
    while number >= _ROUNDED * unit:
        unit *= 10
    return (number + unit // 2) // unit * unit


def _median_of(ordered: list[tuple[int, int]], count: int) -> float:
    """The median of values given as (value, how often), in order."""
    values = np.array([value for value, _ in ordered])
    behind = np.cumsum([often for _, often in ordered])
    low = values[np.searchsorted(behind, (count - 1) // 2, side="right")]
    high = values[np.searchsorted(behind, count // 2, side="right")]
    return float(low + high) / 2
