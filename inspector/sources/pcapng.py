"""pcapng files: a plain loop runs over the blocks of a section, NumPy gathers the packets of one kind together.

A run is packet blocks of one kind under one set of interfaces; blocks between them that change nothing about packets
do not end it. Whatever does change something (a section, an interface, secrets, another kind of packet) is read by
itself, so that it holds from the very next block on. Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from inspector.packets.batch import I64, U8, U64, Interface
from inspector.sources import pcapng_blocks as ng
from inspector.sources.reader import HeaderError, Reader, Rows, Taken, gather, leading, max_captured
from inspector.sources.source import Dropped, Secret
from inspector.sources.window import Window

#: Bytes of Decryption Secrets Blocks that are kept of a file; what is more is not kept, and that is said.
MAX_SECRET_BYTES = 64 << 20

_BY_ITSELF = {ng.SECTION_HEADER, ng.INTERFACE_DESCRIPTION, ng.DECRYPTION_SECRETS}
_ENDS_RUN = ng.PACKETS | _BY_ITSELF
_VERSIONS = {(1, 0), (1, 2)}


class _BlockError(Exception):
    """The block cannot be read, and so nothing behind it; `str()` says why."""


class _Section:
    """What holds from one Section Header Block to the next: byte order and interfaces."""

    def __init__(self, order: ng.ByteOrder) -> None:
        self.order = order
        self.clocks: list[ng.Clock] = []
        self.snap_lengths: list[int] = []
        self.max_captured: list[int] = []
        self.timeline_index: list[int] = []

    def to_ns(self, ticks: U64, interface: I64) -> I64:
        """Times of packets, each by its interface's clock."""
        if len(set(self.clocks)) == 1:
            return self.clocks[0].to_ns(ticks)
        time_ns = np.zeros(len(ticks), dtype=np.int64)
        for index in np.unique(interface).tolist():
            of_it = interface == index
            time_ns[of_it] = self.clocks[index].to_ns(ticks[of_it])
        return time_ns


@dataclass(slots=True)
class _Packets:
    """The fixed fields of packet blocks, and what must be true of them."""

    interface: I64
    captured: I64
    length: I64
    ticks: U64 | None
    """None where the blocks have no time."""
    checks: list[tuple[NDArray[np.bool_], str]]
    """What must hold, a row a packet, and what is wrong where it does not."""

    def sound(self) -> int:
        """How many packets, from the first on, pass every check."""
        return min(leading(good) for good, _ in self.checks)

    def damage(self) -> str | None:
        """What is wrong with the first packet."""
        return next((f"a packet block {what}" for good, what in self.checks if len(good) and not good[0]), None)


class PcapngReader(Reader):
    """Packets of a pcapng file."""

    format = "pcapng"

    def __init__(self, window: Window, interfaces: list[Interface]) -> None:
        super().__init__(window, interfaces)
        self._last_ns = 0
        self._timeless_seen = False
        self._secret_bytes = 0
        self._secrets_full = False
        self._drops: dict[tuple[int, int], int] = {}
        try:
            self._section = self._first_section()
        except _BlockError as error:
            raise HeaderError(str(error)) from None

    @property
    def dropped(self) -> Dropped | None:
        """The last word of the statistics on each interface, added up."""
        if not self._drops:
            return None
        return Dropped(kernel=self._sum_of_drops(ng.ISB_OSDROP), interface=self._sum_of_drops(ng.ISB_IFDROP))

    def _sum_of_drops(self, code: int) -> int | None:
        counts = [count for (_, of_code), count in self._drops.items() if of_code == code]
        return sum(counts) if counts else None

    def _take(self, piece: U8, max_rows: int) -> Taken:
        if len(piece) < ng.MIN_BLOCK:
            return Taken(None, 0)
        kind = self._section.order.u32.unpack_from(piece.data)[0]
        try:
            if kind in _BY_ITSELF:
                return Taken(None, self._take_block(kind, piece))
            return self._take_run(piece, kind if kind in ng.PACKETS else ng.ENHANCED_PACKET, max_rows)
        except _BlockError as error:
            return Taken(None, 0, str(error))

    # One block.

    def _first_section(self) -> _Section:
        """Read the Section Header Block that the file begins with; raises HeaderError and _BlockError."""
        head = self._require(ng.MIN_SIZE[ng.SECTION_HEADER])
        order = self._order_of(head)
        block = self._block(head, order)
        if block is None:
            block = self._block(self._require(ng.padded(order.block.unpack_from(head.data)[1])), order)
        assert block is not None
        self._cursor += len(block)
        return self._new_section(block)

    def _order_of(self, piece: U8) -> ng.ByteOrder:
        """The byte order that the Section Header Block at the start of `piece` declares."""
        order = ng.BYTE_ORDERS.get(piece[8:12].tobytes())
        if order is None:
            raise _BlockError("a section header without a byte-order magic")
        return order

    def _block(self, piece: U8, order: ng.ByteOrder) -> bytes | None:
        """The block at the start of `piece`, padded; None: not all there. Raises _BlockError."""
        kind, size = order.block.unpack_from(piece.data)
        size = ng.padded(size)
        if not ng.MIN_SIZE.get(kind, ng.MIN_BLOCK) <= size <= ng.MAX_BLOCK:
            raise _BlockError(f"a block of type {kind:#x} that claims {size} bytes")
        if size > len(piece):
            return None
        (trailer,) = order.u32.unpack_from(piece.data, size - 4)
        if ng.padded(trailer) != size:
            raise _BlockError(f"a block that begins with length {size} and ends with length {trailer}")
        return piece[:size].tobytes()

    def _take_block(self, kind: int, piece: U8) -> int:
        """Read a block that is no packet; bytes used, 0 where it is not all there."""
        order = self._section.order
        if kind == ng.SECTION_HEADER:
            order = self._order_of(piece)
        block = self._block(piece, order)
        if block is None:
            return 0
        if kind == ng.SECTION_HEADER:
            self._section = self._new_section(block)
        elif kind == ng.INTERFACE_DESCRIPTION:
            self._describe_interface(block)
        elif kind == ng.DECRYPTION_SECRETS:
            self._keep_secrets(block)
        elif kind == ng.INTERFACE_STATISTICS:
            self._count_drops(block)
        return len(block)

    def _new_section(self, block: bytes) -> _Section:
        """pcapng section 4.1. The section's length is not needed: a section ends where the next one begins."""
        order = ng.BYTE_ORDERS[block[8:12]]
        version = order.option.unpack_from(block, 12)
        if version not in _VERSIONS:
            raise _BlockError(f"pcapng version {version[0]}.{version[1]}; only 1.0 and 1.2 can be read")
        return _Section(order)

    def _describe_interface(self, block: bytes) -> None:
        """pcapng section 4.2."""
        section, order = self._section, self._section.order
        link_type, _, snap_length = order.interface.unpack_from(block, 8)
        name = None
        base, exponent, offset = 10, 6, 0
        for code, value in order.options(block[16:-4]):
            if code == ng.IF_NAME:
                name = value.decode("utf-8", "replace")
            elif code == ng.IF_TSRESOL and len(value) == 1:
                base, exponent = (2 if value[0] & 0x80 else 10), value[0] & 0x7F
            elif code == ng.IF_TSOFFSET and len(value) == 8:
                (offset,) = order.i64.unpack(value)
        index = self._add_interface(Interface(link_type, name))
        if index is None:
            raise _BlockError("too many interfaces")
        section.clocks.append(ng.Clock(base, exponent, offset))
        section.snap_lengths.append(snap_length)
        section.max_captured.append(max_captured(link_type))
        section.timeline_index.append(index)

    def _keep_secrets(self, block: bytes) -> None:
        """pcapng section 4.7."""
        order = self._section.order
        kind, size = order.block.unpack_from(block, 8)
        data = block[16:-4][:size]
        if self._secret_bytes + len(data) <= MAX_SECRET_BYTES:
            self._secret_bytes += len(data)
            self.secrets.append(Secret(kind, data))
        elif not self._secrets_full:
            self._secrets_full = True
            self._note(f"more than {MAX_SECRET_BYTES >> 20} MiB of decryption secrets: the rest is not kept")

    def _count_drops(self, block: bytes) -> None:
        """pcapng section 4.6: running totals, so that the last block on an interface holds."""
        section, order = self._section, self._section.order
        (interface,) = order.u32.unpack_from(block, 8)
        if interface >= len(section.timeline_index):
            return
        for code, value in order.options(block[20:-4]):
            if code in (ng.ISB_IFDROP, ng.ISB_OSDROP) and len(value) == 8:
                self._drops[section.timeline_index[interface], code] = order.u64.unpack(value)[0]

    # A run of packets.

    def _take_run(self, piece: U8, kind: int, max_rows: int) -> Taken:
        """Packets of one kind, and the blocks among them that say nothing about packets."""
        starts, others, used = self._walk(piece.data, kind, max_rows)
        sizes = self._whole(piece, starts, ng.MIN_SIZE[kind])
        packets = self._packets(piece, starts[: len(sizes)], sizes, kind)
        count = packets.sound()
        if count < len(starts):
            used = int(starts[count])
        whole_others = len(self._whole(piece, others, ng.MIN_BLOCK))
        if whole_others < len(others):
            used = min(used, int(others[whole_others]))
        if not used:
            self._block(piece, self._section.order)
            return Taken(None, 0, packets.damage())
        for other in others[others < used].tolist():
            self._take_block(self._section.order.u32.unpack_from(piece.data, other)[0], piece[other:])
        count = min(count, int(np.searchsorted(starts, used)))
        return Taken(self._rows(piece[:used], starts[:count], packets, kind) if count else None, used)

    def _walk(self, view: memoryview, wanted: int, max_blocks: int) -> tuple[I64, I64, int]:
        """Starts of the packets of the wanted kind, starts of other blocks, and where to go on.

        Only types and lengths are looked at, and believed: the last block may not be all there.
        """
        starts: list[int] = []
        others: list[int] = []
        append = starts.append
        unpack = self._section.order.block.unpack_from
        start = 0
        try:
            for _ in repeat(None, max_blocks):
                kind, size = unpack(view, start)
                if kind == wanted:
                    append(start)
                elif kind in _ENDS_RUN:
                    break
                else:
                    others.append(start)
                start += (size + 3) & -4
        except struct.error:
            pass  # past the end
        return np.array(starts, dtype=np.int64), np.array(others, dtype=np.int64), min(start, len(view))

    def _whole(self, piece: U8, starts: I64, min_size: int) -> I64:
        """Padded sizes of the blocks that are all there and sound, from the first on."""
        order = self._section.order
        size = ng.padded(gather(piece, starts, order.head_layout)["size"].astype(np.int64))
        count = leading((size >= min_size) & (size <= ng.MAX_BLOCK) & (starts + size <= len(piece)))
        trailer = gather(piece, (starts + size)[:count] - 4, order.size_layout)["size"].astype(np.int64)
        return size[: leading(ng.padded(trailer) == size[:count])]

    def _packets(self, piece: U8, starts: I64, sizes: I64, kind: int) -> _Packets:
        """pcapng sections 4.3 and 4.4, and the obsolete Packet Block of its appendix A."""
        section = self._section
        fields = gather(piece, starts + 8, section.order.packet_layouts[kind])
        length = fields["length"].astype(np.int64)
        known = len(section.clocks)
        ticks: U64 | None = None
        if kind == ng.SIMPLE_PACKET:
            interface = np.zeros(len(fields), dtype=np.int64)
            snap_length = section.snap_lengths[0] if known else 0
            captured = np.minimum(length, snap_length) if snap_length else length
        else:
            interface = fields["interface"].astype(np.int64)
            captured = fields["captured"].astype(np.int64)
            ticks = fields["high"].astype(np.uint64) << np.uint64(32) | fields["low"]
        largest = np.array([*section.max_captured, 0], dtype=np.int64)[np.minimum(interface, known)]
        checks = [
            (interface < known, "names an interface that the file does not describe"),
            (captured <= sizes - ng.MIN_SIZE[kind], "has no room for the bytes that it says were captured"),
            (captured <= largest, "holds more bytes than a packet can have"),
        ]
        return _Packets(interface, captured, length, ticks, checks)

    def _rows(self, data: U8, starts: I64, packets: _Packets, kind: int) -> Rows:
        count = len(starts)
        interface = packets.interface[:count]
        captured = packets.captured[:count]
        if packets.ticks is None:
            self._say_timeless()
            time_ns = np.full(count, self._last_ns, dtype=np.int64)
        else:
            time_ns = self._section.to_ns(packets.ticks[:count], interface)
            self._last_ns = int(time_ns[-1])
        return Rows(
            data=data,
            position=starts + ng.PACKET_AT[kind],
            captured=captured,
            length=np.maximum(packets.length[:count], captured),
            time_ns=time_ns,
            interface=np.array(self._section.timeline_index, dtype=np.uint16)[interface],
        )

    def _say_timeless(self) -> None:
        if not self._timeless_seen:
            self._timeless_seen = True
            self._note("Simple Packet Blocks have no time: they are given that of the packet before them")
