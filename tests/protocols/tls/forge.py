"""TLS connections out of nothing: hellos, secrets and protected records, as an observer would see them.

An observer needs no key exchange: a connection is what its records say, and the secrets are what the key log says. So
every byte can be chosen, and every step left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.protocols.tls.handshake import FINISHED
from inspector.protocols.tls.schedule import key_block, next_traffic_secret, traffic_keys

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
AES_128_GCM_1_3 = 0x1301
AES_128_GCM_1_2 = 0xC02F
TLS_1_2, TLS_1_3 = 0x0303, 0x0304

CLIENT_RANDOM = bytes(range(32))
SERVER_RANDOM = bytes(range(32, 64))
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
CLOSE_NOTIFY = b"\1\0"


def record(content_type: int, body: bytes, version: int = TLS_1_2) -> bytes:
    return bytes([content_type]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes = b"") -> bytes:
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def extension(kind: int, body: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + vector(2, body)


def client_hello(
    *,
    sni: str | None = "shop.test",
    alpn: tuple[str, ...] = ("http/1.1",),
    versions: tuple[int, ...] = (TLS_1_3, TLS_1_2),
    session_id: bytes = b"",
    ticket: bytes | None = None,
    early_data: bool = False,
    suites: tuple[int, ...] = (AES_128_GCM_1_3, AES_128_GCM_1_2),
) -> bytes:
    """A ClientHello message."""
    extensions = b""
    if sni is not None:
        extensions += extension(0, vector(2, b"\0" + vector(2, sni.encode())))
    if alpn:
        extensions += extension(16, vector(2, b"".join(vector(1, name.encode()) for name in alpn)))
    if versions:
        extensions += extension(43, vector(1, b"".join(version.to_bytes(2, "big") for version in versions)))
    if ticket is not None:
        extensions += extension(35, ticket)
    if early_data:
        extensions += extension(42) + extension(41, b"psk")
    suite_list = b"".join(suite.to_bytes(2, "big") for suite in suites)
    head = b"\3\3" + CLIENT_RANDOM + vector(1, session_id) + vector(2, suite_list) + b"\1\0"
    return message(1, head + vector(2, extensions))


def server_hello(
    version: int = TLS_1_3,
    *,
    suite: int | None = None,
    alpn: str | None = None,
    session_id: bytes = b"",
    psk: bool = False,
    retry: bool = False,
) -> bytes:
    """A ServerHello message, or a HelloRetryRequest."""
    suite = (AES_128_GCM_1_3 if version == TLS_1_3 else AES_128_GCM_1_2) if suite is None else suite
    extensions = extension(43, b"\3\4") if version == TLS_1_3 else b""
    if alpn is not None:
        extensions += extension(16, vector(2, vector(1, alpn.encode())))
    if psk:
        extensions += extension(41, b"\0\0")
    legacy = min(version, TLS_1_2).to_bytes(2, "big")
    random = RETRY_RANDOM if retry else SERVER_RANDOM
    head = legacy + random + vector(1, session_id) + suite.to_bytes(2, "big") + b"\0"
    return message(2, head + vector(2, extensions))


def encrypted_extensions(alpn: str | None = None, *, early_data: bool = False) -> bytes:
    extensions = extension(16, vector(2, vector(1, alpn.encode()))) if alpn is not None else b""
    return message(8, vector(2, extensions + (extension(42) if early_data else b"")))


FINISHED_13 = message(FINISHED, bytes(32))
FINISHED_12 = message(FINISHED, bytes(12))


class Sealer13:
    """Protects one direction's records of TLS 1.3 under one secret."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.number = 0
        key, iv = traffic_keys("sha256", secret, 16)
        self._aead = AESGCM(key)
        self._iv = int.from_bytes(iv, "big")

    def seal(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """A whole record."""
        inner = plaintext + bytes([content_type]) + bytes(padding)
        header = bytes([APPLICATION_DATA]) + b"\3\3" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self.number).to_bytes(12, "big")
        self.number += 1
        return header + self._aead.encrypt(nonce, inner, header)

    def data(self, plaintext: bytes) -> bytes:
        return self.seal(APPLICATION_DATA, plaintext)

    def updated(self) -> Sealer13:
        """What follows a KeyUpdate."""
        return Sealer13(next_traffic_secret("sha256", self.secret))


class Sealer12:
    """Protects one direction's records of TLS 1.2 with AES-128-GCM."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self.number = 0
        self._aead = AESGCM(key)
        self._salt = salt

    def seal(self, content_type: int, plaintext: bytes) -> bytes:
        """A whole record."""
        explicit = self.number.to_bytes(8, "big")
        header = bytes([content_type]) + b"\3\3" + len(plaintext).to_bytes(2, "big")
        body = explicit + self._aead.encrypt(self._salt + explicit, plaintext, explicit + header)
        self.number += 1
        return record(content_type, body)

    def data(self, plaintext: bytes) -> bytes:
        return self.seal(APPLICATION_DATA, plaintext)


def _secret(number: int) -> bytes:
    return bytes([number]) * 32


@dataclass
class Keys13:
    """The secrets of a TLS 1.3 connection and who seals with them."""

    early: Sealer13 = field(default_factory=lambda: Sealer13(_secret(1)))
    handshake: tuple[Sealer13, Sealer13] = field(default_factory=lambda: (Sealer13(_secret(2)), Sealer13(_secret(3))))
    traffic: tuple[Sealer13, Sealer13] = field(default_factory=lambda: (Sealer13(_secret(4)), Sealer13(_secret(5))))

    def log(self, *without: str) -> bytes:
        """The key log, without the lines of some labels."""
        secrets = {
            "CLIENT_EARLY_TRAFFIC_SECRET": _secret(1),
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET": _secret(2),
            "SERVER_HANDSHAKE_TRAFFIC_SECRET": _secret(3),
            "CLIENT_TRAFFIC_SECRET_0": _secret(4),
            "SERVER_TRAFFIC_SECRET_0": _secret(5),
        }
        return b"".join(
            f"{label} {CLIENT_RANDOM.hex()} {secret.hex()}\n".encode()
            for label, secret in secrets.items()
            if label not in without
        )

    @property
    def client(self) -> Sealer13:
        return self.traffic[FROM_CLIENT]

    @property
    def server(self) -> Sealer13:
        return self.traffic[FROM_SERVER]


class Keys12:
    """The secrets of a TLS 1.2 connection and who seals with them."""

    def __init__(self) -> None:
        self._master = bytes([9]) * 48
        block = key_block(TLS_1_2, "sha256", self._master, CLIENT_RANDOM, SERVER_RANDOM, 40)
        self.client = Sealer12(block[:16], block[32:36])
        self.server = Sealer12(block[16:32], block[36:40])

    def log(self) -> bytes:
        return f"CLIENT_RANDOM {CLIENT_RANDOM.hex()} {self._master.hex()}\n".encode()
