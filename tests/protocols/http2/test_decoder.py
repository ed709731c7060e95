"""HTTP/2 on a connection: conversations in, transcripts out."""

from __future__ import annotations

from inspector.bytestream import Ending
from inspector.events import (
    Anomaly,
    MessageEnded,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
)
from tests.protocols.http1.playbook import client, client_end, client_lost, server, server_end, server_lost, together
from tests.protocols.http2.playbook import (
    GET,
    OK,
    OPENING,
    PREFACE,
    SETTINGS,
    SETTINGS_ACK,
    Blocks,
    Peers,
    account,
    continuation,
    data,
    exchanged,
    frame,
    get,
    goaway,
    headers,
    line,
    ping,
    plain,
    played,
    promise,
    reset,
    settings,
    told,
    window_update,
)

REQUEST = headers(1, plain(GET), 0x5)
RESPONSE = headers(1, plain(OK), 0x4)


class TestExchanges:
    def test_one_exchange(self) -> None:
        assert exchanged(client(REQUEST), server(RESPONSE + data(1, b"hello", 0x1))) == [
            "4: #0/1 > GET /",
            "4: #0/1 > end, 0 bytes",
            "5: #0/1 < 200",
            "5: #0/1 < end, 5 bytes",
        ]

    def test_real_peers(self) -> None:
        peers = Peers()
        for stream, path in ((1, "/a"), (3, "/b")):
            peers.client.send_headers(stream, get(path, ("user-agent", "me"), ("te", "trailers")), end_stream=True)
        peers.turn()
        peers.server.send_headers(3, [*OK, ("content-length", "2"), ("via", "1.1 p")])
        peers.server.send_data(3, b"ok", end_stream=True)
        peers.server.send_headers(1, [(":status", "404")], end_stream=True)
        peers.turn()
        conversation = played(peers.steps)
        told = [line(event) for event in conversation.events]
        assert [each for each in told if "SETTINGS" not in each] == [
            "1: HTTP/2",
            "4: #0/1 > GET /a",
            "4: #0/1 > end, 0 bytes",
            "4: #1/3 > GET /b",
            "4: #1/3 > end, 0 bytes",
            "5: #1/3 < 200",
            "5: #1/3 < end, 2 bytes",
            "5: #0/1 < 404",
            "5: #0/1 < end, 0 bytes",
        ]
        (request,) = [e for e in conversation.events if isinstance(e, RequestReceived) and e.stream == 3]
        fields = request.fields
        assert (fields.method, fields.target, fields.authority, fields.version) == (
            "GET",
            "/b",
            "example.com",
            "HTTP/2",
        )
        assert (fields.user_agent, fields.te, fields.persistent, fields.connection) == ("me", "trailers", None, None)
        (response,) = [e for e in conversation.events if isinstance(e, ResponseReceived) and e.stream == 3]
        assert (response.fields.status, response.fields.content_length, response.fields.via) == (200, 2, "1.1 p")
        assert (response.fields.server, response.fields.reason, response.fields.persistent) == ("test", None, None)
        seen = account(conversation.events)
        assert (seen.streams, seen.peak_streams, seen.headers_reliable) == (2, 2, True)
        assert seen.sides[0].frames == {"SETTINGS": 2, "HEADERS": 2}
        assert seen.sides[1].frames == {"SETTINGS": 2, "HEADERS": 2, "DATA": 1}
        assert conversation.decoder.protocol == "h2c"

    def test_frames_are_dated_by_the_packet_that_completes_them(self) -> None:
        block = plain(GET)
        conversation = played(
            [
                *OPENING,
                client(headers(1, block[:10], 0x0)[:5]),
                client(headers(1, block[:10], 0x0)[5:]),
                client(continuation(1, block[10:])[:-1]),
                client(block[-1:] + data(1, b"abcdef", 0x1)[:11]),
                client(b"cdef"),
                server(RESPONSE[:9]),
                server(RESPONSE[9:]),
            ]
        )
        assert [line(event) for event in conversation.events][5:] == [
            "7: #0/1 > GET /",
            "8: #0/1 > end, 6 bytes",
            "10: #0/1 < 200",
        ]
        request, end, response = conversation.events[5:8]
        assert isinstance(request, RequestReceived)
        assert isinstance(end, MessageEnded)
        assert isinstance(response, ResponseReceived)
        start = len(PREFACE + SETTINGS + SETTINGS_ACK)
        assert (request.offset, request.first_packet) == (start, 4)
        assert end.end_offset == conversation.offsets[0]
        assert (response.first_packet, response.first_ns) == (9, 9000)

    def test_interim_responses_and_trailers(self) -> None:
        lines = exchanged(
            client(headers(1, plain([*GET[1:], (":method", "POST")]))),
            server(headers(1, plain([(":status", "100")]))),
            client(data(1, b"abc") + headers(1, plain([("checksum", "1")]), 0x5)),
            server(RESPONSE + data(1, b"x") + headers(1, plain([("grpc-status", "7")]), 0x5)),
        )
        assert lines == [
            "4: #0/1 > POST /",
            "5: #0/1 < 100 interim",
            "6: #0/1 > trailers",
            "6: #0/1 > end, 3 bytes",
            "7: #0/1 < 200",
            "7: #0/1 < trailers grpc-status 7",
            "7: #0/1 < end, 1 bytes",
        ]

    def test_a_grpc_status_may_come_with_the_header_section(self) -> None:
        response = headers(1, plain([*OK, ("grpc-status", "14")]), 0x5)
        assert exchanged(client(REQUEST), server(response))[2:] == [
            "5: #0/1 < 200",
            "5: #0/1 < trailers grpc-status 14",
            "5: #0/1 < end, 0 bytes",
        ]

    def test_padding_and_priority_are_no_content(self) -> None:
        padded = b"\x03" + b"\x00\x00\x00\x00\x10" + plain(GET) + b"\0\0\0"
        body = b"\x04" + b"hello" + b"\0" * 4
        lines = exchanged(
            client(headers(1, padded, 0x2D)),
            server(headers(1, b"\x01" + plain(OK) + b"\0", 0xC) + data(1, body, 0x9)),
        )
        assert lines == [
            "4: #0/1 > GET /",
            "4: #0/1 > end, 0 bytes",
            "5: #0/1 < 200",
            "5: #0/1 < end, 5 bytes",
        ]

    def test_a_promised_request_has_an_exchange_of_its_own(self) -> None:
        conversation = played(
            [
                *OPENING,
                client(REQUEST),
                server(promise(1, 2, plain(get("/style.css"))) + RESPONSE + data(1, b"", 0x1)),
                server(headers(2, plain(OK)) + data(2, b"css", 0x1)),
            ]
        )
        assert [line(event) for event in conversation.events][7:] == [
            "5: #1/2 > GET /style.css",
            "5: #1/2 > end, 0 bytes",
            "5: #0/1 < 200",
            "5: #0/1 < end, 0 bytes",
            "6: #1/2 < 200",
            "6: #1/2 < end, 3 bytes",
        ]
        promised, ended = conversation.events[7:9]
        assert isinstance(promised, RequestReceived)
        assert isinstance(ended, MessageEnded)
        assert (promised.offset, ended.end_offset) == (-1, -1)
        seen = account(conversation.events)
        assert (seen.streams, seen.peak_streams) == (2, 1)

    def test_connect_and_extended_connect(self) -> None:
        conversation = played(
            [
                *OPENING,
                client(headers(1, plain([(":method", "CONNECT"), (":authority", "far:443")]))),
                server(RESPONSE + data(1, b"x" * 9)),
                client(
                    headers(
                        3,
                        plain([(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/chat"), *GET[1:2]]),
                    )
                ),
            ]
        )
        tunnel, chat = [event.fields for event in conversation.events if isinstance(event, RequestReceived)]
        assert (tunnel.method, tunnel.authority, tunnel.target, tunnel.upgrade) == ("CONNECT", "far:443", None, None)
        assert (chat.method, chat.target, chat.upgrade) == ("CONNECT", "/chat", "websocket")
        assert not [event for event in conversation.events if line(event).startswith("!")]

    def test_exchanges_share_what_they_say_alike(self) -> None:
        block = plain(GET)
        conversation = played([*OPENING, client(headers(1, block, 0x5) + headers(3, block, 0x5))])
        first, second = [event for event in conversation.events if isinstance(event, RequestReceived)]
        assert first.fields is second.fields


class TestResets:
    def test_a_reset_ends_both_messages(self) -> None:
        lines = exchanged(
            client(headers(1, plain(GET)) + data(1, b"ab")),
            server(RESPONSE + data(1, b"x")),
            client(reset(1)),
            server(data(1, b"crossed", 0x1)),
        )
        assert lines == [
            "4: #0/1 > GET /",
            "5: #0/1 < 200",
            "6: #0/1 > reset CANCEL",
            "4: #0/1 > cut short, 2 bytes",
            "5: #0/1 < cut short, 1 bytes",
        ]

    def test_refused_streams_are_counted(self) -> None:
        conversation = played([*OPENING, client(REQUEST), server(reset(1, 0x7) + reset(9, 0x99))])
        seen = account(conversation.events)
        assert seen.refused_streams == 1
        assert seen.sides[1].rst_streams == {"REFUSED_STREAM": 1, "0x99": 1}
        assert [line(event) for event in conversation.events][-2:] == [
            "5: #None/9 < reset 0x99",
            "5: ! unexpected_frame (RST_STREAM on stream 9, which was not opened)",
        ]

    def test_goaway_and_what_was_opened_above_it(self) -> None:
        conversation = played(
            [
                *OPENING,
                client(REQUEST + headers(3, plain(GET), 0x5) + headers(5, plain(GET), 0x5)),
                server(goaway(0x7FFFFFFF)),
                server(goaway(3, 0, b"max\x00_age") + headers(1, plain(OK), 0x5)),
                client(headers(7, plain(GET), 0x5)),
            ]
        )
        seen = account(conversation.events)
        assert seen.streams_above_goaway == 2
        assert [line(event) for event in conversation.events if "GOAWAY" in line(event)] == [
            "5: < GOAWAY NO_ERROR above 2147483647",
            "6: < GOAWAY NO_ERROR above 3 max\x00_age",
        ]
        assert [each.last_stream_id for each in seen.sides[1].goaways] == [0x7FFFFFFF, 3]


class TestConnection:
    def test_settings_by_name_and_how_long_their_ack_took(self) -> None:
        conversation = played(
            [
                client(PREFACE + settings((3, 100), (3, 50), (0x2F, 7))),
                server(settings((3, 128), (8, 1))),
                server(SETTINGS_ACK),
            ]
        )
        seen = account(conversation.events)
        first, answered = seen.sides[0].settings[0], seen.sides[1].settings
        assert first.values == {"MAX_CONCURRENT_STREAMS": 50, "0x2f": 7}
        assert first.order == ["MAX_CONCURRENT_STREAMS", "MAX_CONCURRENT_STREAMS", "0x2f"]
        assert first.acknowledged_ns == 2000
        assert [(each.ack, each.acknowledged_ns) for each in answered] == [(False, None), (True, None)]
        assert answered[0].values == {"MAX_CONCURRENT_STREAMS": 128, "ENABLE_CONNECT_PROTOCOL": 1}
        assert seen.stream_limit == 128
        assert len([event for event in conversation.events if isinstance(event, SettingsReceived)]) == 3

    def test_settings_on_a_stream_are_told_and_not_obeyed(self) -> None:
        misplaced = frame(0x4, 0, 5, (3).to_bytes(2, "big") + (7).to_bytes(4, "big"))
        conversation = played([*OPENING, server(misplaced + frame(0x4, 1, 5))])
        seen = account(conversation.events)
        assert [each.values for each in seen.sides[1].settings if not each.ack][-1] == {"MAX_CONCURRENT_STREAMS": 7}
        assert seen.stream_limit != 7
        assert [line(event) for event in conversation.events if isinstance(event, Anomaly)] == [
            "4: ! bad_frame (SETTINGS on stream 5)",
            "4: ! bad_frame (SETTINGS on stream 5)",
        ]

    def test_pings_and_their_round_trip(self) -> None:
        conversation = played(
            [*OPENING, server(ping()), server(ping(b"abcdefgh")), client(ping(ack=True)), client(ping(b"?" * 8, True))]
        )
        assert [line(event) for event in conversation.events][5:] == [
            "4: < PING",
            "5: < PING",
            "6: > PING ACK after 2000",
            "7: > PING ACK after None",
        ]
        seen = account(conversation.events)
        assert [(each.payload, each.ack_ns) for each in seen.pings] == [
            (b"12345678".hex(), 2000),
            (b"abcdefgh".hex(), None),
        ]
        assert (seen.sides[0].pings, seen.sides[1].pings) == (0, 2)

    def test_window_updates(self) -> None:
        conversation = played([*OPENING, client(REQUEST + window_update(0, 1000) + window_update(1, 5))])
        side = account(conversation.events).sides[0]
        assert (side.window_updates, side.first_window_update) == (2, 1000)

    def test_unknown_frames_are_counted_and_stepped_over(self) -> None:
        conversation = played([*OPENING, client(frame(0x2F, 0xFF, 1, b"anything") + REQUEST)])
        assert [line(event) for event in conversation.events][5] == "4: #0/1 > GET /"
        assert account(conversation.events).sides[0].frames["0x2f"] == 1

    def test_fields_that_belong_to_http_1_are_told(self) -> None:
        odd = [("connection", "close"), ("te", "gzip"), ("te", "trailers"), ("keep-alive", "timeout=5")]
        conversation = played([*OPENING, client(headers(1, plain([*GET, *odd]), 0x5))])
        seen = account(conversation.events)
        assert [(each.packet, each.name) for each in seen.forbidden_fields] == [
            (4, "connection"),
            (4, "te"),
            (4, "keep-alive"),
        ]
        request = next(event for event in conversation.events if isinstance(event, RequestReceived))
        assert (request.fields.connection, request.fields.te) == ("close", "gzip, trailers")


class TestApplicationBytes:
    def test_only_frames_of_exchanges_count(self) -> None:
        decoder = played([*OPENING]).decoder
        assert (decoder.application_packet, decoder.application_ns) == (None, None)
        steps = [*OPENING, client(REQUEST), server(RESPONSE + ping()), client(window_update(0, 9) + reset(1))]
        decoder = played([*steps, server(goaway(1)), server(data(1, b"x", 0x1)[:7])]).decoder
        assert (decoder.application_packet, decoder.application_ns) == (5, 5000)
        decoder = played([*steps, server(data(1, b"xyz", 0x1)[:10])]).decoder
        assert decoder.application_packet == 7

    def test_the_last_one_of_a_chunk_counts(self) -> None:
        conversation = played([*OPENING, client(REQUEST)])
        offset = conversation.offsets[1]
        parts = [(RESPONSE, 5), (data(1, b"abc")[:5], 6), (data(1, b"abc")[5:], 7), (ping(), 8), (ping()[:3], 9)]
        conversation.decoder.data(together(1, offset, parts))
        assert conversation.decoder.application_packet == 7


class TestBeginnings:
    def test_bodies_need_not_be_kept(self) -> None:
        conversation = played([*OPENING, client(REQUEST), server(RESPONSE + data(1, b"x" * 5000)[:100])])
        body_end = len(SETTINGS + SETTINGS_ACK + RESPONSE) + 9 + 5000
        assert conversation.decoder.skip_until == [0, body_end]

    def test_stream_1_of_an_upgraded_connection_was_asked_for_before(self) -> None:
        steps = [server(SETTINGS + RESPONSE), client(PREFACE + SETTINGS), server(data(1, b"ok", 0x1))]
        conversation = played(steps, upgrade="AAMAAABkAAEAACAA")
        assert [line(event) for event in conversation.events if not isinstance(event, SettingsReceived)] == [
            "1: HTTP/2",
            "1: #0/1 < 200",
            "3: #0/1 < end, 2 bytes",
        ]
        table = headers(1, b"\x3f\xe1\x3f" + plain(OK))  # a table of 8,192 bytes, which HTTP2-Settings allows
        assert "!" not in " ".join(map(line, played([server(SETTINGS + table)], upgrade="AAMAAABkAAEAACAA").events))
        assert "bad_header_block" in " ".join(map(line, played([server(SETTINGS + table)], upgrade="").events))

    def test_http2_settings_that_are_none(self) -> None:
        lines = [line(event) for event in played([server(SETTINGS)], upgrade="!").events]
        assert lines[:2] == ["1: HTTP/2", "1: ! bad_frame (HTTP2-Settings is no base64url)"]

    def test_a_capture_that_begins_in_the_middle(self) -> None:
        blocks = Blocks()
        blocks(get("/before", ("user-agent", "me")))
        known = headers(5, blocks(get("/after", ("user-agent", "me"))), 0x5)
        steps = [
            client(window_update(0, 5) + window_update(3, 5) + known),
            server(b"rest of a body" + data(3, b"x", 0x1) + headers(5, plain(OK)) + data(5, b"y", 0x1)),
            client(goaway(0)),
        ]
        conversation = played(steps)
        assert [line(event) for event in conversation.events] == [
            "1: HTTP/2",
            "1: #0/5 > GET /after",
            "1: #0/5 > end, 0 bytes",
            "2: ! mid_message (14 bytes skipped)",
            "2: #0/5 < 200",
            "2: #0/5 < end, 1 bytes",
            "3: > GOAWAY NO_ERROR above 0",
        ]
        request = conversation.events[1]
        assert isinstance(request, RequestReceived)
        assert (request.fields.authority, request.fields.user_agent) == (None, None)
        assert not account(conversation.events).headers_reliable

    def test_an_answer_whose_request_was_before_the_capture(self) -> None:
        steps = [server(ping() + ping(b"x" * 8) + headers(7, plain(OK)) + data(7, b"z", 0x1)), client(REQUEST)]
        assert told(*steps) == [
            "1: < PING",
            "1: < PING",
            "1: #0/7 < 200 unsolicited",
            "1: #0/7 < end, 1 bytes",
        ]

    def test_a_request_that_is_recognised_behind_its_answer(self) -> None:
        blocks = Blocks()
        steps = [
            client(headers(7, blocks(get("/early")), 0x5)),
            server(headers(7, plain(OK)) + data(7, b"z", 0x1) + ping()),
            client(ping() + headers(9, blocks(get("/next")), 0x5)),
        ]
        conversation = played(steps)
        assert [line(event) for event in conversation.events] == [
            "2: HTTP/2",
            "2: #0/7 < 200 unsolicited",
            "2: #0/7 < end, 1 bytes",
            "2: < PING",
            "1: #0/7 > GET /early",
            "1: #0/7 > end, 0 bytes",
            "3: > PING",
            "3: #1/9 > GET /next",
            "3: #1/9 > end, 0 bytes",
        ]
        known = account(conversation.events)
        assert (known.streams, known.peak_streams) == (2, 1)

    def test_the_body_of_a_late_request_is_not_looked_for(self) -> None:
        lines = told(
            client(headers(7, plain(GET), 0x4)),
            server(headers(7, plain(OK)) + data(7, b"z", 0x1) + ping()),
            client(data(7, b"body", 0x1) + ping()),
        )
        assert lines == [
            "2: #0/7 < 200 unsolicited",
            "2: #0/7 < end, 1 bytes",
            "2: < PING",
            "1: #0/7 > GET /",
            "1: #0/7 > cut short, 0 bytes",
            "3: > PING",
        ]

    def test_a_server_that_speaks_http_1(self) -> None:
        lines = told(client(PREFACE + SETTINGS), server(b"HTTP/1.1 400 Bad Request\r\n\r\n"), server_end())
        assert lines == ["2: ! not_http"]


class TestHoles:
    def test_a_hole_inside_data_costs_nothing(self) -> None:
        lines = exchanged(client(REQUEST), server(RESPONSE + data(1, b"x" * 50, 0x1)[:20]), server_lost(39))
        assert lines[2:] == ["5: #0/1 < 200", "6: #0/1 < end, 50 bytes"]
        assert not [each for each in lines if "!" in each]

    def test_after_a_hole_the_next_frames_are_found(self) -> None:
        blocks = Blocks()
        block = blocks(OK)
        lost = data(1, b"x" * 50, 0x1) + headers(3, blocks([*OK, ("via", "a")]))
        found = data(3, b"abc") + headers(5, blocks(OK), 0x5) + ping()
        conversation = played(
            [
                *OPENING,
                client(b"".join(headers(stream, plain(GET), 0x5) for stream in (1, 3, 5))),
                server(headers(1, block) + lost[:20]),
                server_lost(len(lost) - 20 + 3),
                server(found[3:]),
            ]
        )
        assert [line(event) for event in conversation.events][11:] == [
            "5: #0/1 < 200",
            "6: #0/1 < end, 50 bytes",
        ]
        conversation.play([server(ping(b"x" * 8))])
        assert [line(event) for event in conversation.events][13:] == [
            "7: ! resynchronised (26 bytes skipped)",
            "7: #2/5 < 200",
            "7: #2/5 < end, 0 bytes",
            "7: < PING",
            "8: < PING",
        ]
        assert not account(conversation.events).headers_reliable

    def test_right_behind_a_hole_one_unmistakable_frame_will_do(self) -> None:
        request = headers(3, Blocks()(get("/next")), 0x5)
        assert exchanged(client(REQUEST), client_lost(90), client(request[:5]), client(request[5:]))[2:] == [
            "6: ! resynchronised (90 bytes skipped)",
            "7: #1/3 > GET /next",
            "7: #1/3 > end, 0 bytes",
        ]
        unlikely = headers(5001, Blocks()(get("/next")), 0x5)
        for other in (unlikely, headers(3, Blocks()(OK), 0x5), data(1, b"x"), SETTINGS):
            assert exchanged(client(REQUEST), client_lost(90), client(other))[2:] == []

    def test_a_hole_in_a_header_block(self) -> None:
        block = plain(get("/long", ("x-request-id", "y" * 90)))
        lines = exchanged(
            client(headers(1, block, 0x5)[:80]), client_lost(len(block) - 71), client(ping() * 3), client_end()
        )
        assert lines[:2] == ["4: #0/1 > GET /long", "4: #0/1 > cut short, 0 bytes"]
        assert lines[2:] == ["6: ! resynchronised (98 bytes skipped)", *["6: > PING"] * 3]

    def test_at_the_end_a_shorter_run_will_do(self) -> None:
        lines = exchanged(client(REQUEST), server_lost(100), server(goaway(1)), server_end())
        assert lines[2:] == ["6: ! resynchronised (100 bytes skipped)", "6: < GOAWAY NO_ERROR above 1"]

    def test_messages_end_with_their_direction(self) -> None:
        lines = exchanged(
            client(headers(1, plain(GET)) + data(1, b"abc")),
            server(RESPONSE + data(1, b"x" * 50)[:19]),
            server_end(Ending.RST),
            client_end(),
        )
        assert lines[2:] == ["5: #0/1 < cut short, 10 bytes", "4: #0/1 > cut short, 3 bytes"]

    def test_what_comes_behind_the_end_is_nothing(self) -> None:
        lines = exchanged(client(REQUEST), client_end(), client_lost(5), client(REQUEST))
        assert lines == ["4: #0/1 > GET /", "4: #0/1 > end, 0 bytes"]
