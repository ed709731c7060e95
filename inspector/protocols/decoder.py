"""The waist: all that a protocol decoder is ever told, and all that it answers.

A decoder is sans-io. It is told three things (`StreamSink`): here are bytes in order, here is a hole of known length,
this direction is over. It answers with events, handed to `emit` in the order of the wire. It never raises on anything
that the wire says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from inspector.bytestream import Ending, StreamSink
from inspector.events import Event, ExchangeEvent

__all__ = ["Emit", "Ending", "Inside", "StreamDecoder", "Switch", "renumbered"]

#: Where a decoder puts its events.
Emit = Callable[[Event], None]


class StreamDecoder(StreamSink, Protocol):
    """A protocol on one TCP connection, both directions."""


class Switch(NamedTuple):
    """A connection that speaks another protocol from here on, in both directions."""

    to: str
    """The Upgrade token in lower case, such as "h2c" or "websocket"; "connect" for a tunnel."""
    first: int
    """Index of the first exchange inside."""
    http2_settings: str | None = None
    """Value of the request's HTTP2-Settings (RFC 7540 section 3.2.1)."""


#: Makes the decoder of what a connection switched to; None: nobody reads it.
Inside = Callable[[Switch], StreamDecoder | None]


def renumbered(emit: Emit, first: int) -> Emit:
    """An `emit` for a decoder inside another one: its exchanges are counted on from `first`."""

    def shifted(event: Event) -> None:
        if isinstance(event, ExchangeEvent) and event.exchange is not None:
            event.exchange += first
        emit(event)

    return shifted
