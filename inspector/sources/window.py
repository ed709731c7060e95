"""The part of a file that a reader looks at: all of it, memory-mapped, or a piece of a stream that moves forward.

A mapped file is one array; pages behind the reader are given back, so that resident memory stays flat. A stream has
one buffer that is refilled with whatever is there, so that packets of a capture still being written come out at once;
the buffer grows only when one record does not fit it, and only as the bytes of that record really arrive.
"""

from __future__ import annotations

import mmap
from typing import BinaryIO, Protocol

import numpy as np

from inspector.packets.batch import U8

#: Pages behind the reader are given back in steps of this many bytes: a system call a step.
RELEASE_STEP = 1 << 20

#: First size of a stream's buffer. It doubles while a single record does not fit, up to the readers' largest record.
STREAM_BUFFER = 4 << 20


class StreamError(Exception):
    """A stream cannot be read on; `str()` says why."""


class ByteStream(Protocol):
    """Bytes that come in pieces."""

    @property
    def position(self) -> int:
        """Stored bytes consumed so far."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, at least one unless the stream has ended; waits for no more than that.

        Raises StreamError and OSError.
        """

    def ready(self) -> bool:
        """Whether there is more to read without waiting."""

    def close(self) -> None: ...


class Window(Protocol):
    """Bytes of a file in view. Indices count from the start of `data`."""

    data: U8
    origin: int
    """Offset in the (uncompressed) file of data[0]."""
    ended: bool
    """Nothing comes behind `data`."""
    failure: str | None
    """Why the bytes ended early, where they did."""

    def position(self, index: int) -> int:
        """Stored bytes consumed once the reader has come to `index`."""

    def release(self, index: int) -> None:
        """What is before `index` will not be looked at again."""

    def forward(self, index: int) -> int:
        """Bring more bytes in behind `data`, or set `ended`; what was at `index` is at the index returned."""

    def close(self) -> None: ...


class MappedWindow:
    """A regular file, all of it in view."""

    def __init__(self, file: BinaryIO) -> None:
        """Map an open, not empty, regular file; raises OSError and ValueError (it has become empty)."""
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.data: U8 = np.frombuffer(self._map, dtype=np.uint8)
        self.origin = 0
        self.ended = True
        self.failure: str | None = None
        self._released = 0
        if hasattr(mmap, "MADV_SEQUENTIAL"):
            self._map.madvise(mmap.MADV_SEQUENTIAL)

    def position(self, index: int) -> int:
        return index

    def release(self, index: int) -> None:
        behind = index - self._released
        if behind < RELEASE_STEP or not hasattr(mmap, "MADV_DONTNEED"):
            return
        behind -= behind % mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, self._released, behind)
        self._released += behind

    def forward(self, index: int) -> int:
        return index

    def close(self) -> None:
        # Arrays handed out keep the mapping alive; it goes with the last of them.
        self.data = np.empty(0, dtype=np.uint8)


class StreamWindow:
    """A stream, the piece of it that the reader has not done with."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer: U8 = np.empty(STREAM_BUFFER, dtype=np.uint8)
        self.data: U8 = self._buffer[:0]
        self.origin = 0
        self.ended = False
        self.failure: str | None = None

    def position(self, index: int) -> int:
        return self._stream.position

    def release(self, index: int) -> None:
        """Nothing: the buffer is used again when it is refilled."""

    def forward(self, index: int) -> int:
        rest = self.data[index:]
        if len(rest) == len(self._buffer):
            self._buffer = np.empty(2 * len(rest), dtype=np.uint8)
        self._buffer[: len(rest)] = rest
        self.origin += index
        self.data = self._buffer[: self._fill(len(rest))]
        return 0

    def _fill(self, filled: int) -> int:
        """Read behind the first `filled` bytes until the buffer is full or reading would wait; bytes there now."""
        while filled < len(self._buffer):
            try:
                piece = self._stream.read(len(self._buffer) - filled)
            except (StreamError, OSError) as error:
                self.failure = str(error)
                piece = b""
            if not piece:
                self.ended = True
                break
            self._buffer[filled : filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
            filled += len(piece)
            if not self._stream.ready():
                break
        return filled

    def close(self) -> None:
        self._stream.close()
        self._buffer = self.data = np.empty(0, dtype=np.uint8)
