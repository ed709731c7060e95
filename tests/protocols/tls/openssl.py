"""OpenSSL talking to itself in memory, as Python's ssl has it: records and the key log of a real connection."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ssl
import struct
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

#: SSL_OP_NO_ENCRYPT_THEN_MAC, which Python's ssl has no name for.
NO_ENCRYPT_THEN_MAC = 1 << 19

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23


class Record(NamedTuple):
    """A record as it is on the wire."""

    content_type: int
    version: int
    fragment: bytes


@dataclass
class Conversation:
    """What went over the wire, and what it means."""

    client: list[Record]
    server: list[Record]
    keylog: bytes
    cipher_suite: int
    client_random: bytes
    server_random: bytes


def records_of(stream: bytes) -> list[Record]:
    """The records of one direction."""
    found = []
    while stream:
        content_type, version, length = struct.unpack_from(">BHH", stream)
        found.append(Record(content_type, version, stream[5 : 5 + length]))
        stream = stream[5 + length :]
    return found


def protected(records: list[Record]) -> list[Record]:
    """The records behind ChangeCipherSpec."""
    return records[[record.content_type for record in records].index(CHANGE_CIPHER_SPEC) + 1 :]


def converse(
    version: ssl.TLSVersion,
    ciphers: str | None = None,
    *,
    encrypt_then_mac: bool = True,
    client_says: Sequence[bytes] = (),
    server_says: Sequence[bytes] = (),
) -> Conversation:
    """A handshake, what each side says, and close_notify of both; `ciphers` as OpenSSL takes them (not TLS 1.3)."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that TLS 1.0 and 1.1 are old is known
        keylog = Path(scratch) / "keys"
        contexts = [ssl.SSLContext(protocol) for protocol in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER)]
        for context in contexts:
            context.set_ciphers(f"{ciphers or 'ALL'}:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            if not encrypt_then_mac:
                context.options |= NO_ENCRYPT_THEN_MAC
        contexts[0].keylog_filename = str(keylog)
        contexts[0].check_hostname = False
        contexts[0].verify_mode = ssl.CERT_NONE
        for name, pem in _certificates().items():
            (Path(scratch) / name).write_bytes(pem)
            contexts[1].load_cert_chain(Path(scratch) / name)
        streams = _exchange(contexts, [client_says, server_says])
        logged = keylog.read_bytes()
    client, server = (records_of(stream) for stream in streams)
    hello = server[0].fragment
    session_id = hello[38]
    return Conversation(
        client,
        server,
        logged,
        int.from_bytes(hello[39 + session_id : 41 + session_id], "big"),
        client[0].fragment[6:38],
        hello[6:38],
    )


def _exchange(contexts: list[ssl.SSLContext], says: list[Sequence[bytes]]) -> list[bytes]:
    """All bytes that each side sent."""
    bios = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in contexts]
    sides = [
        context.wrap_bio(incoming, outgoing, server_side=bool(at))
        for at, (context, (incoming, outgoing)) in enumerate(zip(contexts, bios, strict=True))
    ]
    streams = [b"", b""]

    def deliver(at: int) -> None:
        sent = bios[at][1].read()
        streams[at] += sent
        bios[1 - at][0].write(sent)

    done = [False, False]
    while not all(done):
        for at, side in enumerate(sides):
            try:
                side.do_handshake()
                done[at] = True
            except ssl.SSLWantReadError:
                pass
            deliver(at)
    for at, side in enumerate(sides):
        for said in says[at]:
            side.write(said)
            deliver(at)
    for at, side in enumerate(sides):
        with contextlib.suppress(ssl.SSLError):  # the answer is missing, or data are not read yet
            side.unwrap()
        deliver(at)
    return streams


@functools.cache
def _certificates() -> dict[str, bytes]:
    """Keys with their certificates, by name of a file for them."""
    keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    }
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.test")])
    begin = datetime.datetime(2020, 1, 1)
    files = {}
    for kind, key in keys.items():
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin)
            .not_valid_after(begin + datetime.timedelta(days=36_500))
            .sign(key, hashes.SHA256())
        )
        files[kind] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
    return files
