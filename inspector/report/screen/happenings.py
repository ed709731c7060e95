"""What happens on connections, in a few words: the lines of the event stream, and an endpoint's last event."""

from __future__ import annotations

from typing import NamedTuple

from inspector.endpoints import Endpoint
from inspector.records.connection import Closed, Connection
from inspector.report import units
from inspector.report.lines import ANNOUNCED
from inspector.report.story import IDLE_NS
from inspector.report.text import printable

#: Protocols that are told without a word about how they were agreed on.
_UNSAID = ("none", "unknown", "tls")


class Happening(NamedTuple):
    """A line of the event stream."""

    time_ns: int
    connection: int
    server: str
    what: str
    odd: bool
    """Not as a connection should begin or end."""


def opening(connection: Connection) -> Happening:
    """That a connection was opened, or was not, by whom, and what was agreed on."""
    client = str(Endpoint(connection.client.ip, connection.client.port))
    how = connection.opened.how
    word = {"handshake": "opened", "mid-stream": "already open"}.get(how, how)
    told = [f"{word:7} {client}", *_agreed(connection)]
    return Happening(
        connection.start_ns, connection.id, _server(connection), "  ".join(told), how not in ("handshake", "mid-stream")
    )


def closing(connection: Connection, closed: Closed) -> Happening:
    """That a connection was closed, by whom, how, after what."""
    told = [f"closed  by {closed.by}", closed.how.upper()]
    if connection.requests is not None:
        told.append(f"after {units.plural(connection.requests, 'request')}")
    if closed.idle_ns is not None and closed.idle_ns >= IDLE_NS:
        told.append(f"idle {units.duration(closed.idle_ns)}")
    if closed.announced is not None:
        said = closed.announced
        told.append(f"announced by {said.by}: {ANNOUNCED.get(said.how, said.how)}")
    return Happening(closed.time_ns, connection.id, _server(connection), ", ".join(told), closed.how == "rst")


def last_event(connection: Connection) -> tuple[int, str]:
    """When something was last seen to happen on a connection, and what."""
    closed = connection.closed
    if closed is not None:
        what = "refused" if connection.opened.how == "refused" else f"{closed.how.upper()} {closed.by}"
        return closed.time_ns, what
    for exchange in reversed(connection.exchanges):
        request, response = exchange.request, exchange.response
        method = "" if request is None else printable(request.method or "?")
        if response is not None:
            return response.time_ns, f"{method} {response.status or '?'}".strip()
        if request is not None:
            return request.time_ns, method
    return connection.end_ns, connection.opened.how if connection.opened.how != "handshake" else "opened"


def _agreed(connection: Connection) -> list[str]:
    """TLS and the protocol, as far as they are known."""
    tls, protocol = connection.tls, connection.protocol
    told = []
    if tls is not None:
        words = [printable(tls.version or "TLS"), *(["resumed"] if tls.resumed else [])]
        if tls.handshake_ns is not None:
            words.append(units.duration(tls.handshake_ns))
        told.append(" ".join(words))
        if tls.alpn is not None and "h2" in tls.alpn_offered and tls.alpn != "h2":
            return [*told, f"h2 offered → {printable(tls.alpn)}"]
    if protocol not in _UNSAID:
        told.append(protocol)
    return told


def _server(connection: Connection) -> str:
    port = connection.server.port
    if connection.name is not None:
        return f"{printable(connection.name)}:{port}"
    return str(Endpoint(connection.server.ip, port))
