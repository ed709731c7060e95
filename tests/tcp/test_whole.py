"""Which groups of a batch are whole connections, and that those which are not are told all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inspector.bounds import Bounds
from inspector.bytestream import Spent
from inspector.engine import Options
from inspector.tcp.connection import Connection
from inspector.tcp.flow_table import group
from inspector.tcp.side import Side
from inspector.tcp.tracker import Tracker
from inspector.tcp.triage import triage
from inspector.tcp.whole import step_columns, whole_connections
from inspector.tcp.whole_connection import Read, WholeConnection
from tests.tcp.playbook import REQUEST, RESPONSE, Talk, alike, columns, inspect, merged, opened, the


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


def _tracked(talk: Talk, read: Read | None) -> Connection:
    """The connection of a talk, before it retires; `read`: what is left of its payload, where that is read at once."""
    tracker = Tracker(lambda connection, start: Spent("http/1.1"), read_whole=lambda payload: read)
    assert tracker.feed(columns(talk)) == []
    (connection,) = tracker.unfinished
    return connection


@pytest.mark.parametrize("by", ["client", "server"])
def test_what_is_made_when_it_is_missed_is_what_a_connection_has(by: str) -> None:
    talk = Talk().handshake().exchange().wait(5).close(by)
    book = object()
    whole, told = _tracked(talk, Read(Spent("http/1.1"), book, (7, 70))), _tracked(talk, None)
    assert isinstance(whole, WholeConnection)
    assert type(told) is Connection
    assert whole.book is book
    assert whole.story is not None, "nobody has asked yet"
    for side, same in zip(whole.sides, told.sides, strict=True):
        assert {name: getattr(side, name) for name in Side.__slots__} == {
            name: getattr(same, name) for name in Side.__slots__
        }
    assert not whole.story
    assert (whole.application_at_close_packet, whole.application_at_close_ns) == (7, 70)
    assert whole.history.letters == told.history.letters
    own = {"application_at_close_packet", "application_at_close_ns", "book", "history", "make_sink", "sides", "sink"}
    for name in set(Connection.__slots__) - own:
        assert getattr(whole, name) == getattr(told, name), name
    with pytest.raises(AttributeError):
        getattr(whole, "nothing of the kind")


@pytest.mark.parametrize("late", ["ACK", "FIN ACK", "RST ACK"])
def test_a_straggler_finds_a_connection_that_was_told_whole(late: str) -> None:
    """In a batch of its own: the connection has ended and has not retired."""
    talk = Talk().handshake().exchange().close()
    size = talk.last
    talk.c(late)
    (cut,) = inspect(talk, batch_rows=size).connections
    assert cut == the(talk)
    assert cut.client_traffic.packets == the(Talk().handshake().exchange().close()).client_traffic.packets + 1


def test_of_more_exchanges_than_are_kept_the_last_ones_are() -> None:
    talk = Talk().handshake()
    for _ in range(5):
        talk.exchange()
    talk.close()
    assert _whole(talk) == [True]
    connection = the(talk, Options(bounds=Bounds(exchanges=3)))
    assert [exchange.index for exchange in connection.exchanges] == [2, 3, 4]
    assert connection.requests == 5
