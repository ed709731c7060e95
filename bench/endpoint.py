"""One end of a TCP connection: enough of RFC 9293, 5681, 6582 and 2018 that the traffic looks as Linux makes it.

Bytes are counted from the SYN (0), without wrap; only frames carry 32-bit sequence numbers. The application sees
`opened`, `received`, `ended` and `reset`, and calls `write`, `close` and `abort`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bench.network import MILLISECOND, NANOSECONDS, Clock, Link, Timer
from bench.wire import ACK, FIN, PSH, RST, SYN, Route

DELAYED_ACK_NS = 40 * MILLISECOND
MINIMUM_RTO_NS = 200 * MILLISECOND
INITIAL_RTO_NS = NANOSECONDS
INITIAL_WINDOW_SEGMENTS = 10
UNSCALED_WINDOW = 64_240
SACK_BLOCKS = 3
DUPLICATE_ACKS = 3
MAX_RETRIES = 6
READ_SIZE = 131_072

_SYN_OPTIONS = struct.Struct(">BBHBBBBIIBBBB")
_TIMESTAMPS = struct.Struct(">BBBBII")
_MASK = 0xFFFF_FFFF


class Segment(NamedTuple):
    """What the other end gets: offsets count from each side's SYN."""

    offset: int
    length: int
    flags: int
    ack: int
    window: int
    """Bytes that the sender is ready to take."""
    timestamp: int


class Application(Protocol):
    """What runs on an endpoint."""

    def opened(self) -> None:
        """The handshake is complete, seen from here."""

    def received(self, total: int) -> None:
        """`total` bytes have come in order so far."""

    def ended(self) -> None:
        """The other side's FIN came, after all its bytes."""

    def reset(self) -> None:
        """The other side's RST came."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What differs between hosts."""

    mss: int = 1448
    """Payload bytes of a full segment: the announced MSS without the timestamps option."""
    window_scale: int = 7
    receive_buffer: int = 1 << 20
    read_bytes_per_second: int | None = None
    """How fast the application takes what arrived; None: at once. Slower than the path, the window closes."""
    syn_retries: int = 3


def syn_options(stack: Stack, timestamp: int, echo: int) -> bytes:
    """MSS, SACK permitted, timestamps, window scale, in Linux's order; 20 bytes."""
    announced = stack.mss + 12
    return _SYN_OPTIONS.pack(2, 4, announced, 4, 2, 8, 10, timestamp, echo, 1, 3, 3, stack.window_scale)


class Endpoint:
    """A TCP endpoint on a simulated path."""

    def __init__(self, clock: Clock, link: Link, route: Route, stack: Stack, isn: int, clock_offset: int) -> None:
        self.application: Application
        self.peer: Endpoint
        self.sent: Callable[[Segment, list[int]], None] | None = None
        """Told of each segment sent, with the serials under which the tap has it."""
        self.isn = isn
        self.alive = True
        self.silent = False
        """Takes no notice of anything: a host that is not there."""
        self.refuses = False
        """Nothing listens on this port."""
        self._clock, self._link, self._route, self._stack = clock, link, route, stack
        self._clock_offset = clock_offset
        self._buffer = bytearray()
        self._una = self._next = self._max = 0
        self._fin_wanted = False
        self._window = UNSCALED_WINDOW
        self._congestion = INITIAL_WINDOW_SEGMENTS * stack.mss
        self._threshold = 1 << 30
        self._duplicate_acks = 0
        self._recover = 0
        self._retries = 0
        self._rto = Timer(clock, self._timed_out)
        self._received = 0
        self._early: list[tuple[int, int]] = []
        self._peer_fin: int | None = None
        self._ended = False
        self._unread = 0
        self._unacknowledged = 0
        self._quick_acks = 2
        self._ack_timer = Timer(clock, self._send_ack)
        self._echo = 0
        self._opened = False
        self._active = False

    # What the application calls

    def connect(self) -> None:
        """Send the SYN."""
        self._active = True
        self._transmit(0, 0, SYN)

    def write(self, data: bytes) -> None:
        """Send these bytes; not after `close`."""
        assert not self._fin_wanted
        self._buffer += data
        self._push()

    def close(self) -> None:
        """Send a FIN once everything written is sent."""
        if not self._fin_wanted:
            self._fin_wanted = True
            self._push()

    def abort(self) -> None:
        """Send a RST and forget the connection."""
        if self.alive:
            self._transmit(self._next, 0, RST)
            self._stop()

    def probe(self) -> None:
        """Send a keep-alive probe: no bytes, one before the next to be sent (RFC 9293 section 3.8.4)."""
        if self.alive and self._una == self._next:
            self._transmit(self._una - 1, 0, 0)

    # Sending

    @property
    def _end(self) -> int:
        return 1 + len(self._buffer)

    def _push(self) -> None:
        if not (self._opened and self.alive):
            return
        end, mss = self._end, self._stack.mss
        limit = self._una + min(self._congestion, self._window)
        while self._next < end:
            length = min(mss, end - self._next)
            if self._next + length > limit:
                length = limit - self._next
                if length <= 0 or self._next > self._una:
                    break
            last = self._next + length == end
            self._transmit(self._next, length, PSH | (FIN if self._fin_wanted else 0) if last else 0)
        if self._next == end and self._fin_wanted:
            self._transmit(end, 0, FIN)
        if self._next < end and self._next == self._una and self._rto.deadline_ns is None:
            self._rto.start(MINIMUM_RTO_NS)

    def _transmit(self, offset: int, length: int, flags: int) -> None:
        end = offset + length + (1 if flags & (SYN | FIN) else 0)
        options = self._options(flags)
        if self._received:
            flags |= ACK
            self._ack_timer.stop()
            self._unacknowledged = 0
        self._emit(offset, length, flags, self._free_space(), options)
        if end > self._next:
            self._next = end
            self._max = max(self._max, end)
        if end > self._una and self._rto.deadline_ns is None and not flags & RST:
            self._rto.start(self._rto_ns())

    def _emit(self, offset: int, length: int, flags: int, window: int, options: bytes) -> None:
        scale = 0 if flags & SYN else self._stack.window_scale
        shown = min(window, UNSCALED_WINDOW if flags & SYN else 0xFFFF << scale) >> scale
        segment = Segment(offset, length, flags, self._received, shown << scale, self._timestamp())
        seq = (self.isn + offset) & _MASK
        ack = (self.peer.isn + self._received) & _MASK if flags & ACK else 0
        payload = bytes(self._buffer[offset - 1 : offset - 1 + length]) if length else b""
        frame = self._route.frame(seq, ack, flags, shown, options, payload)
        serials = self._link.send(frame, self.peer.receive, segment)
        if self.sent is not None:
            self.sent(segment, serials)

    def _options(self, flags: int) -> bytes:
        now = self._timestamp()
        if flags & SYN:
            return syn_options(self._stack, now, self._echo)
        if flags & RST:
            return b""
        timestamps = _TIMESTAMPS.pack(1, 1, 8, 10, now, self._echo)
        if not self._early:
            return timestamps
        first = self.peer.isn
        blocks = self._early[:SACK_BLOCKS]
        edges = [(first + edge) & _MASK for block in blocks for edge in block]
        return timestamps + struct.pack(f">BBBB{len(edges)}I", 1, 1, 5, 2 + 4 * len(edges), *edges)

    def _timestamp(self) -> int:
        return (self._clock_offset + self._clock.now // MILLISECOND) & _MASK

    def _rto_ns(self) -> int:
        base = MINIMUM_RTO_NS if self._opened else INITIAL_RTO_NS
        return base << self._retries

    def _timed_out(self) -> None:
        if not self.alive:
            return
        self._retries += 1
        if self._retries > (MAX_RETRIES if self._opened else self._stack.syn_retries):
            self._stop()
        elif self._una == self._max:
            self._probe_window()
        else:
            mss = self._stack.mss
            self._threshold = max(self._congestion // 2, 2 * mss)
            self._congestion = mss
            self._recover = self._max
            self._retransmit()

    def _probe_window(self) -> None:
        self._transmit(self._una - 1, 0, 0)
        self._rto.start(self._rto_ns())

    def _retransmit(self) -> None:
        offset, end = self._una, self._end
        if offset == 0:
            self._transmit(0, 0, SYN)
            return
        length = min(self._stack.mss, end - offset, self._max - offset)
        last = offset + length == end
        fin = FIN if last and self._max > end else 0
        self._transmit(offset, length, (PSH if last and length else 0) | fin)

    # Receiving

    def receive(self, segment: Segment) -> None:
        """A segment arrived."""
        if self.silent:
            return
        if not self.alive:
            self._answer_from_the_dead(segment)
            return
        if segment.flags & RST:
            self._stop()
            self.application.reset()
            return
        self._echo = max(self._echo, segment.timestamp)
        if segment.flags & SYN:
            self._take_syn()
        if segment.flags & ACK:
            self._take_ack(segment)
        if self.alive:
            self._take_bytes(segment)

    def _answer_from_the_dead(self, segment: Segment) -> None:
        if segment.length and self._opened:
            self._emit(segment.ack, 0, RST, 0, b"")

    def _take_syn(self) -> None:
        if self.refuses:
            self._refuse()
        elif self._next == 0:
            self._received = 1
            self._transmit(0, 0, SYN)
        elif self._received == 0:
            self._received = 1
        elif self._una == 0:
            self._transmit(0, 0, SYN)
        else:
            self._send_ack()

    def _refuse(self) -> None:
        """Answer as a closed port does: RST and ACK, sequence number 0 (RFC 9293 section 3.10.7.1)."""
        self.isn = 0
        self._received = 1
        self._emit(0, 0, RST | ACK, 0, b"")

    def _take_ack(self, segment: Segment) -> None:
        advanced = segment.ack - self._una
        opened_window = segment.window > self._window
        self._window = segment.window
        if opened_window and self._una == self._max:
            self._rto.stop()
            self._retries = 0
        if advanced > 0:
            self._advance(segment.ack, advanced)
        elif self._una < self._max and not (segment.length or segment.flags & (SYN | FIN) or opened_window):
            self._duplicate_acks += 1
            if self._duplicate_acks == DUPLICATE_ACKS:
                self._recover = self._max
                self._threshold = self._congestion = max(self._congestion // 2, 2 * self._stack.mss)
                self._retransmit()
        self._push()

    def _advance(self, ack: int, advanced: int) -> None:
        opening = self._una == 0
        self._una = ack
        self._next = max(self._next, ack)
        self._retries = self._duplicate_acks = 0
        self._rto.stop()
        if ack < self._max:
            self._rto.start(self._rto_ns())
        if opening:
            self._opened = True
            if self._active:
                self._send_ack()
            self.application.opened()
            return
        if ack < self._recover:
            self._retransmit()
            return
        self._recover = 0
        if self._congestion < self._threshold:
            self._congestion += advanced
        else:
            self._congestion += self._stack.mss * self._stack.mss // self._congestion

    def _take_bytes(self, segment: Segment) -> None:
        fin = 1 if segment.flags & FIN else 0
        end = segment.offset + segment.length + fin
        if fin:
            self._peer_fin = end - 1
        if segment.flags & SYN or end == self._received == segment.offset:
            return
        if end <= self._received:
            self._send_ack()
        elif segment.offset > self._received:
            if segment.length or fin:
                self._keep_early(segment.offset, end)
                self._send_ack()
        else:
            self._take_in_order(end)

    def _keep_early(self, start: int, end: int) -> None:
        merged: list[tuple[int, int]] = []
        for low, high in sorted([*self._early, (start, end)]):
            if merged and low <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(high, merged[-1][1])
            else:
                merged.append((low, high))
        self._early = merged

    def _take_in_order(self, end: int) -> None:
        before, filled = self._received, bool(self._early)
        while self._early and self._early[0][0] <= end:
            end = max(end, self._early.pop(0)[1])
        self._received = end
        at_end = self._peer_fin is not None and end > self._peer_fin
        grown = end - before - (1 if at_end else 0)
        self._read_later(grown)
        self._unacknowledged += 1
        self._acknowledge_now_or_later(at_once=at_end or filled)
        if grown:
            self.application.received(before + grown - 1)
        if at_end and not self._ended:
            self._ended = True
            self.application.ended()

    def _acknowledge_now_or_later(self, *, at_once: bool) -> None:
        if self._quick_acks:
            self._quick_acks -= 1
            at_once = True
        if at_once or self._unacknowledged >= 2:
            self._send_ack()
        elif self._ack_timer.deadline_ns is None:
            self._ack_timer.start(DELAYED_ACK_NS)

    def _send_ack(self) -> None:
        if self.alive:
            self._transmit(self._next, 0, 0)

    # The receive buffer

    def _free_space(self) -> int:
        free = self._stack.receive_buffer - self._unread
        return free if free >= self._stack.mss else 0

    def _read_later(self, length: int) -> None:
        if self._stack.read_bytes_per_second is None or not length:
            return
        self._unread += length
        if self._unread == length:
            self._wait_to_read(self._stack.read_bytes_per_second)

    def _wait_to_read(self, rate: int) -> None:
        size = min(self._unread, READ_SIZE)
        self._clock.at(self._clock.now + size * NANOSECONDS // rate, self._read, size, rate)

    def _read(self, size: int, rate: int) -> None:
        was_shut = self._free_space() == 0
        self._unread -= size
        if was_shut and self._free_space():
            self._send_ack()
        if self._unread:
            self._wait_to_read(rate)

    def _stop(self) -> None:
        self.alive = False
        self._rto.stop()
        self._ack_timer.stop()
