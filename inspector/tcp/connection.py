"""The life of one TCP connection, and its two byte streams handed on in order.

A connection is told its segments in capture order, one by one (`segment`) or as a run of payload that joins up
(`run`); both lead to the same state. Pure ACKs that repeat what is known are not told at all: the tracker adds them up
and gives the sums. A connection that must see every row (a hole is open, a FIN was seen) says so in `watching`.

Positions are stream offsets (sequence.py); what is unknown is None. Nothing here raises on what the wire says.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending, Piece, Spent, StreamChunk, StreamSink
from inspector.events import Anomaly
from inspector.tcp.events import Kind, SegmentNoted
from inspector.tcp.reassembly import Held, Reassembler
from inspector.tcp.segment import ACK, FIN, RST, SYN, Segment
from inspector.tcp.sequence import MASK, RangeSet, distance
from inspector.tcp.side import Side
from inspector.tcp.states import NEXT, EndState, History, Input

#: A sequence number farther away than this from where a direction stands is not believed: no window reaches it.
BELIEVED_DISTANCE = 1 << 30
_HALF = 1 << 31
#: Both ends of a 4-tuple, each (address high, address low, port), as in the columns.
Ends = tuple[tuple[int, int, int], tuple[int, int, int]]
#: Makes who takes a connection's byte streams, given the chunk that they begin with (None: with a hole).
MakeSink = Callable[["Connection", StreamChunk | None], StreamSink]
#: Anomalies that are kept of a connection; further ones are counted.
KEPT_ANOMALIES = 256

_SYN, _SYN_ACK, _SEGMENT, _FIN, _RST, _PEER_SEGMENT = Input
_, _SYN_SENT, _SYN_ACK_SENT, _PARTIAL, _ESTABLISHED, _, _ = EndState
#: By direction, then by whether there is payload.
_PLAIN_LETTERS = (("A", "D"), ("a", "d"))


class Connection:
    """One TCP connection. Directions are FROM_CLIENT and FROM_SERVER, as roles are known at the time."""

    __slots__ = (
        *("anomalies", "anomalies_omitted", "application_at_close_ns", "application_at_close_packet", "book"),
        *("client", "client_end", "end_ns"),
        *("ended", "ended_ns", "ended_packet", "established_ns", "first_ns", "first_packet", "history", "holding"),
        *("id", "last_packet", "last_syn_ns", "late", "log"),
        *("make_sink", "queued", "replaced_ns", "retired", "role_from", "server", "sides", "sink", "slot"),
        *("syn_ack_ns", "syn_packet", "syns", "watching"),
    )

    def __init__(
        self,
        ends: Ends,
        client_end: int,
        role_from: str,
        packet: int,
        time_ns: int,
        make_sink: MakeSink,
    ) -> None:
        self.id = -1
        """Numbered by the tracker at the end of the batch that began the connection."""
        self.slot = -1
        self.client_end = client_end
        """Which end of the 4-tuple (0 or 1) is the client's."""
        self.client, self.server = ends[client_end], ends[1 - client_end]
        self.role_from = role_from
        self.sides = (Side(), Side())
        self.first_packet = self.last_packet = packet
        self.first_ns = self.end_ns = time_ns
        self.syn_packet: int | None = None
        self.syns = 0
        self.last_syn_ns = 0
        self.syn_ack_ns: int | None = None
        self.established_ns: int | None = None
        """When the opening was complete: the client's ACK (or data) after SYN or SYN-ACK."""
        self.history = History()
        self.sink: StreamSink | None = None
        self.make_sink = make_sink
        self.book: object = None
        """Whatever the maker of the sink wants to find again at the end."""
        self.log: Callable[[SegmentNoted], None] | None = None
        self.anomalies: list[Anomaly] = []
        self.anomalies_omitted = 0
        self.application_at_close_ns: int | None = None
        """Time of the last application byte when the first FIN or RST came; None without one."""
        self.application_at_close_packet: int | None = None
        """Its packet."""
        self.watching = False
        """Each further row is wanted."""
        self.holding = False
        """Even rows that triage took for quiet ones are: a hole is open, or a probe came and more may follow."""
        self.ended = False
        """Both FINs acknowledged, or reset."""
        self.ended_ns = 0
        """Time of the last row once `ended`."""
        self.ended_packet = 0
        """The packet that ended it."""
        self.queued = False
        """The tracker has it among those to retire."""
        self.retired = False
        """Its story is over; what comes now is late."""
        self.replaced_ns: int | None = None
        """Time of the SYN by which another connection took its 4-tuple; None where none did."""
        self.late: list[tuple[int, int]] = []
        """(packet, time) of segments that came after it had retired, as far as they were in the same batch."""

    # ---- what the tracker tells

    def run(self, direction: int, seq: int, chunk: StreamChunk) -> bool:
        """Payload segments that join up, whole in the capture; the chunk's offset is set here.

        False, and nothing done, when they are not what comes next: then each must be told as a segment.
        """
        side = self.sides[direction]
        if seq != side.next_seq or side.base_seq is None or self.watching or side.window_closed:
            return False
        if side.state is not _ESTABLISHED and side.state is not _PARTIAL:
            return False
        if self.established_ns is None and (self.syn_packet is not None or self.syn_ack_ns is not None):
            return False
        if ("d" if direction else "D") not in self.history.letters:
            self.history.note("D", direction)
        length = chunk.length
        chunk.offset = side.next
        side.next = side.high = side.next + length
        side.next_seq = (seq + length) & MASK
        side.unique += length
        (self.sink or self.open_sink(chunk)).data(chunk)
        return True

    def segment(self, direction: int, segment: Segment) -> None:
        """One segment, whatever it is."""
        side, peer = self.sides[direction], self.sides[1 - direction]
        if side.probing:
            side.probing = False
            self._update_watching()
        flags = segment.flags
        if side.base_seq is None and not flags & (SYN | RST):
            side.base_seq = (segment.seq - 1) & MASK
            side.next_seq = segment.seq
        if flags & (SYN | FIN | RST):
            self._control(side, peer, direction, segment)
        else:
            self._plain(side, peer, direction, segment)
        if self.ended and segment.time_ns > self.ended_ns:
            self.ended_ns = segment.time_ns

    def _plain(self, side: Side, peer: Side, direction: int, segment: Segment) -> None:
        """A segment without SYN, FIN and RST: data, an acknowledgment, or both."""
        acknowledges, length = segment.flags & ACK, segment.length
        if side.state is not _ESTABLISHED:
            self._advance(side, _SEGMENT, segment)
        if acknowledges and (peer.state is _SYN_SENT or peer.state is _SYN_ACK_SENT):
            peer.state = NEXT[peer.state][_PEER_SEGMENT].state
        letter = _PLAIN_LETTERS[direction][length > 0]
        if letter not in self.history.letters:
            self.history.note(letter.upper(), direction)
        if self.established_ns is None:
            self._establish(direction, segment)
        if acknowledges and (segment.ack != peer.acked_seq or peer.pending is not None):
            self._acknowledge(peer, 1 - direction, segment)
        if length:
            self._payload(side, direction, segment)
        elif segment.seq != side.next_seq:
            self._bare(side, direction, segment)
        if segment.window == 0 or side.window_closed:
            self._window(side, direction, segment)
        if side.fin_end is not None and peer.fin_end is not None:
            self._check_end(segment)

    def _control(self, side: Side, peer: Side, direction: int, segment: Segment) -> None:
        """A segment with SYN, FIN or RST."""
        flags = segment.flags
        self._note_control(side, peer, direction, segment)
        if flags & RST:
            self._reset(side, direction, segment)
            return
        if flags & SYN:
            self._synchronize(side, direction, segment)
        elif self.established_ns is None:
            self._establish(direction, segment)
        if flags & ACK:
            self._acknowledge(peer, 1 - direction, segment)
        if segment.length:
            self._payload(side, direction, segment)
        if flags & FIN:
            self._finish(side, direction, segment)
        if side.fin_end is not None and peer.fin_end is not None:
            self._check_end(segment)

    def acknowledged(self, from_client: int, from_server: int, packet: int, time_ns: int) -> None:
        """Acknowledgment numbers (-1: none) of rows that were not told; `packet` is the row that made them matter."""
        for direction, ack in ((FROM_SERVER, from_client), (FROM_CLIENT, from_server)):
            if ack >= 0:
                side = self.sides[direction]
                self._note_ack(side, ack)
                if side.pending is not None:
                    self._give_up_acknowledged(side, direction, packet, time_ns)
        self._update_watching()

    def turn(self) -> None:
        """The content says that client and server are the other way round."""
        self.client_end = 1 - self.client_end
        self.client, self.server = self.server, self.client
        self.sides = (self.sides[1], self.sides[0])
        self.role_from = "content"
        self.history.turn()

    def base_seq(self, end: int) -> int | None:
        """The sequence number before the first byte of the 4-tuple's end `end`; None where it is not known."""
        return self.sides[end ^ self.client_end].base_seq

    def hand_over(self, sink: StreamSink) -> None:
        """Someone else takes the byte streams from here on."""
        self.sink = sink

    def syns_alone(self, isn: int, count: int, last_packet: int, last_ns: int) -> None:
        """It was `count` SYNs from the client so far, the last one in `last_packet`."""
        side = self.sides[FROM_CLIENT]
        side.state = EndState.SYN_SENT
        side.isn = side.base_seq = isn
        side.next_seq = (isn + 1) & MASK
        side.packets = count
        self.syn_packet, self.syns, self.last_syn_ns = self.first_packet, count, last_ns
        self.last_packet, self.end_ns = last_packet, last_ns
        self.history.note("S", FROM_CLIENT)

    def finish(self) -> None:
        """Nothing more will be told: give up all holes and end both directions."""
        packet, time_ns = self.last_packet, self.end_ns
        for direction in (FROM_CLIENT, FROM_SERVER):
            side = self.sides[direction]
            if side.end_delivered and side.pending is None:
                continue
            self._give_up_all(side, direction, packet, time_ns)
            if self.sink is not None and not side.end_delivered:
                reset = self.sides[0].rst_packet is not None or self.sides[1].rst_packet is not None
                side.end_delivered = True
                self.sink.end(direction, Ending.RST if reset else Ending.CAPTURE, packet, time_ns)

    def note(self, code: str, packet: int, time_ns: int, detail: str = "") -> None:
        """Keep an anomaly."""
        if len(self.anomalies) < KEPT_ANOMALIES:
            self.anomalies.append(Anomaly(packet, time_ns, code, detail))
        else:
            self.anomalies_omitted += 1

    def note_once(self, code: str, packet: int, time_ns: int, detail: str = "") -> None:
        """Keep an anomaly of which one a connection is enough."""
        if all(anomaly.code != code for anomaly in self.anomalies):
            self.note(code, packet, time_ns, detail)

    # ---- opening

    def _synchronize(self, side: Side, direction: int, segment: Segment) -> None:
        with_ack = segment.flags & ACK
        if side.base_seq is None:
            side.isn = side.base_seq = segment.seq
            side.next_seq = (segment.seq + 1) & MASK
        elif side.isn is None and side.base_seq == segment.seq:
            side.isn = segment.seq  # captured out of order
        elif side.isn != segment.seq:
            self.note("second_isn", segment.packet, segment.time_ns, f"SYN with sequence number {segment.seq}")
        if with_ack:
            if self.syn_ack_ns is None or self.established_ns is None:
                self.syn_ack_ns = segment.time_ns
            self._log("syn-ack", direction, segment)
        else:
            if self.syn_packet is None:
                self.syn_packet = segment.packet
            self.syns += 1
            if self.syn_ack_ns is None:
                self.last_syn_ns = segment.time_ns
            self._log("syn", direction, segment, "sent again" if self.syns > 1 else "")

    def _note_control(self, side: Side, peer: Side, direction: int, segment: Segment) -> None:
        """The table's answer to a SYN, FIN or RST for both ends, and the letters for it."""
        flags, history = segment.flags, self.history
        if flags & RST:
            happened = _RST
            history.note("R", direction)
            if flags & FIN:
                history.note("I", direction)
        elif flags & SYN:
            happened = _SYN_ACK if flags & ACK else _SYN
            history.note("H" if flags & ACK else "S", direction)
        else:
            happened = _FIN
            if segment.length:
                history.note("D", direction)
        if flags & SYN and flags & (FIN | RST):
            history.note("Q", direction)
        if flags & FIN and not flags & RST:
            history.note("F", direction)
        self._advance(side, happened, segment)
        if flags & ACK and not flags & RST:
            peer.state = NEXT[peer.state][_PEER_SEGMENT].state

    def _advance(self, side: Side, happened: Input, segment: Segment) -> None:
        side.state, anomaly = NEXT[side.state][happened]
        if anomaly is not None:
            self.note(anomaly, segment.packet, segment.time_ns)

    def _establish(self, direction: int, segment: Segment) -> None:
        """The opening is complete with the client's ACK, or with any data once a SYN or SYN-ACK was seen."""
        if self.syn_packet is None and self.syn_ack_ns is None:
            return
        if direction == FROM_CLIENT or segment.length:
            self.established_ns = segment.time_ns
            self._log("established", direction, segment)

    # ---- acknowledgments and holes

    def _acknowledge(self, acked: Side, direction: int, segment: Segment) -> None:
        """`acked`, whose bytes flow in `direction`, was told by its peer how far they came."""
        self._note_ack(acked, segment.ack)
        if acked.pending is not None:
            self._give_up_acknowledged(acked, direction, segment.packet, segment.time_ns)
        elif acked.fin_end is not None and not acked.end_delivered:
            self._end_acknowledged(acked, direction, segment.packet, segment.time_ns)

    @staticmethod
    def _note_ack(acked: Side, ack: int) -> None:
        known = acked.acked_seq
        if known is None or 0 < (ack - known) & MASK < _HALF:
            acked.acked_seq = ack

    def _give_up_acknowledged(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        """Skip holes that the peer has acknowledged past: the peer has the bytes, only the capture has not."""
        acked = side.acked()
        while side.pending is not None and acked is not None and acked >= side.pending.held[0].offset:
            self._give_up_hole(side, direction, packet, time_ns)
        self._end_acknowledged(side, direction, packet, time_ns)
        self._update_watching()

    def _end_acknowledged(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        """A FIN that is acknowledged ends the direction, whatever is missing before it."""
        acked = side.acked()
        if side.fin_end is None or acked is None or acked <= side.fin_end or side.pending is not None:
            return
        if side.fin_end > side.next:
            self._gap(side, direction, side.fin_end, packet, time_ns)
        self.deliver_end(side, direction, packet, time_ns)

    def _give_up_all(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        while side.pending is not None:
            self._give_up_hole(side, direction, packet, time_ns)
        if side.fin_end is not None and side.fin_end > side.next:
            self._gap(side, direction, side.fin_end, packet, time_ns)
        if side.fin_end is not None:
            self.deliver_end(side, direction, packet, time_ns)

    def _give_up_hole(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        assert side.pending is not None
        self._gap(side, direction, side.pending.held[0].offset, packet, time_ns)
        self._deliver_held(side, direction, packet, time_ns)

    def _gap(self, side: Side, direction: int, end: int, packet: int, time_ns: int) -> None:
        length = end - side.next
        if side.missing is None:
            side.missing = RangeSet()
        side.missing.add(side.next, end)
        self.history.note("G", direction)
        self._note_log("gap", direction, packet, time_ns, f"{length} bytes are not in the capture")
        (self.sink or self.open_sink()).gap(direction, side.next, length, packet, time_ns)
        side.next = end
        side.next_seq = (side.next_seq + length) & MASK
        side.high = max(side.high, end)

    def _deliver_held(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        """Hand on what joins up now; `packet` is the one by which it does."""
        assert side.pending is not None
        for held in side.pending.ready(side.next):
            sink = self.sink or self.open_sink()
            direction = self._direction_of(side)
            if held.data is None:
                sink.gap(direction, held.offset, held.end - held.offset, packet, time_ns)
            else:
                sink.data(Piece(direction, held.offset, held.data, packet, time_ns))
            side.next_seq = (side.next_seq + held.end - held.offset) & MASK
            side.next = held.end
        if not side.pending.held:
            side.pending = None

    # ---- payload

    def _payload(self, side: Side, direction: int, segment: Segment) -> None:
        if segment.seq == side.next_seq and side.pending is None and not segment.flags & SYN:
            side.unique += segment.length
            self._deliver(side, direction, 0, segment)
            if side.next > side.high:
                side.high = side.next
            return
        seq = segment.seq + 1 & MASK if segment.flags & SYN else segment.seq
        ahead = distance(seq, side.next_seq)
        if ahead == -1 and segment.length == 1 and not segment.flags & (SYN | FIN) and side.pending is None:
            self._probe(side, direction, segment)
            return
        if abs(ahead) > BELIEVED_DISTANCE:
            self.note("sequence_far_away", segment.packet, segment.time_ns, f"{ahead:+} bytes from what comes next")
            return
        start = side.next + ahead
        end = start + segment.length
        new = self._place(side, direction, start, end, segment)
        again = segment.length - new
        if again:
            side.retransmitted += again
            self.history.note("T", direction)
            self._log("retransmission", direction, segment, f"{again} bytes")
        elif end <= side.high and new:
            side.out_of_order += 1
        side.unique += new
        side.high = max(side.high, end)
        if end == side.next - 1:
            side.probing = True  # a pure ACK that joins up behind this is a probe
        if side.pending is not None or side.probing or self.holding:
            self._update_watching()

    def _place(self, side: Side, direction: int, start: int, end: int, segment: Segment) -> int:
        """Put the bytes of a segment where they belong; how many of them are new."""
        new = 0
        if start < 0:
            new += self._place_early(side, start, min(end, 0))
        if start < side.next and side.missing is not None:
            late = side.missing.remove(max(start, 0), min(end, side.next))
            new += late
            if late:
                self.note("hole_filled_late", segment.packet, segment.time_ns, f"{late} bytes")
        fresh = max(start, side.next)
        if fresh >= end:
            return new
        if fresh == side.next and side.pending is None:
            new += end - fresh
            self._deliver(side, direction, fresh - start, segment)
        else:
            new += self._hold(side, direction, fresh, end, fresh - start, segment)
        return new

    def _place_early(self, side: Side, start: int, end: int) -> int:
        """Bytes before the first one seen: known to exist only where the capture began in the middle."""
        if side.isn is not None:
            return 0
        if side.early is None:
            side.early = RangeSet()
        return side.early.add(start, end)

    def _deliver(self, side: Side, direction: int, skip: int, segment: Segment) -> None:
        """Hand on a segment's bytes from `skip` on: they are what comes next. What the snap length cut is a hole."""
        length = segment.length - skip
        captured = max(0, segment.captured - skip)
        offset = side.next
        side.next += length
        side.next_seq = (side.next_seq + length) & MASK
        if captured:
            data = segment.payload()[skip : skip + captured]
            piece = Piece(direction, offset, data, segment.packet, segment.time_ns)
            (self.sink or self.open_sink(piece)).data(piece)
        if captured < length:
            direction, sink = self._direction_of(side), self.sink or self.open_sink()
            sink.gap(direction, offset + captured, length - captured, segment.packet, segment.time_ns)

    def _hold(self, side: Side, direction: int, start: int, end: int, skip: int, segment: Segment) -> int:
        if side.pending is None:
            side.pending = Reassembler()
        pending = side.pending
        whole = segment.captured >= segment.length
        wanted = whole and end > (self.sink or self.open_sink()).skip_until[direction]
        data = bytes(segment.payload()[skip:]) if wanted else None
        new = pending.hold(Held(start, end, data, segment.packet, segment.time_ns))
        self._deliver_held(side, direction, segment.packet, segment.time_ns)
        if side.pending is not None and pending.full:
            self.note("hole_too_large", segment.packet, segment.time_ns, f"{pending.held_bytes} bytes waited behind it")
            self._give_up_hole(side, direction, segment.packet, segment.time_ns)
        if side.pending is not None:
            self._give_up_acknowledged(side, direction, segment.packet, segment.time_ns)
        return new

    def _probe(self, side: Side, direction: int, segment: Segment) -> None:
        """The last byte once more, or none at all: a keep-alive, or a probe of a closed window."""
        side.probing = True
        self._update_watching()
        if not self.sides[1 - direction].window_closed:
            side.keepalives += 1
            self._log("keep-alive-probe", direction, segment)

    def _bare(self, side: Side, direction: int, segment: Segment) -> None:
        """A segment without payload."""
        started = side.next > 0 or side.isn is not None
        if started and distance(segment.seq, side.next_seq) == -1 and segment.flags & ACK:
            self._probe(side, direction, segment)

    def _window(self, side: Side, direction: int, segment: Segment) -> None:
        closed = segment.window == 0 and not segment.flags & (SYN | FIN | RST)
        if closed:
            side.zero_windows += 1
            self.history.note("W", direction)
            if not side.window_closed:
                self._log("zero-window", direction, segment)
        side.window_closed = closed

    def _direction_of(self, side: Side) -> int:
        """The direction of a side now: what was just delivered may have turned the connection round."""
        return FROM_CLIENT if side is self.sides[FROM_CLIENT] else FROM_SERVER

    def open_sink(self, start: StreamChunk | None = None) -> StreamSink:
        """Who takes the byte streams, which begin with `start`."""
        self.sink = self.make_sink(self, start)
        return self.sink

    # ---- closing

    def _finish(self, side: Side, direction: int, segment: Segment) -> None:
        if side.fin_end is None:
            self.remember_application()
            side.fin_seq = (segment.seq + segment.length + (1 if segment.flags & SYN else 0)) & MASK
            side.fin_end = max(0, side.next + distance(side.fin_seq, side.next_seq))
            side.fin_packet, side.fin_ns = segment.packet, segment.time_ns
            side.fin_ack = segment.ack if segment.flags & ACK else None
            self._log("fin", direction, segment)
        if side.next >= side.fin_end and side.pending is None:
            self.deliver_end(side, direction, segment.packet, segment.time_ns)
        else:
            self._give_up_acknowledged(side, direction, segment.packet, segment.time_ns)
        self._update_watching()

    def remember_application(self) -> None:
        """Before the first FIN or RST is entered: idleness before the close counts from here."""
        client, server = self.sides
        first = client.fin_packet is None and server.fin_packet is None
        if first and client.rst_packet is None and server.rst_packet is None and self.sink is not None:
            self.application_at_close_ns = self.sink.application_ns
            self.application_at_close_packet = self.sink.application_packet

    def deliver_end(self, side: Side, direction: int, packet: int, time_ns: int) -> None:
        if not side.end_delivered:
            side.end_delivered = True
            if self.sink is not None:
                self.sink.end(direction, Ending.FIN, packet, time_ns)
                if self.sides[0].end_delivered and self.sides[1].end_delivered:
                    self.sink = Spent(self.sink.protocol)

    def _reset(self, side: Side, direction: int, segment: Segment) -> None:
        believed = self._in_window(side, segment)
        if side.rst_packet is None:
            self.remember_application()
            side.rst_packet, side.rst_ns, side.rst_ttl = segment.packet, segment.time_ns, segment.ttl
            side.rst_ack = segment.ack if segment.flags & ACK else None
            self._log("rst", direction, segment)
        if believed:
            self._end(segment)
        else:
            self.note("rst_out_of_window", segment.packet, segment.time_ns, f"sequence number {segment.seq}")
        self._update_watching()

    def _in_window(self, side: Side, segment: Segment) -> bool:
        """Whether the peer would take this RST (RFC 9293 section 3.10.7.4), as far as the capture can tell."""
        if side.base_seq is None:
            return True
        ahead = distance(segment.seq, side.next_seq)
        acked = side.acked()
        oldest = min(0, acked - side.next) if acked is not None else -BELIEVED_DISTANCE
        return oldest - 1 <= ahead <= BELIEVED_DISTANCE

    def _check_end(self, segment: Segment) -> None:
        if not self.ended and self.sides[0].fin_acknowledged() and self.sides[1].fin_acknowledged():
            self._end(segment)
            self._update_watching()

    def _end(self, segment: Segment) -> None:
        if not self.ended:
            self.ended = True
            self.ended_packet, self.ended_ns = segment.packet, segment.time_ns

    def _update_watching(self) -> None:
        client, server = self.sides
        waiting = client.pending is not None or server.pending is not None
        self.holding = (waiting or client.probing or server.probing) and not self.ended
        self.watching = (
            self.ended
            or self.holding
            or client.fin_end is not None
            or server.fin_end is not None
            or client.rst_packet is not None
            or server.rst_packet is not None
        )

    # ---- the log

    def _log(self, kind: Kind, direction: int, segment: Segment, detail: str = "") -> None:
        if self.log is not None:
            self.log(SegmentNoted(segment.packet, segment.time_ns, direction, kind, detail))

    def _note_log(self, kind: Kind, direction: int, packet: int, time_ns: int, detail: str) -> None:
        if self.log is not None:
            self.log(SegmentNoted(packet, time_ns, direction, kind, detail))
