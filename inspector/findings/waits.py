"""Waits: how long a connection was idle before a request was put on it, which is what a client's pool let it be.

A connection is busy from a request to the end of its response; of streams at once, to the last end. What follows a
request without an answer is not known, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.records.connection import Connection
from inspector.records.exchange import Exchange


def waits(connection: Connection) -> Iterator[tuple[int, Exchange]]:
    """Each request that met an idle connection, with the idle time before it in ns; in order."""
    idle_since: int | None = None
    for exchange in connection.exchanges:
        request = exchange.request
        if request is not None and idle_since is not None and request.time_ns > idle_since:
            yield request.time_ns - idle_since, exchange
        end_ns = _end(exchange)
        if end_ns is None:
            return
        idle_since = end_ns if idle_since is None else max(idle_since, end_ns)


def _end(exchange: Exchange) -> int | None:
    """When it was over; None where that is not known."""
    request, response = exchange.request, exchange.response
    if response is not None and response.end_ns is not None:
        return response.end_ns if request is None else max(response.end_ns, request.end_ns or request.time_ns)
    if exchange.reset is None:
        return None
    return response.time_ns if response is not None else None if request is None else request.time_ns


def reuses(connection: Connection) -> list[int]:
    """How long it had been idle before each request that was put on it and went well, in ns."""
    return [idle_ns for idle_ns, exchange in waits(connection) if exchange.race is None]
