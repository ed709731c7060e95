"""Segments to Ethernet frames, and frames to a classic pcap file.

A one's complement sum of 16-bit words is what the same bytes, read as one big-endian number, leave modulo 0xFFFF: so
a checksum is one integer division, which makes a frame cost a few microseconds without any column work.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

TCP_PROTOCOL = 6
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
LINKTYPE_ETHERNET = 1
SNAP_LENGTH = 262_144
PCAP_MAGIC_MICROSECONDS = 0xA1B2C3D4
DONT_FRAGMENT = 0x4000

_TCP = struct.Struct(">HHIIBBHHH")
_IPV4 = struct.Struct(">BBHHHBBH")
_IPV6 = struct.Struct(">IHBB")
_RECORD = struct.Struct("<IIII")
_FILE = struct.Struct("<IHHiIII")


def checksum(data: bytes, initial: int = 0) -> int:
    """Internet checksum (RFC 1071) of `data`, whose checksum field holds 0; `initial` is added (a pseudo header)."""
    if len(data) % 2:
        data += b"\0"
    return -(int.from_bytes(data, "big") + initial) % 0xFFFF


@dataclass(frozen=True, slots=True)
class Host:
    """One end as the wire shows it."""

    ip: str
    port: int
    mac: bytes
    """6 bytes: of the host, or of the router that stands for it."""
    ttl: int = 64
    """Time to live, or hop limit, at the capture point."""


@dataclass(slots=True)
class Route:
    """One direction of one connection: everything of a frame that does not change from segment to segment."""

    source: Host
    destination: Host
    ip_id: int = 0
    """IPv4 identification of the next packet: counts up, as Linux does per connection."""
    _ethernet: bytes = field(init=False)
    _addresses: bytes = field(init=False)
    _pseudo: int = field(init=False)

    def __post_init__(self) -> None:
        source, destination = ip_address(self.source.ip), ip_address(self.destination.ip)
        ethertype = ETHERTYPE_IPV4 if source.version == 4 else ETHERTYPE_IPV6
        self._ethernet = self.destination.mac + self.source.mac + struct.pack(">H", ethertype)
        self._addresses = source.packed + destination.packed
        self._pseudo = int.from_bytes(self._addresses, "big") % 0xFFFF + TCP_PROTOCOL

    @property
    def header_bytes(self) -> int:
        """Bytes of the IP header: 20 or 40."""
        return 20 if len(self._addresses) == 8 else 40

    def frame(self, seq: int, ack: int, flags: int, window: int, options: bytes, payload: bytes) -> bytes:
        """The Ethernet frame of one segment. `options` is padded to 32 bits already, `window` as on the wire."""
        size = 20 + len(options) + len(payload)
        ports = self.source.port, self.destination.port
        offset = (20 + len(options)) << 2
        head = _TCP.pack(*ports, seq, ack, offset, flags, window, 0, 0) + options
        check = checksum(head + payload, self._pseudo + size)
        head = _TCP.pack(*ports, seq, ack, offset, flags, window, check, 0) + options
        return b"".join((self._ethernet, self._ip_header(size), head, payload))

    def _ip_header(self, size: int) -> bytes:
        ttl, addresses = self.source.ttl, self._addresses
        if len(addresses) == 32:
            return _IPV6.pack(0x6000_0000, size, TCP_PROTOCOL, ttl) + addresses
        identification = self.ip_id
        self.ip_id = (identification + 1) & 0xFFFF
        fields = 0x45, 0, 20 + size, identification, DONT_FRAGMENT, ttl, TCP_PROTOCOL
        return _IPV4.pack(*fields, checksum(_IPV4.pack(*fields, 0) + addresses)) + addresses


def write_pcap(path: Path, packets: Iterable[tuple[int, bytes]]) -> int:
    """Write (time in ns, Ethernet frame) pairs as classic pcap with microseconds; returns how many there were."""
    count = 0
    with path.open("wb") as out:
        out.write(_FILE.pack(PCAP_MAGIC_MICROSECONDS, 2, 4, 0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET))
        for time_ns, frame in packets:
            microseconds = time_ns // 1000
            header = _RECORD.pack(microseconds // 1_000_000, microseconds % 1_000_000, len(frame), len(frame))
            out.write(header + frame)
            count += 1
    return count
