"""What was decrypted, on its way to the decoder of what is inside.

That decoder sees a byte stream of its own: plaintext offsets, one chunk a record, arriving with the packet that
completed the record. What it tells in plaintext offsets is translated into those of the TCP stream before it goes on: a
message begins where the record with its first byte begins, and ends where the record with its last byte ends.

Records that are missing are a hole in the plaintext. How long it is follows from the bytes that are missing and the
number of records among them, which the keys tell when the next one is opened; with padding, or where nothing is opened
any more, it is an estimate. A message that lies behind a hole of the wrong length is found again by its decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from inspector.bytestream import FROM_CLIENT, Arrival, Ending, Piece
from inspector.events import Event, MessageEnded, RequestReceived
from inspector.protocols.decoder import Emit, StreamDecoder

#: Records of a direction whose place is remembered. A message that began before them is told to begin with the first
#: one that is remembered; HTTP's messages are told with a record that is at most their header section away.
MAX_PLACES = 256

#: Makes the decoder of what is inside, given the protocol that ALPN chose; None: not known.
Inside = Callable[[Emit, str | None], StreamDecoder]


class _Places:
    """Where plaintext lies in the TCP stream; an `emit` that tells places there."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.records: tuple[deque[tuple[int, int, int]], deque[tuple[int, int, int]]] = (
            deque(maxlen=MAX_PLACES),
            deque(maxlen=MAX_PLACES),
        )
        """By direction: plaintext offset, start and end in the TCP stream."""

    def take(self, event: Event) -> None:
        """An event of the inner decoder."""
        if isinstance(event, RequestReceived):
            event.offset = self._record_of(FROM_CLIENT, event.offset)[1]
        elif isinstance(event, MessageEnded):
            event.end_offset = self._record_of(event.direction, event.end_offset - 1)[2]
        self._emit(event)

    def _record_of(self, direction: int, offset: int) -> tuple[int, int, int]:
        """The record that holds a plaintext byte, or the oldest one remembered."""
        records = self.records[direction]
        if records and records[-1][0] <= offset:
            return records[-1]
        for record in reversed(records):
            if record[0] <= offset:
                return record
        return records[0] if records else (0, 0, 0)


class Plaintext:
    """Both directions' plaintext, and who reads it."""

    def __init__(self, emit: Emit, inside: Inside, alpn: str | None) -> None:
        self._offsets = [0, 0]
        places = _Places(emit)
        self._records = places.records
        self._decoder = inside(places.take, alpn)

    @property
    def protocol(self) -> str:
        """The inner decoder's word; HTTP/2 inside TLS is not h2c."""
        protocol = self._decoder.protocol
        return "h2" if protocol == "h2c" else protocol

    @property
    def application(self) -> Arrival | None:
        """The last application byte."""
        packet, time_ns = self._decoder.application_packet, self._decoder.application_ns
        return None if packet is None or time_ns is None else (packet, time_ns)

    def data(self, direction: int, plaintext: bytes, start: int, stop: int, packet: int, time_ns: int) -> None:
        """The content of a record that lies at [start, stop) of the TCP stream."""
        offset = self._offsets[direction]
        self._records[direction].append((offset, start, stop))
        self._offsets[direction] = offset + len(plaintext)
        self._decoder.data(Piece(direction, offset, plaintext, packet, time_ns))

    def gap(self, direction: int, length: int, start: int, stop: int, packet: int, time_ns: int) -> None:
        """About `length` bytes of plaintext are missing: those of the records in [start, stop)."""
        offset = self._offsets[direction]
        self._records[direction].append((offset, start, stop))
        self._offsets[direction] = offset + length
        self._decoder.gap(direction, offset, length, packet, time_ns)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        """The direction is over."""
        self._decoder.end(direction, ending, packet, time_ns)
