"""HTTP/2 in the middle of a stream: it is told by frame headers in a row, each where the one before says it ends.

One header that looks right is found in any large body; a run of them is not. Both whoever detects protocols and whoever
has lost sight of a connection's frames search for it. What counts as a header is what a peer would send without having
been told more: no frame above the default MAX_FRAME_SIZE, types of the registry, flags, lengths and streams as RFC 9113
section 6 has them for the type.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache

from inspector.bytestream import FROM_CLIENT, FROM_SERVER

#: Headers in a row that are believed.
RUN = 3

_HEADER_SIZE = 9
_LARGEST = 1 << 14
_MAX_STREAM = (1 << 31) - 1
#: The most bytes from the start of a run to the end of its last header.
LONGEST_RUN = (RUN - 1) * (_HEADER_SIZE + _LARGEST) + _HEADER_SIZE

_HEADERS_TYPE, _SETTINGS, _PUSH_PROMISE = 1, 4, 5
#: RST_STREAM, PING, GOAWAY, WINDOW_UPDATE.
_CONTROL = frozenset((3, 6, 7, 8))
_PADDED, _PRIORITY = 0x8, 0x20
#: Indices of :authority, :method, :path and :scheme, and of :status.
_REQUEST_FIELDS, _STATUS_FIELDS = range(1, 8), range(8, 15)

_LENGTH = rb"\x00(?:[\x00-\x3f].|\x40\x00)"
#: An empty frame of these types has no use, and zeros are common: four of them would be one.
_NOT_EMPTY = rb"(?!\x00{3})"
_ZERO = rb"\x00{4}"
_STREAM = rb"(?!\x00{4})[\x00-\x7f].{3}"
_HEADERS = (
    _NOT_EMPTY + _LENGTH + rb"\x00[\x00\x01\x08\x09]" + _STREAM,  # DATA
    rb"\x00\x00\x00\x00\x01" + _STREAM,
    _NOT_EMPTY + _LENGTH + rb"\x01[\x00\x01\x04\x05\x08\x09\x0c\x0d\x20\x21\x24\x25\x28\x29\x2c\x2d]" + _STREAM,
    rb"\x00\x00\x05\x02\x00" + _STREAM,  # PRIORITY
    rb"\x00\x00\x04\x03\x00" + _STREAM,  # RST_STREAM
    rb"\x00\x00[\x00\x06\x0c\x12\x18\x1e\x24\x2a\x30\x36\x3c]\x04\x00" + _ZERO,  # SETTINGS
    rb"\x00\x00\x00\x04\x01" + _ZERO,
    _NOT_EMPTY + _LENGTH + rb"\x05[\x04\x0c]" + _STREAM,  # PUSH_PROMISE
    rb"\x00\x00\x08\x06[\x00\x01]" + _ZERO,  # PING
    rb"\x00[\x00\x01][\x08-\xff]\x07\x00" + _ZERO,  # GOAWAY
    rb"\x00\x00\x04\x08\x00[\x00-\x7f].{3}",  # WINDOW_UPDATE
    _NOT_EMPTY + _LENGTH + rb"\x09[\x00\x04]" + _STREAM,  # CONTINUATION
    _NOT_EMPTY + _LENGTH + rb"[\x0a\x0c\x10]\x00" + _ZERO,  # ALTSVC, ORIGIN, PRIORITY_UPDATE
)


class Run(Enum):
    """What stands at a place."""

    NO = "no"
    FRAMES = "frames"
    MORE = "more"
    """Headers as far as there are bytes, but fewer than a run."""
    ENDS = "ends"
    """The same, and the last frame ends with the bytes."""


def run_at(data: bytes | bytearray, start: int, highest_stream: int = _MAX_STREAM) -> Run:
    """Whether a run of frame headers begins at `start`. DATA, which looks like many other things, only counts up to
    `highest_stream`."""
    match = _pattern().match
    position, size = start, len(data)
    for _ in range(RUN):
        if size - position < _HEADER_SIZE:
            break
        if match(data, position) is None:
            return Run.NO
        if not data[position + 3] and int.from_bytes(data[position + 5 : position + 9], "big") > highest_stream:
            return Run.NO
        position += _HEADER_SIZE + int.from_bytes(data[position : position + 3], "big")
    else:
        return Run.FRAMES
    return Run.ENDS if start < position == size else Run.MORE


def unmistakable(data: bytes | bytearray, sender: int, highest_stream: int) -> bool:
    """Whether `data` begins with a frame that nothing else looks like, from that side: a control frame without room
    for anything else, or HEADERS that begin with the side's pseudo-header fields, on a stream up to the highest likely
    one. DATA is mostly zeros."""
    if len(data) < _HEADER_SIZE or _pattern().match(data) is None:
        return False
    stream = int.from_bytes(data[5:_HEADER_SIZE], "big")
    if stream > highest_stream:
        return False
    if data[3] == _HEADERS_TYPE:
        return sender_in(data) == sender
    return data[3] in _CONTROL or (data[3] == _SETTINGS and data[4] == 1)


def sender_in(data: bytes | bytearray) -> int | None:
    """Who sends the frames of a run that begins `data`: told by a header block's first field, if that is one of the
    static table's pseudo-header fields (RFC 7541 appendix A); None where it is not told."""
    position = 0
    while len(data) - position >= _HEADER_SIZE and _pattern().match(data, position):
        kind, flags = data[position + 3 : position + 5]
        start = position + _HEADER_SIZE
        position = start + int.from_bytes(data[position : position + 3], "big")
        if kind == _PUSH_PROMISE:
            return FROM_SERVER
        start += (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
        if kind == _HEADERS_TYPE and start < min(position, len(data)):
            field = data[start]
            index = field & (0x7F if field >= 0x80 else 0x3F if field >= 0x40 else 0x0F)
            if index in _REQUEST_FIELDS or index in _STATUS_FIELDS:
                return FROM_CLIENT if index in _REQUEST_FIELDS else FROM_SERVER
    return None


def next_header(data: bytes | bytearray, start: int) -> int:
    """The first place from `start` on at which a frame header stands, or may once more bytes have come."""
    found = _pattern().search(data, start)
    return max(start, len(data) - _HEADER_SIZE + 1) if found is None else found.start()


@cache
def _pattern() -> re.Pattern[bytes]:
    """Compiled when first needed: most captures never do."""
    return re.compile(b"|".join(_HEADERS), re.DOTALL)
