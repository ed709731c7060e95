"""HTTP/1.0 and 1.1 on one connection (RFC 9112): both directions in one object.

A direction is in one of a few states; `data` steps through a chunk state by state, and looks at bytes only where
framing is expected: header sections and chunk headers. Bodies are stepped over. A whole header section in one piece,
the usual case, is parsed where it lies; anything cut is held until it is complete (`resync.Held`).

After a hole where framing was, or bytes that are no HTTP, a direction searches for the next start line and says how
many bytes that cost. Which request a response answers is `Exchanges`' business; its rule after a loss is told there.
When the connection turns to another protocol, `_switch` is the one place that knows: both directions are opaque then,
and go to whoever reads what is inside a tunnel or was upgraded to.
"""

from __future__ import annotations

from enum import Enum

from msgspec.structs import replace

from inspector.bytestream import FOREVER, FROM_CLIENT, FROM_SERVER, Ending, Rest, StreamChunk
from inspector.events import (
    Anomaly,
    InterimReceived,
    MessageEnded,
    RequestFields,
    RequestReceived,
    ResponseReceived,
    Upgraded,
)
from inspector.protocols.decoder import Emit, Inside, StreamDecoder, Switch
from inspector.protocols.http1.chunked import ChunkedBody, Part
from inspector.protocols.http1.exchanges import Exchanges
from inspector.protocols.http1.framing import Body
from inspector.protocols.http1.head import ResponseHead, parse_request, parse_response
from inspector.protocols.http1.resync import Arrival, Held, head_end

#: Largest header section; real servers stop at 8 to 128 KiB.
MAX_HEAD = 256 * 1024

#: How much of a piece is looked at for a whole header section, and for a chunk header, before anything is held.
_HEAD_WINDOW = 4096
_CHUNK_WINDOW = 256

_CR, _LF = b"\r\n"


class State(Enum):
    """What a direction's next byte is part of."""

    HEAD = "head"
    """A header section, or the empty lines before it (RFC 9112 section 2.2)."""
    LENGTH = "length"
    """A body that ends at a known offset."""
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"
    """A body that ends with the direction."""
    SEARCH = "search"
    """Something that was lost sight of."""
    OPAQUE = "opaque"
    """Another protocol."""
    ENDED = "ended"


# Looked up at every step: a global is found faster than an Enum's member.
_HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE = State.HEAD, State.LENGTH, State.CHUNKED, State.UNTIL_CLOSE
_SEARCH, _OPAQUE, _ENDED = State.SEARCH, State.OPAQUE, State.ENDED
_NO_BODY, _LENGTH_KNOWN = Body.NONE, Body.LENGTH


class _Side:
    """One direction: its state and the message at hand. Defaults lie in the class: most connections are short."""

    state = _HEAD
    after = _HEAD
    """The state that follows the message at hand."""
    fresh = True
    """Nothing was recognised so far."""
    held: Held | None = None
    """An unfinished header section, or what a search still needs."""
    search_from = 0
    lost_from = 0
    """Where sight was lost: the offset."""
    quiet = False
    """Finding it again is not worth an anomaly."""
    exchange = 0
    body_start = 0
    body_end = 0
    position = 0
    """Behind the last byte of the message that was seen or counted."""
    seen = 0
    """Behind the last byte of the message that was seen; `packet` and `time_ns` brought it."""
    packet = 0
    time_ns = 0
    chunks: ChunkedBody

    def __init__(self, direction: int) -> None:
        self.direction = direction

    def body_bytes(self) -> int:
        return self.chunks.body_bytes if self.state is _CHUNKED else self.position - self.body_start


class Http1Decoder:
    """A StreamDecoder for HTTP/1.

    `inside` makes the decoder of what the connection switches to, if there is one; else it is dated and counted.
    """

    def __init__(self, emit: Emit, inside: Inside | None = None) -> None:
        self.protocol = "http/1.1"
        self._inside = inside
        self._inner: StreamDecoder | None = None
        #: HTTP2-Settings of the last request that has it.
        self._http2_settings: str | None = None
        self.skip_until = [0, 0]
        self._emit = emit
        self._sides = (_Side(FROM_CLIENT), _Side(FROM_SERVER))
        self._exchanges = Exchanges()
        #: Where each direction's last application byte came; an unsolicited 408 has none.
        self._last: list[Arrival | None] = [None, None]
        #: The server's last message is such a 408, and this is what `_last` was before it.
        self._timing_out = False
        self._before: Arrival | None = None

    # Inside one another each asks the next one once: more would multiply.

    @property
    def application_packet(self) -> int | None:
        last = self._last_application_byte()
        inside = None if self._inner is None else self._inner.application_packet
        return inside if last is None else last[0] if inside is None else max(last[0], inside)

    @property
    def application_ns(self) -> int | None:
        last = self._last_application_byte()
        inside = None if self._inner is None else self._inner.application_packet
        if inside is not None and self._inner is not None and (last is None or inside > last[0]):
            return self._inner.application_ns
        return None if last is None else last[1]

    def _last_application_byte(self) -> Arrival | None:
        client, server = self._last
        return client or server if client is None or server is None else max(client, server)

    # What a decoder is told

    def data(self, chunk: StreamChunk) -> None:
        side = self._sides[chunk.direction]
        offset = chunk.offset
        end = offset + chunk.length
        while offset < end:
            state = side.state
            if state is _HEAD:
                offset = self._read_head(side, chunk, offset)
            elif state is _LENGTH:
                offset = self._read_length(side, chunk, end)
            elif state is _CHUNKED:
                offset = self._read_chunked(side, chunk, offset, end)
            elif state is _UNTIL_CLOSE:
                self._advance(side, chunk, end)
                offset = end
            elif state is _SEARCH:
                offset = self._read_held(side, chunk, offset)
            else:
                if self._inner is not None:
                    self._pass_on(self._inner, chunk, offset)
                    end = offset  # who reads the rest also dates it
                offset = end
        if end == chunk.offset:
            return
        last: Arrival | None = chunk.arrival(end - 1)
        if self._timing_out and chunk.direction == FROM_SERVER:
            last = self._before
        self._last[chunk.direction] = last

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        state = side.state
        end = offset + length
        if state is _UNTIL_CLOSE:
            side.position = end
        elif state is _LENGTH:
            self._gap_in_length(side, end, packet, time_ns)
        elif state is _CHUNKED:
            self._gap_in_chunks(side, offset, length)
        elif state is _HEAD:
            if side.held is None:
                self._lose_message(side, offset)
            else:
                self._lose_head(side, side.held)
        elif state is _SEARCH:
            side.held = None
            if direction == FROM_SERVER:
                self._exchanges.lost_response()
            else:
                self._exchanges.lost_request()  # sight was lost before: one more may have begun in the hole
        elif state is _OPAQUE and self._inner is not None:
            self._inner.gap(direction, offset, length, packet, time_ns)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        if side.state is _UNTIL_CLOSE:
            self._end_message(side, ending is Ending.FIN)
        elif side.state is _LENGTH or side.state is _CHUNKED:
            self._end_message(side, False)
        elif side.state is _OPAQUE and self._inner is not None:
            self._inner.end(direction, ending, packet, time_ns)
        side.state = _ENDED
        side.held = None

    # Header sections

    def _read_head(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        """Read at the start of a message, or further into a held one; the offset that was reached."""
        if side.held is not None:
            return self._read_held(side, chunk, offset)
        data = bytes(chunk.view(offset)[:_HEAD_WINDOW])
        if data[0] == _CR or data[0] == _LF:
            return offset + len(data) - len(data.lstrip(b"\r\n"))
        length = head_end(data)
        if length > 0:
            take = self._response if side.direction else self._request
            behind = take(side, chunk, data[:length], offset, chunk.arrival(offset))
            if behind is not None:
                return behind
        return self._read_held(side, chunk, offset)

    def _read_held(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        """Read what starts, or is searched for, in held bytes; the offset that was reached."""
        held = side.held
        if held is None:
            held = side.held = Held(offset, self._byte_before(chunk, offset))
            self._timing_out = self._timing_out and side.direction == FROM_CLIENT
        data = bytes(chunk.view(offset)[: MAX_HEAD - len(held.data)])
        held.add(data, *chunk.arrival(offset))
        while side.state is _HEAD or self._found(side, held):
            length = held.head_end()
            take = self._response if side.direction else self._request
            if length > 0:
                behind = take(side, chunk, bytes(held.data[:length]), held.start, held.origin())
                if behind is not None:
                    side.held = None
                    return behind
            if length < 0 and held.may_be_message(side.direction):
                if len(held.data) == MAX_HEAD:
                    self._emit(Anomaly(*held.origin(), "header_too_long"))
                    self._lose_head(side, held)
                break
            self._reject(side, held, "mid_message" if side.fresh else "not_http")
            side.held = held
        return offset + len(data)

    def _found(self, side: _Side, held: Held) -> bool:
        """Whether the search found a start line: then it is what `held` starts with."""
        found = held.find_message(side.direction, side.search_from)
        if found is None:
            return False
        held.drop_before(found)
        lost = found - side.lost_from
        if lost and not side.quiet:
            self._emit(Anomaly(*held.origin(), "resynchronised", f"{lost} bytes skipped"))
        side.state = _HEAD
        return True

    def _request(self, side: _Side, chunk: StreamChunk, head: bytes, start: int, first: Arrival) -> int | None:
        """Take a whole header section, whose first byte is at `start` and came with `first`; None: it is none.

        Otherwise the offset that was reached: behind it, or behind the message where that ends in the chunk.
        """
        parsed = parse_request(head)
        if parsed is None:
            return None
        stop = start + len(head)
        packet, time_ns = chunk.arrival(stop - 1)
        fields = parsed.fields
        exchange = self._exchanges.ask(fields)
        if exchange == 0 and fields.version == "HTTP/1.0":
            self.protocol = "http/1.0"
        self._emit(RequestReceived(packet, time_ns, exchange, None, start, first[0], fields))
        if parsed.anomaly is not None:
            self._emit(Anomaly(packet, time_ns, parsed.anomaly))
        if parsed.http2_settings is not None:
            self._http2_settings = parsed.http2_settings
        return self._start_body(side, chunk, exchange, parsed.body, fields.content_length, stop, packet, time_ns)

    def _response(self, side: _Side, chunk: StreamChunk, head: bytes, start: int, first: Arrival) -> int | None:
        """As `_request`."""
        request = self._exchanges.next()
        asked = None if request is None else request.fields
        parsed = parse_response(head, None if asked is None else asked.method)
        if parsed is None:
            return None
        stop = start + len(head)
        packet, time_ns = chunk.arrival(stop - 1)
        exchange = self._exchanges.answer(parsed.final)
        if exchange == 0 and parsed.fields.version == "HTTP/1.0":
            self.protocol = "http/1.0"
        if asked is None and parsed.status == 408:
            self._before = side.held.before if side.held is not None else self._byte_before(chunk, start)
            self._timing_out = True
        else:
            self._timing_out = False
        if not parsed.final:
            side.fresh = False
            self._emit(InterimReceived(packet, time_ns, exchange, None, parsed.status))
            return stop
        self._emit(ResponseReceived(packet, time_ns, exchange, None, asked is None, *first, parsed.fields))
        if parsed.anomaly is not None:
            self._emit(Anomaly(packet, time_ns, parsed.anomaly))
        length = parsed.fields.content_length
        behind = self._start_body(side, chunk, exchange, parsed.body, length, stop, packet, time_ns)
        if parsed.switches:
            self._switch(exchange, asked, parsed, packet, time_ns)
        return behind

    # Bodies

    def _start_body(
        self,
        side: _Side,
        chunk: StreamChunk,
        exchange: int,
        body: Body,
        length: int | None,
        start: int,
        packet: int,
        time_ns: int,
    ) -> int:
        """The header section of `exchange` ended at `start`, with `packet`: what follows? The offset that was reached:
        `start`, or behind a body that ends in the chunk."""
        side.fresh = False
        if body is _NO_BODY or body is Body.TUNNEL or (body is _LENGTH_KNOWN and not length):
            self._emit(MessageEnded(packet, time_ns, exchange, None, side.direction, start, 0, True))
            return start
        if body is _LENGTH_KNOWN and length is not None:
            stop = self.skip_until[side.direction] = start + length
            if stop <= chunk.offset + chunk.length:
                packet, time_ns = chunk.arrival(stop - 1)
                self._emit(MessageEnded(packet, time_ns, exchange, None, side.direction, stop, length, True))
                return stop
            side.state = _LENGTH
            side.body_end = stop
        side.exchange, side.packet, side.time_ns = exchange, packet, time_ns
        side.body_start = side.position = side.seen = start
        if body is _LENGTH_KNOWN:
            return start
        if body is Body.CHUNKED:
            side.state = _CHUNKED
            side.chunks = ChunkedBody()
        elif body is Body.UNTIL_CLOSE:
            side.state = _UNTIL_CLOSE
            self.skip_until[side.direction] = FOREVER
        else:
            self._end_message(side, False)
            self._lose_sight(side, start)
        return start

    def _advance(self, side: _Side, chunk: StreamChunk, end: int) -> None:
        """The message at hand goes on up to `end`, in this chunk."""
        side.position = side.seen = end
        side.packet, side.time_ns = chunk.arrival(end - 1)

    def _read_length(self, side: _Side, chunk: StreamChunk, end: int) -> int:
        stop = side.body_end
        if stop > end:
            self._advance(side, chunk, end)
            return end
        self._advance(side, chunk, stop)
        self._end_message(side, True)
        return stop

    def _read_chunked(self, side: _Side, chunk: StreamChunk, offset: int, end: int) -> int:
        chunks = side.chunks
        if chunks.remaining:
            count = min(chunks.remaining, end - offset)
            chunks.skip(count)
            offset += count
        else:
            count = chunks.read(bytes(chunk.view(offset)[:_CHUNK_WINDOW]))
            offset += count
            self._hold_line(side, chunk, offset, count)
            self.skip_until[side.direction] = offset + chunks.remaining
        if chunks.part is Part.DONE:
            self._advance(side, chunk, offset)
            self._end_message(side, True)
        elif chunks.part is Part.BROKEN:
            self._advance(side, chunk, offset)
            self._break_chunks(side, offset - len(chunks.line))
        elif offset == end:
            self._advance(side, chunk, end)
        return offset

    def _hold_line(self, side: _Side, chunk: StreamChunk, offset: int, count: int) -> None:
        """Keep an unfinished line of chunk framing, `count` bytes before `offset` were read: it may be a start line."""
        line = side.chunks.line
        if not line:
            side.held = None
            return
        new = min(len(line), count)
        if side.held is None or new == len(line):
            side.held = Held(offset - new, self._byte_before(chunk, offset - new))
        side.held.add(line[-new:], *chunk.arrival(offset - 1))

    def _break_chunks(self, side: _Side, start: int) -> None:
        """The line that starts at `start` is no chunk framing."""
        held = side.held
        self._emit(Anomaly(side.packet, side.time_ns, "bad_chunk", f"at stream offset {start}"))
        self._end_message(side, False)
        self._lose_sight(side, start)
        side.held = held

    def _end_message(self, side: _Side, whole: bool) -> None:
        """The message at hand is over, behind the last byte that was seen of it."""
        self._emit(
            MessageEnded(
                side.packet,
                side.time_ns,
                side.exchange,
                None,
                side.direction,
                side.seen,
                side.body_bytes(),
                whole,
            )
        )
        side.held = None
        side.state = side.after
        if side.state is _OPAQUE:
            self._skip_opaque(side)

    # Holes, and what is no HTTP

    def _gap_in_length(self, side: _Side, end: int, packet: int, time_ns: int) -> None:
        stop = side.body_end
        side.position = min(end, stop)
        if end < stop:
            return
        side.seen, side.packet, side.time_ns = stop, packet, time_ns
        self._end_message(side, True)
        if end > stop:
            self._lose_message(side, stop)

    def _gap_in_chunks(self, side: _Side, offset: int, length: int) -> None:
        chunks = side.chunks
        counted = min(chunks.remaining, length)
        if counted:
            chunks.skip(counted)
        if counted < length:
            self._end_message(side, False)
            self._lose_sight(side, offset + counted)

    def _lose_head(self, side: _Side, held: Held) -> None:
        """The header section that `held` starts with never gets complete: what is there must do."""
        end = held.start + len(held.data)
        taken = self._cut_request(held) if side.direction == FROM_CLIENT else self._cut_response(held)
        if not taken:
            self._lose_message(side, held.start)
        elif side.state is _HEAD:
            self._lose_sight(side, end)

    def _cut_request(self, held: Held) -> bool:
        parsed = parse_request(held.cut_head())
        if parsed is None:
            return False
        fields = replace(parsed.fields, persistent=None)
        arrival, end = held.newest(), held.start + len(held.data)
        exchange = self._exchanges.ask(fields)
        self._emit(RequestReceived(*arrival, exchange, None, held.start, held.origin()[0], fields))
        self._emit(MessageEnded(*arrival, exchange, None, FROM_CLIENT, end, 0, False))
        return True

    def _cut_response(self, held: Held) -> bool:
        request = self._exchanges.next()
        asked = None if request is None else request.fields
        parsed = parse_response(held.cut_head(), None if asked is None else asked.method)
        if parsed is None:
            return False
        arrival, end = held.newest(), held.start + len(held.data)
        exchange = self._exchanges.answer(parsed.final)
        if not parsed.final:
            self._emit(InterimReceived(*arrival, exchange, None, parsed.status))
            return True
        fields = replace(parsed.fields, persistent=None)
        self._emit(ResponseReceived(*arrival, exchange, None, asked is None, *held.origin(), fields))
        self._emit(MessageEnded(*arrival, exchange, None, FROM_SERVER, end, 0, False))
        if parsed.switches:
            self._switch(exchange, asked, parsed, *arrival)
        return True

    def _lose_message(self, side: _Side, offset: int) -> None:
        """A message began at `offset`, and nothing is known of it."""
        if side.direction == FROM_CLIENT:
            self._exchanges.lost_request()
        self._lose_sight(side, offset)

    def _lose_sight(self, side: _Side, offset: int) -> None:
        """From `offset` on nobody knows what the bytes are: search for the next start line."""
        if side.after is _OPAQUE:
            return
        if side.direction == FROM_SERVER:
            self._exchanges.lost_response()
        side.state = _SEARCH
        side.held = None
        side.lost_from = side.search_from = offset
        side.quiet = side.fresh = False

    def _reject(self, side: _Side, held: Held, code: str) -> None:
        """What `held` starts with is no message: say so once, and search behind its first byte."""
        tunnel = side.direction == FROM_CLIENT and self._exchanges.tunnel_asked_for()
        if not tunnel:
            self._emit(Anomaly(*held.origin(), code))
        self._lose_sight(side, held.start)
        side.search_from += 1
        side.quiet = tunnel or code == "mid_message"

    # Other protocols, and idle time

    def _switch(
        self, exchange: int, asked: RequestFields | None, answer: ResponseHead, packet: int, time_ns: int
    ) -> None:
        """Both directions speak another protocol: the server at once, the client when this request is complete."""
        if answer.body is Body.TUNNEL:
            to, target = "connect", None if asked is None else asked.authority
        else:
            offered = "" if asked is None or asked.upgrade is None else asked.upgrade.partition(",")[0].strip().lower()
            to, target = answer.upgrade or offered or "unknown", None
        self._emit(Upgraded(packet, time_ns, exchange, to, target))
        if self._inside is not None:
            self._inner = self._inside(Switch(to, self._exchanges.count, self._http2_settings))
        for side in self._sides:
            in_body = side.state is _LENGTH or side.state is _CHUNKED
            side.after = _OPAQUE
            if in_body and side.exchange == exchange:
                continue
            if in_body:
                self._end_message(side, False)
            elif side.state is not _ENDED:
                side.state = _OPAQUE
                side.held = None
                self._skip_opaque(side)

    def _skip_opaque(self, side: _Side) -> None:
        """How much may be skipped is for whoever reads on; where nobody does, all."""
        inner, direction = self._inner, side.direction
        self.skip_until[direction] = FOREVER if inner is None else inner.skip_until[direction]

    def _pass_on(self, inner: StreamDecoder, chunk: StreamChunk, offset: int) -> None:
        """Bytes of another protocol, from `offset` on: whoever knows it takes them."""
        inner.data(chunk if offset == chunk.offset else Rest(chunk, offset))
        self.skip_until[:] = inner.skip_until
        self.protocol = inner.protocol

    def _byte_before(self, chunk: StreamChunk, offset: int) -> Arrival | None:
        """The last application byte of the chunk's direction before `offset`, in this chunk."""
        if self._timing_out and chunk.direction == FROM_SERVER:
            return self._before
        if offset > chunk.offset:
            return chunk.arrival(offset - 1)
        return self._last[chunk.direction]
