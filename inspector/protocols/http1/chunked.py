"""The chunked coding, read as it arrives (RFC 9112 section 7.1): framing is parsed, data is only counted.

The parser is told to `read` bytes while it waits for framing and to `skip` bytes while chunk data is left, so that
nobody needs to bring the data itself. It may be cut anywhere: an unfinished line is held, up to a bound.
"""

from __future__ import annotations

import re
from enum import Enum

#: Longest chunk header, with its extensions, or trailer line; what is longer breaks the coding.
MAX_LINE = 16 * 1024
#: Longest trailer section.
MAX_TRAILER = 256 * 1024

_CHUNK_SIZE = re.compile(rb"[ \t]*0*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)
_TOO_LARGE = 1 << 63


class Part(Enum):
    """What comes next."""

    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILER = "trailer"
    DONE = "done"
    """The body is over."""
    BROKEN = "broken"
    """It is no chunked coding from `line` on."""


class ChunkedBody:
    """One message's chunked body."""

    __slots__ = ("_trailer", "body_bytes", "line", "part", "remaining")

    def __init__(self) -> None:
        self.part = Part.SIZE
        self.remaining = 0
        """Bytes of chunk data that come before the next framing."""
        self.body_bytes = 0
        """Bytes of chunk data so far."""
        self.line = b""
        """The line that is being read; once BROKEN, the one that broke it, its LF included."""
        self._trailer = 0

    def skip(self, count: int) -> None:
        """Count the next bytes, at most `remaining`, as chunk data."""
        self.body_bytes += count
        self.remaining -= count
        if not self.remaining:
            self.part = Part.DATA_END

    def read(self, data: bytes) -> int:
        """Read framing (`remaining` is 0); how many bytes of `data` that took.

        It stops before chunk data and behind the end of the body or of the line that broke it.
        """
        at = 0
        while at < len(data):
            room = MAX_LINE - len(self.line)
            end = data.find(b"\n", at, at + room)
            stop = end + 1 if end >= 0 else min(at + room, len(data))
            self.line += data[at:stop]
            at = stop
            if end >= 0:
                self._take(self.line.removesuffix(b"\n").removesuffix(b"\r"))
            elif len(self.line) == MAX_LINE:
                self.part = Part.BROKEN
            if self.part is Part.BROKEN:
                return at
            if end >= 0:
                self.line = b""
            if self.part is Part.DATA or self.part is Part.DONE:
                return at
        return at

    def _take(self, line: bytes) -> None:
        """A whole line of framing."""
        if self.part is Part.SIZE:
            self._take_size(line)
        elif self.part is Part.DATA_END:
            self.part = Part.BROKEN if line else Part.SIZE
        elif not line:
            self.part = Part.DONE
        else:
            self._trailer += len(self.line)
            if self._trailer > MAX_TRAILER:
                self.part = Part.BROKEN

    def _take_size(self, line: bytes) -> None:
        header = _CHUNK_SIZE.fullmatch(line)
        size = _TOO_LARGE if header is None else int(header.group(1), 16)
        if size >= _TOO_LARGE:
            self.part = Part.BROKEN
        elif size:
            self.part, self.remaining = Part.DATA, size
        else:
            self.part = Part.TRAILER
