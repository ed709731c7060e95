"""What TLS tells: the handshake, alerts, and an account of the rest."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct, field


class Alert(NamedTuple):
    """One alert (RFC 8446 section 6)."""

    packet: int
    time_ns: int
    direction: int
    """FROM_CLIENT or FROM_SERVER: who sent it."""
    level: str | None
    """"warning" or "fatal"; None where it could not be read."""
    description: str | None
    """RFC 8446's name, such as "close_notify"; an unknown one is hexadecimal; None where it could not be read."""
    inferred: bool
    """Told from the length of a record that could not be decrypted."""


class TlsAccount(Struct, gc=False):
    """What is known of TLS on a connection; the decoder goes on filling it in."""

    version: str | None = None
    """"TLS 1.3" ... "SSL 3.0", as the server chose; None before its hello."""
    sni: str | None = None
    alpn_offered: list[str] = []
    """Protocol names as latin-1, in the client's order."""
    alpn: str | None = None
    """What the server chose; in TLS 1.3 only known once decrypted."""
    cipher: str | None = None
    """IANA name of the cipher suite, "TLS_AES_128_GCM_SHA256"; an unknown one is hexadecimal: "0xcafe"."""
    resumed: bool | None = None
    """Whether the handshake was abbreviated; None where that was not seen."""
    resumption: Literal["session-id", "ticket", "psk"] | None = None
    """By what it was resumed."""
    early_data: bool | None = None
    """Whether the client sent early data (0-RTT) that the server accepted; None where that is not known."""
    retry: bool = False
    """Whether the server answered with a HelloRetryRequest."""
    client_certificate: bool | None = None
    """Whether the server asked for a client's certificate; None where that could not be read."""
    certificate_names: list[str] = []
    """Subject alternative names (else the common name) of the server's certificate, where it was in the clear or
    decrypted."""
    tickets: int = 0
    """NewSessionTicket messages seen."""
    hello_ns: int | None = None
    """Time of the (first) ClientHello."""
    established_ns: int | None = None
    """When the client's Finished came, or else its first application record."""
    decrypted: bool = False
    """Whether application data of at least one direction was decrypted (or, without any, the handshake)."""
    why_not: str | None = None
    """In words, which key line is missing or what failed; None where all was decrypted."""
    close_notify: list[bool | None] = field(default_factory=lambda: [False, False])
    """By direction: whether it sent close_notify; None where only encrypted alerts say that it may have."""
    alerts: list[Alert] = []
    """The first ones (MAX_ALERTS); close_notify among them."""
    estimated_exchanges: int | None = None
    """Bursts of application records of the client that the server answered, where nothing was decrypted."""


class TlsStarted(Struct, gc=False):
    """TLS was recognised."""

    packet: int
    time_ns: int
    account: TlsAccount


class ClientHelloReceived(Struct, gc=False):
    """A whole ClientHello, the first one or the one after a HelloRetryRequest."""

    packet: int
    time_ns: int
    sni: str | None
    alpn_offered: list[str]


class TlsEstablished(Struct, gc=False):
    """The handshake is over: the client's Finished, or else its first application record."""

    packet: int
    time_ns: int
    handshake_ns: int | None
    """Since the first ClientHello."""
    account: TlsAccount


class AlertReceived(Struct, gc=False):
    """An alert of either side, close_notify among them."""

    packet: int
    time_ns: int
    alert: Alert


class GoawayInferred(Struct, gc=False):
    """A small record of a connection that is being closed, taken for HTTP/2's GOAWAY by its length and place."""

    packet: int
    time_ns: int
    direction: int
