"""What the layers around HTTP/1 messages tell of a connection: TLS, HTTP/2, WebSocket, gRPC, the PROXY protocol.

Beside the book of exchanges, and only made when the first such event comes: a plain HTTP/1 connection has none. The
accounts that the events hand over are read once the connection is over.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from msgspec import Struct

from inspector.bytestream import FROM_SERVER
from inspector.events import (
    AlertReceived,
    ClientHelloReceived,
    GoawayInferred,
    GoawayReceived,
    Http2Account,
    Http2Started,
    PingReceived,
    ProxyHeaderReceived,
    SettingsReceived,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
    TrailersReceived,
    WebSocketAccount,
    WebSocketClosed,
    WebSocketStarted,
    WindowStalled,
)

#: Announcements of the close that are remembered for the idle time before it; of more, the last ones.
MAX_SIGNS = 16
#: Longest grpc-status that is a number; codes in use have two digits.
_STATUS_DIGITS = 3

LayerEvent = (
    TlsStarted
    | ClientHelloReceived
    | TlsEstablished
    | AlertReceived
    | GoawayInferred
    | Http2Started
    | SettingsReceived
    | GoawayReceived
    | PingReceived
    | WindowStalled
    | TrailersReceived
    | WebSocketStarted
    | WebSocketClosed
    | ProxyHeaderReceived
)


class Sign(Struct, gc=False):
    """Something that says that the connection will not go on."""

    by_server: bool
    how: Literal["connection-close", "http/1.0", "goaway", "close-notify"]
    packet: int
    time_ns: int
    ends_idleness: bool
    """It is no application byte: an unsolicited 408, GOAWAY, close_notify."""


class Layers:
    """The accounts of one connection's layers."""

    __slots__ = ("grpc_statuses", "http2", "proxy", "signs", "tls", "websocket")

    def __init__(self) -> None:
        self.tls: TlsAccount | None = None
        """The innermost one: inside a tunnel, the tunnel's."""
        self.http2: Http2Account | None = None
        self.websocket: WebSocketAccount | None = None
        self.proxy: ProxyHeaderReceived | None = None
        self.grpc_statuses: dict[str, int] = {}
        self.signs: deque[Sign] = deque(maxlen=MAX_SIGNS)
        """Announcements of the close."""

    def take(self, event: LayerEvent) -> Sign | None:
        """The next event; an announcement of the close where it is one."""
        match event:
            case GoawayReceived() | GoawayInferred():
                return self._sign("goaway", event.direction, event)
            case AlertReceived():
                if event.alert.description == "close_notify":
                    return self._sign("close-notify", event.alert.direction, event)
            case TrailersReceived():
                if event.grpc_status is not None and event.direction == FROM_SERVER:
                    status = _status(event.grpc_status)
                    self.grpc_statuses[status] = self.grpc_statuses.get(status, 0) + 1
            case TlsStarted():
                self.tls = event.account
            case Http2Started():
                self.http2 = event.account
            case WebSocketStarted():
                self.websocket = event.account
            case ProxyHeaderReceived():
                self.proxy = event
        return None

    def _sign(
        self,
        how: Literal["goaway", "close-notify"],
        direction: int,
        event: GoawayReceived | GoawayInferred | AlertReceived,
    ) -> Sign:
        sign = Sign(direction == FROM_SERVER, how, event.packet, event.time_ns, ends_idleness=True)
        self.signs.append(sign)
        return sign


def _status(value: str) -> str:
    """A grpc-status as a key: there are not more than a thousand of them, whatever is sent."""
    digits = value.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= _STATUS_DIGITS:
        return str(int(digits))
    return "invalid"
