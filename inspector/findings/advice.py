"""Advice in the words of the software at hand: which setting, with which value, on which side.

    way(connections, "client", "idle", 4)       "httpx.Limits(keepalive_expiry=4)"; None where nothing is known
    before_limit(connections, 5.0)              what clients can do about a server that closes after 5 s
    server_setting(connections, "requests")     "nginx keepalive_requests"

Advice is for one line or two of a report: one thing for each side.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.findings.catalogue import Kind, number, written
from inspector.findings.suspects import Recognised, recognised
from inspector.records.connection import Connection, Side

#: A client gives up earlier than the server by this many seconds, or this part of the time, whichever is less.
MARGIN = 1.0
MARGIN_PART = 0.2


def earlier(timeout: float) -> float:
    """Seconds after which a client had better not use a connection that the server ends after `timeout`."""
    return max(timeout - min(MARGIN, MARGIN_PART * timeout), 0.1)


def way(connections: Sequence[Connection], side: Side, what: str, value: float = 0) -> str | None:
    """How something is set in the software of one side: `what` is one of Product.ways."""
    for one in recognised(connections, side):
        if what in one.product.ways:
            return written(one.product.ways[what], value)
    return None


def before_limit(connections: Sequence[Connection], timeout: float) -> str:
    """What to do about a server that ends idle connections after `timeout` seconds."""
    limit = earlier(timeout)
    client = next((one for one in recognised(connections, "client") if "idle" in one.product.ways), None)
    if client is None:
        first = f"let clients give idle connections up before {number(limit)} s, or retry what meets the close"
    elif "{" in client.product.ways["idle"]:
        first = f"let {client.product.name} give idle connections up: {written(client.product.ways['idle'], limit)}"
    else:
        first = f"let {client.product.name} retry what meets the close: {client.product.ways['idle']}"
    raised = server_setting(connections, "idle")
    return first if raised is None else f"{first}; or raise {raised}"


def giving_up(connections: Sequence[Connection], limit: float) -> str | None:
    """How the client at hand gives idle connections up after `limit` seconds; None where it is not known, or cannot."""
    for one in recognised(connections, "client"):
        if "{" in one.product.ways.get("idle", ""):
            return written(one.product.ways["idle"], limit)
    return None


def server_setting(connections: Sequence[Connection], kind: Kind) -> str | None:
    """The server's setting for what ends connections, where one knows the server: "nginx keepalive_timeout"."""
    known: list[Recognised] = recognised(connections, "server")
    names = [f"{one.product.name} {setting.name}" for one in known for setting in one.product.settings(kind)]
    return names[0] if len(known) == 1 and names else None
