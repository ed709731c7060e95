"""Addresses and ports, and which end of a connection is likely to be its server when no packet says so.

An address travels through the columns as two integers (see packets/batch.py); this file turns it into text, once a
connection, never once a packet.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

#: The upper half that marks an IPv4 address in the columns; packets.batch.IPV4_HIGH is this number.
IPV4_HIGH = 0x8000_0000_0000_0000

#: The lowest ports that systems hand out to clients by themselves (Linux: 32768; RFC 6335 section 6: 49152).
FIRST_EPHEMERAL_PORT = 32_768
#: Ports below are a server's to bind (RFC 6335: system ports).
FIRST_USER_PORT = 1024


class Endpoint(NamedTuple):
    """One end of a TCP connection."""

    ip: str
    """Text form: dotted quad, or RFC 5952 for IPv6."""
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@lru_cache(maxsize=65_536)
def ip_text(high: int, low: int) -> str:
    """The address that the columns hold as `high` and `low`, as text."""
    return str(IPv4Address(low & 0xFFFF_FFFF) if high == IPV4_HIGH else IPv6Address(high << 64 | low))


def server_by_port(first: int, second: int) -> int | None:
    """Which of two ports is the server's: 0 for `first`, 1 for `second`, None when the ports do not tell."""
    for limit in (FIRST_USER_PORT, FIRST_EPHEMERAL_PORT):
        below = (first < limit, second < limit)
        if below[0] != below[1]:
            return 0 if below[0] else 1
    return None
