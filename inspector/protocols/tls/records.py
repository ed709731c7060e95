"""The record layer of one direction (RFC 8446 section 5.1): headers are walked, bodies read where someone wants them.

A whole record in one piece is handed on where it lies; one that is cut is put together; one that nobody wants is
stepped over. A hole inside a record costs that record. After a hole over a header, or bytes that are no record, the
next header is searched for: what looks like one counts if it stands right behind the hole, or if its record is followed
by another header or by the end of the direction. Whatever is held back is bounded by two records.
"""

from __future__ import annotations

import re
from typing import Protocol

from inspector.bytestream import Pieces, StreamChunk

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = range(20, 25)
#: Not a content type: an SSL 2.0 CLIENT-HELLO, which has a header of its own (RFC 5246 appendix E.2).
SSL2_HELLO = 0x80

#: Bytes of a record's header: content type, version, length.
HEADER = 5
#: The longest body: TLS 1.2's ciphertext (RFC 5246 section 6.2.3).
MAX_FRAGMENT = (1 << 14) + 2048
#: The longest SSL 2.0 hello that is read.
_MAX_SSL2_HELLO = 2048

#: `skip_until` of a direction of which no byte is needed any more.
FOREVER = 1 << 62

_MAJOR = 3
_MINORS = 5
#: How much is looked at in one go while a header is searched for.
_SEARCH_WINDOW = 4096
_CANDIDATE = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]")


class RecordSink(Protocol):
    """Who is told of records. It comes with each call instead of being kept: it keeps the readers."""

    def wants(self, direction: int, content_type: int) -> bool:
        """Whether the body of the record that comes next shall be read."""

    def record(
        self,
        direction: int,
        content_type: int,
        version: int,
        start: int,
        length: int,
        fragment: memoryview | bytes | bytearray | None,
        packet: int,
        time_ns: int,
    ) -> None:
        """A record whose header starts at stream offset `start` and whose body of `length` bytes was complete with
        `packet`. `fragment`: the body, during this call; None: it was not wanted."""

    def cut_record(
        self, direction: int, content_type: int, start: int, length: int, part: bytes, packet: int, time_ns: int
    ) -> None:
        """A record in which bytes are missing: `part` is what came before them."""

    def lost(self, direction: int, start: int, stop: int, packet: int, time_ns: int, *, found: bool) -> None:
        """Records, how many is not known, lay between these stream offsets; `found`: behind them is one again."""

    def odd(self, direction: int, *, first: bool, packet: int, time_ns: int) -> None:
        """Bytes should begin a record's header and do not; `first`: they are the first ones of the direction."""


class RecordReader:
    """Takes one direction's bytes and tells its records."""

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self.skip_until = 0
        """Bytes below this stream offset are only counted."""
        self.hello = False
        """The direction's first bytes may be an SSL 2.0 hello."""
        self.searching = False
        """Nobody knows what the bytes are."""
        self._closed = False
        self._first: int | None = None
        # A record that nobody wants, or in which bytes are missing: up to here.
        self._skip_end = 0
        self._skipped = (0, 0, 0, 0)
        self._part: bytes | None = None
        # A record that is not complete, or bytes in which one is searched for.
        self._held = bytearray()
        self._need = 0
        """Bytes of the record that is being put together, once its header is known."""
        self._start = 0
        self._arrivals: list[tuple[int, int, int]] = []
        self._trusted = -1
        self._lost_from = 0
        self._found_chunk: StreamChunk | None = None
        """What was held when a header was found in it: to be read before all that follows."""

    @property
    def inside(self) -> bool:
        """Whether what came last is part of something that is not complete, or not understood."""
        return bool(self._skip_end or self._held or self.searching)

    def close(self) -> None:
        """No byte is of interest any more."""
        self._closed = True
        self._held.clear()
        self._need = 0
        self.searching = False
        self.skip_until = FOREVER

    # What comes

    def data(self, chunk: StreamChunk, sink: RecordSink) -> None:
        """The next bytes."""
        offset = chunk.offset
        end = offset + chunk.length
        if self._first is None:
            self._first = offset
        waiting: list[tuple[StreamChunk, int]] = []
        while not self._closed:
            if offset == end:
                if not waiting:
                    break
                chunk, offset = waiting.pop()
                end = chunk.offset + chunk.length
            if self._skip_end:
                offset = self._skip(chunk, end, sink)
            elif self.searching:
                offset = self._search(chunk, offset, sink)
            elif self._need:
                offset = self._collect(chunk, offset, sink)
            elif self._held:
                offset = self._begin(chunk, offset, sink)
            else:
                offset = self._walk(chunk, offset, sink)
            if self._found_chunk is not None:
                waiting.append((chunk, offset))
                chunk, self._found_chunk = self._found_chunk, None
                offset, end = chunk.offset, chunk.offset + chunk.length

    def gap(self, offset: int, length: int, packet: int, time_ns: int, sink: RecordSink) -> None:
        """A hole: what it hides decides what it costs."""
        if self._closed:
            return
        end = offset + length
        if self._first is None:
            self._first = end
        if self._skip_end:
            self._gap_in_skipped(end, packet, time_ns, sink)
        elif self.searching:
            self._settle(sink)
            self._search_from(self._lost_from if self.searching else offset, end)
        elif self._held:
            self._gap_in_held(end, packet, time_ns, sink)
        else:
            self._search_from(offset, end)

    def end(self, packet: int, time_ns: int, sink: RecordSink) -> None:
        """Nothing more comes."""
        if self._closed:
            return
        if self.searching:
            self._settle(sink)
        if self.searching:
            sink.lost(self._direction, self._lost_from, self._start + len(self._held), packet, time_ns, found=False)
        elif self._skip_end:
            self._end_skipped_cut(packet, time_ns, sink)
        elif len(self._held) >= HEADER and self._held[0] < SSL2_HELLO:
            content_type, _, length = _header(self._held)
            sink.cut_record(
                self._direction, content_type, self._start, length, bytes(self._held[HEADER:]), packet, time_ns
            )
        self.close()

    # Records one behind the other

    def _walk(self, chunk: StreamChunk, offset: int, sink: RecordSink) -> int:
        """Read from a boundary of records on, in one piece; the offset that was reached."""
        view = chunk.view(offset)
        size, at = len(view), 0
        direction = self._direction
        while size - at >= HEADER:
            content_type, minor = view[at], view[at + 2]
            length = view[at + 3] << 8 | view[at + 4]
            if not 20 <= content_type <= 24 or view[at + 1] != 3 or minor >= _MINORS or length > MAX_FRAGMENT:
                break
            stop = at + HEADER + length
            wanted = length > 0 and sink.wants(direction, content_type)
            if stop > size:
                if wanted:
                    self._start, self._need = offset + at, HEADER + length
                    self._held += view[at:]
                    return offset + size
                self._skipped = (content_type, 0x300 | minor, offset + at, length)
                self._skip_end = self.skip_until = offset + stop
                return offset + size
            packet, time_ns = chunk.arrival(offset + stop - 1)
            fragment = view[at + HEADER : stop] if wanted else None
            sink.record(direction, content_type, 0x300 | minor, offset + at, length, fragment, packet, time_ns)
            if self._closed:
                return offset + size
            at = stop
        if at < size:
            self._start = offset + at
            return self._begin(chunk, offset + at, sink)
        return offset + size

    def _begin(self, chunk: StreamChunk, offset: int, sink: RecordSink) -> int:
        """Put together the header of the record that starts at `_start`, of which `_held` came before; the offset
        that was reached."""
        held = self._held
        view = chunk.view(offset)
        header = self._header_length(held[0] if held else view[0])
        taken = min(header - len(held), len(view))
        held += view[:taken]
        offset += taken
        if not self._may_begin(held):
            return self._reject(chunk, offset, sink)
        if len(held) < header:
            return offset
        content_type, version, length = self._read_header(held)
        if length and (content_type == SSL2_HELLO or sink.wants(self._direction, content_type)):
            self._need = header + length
            return offset
        self._skipped = (content_type, version, self._start, length)
        self._skip_end = self.skip_until = self._start + header + length
        held.clear()
        if not length:
            self._end_skipped(*chunk.arrival(offset - 1), sink)
        return offset

    def _collect(self, chunk: StreamChunk, offset: int, sink: RecordSink) -> int:
        """Put together the record whose header is held; the offset that was reached."""
        held = self._held
        part = chunk.view(offset)
        missing = self._need - len(held)
        if len(part) > missing:
            part = part[:missing]
        held += part
        offset += len(part)
        if len(held) == self._need:
            content_type, version, length = self._read_header(held)
            self._held, self._need = bytearray(), 0
            packet, time_ns = chunk.arrival(offset - 1)
            fragment = memoryview(held)[-length:]
            sink.record(self._direction, content_type, version, self._start, length, fragment, packet, time_ns)
        return offset

    def _header_length(self, first: int) -> int:
        return 2 if first >= SSL2_HELLO and self.hello and self._start == self._first else HEADER

    def _read_header(self, held: bytearray) -> tuple[int, int, int]:
        """Content type, version, length."""
        if held[0] >= SSL2_HELLO:
            return SSL2_HELLO, 0x0002, (held[0] & 0x7F) << 8 | held[1]
        return _header(held)

    def _may_begin(self, held: bytearray) -> bool:
        """Whether these bytes are a header, or the beginning of one."""
        if self._header_length(held[0]) == 2:
            return len(held) < 2 or self._read_header(held)[2] <= _MAX_SSL2_HELLO
        if not 20 <= held[0] <= 24 or (len(held) > 1 and held[1] != _MAJOR) or (len(held) > 2 and held[2] >= _MINORS):
            return False
        return len(held) < HEADER or _header(held)[2] <= MAX_FRAGMENT

    def _reject(self, chunk: StreamChunk, offset: int, sink: RecordSink) -> int:
        """What was held, up to `offset`, begins no record: search in it, behind its first byte."""
        packet, time_ns = chunk.arrival(offset - 1)
        sink.odd(self._direction, first=self._start == self._first, packet=packet, time_ns=time_ns)
        held, start = bytes(self._held), self._start
        self._search_from(start, -1)
        self._hold(held, start, packet, time_ns)
        del self._held[:1]
        self._start += 1
        self._seek(sink)
        return offset

    # Records that are stepped over

    def _skip(self, chunk: StreamChunk, end: int, sink: RecordSink) -> int:
        stop = self._skip_end
        if stop > end:
            return end
        self._end_skipped(*chunk.arrival(stop - 1), sink)
        return stop

    def _end_skipped(self, packet: int, time_ns: int, sink: RecordSink) -> None:
        part, self._part, self._skip_end = self._part, None, 0
        content_type, version, start, length = self._skipped
        if part is None:
            sink.record(self._direction, content_type, version, start, length, None, packet, time_ns)
        else:
            sink.cut_record(self._direction, content_type, start, length, part, packet, time_ns)

    def _end_skipped_cut(self, packet: int, time_ns: int, sink: RecordSink) -> None:
        """The direction ends inside a record that was stepped over."""
        content_type, _, start, length = self._skipped
        self._skip_end = 0
        sink.cut_record(self._direction, content_type, start, length, self._part or b"", packet, time_ns)

    def _gap_in_skipped(self, end: int, packet: int, time_ns: int, sink: RecordSink) -> None:
        stop = self._skip_end
        if end < stop:
            return
        self._end_skipped(packet, time_ns, sink)
        if end > stop and not self._closed:
            self._search_from(stop, end)

    def _gap_in_held(self, end: int, packet: int, time_ns: int, sink: RecordSink) -> None:
        """Bytes of a record that someone wants are missing."""
        held, start = bytes(self._held), self._start
        self._held.clear()
        self._need = 0
        header = self._header_length(held[0])
        if len(held) < header or held[0] >= SSL2_HELLO:
            self._search_from(start, end)
            return
        content_type, version, length = _header(held)
        self._skipped = (content_type, version, start, length)
        self._skip_end = self.skip_until = start + HEADER + length
        self._part = held[HEADER:]
        self._gap_in_skipped(end, packet, time_ns, sink)

    # Searching

    def _search_from(self, lost_from: int, trusted: int) -> None:
        """Sight was lost at `lost_from`; at `trusted` a header is likely."""
        self.searching = True
        self._lost_from = lost_from
        self._trusted = trusted
        self._start = max(lost_from, trusted)
        self._held.clear()
        self._arrivals.clear()

    def _search(self, chunk: StreamChunk, offset: int, sink: RecordSink) -> int:
        view = chunk.view(offset)[:_SEARCH_WINDOW]
        self._hold(bytes(view), offset, *chunk.arrival(offset))
        self._seek(sink)
        return offset + len(view)

    def _hold(self, data: bytes, offset: int, packet: int, time_ns: int) -> None:
        if not self._held:
            self._start = offset
            self._arrivals.clear()
        if not self._arrivals or self._arrivals[-1][1] != packet:
            self._arrivals.append((offset, packet, time_ns))
        self._held += data

    def _seek(self, sink: RecordSink) -> None:
        """Find a header in what is held: its record is read from there on, else what cannot matter is dropped."""
        held, at = self._held, 0
        while (found := _CANDIDATE.search(held, at)) is not None:
            at = found.start()
            size = len(held) - at
            if size < HEADER:
                break
            length = _header(held, at)[2]
            if 0 < length <= MAX_FRAGMENT:
                if self._start + at == self._trusted:
                    self._found(at, sink)
                    return
                following = at + HEADER + length
                if len(held) < following + HEADER:
                    break
                if _CANDIDATE.match(held, following) and _header(held, following)[2] <= MAX_FRAGMENT:
                    self._found(at, sink)
                    return
            at += 1
        else:
            at = max(len(held) - 2, 0)  # a header may begin in the last two bytes
        self._drop(at)

    def _drop(self, count: int) -> None:
        """Forget the first bytes that are held."""
        del self._held[:count]
        self._start += count
        while len(self._arrivals) > 1 and self._arrivals[1][0] <= self._start:
            del self._arrivals[0]

    def _found(self, at: int, sink: RecordSink) -> None:
        """A record starts at `at` in what is held: read on from there."""
        self._drop(at)
        self.searching = False
        packet, time_ns = self._arrivals[0][1:]
        sink.lost(self._direction, self._lost_from, self._start, packet, time_ns, found=True)
        held, start, arrivals = bytes(self._held), self._start, self._arrivals
        self._held, self._arrivals = bytearray(), []
        starts = [start, *(offset for offset, _, _ in arrivals[1:])]
        ends = [*starts[1:], start + len(held)]
        pieces = [held[begin - start : end - start] for begin, end in zip(starts, ends, strict=True)]
        packets, times_ns = [packet for _, packet, _ in arrivals], [time_ns for _, _, time_ns in arrivals]
        self._found_chunk = Pieces(self._direction, starts, pieces, packets, times_ns)

    def _settle(self, sink: RecordSink) -> None:
        """Nothing follows what is held: a record that ends there may be one."""
        held = bytes(self._held)
        for found in _CANDIDATE.finditer(held):
            at = found.start()
            if len(held) - at > HEADER and at + HEADER + _header(held, at)[2] == len(held):
                self._found(at, sink)
                chunk, self._found_chunk = self._found_chunk, None
                assert chunk is not None
                self.data(chunk, sink)
                return


def _header(data: bytearray | bytes, at: int = 0) -> tuple[int, int, int]:
    """Content type, version, length of a header."""
    return data[at], data[at + 1] << 8 | data[at + 2], data[at + 3] << 8 | data[at + 4]
