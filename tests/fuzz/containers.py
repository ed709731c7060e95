"""A capture file cut into its records or blocks, so that mutations can move whole packets and damage known fields.

What is neither pcap nor pcapng is one opaque piece. Cutting never fails: a rest that fits no record is a piece too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PCAP_ORDERS = {
    bytes.fromhex(magic): order
    for order, magics in (("<", ("d4c3b2a1", "4d3cb2a1")), (">", ("a1b2c3d4", "a1b23c4d")))
    for magic in magics
}
_PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")
_LITTLE_SECTION = bytes.fromhex("4d3c2b1a")
_ENHANCED_PACKET = 6


@dataclass(slots=True)
class Container:
    """A capture in pieces; `encode` puts them together again."""

    kind: str
    """"pcap", "pcapng" or "opaque"."""
    order: str
    """Byte order for `struct`: of a pcapng, its first section's."""
    head: bytes
    """The file header of a pcap, else empty."""
    pieces: list[bytes]
    """Records or blocks with their own headers."""

    def encode(self) -> bytes:
        """The file's bytes."""
        return self.head + b"".join(self.pieces)

    def copy(self) -> Container:
        """Another of the same content."""
        return Container(self.kind, self.order, self.head, list(self.pieces))

    def frame_at(self, piece: bytes) -> int:
        """Where the packet starts in a piece; its length where it holds none."""
        if self.kind == "pcap":
            return min(16, len(piece))
        if self.kind == "pcapng" and len(piece) > 28:
            return 28 if struct.unpack_from(self.order + "I", piece)[0] == _ENHANCED_PACKET else len(piece)
        return len(piece)


def split(content: bytes, limit: int) -> Container:
    """Cut a capture; pieces beyond `limit` bytes are left out."""
    order = _PCAP_ORDERS.get(content[:4])
    if order is not None:
        return Container("pcap", order, content[:24], _records(content, order, limit))
    if content[:4] == _PCAPNG_MAGIC:
        order = "<" if content[8:12] == _LITTLE_SECTION else ">"
        return Container("pcapng", order, b"", _blocks(content, order, limit))
    return Container("opaque", "<", b"", [content[:limit]])


def _records(content: bytes, order: str, limit: int) -> list[bytes]:
    pieces, at, header = [], 24, struct.Struct(order + "I")
    while at + 16 <= min(len(content), limit):
        end = at + 16 + header.unpack_from(content, at + 8)[0]
        pieces.append(content[at:end])
        at = end
    if at < min(len(content), limit):
        pieces.append(content[at:limit])
    return pieces


def _blocks(content: bytes, order: str, limit: int) -> list[bytes]:
    pieces, at = [], 0
    while at + 12 <= min(len(content), limit):
        if content[at : at + 4] == _PCAPNG_MAGIC:
            order = "<" if content[at + 8 : at + 12] == _LITTLE_SECTION else ">"
        end = at + max(12, struct.unpack_from(order + "I", content, at + 4)[0])
        pieces.append(content[at:end])
        at = end
    if at < min(len(content), limit):
        pieces.append(content[at:limit])
    return pieces
