"""Packets written byte by byte, without Scapy: headers as the RFCs draw them."""

from __future__ import annotations

import struct
from ipaddress import ip_address

ACK, PSH_ACK = 0x10, 0x18


def tcp(payload: bytes = b"", *, sport: int = 40000, dport: int = 80, seq: int = 1000, **fields: int) -> bytes:
    """A TCP header of 20 bytes and payload; fields: ack, flags, offset (in 32-bit words), window, checksum."""
    offset_flags = fields.get("offset", 5) << 12 | fields.get("flags", PSH_ACK)
    numbers = (sport, dport, seq, fields.get("ack", 2000), offset_flags, fields.get("window", 500))
    return struct.pack("!HHIIHHHH", *numbers, fields.get("checksum", 0xBEEF), 0) + payload


def ipv4(inner: bytes, *, src: str = "10.0.0.1", dst: str = "10.0.0.2", **fields: int) -> bytes:
    """An IPv4 header and what follows; fields: length, id, fragment (flags and offset), ttl, protocol, ihl."""
    ihl = fields.get("ihl", 5)
    options = bytes(max(ihl - 5, 0) * 4)
    length = fields.get("length", 20 + len(options) + len(inner))
    head = (0x40 | ihl, 0, length, fields.get("id", 7), fields.get("fragment", 0), fields.get("ttl", 64))
    ends = ip_address(src).packed + ip_address(dst).packed
    return struct.pack("!BBHHHBBH", *head, fields.get("protocol", 6), 0) + ends + options + inner


def ipv6(inner: bytes, *, src: str = "2001:db8::1", dst: str = "2001:db8::2", **fields: int) -> bytes:
    """An IPv6 header and what follows; fields: length, next, hops."""
    head = (0x6000_0000, fields.get("length", len(inner)), fields.get("next", 6), fields.get("hops", 64))
    return struct.pack("!IHBB", *head) + ip_address(src).packed + ip_address(dst).packed + inner


def udp(inner: bytes, *, sport: int = 50000, dport: int = 53) -> bytes:
    """A UDP header and what follows."""
    return struct.pack("!HHHH", sport, dport, 8 + len(inner), 0) + inner


def ethernet(inner: bytes, ethertype: int = 0x0800) -> bytes:
    """An Ethernet header and what follows."""
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + ethertype.to_bytes(2, "big") + inner


def tagged(inner: bytes, *tags: tuple[int, int], ethertype: int = 0x0800) -> bytes:
    """Ethernet with VLAN tags, each (EtherType of the tag, tag control information)."""
    packet = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
    for kind, control in tags:
        packet += kind.to_bytes(2, "big") + control.to_bytes(2, "big")
    return packet + ethertype.to_bytes(2, "big") + inner
