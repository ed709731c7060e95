"""gzip, zstd, xz and lz4 as streams of bytes, recognised by their first bytes.

Every codec is fed little and asked for little at a time: what was decompressed before a damaged place is lost only
within one step, and a file that decompresses to something enormous costs no more memory than any other. A file may be
several compressed ones behind one another, as `cat` makes them.
"""

from __future__ import annotations

import lzma
import select
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from inspector.errors import CaptureError
from inspector.sources.window import ByteStream, StreamError

MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "xz": b"\xfd7zXZ\x00", "lz4": b"\x04\x22\x4d\x18"}

#: Bytes that are needed to tell what a file is: the longest magic number.
MAGIC_SIZE = 6

#: Compressed bytes a codec is given, and decompressed bytes it is asked for, in one step.
STEP = 4096

#: The same for zstd, which cannot be asked for less than all: a block of 128 KiB takes 4 bytes, so 64 MiB at worst.
ZSTD_STEP = 2048

#: Largest history that a compressed file may ask for: xz -9 needs 64 MiB, zstd --ultra -22 128 MiB.
MAX_CODEC_MEMORY = 192 << 20
MAX_ZSTD_WINDOW = 128 << 20


#: Bytes of a file or pipe that are asked for at once.
PIECE = 256 << 10

#: How long a pipe may make up its mind, in seconds, and how often in a row: a program that writes as fast as it can is
#: not read in crumbs, and one that trickles delays a packet by a tenth of a second at most.
PIPE_GRACE_S = 0.002
PIPE_GRACES = 50


class _Codec(Protocol):
    """One compressed file, as the standard library's LZMADecompressor has it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's object in the shape of _Codec: it hands back input that it had no room for."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class _Zstd:
    """zstandard's object in the shape of _Codec: it gives all there is at once, which is handed on in pieces."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).decompressobj()
        self._out = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._zstd.eof and not self._out

    @property
    def needs_input(self) -> bool:
        return not self._out

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._out = memoryview(self._zstd.decompress(data))
        piece, self._out = self._out[:max_length], self._out[max_length:]
        return bytes(piece)


def _xz() -> _Codec:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_CODEC_MEMORY)


def _lz4() -> Callable[[], _Codec]:
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError:
        raise CaptureError("compressed with lz4: pip install 'connspect[lz4]' to read it") from None
    return LZ4FrameDecompressor  # type: ignore[no-any-return]


class ReadableFile(Protocol):
    """What is needed of an open binary file."""

    def read1(self, size: int, /) -> bytes: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class PlainStream:
    """An open file or pipe, with a look ahead."""

    def __init__(self, file: ReadableFile, *, waits: bool) -> None:
        """`waits`: what is read may not have been written yet (a pipe)."""
        self._file = file
        self._waits = waits
        self._graces = 0
        self._ahead = b""
        self._position = 0

    @property
    def position(self) -> int:
        return self._position

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end, without consuming them. Raises OSError."""
        while len(self._ahead) < size and (piece := self._file.read1(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead

    def read(self, size: int) -> bytes:
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            piece = self._file.read1(min(size, PIECE))
        self._position += len(piece)
        return piece

    def ready(self) -> bool:
        if not self._waits:
            return True
        if self._graces < PIPE_GRACES and self._readable():
            self._graces += 1
            return True
        self._graces = 0
        return False

    def _readable(self) -> bool:
        try:
            readable, _, _ = select.select([self._file.fileno()], [], [], PIPE_GRACE_S)
        except (OSError, ValueError):
            return False  # no descriptor, or a system that can only tell for sockets
        return bool(readable)

    def close(self) -> None:
        self._file.close()


class Decompressed:
    """What comes out of a compressed stream."""

    def __init__(self, compressed: ByteStream, compression: str) -> None:
        """`compression` is a key of MAGICS. Raises CaptureError where its module is not installed."""
        self._compressed = compressed
        self._name = compression
        self._codec_factory = _codecs(compression)
        self._codec: _Codec = self._codec_factory()
        self._step = ZSTD_STEP if compression == "zstd" else STEP

    @property
    def position(self) -> int:
        return self._compressed.position

    def read(self, size: int) -> bytes:
        """As ByteStream; StreamError where the data are cut or damaged."""
        given = b""
        while not self._codec.eof or (given := self._next_member()):
            if not given and self._codec.needs_input:
                given = self._compressed.read(self._step)
                if not given:
                    raise StreamError(f"the {self._name} data are cut off")
            try:
                out = self._codec.decompress(given, min(size, STEP))
            except (zlib.error, lzma.LZMAError, zstandard.ZstdError, RuntimeError, EOFError) as error:
                raise StreamError(f"the {self._name} data are damaged: {error}") from None
            if out:
                return out
            given = b""
        return b""

    def ready(self) -> bool:
        return not self._codec.needs_input or self._compressed.ready()

    def close(self) -> None:
        self._compressed.close()

    def _next_member(self) -> bytes:
        """Start on the compressed file behind the one that ended; its first bytes, b"" where there is none."""
        magic = MAGICS[self._name]
        rest = (self._codec.unused_data or b"").lstrip(b"\0")  # padding: gzip(1) on tapes, xz section 2.2
        while len(rest) < len(magic) and (piece := self._compressed.read(self._step)):
            rest = (rest + piece).lstrip(b"\0")
        if rest and not rest.startswith(magic):
            raise StreamError(f"something that is not {self._name} lies behind the {self._name} data")
        if rest:
            self._codec = self._codec_factory()
        return rest


def compression_of(head: bytes) -> str | None:
    """Key of MAGICS where `head` starts a compressed file."""
    return next((name for name, magic in MAGICS.items() if head.startswith(magic)), None)


def _codecs(compression: str) -> Callable[[], _Codec]:
    if compression == "lz4":
        return _lz4()
    factories: dict[str, Callable[[], _Codec]] = {"gzip": _Gzip, "zstd": _Zstd, "xz": _xz}
    return factories[compression]
