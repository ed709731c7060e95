"""TLS: what its handshake agreed on, how it ended, and whether one could look inside."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from inspector.events import TlsAccount
from inspector.records.field import says


class TlsAlert(Struct, gc=False):
    """One TLS alert."""

    by: Annotated[Literal["client", "server"], says("Who sent it.")]
    packet: Annotated[int, says("Packet that completed its record.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    level: Annotated[str | None, says("warning or fatal; null when it could not be read.")]
    description: Annotated[str | None, says("By RFC 8446's name, or hexadecimal; null when it could not be read.")]
    inferred: Annotated[bool, says("Told from the length of a record that could not be decrypted.")]


class Tls(Struct, gc=False):
    """TLS on a connection."""

    version: Annotated[str | None, says("TLS 1.3 to SSL 3.0, as the server chose; null before its hello.")]
    sni: Annotated[str | None, says("Server name that the client asked for.")]
    alpn_offered: Annotated[list[str], says("Protocols that the client offered (ALPN), in its order.")]
    alpn: Annotated[str | None, says("The one that the server chose; in TLS 1.3 only known when decrypted.")]
    cipher: Annotated[str | None, says("Cipher suite by its IANA name, or hexadecimal.")]
    resumed: Annotated[bool | None, says("Whether the handshake was abbreviated; null when that was not seen.")]
    resumption: Annotated[Literal["session-id", "ticket", "psk"] | None, says("By what it was resumed.")]
    early_data: Annotated[bool | None, says("Whether the server accepted early data (0-RTT); null when not known.")]
    retry: Annotated[bool, says("Whether the server answered with a HelloRetryRequest.")]
    client_certificate: Annotated[bool | None, says("Whether the server asked for one; null when not known.")]
    certificate_names: Annotated[list[str], says("Names in the server's certificate, where it could be read.")]
    tickets: Annotated[int, says("Session tickets that the server gave, as far as they could be seen.")]
    handshake_ns: Annotated[
        int | None, says("From the ClientHello to the client's Finished, or its first application record.")
    ]
    decrypted: Annotated[bool, says("Whether application data of a direction was decrypted.")]
    why_not: Annotated[str | None, says("Which key line is missing or what failed; null when all was decrypted.")]
    client_closes: Annotated[bool | None, says("Whether the client sent close_notify; null when not sure.")]
    server_closes: Annotated[bool | None, says("Whether the server sent close_notify; null when not sure.")]
    alerts: Annotated[list[TlsAlert], says("The first alerts, close_notify among them.")]


def tls_record(account: TlsAccount) -> Tls:
    """The record of what the decoder kept."""
    handshake_ns = None
    if account.hello_ns is not None and account.established_ns is not None:
        handshake_ns = max(0, account.established_ns - account.hello_ns)
    client_closes, server_closes = account.close_notify
    return Tls(
        account.version,
        account.sni,
        account.alpn_offered,
        account.alpn,
        account.cipher,
        account.resumed,
        account.resumption,
        account.early_data,
        account.retry,
        account.client_certificate,
        account.certificate_names,
        account.tickets,
        handshake_ns,
        account.decrypted,
        account.why_not,
        client_closes,
        server_closes,
        [
            TlsAlert(
                "server" if alert.direction else "client",
                alert.packet,
                alert.time_ns,
                alert.level,
                alert.description,
                alert.inferred,
            )
            for alert in account.alerts
        ],
    )
