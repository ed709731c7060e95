"""The table of a stream's life: total, and the decoder does what it says."""

from __future__ import annotations

from itertools import product

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.protocols.http2.states import NEXT, TRANSITIONS, StreamInput, StreamState
from tests.protocols.http1.playbook import Step, client, server
from tests.protocols.http2.playbook import (
    GET,
    OK,
    OPENING,
    data,
    frame,
    headers,
    line,
    plain,
    played,
    promise,
    reset,
    window_update,
)

_S, _I = StreamState, StreamInput
BOTH = (FROM_CLIENT, FROM_SERVER)

#: What is odd, by state and sender; everything else two correct peers can cause.
ODD = {
    (_S.IDLE, FROM_CLIENT): {_I.DATA, _I.END_STREAM, _I.RST_STREAM, _I.WINDOW_UPDATE, _I.PROMISE},
    (_S.IDLE, FROM_SERVER): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.RST_STREAM, _I.WINDOW_UPDATE},
    (_S.RESERVED, FROM_CLIENT): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.PROMISE},
    (_S.RESERVED, FROM_SERVER): {_I.DATA, _I.END_STREAM, _I.PROMISE},
    (_S.OPEN, FROM_CLIENT): {_I.PROMISE},
    (_S.OPEN, FROM_SERVER): {_I.PROMISE},
    (_S.CLIENT_DONE, FROM_CLIENT): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.PROMISE},
    (_S.CLIENT_DONE, FROM_SERVER): {_I.PROMISE},
    (_S.SERVER_DONE, FROM_CLIENT): {_I.PROMISE},
    (_S.SERVER_DONE, FROM_SERVER): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.PROMISE},
    (_S.CLOSED, FROM_CLIENT): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.PROMISE},
    (_S.CLOSED, FROM_SERVER): {_I.HEADERS, _I.DATA, _I.END_STREAM, _I.PROMISE},
}


def test_the_table_is_total_and_says_what_is_odd() -> None:
    assert set(TRANSITIONS) == set(product(_S, BOTH, _I))
    for (state, direction), odd in ODD.items():
        assert {what for what in _I if TRANSITIONS[state, direction, what].odd} == odd
    for (state, direction, what), following in TRANSITIONS.items():
        assert NEXT[state][direction][what] is following


def test_nothing_leads_back() -> None:
    order = {_S.IDLE: 0, _S.RESERVED: 1, _S.OPEN: 1, _S.CLIENT_DONE: 2, _S.SERVER_DONE: 2, _S.CLOSED: 3}
    for (state, _, _), following in TRANSITIONS.items():
        assert order[following.state] >= order[state]
    for direction, what in product(BOTH, _I):
        assert TRANSITIONS[_S.CLOSED, direction, what].state is _S.CLOSED


#: How stream 2 (promised) or 1 gets into each state.
INTO: dict[StreamState, tuple[int, list[Step]]] = {
    _S.IDLE: (3, []),
    _S.RESERVED: (2, [client(headers(1, plain(GET))), server(promise(1, 2, plain(GET)))]),
    _S.OPEN: (1, [client(headers(1, plain(GET)))]),
    _S.CLIENT_DONE: (1, [client(headers(1, plain(GET), 0x5))]),
    _S.SERVER_DONE: (1, [client(headers(1, plain(GET))), server(headers(1, plain(OK), 0x5))]),
    _S.CLOSED: (1, [client(headers(1, plain(GET), 0x5)), server(headers(1, plain(OK), 0x5))]),
}


def sent(what: StreamInput, stream: int, direction: int) -> bytes:
    block = plain(OK if direction == FROM_SERVER else [("a", "b")])
    return {
        _I.HEADERS: headers(stream, block),
        _I.DATA: data(stream, b"x"),
        _I.END_STREAM: data(stream, b"", 0x1),
        _I.RST_STREAM: reset(stream),
        _I.WINDOW_UPDATE: window_update(stream, 1),
        _I.PRIORITY: frame(0x2, 0, stream, b"\0\0\0\0\x10"),
        _I.PROMISE: promise(1, stream, plain(GET)),
    }[what]


@pytest.mark.parametrize(("state", "direction", "what"), list(product(_S, BOTH, _I)))
def test_the_decoder_says_what_the_table_says(state: StreamState, direction: int, what: StreamInput) -> None:
    """Every frame in every state from either side: told as odd or not, and never a raise."""
    stream, before = INTO[state]
    conversation = played([*OPENING, *before, Step(direction, sent(what, stream, direction))])
    told = [line(event) for event in conversation.events if "! unexpected_frame" in line(event)]
    odd = TRANSITIONS[state, direction, what].odd
    if what is _I.PROMISE and direction == FROM_SERVER and state is _S.IDLE:
        odd = True  # stream 3 is not the server's to promise
    assert bool(told) == odd, (told, state)
