"""Records of real connections opened: every kind of suite, records lost, damaged, foreign, and by wrong keys."""

from __future__ import annotations

import functools
import hmac
import ssl
from collections.abc import Callable, Sequence

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.protocols.tls import protection
from inspector.protocols.tls.keylog import CLIENT_RANDOM, CLIENT_TRAFFIC, SERVER_TRAFFIC, KeyLog
from inspector.protocols.tls.protection import Opened, Opener, opener_13, openers_12
from inspector.protocols.tls.schedule import expand_label, traffic_keys
from inspector.protocols.tls.suites import TLS_1_2, suite_of
from tests.protocols.tls.openssl import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    Conversation,
    Record,
    converse,
    protected,
)

unhex = bytes.fromhex
V = ssl.TLSVersion

#: A short record, an empty line, one larger than a block, and more than a record holds.
CLIENT_SAYS = [b"GET / HTTP/1.1\r\n", b"\r\n", bytes(range(256)), b"a" * 20_000]
SERVER_SAYS = [b"HTTP/1.1 200 OK\r\n\r\n", b"b" * 17_000, b"c"]

SUITES_12 = [
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "AES128-CCM",
    "AES256-CCM8",
    "ECDHE-ECDSA-AES256-CCM",
    "AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "CAMELLIA128-SHA256",
    "NULL-SHA256",
]
SUITES_10 = ["AES128-SHA", "ECDHE-RSA-AES256-SHA", "CAMELLIA256-SHA", "NULL-SHA"]


@functools.cache
def conversation(version: ssl.TLSVersion, ciphers: str | None, encrypt_then_mac: bool) -> Conversation:
    return converse(
        version,
        ciphers,
        encrypt_then_mac=encrypt_then_mac,
        client_says=CLIENT_SAYS,
        server_says=SERVER_SAYS,
    )


def of_12(talk: Conversation, version: ssl.TLSVersion, encrypt_then_mac: bool) -> tuple[Opener, Opener]:
    keys = KeyLog()
    keys.add(talk.keylog)
    secret = keys.secret(CLIENT_RANDOM, talk.client_random)
    assert secret is not None
    both = openers_12(
        talk.cipher_suite,
        int(version),
        secret,
        talk.client_random,
        talk.server_random,
        encrypt_then_mac=encrypt_then_mac,
    )
    assert both is not None
    return both


def of_13(talk: Conversation) -> tuple[Opener, Opener]:
    keys = KeyLog()
    keys.add(talk.keylog)
    secrets = [keys.secret(label, talk.client_random) for label in (CLIENT_TRAFFIC, SERVER_TRAFFIC)]
    client, server = (opener_13(talk.cipher_suite, secret) if secret else None for secret in secrets)
    assert client is not None
    assert server is not None
    return client, server


def open_all(opener: Opener, records: Sequence[Record]) -> list[Opened | None]:
    return [opener.open(*record) for record in records]


def said(opened: Sequence[Opened | None]) -> bytes:
    """The application data; every record was opened."""
    assert None not in opened
    return b"".join(one.plaintext for one in opened if one and one.content_type == APPLICATION_DATA)


# ---- What the peers said is what comes out.


@pytest.mark.parametrize("encrypt_then_mac", [True, False])
@pytest.mark.parametrize("cipher", SUITES_12)
def test_tls_1_2(cipher: str, encrypt_then_mac: bool) -> None:
    check_before_1_3(V.TLSv1_2, cipher, encrypt_then_mac)


@pytest.mark.parametrize("encrypt_then_mac", [True, False])
@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1])
@pytest.mark.parametrize("cipher", SUITES_10)
def test_tls_1_0_and_1_1(cipher: str, version: ssl.TLSVersion, encrypt_then_mac: bool) -> None:
    check_before_1_3(version, cipher, encrypt_then_mac)


def check_before_1_3(version: ssl.TLSVersion, cipher: str, encrypt_then_mac: bool) -> None:
    talk = conversation(version, cipher, encrypt_then_mac)
    in_use = encrypt_then_mac and b"\x00\x16\x00\x00" in talk.server[0].fragment
    for opener, records, says in zip(
        of_12(talk, version, in_use), (talk.client, talk.server), (CLIENT_SAYS, SERVER_SAYS), strict=True
    ):
        opened = open_all(opener, protected(records))
        assert said(opened) == b"".join(says)
        assert opened[0] is not None
        assert (opened[0].content_type, opened[0].plaintext[:4]) == (HANDSHAKE, b"\x14\x00\x00\x0c")  # Finished
        assert opened[-1] == Opened(ALERT, b"\x01\x00")
        assert opener.next_keys() is None


def test_encrypt_then_mac_is_really_met_with() -> None:
    """OpenSSL agrees on it with itself, unless told not to: the tests above test both."""
    assert b"\x00\x16\x00\x00" in conversation(V.TLSv1_2, "AES128-SHA", True).server[0].fragment
    assert b"\x00\x16\x00\x00" not in conversation(V.TLSv1_2, "AES128-SHA", False).server[0].fragment


def test_tls_1_3() -> None:
    talk = conversation(V.TLSv1_3, None, True)
    assert talk.cipher_suite == 0x1302
    client, server = of_13(talk)
    in_order = protected(talk.client)[1:]  # the first one is Finished, under the handshake's keys
    opened = open_all(client, in_order)
    assert said(opened) == b"".join(CLIENT_SAYS)
    assert opened[-1] == Opened(ALERT, b"\x01\x00")
    # The server's Finished and what comes before it are under the handshake's keys, too.
    tail = protected(talk.server)[-7:]
    first = next(at for at, record in enumerate(tail) if server.open(*record) is not None)
    assert said(open_all(of_13(talk)[1], tail[first:])) == b"".join(SERVER_SAYS)


def test_records_of_rfc_8448() -> None:
    """Section 3: the client's application data and close_notify, the server's data behind its ticket."""
    client = opener_13(0x1301, unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"))
    assert client is not None
    data = unhex(
        "a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a"
        "6292a2977014bd1e3deae63aeebb21694915e4"
    )
    assert client.open(APPLICATION_DATA, 0x0303, data) == Opened(APPLICATION_DATA, bytes(range(50)))
    close = unhex("c9872760655666b74d7ff1153efd6db6d0b0e3")
    assert client.open(APPLICATION_DATA, 0x0303, close) == Opened(ALERT, b"\x01\x00")
    server = opener_13(0x1301, unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"))
    assert server is not None
    data = unhex(
        "2e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2"
        "e5f0a21c0047c2abf332540dd032e167c2955d"
    )
    assert server.open(APPLICATION_DATA, 0x0303, data) == Opened(APPLICATION_DATA, bytes(range(50)))


# ---- TLS 1.3, sealed here.

Seal = Callable[[int, bytes], bytes]
SUITES_13: dict[int, tuple[Callable[[bytes], AESGCM | AESCCM | ChaCha20Poly1305], int, str]] = {
    0x1301: (AESGCM, 16, "sha256"),
    0x1302: (AESGCM, 32, "sha384"),
    0x1303: (ChaCha20Poly1305, 32, "sha256"),
    0x1304: (AESCCM, 16, "sha256"),
    0x1305: (lambda key: AESCCM(key, 8), 16, "sha256"),
}


def secret_13(suite: int) -> bytes:
    return bytes(range(1, 49 if SUITES_13[suite][2] == "sha384" else 33))


def sealer_13(suite: int, secret: bytes) -> Seal:
    """Seals an inner plaintext (with its content type and padding) under a record number."""
    make, key_length, hash_name = SUITES_13[suite]
    key, iv = traffic_keys(hash_name, secret, key_length)
    aead = make(key)
    tag_length = 8 if suite == 0x1305 else 16

    def seal(number: int, inner: bytes) -> bytes:
        header = b"\x17\x03\x03" + (len(inner) + tag_length).to_bytes(2, "big")
        nonce = bytes(a ^ b for a, b in zip(iv, number.to_bytes(12, "big"), strict=True))
        return bytes(aead.encrypt(nonce, inner, header))

    return seal


def opener_of(suite: int, secret: bytes | None = None) -> Opener:
    opener = opener_13(suite, secret or secret_13(suite))
    assert opener is not None
    return opener


@pytest.mark.parametrize("suite", SUITES_13)
def test_all_suites_of_tls_1_3(suite: int) -> None:
    seal, opener = sealer_13(suite, secret_13(suite)), opener_of(suite)
    assert opener.open(23, 0x0303, seal(0, b"hello\x17")) == Opened(APPLICATION_DATA, b"hello")
    assert opener.open(23, 0x0303, memoryview(seal(1, b"padded\x16" + bytes(300)))) == Opened(HANDSHAKE, b"padded")
    assert opener.open(23, 0x0303, seal(2, b"\x17")) == Opened(APPLICATION_DATA, b"")
    assert opener.open(23, 0x0303, seal(3, bytes(20))) == Opened(0, b"")
    assert opener.open(23, 0x0303, seal(4, b"")) == Opened(0, b"")
    assert opener.open(23, 0x0303, seal(5, b"x\0\0\x15")) == Opened(ALERT, b"x\0\0")


@pytest.mark.parametrize("suite", SUITES_13)
def test_key_update(suite: int) -> None:
    secret = secret_13(suite)
    following = opener_of(suite).next_keys()
    assert following is not None
    name = SUITES_13[suite][2]
    for _ in range(2):
        secret = expand_label(name, secret, b"traffic upd", b"", len(secret))
        assert following is not None
        assert following.open(23, 0x0303, sealer_13(suite, secret)(0, b"new\x17")) == Opened(APPLICATION_DATA, b"new")
        following = following.next_keys()


def test_secret_filled_up_with_zeros() -> None:
    seal = sealer_13(0x1301, secret_13(0x1301))
    opener = opener_of(0x1301, secret_13(0x1301) + bytes(16))
    assert opener.open(23, 0x0303, seal(0, b"hello\x17")) == Opened(APPLICATION_DATA, b"hello")
    following = opener.next_keys()
    assert following is not None
    assert opener_13(0x1301, secret_13(0x1301) + b"\0\1") is None


def test_suites_that_there_is_no_opener_for() -> None:
    master, client, server = b"m" * 48, b"c" * 32, b"s" * 32
    for suite, version in [
        (0x1301, 0x0303),  # of TLS 1.3
        (0xC02F, 0x0302),  # not before TLS 1.2
        (0xC02F, 0x0304),
        (0xC02F, 0x0300),
        (0x0005, 0x0303),  # RC4
        (0xC050, 0x0303),  # ARIA
        (0xC03C, 0x0303),
        (0xCAFE, 0x0303),
    ]:
        assert openers_12(suite, version, master, client, server, encrypt_then_mac=False) is None
    assert openers_12(0xC02F, 0x0303, master[:47], client, server, encrypt_then_mac=False) is None
    assert openers_12(0xC02F, 0x0303, master + bytes(16), client, server, encrypt_then_mac=False) is not None
    assert opener_13(0xC02F, b"t" * 32) is None
    assert opener_13(0x1302, b"t" * 32) is None
    assert opener_13(0xCAFE, b"t" * 32) is None


# ---- Lost and damaged records.

LOSSY = [
    (V.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256", True),
    (V.TLSv1_2, "ECDHE-RSA-CHACHA20-POLY1305", True),
    (V.TLSv1_2, "AES128-CCM", True),
    (V.TLSv1_2, "AES128-SHA", True),
    (V.TLSv1_2, "AES128-SHA256", False),
    (V.TLSv1_2, "NULL-SHA256", False),
    (V.TLSv1_1, "AES128-SHA", False),
    (V.TLSv1, "AES128-SHA", True),
    (V.TLSv1, "AES128-SHA", False),
    (V.TLSv1, "NULL-SHA", False),
]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("version", "cipher", "encrypt_then_mac"), LOSSY)
@given(data=st.data())
@settings(max_examples=15)
def test_lost_records_cost_themselves(
    version: ssl.TLSVersion, cipher: str, encrypt_then_mac: bool, told: bool, data: st.DataObject
) -> None:
    """In TLS 1.0 with a block cipher also the first one behind them: it is linked to what is lost."""
    talk = conversation(version, cipher, encrypt_then_mac)
    records = protected(talk.client)
    lost = data.draw(st.sets(st.integers(0, len(records) - 1)))
    whole = open_all(of_12(talk, version, encrypt_then_mac)[0], records)
    opener = of_12(talk, version, encrypt_then_mac)[0]
    linked = version is V.TLSv1 and "NULL" not in cipher
    for number, record in enumerate(records):
        if number in lost:
            if told:
                opener.lost(5 + len(record.fragment))
            continue
        opened = opener.open(*record)
        if linked and number - 1 in lost:
            # What is not told of a loss cannot know it where the MAC is not over the plaintext.
            if told or not encrypt_then_mac:
                assert opened is None
        else:
            assert opened == whole[number]


@given(lost=st.sets(st.integers(0, 30)), data=st.data())
@settings(max_examples=30)
def test_lost_records_of_tls_1_3(lost: set[int], data: st.DataObject) -> None:
    suite = data.draw(st.sampled_from(sorted(SUITES_13)))
    told = data.draw(st.booleans())
    seal, opener = sealer_13(suite, secret_13(suite)), opener_of(suite)
    for number in range(32):
        fragment = seal(number, bytes([number]) * 10 + b"\x17")
        if number not in lost:
            assert opener.open(23, 0x0303, fragment) == Opened(APPLICATION_DATA, bytes([number]) * 10)
        elif told:
            opener.lost(5 + len(fragment))


@pytest.mark.parametrize("sizes", [[16_000], [100], [1_000, 16_000, 16_000], [16_000, 1_000]])
def test_a_large_hole(sizes: list[int]) -> None:
    """About a thousand records were lost, of the usual size, of a larger one, of a smaller one."""
    seal, opener = sealer_13(0x1301, secret_13(0x1301)), opener_of(0x1301)
    assert opener.open(23, 0x0303, seal(0, bytes(sizes[0]) + b"\x17")) is not None
    lost = [sizes[number % len(sizes)] for number in range(1, 1_000)]
    opener.lost(sum(size + 17 + 5 for size in lost))
    assert opener.open(23, 0x0303, seal(1_000, b"found\x17")) == Opened(APPLICATION_DATA, b"found")
    assert opener.open(23, 0x0303, seal(1_001, b"next\x17")) == Opened(APPLICATION_DATA, b"next")


def test_the_nonce_tells_how_many_were_lost() -> None:
    """More than would be tried, in TLS 1.2 with AES-GCM. Where it counts from is the sender's affair."""
    key, salt = b"k" * 16, b"salt"
    suite = suite_of(0xC02F)
    assert suite is not None
    for begin in (0, 1 << 40):
        opener = protection._Aead12(suite, AESGCM(key), salt)
        for number in (0, 1, 2 * protection.PATIENCE, 2 * protection.PATIENCE + 1):
            explicit = (begin + number).to_bytes(8, "big")
            header = number.to_bytes(8, "big") + b"\x17\x03\x03\x00\x05"
            fragment = explicit + AESGCM(key).encrypt(salt + explicit, b"hello", header)
            assert opener.open(23, 0x0303, fragment) == Opened(APPLICATION_DATA, b"hello")


@pytest.mark.parametrize(("version", "cipher", "encrypt_then_mac"), LOSSY)
@given(at=st.integers(0, 3), byte=st.integers(0, 1 << 16), flip=st.integers(1, 255))
@settings(max_examples=10)
def test_a_damaged_record_costs_itself(
    version: ssl.TLSVersion, cipher: str, encrypt_then_mac: bool, at: int, byte: int, flip: int
) -> None:
    """In TLS 1.0 with a block cipher also the next one, if it is the link that was damaged, or if that may be."""
    talk = conversation(version, cipher, encrypt_then_mac)
    records = protected(talk.client)
    whole = open_all(of_12(talk, version, encrypt_then_mac)[0], records)
    damaged = bytearray(records[at].fragment)
    damaged[byte % len(damaged)] ^= flip
    opener = of_12(talk, version, encrypt_then_mac)[0]
    seen = open_all(opener, [*records[:at], records[at]._replace(fragment=bytes(damaged)), *records[at + 1 :]])
    assert seen[:at] == whole[:at]
    assert seen[at] is None
    assert seen[at + 2 :] == whole[at + 2 :]
    if version is not V.TLSv1:
        assert seen[at + 1] == whole[at + 1]
    else:
        assert seen[at + 1] in (None, whole[at + 1])


@pytest.mark.parametrize(("version", "cipher", "encrypt_then_mac"), LOSSY)
@given(data=st.data())
@settings(max_examples=10)
def test_foreign_and_cut_fragments_open_nothing(
    version: ssl.TLSVersion, cipher: str, encrypt_then_mac: bool, data: st.DataObject
) -> None:
    talk = conversation(version, cipher, encrypt_then_mac)
    opener = of_12(talk, version, encrypt_then_mac)[0]
    fragment = protected(talk.client)[1].fragment
    cut = data.draw(st.integers(0, len(fragment) - 1))
    foreign = data.draw(st.binary(max_size=200))
    for bad in (fragment[:cut], foreign, memoryview(foreign)):
        opener.lost(data.draw(st.integers(0, 1 << 40)))
        assert opener.open(23, int(version), bad) is None
    opener = of_12(talk, version, encrypt_then_mac)[0]
    assert opener.open(ALERT, int(version), protected(talk.client)[0].fragment) is None


@pytest.mark.parametrize("suite", SUITES_13)
@given(foreign=st.binary(max_size=100), lost=st.integers(0, 1 << 62))
@settings(max_examples=5)
def test_foreign_fragments_of_tls_1_3(suite: int, foreign: bytes, lost: int) -> None:
    opener = opener_of(suite)
    assert opener.open(23, 0x0303, foreign) is None
    opener.lost(lost)
    assert opener.open(23, 0x0303, foreign) is None
    assert opener.open(23, 0x0303, sealer_13(suite, secret_13(suite))(0, b"x\x17")) == Opened(APPLICATION_DATA, b"x")


class CountingAead:
    """Opens nothing."""

    def __init__(self) -> None:
        self.tries = 0

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        self.tries += 1
        raise InvalidTag


@pytest.mark.parametrize("lost", [0, 1, 1 << 30])
def test_the_search_is_bounded_and_ends(lost: int) -> None:
    """With a wrong key each record is tried under few numbers, and in the end under the expected one alone."""
    suite = suite_of(0x1301)
    assert suite is not None
    aead = CountingAead()
    opener = protection._Aead13(suite, b"", aead, bytes(12))
    opener.lost(lost)
    assert opener.open(23, 0x0303, bytes(100)) is None
    assert aead.tries <= 1 + (3 * protection.TRIES_AFTER_LOSS if lost else protection.TRIES)
    for _ in range(200):
        assert opener.open(23, 0x0303, bytes(100)) is None
    before = aead.tries
    assert before <= 201 + protection.PATIENCE
    assert opener.open(23, 0x0303, bytes(100)) is None
    assert aead.tries == before + 1


def test_wrong_keys_open_nothing() -> None:
    talk = conversation(V.TLSv1_2, "AES128-SHA", False)
    wrong = openers_12(
        talk.cipher_suite, TLS_1_2, b"w" * 48, talk.client_random, talk.server_random, encrypt_then_mac=False
    )
    assert wrong is not None
    assert open_all(wrong[0], protected(talk.client)) == [None] * len(protected(talk.client))


@pytest.mark.parametrize(("size", "padding"), [(5, 6), (5, 246), (0, 11), (12, 255)])
def test_any_amount_of_padding(size: int, padding: int) -> None:
    """It may be longer than needed, and has to be uniform."""
    suite = suite_of(0x002F)
    assert suite is not None
    key, text = b"k" * 16, b"t" * size
    mac = hmac.digest(b"m", bytes(8) + b"\x17\x03\x03" + size.to_bytes(2, "big") + text, "sha1")
    right = bytes([padding]) * (padding + 1)
    for pad, expected in ((right, Opened(APPLICATION_DATA, text)), (b"\x01" + right[1:], None)):
        cipher = Cipher(AES(key), CBC(b"i" * 16))
        decryptor = Cipher(AES(key), CBC(bytes(16))).decryptor()
        opener = protection._MacThenEncrypt(suite, TLS_1_2, b"m", decryptor)
        fragment = b"i" * 16 + cipher.encryptor().update(text + mac + pad)
        assert opener.open(APPLICATION_DATA, 0x0303, fragment) == expected
