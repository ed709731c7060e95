"""How much of a large capture goes into the page: every number in one place, and who gets a share of it.

A page of 20,000 connections is whole. Of more it has the beginning of everything, and says what it left out: a browser
has to hold all of it, and the other formats have no such bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector.records.connection import Connection
from inspector.records.finding import Finding

#: Connections that are drawn and listed.
CONNECTIONS = 50_000
#: Exchanges of all of them together.
EXCHANGES = 250_000
#: GOAWAY and PING frames of all of them together.
MARKS = 50_000
#: Lines of their stories.
LINES = 250_000
#: Endpoints with a line in the table of servers.
ENDPOINTS = 100


def share(wanted: Sequence[int], room: int) -> int:
    """The largest number that each may have at most, so that all together have no more than `room`."""
    left = room
    for place, count in enumerate(sorted(wanted)):
        others = len(wanted) - place
        if count * others > left:
            return left // others
        left -= count
    return max(wanted, default=0)


def chosen(connections: Sequence[Connection], findings: Iterable[Finding], most: int) -> list[Connection]:
    """At most `most` connections, in their order: those in which a finding names a packet, then the first."""
    if len(connections) <= most:
        return list(connections)
    shown = {evidence.connection for finding in findings for evidence in finding.evidence}
    first = [connection.id for connection in connections if connection.id in shown]
    first += [connection.id for connection in connections if connection.id not in shown]
    wanted = set(first[:most])
    return [connection for connection in connections if connection.id in wanted]
