"""Handshake messages: put together from any fragments, and read as far as they go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.protocols.tls.handshake import (
    MAX_MESSAGE,
    Messages,
    first_certificate,
    may_be_message,
    parse_client_hello,
    parse_encrypted_extensions,
    parse_server_hello,
    parse_ssl2_hello,
)
from tests.protocols.tls.forge import (
    CLIENT_RANDOM,
    SERVER_RANDOM,
    client_hello,
    encrypted_extensions,
    extension,
    message,
    server_hello,
    vector,
)


class TestMessages:
    @given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=6), st.data())
    def test_any_fragments_give_the_same_messages(self, sent: list[tuple[int, bytes]], data: st.DataObject) -> None:
        stream = b"".join(message(kind, body) for kind, body in sent)
        messages, found = Messages(), []
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            found += messages.feed(stream[:size])
            stream = stream[size:]
        assert found == sent
        assert not messages.unfinished

    def test_one_that_is_too_long_is_stepped_over(self) -> None:
        messages = Messages()
        long = message(11, bytes(MAX_MESSAGE + 1)) + message(14)
        assert messages.feed(long[:1000]) == [(11, None)]
        assert messages.unfinished
        assert messages.feed(long[1000:100_000]) == []
        assert messages.feed(long[100_000:]) == [(14, b"")]

    def test_the_longest_is_read(self) -> None:
        assert Messages().feed(message(11, bytes(MAX_MESSAGE))) == [(11, bytes(MAX_MESSAGE))]

    def test_what_is_cut_is_handed_out_once(self) -> None:
        messages = Messages()
        assert messages.feed(message(1, b"abcdef")[:6]) == []
        assert messages.cut(b"cd") == (1, b"abcd")
        assert messages.cut(b"") is None
        assert messages.feed(message(2, b"x")) == [(2, b"x")]

    def test_a_header_alone_says_nothing(self) -> None:
        messages = Messages()
        messages.feed(b"\1\0")
        assert messages.cut(b"\0\5") is None


@pytest.mark.parametrize(
    ("fragment", "may_be"),
    [(message(1, b"x"), True), (b"\x16", True), (message(99), False), (b"\1\xff\xff\xff", False), (message(20), True)],
)
def test_what_looks_like_a_message(fragment: bytes, may_be: bool) -> None:
    assert may_be_message(fragment) is may_be


class TestClientHello:
    def test_all_of_it(self) -> None:
        hello = parse_client_hello(
            client_hello(alpn=("h2", "http/1.1"), session_id=b"s" * 32, ticket=b"t", early_data=True)[4:]
        )
        assert (hello.version, hello.random, hello.session_id) == (0x0303, CLIENT_RANDOM, b"s" * 32)
        assert (hello.sni, hello.alpn) == ("shop.test", ["h2", "http/1.1"])
        assert (hello.versions, hello.cipher_suites) == ([0x0304, 0x0303], [0x1301, 0xC02F])
        assert (hello.ticket, hello.early_data, hello.whole) == (True, True, True)

    def test_without_extensions(self) -> None:
        body = b"\3\1" + CLIENT_RANDOM + b"\0" + b"\0\2\0\x2f" + b"\1\0"
        hello = parse_client_hello(body)
        assert (hello.version, hello.sni, hello.alpn, hello.versions) == (0x0301, None, [], [])
        assert hello.whole

    def test_an_empty_ticket_asks_for_one(self) -> None:
        assert not parse_client_hello(client_hello(ticket=b"")[4:]).ticket

    def test_the_first_of_equal_extensions_counts(self) -> None:
        body = bytearray(client_hello(sni="first.test", alpn=(), versions=())[4:])
        second = extension(0, vector(2, b"\0" + vector(2, b"other.test")))
        at = body.index(b"\0\0\0\x0f")
        body[at - 2 : at] = (int.from_bytes(body[at - 2 : at], "big") + len(second)).to_bytes(2, "big")
        assert parse_client_hello(bytes(body) + second).sni == "first.test"

    @given(st.integers(0, 200))
    def test_cut_anywhere_it_tells_what_there_is(self, size: int) -> None:
        body = client_hello(ticket=b"t", early_data=True)[4:]
        hello, whole = parse_client_hello(body[:size]), parse_client_hello(body)
        assert hello.whole == (size >= len(body) or size == 43)  # there it could be one without extensions
        for found, expected in zip(hello, whole, strict=True):
            assert found in (expected, None, False, 0, b"", [])

    @given(st.binary(max_size=300))
    def test_anything(self, body: bytes) -> None:
        parse_client_hello(body)
        parse_client_hello(client_hello()[4:44] + body)
        parse_ssl2_hello(body)

    def test_a_list_without_end_is_cut_off(self) -> None:
        many = b"".join(extension(number % 7 + 1000) for number in range(1000))
        head = b"\3\3" + CLIENT_RANDOM + b"\0" + b"\0\0" + b"\1\0"
        assert not parse_client_hello(head + vector(2, many)).whole


class TestServerHello:
    def test_tls_1_3(self) -> None:
        hello = parse_server_hello(server_hello(psk=True, session_id=b"s")[4:])
        assert (hello.version, hello.random, hello.session_id) == (0x0304, SERVER_RANDOM, b"s")
        assert (hello.cipher_suite, hello.psk, hello.retry, hello.whole) == (0x1301, True, False, True)

    def test_tls_1_2(self) -> None:
        hello = parse_server_hello(server_hello(0x0303, alpn="h2")[4:])
        assert (hello.version, hello.alpn, hello.psk, hello.compression) == (0x0303, "h2", False, 0)

    def test_retry(self) -> None:
        assert parse_server_hello(server_hello(retry=True)[4:]).retry

    @given(st.binary(max_size=200))
    def test_anything(self, body: bytes) -> None:
        parse_server_hello(body)
        parse_server_hello(server_hello()[4:42] + body)
        parse_encrypted_extensions(body)
        first_certificate(body, True)
        first_certificate(body, False)


def test_encrypted_extensions() -> None:
    assert parse_encrypted_extensions(encrypted_extensions("h2", early_data=True)[4:]) == ("h2", True)
    assert parse_encrypted_extensions(encrypted_extensions()[4:]) == (None, False)


def test_the_first_certificate() -> None:
    chain = vector(3, vector(3, b"own") + vector(3, b"its issuer's"))
    assert first_certificate(chain, False) == b"own"
    assert first_certificate(b"\0" + vector(3, vector(3, b"own") + b"\0\0"), True) == b"own"
    assert first_certificate(vector(3, b""), False) is None


def test_an_ssl2_hello() -> None:
    body = b"\1\3\1" + b"\0\6\0\0\0\x10" + b"\0\0\x2f\x07\0\xc0" + b"c" * 16
    hello = parse_ssl2_hello(body)
    assert (hello.version, hello.cipher_suites, hello.whole) == (0x0301, [0x2F], True)
    assert hello.random == bytes(16) + b"c" * 16
