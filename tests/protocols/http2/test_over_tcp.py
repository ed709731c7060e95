"""HTTP/2 as it comes over TCP: who is recognised by what, and what the connection's record says."""

from __future__ import annotations

from inspector.records.connection import Connection
from tests.protocols.http2.playbook import (
    GET,
    OK,
    PREFACE,
    SETTINGS,
    SETTINGS_ACK,
    Blocks,
    Headers,
    data,
    get,
    goaway,
    headers,
    ping,
    plain,
    settings,
    window_update,
)
from tests.tcp.playbook import Talk, codes, opened, the

REQUEST, RESPONSE = headers(1, Blocks()(GET), 0x5), headers(1, Blocks()(OK)) + data(1, b"hello", 0x1)
ASK = (
    b"GET /old HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def said(connection: Connection) -> list[tuple[int | None, str | None, int | None, bool]]:
    """Each exchange: stream, target, status, complete."""
    return [
        (
            exchange.stream,
            exchange.request.target if exchange.request else None,
            exchange.response.status if exchange.response else None,
            exchange.complete,
        )
        for exchange in connection.exchanges
    ]


def test_prior_knowledge() -> None:
    talk = opened().c(PREFACE + settings((3, 100)) + REQUEST).s(SETTINGS + SETTINGS_ACK).s(RESPONSE).c(SETTINGS_ACK)
    connection = the(talk.wait(3).s(goaway(1)).close("server"))
    assert (connection.protocol, connection.name, connection.name_from) == ("h2c", "example.com", "authority")
    assert said(connection) == [(1, "/", 200, True)]
    assert (connection.requests, connection.responses) == (1, 1)
    assert connection.http2 is not None
    assert connection.http2.client.settings[0].values == {"MAX_CONCURRENT_STREAMS": 100}
    assert connection.http2.server.frames == {"SETTINGS": 2, "HEADERS": 1, "DATA": 1, "GOAWAY": 1}
    assert connection.closed is not None
    assert connection.closed.announced is not None
    assert (connection.closed.announced.how, connection.closed.announced.packet) == ("goaway", 8)
    assert connection.closed.idle_ns == 3_002_000_000
    assert codes(connection) == []


def test_a_server_that_speaks_first() -> None:
    connection = the(opened().s(SETTINGS).c(PREFACE + SETTINGS + REQUEST).s(RESPONSE))
    assert connection.http2 is not None
    assert connection.http2.server.frames["SETTINGS"] == 1
    assert said(connection) == [(1, "/", 200, True)]


def test_an_upgrade() -> None:
    talk = opened().c(ASK).s(SWITCHING + SETTINGS).c(PREFACE + SETTINGS).s(RESPONSE)
    connection = the(talk.c(headers(3, Blocks()(get("/new")), 0x5)).s(headers(3, Blocks()(OK), 0x5)).c(ping()))
    assert said(connection) == [(None, "/old", 101, True), (1, None, 200, False), (3, "/new", 200, True)]
    assert (connection.protocol, connection.upgrade and connection.upgrade.to) == ("h2c", "h2c")
    assert connection.http2 is not None
    assert (connection.http2.streams, connection.http2.headers_reliable) == (2, True)
    assert codes(connection) == []


def test_a_capture_that_begins_in_the_middle_and_the_wrong_way_round() -> None:
    """Nothing tells who the client is but the header blocks; the server's packet is the first."""
    blocks = Blocks()
    talk = Talk(client="10.0.0.2:5000", server="10.0.0.1:5001")  # the ends as the first packet has them
    talk.c(headers(7, blocks(OK)) + data(7, b"x" * 90, 0x1) + headers(9, blocks(OK), 0x5))
    talk.s(headers(11, Blocks()(get("/11")), 0x5)).c(headers(11, blocks(OK), 0x5))
    connection = the(talk)
    assert (connection.client.port, connection.server.port, connection.role_from) == (5001, 5000, "content")
    assert said(connection)[:2] == [(7, None, 200, False), (9, None, 200, False)]
    assert connection.http2 is not None
    assert not connection.http2.headers_reliable


def test_a_tunnel() -> None:
    tunnel = opened().c(b"CONNECT far:80 HTTP/1.1\r\n\r\n").s(b"HTTP/1.1 200 OK\r\n\r\n")
    connection = the(tunnel.c(PREFACE + SETTINGS + REQUEST).s(SETTINGS + SETTINGS_ACK + RESPONSE))
    assert (connection.protocol, connection.tunnel and connection.tunnel.target) == ("h2c", "far:80")
    assert [(exchange.stream, exchange.inside) for exchange in connection.exchanges] == [(None, False), (1, True)]


def test_an_extended_connect_is_no_proxy_request() -> None:
    chat: Headers = [(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/chat"), (":authority", "a.test")]
    proxied: Headers = [(":method", "CONNECT"), (":authority", "b.test:443")]
    assert the(opened().c(PREFACE + SETTINGS + headers(1, plain(chat)))).name == "a.test"
    assert the(opened().c(PREFACE + SETTINGS + headers(1, plain(proxied)))).name is None


def test_a_lost_packet_of_data_costs_nothing() -> None:
    body = data(1, b"x" * 3000, 0x1)
    talk = opened().c(PREFACE + SETTINGS + REQUEST).s(SETTINGS + SETTINGS_ACK + headers(1, Blocks()(OK)) + body[:1000])
    talk.s(body[1000:2000]).s(body[2000:]).c(window_update(0, 3000)).s(goaway(1))
    connection = the(talk)
    del talk.packets[5]
    holed = the(talk)
    assert said(holed) == said(connection) == [(1, "/", 200, True)]
    assert holed.http2 is not None
    assert connection.http2 is not None
    assert holed.http2.server.frames == connection.http2.server.frames
    assert holed.http2.headers_reliable
    assert holed.server_traffic.missing_bytes == 1000
