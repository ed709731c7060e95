"""The header by which a proxy tells whose connection it hands on: PROXY protocol, version 1 (a line) and 2 (binary).

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, sections 2.1 and 2.2. It stands at the very
beginning of the client's bytes, before any protocol. Only addresses are read: of a version 2 header's length, up to
65,535 bytes, what comes behind them (TLVs: TLS facts, checksums, padding) is stepped over by whoever asked.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from inspector.endpoints import Endpoint

#: Section 2.1: the longest line, CRLF included.
_LONGEST_LINE = 107
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP[46] ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) ([0-9]+) ([0-9]+))\r\n")
_LINE_START = b"PROXY "
#: Section 2.2.
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
#: Address families, and the length of their two addresses with ports; other families name nobody.
_INET, _INET6 = 1, 2
_ADDRESS_BYTES = {_INET: 12, _INET6: 36}


class ProxyHeader(NamedTuple):
    """What a header says."""

    version: int
    source: str | None
    """"ip:port" of the client; None where the header names none, or no address of IP."""
    destination: str | None
    read: int
    """Bytes with which that was known."""
    length: int
    """Bytes of the whole header: what follows may come later."""


def may_be_proxy_header(start: bytes) -> bool:
    """Whether bytes (at least one) begin a header, as far as they go: `proxy_header` will know it, or may once more
    have come."""
    if start[:1] == _SIGNATURE[:1]:
        return _SIGNATURE.startswith(start[:12]) and (len(start) <= 12 or start[12] in (_LOCAL, _PROXY))
    if not _LINE_START.startswith(start[:6]):
        return False
    line = start[:_LONGEST_LINE]
    end = line.find(b"\n")
    return len(line) < _LONGEST_LINE if end < 0 else _LINE.match(line, 0, end + 1) is not None


def proxy_header(start: bytes) -> ProxyHeader | None:
    """The header that bytes begin with; None: it is not there as far as it matters, or it is none."""
    if start[:1] == _SIGNATURE[:1]:
        return _binary(start) if may_be_proxy_header(start) else None
    match = _LINE.match(start[:_LONGEST_LINE])
    if match is None:
        return None
    source, destination, source_port, destination_port = match.groups()
    return ProxyHeader(1, _named(source, source_port), _named(destination, destination_port), match.end(), match.end())


def _binary(start: bytes) -> ProxyHeader | None:
    if len(start) < _FIXED:
        return None
    length = int.from_bytes(start[14:16], "big")
    family = start[13] >> 4
    size = _ADDRESS_BYTES.get(family, 0) if start[12] == _PROXY else 0
    whole = _FIXED + length
    if not size or size > length:
        return ProxyHeader(2, None, None, _FIXED, whole)
    if len(start) < _FIXED + size:
        return None
    addresses = start[_FIXED : _FIXED + size]
    width = (size - 4) // 2
    source, destination = (
        str(Endpoint(_text(addresses[at * width : at * width + width]), int.from_bytes(ports, "big")))
        for at, ports in enumerate((addresses[-4:-2], addresses[-2:]))
    )
    return ProxyHeader(2, source, destination, _FIXED + size, whole)


def _text(address: bytes) -> str:
    return str(IPv4Address(address) if len(address) == 4 else IPv6Address(address))


def _named(address: bytes | None, port: bytes | None) -> str | None:
    """An end as version 1 writes it; None where there is none, or where it cannot be."""
    if address is None or port is None or len(port) > 5 or int(port) > 0xFFFF:
        return None
    try:
        return str(Endpoint(str(ip_address(address.decode())), int(port)))
    except ValueError:
        return None
