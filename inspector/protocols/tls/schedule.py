"""From secrets to keys: the PRFs of TLS 1.0 to 1.2, HKDF as TLS 1.3 uses it.

Hashes go by hashlib's names.
"""

from __future__ import annotations

import hashlib
import hmac

from inspector.protocols.tls.suites import TLS_1_2


def prf(version: int, hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """`length` bytes of the pseudorandom function (RFC 5246 section 5; before TLS 1.2, RFC 2246 section 5)."""
    if version >= TLS_1_2:
        return _p_hash(hash_name, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    md5 = _p_hash("md5", secret[:half], label + seed, length)
    sha1 = _p_hash("sha1", secret[len(secret) - half :], label + seed, length)
    return bytes(a ^ b for a, b in zip(md5, sha1, strict=True))


def _p_hash(hash_name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 5246 section 5."""
    output, a = b"", seed
    while len(output) < length:
        a = hmac.digest(secret, a, hash_name)
        output += hmac.digest(secret, a + seed, hash_name)
    return output[:length]


def key_block(
    version: int, hash_name: str, master_secret: bytes, client_random: bytes, server_random: bytes, length: int
) -> bytes:
    """`length` bytes of key material (RFC 5246 section 6.3)."""
    return prf(version, hash_name, master_secret, b"key expansion", server_random + client_random, length)


def expand_label(hash_name: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1)."""
    label = b"tls13 " + label
    info = b"".join(
        (length.to_bytes(2, "big"), len(label).to_bytes(1, "big"), label, len(context).to_bytes(1, "big"), context)
    )
    output = block = b""
    counter = 0
    while len(output) < length:  # HKDF-Expand (RFC 5869 section 2.3)
        counter += 1
        block = hmac.digest(secret, block + info + counter.to_bytes(1, "big"), hash_name)
        output += block
    return output[:length]


def traffic_keys(hash_name: str, traffic_secret: bytes, key_length: int) -> tuple[bytes, bytes]:
    """Key and initialisation vector (12 bytes) of a direction (RFC 8446 section 7.3)."""
    key = expand_label(hash_name, traffic_secret, b"key", b"", key_length)
    return key, expand_label(hash_name, traffic_secret, b"iv", b"", 12)


def next_traffic_secret(hash_name: str, traffic_secret: bytes) -> bytes:
    """What follows a KeyUpdate (RFC 8446 section 7.2)."""
    return expand_label(hash_name, traffic_secret, b"traffic upd", b"", len(traffic_secret))


def hash_length(hash_name: str) -> int:
    """Bytes of a hash, and of TLS 1.3's secrets."""
    return hashlib.new(hash_name).digest_size
