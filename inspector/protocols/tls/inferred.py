"""What the lengths and times of records tell where nobody can read them (FINDINGS: "Encrypted").

Exchanges are estimated: a burst of the client that the server answers counts as one. Where HTTP/2 may be inside,
records of the lengths of frames that ask nothing are left out, and a record of the length of PING that the other side
answers with its like is no application data.

When the connection is closed, the small records at its end are taken for what ends it: those of the length of an alert
for close_notify, and before them the ones of one side that are small and came after a silence for GOAWAY; not what may
answer a question, unless it has GOAWAY's very length. Until then they may be anything, so the last application byte
depends on when it is asked for.

A record's length is a matter of arithmetic (`suites.plaintext_length`): exact for AEAD suites without padding, which is
how everybody sends them; with CBC it is the most that there can be, with the least padding.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.bytestream import FROM_CLIENT, Arrival

#: Plaintext of the largest record that is taken for GOAWAY (or close_notify).
MAX_CLOSING_PLAINTEXT = 64
#: The silence before it.
CLOSING_SILENCE_NS = 200_000_000
#: How many such records one side sends at most: two GOAWAYs, a PING between them (as gRPC servers send), one to spare.
MAX_CLOSING_RECORDS = 4
#: Small records at the end that are remembered: those and the alerts of both sides.
_MAX_TAIL = MAX_CLOSING_RECORDS + 2

#: Plaintext of an alert (RFC 8446 section 6).
ALERT_LENGTH = 2
#: The smallest GOAWAY: a frame header, last_stream_id and error code (RFC 9113 section 6.8).
GOAWAY_LENGTH = 17
#: One without debug data, and two, or one and a PING: so much is no answer though the client had asked something.
_BARE_GOAWAYS = (GOAWAY_LENGTH, 2 * GOAWAY_LENGTH)

#: Lengths of HTTP/2's SETTINGS acknowledgment, WINDOW_UPDATE with it, and two WINDOW_UPDATEs: nothing is asked by them.
_NO_QUESTION = (9, 22, 26)
#: The length of a WINDOW_UPDATE, and of a request whose fields are all in the table. It is taken for the former where
#: the server is sending much: its last record was larger than _LARGE.
_WINDOW_UPDATE = 13
_LARGE = 1024
#: The length of PING (and of the smallest GOAWAY).
_PING = 17
#: Nothing is answered by these.
_NO_ANSWER = (*_NO_QUESTION, _WINDOW_UPDATE, _PING)


class SmallRecord(NamedTuple):
    """A record that may be one of those that end a connection."""

    direction: int
    length: int
    """Bytes of plaintext, at most."""
    alert: bool
    """It has the length of an alert, and is one by its content type where that can be seen."""
    silence_ns: int
    """Time since the record before it, of either side."""
    answers: bool
    """It is the server's, and the client had asked something."""
    packet: int
    time_ns: int

    @property
    def arrival(self) -> Arrival:
        return self.packet, self.time_ns


class Closing(NamedTuple):
    """What the last records of a connection are taken for."""

    application: Arrival | None
    """The packet with the last application byte; None: there was none."""
    goaways: list[SmallRecord]
    alerts: list[SmallRecord]


class SealedRecords:
    """The application records of a connection that could not be read, both directions."""

    def __init__(self, http2: bool) -> None:
        self._http2 = http2
        self.exchanges = 0
        """Bursts of the client that were answered."""
        self._asked = False
        self._answering = False
        """The server's last record was a large one."""
        self._application: Arrival | None = None
        self._tail: list[SmallRecord] = []
        self._last_ns: int | None = None

    def record(self, direction: int, length: int | None, arrival: Arrival, *, is_alert: bool | None) -> None:
        """A record that is no part of the handshake. `length`: bytes of plaintext, at most; None: not known.
        `is_alert`: what its content type says; None: nothing."""
        packet, time_ns = arrival
        silence = time_ns - self._last_ns if self._last_ns is not None else 0
        self._last_ns = time_ns
        answers = self._asked and direction != FROM_CLIENT
        if is_alert is not True:
            if self._is_pong(direction, length):
                ping = self._tail.pop()
                self._asked = self._asked and ping.direction != FROM_CLIENT
                return
            self._count(direction, length)
        small = length is not None and length <= MAX_CLOSING_PLAINTEXT
        if not small and not is_alert:
            self._tail.clear()
            self._application = arrival
            return
        if len(self._tail) == _MAX_TAIL:
            first = self._tail.pop(0)
            if not first.alert:
                self._application = first.arrival
        length = ALERT_LENGTH if length is None else length
        alert = is_alert is True or (is_alert is None and length == ALERT_LENGTH)
        self._tail.append(SmallRecord(direction, length, alert, silence, answers, packet, time_ns))

    def _is_pong(self, direction: int, length: int | None) -> bool:
        """Whether a record is taken for the answer to a PING, which the last one was."""
        last = self._tail[-1] if self._http2 and length == _PING and self._tail else None
        return last is not None and last.length == _PING and last.direction != direction

    def other(self, arrival: Arrival) -> None:
        """An application byte that is not a whole record nobody can read: it ends nothing."""
        self._tail.clear()
        self._application = arrival
        self._last_ns = arrival[1]

    def _count(self, direction: int, length: int | None) -> None:
        if direction == FROM_CLIENT:
            update = length == _WINDOW_UPDATE and self._answering
            self._asked = self._asked or not (self._http2 and (update or length in _NO_QUESTION))
            return
        self._answering = length is None or length > _LARGE
        if self._asked and not (self._http2 and length in _NO_ANSWER):
            self.exchanges += 1
            self._asked = False

    def closing(self) -> Closing:
        """What the last records are taken for, if the connection is closed now."""
        tail, end = self._tail, len(self._tail)
        while end and tail[end - 1].alert:
            end -= 1
        alerts = tail[end:]
        goaways = self._goaways(end)
        rest = tail[: end - len(goaways)]
        return Closing(rest[-1].arrival if rest else self._application, goaways, alerts)

    def close(self) -> Closing:
        """The same, and now it is settled: the last records are no application bytes."""
        closing = self.closing()
        self._application = closing.application
        self._tail.clear()
        return closing

    def _goaways(self, end: int) -> list[SmallRecord]:
        """The records before `end` that are taken for GOAWAY."""
        tail, start = self._tail, end
        while start and tail[start - 1].direction == tail[end - 1].direction:
            start -= 1
        run = tail[start:end]
        quiet = next((at for at, record in enumerate(run) if record.silence_ns >= CLOSING_SILENCE_NS), len(run))
        run = run[quiet:]
        if len(run) > MAX_CLOSING_RECORDS or (run and run[0].answers and run[0].length not in _BARE_GOAWAYS):
            return []
        return run
