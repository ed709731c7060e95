"""Frames of HTTP/2 (RFC 9113 sections 4 and 6): their headers, and the names of the registries.

The walk over frames is the decoder's; here is what it reads a header with, and which part of a payload
is a header block: the rest is padding and priority.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from h2.errors import ErrorCodes

#: A frame header: length (high 16 bits, low 8), type, flags, stream id with its reserved bit.
HEADER = Struct(">HBBBI")
HEADER_SIZE = HEADER.size

#: RFC 9113 section 3.4.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: MAX_FRAME_SIZE as long as none was announced, and the most that can be (section 6.5.2).
DEFAULT_FRAME_SIZE = 1 << 14
MAX_STREAM_ID = 0x7FFF_FFFF

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20


class FrameType(IntEnum):
    """The registry (section 11.2 and https://www.iana.org/assignments/http2-parameters)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    ALTSVC = 0xA
    ORIGIN = 0xC
    PRIORITY_UPDATE = 0x10


_SETTINGS = {
    0x1: "HEADER_TABLE_SIZE",
    0x2: "ENABLE_PUSH",
    0x3: "MAX_CONCURRENT_STREAMS",
    0x4: "INITIAL_WINDOW_SIZE",
    0x5: "MAX_FRAME_SIZE",
    0x6: "MAX_HEADER_LIST_SIZE",
    0x8: "ENABLE_CONNECT_PROTOCOL",
    0x9: "NO_RFC7540_PRIORITIES",
}
_ERRORS = {error.value: error.name for error in ErrorCodes}

#: Names of all 256 types; one that no registry knows is its hexadecimal number.
TYPE_NAMES = tuple(
    FrameType(number).name if number in FrameType.__members__.values() else hex(number) for number in range(256)
)


def setting_name(identifier: int) -> str:
    """A setting's name (RFC 9113 section 6.5.2, RFC 8441, RFC 9218), or its hexadecimal number."""
    return _SETTINGS.get(identifier) or hex(identifier)


def error_name(code: int) -> str:
    """An error's name (RFC 9113 section 7), or its hexadecimal number."""
    return _ERRORS.get(code) or hex(code)


def fragment(payload: bytes, flags: int, fixed: int) -> bytes | None:
    """The part of a HEADERS or PUSH_PROMISE payload that is a header block: without padding and `fixed` bytes in front.

    None where padding or those bytes do not fit (sections 6.2 and 6.6).
    """
    start, end = fixed, len(payload)
    if flags & PADDED:
        if not payload:
            return None
        start += 1
        end -= payload[0]
    return payload[start:end] if start <= end else None
