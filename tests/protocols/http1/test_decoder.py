"""HTTP/1 on a connection: conversations in, transcripts out."""

from __future__ import annotations

from inspector.bytestream import FOREVER, Ending
from inspector.events import MessageEnded, RequestReceived, ResponseReceived
from inspector.protocols.http1.decoder import MAX_HEAD
from tests.protocols.http1.playbook import (
    Conversation,
    Step,
    client,
    client_end,
    client_lost,
    server,
    server_end,
    server_lost,
    together,
    told,
)

GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def get(target: str) -> Step:
    return client(f"GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())


def played(*steps: Step) -> Conversation:
    conversation = Conversation()
    conversation.play(steps)
    return conversation


class TestExchanges:
    def test_one_exchange(self) -> None:
        assert told(client(GET), server(OK)) == [
            "1: #0 > GET /",
            "1: #0 > end, 0 bytes",
            "2: #0 < 200",
            "2: #0 < end, 5 bytes",
        ]

    def test_head_and_body_are_dated_by_the_packet_that_completed_them(self) -> None:
        conversation = played(
            client(b"POST /form HTTP/1.1\r\nContent-Le"),
            client(b"ngth: 6\r\n\r\nabc"),
            client(b"def"),
            server(b"HTTP/1.1 200 OK\r\n"),
            server(b"Content-Length: 0\r\n\r\n"),
        )
        assert conversation.lines() == [
            "2: #0 > POST /form",
            "3: #0 > end, 6 bytes",
            "5: #0 < 200",
            "5: #0 < end, 0 bytes",
        ]
        request, end, response = conversation.events[:3]
        assert isinstance(request, RequestReceived)
        assert (request.offset, request.first_packet) == (0, 1)
        assert isinstance(end, MessageEnded)
        assert end.end_offset == conversation.offsets[0]
        assert isinstance(response, ResponseReceived)
        assert (response.first_packet, response.first_ns) == (4, 4000)

    def test_a_second_request_starts_where_the_first_ended(self) -> None:
        conversation = played(client(GET + b"\r\n" + GET))
        starts = [(e.offset, e.exchange) for e in conversation.events if isinstance(e, RequestReceived)]
        assert starts == [(0, 0), (len(GET) + 2, 1)]

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        lines = told(
            client(b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n"),
            server(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
        )
        assert lines[-6:] == [
            "2: #0 < 200",
            "2: #0 < end, 5 bytes",
            "2: #1 < 200",
            "2: #1 < end, 0 bytes",
            "3: #2 < 404",
            "3: #2 < end, 2 bytes",
        ]

    def test_interim_responses_leave_the_queue_alone(self) -> None:
        lines = told(
            client(b"POST /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            server(b"HTTP/1.1 100 Continue\r\n\r\n"),
            client(b"ab" + b"GET /2 HTTP/1.1\r\n\r\n"),
            server(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + OK),
        )
        assert lines == [
            "1: #0 > POST /1",
            "2: #0 < 100 interim",
            "3: #0 > end, 2 bytes",
            "3: #1 > GET /2",
            "3: #1 > end, 0 bytes",
            "4: #0 < 103 interim",
            "4: #0 < 200",
            "4: #0 < end, 5 bytes",
            "4: #1 < 200",
            "4: #1 < end, 5 bytes",
        ]

    def test_an_answer_may_come_before_the_request_is_complete(self) -> None:
        assert told(
            client(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc"),
            server(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
            server_end(),
            client(b"def"),
            client_end(Ending.RST),
        ) == [
            "1: #0 > POST /",
            "2: #0 < 413",
            "2: #0 < end, 0 bytes",
            "4: #0 > cut short, 6 bytes",
        ]

    def test_a_request_without_an_answer(self) -> None:
        lines = told(client(GET), client_end(), server_end())
        assert lines == ["1: #0 > GET /", "1: #0 > end, 0 bytes"]

    def test_unfinished_heads_say_nothing(self) -> None:
        assert told(client(b"GET / HTT"), client_end(), server(b"HTTP/1.1 2"), server_end()) == []

    def test_empty_lines_before_a_request(self) -> None:
        assert told(client(b"\r\n\r\n"), client(b"\n\r"), client(b"\n" + GET))[0] == "3: #0 > GET /"

    def test_protocol_is_the_lower_version_of_the_first_exchange(self) -> None:
        old = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert played().decoder.protocol == "http/1.1"
        assert played(client(GET), server(OK)).decoder.protocol == "http/1.1"
        assert played(client(GET), server(old)).decoder.protocol == "http/1.0"
        assert played(client(GET.replace(b"1.1", b"1.0")), server(OK)).decoder.protocol == "http/1.0"
        assert played(client(GET), server(OK), client(GET), server(old)).decoder.protocol == "http/1.1"


class TestBodies:
    def test_bodiless_responses(self) -> None:
        for status in (b"204 No Content", b"304 Not Modified"):
            lines = told(client(GET + GET), server(b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n" + OK))
            assert lines[-3:] == ["2: #0 < end, 0 bytes", "2: #1 < 200", "2: #1 < end, 5 bytes"]

    def test_a_body_without_length_ends_with_the_connection_at_its_last_byte(self) -> None:
        start = (client(GET), server(b"HTTP/1.1 200 OK\r\n\r\nabc"), server(b"de"))
        assert told(*start, server_end())[-1] == "3: #0 < end, 5 bytes"
        assert told(*start, server_end(Ending.RST))[-1] == "3: #0 < cut short, 5 bytes"
        assert told(*start, server_end(Ending.CAPTURE))[-1] == "3: #0 < cut short, 5 bytes"
        assert told(client(GET), server(b"HTTP/1.0 200 OK\r\n\r\n"), server_end())[-1] == "2: #0 < end, 0 bytes"

    def test_a_body_that_is_cut_short(self) -> None:
        assert told(client(GET), server(OK[:-2]), server_end())[-1] == "2: #0 < cut short, 3 bytes"

    def test_chunked_with_extensions_and_trailers(self) -> None:
        body = b'5;name="a;b"\r\nhello\r\n00A \r\n0123456789\r\n0;last\r\nExpires: never\r\n\r\n'
        lines = told(client(GET + GET), server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + OK))
        assert lines[-3:] == ["2: #0 < end, 15 bytes", "2: #1 < 200", "2: #1 < end, 5 bytes"]

    def test_chunk_data_that_looks_like_the_end(self) -> None:
        body = b"a\r\n\r\n0\r\n\r\n12\n\r\n0\r\n\r\n"
        lines = told(client(GET), server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
        assert lines[-1] == "2: #0 < end, 10 bytes"

    def test_a_bad_chunk_ends_the_message_and_the_next_one_is_found(self) -> None:
        assert told(
            client(GET),
            server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\nmore"),
            client(b"GET /2 HTTP/1.1\r\n\r\n"),
            server(OK),
        )[2:] == [
            "2: #0 < 200",
            "2: ! bad_chunk (at stream offset 57)",
            "2: #0 < cut short, 5 bytes",
            "3: #1 > GET /2",
            "3: #1 > end, 0 bytes",
            "4: ! resynchronised (14 bytes skipped)",
            "4: #1 < 200",
            "4: #1 < end, 5 bytes",
        ]

    def test_a_response_directly_behind_a_broken_chunk_is_found(self) -> None:
        lines = told(
            client(GET + GET), server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n" + OK)
        )
        assert lines[-3:] == ["2: #0 < cut short, 2 bytes", "2: #1 < 200", "2: #1 < end, 5 bytes"]

    def test_framing_that_nobody_can_tell(self) -> None:
        lines = told(client(b"POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nhello" + GET))
        assert lines[:5] == [
            "1: #0 > POST /",
            "1: ! bad_content_length",
            "1: #0 > cut short, 0 bytes",
            "1: ! resynchronised (5 bytes skipped)",
            "1: #1 > GET /",
        ]

    def test_both_lengths_are_an_anomaly_and_the_coding_wins(self) -> None:
        both = b"POST / HTTP/1.1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
        assert told(client(both))[1:] == ["1: ! length_and_transfer_encoding", "1: #0 > end, 1 bytes"]

    def test_bytes_that_are_only_counted_need_not_be_kept(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        assert played(client(GET), server(head)).decoder.skip_until == [0, len(head) + 1000]
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"
        assert played(client(GET), server(head)).decoder.skip_until == [0, len(head) + 1000]
        assert played(client(GET), server(b"HTTP/1.1 200 OK\r\n\r\n")).decoder.skip_until == [0, FOREVER]


class TestSwitching:
    def test_101_makes_both_directions_opaque(self) -> None:
        conversation = played(
            client(b"GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n\x81\x05" + OK),
            client(GET),
            server_end(),
        )
        assert conversation.lines() == [
            "1: #0 > GET /chat",
            "1: #0 > end, 0 bytes",
            "2: #0 < 101",
            "2: #0 < end, 0 bytes",
            "2: #0 = websocket",
        ]
        assert conversation.decoder.application_packet == 3
        assert conversation.decoder.skip_until == [FOREVER, FOREVER]

    def test_a_head_ends_at_its_first_empty_line_however_lines_end_and_it_was_cut(self) -> None:
        head = b"HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n"
        whole, crumbs = Conversation(), Conversation()
        whole.play([server(head + b"\r\n\r\n")])
        crumbs.play([server(head + b"\r\n\r\n")], lambda data: [data[at : at + 1] for at in range(len(data))])
        ended = [event for event in whole.events if isinstance(event, MessageEnded)]
        assert [event.end_offset for event in ended] == [len(head)]
        assert crumbs.events == whole.events

    def test_an_upgrade_waits_for_the_request_that_asked_for_it(self) -> None:
        assert told(
            client(b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nab"),
            server(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            client(b"cdPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ) == [
            "1: #0 > POST /",
            "2: #0 < 101",
            "2: #0 < end, 0 bytes",
            "2: #0 = h2c",
            "3: #0 > end, 4 bytes",
        ]

    def test_connect_accepted(self) -> None:
        assert told(
            client(b"CONNECT example.com:443 HTTP/1.1\r\nHost: ignored\r\n\r\n"),
            client(b"\x16\x03\x01\x02\x00 early\r\n"),
            server(b"HTTP/1.1 200 Connection established\r\nContent-Length: 9\r\n\r\n"),
            client(b"\x16\x03\x01"),
            server(OK),
        ) == [
            "1: #0 > CONNECT example.com:443",
            "1: #0 > end, 0 bytes",
            "3: #0 < 200",
            "3: #0 < end, 0 bytes",
            "3: #0 = connect example.com:443",
        ]

    def test_connect_refused_stays_http(self) -> None:
        lines = told(
            client(b"CONNECT a:443 HTTP/1.1\r\n\r\n"),
            server(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"),
            client(b"CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: Basic x\r\n\r\n"),
            server(b"HTTP/1.1 200 OK\r\n\r\n"),
        )
        assert lines[2:5] == ["2: #0 < 407", "2: #0 < end, 2 bytes", "3: #1 > CONNECT a:443"]
        assert lines[-1] == "4: #1 = connect a:443"


class TestUnsolicited:
    def test_a_408_out_of_the_blue_is_an_exchange_of_its_own_and_no_application_byte(self) -> None:
        timeout = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
        for sent in ([timeout + b"late"], [timeout[:9], timeout[9:], b"late"], [timeout + b"la", b"te"]):
            conversation = played(client(GET), server(OK), *map(server, sent), server_end())
            assert conversation.lines()[4].endswith("#1 < 408 unsolicited")
            assert conversation.lines()[5].endswith("#1 < end, 4 bytes")
            assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (2, 2000)

    def test_a_408_in_the_packet_of_an_answer_and_a_request_behind_it(self) -> None:
        timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
        assert played(client(GET), server(OK + timeout)).decoder.application_packet == 2
        assert played(client(GET), server(OK), server(timeout), client(GET)).decoder.application_packet == 4
        assert played(client(GET), server(OK), server(timeout), server(OK)).decoder.application_packet == 4

    def test_a_408_to_a_request_counts(self) -> None:
        timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
        assert played(client(GET), server(timeout)).decoder.application_packet == 2

    def test_numbers_follow_the_order_in_which_exchanges_are_seen(self) -> None:
        assert told(server(b"HTTP/1.1 100 Continue\r\n\r\n"), server(OK), client(GET), server(OK)) == [
            "1: #0 < 100 interim",
            "2: #0 < 200 unsolicited",
            "2: #0 < end, 5 bytes",
            "3: #1 > GET /",
            "3: #1 > end, 0 bytes",
            "4: #1 < 200",
            "4: #1 < end, 5 bytes",
        ]


class TestLoss:
    def test_a_hole_inside_a_counted_body_costs_nothing(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        lines = told(client(GET), server(head + b"x" * 10), server_lost(980), server(b"y" * 10 + OK))
        assert lines[2:4] == ["2: #0 < 200", "4: #0 < end, 1000 bytes"]
        assert not [line for line in lines if "!" in line]
        lines = told(client(GET), server(head), server_lost(1000), client(GET), server(OK))
        assert lines[3] == "3: #0 < end, 1000 bytes"
        assert lines[-2:] == ["5: #1 < 200", "5: #1 < end, 5 bytes"]

    def test_a_hole_inside_chunk_data_costs_nothing(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n"
        lines = told(client(GET), server(head), server_lost(100), server(b"\r\n0\r\n\r\n"))
        assert lines[2:] == ["2: #0 < 200", "4: #0 < end, 100 bytes"]

    def test_a_hole_over_a_chunk_header(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n"
        lines = told(client(GET), server(head), server_lost(120), server(b"data\r\n0\r\n\r\n"), get("/2"), server(OK))
        assert lines[2:] == [
            "2: #0 < 200",
            "2: #0 < cut short, 100 bytes",
            "5: #1 > GET /2",
            "5: #1 > end, 0 bytes",
            "6: ! resynchronised (31 bytes skipped)",
            "6: #1 < 200",
            "6: #1 < end, 5 bytes",
        ]

    def test_a_hole_in_a_close_delimited_body_is_counted(self) -> None:
        lines = told(client(GET), server(b"HTTP/1.1 200 OK\r\n\r\nabc"), server_lost(10), server_end())
        assert lines[-1] == "2: #0 < end, 13 bytes"

    def test_a_lost_response_leaves_its_request_unanswered(self) -> None:
        lines = told(get("/1"), server_lost(len(OK)), get("/2"), server(OK))
        assert lines == [
            "1: #0 > GET /1",
            "1: #0 > end, 0 bytes",
            "3: #1 > GET /2",
            "3: #1 > end, 0 bytes",
            f"4: ! resynchronised ({len(OK)} bytes skipped)",
            "4: #1 < 200",
            "4: #1 < end, 5 bytes",
        ]

    def test_of_a_head_with_a_hole_the_lines_before_it_are_reported(self) -> None:
        conversation = played(
            client(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: cl"),
            client_lost(9),
            server(b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Len"),
            server_lost(30),
            server(b"lo"),
            get("/2"),
            server(OK),
        )
        assert conversation.lines() == [
            "1: #0 > GET /1",
            "1: #0 > cut short, 0 bytes",
            "3: #0 < 200",
            "3: #0 < cut short, 0 bytes",
            "6: ! resynchronised (9 bytes skipped)",
            "6: #1 > GET /2",
            "6: #1 > end, 0 bytes",
            "7: ! resynchronised (32 bytes skipped)",
            "7: #1 < 200",
            "7: #1 < end, 5 bytes",
        ]
        request, _, response = conversation.events[:3]
        assert isinstance(request, RequestReceived)
        assert (request.fields.authority, request.fields.connection, request.fields.persistent) == ("a", None, None)
        assert isinstance(response, ResponseReceived)
        assert (response.fields.server, response.fields.content_length, response.fields.persistent) == ("s", None, None)

    def test_a_hole_in_a_start_line(self) -> None:
        start = (get("/1"), server(b"HTTP/1.1 200"))
        assert told(*start, server_lost(9), server(OK))[2:] == [
            "2: #0 < 200",
            "2: #0 < cut short, 0 bytes",
            "4: ! resynchronised (9 bytes skipped)",
            "4: #1 < 200 unsolicited",
            "4: #1 < end, 5 bytes",
        ]
        assert told(get("/1"), server(b"HTTP/1.1 1"), server_lost(40), server(OK))[-2:] == [
            "4: #0 < 200",
            "4: #0 < end, 5 bytes",
        ]
        assert told(client(b"GET /1 HT"), client_lost(40)) == []

    def test_a_hole_in_an_interim_or_switching_head(self) -> None:
        lines = told(get("/1"), server(b"HTTP/1.1 100 Continue\r\n"), server_lost(2), server(OK))
        assert lines[2:] == [
            "2: #0 < 100 interim",
            "4: ! resynchronised (2 bytes skipped)",
            "4: #0 < 200",
            "4: #0 < end, 5 bytes",
        ]
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX"
        lines = told(get("/1"), server(head), server_lost(20), server(OK), get("/2"))
        assert lines[2:] == ["2: #0 < 101", "2: #0 < cut short, 0 bytes", "2: #0 = websocket"]

    def test_the_answer_to_a_lost_request_has_an_exchange_of_its_own(self) -> None:
        lines = told(get("/1"), server(OK), client_lost(40), server(OK), get("/3"), server(OK))
        assert lines[4:] == [
            "4: #1 < 200 unsolicited",
            "4: #1 < end, 5 bytes",
            "5: ! resynchronised (40 bytes skipped)",
            "5: #2 > GET /3",
            "5: #2 > end, 0 bytes",
            "6: #2 < 200",
            "6: #2 < end, 5 bytes",
        ]

    def test_a_lost_request_is_noticed_only_after_its_answer(self) -> None:
        lines = told(get("/1"), server(OK), server(OK), client_lost(40), get("/3"), server(OK))
        assert lines[-2:] == ["6: #2 < 200", "6: #2 < end, 5 bytes"]

    def test_both_directions_lost_something(self) -> None:
        lines = told(get("/1"), server_lost(30), client_lost(40), server(b"lo" + OK), get("/3"), server(OK))
        assert "4: #1 < 200 unsolicited" in lines
        assert lines[-2:] == ["6: #2 < 200", "6: #2 < end, 5 bytes"]

    def test_a_client_that_pipelines_gets_the_order_of_the_queue(self) -> None:
        lines = told(
            client(GET + GET), server(OK), server(OK), client(GET + GET), server_lost(20), client(GET), server(OK)
        )
        assert lines[-2:] == ["7: #2 < 200", "7: #2 < end, 5 bytes"]

    def test_a_body_that_contains_http_is_no_message(self) -> None:
        body = b"HTTP/1.1 200 OK\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert told(client(GET), server(head), server(body))[2:] == ["2: #0 < 200", f"3: #0 < end, {len(body)} bytes"]

    def test_text_about_http_is_no_start_line(self) -> None:
        talk = b'"GET / HTTP/1.1" 200\r\nHTTP/1.1 is old; see HTTP/1.1 2616\r\nGET me one\r\nGET / HTTP/1.1.\r\n'
        lines = told(client_lost(1), server_lost(1), client(talk), server(talk))
        assert lines == []

    def test_unknown_methods_are_found_at_the_beginning_of_a_line_only(self) -> None:
        assert told(client_lost(1), client(b"x\r\nfetch /a HTTP/1.1\r\n\r\n"))[1] == "2: #0 > fetch /a"
        assert told(client_lost(1), client(b"xfetch /a HTTP/1.1\r\n\r\n")) == []
        for before in (b"x", b"\nx", b"{}", b"\nUN"):
            assert told(client_lost(1), client(before + b"GET /a HTTP/1.1\r\n\r\n"))[1] == "2: #0 > GET /a"
        assert told(client_lost(1), client(b"\nUNLOCK /a HTTP/1.1\r\n\r\n"))[1] == "2: #0 > UNLOCK /a"

    def test_start_lines_are_found_across_packets(self) -> None:
        lines = told(client_lost(9), client(b"\xff\xfeGE"), client(b"T /a HTT"), client(b"P/1.1\r\n"), client(b"\r\n"))
        assert lines == ["2: ! resynchronised (11 bytes skipped)", "5: #0 > GET /a", "5: #0 > end, 0 bytes"]


class TestGarbage:
    def test_a_stream_that_begins_inside_a_message(self) -> None:
        assert told(client(b"rest of a body\r\n" + GET)) == [
            "1: ! mid_message",
            "1: #0 > GET /",
            "1: #0 > end, 0 bytes",
        ]

    def test_garbage_between_messages_is_named_once(self) -> None:
        lines = told(client(GET), server(OK + b"surplus"), server(b"more"), client(GET), server(OK))
        assert [line for line in lines if "!" in line] == [
            "2: ! not_http",
            "5: ! resynchronised (11 bytes skipped)",
        ]
        assert lines[-2:] == ["5: #1 < 200", "5: #1 < end, 5 bytes"]

    def test_a_body_behind_a_response_that_has_none(self) -> None:
        lines = told(client(GET), server(b"HTTP/1.1 100 ok\r\nContent-length: 68\r\n\r\nX5O!P%@AP[4"))
        assert lines[2:] == ["2: #0 < 100 interim", "2: ! not_http"]

    def test_a_head_that_never_ends(self) -> None:
        start = b"GET / HTTP/1.1\r\n"
        fields = b"X: " + b"y" * 1000 + b"\r\n"
        count = MAX_HEAD // len(fields) + 1
        lines = told(client(start), *[client(fields)] * count, client(GET))
        assert lines[0] == "1: ! header_too_long"
        assert [line.split(": ", 1)[1] for line in lines[1:4]] == [
            "#0 > GET /",
            "#0 > cut short, 0 bytes",
            f"! resynchronised ({len(start) + count * len(fields) - MAX_HEAD} bytes skipped)",
        ]
        assert lines[4].endswith("#1 > GET /")

    def test_a_long_head_that_ends_in_time(self) -> None:
        head = b"GET / HTTP/1.1\r\nCookie: " + b"y" * (MAX_HEAD - 100) + b"\r\n\r\n"
        assert told(client(head))[0] == "1: #0 > GET /"


def test_several_packets_in_one_chunk() -> None:
    conversation = Conversation()
    conversation.decoder.data(together(0, 0, [(GET[:9], 4), (GET[9:-1], 5), (GET[-1:] + GET, 7)]))
    assert conversation.lines() == [
        "7: #0 > GET /",
        "7: #0 > end, 0 bytes",
        "7: #1 > GET /",
        "7: #1 > end, 0 bytes",
    ]
    first = conversation.events[0]
    assert isinstance(first, RequestReceived)
    assert first.first_packet == 4
