"""What may come before the first protocol: a PROXY protocol header."""

from __future__ import annotations

from msgspec import Struct


class ProxyHeaderReceived(Struct, gc=False):
    """A PROXY protocol header, by which a proxy tells whose connection it hands on."""

    packet: int
    time_ns: int
    version: int
    """1 or 2."""
    source: str | None
    """"ip:port" ("[ip]:port" for IPv6) of the client; None where the header names none (UNKNOWN, LOCAL, a Unix
    socket)."""
    destination: str | None
