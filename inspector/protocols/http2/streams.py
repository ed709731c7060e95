"""The streams of a connection: which are in flight, and the messages on them as exchanges.

Streams in flight are kept by id and forgotten when they are over; which ids are over is known without a list, since a
client's ids only go up, but for some that were reset, as frames may still cross the RST_STREAM. Exchanges are numbered
as their first message comes: a request, a promised one, or a response whose request was not seen. Such a request may
still come: where frames had to be searched for, those of one direction are found later than what answers them.
"""

from __future__ import annotations

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival
from inspector.events import (
    ForbiddenField,
    Http2Account,
    InterimReceived,
    MessageEnded,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from inspector.protocols.decoder import Emit
from inspector.protocols.http2.flow import Flow
from inspector.protocols.http2.oddities import Oddities
from inspector.protocols.http2.sections import Section
from inspector.protocols.http2.states import NEXT, StreamInput, StreamState
from inspector.protocols.http2.stream import Stream

#: Streams in flight that are kept; beyond it the oldest is given up. Servers allow 100 to 256.
MAX_STREAMS = 4096
#: Streams reset of late that are remembered, since frames that crossed the reset are no news.
MAX_RESET = 256
#: Exchanges without a request that wait for it; beyond it the oldest waits no more.
MAX_UNASKED = 256
#: Forbidden fields, and kinds of error, that are kept.
MAX_FORBIDDEN = 256
MAX_ERRORS = 64

#: `RequestReceived.offset` of a request that the client never sent: a promised one.
NO_OFFSET = -1

_HEADERS, _DATA, _END_STREAM, _PROMISE = (
    *(StreamInput.HEADERS, StreamInput.DATA, StreamInput.END_STREAM, StreamInput.PROMISE),
)
_IDLE, _CLIENT_DONE, _CLOSED = StreamState.IDLE, StreamState.CLIENT_DONE, StreamState.CLOSED
#: After a request that ends with its header section.
_REQUESTED = NEXT[NEXT[_IDLE][FROM_CLIENT][_HEADERS].state][FROM_CLIENT][_END_STREAM].state


class Streams:
    """The streams of both sides."""

    __slots__ = (
        *("_account", "_emit", "_goaway_above", "_inflight", "_odd", "_reset", "_unasked", "_upgraded", "count"),
        *("flows", "highest", "lossy", "open", "unfinished"),
    )

    def __init__(self, emit: Emit, account: Http2Account, odd: Oddities) -> None:
        self._emit = emit
        self._account = account
        self._odd = odd
        self.highest = 0
        """The client's highest stream id so far."""
        self._inflight = 0
        """Streams of the client in flight."""
        self._reset: dict[int, None] = {}
        self._unasked: dict[int, int] = {}
        """Exchanges whose request was not seen, by stream."""
        self._upgraded = False
        self._goaway_above: int | None = None
        """last_stream_id of the server's GOAWAY."""
        self.count = 0
        """Exchanges so far."""
        self.open: dict[int, Stream] = {}
        self.flows = tuple(Flow(direction, emit, account.sides[direction]) for direction in (FROM_CLIENT, FROM_SERVER))
        self.lossy = [False, False]
        """By direction: something of it was missed."""
        self.unfinished = [0, 0]
        """By direction: messages that have begun and are not over."""

    def upgraded(self) -> None:
        """The connection began as HTTP/1: stream 1 is the request that asked for the upgrade (RFC 7540 section 3.2)."""
        self._upgraded = True
        self.highest = 1
        self.open[1] = Stream(1, _CLIENT_DONE)
        self._inflight = self._account.streams = self._account.peak_streams = 1

    # ---- header sections

    def headers(
        self, direction: int, stream_id: int, section: Section, over: bool, offset: int, first: Arrival,
        end: int, arrival: Arrival, cut: bool = False,
    ) -> None:  # fmt: skip
        """A header or trailer section. `offset`, `first`: its first byte; `end`, `arrival`: of its last one; `over`:
        the message ends with it; `cut`: it is not whole."""
        if section.forbidden:
            self._note_forbidden(section, arrival)
        if self._unasked and section.pseudo and direction == FROM_CLIENT and stream_id in self._unasked:
            self._late_request(stream_id, section, over and not cut, offset, first, end, arrival)
            return
        stream = self.open.get(stream_id)
        if stream is None:
            if direction == FROM_CLIENT and stream_id > self.highest and stream_id & 1:
                stream = self._adopt(direction, stream_id, _HEADERS, arrival)
            else:
                stream = self._begin(direction, stream_id, arrival)
                if stream is None:
                    return
            if direction == FROM_CLIENT and (section.pseudo or cut or not section.known):
                exchange = stream.exchange = self.count
                self.count += 1
                packet, time_ns = arrival
                self._emit(RequestReceived(packet, time_ns, exchange, stream_id, offset, first[0], section.request()))
                if over and not cut:  # the usual request, without a body
                    stream.state = _REQUESTED
                    self._emit(MessageEnded(packet, time_ns, exchange, stream_id, FROM_CLIENT, end, 0, True))
                    return
                self._started(stream, FROM_CLIENT, end, arrival)
            elif direction == FROM_SERVER:
                self._response(stream, section, first, end, arrival, cut)
        elif not self._step(stream, direction, _HEADERS, arrival):
            return
        elif direction == FROM_CLIENT:
            if not section.pseudo:  # else it is a request that is recognised too late, behind a hole
                self._trailers(stream, direction, section, end, arrival)
        else:
            self._response(stream, section, first, end, arrival, cut)
        if cut:
            stream.damaged[direction] = True
        if over:
            self.end_message(stream, direction, end, arrival)

    def _late_request(
        self, stream_id: int, section: Section, over: bool, offset: int, first: Arrival, end: int, arrival: Arrival
    ) -> None:
        """A request behind its answer. Once that is over, what follows of the request's body is not looked for."""
        exchange = self._unasked.pop(stream_id)
        self._emit(RequestReceived(*arrival, exchange, stream_id, offset, first[0], section.request()))
        stream = self.open.get(stream_id)
        if stream is not None and not over and stream.exchange == exchange and stream.last[FROM_CLIENT] is None:
            stream.state = StreamState.OPEN
            self._started(stream, FROM_CLIENT, end, arrival)
            return
        self._emit(MessageEnded(*arrival, exchange, stream_id, FROM_CLIENT, end, 0, over))
        if stream is None:
            self._forget(stream_id)

    def _note_forbidden(self, section: Section, arrival: Arrival) -> None:
        kept = self._account.forbidden_fields
        kept += [ForbiddenField(arrival[0], name) for name in section.forbidden[: MAX_FORBIDDEN - len(kept)]]

    def _begin(self, direction: int, stream_id: int, arrival: Arrival) -> Stream | None:
        """The first frame of a stream, or one of a stream that is over: then None."""
        if direction == FROM_CLIENT:
            new = stream_id & 1 and (stream_id > self.highest or self.lossy[FROM_CLIENT])
        elif stream_id & 1:
            new = stream_id > self.highest or self.lossy[FROM_CLIENT]
        else:
            new = self.lossy[FROM_SERVER]
        if not new or not stream_id or stream_id in self._reset:
            if stream_id not in self._reset:
                self._odd.tell(
                    arrival, "unexpected_frame", f"HEADERS on stream {stream_id}, which is over or never was"
                )
            return None
        return self._adopt(direction, stream_id, _HEADERS, arrival)

    def _adopt(self, direction: int, stream_id: int, what: StreamInput, arrival: Arrival) -> Stream:
        """A stream that is seen for the first time."""
        state, odd = NEXT[_IDLE][direction][what]
        if odd and not (self.lossy[FROM_CLIENT] or self.lossy[FROM_SERVER]):
            self._odd.tell(arrival, "unexpected_frame", f"{what.name} on stream {stream_id}, which was not opened")
        if len(self.open) >= MAX_STREAMS:
            self._give_up_oldest(arrival)
        stream = self.open[stream_id] = Stream(stream_id, state)
        account = self._account
        account.streams += 1
        if stream_id & 1:
            if stream_id > self.highest:
                self.highest = stream_id
            self._inflight += 1
            if self._inflight > account.peak_streams:
                account.peak_streams = self._inflight
            above = self._goaway_above
            if above is not None and stream_id > above:
                stream.above_goaway = True
                account.streams_above_goaway += 1
        return stream

    def _give_up_oldest(self, arrival: Arrival) -> None:
        self._odd.tell_once(arrival, "too_many_streams", f"more than {MAX_STREAMS} in flight")
        oldest = next(iter(self.open.values()))
        self._cut(oldest)
        self._close(oldest, arrival[1])

    def _response(
        self, stream: Stream, section: Section, first: Arrival, end: int, arrival: Arrival, cut: bool
    ) -> None:
        status = section.status
        if stream.answered or not (section.pseudo or cut or not section.known):
            self._trailers(stream, FROM_SERVER, section, end, arrival)
            return
        exchange, unsolicited = stream.exchange, False
        if exchange is None:
            unsolicited = not (self._upgraded and stream.id == 1)
            exchange = stream.exchange = self.count
            self.count += 1
            if unsolicited:
                if len(self._unasked) >= MAX_UNASKED:
                    del self._unasked[next(iter(self._unasked))]
                self._unasked[stream.id] = exchange
        packet, time_ns = arrival
        if status is not None and 100 <= status < 200:
            self._emit(InterimReceived(packet, time_ns, exchange, stream.id, status))
            return
        stream.answered = True
        self._started(stream, FROM_SERVER, end, arrival)
        first_packet, first_ns = first
        fields = section.response()
        self._emit(ResponseReceived(packet, time_ns, exchange, stream.id, unsolicited, first_packet, first_ns, fields))
        if section.grpc_status is not None:
            self._emit(TrailersReceived(packet, time_ns, exchange, stream.id, FROM_SERVER, section.grpc_status))

    def _started(self, stream: Stream, direction: int, end: int, arrival: Arrival) -> None:
        stream.last[direction] = end, *arrival
        stream.damaged[direction] = False
        self.unfinished[direction] += 1

    def _trailers(self, stream: Stream, direction: int, section: Section, end: int, arrival: Arrival) -> None:
        if stream.last[direction] is not None:
            stream.last[direction] = end, *arrival
        if stream.exchange is not None:
            self._emit(TrailersReceived(*arrival, stream.exchange, stream.id, direction, section.grpc_status))

    def promise(self, stream_id: int, promised: int, section: Section, arrival: Arrival) -> None:
        """PUSH_PROMISE: the server says which request it will answer on a stream of its own."""
        if promised in self.open or promised & 1 or not promised:
            self._odd.tell(arrival, "unexpected_frame", f"PUSH_PROMISE of stream {promised} on stream {stream_id}")
            return
        stream = self._adopt(FROM_SERVER, promised, _PROMISE, arrival)
        exchange = stream.exchange = self.count
        self.count += 1
        self._emit(RequestReceived(*arrival, exchange, promised, NO_OFFSET, arrival[0], section.request()))
        self._emit(MessageEnded(*arrival, exchange, promised, FROM_CLIENT, NO_OFFSET, 0, True))

    # ---- bodies, and the end of messages

    def data(
        self, direction: int, stream_id: int, length: int, body: int, over: bool, end: int, arrival: Arrival
    ) -> None:
        """A whole DATA frame: `length` bytes of payload, `body` of them without padding, up to the offset `end`."""
        flow = self.flows[direction]
        flow.window -= length
        stream = self.open.get(stream_id)
        if stream is None:
            stream = self._unknown_data(direction, stream_id, arrival)
            if stream is None:
                return
        elif not self._step(stream, direction, _DATA, arrival):
            return
        credit = stream.credit[direction] = stream.credit[direction] - length
        stream.body[direction] += body
        if stream.last[direction] is not None:
            stream.last[direction] = end, *arrival
        if length and (flow.window <= 0 or credit + flow.initial <= 0):
            flow.used_up(stream, over, self.unfinished[direction] > 1, arrival[1])
        if over:
            self.end_message(stream, direction, end, arrival)

    def partial_data(self, direction: int, stream_id: int, body: int, end: int, arrival: Arrival) -> None:
        """A DATA frame of which only a part comes: `body` bytes, up to the offset `end`."""
        stream = self.open.get(stream_id)
        if stream is not None and stream.last[direction] is not None:
            stream.body[direction] += body
            stream.last[direction] = end, *arrival

    def _unknown_data(self, direction: int, stream_id: int, arrival: Arrival) -> Stream | None:
        if stream_id in self._reset:
            return None
        if self.lossy[direction] or self.lossy[1 - direction] or stream_id > self.highest:
            return self._adopt(direction, stream_id, _DATA, arrival)
        self._odd.tell(arrival, "unexpected_frame", f"DATA on stream {stream_id}, which is over or never was")
        return None

    def end_message(self, stream: Stream, direction: int, end: int, arrival: Arrival) -> None:
        """END_STREAM."""
        if stream.last[direction] is not None:
            assert stream.exchange is not None
            stream.last[direction] = None
            self.unfinished[direction] -= 1
            packet, time_ns = arrival
            whole, body = not stream.damaged[direction], stream.body[direction]
            self._emit(MessageEnded(packet, time_ns, stream.exchange, stream.id, direction, end, body, whole))
        state = stream.state = NEXT[stream.state][direction][_END_STREAM].state
        if state is _CLOSED:
            self._close(stream, arrival[1])
        elif direction == FROM_SERVER and stream.damaged[FROM_CLIENT]:
            self._cut(stream)  # the end of the request may have been in the hole
            self._close(stream, arrival[1])

    def reset(self, direction: int, stream_id: int, error: str, arrival: Arrival) -> None:
        """RST_STREAM."""
        errors = self._account.sides[direction].rst_streams
        key = error if error in errors or len(errors) < MAX_ERRORS else "other"
        errors[key] = errors.get(key, 0) + 1
        if error == "REFUSED_STREAM":
            self._account.refused_streams += 1
        stream = self.open.get(stream_id)
        exchange = None if stream is None else stream.exchange
        self._emit(StreamReset(*arrival, exchange, stream_id, direction, error))
        if stream is None:
            if self.never_opened(stream_id):
                self._odd.tell(arrival, "unexpected_frame", f"RST_STREAM on stream {stream_id}, which was not opened")
            return
        self._cut(stream)
        self._close(stream, arrival[1])
        self._forget(stream_id)

    def _forget(self, stream_id: int) -> None:
        """What still comes on a stream is no news."""
        if len(self._reset) >= MAX_RESET:
            del self._reset[next(iter(self._reset))]
        self._reset[stream_id] = None

    def goaway(self, last_stream_id: int) -> None:
        """The server's GOAWAY: what the client opened above `last_stream_id` is not looked at (section 6.8)."""
        self._goaway_above = last_stream_id
        for stream in self.open.values():
            if stream.id & 1 and stream.id > last_stream_id and not stream.above_goaway:
                stream.above_goaway = True
                self._account.streams_above_goaway += 1

    # ---- holes and endings

    def lose(self, direction: int) -> None:
        """Frames of a direction are missing: whatever is in flight may have lost something."""
        self.lossy[direction] = True
        for flow in self.flows:
            flow.lose()
        for stream in self.open.values():
            stream.damaged[direction] = True

    def end(self, direction: int) -> None:
        """No more bytes of a direction."""
        for stream in self.open.values():
            self._cut_message(stream, direction)

    def _cut(self, stream: Stream) -> None:
        self._cut_message(stream, FROM_CLIENT)
        self._cut_message(stream, FROM_SERVER)

    def _cut_message(self, stream: Stream, direction: int) -> None:
        """A message that goes no further, if it had begun and was not over."""
        last = stream.last[direction]
        if last is None:
            return
        assert stream.exchange is not None
        stream.last[direction] = None
        self.unfinished[direction] -= 1
        end, packet, time_ns = last
        body = stream.body[direction]
        self._emit(MessageEnded(packet, time_ns, stream.exchange, stream.id, direction, end, body, False))

    # ---- small things

    def never_opened(self, stream_id: int) -> bool:
        """Whether a stream of the client's is certain not to have begun."""
        return stream_id & 1 == 1 and stream_id > self.highest and not any(self.lossy)

    def _step(self, stream: Stream, direction: int, what: StreamInput, arrival: Arrival) -> bool:
        """Whether what came is something for the stream; else it is told."""
        state, odd = NEXT[stream.state][direction][what]
        if odd and not stream.damaged[direction] and not any(self.lossy):
            text = f"{what.name} on stream {stream.id}, {stream.state.name.lower().replace('_', ' ')}"
            self._odd.tell(arrival, "unexpected_frame", text)
        stream.state = state
        return not odd or any(self.lossy)

    def _close(self, stream: Stream, time_ns: int) -> None:
        del self.open[stream.id]
        if stream.id & 1:
            self._inflight -= 1
        for flow in self.flows:
            if flow.closed:
                flow.forget(stream.id, time_ns)
