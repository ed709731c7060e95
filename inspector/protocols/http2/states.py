"""The life of a stream as a table (RFC 9113 section 5.1), seen from between the two sides.

The table is total: every state has an answer to whatever either side sends on the stream; an answer that two correct
peers could not have caused is marked odd. Whether that is told depends on what else the observer missed: frames that
cross a RST_STREAM are seen on a closed stream, and so is everything behind a hole.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import product
from typing import NamedTuple

from inspector.bytestream import FROM_CLIENT, FROM_SERVER


class StreamState(IntEnum):
    """What both sides have shown."""

    IDLE = 0
    RESERVED = 1
    """Promised by the server."""
    OPEN = 2
    CLIENT_DONE = 3
    """The client's message is over: half-closed."""
    SERVER_DONE = 4
    CLOSED = 5


class StreamInput(IntEnum):
    """What one side can send on a stream."""

    HEADERS = 0
    """A header or trailer section: HEADERS with its CONTINUATION frames."""
    DATA = 1
    END_STREAM = 2
    """The flag, told after the frame that bears it."""
    RST_STREAM = 3
    WINDOW_UPDATE = 4
    PRIORITY = 5
    PROMISE = 6
    """PUSH_PROMISE that promises this stream."""


class Next(NamedTuple):
    """Where an input leads."""

    state: StreamState
    odd: bool = False
    """No correct peer sends it."""


_S, _I = StreamState, StreamInput
_BOTH = (FROM_CLIENT, FROM_SERVER)

#: (state, direction, input) to what follows. All of the product is there.
TRANSITIONS: dict[tuple[StreamState, int, StreamInput], Next] = {
    # What is said nowhere below changes nothing, and should not have been sent.
    **{(state, direction, what): Next(state, odd=True) for state, direction, what in product(_S, _BOTH, _I)},
    # PRIORITY may come at any time (section 5.3); so may credit and resets once a stream was used: they cross its end.
    **{(state, direction, _I.PRIORITY): Next(state) for state, direction in product(_S, _BOTH)},
    **{(state, direction, _I.WINDOW_UPDATE): Next(state) for state, direction in product(tuple(_S)[1:], _BOTH)},
    **{(state, direction, _I.RST_STREAM): Next(_S.CLOSED) for state, direction in product(tuple(_S)[1:], _BOTH)},
    (_S.IDLE, FROM_CLIENT, _I.HEADERS): Next(_S.OPEN),
    (_S.IDLE, FROM_SERVER, _I.HEADERS): Next(_S.CLIENT_DONE, odd=True),
    (_S.IDLE, FROM_CLIENT, _I.DATA): Next(_S.OPEN, odd=True),
    (_S.IDLE, FROM_SERVER, _I.DATA): Next(_S.CLIENT_DONE, odd=True),
    (_S.IDLE, FROM_CLIENT, _I.RST_STREAM): Next(_S.CLOSED, odd=True),
    (_S.IDLE, FROM_SERVER, _I.RST_STREAM): Next(_S.CLOSED, odd=True),
    (_S.IDLE, FROM_SERVER, _I.PROMISE): Next(_S.RESERVED),
    (_S.RESERVED, FROM_SERVER, _I.HEADERS): Next(_S.CLIENT_DONE),
    (_S.OPEN, FROM_CLIENT, _I.HEADERS): Next(_S.OPEN),
    (_S.OPEN, FROM_SERVER, _I.HEADERS): Next(_S.OPEN),
    (_S.OPEN, FROM_CLIENT, _I.DATA): Next(_S.OPEN),
    (_S.OPEN, FROM_SERVER, _I.DATA): Next(_S.OPEN),
    (_S.OPEN, FROM_CLIENT, _I.END_STREAM): Next(_S.CLIENT_DONE),
    (_S.OPEN, FROM_SERVER, _I.END_STREAM): Next(_S.SERVER_DONE),
    (_S.CLIENT_DONE, FROM_SERVER, _I.HEADERS): Next(_S.CLIENT_DONE),
    (_S.CLIENT_DONE, FROM_SERVER, _I.DATA): Next(_S.CLIENT_DONE),
    (_S.CLIENT_DONE, FROM_SERVER, _I.END_STREAM): Next(_S.CLOSED),
    (_S.SERVER_DONE, FROM_CLIENT, _I.HEADERS): Next(_S.SERVER_DONE),
    (_S.SERVER_DONE, FROM_CLIENT, _I.DATA): Next(_S.SERVER_DONE),
    (_S.SERVER_DONE, FROM_CLIENT, _I.END_STREAM): Next(_S.CLOSED),
}

#: The same, for the hot path: by state, direction, input.
NEXT = tuple(tuple(tuple(TRANSITIONS[state, direction, what] for what in _I) for direction in _BOTH) for state in _S)
