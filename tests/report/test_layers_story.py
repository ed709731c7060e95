"""Stories of TLS, HTTP/2 and WebSocket: a record and its events in, a transcript out."""

from __future__ import annotations

import re
from typing import Any

from inspector.records.carried import Grpc, WebSocket
from inspector.records.connection import Announced, Connection, Estimate, Tunnel
from inspector.records.event import EventRecord
from inspector.records.exchange import Exchange, Reset
from inspector.records.http2 import GoawayFrame, PingFrame, SettingsFrame
from inspector.report.layout import Screen
from inspector.report.story import story
from inspector.report.summary import TOLD_MESSAGES
from tests.report import samples
from tests.report.samples import MS, SECOND, START_NS, event, exchange, request, response

PING = "0011223344556677"


def told(connection: Connection, events: list[EventRecord], everything: bool = False) -> list[str]:
    """The lines between the title and the totals, without time and packet, columns two blanks apart."""
    lines = list(story(connection, events, Screen(), everything))[2:]
    return [re.sub(" {2,}", "  ", line[13:].lstrip("0123456789 ")) for line in lines[: lines.index("")]]


def below(connection: Connection) -> list[str]:
    """The totals."""
    lines = list(story(connection, [], Screen(), everything=False))
    return lines[len(lines) - lines[::-1].index("") :]


def h2(**changes: Any) -> Connection:
    return samples.connection(**{"protocol": "h2", "exchanges": [], **changes})


def stream(number: int, asked: int, answered: int | None, **changes: Any) -> Exchange:
    """An exchange on an HTTP/2 stream: packets by millisecond."""
    plain: dict[str, Any] = {"connection": None, "version": "HTTP/2", "persistent": None}
    answer = None if answered is None else response(answered, answered * MS, keep_alive=None, **plain)
    return exchange(number // 2, request(asked, asked * MS, **plain), answer, stream=number, **changes)


def messages(*exchanges: Exchange) -> list[EventRecord]:
    """The events of exchanges in the order of their packets."""
    events = []
    for one in exchanges:
        if one.request is not None:
            at_ns = one.request.time_ns - START_NS
            events.append(event("request", one.request.packet, at_ns, "client", one.index))
            events.append(event("request-end", one.request.packet, at_ns, "client", one.index))
        if one.response is not None:
            at_ns = one.response.time_ns - START_NS
            events.append(event("response", one.response.packet, at_ns, "server", one.index))
            events.append(event("response-end", one.response.packet, at_ns, "server", one.index))
    return sorted(events, key=lambda one: one.packet)


def test_a_drain() -> None:
    """What one shows a colleague: two steps of GOAWAY, what they left undone, and who closed in the end."""
    exchanges = [stream(1, 4, 5), stream(3, 8, None), stream(5, 10, None)]
    record = samples.http2()
    record.server.goaways = [
        GoawayFrame(7, START_NS, 2**31 - 1, "NO_ERROR", ""),
        GoawayFrame(9, START_NS, 3, "NO_ERROR", "max_age"),
    ]
    connection = h2(exchanges=exchanges, http2=record)
    assert connection.closed is not None
    connection.closed.announced = Announced("server", "goaway", 7, START_NS + 5_005 * MS)
    events = [
        event("settings", 4, 0, "client", detail="ENABLE_PUSH=0"),
        event("settings", 5, 0, "server", detail="MAX_CONCURRENT_STREAMS=128, 0x2f=1"),
        event("settings-ack", 6, 0, "client"),
        *messages(exchanges[0]),
        event("goaway", 7, 5_005 * MS, "server", detail="NO_ERROR, last stream 2147483647"),
        *messages(*exchanges[1:2]),
        event("goaway", 9, 5_008 * MS, "server", detail='NO_ERROR, last stream 3, says "max_age, really"'),
        *messages(*exchanges[2:]),
        event("fin", 25, 7_003 * MS, "server"),
    ]
    assert told(connection, events) == [
        "client  SETTINGS  ENABLE_PUSH=0, acknowledged in 0.30 ms",
        "server  SETTINGS  MAX_CONCURRENT_STREAMS=128, 0x2f=1, not acknowledged",
        "client  GET /a  #1",
        "server  200, 6 bytes in 1.00 ms  #1",
        "· idle 5.00 s ·",
        "server  GOAWAY NO_ERROR  no new streams, those under way go on, announces the close",
        "client  GET /a  #3  no response",
        'server  GOAWAY NO_ERROR  last stream 3, says "max_age, really", 1 request above it not processed',
        "client  GET /a  #5  no response, above the last stream of GOAWAY, 3: not processed",
        "server  FIN  closed first, idle 7.00 s, announced by the server (GOAWAY, packet 7)",
    ]
    everything = told(connection, events, everything=True)
    assert "client  SETTINGS ACK" in everything
    assert len(everything) == 11


def test_a_goaway_that_only_its_length_gives_away() -> None:
    connection = samples.connection(exchanges=[], protocol="tls")
    assert connection.closed is not None
    connection.closed.announced = Announced("server", "goaway", 7, START_NS)
    events = [event("goaway", 7, MS, "server", detail="told from its length")]
    assert told(connection, events) == ["server  GOAWAY  told from its length, announces the close"]


def test_settings_that_only_repeat_the_default_are_counted() -> None:
    detail = "HEADER_TABLE_SIZE=4096, MAX_FRAME_SIZE=16384, INITIAL_WINDOW_SIZE=65536, ENABLE_PUSH=1"
    events = [event("settings", 4, 0, "client", detail=detail)]
    assert told(h2(), events) == ["client  SETTINGS  INITIAL_WINDOW_SIZE=65536, 3 as by default"]
    assert told(h2(), events, everything=True) == [f"client  SETTINGS  {detail}"]


def test_pings_are_told_with_their_answers() -> None:
    record = samples.http2(
        pings=[PingFrame("server", 9, PING, START_NS, 400_000), PingFrame("client", 11, PING, START_NS, None)]
    )
    events = [
        event("ping", 9, 0, "server", detail=PING),
        event("ping-ack", 10, 400_000, "client", detail=f"{PING}, after 0.40 ms"),
        event("ping", 11, SECOND, "client", detail=PING),
        event("ping", 12, SECOND, "client", detail="beyond what is kept"),
    ]
    assert told(h2(http2=record), events) == [
        "server  PING  answered in 0.40 ms",
        "client  PING  not answered",
        "client  PING",
    ]


def test_a_beat_of_pings_is_one_line_and_no_use_of_the_connection() -> None:
    exchanges = [stream(1, 4, 5)]
    pings = [PingFrame("server", 10 + 2 * i, PING, START_NS, 400_000) for i in range(5)]
    events = messages(*exchanges)
    for i, ping in enumerate(pings):
        events.append(event("ping", ping.packet, (10 * i + 10) * SECOND, "server", detail=PING))
        events.append(event("ping-ack", ping.packet + 1, (10 * i + 10) * SECOND + MS, "client", detail=PING))
    events.append(event("goaway", 30, 55 * SECOND, "server", detail="NO_ERROR, last stream 1"))
    assert told(h2(exchanges=exchanges, http2=samples.http2(pings=pings)), events) == [
        "client  GET /a  #1",
        "server  200, 6 bytes in 1.00 ms  #1",
        "server  PING ×5  packets 10 to 18, every 10.0 s",
        "· idle 55.0 s, but for PING ·",
        "server  GOAWAY NO_ERROR  last stream 1",
    ]


def test_unanswered_pings_say_so_when_they_are_summed_up() -> None:
    pings = [PingFrame("client", i, PING, START_NS, None) for i in range(1, 6)]
    events = [event("ping", ping.packet, ping.packet * SECOND, "client", detail=PING) for ping in pings]
    assert told(h2(http2=samples.http2(pings=pings)), events) == [
        "client  PING ×5  not answered, packets 1 to 5, every 1.00 s"
    ]


def test_resets_trailers_and_stalls() -> None:
    exchanges = [stream(1, 4, None, complete=False, reset=Reset("server", "REFUSED_STREAM")), stream(3, 6, 7)]
    events = [
        *messages(exchanges[0]),
        event("stream-reset", 5, 5 * MS, "server", 0, "REFUSED_STREAM, stream 1"),
        *messages(exchanges[1]),
        event("trailers", 8, 8 * MS, "server", 1, "grpc-status 14"),
        event("stream-reset", 9, 9 * MS, "client", 1, "NO_ERROR, stream 3"),
        event("stream-reset", 10, 10 * MS, "client", None, "CANCEL, stream 9"),
        event("window-stall", 11, 11 * MS, "server", detail="120.0 ms, stream 3"),
    ]
    assert told(h2(exchanges=exchanges), events) == [
        "client  GET /a  #1  no response",
        "server  RST_STREAM REFUSED_STREAM  #1  the exchange was not whole",
        "client  GET /a  #3",
        "server  200, 6 bytes in 1.00 ms  #3",
        "server  trailers  #3  grpc-status 14",
        "client  RST_STREAM NO_ERROR  #3  the exchange was whole",
        "client  RST_STREAM CANCEL  #9",
        "server  held up 120.0 ms by a closed window  stream 3",
    ]


def test_a_reset_stream_is_no_longer_under_way() -> None:
    exchanges = [stream(1, 4, None)]
    events = [
        *messages(*exchanges),
        event("stream-reset", 5, 5 * MS, "client", 0, "CANCEL, stream 1"),
        event("fin", 6, 5 * SECOND, "client"),
    ]
    assert "· idle 5.00 s ·" in told(h2(exchanges=exchanges), events)


def test_streams_side_by_side_are_counted_but_for_what_is_not_ordinary() -> None:
    exchanges = [stream(2 * i + 1, 100 + i, 200 - i) for i in range(40)]
    failed = exchanges[20].response
    assert failed is not None
    failed.status = 503
    lines = told(h2(exchanges=exchanges), messages(*exchanges))
    assert [line for line in lines if line.startswith("·") or "503" in line] == [
        "· 3 more like these, packets 103 to 105 ·",
        "· 32 more requests and 19 more responses, packets 108 to 179 ·",
        "server  503, 6 bytes in 60.0 ms  #41",
        "· 16 more responses, packets 181 to 196 ·",
    ]
    assert len(told(h2(exchanges=exchanges), messages(*exchanges), everything=True)) == 80


def test_messages_that_alternate_are_counted_together() -> None:
    exchanges = [stream(2 * i + 1, 100 + 3 * i, 110 + 3 * i) for i in range(TOLD_MESSAGES)]
    for one in exchanges[::2]:
        assert one.request is not None
        one.request.method = "POST"
    lines = told(h2(exchanges=exchanges), messages(*exchanges))
    assert len(lines) == 8 + 1 + 4
    assert lines[8] == "· 18 more requests and 18 more responses, packets 116 to 169 ·"


def test_one_handshake_is_one_line() -> None:
    events = [
        event("client-hello", 4, 0, "client", detail="shop.test, offers h2 http/1.1"),
        event("tls", 7, 11 * MS, "client", detail="TLS 1.3, full handshake, 11.00 ms, ALPN h2 http/1.1 → h2"),
        event("close-notify", 8, 12 * MS, "client"),
        event("close-notify", 9, 13 * MS, "server", detail="told from its length"),
    ]
    connection = samples.connection(exchanges=[], tls=samples.tls(), protocol="h2")
    assert connection.closed is not None
    connection.closed.announced = Announced("client", "close-notify", 8, START_NS + 12 * MS)
    assert told(connection, events) == [
        "client  TLS 1.3 handshake  full handshake, 11.00 ms, ALPN h2 http/1.1 → h2",
        "client  close_notify  announces the close",
        "server  close_notify  told from its length",
    ]


def test_a_handshake_that_failed_shows_the_hello_and_the_alert() -> None:
    events = [
        event("client-hello", 4, 0, "client", detail="shop.test"),
        event("alert", 5, MS, "server", detail="fatal handshake_failure"),
    ]
    assert told(samples.connection(exchanges=[]), events) == [
        "client  ClientHello  shop.test",
        "server  TLS alert fatal handshake_failure",
    ]


def test_a_close_notify_in_the_packet_of_the_fin_is_not_told_twice() -> None:
    connection = samples.connection(exchanges=[])
    assert connection.closed is not None
    connection.closed.announced = Announced("server", "close-notify", 25, START_NS)
    events = [event("close-notify", 25, 7_003 * MS, "server"), event("fin", 25, 7_003 * MS, "server")]
    assert told(connection, events) == [
        "server  close_notify  announces the close",
        "server  FIN  closed first, idle 7.00 s",
    ]


def test_a_websocket_in_a_tunnel() -> None:
    connection = samples.connection(exchanges=[], tunnel=Tunnel("shop.test:443"))
    events = [
        event("proxy-header", 4, 0, "client", detail="version 2, 192.0.2.1:5 → nobody named"),
        event("upgrade", 5, MS, "server", 0, "to shop.test:443"),
        event("upgrade", 7, 2 * MS, "server", 1, "to websocket"),
        event("websocket-close", 8, 3 * MS, "client", detail="1001 going away"),
    ]
    assert told(connection, events) == [
        "client  PROXY protocol  version 2, 192.0.2.1:5 → nobody named",
        "server  tunnel to shop.test:443",
        "server  upgrade to websocket",
        "client  WebSocket Close 1001 going away",
    ]


def test_silence_is_not_told_where_one_cannot_hear() -> None:
    """Frames of a WebSocket are no events, nor is what a tunnel carries."""
    exchanges = [
        exchange(0, request(4, 0), response(5, MS)),
        exchange(1, request(8, 9 * SECOND), response(9, 9 * SECOND)),
    ]
    opening, later = messages(exchanges[0]), messages(exchanges[1])
    events = [*opening, event("upgrade", 5, MS, "server", 0, "to websocket"), event("fin", 6, 5 * SECOND, "client")]
    assert not [line for line in told(samples.connection(exchanges=exchanges), events) if "idle" in line[:20]]
    tunnelled = [*events[:-1], *later, event("fin", 10, 12 * SECOND, "client")]
    lines = told(samples.connection(exchanges=exchanges), tunnelled)
    assert [line for line in lines if line.startswith("·")] == ["· idle 3.00 s ·"]


def test_a_push_says_who_pushed_it() -> None:
    exchanges = [stream(2, 4, 5)]
    assert told(h2(exchanges=exchanges), messages(*exchanges))[0] == "client  GET /a  #2  pushed by the server"


def test_below_stands_what_is_only_counted() -> None:
    assert below(h2(http2=samples.http2())) == [
        "  client   7 packets, 360 bytes",
        "           SETTINGS ×2, HEADERS ×2, WINDOW_UPDATE ×1",
        "  server   7 packets, 1,500 bytes",
        "           SETTINGS ×2, HEADERS ×1, DATA ×1, PING ×1, GOAWAY ×1, RST_STREAM ×1, "
        "held up 120 ms by closed windows",
        "  http/2   2 streams, at most 2 at once of 128 allowed, 1 refused, 1 above GOAWAY's last stream, "
        "forbidden header fields: connection",
    ]
    plain = samples.http2(stream_limit=None, refused_streams=0, streams_above_goaway=0, forbidden_headers=[])
    plain.headers_reliable = False
    assert below(h2(http2=plain))[-1] == (
        "  http/2   2 streams, at most 2 at once, "
        "some header fields could not be read: what they refer to is not in the capture"
    )


def test_below_stands_what_was_hidden() -> None:
    hidden = samples.tls(decrypted=False, why_not="no CLIENT_TRAFFIC_SECRET_0 in the key log\x1b[2J")
    secret = samples.connection(protocol="tls", exchanges=[], tls=hidden, estimate=Estimate(1, "records"))
    assert below(secret)[-1] == (
        "  tls      not decrypted: no CLIENT_TRAFFIC_SECRET_0 in the key log\\x1b[2J, "
        "about 1 exchange, by bursts of records"
    )
    assert next(story(secret, [], Screen(), everything=False)).count("tls, encrypted") == 1
    partly = samples.connection(tls=samples.tls(why_not="one record failed"))
    assert below(partly)[-1] == "  tls      partly decrypted: one record failed"
    assert not [line for line in below(samples.connection(tls=samples.tls())) if "tls" in line]


def test_below_stand_messages_and_statuses() -> None:
    connection = samples.connection(websocket=WebSocket(1, 4, 2, 2, None), grpc=Grpc({"0": 3, "14": 1}))
    assert below(connection)[-2:] == [
        "  websocket  1 message of the client, 4 of the server, ping ×2, pong ×2",
        "  grpc     status 0 ×3, status 14 ×1",
    ]


def test_text_from_the_wire_is_escaped() -> None:
    record = samples.http2()
    record.client.settings = [SettingsFrame(4, START_NS, False, {}, [], None)]
    events = [
        event("goaway", 4, 0, "server", detail='NO_ERROR, last stream 1, says "\x1b[2J"'),
        event("alert", 5, 0, "server", detail="\x9b"),
        event("websocket-close", 6, 0, "client", detail="1000 \u202e"),
        event("client-hello", 7, 0, "client", detail="\x1b]0;x\x07, offers \x1b"),
        event("tls", 3, 0, "client", detail="TLS 1.3, ALPN \x1b"),
        event("settings", 4, 0, "client"),
        event("stream-reset", 4, 0, "client", None, "\x1b, stream 1"),
    ]
    assert "".join(told(h2(http2=record), events)).isprintable()
    assert any("nothing but defaults, not acknowledged" in line for line in told(h2(http2=record), events))
