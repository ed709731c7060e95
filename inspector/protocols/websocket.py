"""WebSocket on one connection (RFC 6455): frame headers are read, messages counted and stepped over.

Only a Close frame's payload is looked at. A frame has no magic and no number, so after a hole where a header was, or
bytes that are no frame, a direction searches for a packet that begins a row of plausible frames: most senders begin
frames with packets, and anywhere else too much looks like one. What the search holds is bounded, and read again from
there once it is found; at the direction's end fewer frames will do. Extensions change payloads, not frames: RSV bits
are let pass, and payloads are never inflated.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival, Ending, Pieces, StreamChunk
from inspector.events import Anomaly, WebSocketAccount, WebSocketClose, WebSocketClosed, WebSocketStarted
from inspector.protocols.decoder import Emit

#: Bytes that a search holds; frames that are farther apart are not found again.
MAX_SEARCH = 16 * 1024
#: Frames that must follow one another for a search to believe them.
FRAMES_IN_A_ROW = 3

#: A header's most: opcode, length, 64-bit length, masking key (section 5.2).
_LONGEST_HEADER = 14
_LONGEST_CONTROL = 125
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_OPCODES = frozenset((0, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_FIN, _RSV, _MASKED = 0x80, 0x30, 0x80
#: By direction, how a plausible frame begins: a known opcode, no fragmented control frame, no RSV bit but the one of
#: permessage-deflate (RFC 7692) on a message's first frame, and masked or not as that side must (section 5.1).
_PLAUSIBLE = (
    re.compile(rb"[\x00-\x02\x41\x42\x80-\x82\xc1\xc2\x88-\x8a][\x80-\xff]"),
    re.compile(rb"[\x00-\x02\x41\x42\x80-\x82\xc1\xc2\x88-\x8a][\x00-\x7f]"),
)


class State(Enum):
    """What a direction's next byte is part of."""

    HEADER = "header"
    PAYLOAD = "payload"
    CLOSE = "close"
    """A Close frame's payload, which is read."""
    SEARCH = "search"
    """Something that was lost sight of."""


class Frame(NamedTuple):
    """A frame's header."""

    opcode: int
    fin: bool
    key: bytes
    """Masking key; empty where the frame is not masked."""
    header: int
    """Bytes of the header."""
    payload: int
    """Bytes of the payload."""

    def possible(self) -> bool:
        """Whether the RFC has such frames (sections 5.2 and 5.5)."""
        if self.opcode not in _OPCODES or self.payload >> 63:
            return False
        return self.opcode < _CLOSE or (self.fin and self.payload <= _LONGEST_CONTROL)

    def shortest(self) -> bool:
        """Whether the length is written in as few bytes as can be, as section 5.2 wants it."""
        return self.header - len(self.key) == 2 + (self.payload > _LONGEST_CONTROL) * 2 + (self.payload >> 16 > 0) * 6


def frame_at(data: bytes | bytearray, at: int = 0) -> Frame | None:
    """The frame whose header begins at `at`; None while the header is not whole. (section 5.2)"""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    length, key_at = second & 0x7F, at + 2
    if length > _LONGEST_CONTROL:
        size = 2 if length == 126 else 8
        length, key_at = int.from_bytes(data[key_at : key_at + size], "big"), key_at + size
    end = key_at + 4 if second & _MASKED else key_at
    if len(data) < end:
        return None
    return Frame(first & 0x0F, first & _FIN != 0, bytes(data[key_at:end]), end - at, length)


class _Held:
    """Bytes of one direction that wait for more, from `start` on, and how they came."""

    def __init__(self, start: int) -> None:
        self.start = start
        """Stream offset of the first byte."""
        self.data = bytearray()
        self.packets: list[Arrival] = []
        """How the bytes came, a packet once."""
        self.starts: list[int] = []
        """Where in `data` each packet's bytes begin."""

    def add(self, data: bytes, arrival: Arrival) -> None:
        """The next bytes, all brought by one packet."""
        if not self.packets or self.packets[-1] != arrival:
            self.packets.append(arrival)
            self.starts.append(len(self.data))
        self.data += data

    def forget(self, at: int) -> None:
        """Drop what came with the packets before the one with index `at`."""
        count = self.starts[at]
        del self.data[:count], self.packets[:at]
        self.start += count
        self.starts = [start - count for start in self.starts[at:]]

    def chunk(self, at: int, direction: int) -> Pieces:
        """What is held from the packet with index `at` on."""
        starts, arrivals = self.starts[at:], self.packets[at:]
        data = [bytes(self.data[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
        packets, times_ns = zip(*arrivals, strict=True)
        return Pieces(direction, [self.start + start for start in starts], data, packets, times_ns)


class _Side:
    """One direction: its state and the frame at hand."""

    state = State.HEADER
    held: _Held | None = None
    """An unfinished header, or what a search still needs."""
    payload_end = 0
    """Stream offset behind the frame at hand."""
    application = False
    """The frame at hand is part of a message."""
    key = b""
    close: bytearray
    """Payload of a Close frame so far, and `close_arrival` brought the last byte of it."""
    close_arrival: Arrival
    lost_from = 0
    """Where sight was lost: the offset."""
    passed: int | None = None
    """A packet that a search has done with: no more of its bytes are looked at."""
    masking_told = False

    def __init__(self, direction: int) -> None:
        self.direction = direction


class WebSocketDecoder:
    """A StreamDecoder for WebSocket, from the first byte after the handshake on.

    Bytes of messages are application bytes, those of control frames are not: they beat, or say goodbye. Bytes that a
    search has not recognised count as a message's.
    """

    protocol = "websocket"

    def __init__(self, emit: Emit) -> None:
        self.skip_until = [0, 0]
        self._emit = emit
        self._sides = (_Side(FROM_CLIENT), _Side(FROM_SERVER))
        self._account = WebSocketAccount()
        self._started = False
        self._last: Arrival | None = None

    @property
    def application_packet(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[0]

    @property
    def application_ns(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[1]

    def _last_application_byte(self) -> Arrival | None:
        held = [side.held.packets[-1] for side in self._sides if side.state is State.SEARCH and side.held is not None]
        return max(held if self._last is None else [*held, self._last], default=None)

    # What a decoder is told

    def data(self, chunk: StreamChunk) -> None:
        side = self._sides[chunk.direction]
        waiting = [(chunk, chunk.offset)]  # what a search has found comes before the rest of the chunk it ended in
        while waiting:
            now, offset = waiting.pop()
            end = now.offset + now.length
            while offset < end:
                if side.state is State.HEADER:
                    offset = self._read_header(side, now, offset)
                elif side.state is State.PAYLOAD:
                    offset = self._read_payload(side, now, offset, end)
                elif side.state is State.CLOSE:
                    offset = self._read_close(side, now, offset)
                else:
                    offset, found = self._search(side, now, offset)
                    if found is not None:
                        waiting += (now, offset), (found, found.offset)
                        break

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        end = offset + length
        if side.state is State.CLOSE:
            self._closed(side)
            side.state = State.PAYLOAD
        if side.state is State.PAYLOAD and end <= side.payload_end:
            if end == side.payload_end:
                side.state = State.HEADER
        else:
            self._let_go(side)
            self._lose(side, end)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        if side.state is State.CLOSE:
            self._closed(side)
        elif side.state is State.SEARCH and (found := self._found_at_end(side)) is not None:
            self.data(found)
        self._let_go(side)

    # Frames

    def _read_header(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        data = bytes(chunk.view(offset)[:_LONGEST_HEADER])
        held, before = side.held, 0
        if held is not None:
            before = len(held.data)
            data = bytes(held.data) + data
        frame = frame_at(data)
        if frame is None:
            if held is None:
                held = side.held = _Held(offset)
            held.add(data[before:], chunk.arrival(offset))
            return offset + len(data) - before
        stop = offset + frame.header - before
        arrival = chunk.arrival(stop - 1)
        if not frame.possible():
            self._emit(Anomaly(*arrival, "websocket_bad_frame", f"opcode {frame.opcode}, {frame.payload} bytes"))
            self._lose(side, stop - frame.header)
            self._pass(side, arrival)
            return stop
        side.held = None
        self._frame(side, frame, stop, arrival)
        return stop

    def _frame(self, side: _Side, frame: Frame, payload_start: int, arrival: Arrival) -> None:
        """A frame's header is complete."""
        account = self._account
        if not self._started:
            self._started = True
            self._emit(WebSocketStarted(*arrival, account))
        if bool(frame.key) != (side.direction == FROM_CLIENT) and not side.masking_told:
            side.masking_told = True
            detail = "masked by the server" if frame.key else "not masked by the client"
            self._emit(Anomaly(*arrival, "websocket_masking", detail))
        opcode = frame.opcode
        account.messages[side.direction] += opcode in (_TEXT, _BINARY)
        account.pings += opcode == _PING
        account.pongs += opcode == _PONG
        side.application = opcode < _CLOSE
        if side.application:
            self._applied(arrival)
        side.payload_end = self.skip_until[side.direction] = payload_start + frame.payload
        if opcode == _CLOSE:
            side.state, side.key = State.CLOSE, frame.key
            side.close, side.close_arrival = bytearray(), arrival
            self.skip_until[side.direction] = payload_start
            if not frame.payload:
                self._closed(side)
                side.state = State.HEADER
        elif frame.payload:
            side.state = State.PAYLOAD

    def _read_payload(self, side: _Side, chunk: StreamChunk, offset: int, end: int) -> int:
        stop = min(end, side.payload_end)
        if side.application:
            self._applied(chunk.arrival(stop - 1))
        if stop == side.payload_end:
            side.state = State.HEADER
        return stop

    def _read_close(self, side: _Side, chunk: StreamChunk, offset: int) -> int:
        data = bytes(chunk.view(offset)[: side.payload_end - offset])
        side.close += data
        side.close_arrival = chunk.arrival(offset)
        if offset + len(data) == side.payload_end:
            self._closed(side)
            side.state = State.HEADER
        return offset + len(data)

    def _closed(self, side: _Side) -> None:
        """A Close frame is over, or no more of it will come (section 5.5.1)."""
        payload = _unmasked(side.close, side.key)
        code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else None
        close = WebSocketClose(side.direction, code, payload[2:].decode("latin-1"))
        if self._account.close is None:
            self._account.close = close
        self._emit(WebSocketClosed(*side.close_arrival, close))

    def _applied(self, arrival: Arrival) -> None:
        """An application byte came."""
        if self._last is None or arrival > self._last:
            self._last = arrival

    # Losing sight, and finding frames again

    def _lose(self, side: _Side, start: int) -> None:
        """From `start` on nobody knows where frames begin."""
        side.state, side.held, side.lost_from, side.passed = State.SEARCH, None, start, None

    def _pass(self, side: _Side, arrival: Arrival) -> None:
        """A search has done with a packet; its bytes count as a message's."""
        side.passed = arrival[0]
        self._applied(arrival)

    def _let_go(self, side: _Side) -> None:
        """What is held gets no better: bytes of a search count, those of a header say nothing."""
        if side.state is State.SEARCH and side.held is not None:
            self._applied(side.held.packets[-1])
        side.held = None

    def _search(self, side: _Side, chunk: StreamChunk, offset: int) -> tuple[int, Pieces | None]:
        """Search in some more bytes; the offset that was reached, and what is to be read again."""
        view, arrival = chunk.view(offset), chunk.arrival(offset)
        if arrival[0] == side.passed:
            return offset + len(view), None
        held = side.held
        if held is None:
            held = side.held = _Held(offset)
        data = bytes(view[: MAX_SEARCH - len(held.data)])
        held.add(data, arrival)
        for at, start in enumerate(held.starts):
            row = _row(held.data, start, side.direction)
            if row is Row.WHOLE:
                return offset + len(data), self._found(side, held, at)
            if row is not Row.NONE and len(held.data) - start < MAX_SEARCH:
                if at:
                    self._applied(held.packets[at - 1])
                    held.forget(at)
                return offset + len(data), None
        self._pass(side, arrival)
        side.held = None
        return offset + len(data), None

    def _found(self, side: _Side, held: _Held, at: int) -> Pieces:
        """Frames begin with packet `at` of those held: what is to be read again."""
        if at:
            self._applied(held.packets[at - 1])
        side.state, side.held = State.HEADER, None
        found = held.chunk(at, side.direction)
        if lost := found.offset - side.lost_from:
            self._emit(Anomaly(*held.packets[at], "resynchronised", f"{lost} bytes skipped"))
        return found

    def _found_at_end(self, side: _Side) -> Pieces | None:
        """What is to be read again when no more bytes come: frames that end where the direction does."""
        held = side.held
        if held is None:
            return None
        for at, start in enumerate(held.starts):
            if _row(held.data, start, side.direction) is Row.ENDS:
                return self._found(side, held, at)
        return None


def _unmasked(payload: bytearray, key: bytes) -> bytes:
    """Payload as it was before masking (section 5.3)."""
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if key else bytes(payload)


class Row(Enum):
    """What follows from some place on."""

    NONE = "none"
    """No row of frames, whatever more bytes come."""
    MORE = "more"
    """It may be one, once more bytes have come."""
    ENDS = "ends"
    """Frames, too few for a row, up to the last byte that is there."""
    WHOLE = "whole"
    """FRAMES_IN_A_ROW; of the last one the header alone."""


def _row(data: bytearray, at: int, direction: int) -> Row:
    """Whether a row of plausible frames begins at `at`: fragments follow one another (section 5.4), one frame at least
    is final, and none is an empty fragment that others follow, since zeros look like these."""
    unfinished: bool | None = None
    final = False
    for count in range(FRAMES_IN_A_ROW):
        if len(data) - at >= 2 and not _PLAUSIBLE[direction].match(data, at):
            return Row.NONE
        frame = frame_at(data, at)
        if frame is None:
            return Row.ENDS if at == len(data) and final else Row.MORE
        if not frame.possible() or not frame.shortest() or not (frame.fin or frame.payload):
            return Row.NONE
        if frame.opcode < _CLOSE:
            if unfinished is not None and unfinished != (frame.opcode == 0):
                return Row.NONE
            unfinished = not frame.fin
        final = final or frame.fin
        at += frame.header + frame.payload
        if at > len(data) and count < FRAMES_IN_A_ROW - 1:
            return Row.MORE
    return Row.WHOLE if final else Row.NONE
