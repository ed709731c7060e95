"""Flow control (RFC 9113 section 5.2), as far as it shows: how long a side had used up what it was allowed to send.

A direction's DATA is counted against the connection's window and the stream's. A window is closed from the DATA frame
that used it up to the WINDOW_UPDATE, or the acknowledged SETTINGS, that gives credit again; it is a stall only where
the message was not over. Once anything is missing on either side nothing is known of the windows any more.
"""

from __future__ import annotations

from inspector.events import Http2Side, WindowStalled
from inspector.protocols.decoder import Emit
from inspector.protocols.http2.stream import Stream

#: Every window's size at first (section 6.9.2).
DEFAULT_WINDOW = 65_535
#: Stalls shorter than this are counted, and not told one by one.
STALL_TOLD_NS = 10_000_000


class Flow:
    """What one direction may send."""

    __slots__ = ("_account", "_direction", "_emit", "_since", "closed", "initial", "known", "window")

    def __init__(self, direction: int, emit: Emit, account: Http2Side) -> None:
        self._direction = direction
        self._emit = emit
        self._account = account
        self.closed: dict[int, int] = {}
        """Windows that are used up, by stream (0: the connection's), and since when. At most one an open stream."""
        self._since = 0
        self.known = True
        """Nothing was missed so far."""
        self.window = DEFAULT_WINDOW
        """The connection's."""
        self.initial = DEFAULT_WINDOW
        """Every stream's at first; `Stream.credit` is what was added and used since."""

    def used_up(self, stream: Stream, over: bool, others: bool, time_ns: int) -> None:
        """After a DATA frame a window is at 0 or below. `over`: the message ended with it; `others`: not the only one
        of the direction."""
        if not self.known:
            return
        if self.window <= 0 and (others or not over):
            self._close(0, time_ns)
        if self.known and not over and stream.credit[self._direction] + self.initial <= 0:
            self._close(stream.id, time_ns)

    def credit(self, increment: int, packet: int, time_ns: int) -> None:
        """The peer gave credit to the connection."""
        self.window += increment
        if self.window > 0 and 0 in self.closed:
            self._open(0, packet, time_ns)

    def stream_credit(self, stream: Stream, increment: int, packet: int, time_ns: int) -> None:
        """The peer gave credit to a stream."""
        stream.credit[self._direction] += increment
        if stream.id in self.closed and stream.credit[self._direction] + self.initial > 0:
            self._open(stream.id, packet, time_ns)

    def set_initial(self, initial: int, streams: dict[int, Stream], packet: int, time_ns: int) -> None:
        """The side acknowledged another INITIAL_WINDOW_SIZE, which changes the windows of all streams."""
        self.initial = initial
        for stream_id in list(self.closed):
            stream = streams.get(stream_id)
            if stream is not None and stream.credit[self._direction] + initial > 0:
                self._open(stream_id, packet, time_ns)

    def forget(self, stream_id: int, time_ns: int) -> None:
        """The stream is over."""
        if stream_id in self.closed:
            self._reopened(stream_id, time_ns)

    def lose(self) -> None:
        """Bytes of either direction are missing, or what is known does not fit."""
        self.known = False
        self.closed.clear()

    def _close(self, stream_id: int, time_ns: int) -> None:
        if stream_id in self.closed:
            self.lose()  # more was sent all the same: the window is not what we take it for
            return
        if not self.closed:
            self._since = time_ns
        self.closed[stream_id] = time_ns

    def _open(self, stream_id: int, packet: int, time_ns: int) -> None:
        stalled = time_ns - self._reopened(stream_id, time_ns)
        if stalled >= STALL_TOLD_NS:
            self._emit(WindowStalled(packet, time_ns, self._direction, stream_id, stalled))

    def _reopened(self, stream_id: int, time_ns: int) -> int:
        """A window is no longer closed; since when it was."""
        since = self.closed.pop(stream_id)
        if not self.closed:
            self._account.window_stalls_ns += max(0, time_ns - self._since)
        return since
