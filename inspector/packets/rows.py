"""What the layers of the columns path share: the cursor over a slice of packets, and how header fields are gathered.

A cursor is one row a packet: where its next header starts, where its bytes end, what the next header is. Each layer
moves the rows it knows forward and leaves the others alone; a row ends with a fate. Headers are gathered as opaque
items of their exact size, one fancy index a header, and then viewed as fields: three to five times faster than a
gather a byte, and never a byte outside the buffer as long as only rows whose header is there are believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import I64, U8, U16, U32, U64

#: A buffer shorter than the longest header gathered is padded up to this, in bytes.
MIN_BUFFER = 64

#: The namespaces of `Cursor.next`: the number in the low 16 bits belongs to one of them.
ETHERTYPE = 0
LINK = 1 << 16
PROTOCOL = 2 << 16
UDP_PORT = 3 << 16
FRAGMENT = 4 << 16

#: `Cursor.next` for an IP header of either version: its first nibble tells which.
IP = ETHERTYPE | 0x0800
FRAGMENT_V4 = FRAGMENT | 4
FRAGMENT_V6 = FRAGMENT | 6


class Fate(IntEnum):
    """What became of a packet. The lower-case name of all but the first three is a reason in `PacketBatch.skipped`."""

    OPEN = 0
    """Not decided yet."""
    SEGMENT = 1
    """A TCP segment."""
    PEEL = 2
    """The columns do not know its next header: a job for the fallback."""
    NOT_IP = 3
    NOT_TCP = 4
    QUIC = 5
    UNSUPPORTED_LINK_TYPE = 6
    MALFORMED = 7
    IP_FRAGMENT = 8
    DUPLICATE = 9


@dataclass(slots=True)
class Cursor:
    """How far each packet has been read. n rows; positions count from the start of one buffer."""

    at: I64
    """Where the next header starts."""
    end: I64
    """Where the captured bytes of the innermost header's content end."""
    wire_end: I64
    """Where they would end, had everything been captured."""
    next: I64
    """What the next header is: a namespace (`ETHERTYPE`, `LINK`, ...) and the number in it."""
    network: I64
    """As in PacketBatch."""
    ip_at: I64
    """Where the innermost IP header read so far starts."""
    fate: U8

    @classmethod
    def start(cls, at: I64, end: I64, wire_end: I64, what: I64, network: I64) -> Cursor:
        """Rows of which nothing has been read yet; the arrays become the cursor's own."""
        return cls(at, end, wire_end, what, network, at.copy(), np.zeros(len(at), np.uint8))


@dataclass(slots=True)
class Segments:
    """The fields read so far, a row a packet, as PacketBatch has them; rows that are no segment hold no meaning."""

    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    src_port: U16
    dst_port: U16
    seq: U32
    ack: U32
    flags: U8
    window: U16
    payload_length: I64
    payload_position: I64
    payload_captured: I64
    options_position: I64
    options_length: I64
    ttl: U8
    ip_id: U16
    checksum: U16
    network: I64

    @classmethod
    def empty(cls, n: int) -> Segments:
        """Columns of n rows, to be written."""
        return cls(**{name: np.empty(n, kind) for name, kind in _KINDS.items()})

    def part(self, rows: slice | I64) -> Segments:
        """The same columns for these rows: views for a slice, copies for an index."""
        return Segments(**{name: getattr(self, name)[rows] for name in _KINDS})

    def put(self, rows: I64, values: Segments) -> None:
        """Replace these rows."""
        for name in _KINDS:
            getattr(self, name)[rows] = getattr(values, name)


_KINDS: dict[str, type[np.generic]] = {
    **dict.fromkeys(("src_hi", "src_lo", "dst_hi", "dst_lo"), np.uint64),
    **dict.fromkeys(("src_port", "dst_port", "window", "ip_id", "checksum"), np.uint16),
    **dict.fromkeys(("seq", "ack"), np.uint32),
    **dict.fromkeys(("flags", "ttl"), np.uint8),
    **dict.fromkeys(
        ("payload_length", "payload_position", "payload_captured", "options_position", "options_length", "network"),
        np.int64,
    ),
}

SEGMENT_COLUMNS = tuple(_KINDS)


def padded(data: U8) -> U8:
    """The same bytes in a buffer that `gather` accepts: copied only where there are very few."""
    if len(data) >= MIN_BUFFER:
        return np.ascontiguousarray(data)
    return np.concatenate([data, np.zeros(MIN_BUFFER, np.uint8)])


def gather(data: U8, at: I64, header: np.dtype[Any]) -> NDArray[Any]:
    """The headers that start at `at`, as an array of `header`, shape (n,); bytes beyond the buffer read as 0.

    A header of which bytes were not captured has other bytes there: whoever asks checks the length.
    `header.itemsize` is at most MIN_BUFFER.
    """
    size = header.itemsize
    last = len(data) - size
    if not len(at) or at.max() <= last:
        return _windows(data, size)[at].view(header)
    items = _windows(data, size)[np.minimum(at, last)]
    is_beyond = at > last
    tail = np.concatenate([data[last:], np.zeros(size, np.uint8)])
    items[is_beyond] = _windows(tail, size)[np.minimum(at[is_beyond] - last, size)]
    return items.view(header)


def _windows(data: U8, size: int) -> NDArray[np.void]:
    """Every run of `size` bytes of the data: a view."""
    return np.ndarray((len(data) - size + 1,), np.dtype((np.void, size)), buffer=data, strides=(1,))


def chosen(mask: NDArray[np.bool_]) -> slice | I64:
    """An index for the rows of a mask: a slice where it is all of them, so that indexing with it copies nothing."""
    if mask.all():
        return slice(None)
    return np.flatnonzero(mask)
