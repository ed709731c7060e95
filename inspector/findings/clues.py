"""Clues: what the connections of a finding tell about the software on one side of them, beside the value measured.

Headers, the first SETTINGS, and the manner of the close, each as most of the connections show it. Whatever could not
be seen is None, and speaks neither for nor against anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from inspector.findings.catalogue import Goaway
from inspector.records.connection import Connection, Side
from inspector.records.exchange import Exchange
from inspector.records.http2 import Http2Side

#: Connections, and exchanges of each, that are looked at: enough to know whom one talks to.
MAX_CONNECTIONS = 40
MAX_EXCHANGES = 4
#: The last_stream_id that announces a shutdown in two steps (RFC 9113 section 6.8).
NOTICE = 2**31 - 1
_AT_ONCE_NS = 100_000_000
_A_SECOND_NS = range(900_000_000, 1_200_000_000)
_IDS = {
    "HEADER_TABLE_SIZE": "1",
    "ENABLE_PUSH": "2",
    "MAX_CONCURRENT_STREAMS": "3",
    "INITIAL_WINDOW_SIZE": "4",
    "MAX_FRAME_SIZE": "5",
    "MAX_HEADER_LIST_SIZE": "6",
    "ENABLE_CONNECT_PROTOCOL": "8",
    "NO_RFC7540_PRIORITIES": "9",
}
_T = TypeVar("_T")


@dataclass(slots=True, frozen=True)
class Clues:
    """What is to be seen of one side."""

    side: Side
    over: Literal["http/1", "h2"] | None
    """What was spoken; None when that could not be read."""
    answered: bool
    """Whether responses could be read, so that a header that is not there is absent."""
    asked: bool
    """The same of requests."""
    server: str | None
    via: str | None
    """The entry of the nearest proxy."""
    user_agent: str | None
    asks: Literal["http/1.0 close"] | None
    asks_keep_alive: bool | None
    """Whether requests of HTTP/1.1 say Connection: keep-alive; those that close or upgrade are left out."""
    keeps_unasked: bool | None
    """Whether responses say Connection: keep-alive to requests of HTTP/1.1 that did not."""
    keeps_asked: bool | None
    """The same, to requests that did."""
    keep_alive: Literal["timeout", "timeout,max", "none"] | None
    """What Keep-Alive says in responses that let the connection go on."""
    advertised: float | None
    """Its timeout, seconds."""
    fingerprint: str | None
    """SETTINGS and WINDOW_UPDATE as the catalogue writes them."""
    close_notify: bool | None
    goaway: Goaway | None
    debug: str | None
    on_time: bool = False
    """Whether the value measured is the limit itself, and not a close that may have come late."""


def clues(connections: Sequence[Connection], side: Side) -> Clues:
    """The clues about one side of these connections."""
    looked_at = connections[:MAX_CONNECTIONS]
    exchanges = [exchange for connection in looked_at for exchange in connection.exchanges[:MAX_EXCHANGES]]
    responses = [exchange.response for exchange in exchanges if exchange.response is not None]
    requests = [exchange.request for exchange in exchanges if exchange.request is not None]
    hints = [response.keep_alive for response in responses if response.persistent and response.version == "HTTP/1.1"]
    shapes = ["none" if hint is None else "timeout" if hint.max is None else "timeout,max" for hint in hints]
    via = most(response.via for response in responses)
    ends = [_goaway(connection, side) for connection in looked_at]
    return Clues(
        side=side,
        over=_over(looked_at),
        answered=bool(responses),
        asked=bool(requests),
        server=most(response.server for response in responses),
        via=None if via is None else via.rsplit(",", 1)[-1].strip(),
        user_agent=most(request.user_agent for request in requests),
        asks=most(
            "http/1.0 close"
            if request.version == "HTTP/1.0" and (request.connection or "").lower() == "close"
            else None
            for request in requests
        ),
        asks_keep_alive=_asks_keep_alive(request.connection for request in requests if request.version == "HTTP/1.1"),
        keeps_unasked=_says_keep_alive(exchanges, asked=False),
        keeps_asked=_says_keep_alive(exchanges, asked=True),
        keep_alive=most(shapes),  # type: ignore[arg-type]
        advertised=most(None if hint is None or hint.timeout is None else float(hint.timeout) for hint in hints),
        fingerprint=most(_fingerprint(connection, side) for connection in looked_at),
        close_notify=most(_close_notify(connection, side) for connection in looked_at),
        goaway=most(end for end, _ in ends),
        debug=most(debug for _, debug in ends),
    )


def most(values: Iterable[_T | None]) -> _T | None:
    """The most frequent of the values that are known."""
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None


def _over(connections: Sequence[Connection]) -> Literal["http/1", "h2"] | None:
    spoken = most(connection.protocol for connection in connections if connection.protocol not in ("none", "tls"))
    if spoken in ("h2", "h2c"):
        return "h2"
    return "http/1" if spoken in ("http/1.0", "http/1.1") else None


def _says_keep_alive(exchanges: Iterable[Exchange], asked: bool) -> bool | None:
    """Whether responses of HTTP/1.1 that let the connection go on say so, to requests that asked for it or did not."""
    said = []
    for exchange in exchanges:
        request, response = exchange.request, exchange.response
        if request is None or response is None or not response.persistent or response.version != "HTTP/1.1":
            continue
        if ("keep-alive" in (request.connection or "").lower()) is asked:
            said.append("keep-alive" in (response.connection or "").lower())
    return most(said)


def _asks_keep_alive(values: Iterable[str | None]) -> bool | None:
    said = [(value or "").lower() for value in values]
    return most("keep-alive" in value for value in said if "close" not in value and "upgrade" not in value)


def _fingerprint(connection: Connection, side: Side) -> str | None:
    if connection.http2 is None or connection.opened.how != "handshake":
        return None
    sent = _sent(connection, side)
    frame = None if sent is None else next((frame for frame in sent.settings if not frame.ack), None)
    if sent is None or frame is None:
        return None
    settings = ";".join(f"{_IDS.get(name, name.removeprefix('0x'))}:{frame.values[name]}" for name in frame.order)
    return settings if sent.first_window_update is None else f"{settings} +{sent.first_window_update}"


def _sent(connection: Connection, side: Side) -> Http2Side | None:
    http2 = connection.http2
    return None if http2 is None else http2.client if side == "client" else http2.server


def _close_notify(connection: Connection, side: Side) -> bool | None:
    tls, closed = connection.tls, connection.closed
    if tls is None or closed is None or closed.by != side:
        return None
    return tls.client_closes if side == "client" else tls.server_closes


def _goaway(connection: Connection, side: Side) -> tuple[Goaway | None, str | None]:
    """How GOAWAY and the close followed each other, and its debug data."""
    sent, closed = _sent(connection, side), connection.closed
    if sent is None or closed is None:
        return None, None
    goaways = list(_errorless(sent))
    if not goaways:
        return ("none", None) if closed.by == side else (None, None)
    debug = next((text for _, _, text in goaways if text), None)
    if goaways[0][1] == NOTICE:
        return ("two-step" if len(goaways) > 1 else None), debug
    if closed.by != side:
        return None, debug
    gap = closed.time_ns - goaways[0][0]
    return ("at-once" if gap <= _AT_ONCE_NS else "after-1s" if gap in _A_SECOND_NS else None), debug


def _errorless(sent: Http2Side) -> Iterator[tuple[int, int, str]]:
    return ((one.time_ns, one.last_stream_id, one.debug) for one in sent.goaways if one.error == "NO_ERROR")
