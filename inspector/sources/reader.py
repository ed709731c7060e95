"""What the readers of both formats share: going through a window, and what becomes of a cut or damaged file.

A format says what whole records lie in a piece of bytes; the rest is here: show it a larger piece, wait for more, or
end with one note that says where and why. Damage ends a file, as it does in Wireshark: where a length is wrong,
nothing behind it can be trusted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.packets.batch import I64, U8, U16, Interface
from inspector.sources.source import BATCH_BYTES, Dropped, Secret
from inspector.sources.window import Window

#: Largest captured length that is taken for a packet; more is damage (libpcap's MAXIMUM_SNAPLEN).
MAX_CAPTURED = 262_144

#: Link types whose packets may be larger, as libpcap (pcap-common.c) and Wireshark (wtap.h) have it:
#: D-Bus, USBPcap, EBHSCR.
MAX_CAPTURED_OF = {231: 128 << 20, 249: 128 << 20, 279: 32 << 20}

#: Interfaces of a timeline: what RawBatch.interface can tell apart.
MAX_INTERFACES = 65_536


class HeaderError(Exception):
    """The file starts like a capture, but cannot be read as one; `str()` says why."""


@dataclass(slots=True)
class Rows:
    """Packets of one file: the columns of a RawBatch that do not depend on the timeline."""

    data: U8
    position: I64
    captured: I64
    length: I64
    time_ns: I64
    interface: U16

    def __len__(self) -> int:
        return len(self.position)


@dataclass(slots=True)
class Taken:
    """What a format made of a piece of bytes."""

    rows: Rows | None
    """The packets; None: none in the part that was used."""
    used: int
    """Bytes from the start of the piece that are done with."""
    damage: str | None = None
    """Why the first record of the piece can never be read; None: it is fine, or not all there."""


@dataclass(slots=True, frozen=True)
class Note:
    """Trouble at a place in a file, found before the packets that the same `read` returned."""

    offset: int
    what: str


class Reader(ABC):
    """Packets of one capture file, in file order."""

    format: str

    def __init__(self, window: Window, interfaces: list[Interface]) -> None:
        """`interfaces` is the timeline's table, which the file's own are added to. Raises HeaderError."""
        self.link_types: list[int] = []
        self.secrets: list[Secret] = []
        self.notes: list[Note] = []
        self._window = window
        self._interfaces = interfaces
        self._cursor = 0
        self._ended = False

    @property
    def dropped(self) -> Dropped | None:
        """What the file says about packets that the capture lost, so far."""
        return None

    @property
    def position(self) -> int:
        """Stored bytes read so far."""
        return self._window.position(self._cursor)

    def read(self, max_rows: int) -> Rows | None:
        """The next packets, at least one; None at the end. Their bytes are valid until the next call."""
        self._window.release(self._cursor)
        span = BATCH_BYTES
        while not self._ended:
            piece = self._window.data[self._cursor : self._cursor + span]
            taken = self._take(piece, max_rows)
            self._cursor += taken.used
            if taken.rows is not None:
                return taken.rows
            if taken.damage is not None:
                self._end(taken.damage)
            elif taken.used:
                span = BATCH_BYTES
            elif len(piece) == span:
                span *= 2
            elif self._window.ended:
                self._end(self._cut(len(piece)))
            else:
                self._cursor = self._window.forward(self._cursor)
        return None

    @abstractmethod
    def _take(self, piece: U8, max_rows: int) -> Taken:
        """The whole records at the start of `piece`, up to `max_rows` packets."""

    def _cut(self, left: int) -> str | None:
        """What to say at the end of the bytes with `left` of them over."""
        if self._window.failure is not None:
            return self._window.failure
        return f"cut off in the middle of a packet: {left} bytes of it are there" if left else None

    def _end(self, what: str | None) -> None:
        self._ended = True
        if what is not None:
            self._note(what)

    def _note(self, what: str) -> None:
        self.notes.append(Note(self._window.origin + self._cursor, what))

    def _require(self, size: int) -> U8:
        """The next `size` bytes of the file header; raises HeaderError."""
        while len(self._window.data) - self._cursor < size:
            if self._window.ended:
                raise HeaderError(self._window.failure or "cut off inside the file header")
            self._cursor = self._window.forward(self._cursor)
        return self._window.data[self._cursor : self._cursor + size]

    def _add_interface(self, interface: Interface) -> int | None:
        """Its index on the timeline; None: the table is full."""
        if len(self._interfaces) >= MAX_INTERFACES:
            return None
        self._interfaces.append(interface)
        if interface.link_type not in self.link_types:
            self.link_types.append(interface.link_type)
        return len(self._interfaces) - 1


def max_captured(link_type: int) -> int:
    """Bytes that a packet of this link type may have."""
    return MAX_CAPTURED_OF.get(link_type, MAX_CAPTURED)


def gather(data: U8, starts: I64, layout: np.dtype[np.void]) -> NDArray[Any]:
    """One structured row of `layout` for each start, unaligned; start + layout.itemsize <= len(data)."""
    if not len(starts):
        return np.empty(0, dtype=layout)
    overlapping = np.ndarray((len(data) - layout.itemsize + 1,), dtype=layout, buffer=data, strides=(1,))
    return overlapping[starts]


def leading(good: NDArray[np.bool_]) -> int:
    """How many rows from the first one on are good."""
    return len(good) if good.all() else int(good.argmin())
