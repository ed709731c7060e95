"""Header blocks of one direction: put together from their frames, decoded in the order of the wire, handed to streams.

A block that is not complete for ever, by a hole or by a frame that does not belong inside, is read as far as it goes:
its stream did begin. What it would have inserted into the table is unknown, and so is the table from then on.
"""

from __future__ import annotations

from inspector.bytestream import FROM_SERVER, Arrival
from inspector.events import Http2Account
from inspector.protocols.http2.control import Control
from inspector.protocols.http2.frames import (
    END_HEADERS,
    END_STREAM,
    HEADER,
    HEADER_SIZE,
    MAX_STREAM_ID,
    PADDED,
    PRIORITY_FLAG,
    FrameType,
    fragment,
)
from inspector.protocols.http2.hpack import first_table, lost_table
from inspector.protocols.http2.oddities import Oddities
from inspector.protocols.http2.sections import Section, read_section
from inspector.protocols.http2.streams import Streams

#: Largest header block; what comes behind is not read.
MAX_BLOCK = 256 * 1024

_PRIORITY_SIZE, _PROMISE_SIZE = 5, 4


class _Block:
    """A header block that is not complete."""

    __slots__ = ("arrival", "data", "end", "first", "flags", "offset", "promised", "stream_id", "too_long")

    def __init__(self, stream_id: int, flags: int, promised: int | None, offset: int, first: Arrival) -> None:
        self.stream_id = stream_id
        self.flags = flags
        self.promised = promised
        """Of PUSH_PROMISE: the stream."""
        self.offset = self.end = offset
        """Stream offset of its first frame; behind its last byte so far."""
        self.first = self.arrival = first
        """How these came."""
        self.data = bytearray()
        self.too_long = False

    def add(self, part: bytes | bytearray, end: int, arrival: Arrival) -> None:
        self.too_long = self.too_long or len(self.data) + len(part) > MAX_BLOCK
        if not self.too_long:
            self.data += part
        self.end, self.arrival = end, arrival


class HeaderBlocks:
    """One direction's blocks and its table."""

    __slots__ = ("_account", "_control", "_direction", "_odd", "_streams", "_table", "open")

    def __init__(
        self, direction: int, streams: Streams, control: Control, account: Http2Account, odd: Oddities
    ) -> None:
        self._direction = direction
        self._streams = streams
        self._control = control
        self._account = account
        self._odd = odd
        self._table = first_table()
        self.open: _Block | None = None
        """The block that CONTINUATION frames go on with."""

    def headers(
        self, flags: int, stream_id: int, payload: bytes, start: int, first: Arrival, end: int, arrival: Arrival
    ) -> None:
        """HEADERS, whose first byte is at offset `start` and came by `first`, up to `end`, come by `arrival`."""
        if flags & PRIORITY_FLAG and not flags & PADDED and len(payload) >= _PRIORITY_SIZE:
            payload = payload[_PRIORITY_SIZE:]
        elif flags & (PADDED | PRIORITY_FLAG):
            payload = self._fragment(payload, flags, _PRIORITY_SIZE if flags & PRIORITY_FLAG else 0, arrival)
        if flags & END_HEADERS:
            section = read_section(self._table, payload)
            self._table = section.table
            if not section.plain:
                self._look_again(section, arrival)
            over = flags & END_STREAM != 0
            self._streams.headers(self._direction, stream_id, section, over, start, first, end, arrival)
        else:
            self.open = _Block(stream_id, flags, None, start, first)
            self.open.add(payload, end, arrival)

    def promise(
        self, flags: int, stream_id: int, payload: bytes, start: int, first: Arrival, end: int, arrival: Arrival
    ) -> None:
        """PUSH_PROMISE."""
        at = 1 if flags & PADDED else 0
        promised = int.from_bytes(payload[at : at + _PROMISE_SIZE], "big") & MAX_STREAM_ID
        self.open = _Block(stream_id, flags & ~END_STREAM, promised, start, first)
        self.open.add(self._fragment(payload, flags, _PROMISE_SIZE, arrival), end, arrival)
        if flags & END_HEADERS:
            self._end_block(self.open)

    def continuation(self, flags: int, payload: bytes, end: int, arrival: Arrival) -> None:
        """CONTINUATION on the stream of the block that is open, if one is."""
        block = self.open
        if block is None:
            self._odd.tell(arrival, "unexpected_frame", "CONTINUATION without HEADERS")
            self.lose_table()
            return
        block.add(payload, end, arrival)
        if flags & END_HEADERS:
            self._end_block(block)

    def cut(self, held: bytes | bytearray, start: int, first: Arrival, newest: Arrival) -> None:
        """No more comes of the open block; `held` is a part of a frame, at offset `start`, from `first` to `newest`."""
        block, self.open = self.open, None
        if len(held) >= HEADER_SIZE:
            _, _, kind, flags, stream_id = HEADER.unpack_from(held)
            part, end = held[HEADER_SIZE:], start + len(held)
            if kind == FrameType.HEADERS and block is None:
                block = _Block(stream_id & MAX_STREAM_ID, flags, None, start, first)
                fixed = (1 if flags & PADDED else 0) + (_PRIORITY_SIZE if flags & PRIORITY_FLAG else 0)
                block.add(part[fixed:], end, newest)
            elif kind == FrameType.CONTINUATION and block is not None:
                block.add(part, end, newest)
        if block is not None:
            self._cut(block)

    def lose_table(self) -> None:
        """What the table holds is not known any more."""
        self._table = lost_table()
        self._account.headers_reliable = False

    def _cut(self, block: _Block) -> None:
        section = read_section(self._table, bytes(block.data))
        self.lose_table()
        if block.promised is None:
            over = block.flags & END_STREAM != 0
            where = block.offset, block.first, block.end, block.arrival
            self._streams.headers(self._direction, block.stream_id, section, over, *where, cut=True)

    def _end_block(self, block: _Block) -> None:
        self.open = None
        if block.too_long:
            self._odd.tell(block.arrival, "header_too_long")
            self._cut(block)
            return
        section = read_section(self._table, bytes(block.data))
        self._table = section.table
        if not section.plain:
            self._look_again(section, block.arrival)
        if block.promised is None:
            over = block.flags & END_STREAM != 0
            where = block.offset, block.first, block.end, block.arrival
            self._streams.headers(self._direction, block.stream_id, section, over, *where)
        elif self._direction == FROM_SERVER:
            self._streams.promise(block.stream_id, block.promised, section, block.arrival)
        else:
            self._odd.tell(block.arrival, "unexpected_frame", "PUSH_PROMISE of a client")

    def _fragment(self, payload: bytes, flags: int, fixed: int, arrival: Arrival) -> bytes:
        part = fragment(payload, flags, fixed)
        if part is None:
            self._odd.tell(arrival, "bad_frame", "padding longer than the frame")
            self.lose_table()
            return b""
        return part

    def _look_again(self, section: Section, arrival: Arrival) -> None:
        """A section with something odd, unknown, or rare about it."""
        update, allowed = section.largest_update, self._control.table_size[self._direction]
        if section.broken is not None:
            self._odd.tell(arrival, "bad_header_block", section.broken)
        elif section.too_large:
            self._odd.tell(arrival, "header_list_too_large")
        elif update is not None and update > allowed and not any(self._streams.lossy):
            self._odd.tell(arrival, "bad_header_block", f"table of {update} bytes, {allowed} allowed")
        if not section.known and not section.too_large:
            self._account.headers_reliable = False
