"""PROXY protocol headers in front of a connection: bytes in, what they say and what follows out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT
from inspector.engine import Options
from inspector.events import Event, ProxyHeaderReceived
from inspector.protocols.decoder import Emit, StreamDecoder
from inspector.protocols.detect import H2C, HTTP1, MAX_HELD, TLS, DetectingDecoder
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.proxy_header import may_be_proxy_header, proxy_header
from tests.protocols.http1.playbook import (
    Conversation,
    Step,
    client,
    client_end,
    client_lost,
    line,
    server,
    together,
)
from tests.tcp.playbook import REQUEST, RESPONSE, opened, the

LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
INET6 = bytes.fromhex("20010db800000000000000000000000120010db80000000000000000000000ffdc0401bb")
ENDS = ("192.0.2.7:56324", "198.51.100.1:443")

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def binary(command: int, family: int, addresses: bytes, more: bytes = b"") -> bytes:
    return SIGNATURE + bytes([command, family]) + len(addresses + more).to_bytes(2, "big") + addresses + more


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (LINE, (1, *ENDS)),
        (b"PROXY TCP6 2001:db8::1 2001:DB8::00ff 1 65535\r\n", (1, "[2001:db8::1]:1", "[2001:db8::ff]:65535")),
        (b"PROXY UNKNOWN\r\n", (1, None, None)),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", (1, None, None)),
        (b"PROXY TCP4 192.0.2.999 198.51.100.1 70000 443\r\n", (1, None, "198.51.100.1:443")),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 999999999999\r\n", (1, None, None)),
        (binary(0x21, 0x11, INET), (2, *ENDS)),
        (binary(0x21, 0x11, INET, bytes(900)), (2, *ENDS)),
        (binary(0x21, 0x21, INET6), (2, "[2001:db8::1]:56324", "[2001:db8::ff]:443")),
        (binary(0x20, 0x00, b""), (2, None, None)),
        (binary(0x20, 0x11, INET), (2, None, None)),
        (binary(0x21, 0x31, bytes(216)), (2, None, None)),
        (binary(0x21, 0x11, INET[:9]), (2, None, None)),
        (binary(0x21, 0xF1, INET), (2, None, None)),
    ],
)
def test_what_a_header_says(header: bytes, said: tuple[int, str | None, str | None]) -> None:
    found = proxy_header(header)
    assert found is not None
    assert found[:3] == said
    assert found.length == len(header)
    for length in range(1, found.read):
        assert may_be_proxy_header(header[:length])
        assert proxy_header(header[:length]) is None
    for more in (GET, PREFACE, b"\0"):
        assert proxy_header(header[: found.read] + more) == found


@pytest.mark.parametrize(
    "start",
    [
        b"PROXY / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
        b"PROXY UNKNOWN" + b" " * 100,
        b"PROXY\tTCP4",
        b"PUT",
        SIGNATURE[:11] + b"X",
        SIGNATURE + b"\x22",
        SIGNATURE + b"\x11",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\0",
    ],
)
def test_what_is_none(start: bytes) -> None:
    assert not may_be_proxy_header(start)
    assert proxy_header(start) is None


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21"]), st.binary(max_size=120))
def test_anything_is_told_at_once_or_with_few_bytes_more(start: bytes, more: bytes) -> None:
    data = start + more
    found = proxy_header(data)
    assert found is None or found.read <= 107
    if len(data) >= 107:
        assert (found is not None) == may_be_proxy_header(data)


class Behind(Conversation):
    """A DetectingDecoder of some protocols; of these only HTTP/1 is decoded, the others note their first offset."""

    def __init__(self) -> None:
        self.chosen: list[str] = []
        super().__init__(lambda emit: DetectingDecoder(emit, {name: self.maker(name) for name in (HTTP1, H2C, TLS)}))

    def maker(self, name: str):  # type: ignore[no-untyped-def]
        def make(emit: Emit) -> StreamDecoder:
            self.chosen.append(name)
            return Http1Decoder(emit)

        return make

    def lines(self) -> list[str]:
        return [said(event) for event in self.events]


def said(event: Event) -> str:
    if isinstance(event, ProxyHeaderReceived):
        assert event.time_ns == event.packet * 1000
        return f"{event.packet}: proxy v{event.version} {event.source} -> {event.destination}"
    return line(event)


def played(*steps: Step) -> Behind:
    conversation = Behind()
    conversation.play(steps)
    return conversation


HEADERS = [LINE, b"PROXY UNKNOWN\r\n", binary(0x21, 0x11, INET, b"\x04\0\x03abc"), binary(0x20, 0, b"")]


@pytest.mark.parametrize("header", HEADERS, ids=["v1", "unknown", "v2", "local"])
@pytest.mark.parametrize(("start", "protocol"), [(GET, HTTP1), (PREFACE, H2C), (CLIENT_HELLO, TLS)])
def test_detection_goes_on_behind_a_header(header: bytes, start: bytes, protocol: str) -> None:
    for steps in (
        [client(header + start)],
        [client(header), client(start)],
        [client(header[:5]), client(header[5:] + start)],
    ):
        conversation = played(*steps)
        assert conversation.chosen == [protocol]
        assert isinstance(conversation.events[0], ProxyHeaderReceived)


def test_a_request_behind_a_header_begins_at_its_own_offset() -> None:
    conversation = played(client(LINE + GET), server(OK))
    assert conversation.lines() == [
        "1: proxy v1 192.0.2.7:56324 -> 198.51.100.1:443",
        "1: #0 > GET /a",
        "1: #0 > end, 0 bytes",
        "2: #0 < 200",
        "2: #0 < end, 2 bytes",
    ]
    assert conversation.events[1].offset == len(LINE)  # type: ignore[union-attr]


def test_a_header_comes_first_or_not_at_all() -> None:
    assert played(client(GET + LINE)).lines() == ["1: #0 > GET /a", "1: #0 > end, 0 bytes", "1: ! not_http"]
    late = played(client_lost(1), client(LINE + GET))
    assert late.events == []
    twice = played(client(LINE + LINE + GET))
    assert [said(event) for event in twice.events] == ["1: proxy v1 192.0.2.7:56324 -> 198.51.100.1:443"]


def test_long_tlvs_are_stepped_over_and_may_be_missing() -> None:
    header = binary(0x21, 0x11, INET, bytes(60_000))
    assert len(header) > MAX_HELD
    conversation = played(client(header[:20]), client(header[20:40]), client(header[40:30_000]))
    assert conversation.lines() == ["2: proxy v2 192.0.2.7:56324 -> 198.51.100.1:443"]
    assert conversation.decoder.application_packet is None
    conversation.play([client_lost(20_000), client(header[50_000:] + GET)])
    assert conversation.lines()[1:] == ["5: #0 > GET /a", "5: #0 > end, 0 bytes"]


def test_a_header_is_no_application_byte() -> None:
    conversation = played(client(LINE))
    assert conversation.decoder.application_packet is None
    conversation.play([client(b"\xff\xfe")])
    assert conversation.decoder.application_packet == 2
    assert conversation.decoder.protocol == "unknown"


def test_a_header_that_never_ends() -> None:
    assert played(client(LINE[:20]), client_end()).events == []
    assert played(client(LINE[:20]), client_lost(9), client(GET)).lines() == ["3: #0 > GET /a", "3: #0 > end, 0 bytes"]


@given(st.sampled_from(HEADERS), st.lists(st.integers(1, 120), max_size=8), st.sampled_from([GET, b"\xff" * 30]))
def test_cutting_changes_nothing(header: bytes, cuts: list[int], rest: bytes) -> None:
    data = header + rest
    ends = [*sorted({at for at in cuts if at < len(data)}), len(data)]
    pieces, chunks, whole = Behind(), Behind(), Behind()
    whole.play([client(data)])
    pieces.play([client(data)], lambda data: [data[a:b] for a, b in zip([0, *ends], ends, strict=False)])
    chunks.decoder.data(together(FROM_CLIENT, 0, [(data[a:b], 1) for a, b in zip([0, *ends], ends, strict=False)]))
    assert pieces.events == chunks.events == whole.events
    assert pieces.decoder.application_packet == chunks.decoder.application_packet == 1


def test_through_the_whole_path() -> None:
    connection = the(opened().c(LINE).c(REQUEST).s(RESPONSE).c("ACK").close(), Options(events=True))
    proxied = connection.proxy_protocol
    assert proxied is not None
    assert (proxied.version, proxied.source, proxied.destination) == (1, *ENDS)
    assert (connection.protocol, connection.requests, connection.responses) == ("http/1.1", 1, 1)
    plain = the(opened().c(REQUEST).s(RESPONSE).c("ACK").close())
    assert plain.proxy_protocol is None
