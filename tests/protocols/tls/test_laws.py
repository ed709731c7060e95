"""Laws of the TLS decoder: cutting is invisible, nothing raises, and a hole costs only what depends on it."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from inspector.protocols.tls.handshake import KEY_UPDATE
from tests.protocols.http1.playbook import Step, client, client_end, server, server_end
from tests.protocols.tls.forge import ALERT, CLOSE_NOTIFY, HANDSHAKE, Keys12, Keys13, message
from tests.protocols.tls.openssl import converse
from tests.protocols.tls.playbook import Conversation, Cutter, Inner, handshake_12, handshake_13, opaque

GET = b"GET /%d HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + b"b" * 300
CLIENT_SAYS = [b"ask " * 10, b"x", b"more" * 5000]
SERVER_SAYS = [b"answer " * 100, b"y" * 20_000, b"z"]


@functools.cache
def story(version: int) -> tuple[tuple[Step, ...], bytes]:
    """A connection with requests, a KeyUpdate where there is one, and close_notify; and its key log."""
    keys = Keys13() if version == 13 else Keys12()
    steps = handshake_13(keys) if isinstance(keys, Keys13) else handshake_12(keys)
    for number in range(6):
        sealed = keys.client.data((GET % number)[:9]) + keys.client.data((GET % number)[9:])
        steps.append(client(sealed))
        steps.append(server(keys.server.data(OK[:100]) + keys.server.data(OK[100:])))
        if number == 3 and isinstance(keys, Keys13):
            steps.append(server(keys.server.seal(HANDSHAKE, message(KEY_UPDATE, b"\0"))))
            keys.traffic = (keys.client, keys.server.updated())
    steps.append(server(keys.server.seal(ALERT, CLOSE_NOTIFY)))
    return tuple(steps), keys.log()


@functools.cache
def spoken(version: ssl.TLSVersion, ciphers: str | None) -> tuple[tuple[Step, ...], bytes]:
    """A connection of OpenSSL's, one record a packet, in an order in which it may have been."""
    conversation = converse(version, ciphers, client_says=CLIENT_SAYS, server_says=SERVER_SAYS)
    client_flight = [client(record_bytes(record)) for record in conversation.client]
    server_flight = [server(record_bytes(record)) for record in conversation.server]
    return (client_flight[0], server_flight[0], *server_flight[1:], *client_flight[1:]), conversation.keylog


def record_bytes(record: tuple[int, int, bytes]) -> bytes:
    content_type, version, fragment = record
    return bytes([content_type]) + version.to_bytes(2, "big") + len(fragment).to_bytes(2, "big") + fragment


def at(cuts: frozenset[int]) -> Callable[[bytes], list[bytes]]:
    def cut(data: bytes) -> list[bytes]:
        ends = [*sorted(cut for cut in cuts if cut < len(data)), len(data)]
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    return cut


def state(conversation: Conversation) -> tuple[object, ...]:
    decoder = conversation.decoder
    return (
        conversation.account,
        decoder.protocol,
        decoder.application_packet,
        decoder.application_ns,
        [max(until, reached) for until, reached in zip(decoder.skip_until, conversation.offsets, strict=True)],
        conversation.alpn,
    )


directions = st.sampled_from([FROM_CLIENT, FROM_SERVER])
odd_steps = st.one_of(
    st.builds(
        Step, directions, st.sampled_from([b"\x17", b"\x16\3\3", b"#", opaque(19), opaque(40), opaque(5, ALERT)])
    ),
    st.builds(Step, directions, st.just(b""), st.integers(1, 400)),
    st.builds(Step, directions, st.binary(min_size=1, max_size=60)),
)
endings = st.builds(Step, directions, st.just(b""), st.just(0), st.sampled_from(Ending))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Step], bytes | None]:
    """A story with steps left out, put in, damaged; with or without its keys."""
    steps, keylog = story(draw(st.sampled_from([12, 13])))
    changed = list(steps)
    for position in sorted(draw(st.lists(st.integers(0, len(changed)), max_size=4)), reverse=True):
        if draw(st.booleans()):
            changed.insert(position, draw(odd_steps))
        elif position < len(changed):
            left_out = changed[position]
            changed[position] = Step(left_out.direction, lost=len(left_out.data) or left_out.lost)
    return [*changed, draw(endings)], draw(st.sampled_from([keylog, None]))


@settings(max_examples=300)
@given(conversations(), st.frozensets(st.integers(1, 120)))
def test_cutting_changes_nothing(told: tuple[list[Step], bytes | None], cuts: frozenset[int]) -> None:
    steps, keylog = told
    whole, pieces = Conversation(keylog), Conversation(keylog)
    whole.play(steps)
    pieces.play(steps, at(cuts))
    assert pieces.lines() == whole.lines()
    assert pieces.events == whole.events
    assert state(pieces) == state(whole)


@given(st.lists(odd_steps, max_size=20), endings, st.booleans())
def test_random_bytes_never_raise(steps: list[Step], ending: Step, keys: bool) -> None:
    conversation = Conversation(Keys13().log() if keys else None)
    conversation.play([*steps, ending])
    assert conversation.account.version is None
    assert not conversation.account.decrypted


@settings(max_examples=200)
@given(st.sampled_from([12, 13]), st.data())
def test_damaged_records_never_raise(version: int, data: st.DataObject) -> None:
    steps, keylog = story(version)
    damaged = list(steps)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(steps) - 1))
        content = bytearray(damaged[position].data)
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        damaged[position] = Step(steps[position].direction, bytes(content))
    conversation = Conversation(keylog)
    conversation.play([*damaged, server_end(), client_end()])
    assert conversation.lines()[0] == "1: TLS"


@pytest.mark.parametrize("version", [12, 13])
def test_any_lost_packet_costs_what_it_brought(version: int) -> None:
    """Behind the handshake: the rest of the plaintext is as it was, in its place."""
    steps, keylog = story(version)
    first = 4 if version == 12 else 5
    whole = Inner()
    Conversation(keylog, whole).play([*steps, server_end(), client_end()])
    for missing in range(first, len(steps) - 1):
        inner = Inner()
        lost = steps[missing]
        changed = [*steps[:missing], Step(lost.direction, lost=len(lost.data)), *steps[missing + 1 :]]
        conversation = Conversation(keylog, inner)
        conversation.play([*changed, server_end(), client_end()])
        kept = [text for text in whole.told if not text.startswith(f"{missing + 1}:")]
        assert [text for text in inner.told if "hole" not in text] == kept
        assert conversation.account.close_notify == [False, True]


@pytest.mark.parametrize("missing", range(5))
def test_without_keys_any_lost_packet_of_the_handshake_leaves_the_rest(missing: int) -> None:
    steps, _ = story(13)
    lost = steps[missing]
    changed = [*steps[:missing], Step(lost.direction, lost=len(lost.data)), *steps[missing + 1 :]]
    conversation = Conversation()
    conversation.play([*changed, server_end(), client_end()])
    assert conversation.account.sni == (None if missing == 0 else "shop.test")
    assert conversation.account.version == (None if missing == 1 else "TLS 1.3")
    assert conversation.account.close_notify == [False, True]
    # Without the server's hello, the client's Finished and a ticket pass for an exchange.
    assert conversation.account.estimated_exchanges == (7 if missing == 1 else 6)


SUITES = [
    (ssl.TLSVersion.TLSv1_3, None),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-CHACHA20-POLY1305"),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384"),
    (ssl.TLSVersion.TLSv1_2, "AES128-CCM8"),
    (ssl.TLSVersion.TLSv1_2, "AES256-SHA256"),
    (ssl.TLSVersion.TLSv1_1, "AES128-SHA"),
    (ssl.TLSVersion.TLSv1, "AES128-SHA"),
]


@pytest.mark.parametrize(("version", "ciphers"), SUITES)
def test_what_openssl_says_is_read(version: ssl.TLSVersion, ciphers: str | None) -> None:
    steps, keylog = spoken(version, ciphers)
    inner = Inner()
    conversation = Conversation(keylog, inner)
    conversation.play([*steps, client_end(), server_end()])
    assert inner.text == [b"".join(CLIENT_SAYS), b"".join(SERVER_SAYS)]
    assert conversation.account.certificate_names == ["shop.test"]
    assert conversation.account.close_notify == [True, True]
    assert (conversation.account.decrypted, conversation.account.why_not) == (True, None)


@pytest.mark.parametrize(("version", "ciphers"), SUITES)
def test_a_lost_record_of_openssl_costs_about_its_plaintext(version: ssl.TLSVersion, ciphers: str | None) -> None:
    steps, keylog = spoken(version, ciphers)
    texts = [b"".join(CLIENT_SAYS), b"".join(SERVER_SAYS)]
    block_cipher = (ciphers or "").startswith(("AES128-SHA", "AES256-SHA"))
    for missing, lost in enumerate(steps):
        if lost.data[0] != 0x17 or len(lost.data) < 500:
            continue
        inner = Inner()
        changed = [*steps[:missing], Step(lost.direction, lost=len(lost.data)), *steps[missing + 1 :]]
        Conversation(keylog, inner).play([*changed, client_end(), server_end()])
        assert inner.text[1 - lost.direction] == texts[1 - lost.direction]
        told, said = inner.text[lost.direction], texts[lost.direction]
        hole = told.count(b"?")
        before = told.index(b"?")
        behind = told[before + hole :]
        # TLS 1.0 links each record to the one before it, so that a second one is lost.
        assert 400 < hole <= 16_400 * (2 if version == ssl.TLSVersion.TLSv1 else 1)
        assert told[:before] == said[:before]
        assert said.endswith(behind)
        if not block_cipher:
            assert len(told) == len(said)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("version", "ciphers"), SUITES[:2])
def test_what_openssl_says_in_crumbs(version: ssl.TLSVersion, ciphers: str | None, size: int) -> None:
    steps, keylog = spoken(version, ciphers)
    inner = Inner()
    Conversation(keylog, inner).play(steps, Cutter(size))
    assert inner.text == [b"".join(CLIENT_SAYS), b"".join(SERVER_SAYS)]
