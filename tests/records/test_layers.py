"""What TLS, HTTP/2 and the others tell becomes records: events in, a connection and its endpoint out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.engine import Options
from inspector.events import (
    Alert,
    AlertReceived,
    Event,
    ForbiddenField,
    Goaway,
    GoawayReceived,
    Http2Account,
    Http2Started,
    Ping,
    ProxyHeaderReceived,
    ResponseReceived,
    Settings,
    StreamReset,
    TlsAccount,
    TlsStarted,
    TrailersReceived,
    Upgraded,
    WebSocketAccount,
    WebSocketClose,
    WebSocketStarted,
)
from inspector.records.connection import Announced, Connection, Estimate, Tunnel, Upgrade
from inspector.records.endpoint import AnnouncedCount, EndpointRecord
from inspector.records.exchange import Reset
from inspector.records.layers import MAX_SIGNS
from tests.records.scripted import HELLO, PREFACE, Script, at, end, play, request, response
from tests.tcp.playbook import MILLISECOND, SECOND, START_NS, Talk, inspect, opened

PLAIN = Options()


def told(
    monkeypatch: pytest.MonkeyPatch, talk: Talk, *events: Event, options: Options = PLAIN, **script: Any
) -> tuple[Connection, EndpointRecord]:
    """The only connection and its endpoint when the decoder says these events."""
    play(monkeypatch, Script(*events, **script))
    inspection = inspect(talk, options=options)
    (connection,), (endpoint,) = inspection.connections, inspection.endpoints
    return connection, endpoint


def h2(seconds: float = 0) -> Talk:
    """Packets 4 and 5 are the preface and an answer; then silence; the first close is packet 6 or later."""
    return opened().c(PREFACE).s(b"answer").wait(seconds)


def goaway(packet: int, time_ns: int, direction: int = FROM_SERVER, debug: str = "") -> GoawayReceived:
    return GoawayReceived(packet, time_ns, direction, Goaway(packet, time_ns, 1, "NO_ERROR", debug))


def close_notify(packet: int, time_ns: int, direction: int = FROM_SERVER, inferred: bool = False) -> AlertReceived:
    alert = Alert(packet, time_ns, direction, "warning", "close_notify", inferred)
    return AlertReceived(packet, time_ns, alert)


# ---- exchanges


def test_exchanges_have_their_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, endpoint = told(
        monkeypatch,
        h2().close(),
        request(4, 0, 1),
        request(4, 1, 3),
        end(4, 0, 1, FROM_CLIENT),
        end(4, 1, 3, FROM_CLIENT),
        response(5, 1, 3),
        end(5, 1, 3),
        at(5, StreamReset, 0, 1, FROM_SERVER, "REFUSED_STREAM"),
        at(5, StreamReset, 0, 1, FROM_CLIENT, "CANCEL"),
        at(5, StreamReset, None, 99, FROM_CLIENT, "CANCEL"),
    )
    refused, answered = connection.exchanges
    assert [(one.stream, one.complete, one.reset) for one in connection.exchanges] == [
        (1, False, Reset("server", "REFUSED_STREAM")),
        (3, True, None),
    ]
    assert refused.response is None
    assert answered.response is not None
    assert (answered.response.status, answered.response.body_bytes, answered.response.persistent) == (200, 6, None)
    assert (connection.protocol, connection.requests, connection.responses) == ("h2c", 2, 1)
    assert (connection.name, connection.name_from) == ("a.example", "authority")
    assert endpoint.requests == 2
    assert endpoint.requests_per_connection.histogram == {"2": 1}


def test_after_an_upgrade_stream_1_is_an_exchange_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, _ = told(
        monkeypatch, h2(), request(4, 0, None), response(5, 0, None, 101), response(5, 1, 1), end(5, 1, 1)
    )
    first, second = connection.exchanges
    assert (first.stream, second.stream, second.request, second.index) == (None, 1, None, 1)
    assert (connection.requests, connection.responses) == (1, 2)


def test_what_the_server_promises_it_need_not_acknowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, _ = told(monkeypatch, h2().s("FIN ACK"), request(4, 0, 1), request(5, 1, 2))
    asked, promised = (exchange.request for exchange in connection.exchanges)
    assert asked is not None
    assert promised is not None
    assert asked.acknowledged_bytes is not None
    assert (promised.acknowledged_bytes, connection.exchanges[1].race) == (None, None)


# ---- the layers' records


def test_the_http2_record_is_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Http2Account(streams=7, peak_streams=3, stream_limit=100, refused_streams=1, streams_above_goaway=2)
    client, server = account.sides
    client.settings.append(Settings(4, START_NS, False, {"ENABLE_PUSH": 0, "0x2f": 7}, ["0x2f", "ENABLE_PUSH"], 90))
    client.frames, client.first_window_update, client.window_updates = {"SETTINGS": 1, "0xfa": 2}, 5, 6
    server.goaways.append(Goaway(5, START_NS, 2**31 - 1, "NO_ERROR", "see //user:pw@host?x=1"))
    server.rst_streams, server.window_stalls_ns, server.pings = {"CANCEL": 1}, 8, 9
    account.pings.append(Ping(FROM_SERVER, 5, "0011223344556677", START_NS, 1_000))
    account.forbidden_fields.append(ForbiddenField(4, "connection"))
    connection, _ = told(monkeypatch, h2(), at(4, Http2Started, account))
    assert msgspec.to_builtins(connection.http2) == {
        "client": {
            "settings": [
                {
                    "packet": 4,
                    "time_ns": START_NS,
                    "ack": False,
                    "values": {"ENABLE_PUSH": 0, "0x2f": 7},
                    "order": ["0x2f", "ENABLE_PUSH"],
                    "ack_ns": 90,
                }
            ],
            "first_window_update": 5,
            "goaways": [],
            "rst_streams": {},
            "window_updates": 6,
            "window_stalls_ns": 0,
            "pings": 0,
            "frames": {"SETTINGS": 1, "0xfa": 2},
        },
        "server": {
            "settings": [],
            "first_window_update": None,
            "goaways": [
                {
                    "packet": 5,
                    "time_ns": START_NS,
                    "last_stream_id": 2**31 - 1,
                    "error": "NO_ERROR",
                    "debug": "see //…@host?…",
                }
            ],
            "rst_streams": {"CANCEL": 1},
            "window_updates": 0,
            "window_stalls_ns": 8,
            "pings": 9,
            "frames": {},
        },
        "streams": 7,
        "peak_streams": 3,
        "stream_limit": 100,
        "refused_streams": 1,
        "streams_above_goaway": 2,
        "headers_reliable": True,
        "pings": [{"from": "server", "packet": 5, "payload": "0011223344556677", "sent_ns": START_NS, "ack_ns": 1_000}],
        "forbidden_headers": [{"packet": 4, "name": "connection"}],
    }
    assert (connection.tls, connection.websocket, connection.grpc, connection.proxy_protocol) == (None,) * 4


def test_accounts_are_read_when_the_connection_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Http2Account()
    play(monkeypatch, Script(at(4, Http2Started, account)))
    account.streams = 5
    (connection,) = inspect(h2()).connections
    assert connection.http2 is not None
    assert connection.http2.streams == 5


def test_the_tls_record_is_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    account = TlsAccount(
        version="TLS 1.3",
        sni="a.example",
        alpn_offered=["h2", "http/1.1"],
        alpn="h2",
        cipher="TLS_AES_128_GCM_SHA256",
        resumed=True,
        resumption="psk",
        early_data=False,
        retry=True,
        client_certificate=False,
        certificate_names=["a.example"],
        tickets=2,
        hello_ns=START_NS,
        established_ns=START_NS + 5 * MILLISECOND,
        decrypted=True,
        close_notify=[True, None],
        alerts=[Alert(5, START_NS, FROM_SERVER, None, None, False)],
    )
    connection, endpoint = told(
        monkeypatch, opened().c(HELLO).s(b"answer").close(), at(4, TlsStarted, account), protocol="h2"
    )
    assert msgspec.to_builtins(connection.tls) == {
        "version": "TLS 1.3",
        "sni": "a.example",
        "alpn_offered": ["h2", "http/1.1"],
        "alpn": "h2",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "resumed": True,
        "resumption": "psk",
        "early_data": False,
        "retry": True,
        "client_certificate": False,
        "certificate_names": ["a.example"],
        "tickets": 2,
        "handshake_ns": 5 * MILLISECOND,
        "decrypted": True,
        "why_not": None,
        "client_closes": True,
        "server_closes": None,
        "alerts": [
            {
                "by": "server",
                "packet": 5,
                "time_ns": START_NS,
                "level": None,
                "description": None,
                "inferred": False,
            }
        ],
    }
    tls = endpoint.handshake.tls
    assert (tls.n, tls.median_ns, tls.resumed) == (1, 5 * MILLISECOND, 1)
    assert endpoint.protocols == {"h2": 1}


def test_a_handshake_that_was_not_seen_whole_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for account in (TlsAccount(hello_ns=START_NS), TlsAccount(established_ns=START_NS, resumed=True)):
        connection, endpoint = told(monkeypatch, opened().c(HELLO), at(4, TlsStarted, account), protocol="tls")
        assert connection.tls is not None
        assert connection.tls.handshake_ns is None
        assert (endpoint.handshake.tls.n, endpoint.handshake.tls.resumed) == (0, 0)


def test_websocket_grpc_and_proxy_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    websocket = WebSocketAccount([3, 4], 1, 2, WebSocketClose(FROM_CLIENT, 1000, "bye ?token=s3cret"))
    events: list[Event] = [
        at(4, ProxyHeaderReceived, 2, "192.0.2.1:5", None),
        at(4, WebSocketStarted, websocket),
        *(at(5, TrailersReceived, 0, 1, FROM_SERVER, status) for status in ("0", " 0", "14", "x", "9999", "²", None)),
        at(5, TrailersReceived, 0, 1, FROM_CLIENT, "0"),
    ]
    connection, _ = told(monkeypatch, h2(), *events)
    assert msgspec.to_builtins(connection.websocket) == {
        "client_messages": 3,
        "server_messages": 4,
        "pings": 1,
        "pongs": 2,
        "close": {"by": "client", "code": 1000, "reason": "bye ?…"},
    }
    assert msgspec.to_builtins(connection.grpc) == {"statuses": {"0": 2, "14": 1, "invalid": 3}}
    assert msgspec.to_builtins(connection.proxy_protocol) == {
        "version": 2,
        "source": "192.0.2.1:5",
        "destination": None,
    }
    connection, _ = told(monkeypatch, h2(), *events, options=Options(show_secrets=True))
    assert connection.websocket is not None
    assert connection.websocket.close is not None
    assert connection.websocket.close.reason == "bye ?token=s3cret"


def test_plain_http1_has_no_layers() -> None:
    connection = inspect(opened().exchange().close()).connections[0]
    layers = (connection.tls, connection.http2, connection.websocket, connection.grpc, connection.proxy_protocol)
    assert layers == (None,) * 5


# ---- names, tunnels, encryption


def test_the_name_of_the_handshake_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    account = TlsAccount(sni="Shop.Example")
    events: list[Event] = [
        at(4, TlsStarted, account),
        request(4, 0, 1, "a.example"),
        request(4, 1, 3, "shop.example:443"),
    ]
    connection, endpoint = told(monkeypatch, opened().c(HELLO), *events)
    assert (connection.name, connection.names, connection.name_from) == ("shop.example", ["a.example"], "sni")
    assert endpoint.names == {"shop.example": 1}
    connection, _ = told(monkeypatch, opened().c(HELLO), *events, options=Options(names=False))
    assert (connection.name, connection.names, connection.name_from) == (None, [], None)


def test_in_a_tunnel_is_told_what_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is that of the tunnel's end, not of the server, which is a proxy."""
    outside, inside = TlsAccount(sni="proxy.example"), TlsAccount(sni="a.example")
    connection, _ = told(
        monkeypatch,
        opened().c(HELLO).s(b"answer"),
        at(4, TlsStarted, outside),
        request(4, 0, None, "a.example:443", "a.example:443"),
        at(4, Upgraded, 0, "connect", "a.example:443"),
        at(4, TlsStarted, inside),
        request(4, 1, None),
        at(5, Upgraded, 1, "websocket", None),
        protocol="http/1.1",
    )
    assert connection.tls is not None
    assert connection.tls.sni == "a.example"
    assert (connection.name, connection.names, connection.name_from) == ("a.example", [], "sni")
    assert connection.tunnel == Tunnel("a.example:443")
    assert connection.upgrade == Upgrade("websocket", 5)
    assert connection.protocol == "websocket"
    assert [exchange.inside for exchange in connection.exchanges] == [False, True]


def test_what_asked_for_a_tunnel_says_nothing_about_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squid answers CONNECT with HTTP/1.0; the tunnel goes on for all that."""
    asked, answered = request(4, 0, None), response(5, 0, None)
    assert isinstance(answered, ResponseReceived)
    answered.fields.version, answered.fields.persistent = "HTTP/1.0", False
    tunnel = at(5, Upgraded, 0, "connect", "a.example:443")
    connection, _ = told(monkeypatch, h2().close("client"), asked, answered, tunnel, application=[4, 5])
    assert connection.closed is not None
    assert connection.closed.announced is None
    connection, _ = told(monkeypatch, h2().close("client"), asked, answered, application=[4, 5])
    assert connection.closed is not None
    assert connection.closed.announced is not None


def test_encrypted_requests_are_estimated_and_spoil_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    account = TlsAccount(estimated_exchanges=12)
    script = Script(at(4, TlsStarted, account), protocol="tls")
    play(monkeypatch, script)
    secret = Talk("10.0.0.1:1").handshake().c(HELLO).close()
    connection = inspect(secret).connections[0]
    assert (connection.requests, connection.responses) == (None, None)
    assert connection.estimate == Estimate(12, "records")
    (endpoint,) = inspect(secret, Talk("10.0.0.1:2", start=1).handshake()).endpoints
    assert (endpoint.requests, endpoint.estimate) == (None, Estimate(12, "records"))
    assert (endpoint.requests_per_connection.histogram, endpoint.requests_per_connection.partial) == ({}, 2)
    assert [(client.opened, client.requests) for client in endpoint.clients] == [(2, 0)]


def test_without_an_estimate_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, endpoint = told(monkeypatch, opened().c(HELLO), at(4, TlsStarted, TlsAccount()), protocol="tls")
    assert (connection.requests, connection.estimate) == (None, None)
    assert (endpoint.requests, endpoint.estimate) == (None, None)
    assert [client.requests for client in endpoint.clients] == [None]


def test_an_estimate_is_for_what_was_not_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    account = TlsAccount(estimated_exchanges=12)
    connection, endpoint = told(monkeypatch, opened().c(HELLO), at(4, TlsStarted, account), protocol="h2")
    assert (connection.requests, connection.estimate) == (0, None)
    assert (endpoint.requests, endpoint.estimate) == (0, None)


# ---- announcements


def test_goaway_announces_the_close_and_ends_idleness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy's drain: GOAWAY after 5 s of idleness; the client closes a second later."""
    talk = h2(5).s(b"goaway").wait(1).close("client")
    goaway_ns = talk.packets[5].time_ns
    connection, endpoint = told(monkeypatch, talk, goaway(6, goaway_ns), application=[4, 5])
    closed = connection.closed
    assert closed is not None
    assert closed.by == "client"
    assert closed.announced == Announced("server", "goaway", 6, goaway_ns)
    assert closed.idle_ns == goaway_ns - talk.packets[4].time_ns
    assert (endpoint.decided.client, endpoint.decided.server) == (0, 1)
    assert endpoint.announced == [AnnouncedCount("server", "goaway", "client", "fin", 1)]


def test_goaway_with_the_last_answer_does_not_end_idleness(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = h2(5).close("server")
    connection, _ = told(monkeypatch, talk, goaway(5, talk.packets[4].time_ns), application=[4, 5])
    assert connection.closed is not None
    assert connection.closed.announced is not None
    assert connection.closed.idle_ns == 5 * SECOND + MILLISECOND


def test_goaway_during_an_exchange_announces_but_close_notify_ends_idleness(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = opened().c(PREFACE).s(b"goaway").s(b"answer").wait(2).s(b"notify").wait(1).close("server")
    connection, _ = told(
        monkeypatch,
        talk,
        goaway(5, talk.packets[4].time_ns),
        close_notify(7, talk.packets[6].time_ns),
        application=[4, 6],
    )
    closed = connection.closed
    assert closed is not None
    assert closed.announced is not None
    assert (closed.announced.how, closed.announced.packet) == ("goaway", 5)
    assert closed.idle_ns == 2 * SECOND + MILLISECOND


@pytest.mark.parametrize("inferred", [False, True])
def test_close_notify_announces_the_close(monkeypatch: pytest.MonkeyPatch, inferred: bool) -> None:
    talk = h2(3).c(b"notify").close("server")
    notify = close_notify(6, talk.packets[5].time_ns, FROM_CLIENT, inferred)
    connection, endpoint = told(monkeypatch, talk, notify, application=[4, 5])
    closed = connection.closed
    assert closed is not None
    assert closed.announced == Announced("client", "close-notify", 6, talk.packets[5].time_ns)
    assert closed.idle_ns == 3 * SECOND + MILLISECOND
    assert (endpoint.decided.client, endpoint.decided.server) == (1, 0)


def test_what_is_inferred_late_was_the_first_sign_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = h2(3).s(b"small").s(b"small").close("server")
    first, second = (packet.time_ns for packet in talk.packets[5:7])
    connection, _ = told(
        monkeypatch, talk, close_notify(7, second), close_notify(6, first, inferred=True), application=[4, 5]
    )
    assert connection.closed is not None
    assert connection.closed.announced is not None
    assert connection.closed.announced.packet == 6
    assert connection.closed.idle_ns == first - talk.packets[4].time_ns


def test_other_alerts_and_what_comes_after_the_close_announce_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = h2(3).s(b"alert").s("FIN ACK").c(b"notify").c("FIN ACK").s("ACK")
    time_ns = talk.packets[5].time_ns
    alert = Alert(6, time_ns, FROM_SERVER, "fatal", "internal_error", False)
    connection, _ = told(
        monkeypatch,
        talk,
        AlertReceived(6, time_ns, alert),
        close_notify(8, talk.packets[7].time_ns, FROM_CLIENT),
        application=[4, 5],
    )
    assert connection.closed is not None
    assert connection.closed.announced is None
    assert connection.closed.idle_ns == talk.packets[6].time_ns - talk.packets[4].time_ns


def test_without_application_bytes_idleness_begins_with_the_tls_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = opened().c(HELLO).s(b"hello").wait(4).close("server")
    account = TlsAccount(hello_ns=START_NS, established_ns=talk.packets[4].time_ns)
    connection, _ = told(monkeypatch, talk, at(4, TlsStarted, account), protocol="tls")
    assert connection.closed is not None
    assert connection.closed.idle_ns == 4 * SECOND + MILLISECOND


def test_of_a_flood_of_announcements_the_last_ones_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = h2(1)
    for _ in range(MAX_SIGNS + 3):
        talk.s(b"goaway").wait(1)
    floods = [goaway(6 + n, talk.packets[5 + n].time_ns) for n in range(MAX_SIGNS + 3)]
    connection, _ = told(monkeypatch, talk.close("server"), *floods, application=[4, 5])
    assert connection.closed is not None
    assert connection.closed.announced is not None
    assert connection.closed.announced.packet == 6, "the first is known for good"
    assert connection.closed.idle_ns == SECOND + MILLISECOND
