"""What HTTP carries, and what carries it: WebSocket and gRPC above, the PROXY protocol below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Struct

from inspector.events import ProxyHeaderReceived, WebSocketAccount
from inspector.records.field import says


class WebSocketClose(Struct, gc=False):
    """The first Close frame (RFC 6455 section 5.5.1)."""

    by: Annotated[Literal["client", "server"], says("Who sent it.")]
    code: Annotated[int | None, says("Status code; null when the frame has none.")]
    reason: Annotated[str, says("Reason as sent, its bytes as latin-1.")]


class WebSocket(Struct, gc=False):
    """A WebSocket."""

    client_messages: Annotated[int, says("Text and binary messages of the client.")]
    server_messages: Annotated[int, says("Text and binary messages of the server.")]
    pings: Annotated[int, says("Ping frames of both sides.")]
    pongs: Annotated[int, says("Pong frames of both sides.")]
    close: Annotated[WebSocketClose | None, says("The first Close frame; null without one.")]


class Grpc(Struct, gc=False):
    """gRPC calls."""

    statuses: Annotated[dict[str, int], says("Calls by grpc-status; what is no number of three digits is 'invalid'.")]


class ProxyProtocol(Struct, gc=False):
    """The PROXY protocol header at the beginning of the connection."""

    version: Annotated[int, says("1 or 2.")]
    source: Annotated[str | None, says("ip:port of the client; null when the header names none.")]
    destination: Annotated[str | None, says("ip:port that the client connected to; null when the header names none.")]


def websocket_record(account: WebSocketAccount, show: Callable[[str], str]) -> WebSocket:
    """The record of what the decoder kept; `show` redacts text."""
    close, (client_messages, server_messages) = account.close, account.messages
    return WebSocket(
        client_messages,
        server_messages,
        account.pings,
        account.pongs,
        None
        if close is None
        else WebSocketClose("server" if close.direction else "client", close.code, show(close.reason)),
    )


def proxy_record(header: ProxyHeaderReceived) -> ProxyProtocol:
    """The record of a header."""
    return ProxyProtocol(header.version, header.source, header.destination)
