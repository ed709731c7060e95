"""Captures written byte by byte, in every variant that the readers must know."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.packets.batch import RawBatch
from inspector.sources.source import Source

ETHERNET = 1

SHB, IDB, PB, SPB, NRB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 0x0A


@dataclass(frozen=True)
class Seen:
    """One packet as a source gave it."""

    number: int
    time_ns: int
    data: bytes
    length: int
    link_type: int


def seen(source: Source) -> list[Seen]:
    """Every packet of a source, with its bytes copied while they are valid."""
    packets: list[Seen] = []
    for batch in source:
        assert len(batch) > 0
        packets += seen_of(batch)
    return packets


def seen_of(batch: RawBatch) -> list[Seen]:
    return [
        Seen(
            batch.first_packet + row,
            int(batch.time_ns[row]),
            batch.data[at : at + int(batch.captured[row])].tobytes(),
            int(batch.length[row]),
            batch.interfaces[int(batch.interface[row])].link_type,
        )
        for row, at in enumerate(batch.position.tolist())
    ]


def pcap_header(order: str = "<", magic: int = 0xA1B2C3D4, version: tuple[int, int] = (2, 4), link: int = 1) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, 65535, link)


def pcap_record(
    data: bytes,
    second: int = 0,
    fraction: int = 0,
    *,
    order: str = "<",
    captured: int | None = None,
    length: int | None = None,
    patch: bytes = b"",
) -> bytes:
    """`patch`: what a patched libpcap adds to the record header."""
    captured = len(data) if captured is None else captured
    length = captured if length is None else length
    return struct.pack(order + "IIII", second, fraction, captured, length) + patch + data


def pcap(packets: Sequence[tuple[int, bytes]], *, link: int = 1) -> bytes:
    """A nanosecond file of (time_ns, data)."""
    records = [pcap_record(data, time // 10**9, time % 10**9) for time, data in packets]
    return pcap_header(magic=0xA1B23C4D, link=link) + b"".join(records)


@dataclass
class Pcapng:
    """A pcapng file, a block at a time."""

    order: str = "<"
    data: bytes = field(default=b"")

    def block(self, kind: int, body: bytes, *, size: int | None = None, trailer: int | None = None) -> Pcapng:
        body += bytes(-len(body) % 4)
        size = len(body) + 12 if size is None else size
        trailer = size if trailer is None else trailer
        self.data += struct.pack(self.order + "II", kind, size) + body + struct.pack(self.order + "I", trailer)
        return self

    def option(self, code: int, value: bytes) -> bytes:
        return struct.pack(self.order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self, order: str = "<", *, length: int = -1, version: tuple[int, int] = (1, 0)) -> Pcapng:
        self.order = order
        return self.block(SHB, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, length))

    def interface(self, link: int = 1, *options: tuple[int, bytes], snap_length: int = 0) -> Pcapng:
        body = struct.pack(self.order + "HHI", link, 0, snap_length)
        return self.block(IDB, body + b"".join(self.option(*option) for option in options))

    def enhanced(
        self,
        data: bytes,
        ticks: int = 0,
        interface: int = 0,
        *,
        captured: int | None = None,
        length: int | None = None,
        options: bytes = b"",
    ) -> Pcapng:
        captured = len(data) if captured is None else captured
        length = captured if length is None else length
        head = struct.pack(self.order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, captured, length)
        return self.block(EPB, head + data + bytes(-len(data) % 4) + options)

    def simple(self, data: bytes, *, length: int | None = None) -> Pcapng:
        return self.block(SPB, struct.pack(self.order + "I", len(data) if length is None else length) + data)

    def obsolete(self, data: bytes, ticks: int = 0, interface: int = 0, drops: int = 0xFFFF) -> Pcapng:
        head = struct.pack(self.order + "HHII", interface, drops, ticks >> 32, ticks & 0xFFFFFFFF)
        return self.block(PB, head + struct.pack(self.order + "II", len(data), len(data)) + data)

    def statistics(self, interface: int, *options: tuple[int, bytes]) -> Pcapng:
        body = struct.pack(self.order + "III", interface, 0, 0)
        return self.block(ISB, body + b"".join(self.option(*option) for option in options))

    def count(self, value: int) -> bytes:
        return struct.pack(self.order + "Q", value)

    def secrets(self, kind: int, data: bytes) -> Pcapng:
        return self.block(DSB, struct.pack(self.order + "II", kind, len(data)) + data)
