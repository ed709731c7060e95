"""The vocabulary of pcapng: block types, layouts, options and clocks. pcapng.py says what becomes of them.

Source: draft-ietf-opsawg-pcapng, whose section numbers are given as "pcapng section n".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import overload

import numpy as np

from inspector.packets.batch import I64, U64

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 0x0A

PACKETS = frozenset({OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET})

#: Fixed bytes of a block, its two lengths included; any block has type and two lengths.
MIN_BLOCK = 12
MIN_SIZE = {
    SECTION_HEADER: 28,
    INTERFACE_DESCRIPTION: 20,
    OBSOLETE_PACKET: 32,
    SIMPLE_PACKET: 16,
    INTERFACE_STATISTICS: 24,
    ENHANCED_PACKET: 32,
    DECRYPTION_SECRETS: 20,
}

#: Largest block that is read; more is damage. Room for the largest packet (USBPcap, D-Bus) with its options.
MAX_BLOCK = (128 << 20) + (1 << 20)

#: Where the packet starts in its block.
PACKET_AT = {OBSOLETE_PACKET: 28, SIMPLE_PACKET: 12, ENHANCED_PACKET: 28}

OPTION_END = 0
IF_NAME = 2
IF_TSRESOL = 9
IF_TSOFFSET = 14
ISB_IFDROP = 5
ISB_OSDROP = 7

#: Times are kept below this (the year 2116) and above its negative: a damaged one cannot overflow a sum.
MAX_TIME_NS = 1 << 62

_SECOND = 1_000_000_000
_NANO = 9


@dataclass(slots=True, frozen=True)
class Clock:
    """How an interface writes time: ticks of `base` ** -`exponent` seconds since `offset` seconds after the epoch."""

    base: int = 10
    exponent: int = 6
    offset: int = 0

    def to_ns(self, ticks: U64) -> I64:
        """Nanoseconds since the Unix epoch, rounded down; at most MAX_TIME_NS away from it before the offset."""
        offset_ns = max(-MAX_TIME_NS, min(self.offset * _SECOND, MAX_TIME_NS - 1))
        if self.base == 10 and self.exponent <= _NANO:
            unit = 10 ** (_NANO - self.exponent)
            time_ns: I64 = np.minimum(ticks, np.uint64(MAX_TIME_NS // unit)).astype(np.int64) * unit
        else:
            # Exact, and too rare to be worth a vector: 2 ** -n does not divide a nanosecond.
            per_second = self.base**self.exponent
            exact = [min(tick * _SECOND // per_second, MAX_TIME_NS) for tick in ticks.tolist()]
            time_ns = np.array(exact, dtype=np.int64)
        return time_ns + offset_ns


class ByteOrder:
    """The layouts of one byte order, "<" or ">"."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.block = Struct(order + "II")
        self.u32 = Struct(order + "I")
        self.u64 = Struct(order + "Q")
        self.i64 = Struct(order + "q")
        self.option = Struct(order + "HH")
        self.interface = Struct(order + "HHI")

    @cached_property
    def size_layout(self) -> np.dtype[np.void]:
        """What every block ends with."""
        return np.dtype([("size", self.order + "u4")])

    @cached_property
    def head_layout(self) -> np.dtype[np.void]:
        """What every block starts with."""
        return np.dtype([("kind", self.order + "u4"), ("size", self.order + "u4")])

    @cached_property
    def packet_layouts(self) -> dict[int, np.dtype[np.void]]:
        """The fixed fields of packet blocks, behind type and length."""
        u2, u4 = self.order + "u2", self.order + "u4"
        rest = [("high", u4), ("low", u4), ("captured", u4), ("length", u4)]
        return {
            ENHANCED_PACKET: np.dtype([("interface", u4), *rest]),
            OBSOLETE_PACKET: np.dtype([("interface", u2), ("drops", u2), *rest]),
            SIMPLE_PACKET: np.dtype([("length", u4)]),
        }

    def options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option (pcapng section 3.5); a value that sticks out of the block ends them."""
        at = 0
        while at + 4 <= len(body):
            code, size = self.option.unpack_from(body, at)
            at += 4
            if code == OPTION_END or at + size > len(body):
                return
            yield code, body[at : at + size]
            at += size + -size % 4


BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": ByteOrder("<"), b"\x1a\x2b\x3c\x4d": ByteOrder(">")}


@overload
def padded(size: int) -> int: ...


@overload
def padded(size: I64) -> I64: ...


def padded(size: int | I64) -> int | I64:
    """The size of a block on disk: lengths that leave out the padding are taken for what was meant, as by Wireshark."""
    return (size + 3) & -4
