"""Which groups of a batch are whole connections, and that those which are not are told all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inspector.tcp.flow_table import group
from inspector.tcp.triage import triage
from inspector.tcp.whole import step_columns, whole_connections
from tests.tcp.playbook import REQUEST, RESPONSE, Talk, alike, columns, merged, opened, the


def _whole(*talks: Talk) -> list[bool]:
    batch = columns(*talks)
    groups = group(batch)
    steps = triage(batch, groups, np.zeros(len(groups.starts), bool))
    whole: list[bool] = (whole_connections(steps, step_columns(batch, steps)) >= 0).tolist()
    return whole


def _numbered(number: int, **how: tuple[int, int]) -> Talk:
    return Talk(f"10.0.0.1:{40000 + number}", start=number, isn=how.get("isn", (1000, 9000)))


WHOLE: dict[str, Callable[[Talk], Talk]] = {
    "one exchange": lambda talk: talk.handshake().exchange().close("server"),
    "closed by the client": lambda talk: talk.handshake().exchange().close("client"),
    "many exchanges": lambda talk: talk.handshake().exchange().exchange().exchange().close(),
    "a response in pieces": lambda talk: talk.handshake().c(REQUEST).s(RESPONSE[:9]).s(RESPONSE[9:]).c("ACK").close(),
    "nothing but its life": lambda talk: talk.handshake().close(),
    "FIN acknowledged by itself": lambda talk: talk.handshake().exchange().c("FIN ACK").s("ACK").s("FIN ACK").c("ACK"),
    "the first ACK of a side between the FINs": lambda talk: (
        talk.handshake().c(REQUEST).s(RESPONSE).c("FIN ACK").s("ACK").s("FIN ACK").c("ACK")
    ),
    "payload acknowledged bit by bit behind the FIN": lambda talk: (
        talk.handshake()
        .c(REQUEST)
        .s(RESPONSE[:9])
        .s(RESPONSE[9:])
        .s("FIN ACK")
        .c("ACK", ack=9010)
        .c("ACK", ack=9001 + len(RESPONSE))
        .c("ACK")
        .c("FIN ACK")
        .s("ACK")
    ),
    "payload that is never acknowledged by itself": lambda talk: talk.handshake().c(REQUEST).s(RESPONSE).close(),
}

NOT_WHOLE: dict[str, Callable[[Talk], Talk]] = {
    "still open": lambda talk: talk.handshake().exchange(),
    "one FIN": lambda talk: talk.handshake().exchange().c("FIN ACK").s("ACK"),
    "FIN acknowledged before it came": lambda talk: (
        talk.handshake().c(REQUEST).s(RESPONSE).c("ACK", ack=9002 + len(RESPONSE)).s("FIN ACK").c("FIN ACK").s("ACK")
    ),
    "payload between the FINs": lambda talk: (
        talk.handshake().c(REQUEST).c("FIN ACK").s("ACK").s(RESPONSE).s("FIN ACK").c("ACK")
    ),
    "a FIN twice": lambda talk: (
        talk.handshake().exchange().c("FIN ACK").c("FIN ACK", at=len(REQUEST)).s("FIN ACK").c("ACK")
    ),
    "a closed window between the FINs": lambda talk: (
        talk.handshake().exchange().c("FIN ACK").s("ACK", window=0).s("FIN ACK").c("ACK")
    ),
    "a keep-alive probe between the FINs": lambda talk: (
        talk.handshake().exchange().c("FIN ACK").s("ACK", at=len(RESPONSE) - 1).s("FIN ACK").c("ACK")
    ),
    "reset": lambda talk: talk.handshake().exchange().c("RST ACK"),
    "the last ACK is missing": lambda talk: talk.handshake().exchange().c("FIN ACK").s("FIN ACK"),
    "payload on the FIN": lambda talk: talk.handshake().c(REQUEST).s(RESPONSE, "FIN ACK").c("FIN ACK").s("ACK"),
    "something behind the end": lambda talk: talk.handshake().exchange().close().c("ACK"),
    "payload twice": lambda talk: talk.handshake().c(REQUEST).c(REQUEST, at=0).s(RESPONSE).close(),
    "payload lost": lambda talk: talk.handshake().c(REQUEST).s(b"x", lose=True).s(RESPONSE).close(),
    "payload out of order": lambda talk: talk.handshake().c(REQUEST).s(RESPONSE[:9]).s(RESPONSE[9:]).swap(5, 6).close(),
    "a closed window": lambda talk: talk.handshake().c(REQUEST).s("ACK", window=0).s(RESPONSE).close(),
    "acknowledges what was not sent": lambda talk: talk.handshake().c(REQUEST).s("ACK", ack=5000).s(RESPONSE).close(),
    "began in the middle": lambda talk: talk.c("ACK").exchange().close(),
    "a keep-alive probe": lambda talk: talk.handshake().exchange().c("ACK", at=len(REQUEST) - 1).s("ACK").close(),
}


@pytest.mark.parametrize("what", WHOLE)
def test_whole_connections(what: str) -> None:
    talk = WHOLE[what](Talk())
    assert _whole(talk) == [True]
    assert the(talk).state == "SF"


@pytest.mark.parametrize("what", NOT_WHOLE)
def test_connections_that_are_not_whole(what: str) -> None:
    talk = NOT_WHOLE[what](Talk())
    assert not any(_whole(talk))
    alike(talk)


def test_sequence_numbers_may_wrap() -> None:
    top = (1 << 32) - 1
    for isn in ((top, 5), (5, top), (top - 10, top - 20), (top - len(REQUEST), top - len(RESPONSE))):
        talk = Talk(isn=isn).handshake().exchange().exchange().close()
        assert _whole(talk) == [True]
        assert the(talk).client_traffic.bytes == 2 * len(REQUEST)


def test_packets_of_a_side_that_differ_are_looked_at_one_by_one() -> None:
    talk = opened().exchange()
    talk.ttl[1] = 60
    assert _whole(talk.close()) == [False]
    assert the(talk).server_traffic.ttl.usual == 64


def test_whole_ones_are_found_among_others() -> None:
    talks = [
        _numbered(0).handshake().exchange().close(),
        _numbered(1).c("SYN"),
        _numbered(2).handshake().exchange(),
        _numbered(3).handshake().exchange().exchange().close("server"),
    ]
    assert sorted(_whole(*talks)) == [False, False, True, True]
    inspection = alike(*talks)
    assert [connection.state for connection in inspection.connections] == ["SF", "S0", "S1", "SF"]
    assert len(merged(*talks)) == inspection.capture.packets


def test_a_tuple_that_is_used_again_is_told_at_once_again() -> None:
    talks = [
        Talk(start=0).handshake().exchange().close(),
        Talk(start=1, isn=(700_000, 800_000)).handshake().exchange().close(),
    ]
    assert _whole(*talks) == [True, True]
    inspection = alike(*talks)
    assert [connection.requests for connection in inspection.connections] == [1, 1]


def test_a_syn_twice_is_one_connection() -> None:
    talk = Talk().c("SYN").c("SYN", at=-1).s("SYN ACK").c("ACK").exchange().close()
    assert _whole(talk) == [False, True]
    assert the(talk).opened.syn_retransmissions == 1
