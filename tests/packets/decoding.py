"""Bytes in, segments out: how the tests of this folder call the decoder and read what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from inspector.packets.batch import IPV4_HIGH, IcmpError, Interface, PacketBatch
from inspector.packets.decode import PacketDecoder
from inspector.packets.rows import SEGMENT_COLUMNS
from inspector.sources.memory import MemorySource, Packet

ETHERNET = 1

#: Between packets that have no time of their own: too long for one to be taken for a copy of another.
SPACING_NS = 100_000_000

#: Every column of a batch but where its bytes lie.
VALUES = ("packet", "time_ns", "interface", *(name for name in SEGMENT_COLUMNS if not name.endswith("_position")))


@dataclass(slots=True, frozen=True)
class Segment:
    """One row, in words."""

    packet: int
    src: str
    dst: str
    src_port: int
    dst_port: int
    seq: int
    ack: int
    flags: int
    window: int
    ttl: int
    ip_id: int
    checksum: int
    payload_length: int
    payload: bytes
    options: bytes
    network: int


@dataclass(slots=True)
class Decoded:
    """What came out of some packets."""

    segments: list[Segment]
    skipped: Counter[str]
    icmp_errors: list[IcmpError]
    rows: list[tuple[int, ...]]
    """The same segments as the numbers of the columns in VALUES, to be compared."""
    end_packet: int
    end_ns: int


def decode(
    packets: Sequence[bytes | Packet],
    link_type: int = ETHERNET,
    *,
    interfaces: Sequence[Interface] | None = None,
    batch_rows: int = 4096,
    decoder: PacketDecoder | None = None,
) -> Decoded:
    """Decode packets, SPACING_NS apart where they have no time of their own; checks the counting law."""
    numbered = [
        packet if isinstance(packet, Packet) else Packet(number * SPACING_NS, packet)
        for number, packet in enumerate(packets, start=1)
    ]
    decoder = decoder or PacketDecoder()
    decoded = Decoded([], Counter(), [], [], 0, 0)
    for raw in MemorySource(numbered, link_type=link_type, interfaces=interfaces, batch_rows=batch_rows):
        batch = decoder.decode(raw)
        assert len(raw) == len(batch) + sum(batch.skipped.values())
        assert all(len(getattr(batch, name)) == len(batch) for name in VALUES)
        decoded.segments += segments_of(batch)
        decoded.skipped.update(batch.skipped)
        decoded.icmp_errors += batch.icmp_errors
        decoded.rows += zip(*(getattr(batch, name).tolist() for name in VALUES), strict=True)
        decoded.end_packet, decoded.end_ns = batch.end_packet, batch.end_ns
    return decoded


def segments_of(batch: PacketBatch) -> list[Segment]:
    """The rows of a batch, in words."""
    return [_segment(batch, row) for row in range(len(batch))]


def _segment(batch: PacketBatch, row: int) -> Segment:
    def number(name: str) -> int:
        return int(getattr(batch, name)[row])

    def taken(position: str, length: str) -> bytes:
        return batch.data[number(position) :][: number(length)].tobytes()

    return Segment(
        packet=number("packet"),
        src=_address(number("src_hi"), number("src_lo")),
        dst=_address(number("dst_hi"), number("dst_lo")),
        src_port=number("src_port"),
        dst_port=number("dst_port"),
        seq=number("seq"),
        ack=number("ack"),
        flags=number("flags"),
        window=number("window"),
        ttl=number("ttl"),
        ip_id=number("ip_id"),
        checksum=number("checksum"),
        payload_length=number("payload_length"),
        payload=taken("payload_position", "payload_captured"),
        options=taken("options_position", "options_length"),
        network=number("network"),
    )


def _address(high: int, low: int) -> str:
    return str(ip_address(low) if high == IPV4_HIGH else ip_address((high << 64 | low).to_bytes(16, "big")))
