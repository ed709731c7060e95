"""What is known of one stream that is not over yet."""

from __future__ import annotations

from inspector.protocols.http2.states import StreamState


class Stream:
    """A stream in flight. What there are two of is by direction."""

    __slots__ = ("above_goaway", "answered", "body", "credit", "damaged", "exchange", "id", "last", "state")

    def __init__(self, stream_id: int, state: StreamState) -> None:
        self.id = stream_id
        self.exchange: int | None = None
        """Index of its exchange; None as long as nothing was seen that makes one."""
        self.state = state
        self.answered = False
        """The final response's header section was seen."""
        self.last: list[tuple[int, int, int] | None] = [None, None]
        """Of a message that has begun and is not over: the offset behind its last byte, that byte's packet and time."""
        self.body = [0, 0]
        """Body bytes so far."""
        self.credit = [0, 0]
        """Flow control: what was added and used since the beginning (flow.py)."""
        self.damaged = [False, False]
        """A part of the message may be missing."""
        self.above_goaway = False
        """The server said that it will not look at it."""
