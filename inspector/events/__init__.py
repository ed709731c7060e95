"""What the layers tell one another about a connection: facts in the order of the wire.

An event says what was seen, not what it means. Every one carries the packet by which it was known and that packet's
time. HTTP events are the same for HTTP/1 and HTTP/2: whoever keeps exchanges need not know the framing.

What a protocol counts (frames, alerts) is not an event each: its first event hands over an *account*, an object that
the decoder goes on filling in, and that the records read once the connection is over.
"""

from __future__ import annotations

from inspector.events.http import (
    Anomaly,
    InterimReceived,
    MessageEnded,
    PlainExchange,
    RequestFields,
    RequestReceived,
    ResponseFields,
    ResponseReceived,
    Upgraded,
)
from inspector.events.http2 import (
    ForbiddenField,
    Goaway,
    GoawayReceived,
    Http2Account,
    Http2Side,
    Http2Started,
    Ping,
    PingReceived,
    Settings,
    SettingsReceived,
    StreamReset,
    TrailersReceived,
    WindowStalled,
)
from inspector.events.prelude import ProxyHeaderReceived
from inspector.events.tls import (
    Alert,
    AlertReceived,
    ClientHelloReceived,
    GoawayInferred,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
)
from inspector.events.websocket import WebSocketAccount, WebSocketClose, WebSocketClosed, WebSocketStarted

__all__ = [
    "Alert",
    "AlertReceived",
    "Anomaly",
    "ClientHelloReceived",
    "Event",
    "ExchangeEvent",
    "ForbiddenField",
    "Goaway",
    "GoawayInferred",
    "GoawayReceived",
    "Http2Account",
    "Http2Side",
    "Http2Started",
    "InterimReceived",
    "MessageEnded",
    "Ping",
    "PingReceived",
    "PlainExchange",
    "ProxyHeaderReceived",
    "RequestFields",
    "RequestReceived",
    "ResponseFields",
    "ResponseReceived",
    "Settings",
    "SettingsReceived",
    "StreamReset",
    "TlsAccount",
    "TlsEstablished",
    "TlsStarted",
    "TrailersReceived",
    "Upgraded",
    "WebSocketAccount",
    "WebSocketClose",
    "WebSocketClosed",
    "WebSocketStarted",
    "WindowStalled",
]

#: Events that belong to an exchange: they have its index in `exchange`.
ExchangeEvent = (
    RequestReceived | ResponseReceived | InterimReceived | MessageEnded | Upgraded | TrailersReceived | StreamReset
)

#: Everything a protocol decoder may say.
Event = (
    Anomaly
    | ExchangeEvent
    | TlsStarted
    | ClientHelloReceived
    | TlsEstablished
    | AlertReceived
    | GoawayInferred
    | Http2Started
    | SettingsReceived
    | GoawayReceived
    | PingReceived
    | WindowStalled
    | WebSocketStarted
    | WebSocketClosed
    | ProxyHeaderReceived
)
