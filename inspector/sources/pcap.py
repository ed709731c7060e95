"""Classic pcap files: a plain loop finds where the records start, NumPy gathers everything else from there.

The loop reads one length per record and adds, no more; a wrong length takes it out of the file or to nonsense, which
the columns show afterwards. Sources of the format: draft-ietf-opsawg-pcap, libpcap's sf-pcap.c for the older
versions, Wireshark's wiretap/libpcap.c for Ixia's.
"""

from __future__ import annotations

import struct
from itertools import repeat
from struct import Struct

import numpy as np

from inspector.packets.batch import I64, U8, Interface
from inspector.sources.reader import HeaderError, Reader, Rows, Taken, gather, leading, max_captured
from inspector.sources.window import Window

#: Magic number: nanoseconds in a unit of the fraction, bytes that the file header has beyond 24, and bytes that a
#: record header has beyond 16: Kuznetzov's patched libpcap adds interface index, protocol and packet type.
MAGICS = {
    0xA1B2C3D4: (1000, 0, 0),
    0xA1B23C4D: (1, 0, 0),
    0xA1B2CD34: (1000, 0, 8),
    0x1C0001AC: (1, 4, 0),  # Ixia, hardware; both have the byte count of all records behind the file header
    0x1C0001AB: (1000, 4, 0),  # Ixia, software
}

_FILE_HEADER = 24
_RECORD_HEADER = 16
_SECOND = 1_000_000_000


def byte_order(head: bytes) -> str | None:
    """The byte order, "<" or ">", where `head` (4 bytes or more) starts a classic pcap file."""
    for order in "<>":
        if Struct(order + "I").unpack_from(head)[0] in MAGICS:
            return order
    return None


class PcapReader(Reader):
    """Packets of a classic pcap file, all of one interface."""

    format = "pcap"

    def __init__(self, window: Window, interfaces: list[Interface]) -> None:
        super().__init__(window, interfaces)
        head = self._require(_FILE_HEADER).tobytes()
        order = byte_order(head)
        assert order is not None
        magic, major, minor, link = Struct(order + "IHH12xI").unpack(head)
        self._unit_ns, more_file, more_record = MAGICS[magic]
        if major != 543 and (major != 2 or minor > 4):
            raise HeaderError(f"pcap version {major}.{minor}; only 2.0 to 2.4 and 543.0 can be read")
        self._require(_FILE_HEADER + more_file)
        self._cursor += _FILE_HEADER + more_file

        # The upper 16 bits say how long the frame check sequence is, which nobody here looks at.
        link_type = link & 0xFFFF
        index = self._add_interface(Interface(link_type))
        if index is None:
            raise HeaderError("too many interfaces: read fewer files at once")
        self._interface = index
        self._max_captured = max_captured(link_type)

        # Before 2.3, and in DG/UX's 543.0, the original length comes first. Some 2.3 files have it one way, some the
        # other: there the captured length is the smaller one (sf-pcap.c).
        first, second = ("length", "captured") if major == 543 or minor < 3 else ("captured", "length")
        self._either_order = major == 2 and minor == 3
        self._captured_at = 8 if first == "captured" else 12
        self._header = _RECORD_HEADER + more_record
        self._length = Struct(order + "I")
        self._lengths = Struct(order + "II")
        self._layout = np.dtype([(name, order + "u4") for name in ("second", "fraction", first, second)])

    def _take(self, piece: U8, max_rows: int) -> Taken:
        walk = self._walk_either if self._either_order else self._walk
        starts = walk(piece.data, max_rows)
        starts = starts[starts <= len(piece) - self._header]
        head = gather(piece, starts, self._layout)
        captured = head["captured"].astype(np.int64)
        length = head["length"].astype(np.int64)
        if self._either_order:
            captured, length = np.minimum(captured, length), np.maximum(captured, length)
        sane = captured <= self._max_captured
        position = starts + self._header
        count = leading(sane & (position + captured <= len(piece)))
        if not count:
            return Taken(None, 0, self._damage(captured) if len(sane) and not sane[0] else None)
        used = int(position[count - 1] + captured[count - 1])
        time_ns: I64 = head["second"].astype(np.int64) * _SECOND + head["fraction"].astype(np.int64) * self._unit_ns
        rows = Rows(
            data=piece[:used],
            position=position[:count],
            captured=captured[:count],
            length=np.maximum(length, captured)[:count],
            time_ns=time_ns[:count],
            interface=np.full(count, self._interface, dtype=np.uint16),
        )
        return Taken(rows, used)

    def _damage(self, captured: I64) -> str:
        return f"a packet of {captured[0]} bytes, more than the {self._max_captured} that one can have"

    def _walk(self, view: memoryview, max_rows: int) -> I64:
        """Where records start, by one length each; the last may not be all there."""
        lengths_at: list[int] = []
        append = lengths_at.append
        unpack = self._length.unpack_from
        header = self._header
        at = self._captured_at
        try:
            for _ in repeat(None, max_rows):
                append(at)
                at += unpack(view, at)[0] + header
        except struct.error:
            pass  # past the end
        return np.array(lengths_at, dtype=np.int64) - self._captured_at

    def _walk_either(self, view: memoryview, max_rows: int) -> I64:
        """The same by the smaller of both lengths."""
        starts: list[int] = []
        start = 0
        while len(starts) < max_rows and start + _RECORD_HEADER <= len(view):
            starts.append(start)
            start += min(self._lengths.unpack_from(view, start + 8)) + self._header
        return np.array(starts, dtype=np.int64)
