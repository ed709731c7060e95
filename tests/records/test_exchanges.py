"""What TCP tells about an exchange: how far a request was acknowledged, and whether it met the close."""

from __future__ import annotations

import pytest

from inspector.records.exchange import Exchange
from tests.tcp.playbook import REQUEST, RESPONSE, Talk, inspect, opened, the


def _last(talk: Talk) -> Exchange:
    return the(talk).exchanges[-1]


def _acknowledged(exchange: Exchange) -> int | None:
    assert exchange.request is not None
    return exchange.request.acknowledged_bytes


def test_no_race() -> None:
    exchange = _last(opened().exchange().exchange().close("server"))
    assert exchange.race is None
    assert _acknowledged(exchange) == len(REQUEST)
    assert exchange.complete


@pytest.mark.parametrize("close", ["FIN ACK", "RST ACK"])
def test_a_request_after_the_servers_close(close: str) -> None:
    exchange = _last(opened().exchange().wait(5).s(close).c(REQUEST).s("RST"))
    assert exchange.race == "after"
    assert exchange.response is None
    assert _acknowledged(exchange) == 0


def test_a_request_that_crossed_the_servers_close() -> None:
    talk = opened().exchange().wait(5).c(REQUEST)
    exchange = _last(talk.s("FIN ACK", ack=talk.wire(0) - len(REQUEST)).s("RST", ack=0))
    assert exchange.race == "crossed"
    assert _acknowledged(exchange) == 0


def test_a_request_of_which_a_part_was_acknowledged_did_not_cross_the_close() -> None:
    talk = opened().exchange().wait(5).c(REQUEST)
    exchange = _last(talk.s("FIN ACK", ack=talk.wire(0) - len(REQUEST) + 10).s("RST", ack=0))
    assert exchange.race is None
    assert _acknowledged(exchange) == 10


def test_a_request_that_was_acknowledged_and_then_not_answered_is_no_race() -> None:
    exchange = _last(opened().exchange().c(REQUEST).s("ACK").s("FIN ACK").c("FIN ACK").s("ACK"))
    assert exchange.race is None
    assert _acknowledged(exchange) == len(REQUEST)


def test_a_request_that_was_answered_is_no_race() -> None:
    talk = opened().c(REQUEST).s("FIN PSH ACK", RESPONSE, ack=1001)
    assert _last(talk).race is None


def test_a_request_that_nothing_answered_before_the_clients_reset_is_no_race() -> None:
    assert _last(opened().exchange().c(REQUEST).c("RST ACK")).race is None


def test_only_the_request_that_met_the_close_did() -> None:
    connection = the(opened().exchange().s("FIN ACK").c(REQUEST))
    assert [exchange.race for exchange in connection.exchanges] == [None, "after"]


def test_a_request_is_acknowledged_in_part() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    talk = opened().c(request[:80]).c(request[80:])
    exchange = _last(talk.s("RST ACK", ack=1001).s("ACK", ack=1001 + 80))
    assert _acknowledged(exchange) == 80


def test_the_acknowledgment_on_a_reset_counts_for_nothing() -> None:
    exchange = _last(opened().exchange().c(REQUEST).s("RST ACK"))
    assert _acknowledged(exchange) == 0


def test_pipelined_requests_are_acknowledged_each_for_itself() -> None:
    talk = opened().c(REQUEST + REQUEST)
    connection = the(talk.s("ACK", ack=1001 + len(REQUEST) + 5))
    assert [_acknowledged(exchange) for exchange in connection.exchanges] == [len(REQUEST), 5]


def test_without_the_servers_packets_nothing_is_known_of_acknowledgments() -> None:
    assert _acknowledged(_last(Talk().c("SYN").c("ACK").c(REQUEST))) is None


def test_a_filled_hole_moves_a_request_to_the_filler() -> None:
    talk = opened().c(REQUEST[:10], lose=True).c(REQUEST[10:]).c(REQUEST[:10], at=0)
    exchange = _last(talk)
    assert exchange.request is not None
    assert (exchange.request.packet, exchange.request.time_ns) == (5, talk.packets[4].time_ns)


def test_a_retransmission_moves_nothing() -> None:
    exchange = _last(opened().c(REQUEST).wait(1).c(REQUEST, at=0).s(RESPONSE).wait(1).s(RESPONSE, at=0))
    assert exchange.request is not None
    assert exchange.response is not None
    assert (exchange.request.packet, exchange.response.packet, exchange.response.end_packet) == (4, 6, 6)


def test_a_body_that_ends_with_the_connection_ends_at_its_last_byte() -> None:
    talk = opened().c(REQUEST).s(b"HTTP/1.1 200 OK\r\n\r\nabc").s(b"def").wait(3).s("FIN ACK").c("FIN ACK").s("ACK")
    exchange = _last(talk)
    assert exchange.response is not None
    assert exchange.response.end_packet == 6
    assert exchange.response.body_bytes == 6
    assert exchange.complete
    (endpoint,) = inspect(talk).endpoints
    assert endpoint.requests_per_connection.histogram == {"1": 1}


def test_the_answer_that_opens_a_tunnel_announces_no_close() -> None:
    talk = opened().c(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n")
    talk.s(b"HTTP/1.0 200 Connection established\r\n\r\n").exchange().close("server")
    connection = the(talk)
    assert connection.closed is not None
    assert connection.closed.announced is None
    assert [exchange.inside for exchange in connection.exchanges] == [False, True]
    inside = opened().c(b"CONNECT a:80 HTTP/1.1\r\n\r\n").s(b"HTTP/1.1 200 OK\r\n\r\n").c(REQUEST)
    closed = the(inside.s(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").close("server")).closed
    assert closed is not None
    assert closed.announced is not None
    assert closed.announced.packet == 7
