"""HTTP/2 on one connection, passive (RFC 9113): both directions in one object.

A direction is walked frame by frame: a header tells where the next one stands, so that DATA is stepped over without
looking at it, and what lies whole in a piece is read where it lies. Only a frame cut by the border of a piece is held.
Header blocks are decoded in the order of the wire, each direction with its own table. The streams and their messages
are `Streams`' business, frames about the connection `Control`'s.

A hole inside DATA costs nothing. Any other hole may have held frames: the direction's table is lost, messages in flight
are damaged, and the next run of frames is searched for. A capture that begins in mid-connection is the same from the
start. Frames larger than their receiver takes are told and stepped over.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from enum import Enum

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival, Ending, Pieces, StreamChunk
from inspector.events import Http2Account, Http2Started
from inspector.protocols.decoder import Emit
from inspector.protocols.http2.blocks import MAX_BLOCK, HeaderBlocks
from inspector.protocols.http2.control import Control
from inspector.protocols.http2.frames import (
    DEFAULT_FRAME_SIZE,
    END_STREAM,
    HEADER,
    HEADER_SIZE,
    MAX_STREAM_ID,
    PADDED,
    PREFACE,
    TYPE_NAMES,
    FrameType,
)
from inspector.protocols.http2.oddities import Oddities
from inspector.protocols.http2.resync import NOWHERE, Search
from inspector.protocols.http2.streams import Streams

#: Largest frame that is read; it is stepped over beyond that, as DATA always is.
MAX_HELD = MAX_BLOCK
#: How much a search takes at a time: what it finds is read again.
_SEARCH_STEP = 4096
#: Longest HTTP2-Settings value that is read: some hundred settings.
MAX_UPGRADE_SETTINGS = 1024
#: Behind a hole, streams are likely up to the highest before it and this many ids on: 256 requests.
LIKELY_STREAMS = 512

_DATA, _HEADERS, _PUSH_PROMISE, _CONTINUATION = (
    *(int(FrameType.DATA), int(FrameType.HEADERS), int(FrameType.PUSH_PROMISE), int(FrameType.CONTINUATION)),
)
#: Frames of exchanges, whose bytes are application bytes (others are the connection's own).
_OF_EXCHANGES = frozenset((_DATA, _HEADERS, _PUSH_PROMISE, _CONTINUATION))
#: Types above this one that are larger than allowed are taken for no frames at all.
_HIGHEST_TYPE = max(FrameType)
#: Frames that only stream 0 has.
_OF_CONNECTION = frozenset((int(FrameType.SETTINGS), int(FrameType.PING), int(FrameType.GOAWAY)))
_unpack = HEADER.unpack_from
_PREFACE_SIZE = len(PREFACE)


class State(Enum):
    """What a direction's next byte is part of."""

    START = "start"
    """The preface, or the server's first SETTINGS."""
    FRAMES = "frames"
    SEARCH = "search"
    """Something that was lost sight of."""
    ENDED = "ended"


_START, _FRAMES, _SEARCH, _ENDED = State


class _Side:
    """One direction."""

    __slots__ = (
        *("application_end", "blocks", "body_end", "body_flags", "body_id", "body_kind", "body_padding"),
        *("body_position", "body_seen", "body_start", "direction", "first", "found", "frames", "held", "held_start"),
        *("lost_from", "lost_how", "newest", "search", "state"),
    )

    def __init__(self, direction: int, frames: dict[str, int], blocks: HeaderBlocks) -> None:
        self.direction = direction
        self.frames = frames
        """The account's: how many, by type."""
        self.blocks = blocks
        self.state = _START
        self.held = bytearray()
        """An unfinished frame, or preface."""
        self.held_start = 0
        self.first: Arrival = (0, 0)
        """How the first byte held came."""
        self.newest: Arrival = (0, 0)
        """How the last byte held, or stepped over, came."""
        self.search = Search(NOWHERE)
        self.found: Pieces | None = None
        """What a search has found, and is to be read again."""
        self.lost_from = 0
        self.lost_how = ""
        """The code that says so, once frames are found again."""
        self.application_end = 0
        """Behind the last byte of an exchange's frames, as far as their headers were seen."""
        # A payload that is stepped over: all up to `body_end`.
        self.body_start = 0
        self.body_end = 0
        self.body_kind: int | None = None
        """The frame's type; None: no payload is being stepped over."""
        self.body_id = 0
        self.body_flags = 0
        self.body_padding = 0
        self.body_seen = 0
        """Behind the last byte of it that was seen."""
        self.body_position = 0
        """Behind the last byte that was seen or counted."""


class Http2Decoder:
    """A StreamDecoder for HTTP/2.

    `upgrade` is the value of HTTP2-Settings where the connection was upgraded from HTTP/1: then stream 1 is the request
    that asked for it.
    """

    def __init__(self, emit: Emit, upgrade: str | None = None) -> None:
        self.protocol = "h2c"
        self.skip_until = [0, 0]
        self._emit = emit
        self._account = account = Http2Account()
        self._odd = Oddities(emit)
        self._streams = Streams(emit, account, self._odd)
        self._control = Control(emit, account, self._odd, self._streams)
        parts = self._streams, self._control, account, self._odd
        self._sides = (
            _Side(FROM_CLIENT, account.sides[FROM_CLIENT].frames, HeaderBlocks(FROM_CLIENT, *parts)),
            _Side(FROM_SERVER, account.sides[FROM_SERVER].frames, HeaderBlocks(FROM_SERVER, *parts)),
        )
        self._begun = False
        self._prefaced = False
        """The client's preface was seen."""
        self._upgrade = upgrade
        self._application: list[Arrival | None] = [None, None]
        if upgrade is not None:
            self._streams.upgraded()

    @property
    def application_packet(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[0]

    @property
    def application_ns(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[1]

    def _last_application_byte(self) -> Arrival | None:
        client, server = self._application
        return client or server if client is None or server is None else max(client, server)

    # What a decoder is told

    def data(self, chunk: StreamChunk) -> None:
        side = self._sides[chunk.direction]
        reached = self._read(side, chunk, chunk.offset)
        if side.found is None:
            return
        waiting = [(chunk, reached)]  # what a search has found comes before the rest of the chunk in which it ended
        while waiting:
            if side.found is not None:
                waiting.append((side.found, side.found.offset))
                side.found = None
            now, offset = waiting.pop()
            reached = self._read(side, now, offset)
            if side.found is not None:
                waiting.append((now, reached))

    def _read(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        """Read from `offset` on, up to the chunk's end or until a search has found something; the offset reached."""
        end = chunk.offset + chunk.length
        while offset < end:
            if offset < side.body_end:
                offset = self._step_over(side, chunk, offset, end)
            elif side.state is _FRAMES:
                offset = self._hold(side, chunk, offset) if side.held else self._walk(side, chunk, offset, end)
            elif side.state is _ENDED:
                return end
            else:
                read = self._look_for_frames if side.state is _SEARCH else self._read_start
                offset = read(side, chunk, offset)
                if side.found is not None:
                    return offset
        if side.application_end > chunk.offset:
            self._application[chunk.direction] = chunk.arrival(min(side.application_end, end) - 1)
        return end

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        side, end = self._sides[direction], offset + length
        if side.state is _ENDED:
            return
        self._stop_search(side)
        if offset < side.body_end:
            side.body_position = min(end, side.body_end)
            if end < side.body_end:
                return
            offset = side.body_end
            self._end_body(side, (packet, time_ns))
        if offset < end:
            self._lose_sight(side, offset)
            side.search = Search(end)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        self._stop_search(side)
        if side.body_kind == _DATA:
            body = min(side.body_position, side.body_end - side.body_padding) - side.body_start
            if side.body_seen > side.body_start:
                self._streams.partial_data(direction, side.body_id, max(body, 0), side.body_seen, side.newest)
        elif side.state is _FRAMES:
            self._cut_block(side)
        if side.state is _SEARCH and side.search.first is not None and side.lost_how != "resynchronised":
            self._odd.tell(side.search.first, side.lost_how)
        if side.state is not _ENDED:
            side.state = _ENDED
            self._streams.end(direction)

    # Beginnings

    def _begin(self, arrival: Arrival) -> None:
        """Something was recognised."""
        if self._begun:
            return
        self._begun = True
        self._emit(Http2Started(*arrival, self._account))
        if self._upgrade:
            try:
                text = self._upgrade[:MAX_UPGRADE_SETTINGS].encode("latin-1")
                self._control.upgrade(b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True), arrival)
            except binascii.Error:
                self._odd.tell(arrival, "bad_frame", "HTTP2-Settings is no base64url")

    def _read_start(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        """The preface of a side, the server's being SETTINGS (RFC 9113 section 3.4); the offset that was reached."""
        wanted = _PREFACE_SIZE if side.direction == FROM_CLIENT else HEADER_SIZE
        before = len(side.held)
        arrival = self._take(side, chunk, offset, wanted)
        side.search.add(offset, side.held[before:], arrival)
        offset = side.held_start + len(side.held)
        if side.direction == FROM_CLIENT:
            right = PREFACE.startswith(side.held)
        else:
            right = len(side.held) < HEADER_SIZE or _is_first_settings(side.held)
        if not right:
            began = self._prefaced and side.direction == FROM_SERVER
            search = side.search
            self._start_search(side, side.held_start, "not_http" if began else "mid_message")
            side.search = search
            self._found(side)
        elif len(side.held) == wanted:
            side.state = _FRAMES
            self._begin(arrival)
            if side.direction == FROM_CLIENT:
                self._prefaced = True
                side.held.clear()
            else:
                self._finish_held(side, arrival)
        return offset

    # Frames

    def _walk(self, side: _Side, chunk: StreamChunk, offset: int, end: int) -> int:
        """Read frames from the start of one on, as far as each lies whole in a piece; the offset that was reached."""
        direction, blocks, streams, frames = side.direction, side.blocks, self._streams, side.frames
        limit = self._control.frame_size[direction]
        while offset < end:
            view = chunk.view(offset)
            arrival = chunk.arrival(offset)
            size, position = len(view), 0
            while size - position >= HEADER_SIZE:
                high, low, kind, flags, stream_id = _unpack(view, position)
                length = high << 8 | low
                start = position + HEADER_SIZE
                stop = start + length
                if length > limit:
                    if kind in _OF_EXCHANGES:
                        side.application_end = offset + stop
                    self._too_large(side, kind, flags, stream_id, length, offset + position, arrival)
                    if side.body_kind is not None or side.state is not _FRAMES:
                        return offset + (start if side.state is _FRAMES else position)
                if kind in _OF_EXCHANGES:
                    side.application_end = offset + stop
                if kind == _DATA and blocks.open is None:
                    if stop > size or flags & PADDED:
                        self._start_body(side, kind, flags, stream_id, length, offset + start, arrival)
                        return offset + start
                    frames["DATA"] += 1
                    over = flags & END_STREAM != 0
                    streams.data(direction, stream_id & MAX_STREAM_ID, length, length, over, offset + stop, arrival)
                elif stop > size:
                    break
                elif kind == _HEADERS and blocks.open is None:
                    frames["HEADERS"] += 1
                    stream_id &= MAX_STREAM_ID
                    payload, first = bytes(view[start:stop]), offset + position
                    blocks.headers(flags, stream_id, payload, first, arrival, offset + stop, arrival)
                else:
                    payload, first = bytes(view[start:stop]), offset + position
                    stream_id &= MAX_STREAM_ID
                    self._frame(side, kind, flags, stream_id, payload, first, arrival, offset + stop, arrival)
                position = stop
            if position < size:
                side.held += view[position:]
                side.held_start = offset + position
                side.first = side.newest = arrival
                return offset + size
            offset += size
        return offset

    def _take(self, side: _Side, chunk: StreamChunk, offset: int, wanted: int) -> Arrival:
        """Hold what the piece at `offset` has, up to `wanted` bytes held; how it came."""
        arrival = side.newest = chunk.arrival(offset)
        if not side.held:
            side.held_start, side.first = offset, arrival
        side.held += chunk.view(offset)[: max(wanted - len(side.held), 0)]
        return arrival

    def _hold(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        """Go on with a frame that began in an earlier piece; the offset that was reached."""
        held = side.held
        if len(held) < HEADER_SIZE:
            arrival = self._take(side, chunk, offset, HEADER_SIZE)
            if len(held) == HEADER_SIZE:
                self._held_header(side, arrival)
            elif len(held) < HEADER_SIZE:
                return side.held_start + len(held)
            reached = side.held_start + HEADER_SIZE
        else:
            wanted = HEADER_SIZE + int.from_bytes(held[:3], "big")
            arrival = self._take(side, chunk, offset, wanted)
            reached = side.held_start + len(held)
        if side.held:
            self._finish_held(side, arrival)
        return reached

    def _held_header(self, side: _Side, arrival: Arrival) -> None:
        """A frame header is complete that came in parts: what follows need not be held, if it is stepped over."""
        high, low, kind, flags, stream_id = _unpack(side.held)
        length, start = high << 8 | low, side.held_start
        if kind in _OF_EXCHANGES:
            side.application_end = start + HEADER_SIZE + length
        if length > self._control.frame_size[side.direction]:
            held, side.held = side.held, bytearray()
            self._too_large(side, kind, flags, stream_id, length, start, arrival)
            if side.state is not _FRAMES:
                side.search.add(start, held, side.first)
            elif side.body_kind is None:
                side.held = held
        if side.held and kind == _DATA and side.blocks.open is None:
            side.held = bytearray()
            self._start_body(side, kind, flags, stream_id, length, start + HEADER_SIZE, arrival)

    def _finish_held(self, side: _Side, arrival: Arrival) -> None:
        """Take the frame that is held, if it is complete."""
        held = side.held
        high, low, kind, flags, stream_id = _unpack(held)
        if len(held) < HEADER_SIZE + (high << 8 | low):
            return
        side.held = bytearray()
        end = side.held_start + len(held)
        payload = bytes(held[HEADER_SIZE:])
        stream_id &= MAX_STREAM_ID
        self._frame(side, kind, flags, stream_id, payload, side.held_start, side.first, end, arrival)

    def _too_large(
        self, side: _Side, kind: int, flags: int, stream_id: int, length: int, offset: int, arrival: Arrival
    ) -> None:
        """A frame that its receiver does not take. It is read all the same, or stepped over where it is larger than
        what is held; where not even its type is known, it is none."""
        if kind > _HIGHEST_TYPE:
            self._odd.tell(arrival, "not_http", f"no frame at stream offset {offset}")
            self._lose_sight(side, offset)
            return
        self._odd.tell(arrival, "frame_too_large", f"{TYPE_NAMES[kind]} of {length} bytes")
        if length <= MAX_HELD or kind == _DATA:
            return
        if kind in _OF_EXCHANGES:
            self._odd.tell(arrival, "header_too_long")
            side.blocks.cut(HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id), offset, arrival, arrival)
            side.blocks.lose_table()
        self._start_body(side, kind, flags, stream_id, length, offset + HEADER_SIZE, arrival)

    def _frame(
        self, side: _Side, kind: int, flags: int, stream_id: int, payload: bytes, start: int, first: Arrival,
        end: int, arrival: Arrival,
    ) -> None:  # fmt: skip
        """A whole frame that is no DATA, from stream offset `start`, come by `first`, to `end`, come by `arrival`."""
        side.frames[TYPE_NAMES[kind]] += 1
        blocks, direction = side.blocks, side.direction
        if blocks.open is not None and (kind != _CONTINUATION or stream_id != blocks.open.stream_id):
            self._odd.tell(arrival, "unexpected_frame", f"{TYPE_NAMES[kind]} inside a header block")
            blocks.cut(b"", start, first, arrival)
        if kind == _HEADERS:
            blocks.headers(flags, stream_id, payload, start, first, end, arrival)
        elif kind == _CONTINUATION:
            blocks.continuation(flags, payload, end, arrival)
        elif kind == _PUSH_PROMISE:
            blocks.promise(flags, stream_id, payload, start, first, end, arrival)
        elif kind == FrameType.DATA:
            over = flags & END_STREAM != 0
            self._streams.data(direction, stream_id, len(payload), len(payload), over, end, arrival)
        elif kind in _OF_CONNECTION and stream_id:
            self._odd.tell(arrival, "bad_frame", f"{TYPE_NAMES[kind]} on stream {stream_id}")
            if kind == FrameType.SETTINGS:
                self._control.misplaced_settings(direction, flags, payload, arrival)
        else:
            self._control.take(direction, kind, flags, stream_id, payload, arrival)

    # Payloads that are only counted

    def _start_body(
        self, side: _Side, kind: int, flags: int, stream_id: int, length: int, start: int, arrival: Arrival
    ) -> None:
        """A frame's payload of `length` bytes begins at `start`, and nobody reads it; its header came by `arrival`."""
        side.body_kind, side.body_id, side.body_flags = kind, stream_id & MAX_STREAM_ID, flags
        side.body_start = side.body_seen = side.body_position = start
        side.body_end = self.skip_until[side.direction] = start + length
        side.body_padding = 0
        if not length:
            self._end_body(side, arrival)

    def _step_over(self, side: _Side, chunk: StreamChunk, offset: int, end: int) -> int:
        if offset == side.body_start and side.body_kind == _DATA and side.body_flags & PADDED:
            side.body_padding = 1 + chunk.view(offset)[0]
        stop = min(end, side.body_end)
        side.body_seen = side.body_position = stop
        side.newest = chunk.arrival(stop - 1)
        if stop == side.body_end:
            self._end_body(side, side.newest)
        return stop

    def _end_body(self, side: _Side, arrival: Arrival) -> None:
        kind, side.body_kind = side.body_kind, None
        assert kind is not None
        self.skip_until[side.direction] = 0
        side.frames[TYPE_NAMES[kind]] += 1
        if kind != _DATA:
            return
        length = side.body_end - side.body_start
        if side.body_padding > length:
            self._odd.tell(arrival, "bad_frame", f"padding longer than DATA of {length} bytes")
            side.body_padding = length
        body, over = length - side.body_padding, side.body_flags & END_STREAM != 0
        self._streams.data(side.direction, side.body_id, length, body, over, side.body_end, arrival)

    # Holes, and what is no HTTP/2

    def _cut_block(self, side: _Side) -> None:
        """What is there of a header block, and of the frame held, is all that ever comes."""
        held, side.held = side.held, bytearray()
        side.blocks.cut(held, side.held_start, side.first, side.newest)

    def _lose_sight(self, side: _Side, offset: int) -> None:
        """From `offset` on nobody knows what the bytes are: search for frames."""
        if side.state is _FRAMES:
            self._cut_block(side)
        if side.state is not _SEARCH:
            self._start_search(side, offset, "resynchronised")

    def _start_search(self, side: _Side, offset: int, how: str) -> None:
        side.blocks.lose_table()
        self._streams.lose(side.direction)
        side.state = _SEARCH
        side.held = bytearray()
        side.search = Search(NOWHERE)
        side.lost_from, side.lost_how = offset, how

    def _look_for_frames(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        view = chunk.view(offset)[:_SEARCH_STEP]
        side.search.add(offset, view, chunk.arrival(offset))
        self._found(side)
        return offset + len(view)

    def _found(self, side: _Side, ended: bool = False) -> None:
        """Whether frames are recognised again: then what was found is to be read before anything else."""
        highest = self._streams.highest
        likely = highest + LIKELY_STREAMS if highest or self._prefaced else MAX_STREAM_ID
        found = side.search.found(side.direction, likely, ended)
        if found is None:
            return
        arrival = found.arrival(found.offset)
        self._begin(arrival)
        skipped = found.offset - side.lost_from
        if skipped:
            self._odd.tell(arrival, side.lost_how, f"{skipped} bytes skipped")
        side.state = _FRAMES
        side.held = bytearray()
        side.found = found

    def _stop_search(self, side: _Side) -> None:
        """Nothing joins up with what was searched: frames that end with it will do."""
        if side.state is _SEARCH:
            self._found(side, ended=True)
            if (found := side.found) is not None:
                side.found = None
                self.data(found)


def _is_first_settings(header: bytearray) -> bool:
    """Whether a frame header is one that a server begins with: SETTINGS without ACK."""
    high, low, kind, flags, stream_id = _unpack(header)
    length = high << 8 | low
    return (
        kind == FrameType.SETTINGS and not flags and not stream_id and not length % 6 and length <= DEFAULT_FRAME_SIZE
    )
