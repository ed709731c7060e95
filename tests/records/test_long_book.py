"""A connection that goes on and on: the last exchanges are listed, all are counted."""

from __future__ import annotations

import pytest

from inspector.bounds import Bounds
from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import Talk, merged

FIVE = Bounds(exchanges=5)


def request(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: h%d.example\r\nConnection: keep-alive, n%d\r\n\r\n" % (
        number,
        number,
        number % 3,
    )


def response(number: int) -> bytes:
    keep_alive = b"Connection: keep-alive\r\nKeep-Alive: timeout=5, max=%d\r\n" % (100 - number)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % keep_alive


def long_talk(exchanges: int) -> Talk:
    talk = Talk().handshake()
    for number in range(exchanges):
        talk.exchange(request(number), response(number))
    return talk.close()


def run(talk: Talk, bounds: Bounds | None, batch_rows: int = 2, events: bool = False) -> Inspection:
    """In small batches: what comes in one is read at once."""
    inspector = Inspector(Options(bounds=bounds, events=events))
    for batch in MemorySource(merged(talk), batch_rows=batch_rows):
        inspector.feed(batch)
    return inspector.finish()


def only(inspection: Inspection) -> Connection:
    (connection,) = inspection.connections
    return connection


def test_the_last_exchanges_stay_with_their_numbers() -> None:
    bounded, whole = run(long_talk(12), FIVE), run(long_talk(12), None)
    assert only(bounded).exchanges == only(whole).exchanges[-5:]
    assert [exchange.index for exchange in only(bounded).exchanges] == [7, 8, 9, 10, 11]
    assert (only(bounded).requests, only(bounded).responses) == (12, 12)
    assert only(bounded).closed == only(whole).closed


def test_endpoints_count_what_is_not_listed() -> None:
    (bounded,), (whole,) = run(long_talk(12), FIVE).endpoints, run(long_talk(12), None).endpoints
    assert bounded == whole
    assert bounded.headers.request.connection == {"keep-alive, n0": 4, "keep-alive, n1": 4, "keep-alive, n2": 4}
    assert bounded.headers.response.connection == {"keep-alive": 12}


def test_the_event_log_says_the_same() -> None:
    bounded, whole = run(long_talk(12), FIVE, events=True), run(long_talk(12), None, events=True)
    assert bounded.events == whole.events


@pytest.mark.parametrize("exchanges", [5, 6])
def test_at_the_bound(exchanges: int) -> None:
    assert len(only(run(long_talk(exchanges), FIVE)).exchanges) == 5


def test_what_messages_say_is_bounded_too() -> None:
    bounds = Bounds(exchanges=5, listed=3)
    connection = only(run(long_talk(40), bounds))
    (endpoint,) = run(long_talk(40), bounds).endpoints
    assert len([connection.name, *connection.names]) == 3
    assert sum(endpoint.headers.response.keep_alive.values()) == 40
    assert len(endpoint.headers.response.keep_alive) <= 2 * 3 + 5 + 1
    assert "…" in endpoint.headers.response.keep_alive


def test_an_answer_to_what_is_no_longer_listed_is_counted() -> None:
    talk = Talk().handshake()
    for number in range(8):
        talk.c(request(number))
    for number in range(8):
        talk.s(response(number))
    bounded = only(run(talk.close(), FIVE))
    assert (bounded.requests, bounded.responses) == (8, 8)
    assert [(e.index, e.response is not None, e.complete) for e in bounded.exchanges] == [
        (index, True, True) for index in range(3, 8)
    ]
