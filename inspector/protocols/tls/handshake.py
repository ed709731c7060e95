"""Handshake messages: put together from the fragments that records carry (RFC 8446 section 5.1), and read.

A message is read as far as it goes: one that is cut short, or of which a part makes no sense, still tells what came
before. Only what the account of a connection needs is kept. Names of fields are those of RFC 8446 section 4, RFC 5246
section 7.4, and, for the oldest hello, RFC 5246 appendix E.2.
"""

from __future__ import annotations

from typing import NamedTuple

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 1, 2, 4, 5, 8
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 11, 12, 13, 14
FINISHED, KEY_UPDATE = 20, 24

#: Message types that are in use (IANA's registry "TLS HandshakeType").
_KNOWN_TYPES = frozenset((0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 67, 254))

#: Longest message that is put together: OpenSSL takes certificate chains of 100 KiB. A longer one is stepped over.
MAX_MESSAGE = 128 * 1024
_HEADER = 4

#: Extensions (IANA's registry "TLS ExtensionType Values").
_SERVER_NAME, _ALPN, _ENCRYPT_THEN_MAC, _EXTENDED_MASTER_SECRET, _SESSION_TICKET = 0, 16, 22, 23, 35
_PRE_SHARED_KEY, _EARLY_DATA, _SUPPORTED_VERSIONS = 41, 42, 43
#: How many extensions and list entries are looked at.
_MAX_ENTRIES = 128

#: ServerHello.random of a HelloRetryRequest (RFC 8446 section 4.1.3).
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Messages:
    """Puts one direction's handshake messages together."""

    __slots__ = ("_data", "_skip")

    def __init__(self) -> None:
        self._data = b""
        self._skip = 0

    def feed(self, fragment: bytes) -> list[tuple[int, bytes | None]]:
        """The messages that are complete with this fragment, by type and body; the body of one that is longer than
        MAX_MESSAGE is None."""
        if self._skip:
            skipped = min(self._skip, len(fragment))
            self._skip -= skipped
            fragment = fragment[skipped:]
        data = self._data + fragment if self._data else fragment
        messages: list[tuple[int, bytes | None]] = []
        at = 0
        while len(data) - at >= _HEADER:
            length = int.from_bytes(data[at + 1 : at + _HEADER], "big")
            stop = at + _HEADER + length
            kind = data[at]
            if length > MAX_MESSAGE:
                self._skip = max(stop - len(data), 0)
                self._data = b""
                at = min(stop, len(data))
                messages.append((kind, None))
                continue
            if stop > len(data):
                break
            messages.append((kind, data[at + _HEADER : stop]))
            at = stop
        self._data = data[at:]
        return messages

    def cut(self, part: bytes) -> tuple[int, bytes] | None:
        """Bytes are missing behind `part`: type and beginning of the message that it leaves unfinished."""
        data = self._data + part
        self._data, self._skip = b"", 0
        return (data[0], data[_HEADER:]) if len(data) > _HEADER else None

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._data or self._skip)


def may_be_message(fragment: bytes) -> bool:
    """Whether a fragment that should begin a message looks like one: what is encrypted does not, nearly always."""
    if len(fragment) < _HEADER:
        return True
    return fragment[0] in _KNOWN_TYPES and int.from_bytes(fragment[1:_HEADER], "big") <= MAX_MESSAGE


class ClientHello(NamedTuple):
    """What the client says first."""

    version: int
    """legacy_version."""
    random: bytes
    session_id: bytes
    cipher_suites: list[int]
    sni: str | None
    alpn: list[str]
    versions: list[int]
    """supported_versions; empty without the extension."""
    ticket: bool
    """It has a session ticket (RFC 5077)."""
    early_data: bool
    whole: bool
    """It could be read to its end."""


class ServerHello(NamedTuple):
    """The server's choice."""

    version: int
    """The version chosen, supported_versions first."""
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression: int
    alpn: str | None
    """In the clear up to TLS 1.2."""
    psk: bool
    """A pre-shared key was accepted."""
    encrypt_then_mac: bool
    retry: bool
    """It is a HelloRetryRequest."""
    whole: bool


class _CutError(Exception):
    """The message ends before what was to be read."""


class _Cursor:
    """Reads numbers and vectors one behind the other."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> bool:
        return self.at < len(self.data)

    def take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise _CutError
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes with their length, a number of `size` bytes, in front."""
        return self.take(int.from_bytes(self.take(size), "big"))


def parse_client_hello(body: bytes) -> ClientHello:
    """Read a ClientHello as far as it goes."""
    cursor = _Cursor(body)
    version, random, session_id, suites = 0, b"", b"", b""
    extensions: dict[int, bytes] = {}
    try:
        version, random = cursor.number(2), cursor.take(32)
        session_id, suites = cursor.vector(1), cursor.vector(2)
        cursor.vector(1)  # compression methods
        whole = _extensions(cursor, extensions)
    except _CutError:
        whole = False
    return ClientHello(
        version,
        random,
        session_id,
        _numbers(suites),
        _server_name(extensions.get(_SERVER_NAME)),
        _protocol_names(extensions.get(_ALPN)),
        _numbers(extensions.get(_SUPPORTED_VERSIONS, b"")[1:]),
        bool(extensions.get(_SESSION_TICKET)),
        _EARLY_DATA in extensions,
        whole,
    )


def parse_ssl2_hello(body: bytes) -> ClientHello:
    """Read an SSL 2.0 CLIENT-HELLO; its challenge stands for the random, filled up with zeros in front."""
    cursor = _Cursor(body)
    version, session_id, suites, challenge = 0, b"", b"", b""
    try:
        cursor.take(1)
        version = cursor.number(2)
        lengths = [cursor.number(2) for _ in range(3)]
        suites, session_id, challenge = (cursor.take(length) for length in lengths)
        whole = not cursor.left
    except _CutError:
        whole = False
    kinds = [int.from_bytes(suites[at : at + 3], "big") for at in range(0, len(suites) - 2, 3)]
    suites_of_tls = [kind for kind in kinds if kind <= 0xFFFF]
    random = challenge[-32:].rjust(32, b"\0")
    return ClientHello(version, random, session_id, suites_of_tls, None, [], [], False, False, whole)


def parse_server_hello(body: bytes) -> ServerHello:
    """Read a ServerHello, or HelloRetryRequest, as far as it goes."""
    cursor = _Cursor(body)
    version, random, session_id, suite, compression = 0, b"", b"", 0, 0
    extensions: dict[int, bytes] = {}
    try:
        version, random, session_id = cursor.number(2), cursor.take(32), cursor.vector(1)
        suite, compression = cursor.number(2), cursor.number(1)
        whole = _extensions(cursor, extensions)
    except _CutError:
        whole = False
    chosen = extensions.get(_SUPPORTED_VERSIONS)
    if chosen is not None and len(chosen) == 2:
        version = int.from_bytes(chosen, "big")
    names = _protocol_names(extensions.get(_ALPN))
    return ServerHello(
        version,
        random,
        session_id,
        suite,
        compression,
        names[0] if names else None,
        _PRE_SHARED_KEY in extensions,
        _ENCRYPT_THEN_MAC in extensions,
        random == _RETRY_RANDOM,
        whole,
    )


def parse_encrypted_extensions(body: bytes) -> tuple[str | None, bool]:
    """The protocol chosen, and whether early data is accepted."""
    extensions: dict[int, bytes] = {}
    _extensions(_Cursor(body), extensions)
    names = _protocol_names(extensions.get(_ALPN))
    return (names[0] if names else None), _EARLY_DATA in extensions


def first_certificate(body: bytes, tls_1_3: bool) -> bytes | None:
    """The sender's own certificate, in DER; None where the message has none."""
    cursor = _Cursor(body)
    try:
        if tls_1_3:
            cursor.vector(1)  # certificate_request_context
        cursor.number(3)
        return cursor.vector(3)
    except _CutError:
        return None


def _extensions(cursor: _Cursor, into: dict[int, bytes]) -> bool:
    """Read a list of extensions, the first of equals; False: it is cut, or has too many."""
    if not cursor.left:
        return True
    try:
        end = cursor.number(2) + cursor.at
        for _ in range(_MAX_ENTRIES):
            if not cursor.left:
                return cursor.at == end
            kind = cursor.number(2)
            into.setdefault(kind, cursor.vector(2))
    except _CutError:
        pass
    return False


def _numbers(data: bytes) -> list[int]:
    """A list of 16-bit numbers."""
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data) - 1, 2)]


def _server_name(data: bytes | None) -> str | None:
    """The host name of a server_name extension (RFC 6066 section 3)."""
    if not data:
        return None
    cursor = _Cursor(data)
    try:
        cursor.number(2)
        for _ in range(_MAX_ENTRIES):
            kind, name = cursor.number(1), cursor.vector(2)
            if kind == 0:
                return name.decode("latin-1")
    except _CutError:
        pass
    return None


def _protocol_names(data: bytes | None) -> list[str]:
    """The names in an ALPN extension (RFC 7301 section 3.1)."""
    names: list[str] = []
    if not data:
        return names
    cursor = _Cursor(data)
    try:
        cursor.number(2)
        while cursor.left and len(names) < _MAX_ENTRIES:
            names.append(cursor.vector(1).decode("latin-1"))
    except _CutError:
        pass
    return names
