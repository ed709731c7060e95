"""The two column sets that everything flows through: packets as captured, and the TCP segments decoded from them.

A batch is a few thousand packets. Each attribute is one NumPy array with a row a packet; bytes stay where they lie
in one buffer and are named by position and length, so that nothing is copied until somebody needs it. The buffer is
valid only while the batch is being processed: whoever keeps bytes copies them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspector import endpoints

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

#: `src_hi`/`dst_hi` of an IPv4 address: a prefix that no IPv6 unicast or multicast address has. `*_lo` is the address.
IPV4_HIGH = endpoints.IPV4_HIGH

#: A batch never spans a packet number divisible by this: global bounds are checked there, so that they do not depend
#: on how a source happens to cut its batches.
BATCH_BOUNDARY = 65_536


@dataclass(slots=True, frozen=True)
class Interface:
    """One capture interface: of a file (pcap has one, pcapng any number) or of a live capture."""

    link_type: int
    """LINKTYPE_ number of its packets (https://www.tcpdump.org/linktypes.html)."""
    name: str | None = None
    """Its name, where the capture says it."""


@dataclass(slots=True)
class RawBatch:
    """Packets as captured, in capture order. n rows; positions count bytes from the start of `data`."""

    data: U8
    """The bytes of all these packets (and whatever lies between them). shape (bytes,)"""
    position: I64
    """Where each packet's link-layer header starts in `data`. shape (n,)"""
    captured: I64
    """Bytes that were captured of it. shape (n,)"""
    length: I64
    """Bytes it had on the wire (`captured` where a file says less than was captured). shape (n,)"""
    time_ns: I64
    """Capture time, nanoseconds since the Unix epoch. shape (n,)"""
    interface: U16
    """Index into `interfaces`. shape (n,)"""
    interfaces: Sequence[Interface]
    """The interfaces known so far: grows over a capture, an index never changes its meaning."""
    first_packet: int
    """Number of row 0; packets count from 1 over the whole timeline, as Wireshark's frame.number."""
    idle_ns: int | None = None
    """Of a batch without packets: the capture time by which there were none, so that timeouts fire (live sources)."""

    def __len__(self) -> int:
        return len(self.position)

    @classmethod
    def idle(cls, time_ns: int, interfaces: Sequence[Interface], next_packet: int) -> RawBatch:
        """A batch that says nothing but the time; the next packet will have the number `next_packet`."""
        none = np.empty(0, np.int64)
        no_interface = np.empty(0, np.uint16)
        return cls(np.empty(0, np.uint8), none, none, none, none, no_interface, interfaces, next_packet, time_ns)


@dataclass(slots=True, frozen=True)
class IcmpError:
    """An ICMP or ICMPv6 error that quotes a TCP segment: somebody on the way said that it did not get through."""

    packet: int
    time_ns: int
    what: str
    """"unreachable", "too-big", "time-exceeded" or another word for type and code, as Wireshark's field value says."""
    detail: str
    """For a person: type, code, next-hop MTU where there is one."""
    src_hi: int
    """The quoted segment's source, as in PacketBatch."""
    src_lo: int
    dst_hi: int
    dst_lo: int
    src_port: int
    dst_port: int


@dataclass(slots=True, frozen=True)
class NamedAddress:
    """A DNS answer says that a name was asked for, and which address it has."""

    time_ns: int
    high: int
    """The address, as in PacketBatch."""
    low: int
    name: str
    """In lower case, without the root's dot."""


@dataclass(slots=True)
class PacketBatch:
    """The TCP segments of a RawBatch, in capture order. n rows, one a segment; addresses and ports in host order."""

    data: U8
    """Where payload and options lie: the RawBatch's bytes, or a copy with reassembled datagrams added behind them."""
    packet: I64
    """Packet number over the whole timeline."""
    time_ns: I64
    """Capture time, nanoseconds since the Unix epoch."""
    src_hi: U64
    """Upper 64 bits of the IPv6 source address; IPV4_HIGH for IPv4."""
    src_lo: U64
    """Lower 64 bits of the source address; the whole address for IPv4."""
    dst_hi: U64
    dst_lo: U64
    src_port: U16
    dst_port: U16
    seq: U32
    ack: U32
    """Acknowledgment number as sent, meaningful only under the ACK flag."""
    flags: U8
    """CWR ECE URG ACK PSH RST SYN FIN, from 0x80 down to 0x01 (RFC 9293 section 3.1)."""
    window: U16
    """As sent: not scaled."""
    payload_length: I64
    """Payload bytes on the wire, from the IP and TCP headers: not from the capture, never with Ethernet padding."""
    payload_position: I64
    """Where the payload starts in `data`."""
    payload_captured: I64
    """Payload bytes that are there, at most `payload_length`: less where the snap length cut."""
    options_position: I64
    """Where the TCP options start in `data`."""
    options_length: I64
    """Captured bytes of TCP options."""
    ttl: U8
    """Time to live or hop limit of the innermost IP header."""
    ip_id: U16
    """IPv4 identification; 0 for IPv6."""
    checksum: U16
    """TCP checksum as sent."""
    network: I64
    """A number that stands for the VLAN tags, VNIs and tunnel ids that the packet came under; 0 for none."""
    interface: U16
    """Capture interface of the timeline (index into the RawBatch's `interfaces`)."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Packets of the RawBatch that are no row here, by reason; len(raw) == len(self) + sum(skipped.values())."""
    icmp_errors: list[IcmpError] = field(default_factory=list)
    """ICMP errors of the RawBatch about TCP segments, in capture order; each is also counted in `skipped`."""
    names: list[NamedAddress] = field(default_factory=list)
    """What DNS answers of the RawBatch say, in capture order; they are counted in `skipped`, too."""
    end_packet: int = 0
    """Number of the RawBatch's last packet, TCP or not (0: empty)."""
    end_ns: int = 0
    """Its capture time, or that of an idle batch: the clock that timeouts go by."""

    def __len__(self) -> int:
        return len(self.packet)
