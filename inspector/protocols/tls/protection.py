"""Opening protected records, one direction under one set of keys at a time.

A record is authenticated together with its number, which is not on the wire. An observer may have lost records, so
where the expected number does not fit, the following ones are tried: a few where nothing is known to be missing (a
record that was damaged on its way to the capture), more where bytes are (`lost`), beginning with the number that they
would make up if the missing records had the usual size. AES-GCM and AES-CCM in TLS 1.2 have a nonce in the record,
which nearly everybody counts up with the number, so it tells how many were lost, however many.

Importing this costs the import of cryptography: it is for connections that there is a secret of.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import chain
from struct import Struct
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from inspector.protocols.tls.schedule import hash_length, key_block, next_traffic_secret, traffic_keys
from inspector.protocols.tls.suites import MAX_PLAINTEXT, TLS_1_0, TLS_1_1, TLS_1_2, Mode, Suite, suite_of

#: Record numbers that are tried for a record behind the expected one, where no bytes are known to be missing.
TRIES = 64

#: The same where bytes are missing: on both sides of the number that they would make up as records of the largest
#: size seen, and from the number on that they make up as the largest records that there can be.
TRIES_AFTER_LOSS = 2048

#: Numbers that are tried in vain before a direction is given up: from then on only the expected one is tried.
PATIENCE = 4 * TRIES_AFTER_LOSS

#: Bytes of a master secret (RFC 5246 section 8.1).
MASTER_SECRET = 48

#: Record numbers end here (RFC 8446 section 5.3).
_MAX_NUMBER = (1 << 64) - 1

_RECORD_HEADER_SIZE = 5
_MAX_RECORD = _RECORD_HEADER_SIZE + MAX_PLAINTEXT + 2048  # RFC 5246 section 6.2.3

_HEADER = Struct(">BHH")
"""Type, version, length: what TLS 1.3 authenticates beside the record."""
_NUMBERED_HEADER = Struct(">QBHH")
"""The same behind the record's number, as until TLS 1.2."""


class Opened(NamedTuple):
    """What was in a record."""

    content_type: int
    """In TLS 1.3 the real one; 0 where the record holds none."""
    plaintext: bytes


class Opener(Protocol):
    """Opens the records of one direction under one set of keys, in their order on the wire."""

    number: int
    """The number of the next record: records are counted from 0 under each set of keys."""

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None:
        """The content of the next record, whose header says this type and version, and whose body is `fragment`.

        None: it cannot be authenticated. It may be asked for the next one all the same.
        """

    def lost(self, length: int) -> None:
        """About `length` bytes of records under these keys went by before the next one: a hole, or not framed."""

    def next_keys(self) -> Opener | None:
        """The opener for what follows a KeyUpdate (RFC 8446 section 7.2); None before TLS 1.3."""


def opener_13(cipher_suite: int, traffic_secret: bytes) -> Opener | None:
    """The opener under a traffic secret of TLS 1.3; None: suite not known, or the secret is not one of its size."""
    suite = suite_of(cipher_suite)
    if suite is None or not suite.tls_1_3:
        return None
    secret = _of_length(traffic_secret, hash_length(suite.hash))
    if secret is None:
        return None
    key, iv = traffic_keys(suite.hash, secret, suite.key_length)
    try:
        return _Aead13(suite, secret, _aead(suite, key), iv)
    except UnsupportedAlgorithm:
        return None


def openers_12(
    cipher_suite: int,
    version: int,
    master_secret: bytes,
    client_random: bytes,
    server_random: bytes,
    *,
    encrypt_then_mac: bool,
) -> tuple[Opener, Opener] | None:
    """The openers of the client's and of the server's records in TLS 1.0 to 1.2.

    `version` is the one agreed on, `encrypt_then_mac` whether RFC 7366's extension was. None: the suite is not known,
    cannot be opened, or is not one of that version.
    """
    suite = suite_of(cipher_suite)
    secret = _of_length(master_secret, MASTER_SECRET)
    if suite is None or suite.tls_1_3 or secret is None or not TLS_1_0 <= version <= TLS_1_2:
        return None
    if suite.mac is None and version != TLS_1_2:
        return None
    mac_length = suite.tag_length if suite.mac is not None else 0
    iv_length = _iv_length(suite, version)
    sizes = (mac_length, mac_length, suite.key_length, suite.key_length, iv_length, iv_length)
    block = key_block(version, suite.hash, secret, client_random, server_random, sum(sizes))
    parts, at = [], 0
    for size in sizes:
        parts.append(block[at : at + size])
        at += size
    try:
        client, server = (
            _opener_12(suite, version, *parts[side::2], encrypt_then_mac=encrypt_then_mac) for side in (0, 1)
        )
    except UnsupportedAlgorithm:
        return None
    return (client, server) if client is not None and server is not None else None


def _of_length(secret: bytes, length: int) -> bytes | None:
    """The secret without the zeros that some programs fill it up with; None where it has not this length."""
    return secret[:length] if len(secret) >= length and not any(secret[length:]) else None


def _iv_length(suite: Suite, version: int) -> int:
    """Bytes of initialisation vector in the key block."""
    if suite.mode in (Mode.GCM, Mode.CCM):
        return 4  # the salt (RFC 5288 section 3)
    if suite.mode is Mode.POLY1305:
        return 12  # RFC 7905 section 2
    return suite.block_length if version == TLS_1_0 else 0  # RFC 4346 section 6.2.3.2


class _Aead(Protocol):
    """As cryptography has it."""

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes: ...


def _aead(suite: Suite, key: bytes) -> _Aead | None:
    """None: there is none for this suite. Raises UnsupportedAlgorithm where the system's library lacks it."""
    if suite.mode is Mode.POLY1305:
        return ChaCha20Poly1305(key)
    if suite.cipher != "AES":
        return None
    return AESGCM(key) if suite.mode is Mode.GCM else AESCCM(key, suite.tag_length)


def _opener_12(
    suite: Suite, version: int, mac_key: bytes, key: bytes, iv: bytes, *, encrypt_then_mac: bool
) -> Opener | None:
    """Raises UnsupportedAlgorithm."""
    if suite.mac is None:
        aead = _aead(suite, key)
        return _Aead12(suite, aead, iv) if aead is not None else None
    if suite.mode is Mode.NULL:
        return _MacThenEncrypt(suite, version, mac_key, None)
    decryptor = _cbc_decryptor(suite, key, iv)
    if decryptor is None:
        return None
    kind = _EncryptThenMac if encrypt_then_mac else _MacThenEncrypt
    return kind(suite, version, mac_key, decryptor)


def _cbc_decryptor(suite: Suite, key: bytes, iv: bytes) -> CipherContext | None:
    """None: not a block cipher that there is. Raises UnsupportedAlgorithm where the system's library lacks it."""
    if suite.mode is not Mode.CBC:
        return None
    algorithm: type | None = algorithms.AES
    if suite.cipher != "AES":
        from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit

        name = {"3DES": "TripleDES", "CAMELLIA": "Camellia", "SEED": "SEED"}.get(suite.cipher or "", "")
        algorithm = getattr(decrepit, name, None) or getattr(algorithms, name, None)  # they move as versions go by
    if algorithm is None:
        return None
    return Cipher(algorithm(key), modes.CBC(iv or bytes(suite.block_length))).decryptor()


class _Records(ABC):
    """Where a direction is: the number of its next record, and the search for it."""

    def __init__(self) -> None:
        self.number = 0
        self._lost = 0
        self._usual = 0
        """Size of the largest body so far."""
        self._patience = PATIENCE

    @abstractmethod
    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None: ...

    def lost(self, length: int) -> None:
        self._lost += length

    def next_keys(self) -> Opener | None:
        return None

    def _passed(self, size: int) -> None:
        """The record with number `number`, its body of `size` bytes, was opened."""
        self.number += 1
        if size > self._usual:
            self._usual = size
        if self._patience != PATIENCE or self._lost:
            self._patience = PATIENCE
            self._lost = 0

    def _search(self, attempt: Callable[[int], bytes | None], hint: int | None = None) -> bytes | None:
        """What `attempt` makes of the record under one of the numbers behind the expected one, which this becomes.

        `hint` is tried first. None: it made nothing of it under any.
        """
        candidates: Iterator[int] = self._candidates()
        if hint is not None and self.number < hint <= _MAX_NUMBER // 2:
            candidates = chain((hint,), candidates)
        for number in candidates:
            if not self._patience:
                return None
            self._patience -= 1
            found = attempt(number)
            if found is not None:
                self.number = number
                return found
        return None

    def _candidates(self) -> Iterator[int]:
        following = self.number + 1
        if not self._lost:
            return iter(range(following, following + TRIES))
        likely = self.number + max(1, -(-self._lost // ((self._usual or MAX_PLAINTEXT) + _RECORD_HEADER_SIZE)))
        below = max(likely - TRIES_AFTER_LOSS, following)
        fewest = max(following, self.number + self._lost // _MAX_RECORD)
        return chain(
            range(likely, likely + TRIES_AFTER_LOSS),
            reversed(range(below, likely)),
            range(fewest, min(fewest + TRIES_AFTER_LOSS, below)),
        )


class _Aead13(_Records):
    """TLS 1.3 (RFC 8446 section 5.2 and 5.3)."""

    def __init__(self, suite: Suite, secret: bytes, aead: _Aead | None, iv: bytes) -> None:
        super().__init__()
        assert aead is not None
        self._suite = suite
        self._secret = secret
        self._aead = aead
        self._iv = int.from_bytes(iv, "big")

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None:
        header = _HEADER.pack(content_type, version, len(fragment))
        try:
            inner = self._aead.decrypt((self._iv ^ self.number).to_bytes(12, "big"), fragment, header)
        except InvalidTag:
            found = self._search(lambda number: self._attempt(number, header, fragment))
            if found is None:
                return None
            inner = found
        self._passed(len(fragment))
        if not inner or not inner[-1]:
            inner = inner.rstrip(b"\0")  # section 5.4
            if not inner:
                return Opened(0, b"")
        return Opened(inner[-1], inner[:-1])

    def _attempt(self, number: int, header: bytes, fragment: bytes | memoryview) -> bytes | None:
        try:
            return self._aead.decrypt((self._iv ^ number).to_bytes(12, "big"), fragment, header)
        except InvalidTag:
            return None

    def next_keys(self) -> Opener | None:
        return opener_13(self._suite.number, next_traffic_secret(self._suite.hash, self._secret))


class _Aead12(_Records):
    """TLS 1.2: AES-GCM and AES-CCM with a part of the nonce in the record (RFC 5288, RFC 6655), ChaCha20-Poly1305
    with the record's number in it (RFC 7905)."""

    def __init__(self, suite: Suite, aead: _Aead, iv: bytes) -> None:
        super().__init__()
        self._aead = aead
        self._salt = iv
        self._iv = int.from_bytes(iv, "big")
        self._explicit = 0 if suite.mode is Mode.POLY1305 else 8
        self._overhead = self._explicit + suite.tag_length
        self._nonce_ahead = 0
        """How far the nonces in the records are ahead of the records' numbers."""

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None:
        if len(fragment) < self._overhead:
            return None
        plaintext = self._attempt(self.number, content_type, version, fragment)
        nonce = int.from_bytes(fragment[: self._explicit], "big")
        if plaintext is None:
            plaintext = self._search(
                lambda number: self._attempt(number, content_type, version, fragment),
                nonce - self._nonce_ahead if self._explicit else None,
            )
            if plaintext is None:
                return None
        self._nonce_ahead = nonce - self.number
        self._passed(len(fragment))
        return Opened(content_type, plaintext)

    def _attempt(self, number: int, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        header = _NUMBERED_HEADER.pack(number, content_type, version, len(fragment) - self._overhead)
        explicit = self._explicit
        try:
            if explicit:
                return self._aead.decrypt(self._salt + fragment[:explicit], fragment[explicit:], header)
            return self._aead.decrypt((self._iv ^ number).to_bytes(12, "big"), fragment, header)
        except InvalidTag:
            return None


class _WithMac(_Records):
    """A MAC, and a block cipher in CBC mode or none.

    One decryptor runs through all records of a direction. In TLS 1.0 that is how they are linked (RFC 2246 section
    6.2.3.2): the record behind a lost one cannot be read, those behind it can. Later each begins with its own
    initialisation vector (RFC 5246 section 6.2.3.2), a block that comes out as nonsense and is dropped.
    """

    def __init__(self, suite: Suite, version: int, mac_key: bytes, decryptor: CipherContext | None) -> None:
        super().__init__()
        assert suite.mac is not None
        self._mac_key = mac_key
        self._mac = suite.mac
        self._mac_length = suite.tag_length
        self._block = suite.block_length
        self._linked = version == TLS_1_0 and decryptor is not None
        self._first = self._block if version >= TLS_1_1 else 0
        """Bytes of initialisation vector in a record."""
        self._decryptor = decryptor
        self._link_lost = False

    def lost(self, length: int) -> None:
        super().lost(length)
        self._link_lost = self._linked

    def _decrypted(self, encrypted: bytes | memoryview) -> bytes:
        """What the bytes encrypt, without the initialisation vector; whole blocks."""
        return self._decryptor.update(encrypted)[self._first :] if self._decryptor else bytes(encrypted)

    def _unlinked(self, encrypted: bytes | memoryview) -> bool:
        """Whether this record cannot be read because it is linked to a lost one; the next one can."""
        if not self._link_lost:
            return False
        self._link_lost = False
        self._decrypted(encrypted)
        self._lost += len(encrypted)
        return True

    def _unpadded(self, padded: bytes) -> bytes | None:
        """None: the padding is not as it has to be."""
        if not self._block:
            return padded
        size = padded[-1] + 1 if padded else len(padded) + 1
        if size > len(padded) or padded.count(size - 1, len(padded) - size) != size:
            return None
        return padded[:-size]

    def _authenticated(self, content_type: int, version: int, length: int, text: bytes, mac: bytes) -> bool:
        """Whether `mac` is that of `text` under this number or a following one, which then becomes the number."""

        def attempt(number: int) -> bytes | None:
            numbered = _NUMBERED_HEADER.pack(number, content_type, version, length) + text
            return text if hmac.digest(self._mac_key, numbered, self._mac) == mac else None

        return attempt(self.number) is not None or self._search(attempt) is not None


class _MacThenEncrypt(_WithMac):
    """As TLS began (RFC 5246 section 6.2.3.1 and 6.2.3.2)."""

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None:
        if self._block and (len(fragment) % self._block or len(fragment) <= self._first):
            return None
        if self._unlinked(fragment):
            return None
        protected = self._unpadded(self._decrypted(fragment))
        if protected is None or len(protected) < self._mac_length:
            return None
        length = len(protected) - self._mac_length
        text = protected[:length]
        if not self._authenticated(content_type, version, length, text, protected[length:]):
            return None
        self._passed(len(fragment))
        return Opened(content_type, text)


class _EncryptThenMac(_WithMac):
    """RFC 7366."""

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> Opened | None:
        length = len(fragment) - self._mac_length
        if length <= self._first or length % self._block:
            return None
        text = bytes(fragment[:length])
        if self._unlinked(text):
            return None
        if not self._authenticated(content_type, version, length, text, bytes(fragment[length:])):
            # The MAC does not cover what the next record is linked to.
            self._link_lost = self._linked
            return None
        plaintext = self._unpadded(self._decrypted(text))
        self._passed(len(fragment))
        return Opened(content_type, plaintext) if plaintext is not None else None
