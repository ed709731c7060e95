"""What a cipher suite's name says: how records are protected, by keys of what size, and how long their bodies are.

A name is taken apart once, when the suite is first asked for (RFC 5246 appendix C, RFC 5288, 5289, 6655, 7905, 8446
appendix B.4). Suites whose records cannot be opened here are described as well where their name is enough for it:
the length of a record tells things about encrypted connections.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import NamedTuple

from inspector.protocols.tls.suite_names import suite_names

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

#: Bytes of plaintext in a record, at most (RFC 8446 section 5.1).
MAX_PLAINTEXT = 1 << 14


class Mode(Enum):
    """How a record is protected."""

    GCM = "GCM"
    CCM = "CCM"
    POLY1305 = "POLY1305"
    """ChaCha20-Poly1305."""
    CBC = "CBC"
    """A block cipher in CBC mode, and a MAC."""
    STREAM = "stream"
    """A stream cipher (RC4), and a MAC."""
    NULL = "null"
    """A MAC alone."""


class Suite(NamedTuple):
    """A cipher suite."""

    number: int
    name: str
    cipher: str | None
    """"AES", "CHACHA20", "CAMELLIA", "ARIA", "SEED", "3DES", "RC4"; None: no cipher."""
    mode: Mode
    key_length: int
    """Bytes of one direction's key."""
    block_length: int
    """Bytes of the cipher's block in CBC mode; 0 in the other modes."""
    tag_length: int
    """Bytes of the authentication tag, or of the MAC."""
    mac: str | None
    """The MAC's hash, by hashlib's name; None where the cipher authenticates."""
    hash: str
    """The hash of the key schedule, by hashlib's name; before TLS 1.2 it is of no concern."""
    tls_1_3: bool
    """A suite of TLS 1.3, and of no other version."""


#: Key and block length of ciphers in CBC mode and of RC4, and of those that authenticate.
_CIPHERS = {
    "AES_128": ("AES", 16, 16),
    "AES_256": ("AES", 32, 16),
    "CAMELLIA_128": ("CAMELLIA", 16, 16),
    "CAMELLIA_256": ("CAMELLIA", 32, 16),
    "ARIA_128": ("ARIA", 16, 16),
    "ARIA_256": ("ARIA", 32, 16),
    "SEED": ("SEED", 16, 16),
    "3DES_EDE": ("3DES", 24, 8),
    "CHACHA20": ("CHACHA20", 32, 0),
    "RC4_128": ("RC4", 16, 0),
    "NULL": (None, 0, 0),
}
_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}
_MAC_LENGTHS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48}
_TAG_LENGTH = 16
_SHORT_TAG_LENGTH = 8
_EXPLICIT_NONCE = 8

_NAME = re.compile(
    r"TLS_(?:(?P<exchange>\w+)_WITH_)?"
    rf"(?P<cipher>{'|'.join(_CIPHERS)})(?:_(?P<mode>GCM|CCM|CBC|POLY1305))?(?P<short>_8)?(?:_(?P<hash>MD5|SHA\d*))?"
)


def suite_name(number: int) -> str:
    """IANA's name; of an unknown suite its number, as "0xcafe"."""
    return suite_names().get(number) or f"{number:#06x}"


@cache
def _suites() -> dict[int, Suite]:
    suites = {}
    for number, name in suite_names().items():
        suite = _suite(number, name)
        if suite is not None:
            suites[number] = suite
    return suites


def suite_of(number: int) -> Suite | None:
    """The suite; None where its name says nothing that we know of."""
    return _suites().get(number)


def _suite(number: int, name: str) -> Suite | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    cipher, key_length, block_length = _CIPHERS[match["cipher"]]
    named = _HASHES.get(match["hash"] or "SHA256")
    if named is None:
        return None
    if match["mode"] in ("GCM", "CCM", "POLY1305"):
        tag_length = _SHORT_TAG_LENGTH if match["short"] else _TAG_LENGTH
        mode, tls_1_3 = Mode(match["mode"]), match["exchange"] is None
        return Suite(number, name, cipher, mode, key_length, 0, tag_length, None, named, tls_1_3)
    if match["exchange"] is None or match["short"] or match["hash"] is None:
        return None
    mode = Mode.CBC if match["mode"] else Mode.STREAM if cipher else Mode.NULL
    # RFC 5246 section 5: suites older than TLS 1.2 go with SHA-256 there.
    prf = named if named == "sha384" else "sha256"
    return Suite(number, name, cipher, mode, key_length, block_length, _MAC_LENGTHS[named], named, prf, False)


def plaintext_length(
    number: int, version: int, fragment_length: int, *, encrypt_then_mac: bool | None = None
) -> tuple[int, int] | None:
    """Fewest and most bytes of plaintext in a record of this suite and version whose body has `fragment_length` bytes.

    They differ in CBC mode alone, which pads to whole blocks (RFC 5246 section 6.2.3.2). More padding than needed,
    there or in TLS 1.3 (RFC 8446 section 5.4), is allowed but hardly ever met: with it there are fewer bytes than this
    says. None: the suite is not known, or has no record of this length. `encrypt_then_mac`: whether RFC 7366's
    extension was agreed on; None: not known.
    """
    suite = suite_of(number)
    if suite is None or suite.tls_1_3 != (version >= TLS_1_3):
        return None
    if suite.mode is Mode.CBC:
        return _cbc_plaintext_length(suite, version, fragment_length, encrypt_then_mac)
    rest = fragment_length - suite.tag_length
    if suite.tls_1_3:
        rest -= 1  # the content type
    elif suite.mode in (Mode.GCM, Mode.CCM):
        rest -= _EXPLICIT_NONCE
    return (rest, rest) if rest >= 0 else None


def _cbc_plaintext_length(
    suite: Suite, version: int, fragment_length: int, encrypt_then_mac: bool | None
) -> tuple[int, int] | None:
    block, mac = suite.block_length, suite.tag_length
    encrypted = fragment_length - (block if version >= TLS_1_1 else 0)
    mac_first = encrypt_then_mac is not True and encrypted % block == 0
    mac_last = encrypt_then_mac is not False and (encrypted - mac) % block == 0
    most = encrypted - mac - 1  # 1: the length of the padding
    if most < 0 or not (mac_first or mac_last):
        return None
    return max(most - block + 1, 0), most
