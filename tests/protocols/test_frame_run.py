"""Frames of HTTP/2 found in the middle of a stream, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.protocols.detect import H2C, Detected, Undecided, detect
from inspector.protocols.frame_run import LONGEST_RUN, RUN, Run, next_header, run_at, sender_in
from tests.protocols.http2.playbook import (
    GET,
    OK,
    SETTINGS_ACK,
    Blocks,
    continuation,
    data,
    frame,
    goaway,
    headers,
    ping,
    plain,
    promise,
    reset,
    settings,
    window_update,
)

PRIORITY = frame(0x2, 0, 3, b"\0\0\0\0\x10")
FRAMES = [
    data(1, b"x" * 16384),
    data(1, b"", 0x1),
    data(2_000_000_001, b"abc", 0x9),
    headers(1, Blocks()(GET), 0x2D),
    PRIORITY,
    reset(1),
    settings((1, 4096), (0x2F, 1)),
    SETTINGS_ACK,
    promise(1, 2, b"\x82"),
    ping(),
    ping(ack=True),
    goaway(1, 0, b"x" * 300),
    window_update(0, 1),
    window_update(1, 1),
    continuation(1, b"\x82", 0x0),
    frame(0xA, 0, 0, b"\0\0h2"),
]


@pytest.mark.parametrize("one", FRAMES, ids=lambda one: f"type {one[3]}")
def test_every_usual_frame_is_plausible(one: bytes) -> None:
    assert run_at(one, 0) is Run.ENDS
    assert run_at(b"?" + one * RUN, 1) is Run.FRAMES
    assert detect(one * RUN, True) == Detected(H2C, sender_in(one * RUN))


@pytest.mark.parametrize(
    "odd",
    [
        frame(0x0, 0, 0, b"x"),
        frame(0x0, 0, 1, b""),
        frame(0x0, 0x2, 1, b"x"),
        frame(0x1, 0x4, 1, b""),
        frame(0x3, 0, 1, b"x"),
        frame(0x4, 0, 1, b""),
        frame(0x4, 0, 0, b"x" * 5),
        frame(0x6, 0, 0, b"x" * 7),
        frame(0x8, 0, 1, b"x" * 5),
        frame(0x2F, 0, 0, b"x"),
        data(1, b"x" * 16385),
    ],
    ids=lambda one: one[:9].hex(),
)
def test_what_no_peer_sends_is_not(odd: bytes) -> None:
    assert run_at(odd * RUN, 0) is Run.NO
    assert run_at(ping() * (RUN - 1) + odd, 0) is Run.NO
    assert detect(odd * RUN, True) is Undecided.NO


def test_a_run_may_be_short_of_bytes() -> None:
    stream = ping() * RUN
    last_header = (RUN - 1) * len(ping()) + 9
    answers = [run_at(stream[:end], 0) for end in range(1, len(stream) + 1)]
    assert set(answers[: last_header - 1]) == {Run.MORE, Run.ENDS}
    assert set(answers[last_header - 1 :]) == {Run.FRAMES}
    assert [end for end, answer in enumerate(answers, 1) if answer is Run.ENDS] == [17, 34]
    assert len(data(1, b"x" * 16384)) * (RUN - 1) + 9 == LONGEST_RUN


@pytest.mark.parametrize("before", [b"", b"\0", b"\0\0\0", b"a body that ends"])
def test_the_next_header_is_found_behind_anything(before: bytes) -> None:
    stream, at = before + ping() * RUN, 0
    while run_at(stream, at) is Run.NO:
        at = next_header(stream, at + 1)
    assert at == len(before)


def test_who_sends_is_told_by_pseudo_header_fields() -> None:
    assert sender_in(ping() + headers(1, Blocks()(GET)) + ping()) == FROM_CLIENT
    assert sender_in(ping() + headers(1, Blocks()(OK), 0x4)) == FROM_SERVER
    assert sender_in(frame(0x1, 0x2C, 1, b"\x01" + b"\0" * 5 + b"\x88" + b"\0")) == FROM_SERVER
    assert sender_in(promise(1, 2, b"\x82")) == FROM_SERVER
    assert sender_in(headers(1, b"\xbe") + headers(3, plain(GET)) + ping()) is None


@given(st.binary(max_size=200))
def test_random_bytes_are_no_frames(noise: bytes) -> None:
    assert detect(noise, True) != Detected(H2C, None) if noise else True
    assert next_header(noise, 0) <= len(noise) or not noise


@given(st.text(max_size=200), st.sampled_from([0, 1]))
def test_text_is_no_frames(text: str, at: int) -> None:
    encoded = text.encode("utf-16-be" if at else "utf-8")
    assert run_at(encoded, 0) is not Run.FRAMES
