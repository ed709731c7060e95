"""What the connections of one server socket add up to."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.engine import Options
from inspector.records import endpoints as endpoint_books
from inspector.records.endpoint import EndpointRecord
from tests.tcp.playbook import MILLISECOND, REQUEST, RESPONSE, SECOND, Talk, inspect


def _talk(number: int, start: float, **how: Any) -> Talk:
    return Talk(client=f"10.0.0.1:{40000 + number}", start=start, **how)


def _only(*talks: Talk) -> EndpointRecord:
    (endpoint,) = inspect(*talks).endpoints
    return endpoint


def test_how_connections_began_and_ended() -> None:
    endpoint = _only(
        _talk(0, 0).handshake().exchange().close("client"),
        _talk(1, 1).handshake().exchange().close("server"),
        _talk(2, 2).handshake().exchange().c("RST ACK"),
        _talk(3, 3).handshake().exchange().s("RST ACK"),
        _talk(4, 4).handshake(),
        _talk(5, 5).c("SYN"),
        _talk(6, 6).c("SYN").s("RST ACK", seq=0),
        _talk(7, 7).c("SYN").s("SYN ACK"),
        _talk(8, 8).c("ACK", at=77).s("FIN ACK", at=99),
    )
    assert (endpoint.ip, endpoint.port) == ("10.0.0.2", 80)
    assert (endpoint.connections, endpoint.opened, endpoint.already_open) == (9, 5, 1)
    assert (endpoint.refused, endpoint.unanswered, endpoint.half_open) == (1, 1, 1)
    closed = endpoint.closed
    assert (closed.client_fin, closed.client_rst, closed.server_fin, closed.server_rst) == (1, 1, 2, 1)
    assert endpoint.still_open == 2
    assert (endpoint.decided.client, endpoint.decided.server) == (2, 3)
    assert endpoint.protocols == {"none": 5, "http/1.1": 4}
    assert endpoint.name == "a.example"
    assert endpoint.names == {"a.example": 4}


def test_requests_per_connection_are_of_whole_connections() -> None:
    talks = [_talk(number, number) for number in range(4)]
    for number, talk in enumerate(talks):
        talk.handshake()
        for _ in range(number):
            talk.exchange()
        talk.close()
    still_open, middle = _talk(5, 5).handshake().exchange(), _talk(6, 6).c(REQUEST, at=9).s(RESPONSE, at=9).close()
    per_connection = _only(*talks, still_open, middle).requests_per_connection
    assert per_connection.histogram == {"0": 1, "1": 1, "2": 1, "3": 1}
    assert (per_connection.min, per_connection.median, per_connection.mean, per_connection.max) == (0, 1.5, 1.5, 3)
    assert per_connection.partial == 2
    assert _only(*talks, still_open, middle).requests == 8


def test_without_a_whole_connection_nothing_is_made_up() -> None:
    per_connection = _only(_talk(0, 0).handshake()).requests_per_connection
    assert (per_connection.min, per_connection.median, per_connection.mean, per_connection.max) == (None,) * 4


def test_idle_times_by_who_closed() -> None:
    talks = [_talk(n, n * 20).handshake().exchange().wait(5 + n).close("server") for n in range(4)]
    idle = _only(*talks, _talk(9, 99).handshake().exchange().wait(1).close("client")).idle_before_close
    rest = 2 * MILLISECOND
    assert (idle.server.n, idle.server.min_ns, idle.server.max_ns) == (4, 5 * SECOND + rest, 8 * SECOND + rest)
    assert idle.server.median_ns == 6 * SECOND + SECOND // 2 + rest
    assert (idle.client.n, idle.client.median_ns) == (1, SECOND + rest)


def test_refusals_and_unknown_idle_times_are_in_no_figure() -> None:
    endpoint = _only(_talk(0, 0).c("SYN").s("RST ACK", seq=0), _talk(1, 1).s("FIN ACK", at=5))
    assert endpoint.idle_before_close.server.n == 0
    assert endpoint.idle_before_close.server.median_ns is None
    assert endpoint.handshake.tcp.median_ns is None


def test_the_most_at_one_time() -> None:
    """Three overlap; one that closes as the next opens does not count with it."""
    talks = [_talk(n, n * 0.1).handshake().wait(1).close() for n in range(3)]
    later = _talk(4, 10).handshake().close()
    at_once = Talk("10.0.0.3:1", start=(later.packets[3].time_ns - talks[0].packets[0].time_ns) / SECOND).handshake()
    assert _only(*talks).max_open_at_once == 3
    assert _only(*talks, later, at_once).max_open_at_once == 3
    assert _only(later, at_once).max_open_at_once == 1
    assert _only(_talk(0, 0).c("SYN"), _talk(1, 0).c("SYN")).max_open_at_once == 0


def test_handshake_times() -> None:
    talks = [_talk(n, n).c("SYN").wait(0.01 * n).s("SYN ACK").c("ACK") for n in range(3)]
    tcp = _only(*talks).handshake.tcp
    assert (tcp.n, tcp.median_ns) == (3, 12 * MILLISECOND)


def test_what_headers_said() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n"
    talks = [_talk(n, n).handshake().exchange(request, response).exchange() for n in range(2)]
    headers = _only(*talks).headers
    assert headers.request.connection == {"keep-alive": 2}
    assert headers.response.connection == {"Keep-Alive": 2}
    assert headers.response.keep_alive == {"timeout=5, max=9": 2}


def test_clients_by_address_and_user_agent() -> None:
    curl = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8\r\n\r\n"
    endpoint = _only(
        _talk(0, 0).handshake().exchange(curl).exchange(curl),
        _talk(1, 1).handshake().exchange(curl),
        _talk(2, 2).handshake(),
        Talk("10.0.0.7:1", start=3).handshake().exchange(),
    )
    told = [(client.ip, client.user_agent, client.opened, client.requests) for client in endpoint.clients]
    assert told == [("10.0.0.1", "curl/8", 2, 3), ("10.0.0.7", None, 1, 1), ("10.0.0.1", None, 1, 0)]


def test_endpoints_are_server_sockets_in_order_of_first_packets() -> None:
    talks = [
        Talk("10.0.0.1:40001", "10.0.0.9:443", start=0).c("SYN"),
        Talk("10.0.0.1:40002", "10.0.0.2:80", start=1).handshake().close(),
        Talk("10.0.0.1:40003", "10.0.0.2:8080", start=2).handshake(),
        Talk("10.0.0.1:40004", "10.0.0.2:80", start=3).handshake(),
    ]
    endpoints = inspect(*talks).endpoints
    told = [(endpoint.ip, endpoint.port, endpoint.connections) for endpoint in endpoints]
    assert told == [("10.0.0.9", 443, 1), ("10.0.0.2", 80, 2), ("10.0.0.2", 8080, 1)]


@pytest.mark.parametrize("events", [False, True])
def test_a_flood_of_unanswered_connections_is_counted_not_listed(monkeypatch: pytest.MonkeyPatch, events: bool) -> None:
    monkeypatch.setattr(endpoint_books, "LISTED_UNANSWERED", 5)
    talks = [_talk(number, number * 0.01).c("SYN") for number in range(12)]
    answered = _talk(99, 9).handshake().exchange().close()
    other = Talk("10.0.0.1:1", "10.0.0.5:81", start=20).c("SYN")
    inspection = inspect(*talks, answered, other, options=Options(events=events))
    assert inspection.unlisted == 7
    assert len(inspection.connections) == 5 + 1 + 1
    first, second = inspection.endpoints
    assert (first.connections, first.unanswered, first.opened) == (13, 12, 1)
    assert second.unanswered == 1


def test_the_flood_bound_is_the_documented_one() -> None:
    assert endpoint_books.LISTED_UNANSWERED == 100_000
