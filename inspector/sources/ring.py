"""A ring of packets shared with the Linux kernel (TPACKET_V3), as a Scapy socket that any Scapy user can have.

The kernel fills blocks of a mapped memory and hands each over when it is full or RETIRE_MS old. A lean loop walks the
frames of a block, NumPy gathers their headers into columns, and the bytes stay where they are: a batch is a view of
the ring, and its blocks go back to the kernel when the next batch is asked for. VLAN tags that the kernel took out are
put back into the frames, in room that is reserved in front of each.

Source: linux/Documentation/networking/packet_mmap.rst, linux/if_packet.h, tpacket_rcv in net/packet/af_packet.c.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from scapy.arch.common import compile_filter
from scapy.config import conf
from scapy.data import ETH_P_ALL
from scapy.error import Scapy_Exception
from scapy.supersocket import SuperSocket

from inspector.packets.batch import I64, U8, U16, Interface
from inspector.sources import bpf
from inspector.sources.reader import Rows, gather
from inspector.sources.source import BATCH_BYTES, BATCH_ROWS

#: Bytes of a block: a packet that does not fit is cut, and GRO makes some of half a megabyte (BIG TCP).
BLOCK_BYTES = 1 << 20
#: Blocks of a ring: what the kernel may fill while nobody reads.
BLOCKS = 32
#: A block goes over to the reader after so many milliseconds, full or not.
RETIRE_MS = 50

#: No packet is longer than this, so that as a snap length it cuts none.
WHOLE_PACKETS = 1 << 18

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _RESERVE = 1, 5, 6, 10, 12
_TPACKET_V3 = 2
_PROMISCUOUS = 1
_SO_ATTACH_FILTER = 26

_OURS = 1
"""TP_STATUS_USER of a block; 0 gives it back."""
_VLAN_VALID, _VLAN_TPID_VALID = 0x10, 0x40
_TAG = 4
_ADDRESSES = 12
_VLAN = 0x8100

#: A block's descriptor: the fields that are read here, as 32-bit words from its start.
_STATUS, _COUNT, _FIRST = 2, 3, 4

#: struct tpacket3_hdr, and struct sockaddr_ll behind it.
_FRAME = np.dtype(
    {
        "names": ["sec", "nsec", "captured", "length", "status", "mac", "net", "tci", "tpid", "ifindex", "hatype"],
        "formats": ["=u4", "=u4", "=u4", "=u4", "=u4", "=u2", "=u2", "=u4", "=u2", "=i4", "=u2"],
        "offsets": [4, 8, 12, 16, 20, 24, 26, 32, 36, 52, 56],
        "itemsize": 68,
    }
)

#: LINKTYPE_ numbers by hardware type (linux/if_arp.h), where packets start with their link-layer header. Of all other
#: interfaces packets are taken from the network header on.
_LINK_TYPES = {1: 1, 772: 1, 801: 105, 802: 119, 803: 127}
_RAW = 101


class Interfaces:
    """The interfaces that packets came from: what RawBatch.interface counts in."""

    def __init__(self, name_of: Callable[[int], str | None]) -> None:
        """`name_of`: an interface's name by its index in the kernel."""
        self.known: list[Interface] = []
        self.indices: list[int] = []
        """The kernel's index of each."""
        self._place: dict[tuple[int, int], int] = {}
        self._name_of = name_of

    def columns(self, ifindex: I64, hatype: I64) -> tuple[U16, I64]:
        """Which of `known` each packet came from, and its link type. shape (n,) each"""
        key = ifindex << 16 | hatype
        if len(key) and (key == key[0]).all():
            place = self._find(int(key[0]))
            link_type = self.known[place].link_type
            return np.full(len(key), place, np.uint16), np.full(len(key), link_type, np.int64)
        different, inverse = np.unique(key, return_inverse=True)
        places = np.array([self._find(one) for one in different.tolist()], np.uint16)
        link_types = np.array([self.known[place].link_type for place in places.tolist()], np.int64)
        return places[inverse], link_types[inverse]

    def _find(self, key: int) -> int:
        ifindex, hatype = key >> 16, key & 0xFFFF
        place = self._place.get((ifindex, hatype))
        if place is None:
            place = self._place[ifindex, hatype] = len(self.known)
            self.known.append(Interface(_LINK_TYPES.get(hatype, _RAW), self._name_of(ifindex)))
            self.indices.append(ifindex)
        return place


class Ring:
    """The blocks: packets out, room back. Works on any memory that is laid out like the kernel's."""

    def __init__(self, memory: mmap.mmap | bytearray, block_bytes: int, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self._bytes: U8 = np.frombuffer(memory, np.uint8)
        self._words = memoryview(memory).cast("I")
        self._block_words = block_bytes // 4
        self._blocks = len(memory) // block_bytes
        self._next = 0
        self._held: list[int] = []
        """Blocks whose packets are in `_rows`, or were the last batch."""
        self._rows: Rows | None = None
        self._done = 0
        self._seen: int | None = None
        """Blocks that were ready at the last look and were not taken since; None: nobody looked."""

    @property
    def ready(self) -> bool:
        """Whether there are packets to take."""
        if self._rows is not None and self._done < len(self._rows):
            return True
        return bool(self._words[self._next * self._block_words + _STATUS] & _OURS)

    @property
    def filling(self) -> bool:
        """Whether a quarter of the blocks is ready."""
        ahead = (self._next + self._blocks // 4 - 1) % self._blocks
        return bool(self._words[ahead * self._block_words + _STATUS] & _OURS)

    def look(self) -> None:
        """From here on no more is taken than what is ready now, until the next look."""
        words, seen = self._words, 0
        while seen < self._blocks and words[(self._next + seen) % self._blocks * self._block_words + _STATUS] & _OURS:
            seen += 1
        self._seen = seen

    def take(self, max_rows: int) -> Rows | None:
        """The next packets, in the order in which the kernel saw them; their bytes are valid until the next call.

        None: there are none now, or were none at the last look. The packets before may lie in blocks that go back with
        this call.
        """
        if self._rows is None or self._done == len(self._rows):
            self.give_back()
            self._rows = self._walk()
            self._done = 0
            if self._rows is None:
                return None
        rows, start = self._rows, self._done
        self._done = min(start + max_rows, len(rows))
        if start == 0 and self._done == len(rows):
            return rows
        part = slice(start, self._done)
        return Rows(
            rows.data,
            rows.position[part],
            rows.captured[part],
            rows.length[part],
            rows.time_ns[part],
            rows.interface[part],
        )

    def give_back(self) -> None:
        """The kernel may have again what was taken."""
        for block in self._held:
            self._words[block * self._block_words + _STATUS] = 0
        self._held.clear()
        self._rows = None

    def close(self) -> None:
        """Let go of the memory."""
        self._rows = None
        self._bytes = np.empty(0, np.uint8)
        self._words.release()

    def _walk(self) -> Rows | None:
        """The packets of the blocks that are ours, up to the end of the ring, to BATCH_BYTES and to BATCH_ROWS."""
        words, frames = self._words, list[int]()
        first = at = self._next
        most = max(1, min(BATCH_BYTES // (4 * self._block_words), self._blocks // 2))
        if self._seen is not None:
            most = min(most, self._seen)
        while at < self._blocks and at - first < most and len(frames) < BATCH_ROWS:
            block = at * self._block_words
            if not words[block + _STATUS] & _OURS:
                break
            self._held.append(at)
            at += 1
            frame = block + (words[block + _FIRST] >> 2)
            for _ in repeat(None, words[block + _COUNT]):
                frames.append(frame)
                frame += words[frame] >> 2
        self._next = at % self._blocks
        if self._seen is not None:
            self._seen -= at - first
        if not frames:
            return None
        start = first * self._block_words * 4
        data = self._bytes[start : at * self._block_words * 4]
        return self._columns(data, np.array(frames, np.int64) * 4 - start)

    def _columns(self, data: U8, frames: I64) -> Rows:
        heads = gather(data, frames, _FRAME)
        interface, link_type = self.interfaces.columns(
            heads["ifindex"].astype(np.int64), heads["hatype"].astype(np.int64)
        )
        mac = heads["mac"].astype(np.int64)
        position, captured, length = frames + mac, heads["captured"].astype(np.int64), heads["length"].astype(np.int64)
        if (link_type == _RAW).any():
            header = np.where(link_type == _RAW, heads["net"] - mac, 0)
            position += header
            captured -= np.minimum(header, captured)
            length -= np.minimum(header, length)
        tagged = np.flatnonzero((heads["status"] & _VLAN_VALID != 0) & (link_type == 1) & (captured >= _ADDRESSES))
        if len(tagged):
            _put_back(data, position[tagged], heads[tagged])
            position[tagged] -= _TAG
            captured[tagged] += _TAG
            length[tagged] += _TAG
        time_ns = heads["sec"].astype(np.int64) * 1_000_000_000 + heads["nsec"]
        return Rows(data, position, captured, np.maximum(length, captured), time_ns, interface)


def _put_back(data: U8, position: I64, heads: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Move the addresses of these frames forward, and write the VLAN tags behind them."""
    addresses = position[:, None] + np.arange(_ADDRESSES)
    data[addresses - _TAG] = data[addresses]
    tag = np.empty((len(position), 2), ">u2")
    tag[:, 0] = np.where(heads["status"] & _VLAN_TPID_VALID, heads["tpid"], _VLAN)
    tag[:, 1] = heads["tci"]
    data[position[:, None] + np.arange(_ADDRESSES - _TAG, _ADDRESSES)] = tag.view(np.uint8)


class FilterError(Exception):
    """The filter cannot be used; `str()` says why."""


class RingSocket(SuperSocket):  # type: ignore[misc]  # Scapy has no types here
    """What Scapy listens with, over a ring: `sniff(opened_socket=RingSocket("eth0"))`, or `conf.L2listen = RingSocket`.

    `iface`: a name, several, or None for all. Raises OSError where the system refuses, FilterError for the filter.
    """

    desc = "read packets at layer 2 from a TPACKET_V3 ring"

    def __init__(
        self,
        iface: str | Sequence[str] | None = None,
        type: int = ETH_P_ALL,  # the name that Scapy gives it
        promisc: bool | None = None,
        filter: str | None = None,
        nofilter: int = 0,
        *,
        snap_length: int = WHOLE_PACKETS,
        block_bytes: int = BLOCK_BYTES,
        blocks: int = BLOCKS,
    ) -> None:
        names = [iface] if isinstance(iface, str) else [str(one) for one in iface or ()]
        self.iface = names[0] if len(names) == 1 else None
        self.promisc = conf.sniff_promisc if promisc is None else promisc
        self.outs = None
        self._snap_length = snap_length
        self._filter = (None, None) if nofilter or not filter else compiled(filter)
        self._all = nofilter or not filter
        self._drops = self._freezes = 0
        self._queue: deque[tuple[int, bytes, int]] = deque()
        indices = [socket.if_nametoindex(name) for name in names]
        # Protocol 0: nothing comes in before filter and ring are there.
        self.ins = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.listen_to(indices if len(indices) > 1 else ())
            self._memory = self._map(block_bytes, blocks)
            self.ring = Ring(self._memory, block_bytes, Interfaces(self._name_of))
            for index in indices if self.promisc else ():
                self.ins.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8x", index, _PROMISCUOUS, 0))
            self._bind(indices[0] if len(indices) == 1 else 0, type)
        except BaseException:
            self.ins.close()
            raise

    def _map(self, block_bytes: int, blocks: int) -> mmap.mmap:
        self.ins.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        self.ins.setsockopt(_SOL_PACKET, _RESERVE, _TAG)
        frame_bytes = 2048  # no frame has this size in version 3, but the numbers must fit together
        ring = struct.pack("7I", block_bytes, blocks, frame_bytes, block_bytes // frame_bytes * blocks, RETIRE_MS, 0, 0)
        self.ins.setsockopt(_SOL_PACKET, _RX_RING, ring)
        return mmap.mmap(self.ins.fileno(), block_bytes * blocks)

    def _bind(self, index: int, protocol: int) -> None:
        """Begin: with one interface, or with all (0), for which Python has no address."""
        address = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(protocol), index)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.bind(self.ins.fileno(), address, len(address)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def listen_to(self, indices: Sequence[int]) -> None:
        """Take packets of these interfaces only, from now on; none: of all that the socket is bound to."""
        ethernet, others = self._filter
        if self._all:
            ethernet = others = bpf.everything()
        try:
            program = bpf.socket_program(ethernet, others, interfaces=indices, snap_length=self._snap_length)
        except ValueError as error:
            raise FilterError(f"the filter is too long: {error}") from None
        self._attach(program)

    def stop(self) -> None:
        """Take no more packets; those that are in the ring stay."""
        self._attach(bpf.nothing())

    def _attach(self, program: bpf.Program) -> None:
        attach(self.ins, program)

    def _name_of(self, index: int) -> str | None:
        try:
            return socket.if_indextoname(index)
        except OSError:
            return None

    def statistics(self) -> tuple[int, int]:
        """Packets that the ring had no room for, and how often that began, since the socket was opened."""
        counts = self.ins.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        _, drops, freezes = struct.unpack("3I", counts)
        self._drops += drops
        self._freezes += freezes
        return self._drops, self._freezes

    def recv_raw(self, x: int = WHOLE_PACKETS) -> tuple[type[Any] | None, bytes | None, float | None]:
        """As Scapy has it: the class to dissect with, the bytes, the time in seconds."""
        if not self._queue:
            rows = self.ring.take(BATCH_ROWS)
            if rows is None:
                return None, None, None
            data = rows.data.data
            columns = (rows.position.tolist(), rows.captured.tolist(), rows.time_ns.tolist(), rows.interface.tolist())
            for at, size, time_ns, place in zip(*columns, strict=True):
                link_type = self.ring.interfaces.known[place].link_type
                self._queue.append((link_type, bytes(data[at : at + size]), time_ns))
            self.ring.give_back()
        link_type, packet, time_ns = self._queue.popleft()
        layer = conf.l2types.num2layer.get(link_type, conf.raw_layer)
        return layer, packet[:x], time_ns / 1e9

    @staticmethod
    def select(sockets: list[Any], remain: float | None = None) -> list[Any]:
        """Those that have something to read: at once where packets were taken from the ring already."""
        full = [one for one in sockets if isinstance(one, RingSocket) and (one._queue or one.ring.ready)]
        return full or list(SuperSocket.select(sockets, remain))

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if hasattr(self, "ring"):
            self.ring.close()
            # Arrays handed out keep the mapping alive; it goes with the last of them.
            del self._memory


def attach(packet_socket: socket.socket, program: bpf.Program) -> None:
    """Put a program in front of a socket, in place of the one that is there; raises OSError."""
    code = ctypes.create_string_buffer(bpf.packed(program))
    packet_socket.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )


def compiled(filter: str) -> tuple[bpf.Program | None, bpf.Program | None]:
    """A filter expression for Ethernet and for other link types; None where the expression does not fit them.

    The default filter needs no libpcap. Raises FilterError.
    """
    if filter == bpf.DEFAULT_FILTER:
        program = bpf.default_program()
        return bpf.behind_ethernet(program), bpf.at_network_header(program)
    results: list[bpf.Program | None] = []
    errors = []
    for link_type in (1, 12):
        try:
            results.append(_compiled(filter, link_type))
        except FilterError as error:
            errors.append(str(error))
            results.append(None)
    ethernet, others = results
    if ethernet is None and others is None:
        raise FilterError(errors[0])
    return ethernet, bpf.at_network_header(others) if others is not None else None


def _compiled(filter: str, link_type: int) -> bpf.Program:
    try:
        program = compile_filter(filter, linktype=link_type)
    except ImportError:
        raise FilterError(
            f"filters need libpcap, which is not there: install libpcap (Debian: libpcap0.8, Fedora: libpcap), "
            f"or leave the filter out to have '{bpf.DEFAULT_FILTER}'"
        ) from None
    except (Scapy_Exception, OSError) as error:
        raise FilterError(_reason(str(error))) from None
    instructions: Iterable[Any] = (program.bf_insns[at] for at in range(program.bf_len))
    return [bpf.Instruction(one.code, one.jt, one.jf, one.k) for one in instructions]


def _reason(message: str) -> str:
    """libpcap's own words, out of Scapy's sentence."""
    start, end = message.find("("), message.rfind(")")
    return message[start + 1 : end] if 0 <= start < end else message
