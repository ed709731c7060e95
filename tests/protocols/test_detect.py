"""Telling protocols and roles from content."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.bytestream import FOREVER, FROM_CLIENT, FROM_SERVER
from inspector.events import RequestReceived
from inspector.protocols.detect import (
    H2C,
    HTTP1,
    MAX_HELD,
    TLS,
    Detected,
    DetectingDecoder,
    Reversed,
    Undecided,
    detect,
)
from inspector.protocols.http1.decoder import Http1Decoder
from tests.protocols.http1.playbook import Conversation, Step, client, client_end, client_lost, server, server_lost

REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "protocol", "sender"),
    [
        (REQUEST, HTTP1, FROM_CLIENT),
        (b"GET / HTTP/1.1\n", HTTP1, FROM_CLIENT),
        (b"\r\n\r\nodd-method * HTTP/1.0\r\n", HTTP1, FROM_CLIENT),
        (b"CONNECT mail:25 / HTTP/1.0\r\n", HTTP1, FROM_CLIENT),
        (b"HTTP/1.1 200 OK", HTTP1, FROM_SERVER),
        (b"HTTP/1.0 404\r\n", HTTP1, FROM_SERVER),
        (PREFACE + b"\0\0\0", H2C, FROM_CLIENT),
        (CLIENT_HELLO, TLS, FROM_CLIENT),
        (b"\x16\x03\x03\x00\x5a\x02\x00", TLS, FROM_SERVER),
        (b"\x16\x03\x03\x00\x5a\x10\x00", TLS, None),
        (b"\x17\x03\x03\x40\x00\x9f", TLS, None),
        (b"\x17\x03\x03\x00\x01\x9f\x15\x03\x03\x00\x02\x9f\x9f\x17\x03", TLS, None),
        (CLIENT_HELLO[:4] + b"\x04" + CLIENT_HELLO[5:9] + b"and no record", TLS, FROM_CLIENT),
        (b"\x80\x2e\x01\x00\x02\x00\x15", TLS, FROM_CLIENT),
        (b"\x80\x65\x01\x03\x01\x00\x4c", TLS, FROM_CLIENT),
    ],
)
def test_what_is_told(start: bytes, protocol: str, sender: int | None) -> None:
    assert detect(start, True) == Detected(protocol, sender)


@pytest.mark.parametrize("whole", [REQUEST, RESPONSE, PREFACE, b"\r\nGET / HTTP/1.1\r\n", CLIENT_HELLO])
def test_a_beginning_asks_for_more_until_it_is_told(whole: bytes) -> None:
    answers = [detect(whole[:length], True) for length in range(1, len(whole) + 1)]
    told = next(at for at, answer in enumerate(answers) if isinstance(answer, Detected))
    assert set(answers[:told]) <= {Undecided.MORE}
    assert len(set(answers[told:])) == 1


@pytest.mark.parametrize(
    "start",
    [
        b"GET /\r\n",
        b"GET/ HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 20x",
        b"220 smtp ready\r\n",
        b"EHLO HTTP/1.1 example\r\n",
        b"a" * 40,
        b"GET \x00",
        b"\x16\x02",
        b"\x16\x03\x05",
        b"\x16\x03\x01\x00\x00\x01",
        b"\x17\x03\x03\xff\xff\x00",
        b"\x17\x03\x03\x00\x01\x9f\x19\x03\x03\x00\x02",
        b"\x17\x03\x03\x00\x01\x9f\x17\x03\x03\xff\xff",
        b"\x18\x03\x03\x00\x05\x00",
        b"\x00" * 9,
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00" * 15,
        b"\xff\xfe\x01\x07",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ],
)
def test_what_is_nothing_known(start: bytes) -> None:
    assert detect(start, True) is Undecided.NO


def test_an_ssl2_hello_is_told_at_the_very_beginning_only() -> None:
    assert detect(b"\x80\x2e\x01\x00\x02", False) is Undecided.NO


class Detecting(Conversation):
    """A DetectingDecoder whose owner swaps its directions when it is told to."""

    def __init__(self) -> None:
        self.roles: list[int] = []
        super().__init__(lambda emit: DetectingDecoder(emit, {HTTP1: Http1Decoder}, self.turn))

    def turn(self, client: int) -> bool:
        self.roles.append(client)
        return True


def played(*steps: Step) -> Detecting:
    conversation = Detecting()
    conversation.play(steps)
    return conversation


def test_http_is_told_and_its_decoder_takes_over() -> None:
    conversation = played(client(REQUEST), server(RESPONSE))
    assert conversation.lines() == [
        "1: #0 > GET /a",
        "1: #0 > end, 0 bytes",
        "2: #0 < 200",
        "2: #0 < end, 2 bytes",
    ]
    assert conversation.roles == [FROM_CLIENT]
    assert conversation.decoder.protocol == "http/1.1"
    assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (2, 2000)
    assert conversation.decoder.skip_until[FROM_SERVER] == len(RESPONSE)


@given(st.frozensets(st.integers(1, len(REQUEST) - 1)))
def test_a_request_cut_anywhere(cuts: frozenset[int]) -> None:
    ends = [*sorted(cuts), len(REQUEST)]
    conversation = played(*[client(REQUEST[start:end]) for start, end in zip([0, *ends], ends, strict=False)])
    assert conversation.lines()[0] == f"{len(ends)}: #0 > GET /a"
    assert conversation.roles == [FROM_CLIENT]


def test_what_was_held_of_both_directions_is_delivered_in_its_order() -> None:
    conversation = played(client(b"GET /a HT"), server(b"HTTP/1.1 200 OK\r\n\r\n"), client(b"TP/1.1\r\n\r\n"))
    assert conversation.lines() == ["2: #0 < 200 unsolicited", "3: #1 > GET /a", "3: #1 > end, 0 bytes"]


def test_a_stream_that_begins_in_the_middle_of_a_message() -> None:
    conversation = played(
        server(b"\x89PNG rest of a picture"),
        client(REQUEST),
        server(b"more of it"),
        server(RESPONSE),
    )
    assert conversation.lines() == [
        "2: #0 > GET /a",
        "2: #0 > end, 0 bytes",
        "3: ! mid_message",
        "4: #0 < 200",
        "4: #0 < end, 2 bytes",
    ]


def test_text_that_could_have_become_a_request_line() -> None:
    assert played(server(b"more of a text "), server(RESPONSE)).lines()[0] == "2: #0 < 200 unsolicited"


def test_roles_the_other_way_round_are_told_and_swapped() -> None:
    conversation = played(server(b"GET /a HT"), server(b"TP/1.1\r\n\r\n"))
    assert conversation.roles == [FROM_SERVER]
    assert conversation.lines() == ["2: #0 > GET /a", "2: #0 > end, 0 bytes"]
    conversation.offsets.reverse()  # the owner has swapped: what was taken for the client's direction is the server's
    conversation.play([server(RESPONSE), client(REQUEST)])
    assert conversation.lines()[2:] == [
        "3: #0 < 200",
        "3: #0 < end, 2 bytes",
        "4: #1 > GET /a",
        "4: #1 > end, 0 bytes",
    ]


def test_roles_that_are_certain_stay_and_the_decoder_sees_them_reversed() -> None:
    conversation = Conversation(lambda emit: DetectingDecoder(emit, {HTTP1: Http1Decoder}, None))
    conversation.play([server(REQUEST), client(RESPONSE[:-1]), client_lost(1), server(REQUEST), server_lost(3)])
    assert conversation.lines() == [
        "1: #0 > GET /a",
        "1: #0 > end, 0 bytes",
        "2: #0 < 200",
        "3: #0 < end, 2 bytes",
        "4: #1 > GET /a",
        "4: #1 > end, 0 bytes",
    ]
    assert conversation.decoder.skip_until == [len(RESPONSE), 0]
    assert conversation.decoder.protocol == "http/1.1"
    assert conversation.decoder.application_packet == 4


@pytest.mark.parametrize(("start", "protocol"), [(CLIENT_HELLO, "tls"), (PREFACE, "h2c")])
def test_protocols_without_a_decoder_are_named_and_not_searched_further(start: bytes, protocol: str) -> None:
    conversation = played(client(start), server(RESPONSE), client(REQUEST), client_end())
    assert conversation.lines() == []
    assert conversation.decoder.protocol == protocol
    assert conversation.decoder.application_packet == 3
    assert conversation.decoder.skip_until == [FOREVER, FOREVER]
    assert conversation.roles == [FROM_CLIENT]


def test_an_unknown_protocol_only_has_its_bytes_dated() -> None:
    conversation = played(server(b"220 ready\r\n"), client(b"EHLO me\r\n"), client_lost(5), client_end())
    assert conversation.lines() == []
    assert conversation.decoder.protocol == "unknown"
    assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (2, 2000)
    assert conversation.roles == []


def test_nothing_is_told_before_the_first_byte() -> None:
    decoder = Detecting().decoder
    assert (decoder.application_packet, decoder.application_ns, decoder.skip_until) == (None, None, [0, 0])


def test_a_hole_ends_a_beginning() -> None:
    conversation = played(client(b"GE"), client_lost(3), client(b"T / HTTP/1.1\r\n\r\n"))
    assert conversation.lines()[0] == "3: #0 > T /"


def test_what_is_held_is_bounded() -> None:
    count = MAX_HELD // 1000 + 1
    conversation = played(*[client(b"GET /" + b"a" * 995)] * count)
    assert conversation.lines() == []
    conversation.play([client(REQUEST)])
    request = conversation.events[0]
    assert isinstance(request, RequestReceived)
    assert request.offset == (count - 1) * 1000  # what hit the bound may be a beginning itself, and only that was kept


@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=40)), max_size=10))
def test_random_bytes_never_raise(sends: Sequence[tuple[int, bytes]]) -> None:
    conversation = played(*[Step(direction, data) for direction, data in sends])
    assert conversation.lines() == []
    assert not isinstance(conversation.decoder, Reversed)
