"""Blocks of a TPACKET_V3 ring as the kernel would fill them: frames in, memory out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from inspector.sources.ring import Interfaces, Ring

BLOCK = 1 << 16
HEADER, ADDRESS = 48, 20
VLAN_VALID, TPID_VALID = 0x10, 0x40
ETHERNET, LOOPBACK, NO_HEADER = 1, 772, 65534


@dataclass(frozen=True)
class Frame:
    """One packet, as the kernel puts it into a block."""

    data: bytes
    time_ns: int = 0
    length: int | None = None
    """Bytes on the wire, where more than `data`."""
    ifindex: int = 2
    hatype: int = ETHERNET
    link: int = 14
    """Bytes before the network header."""
    tag: tuple[int, int] | None = None
    """VLAN tag in the metadata: TPID and TCI."""
    status: int = 0

    def packed(self, *, is_last: bool) -> bytes:
        net = (HEADER + ADDRESS + max(self.link, 16) + 15) // 16 * 16 + 4  # room for a tag is reserved
        mac = net - self.link
        size = (mac + len(self.data) + 15) // 16 * 16
        tpid, tci = self.tag or (0, 0)
        status = self.status | (VLAN_VALID | (TPID_VALID if tpid else 0) if self.tag else 0)
        length = len(self.data) if self.length is None else self.length
        head = struct.pack(
            "=IIIIIIHHIIHH8x",
            *(0 if is_last else size, self.time_ns // 10**9, self.time_ns % 10**9, len(self.data), length),
            *(status, mac, net, 0, tci, tpid, 0),
        )
        address = struct.pack("=HHiHBB8x", 17, 0, self.ifindex, self.hatype, 0, 6)
        return (head + address).ljust(mac, b"\xee") + self.data.ljust(size - mac, b"\xdd")


def fill(memory: bytearray, block: int, frames: Sequence[Frame]) -> None:
    """Write a block and hand it over."""
    at = start = block * BLOCK + HEADER
    for frame in frames:
        packed = frame.packed(is_last=frame is frames[-1])
        memory[at : at + len(packed)] = packed
        at += len(packed)
    struct.pack_into("=IIIIIIQ", memory, block * BLOCK, 3, 0, 1, len(frames), start - block * BLOCK, at - start, 0)


def owned(memory: bytearray, block: int) -> bool:
    """Whether the block is the reader's."""
    return bool(struct.unpack_from("=I", memory, block * BLOCK + 8)[0] & 1)


def ring(blocks: int = 4) -> tuple[bytearray, Ring]:
    memory = bytearray(BLOCK * blocks)
    return memory, Ring(memory, BLOCK, Interfaces({2: "eth0", 1: "lo", 7: "tun0"}.get))
