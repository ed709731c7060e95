"""An event in words: its kind, who did it, which exchange it belongs to, and a line for a person.

A line has its facts in the order of their weight, with ", " between them, so that a report may set them apart. Events
that only hand over an account have none.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from inspector.bytestream import FROM_CLIENT
from inspector.events import (
    AlertReceived,
    Anomaly,
    ClientHelloReceived,
    Event,
    GoawayInferred,
    GoawayReceived,
    Http2Started,
    InterimReceived,
    MessageEnded,
    PingReceived,
    ProxyHeaderReceived,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    StreamReset,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
    TrailersReceived,
    Upgraded,
    WebSocketClosed,
    WebSocketStarted,
    WindowStalled,
)
from inspector.records.closing import SIDES
from inspector.records.connection import Side
from inspector.records.event import EventKind
from inspector.tcp.events import SegmentNoted

_CLIENT, _SERVER = SIDES


class Described(NamedTuple):
    """An event in words."""

    kind: EventKind
    by: Side | None
    exchange: int | None
    detail: str = ""


def described(event: Event | SegmentNoted) -> Described | None:
    """The words; None for what needs none."""
    match event:
        case SegmentNoted():
            return Described(event.kind, SIDES[event.direction], None, event.detail)
        case RequestReceived():
            return Described(
                "request", _CLIENT, event.exchange, f"{event.fields.method or '?'} {event.fields.target or '?'}"
            )
        case ResponseReceived():
            status = f"{event.fields.status or '?'} {event.fields.reason or ''}".strip()
            return Described("response", _SERVER, event.exchange, status)
        case InterimReceived():
            return Described("interim", _SERVER, event.exchange, str(event.status))
        case MessageEnded():
            kind: EventKind = "request-end" if event.direction == FROM_CLIENT else "response-end"
            cut = "" if event.whole else ", cut off"
            return Described(kind, SIDES[event.direction], event.exchange, f"{event.body_bytes} bytes{cut}")
        case Upgraded():
            return Described("upgrade", _SERVER, event.exchange, f"to {event.target or event.to}")
        case Anomaly():
            return Described("anomaly", None, None, f"{event.code}: {event.detail}" if event.detail else event.code)
        case ClientHelloReceived() | TlsEstablished() | AlertReceived():
            return _tls(event)
        case SettingsReceived() | GoawayReceived() | PingReceived() | StreamReset() | WindowStalled():
            return _http2(event)
        case GoawayInferred():
            return Described("goaway", SIDES[event.direction], None, "told from its length")
        case TrailersReceived():
            status = "" if event.grpc_status is None else f"grpc-status {event.grpc_status}"
            return Described("trailers", SIDES[event.direction], event.exchange, status)
        case WebSocketClosed():
            close = event.close
            code = "no status" if close.code is None else str(close.code)
            return Described("websocket-close", SIDES[close.direction], None, f"{code} {close.reason}".strip())
        case ProxyHeaderReceived():
            ends = f"{event.source or 'nobody named'} → {event.destination or 'nobody named'}"
            return Described("proxy-header", _CLIENT, None, f"version {event.version}, {ends}")
        case TlsStarted() | Http2Started() | WebSocketStarted():
            return None
        case _:
            assert_never(event)


def _tls(event: ClientHelloReceived | TlsEstablished | AlertReceived) -> Described | None:
    match event:
        case ClientHelloReceived():
            offers = [f"offers {' '.join(event.alpn_offered)}"] if event.alpn_offered else []
            return Described("client-hello", _CLIENT, None, ", ".join([event.sni or "no server name", *offers]))
        case TlsEstablished():
            seen = event.account.version is not None or event.handshake_ns is not None
            facts = ", ".join(_handshake(event.account, event.handshake_ns))
            return Described("tls", _CLIENT, None, facts) if seen else None
        case AlertReceived():
            alert, by = event.alert, SIDES[event.alert.direction]
            inferred = "told from its length" if alert.inferred else ""
            if alert.description == "close_notify":
                return Described("close-notify", by, None, inferred)
            words = [word for word in (alert.level, alert.description) if word is not None]
            return Described("alert", by, None, " ".join(words) or "encrypted")


def _span(ns: int) -> str:
    """A duration."""
    return f"{ns / 1e9:.2f} s" if ns >= 1_000_000_000 else f"{ns / 1e6:.2f} ms"


def _handshake(tls: TlsAccount, handshake_ns: int | None) -> list[str]:
    """Version, what it cost, ALPN offered → chosen, and what is not usual."""
    words = [tls.version or "TLS"]
    if tls.resumed is not None:
        how = f" by {tls.resumption}" if tls.resumption else ""
        words.append(f"resumed{how}" if tls.resumed else "full handshake")
    if handshake_ns is not None:
        words.append(_span(handshake_ns))
    if tls.alpn_offered or tls.alpn:
        offered = " ".join(tls.alpn_offered) or "nothing"
        words.append(f"ALPN {offered} → {tls.alpn}" if tls.alpn else f"ALPN {offered} offered")
    if tls.retry:
        words.append("after a HelloRetryRequest")
    if tls.early_data:
        words.append("early data")
    if tls.client_certificate:
        words.append("client certificate asked for")
    return words


def settings_text(values: dict[str, int]) -> str:
    """The line of a SETTINGS frame with these values."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _http2(event: SettingsReceived | GoawayReceived | PingReceived | StreamReset | WindowStalled) -> Described:
    by = SIDES[event.direction]
    match event:
        case SettingsReceived():
            settings = event.settings
            kind: EventKind = "settings-ack" if settings.ack else "settings"
            return Described(kind, by, None, settings_text(settings.values))
        case GoawayReceived():
            goaway = event.goaway
            debug = [f'says "{goaway.debug}"'] if goaway.debug else []
            words = [goaway.error, f"last stream {goaway.last_stream_id}", *debug]
            return Described("goaway", by, None, ", ".join(words))
        case PingReceived():
            after = f", after {_span(event.round_trip_ns)}" if event.round_trip_ns is not None else ""
            return Described("ping-ack" if event.ack else "ping", by, None, event.payload + after)
        case StreamReset():
            return Described("stream-reset", by, event.exchange, f"{event.error}, stream {event.stream}")
        case WindowStalled():
            whose = f"stream {event.stream}" if event.stream else "the connection"
            return Described("window-stall", by, None, f"{_span(event.stalled_ns)}, {whose}")
