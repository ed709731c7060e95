"""Connections that are not over: what is counted of them before they have records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inspector.records.builder import opening, server_end
from inspector.records.closing import closed_ns
from inspector.records.exchanges import ExchangeBook
from inspector.records.tally import OPEN
from inspector.tcp.connection import Connection

#: By host and port of the server.
Key = tuple[str, int]


@dataclass(slots=True)
class GoingOn:
    """Connections to one server."""

    opened: int = 0
    """With a handshake that was seen."""
    open: int = 0
    """Which nobody has closed."""
    requests: int = 0
    """On them, so far."""

    def add(self, other: GoingOn) -> None:
        """Count those, too."""
        self.opened += other.opened
        self.open += other.open
        self.requests += other.requests


def going_on(connections: Iterable[Connection]) -> dict[Key, GoingOn]:
    """What is to be counted of these."""
    found: dict[Key, GoingOn] = {}
    for tcp in connections:
        how = opening(tcp)
        if how in OPEN:
            book = tcp.book
            requests = book.request_count if isinstance(book, ExchangeBook) else 0
            one = GoingOn(int(how == "handshake"), int(closed_ns(tcp) is None), requests)
            server = server_end(*tcp.server)
            found.setdefault((server.ip, server.port), GoingOn()).add(one)
    return found


def lives(connections: Iterable[Connection]) -> dict[Key, list[tuple[int, int | None]]]:
    """When they began and were closed (None: they are open)."""
    found: dict[Key, list[tuple[int, int | None]]] = {}
    for tcp in connections:
        if opening(tcp) in OPEN:
            server = server_end(*tcp.server)
            found.setdefault((server.ip, server.port), []).append((tcp.first_ns, closed_ns(tcp)))
    return found
