"""Cipher suites by their names, and what the length of a record tells."""

from __future__ import annotations

import pytest

from inspector.protocols.tls.suite_names import suite_names
from inspector.protocols.tls.suites import (
    TLS_1_0,
    TLS_1_2,
    TLS_1_3,
    Mode,
    Suite,
    plaintext_length,
    suite_name,
    suite_of,
)


@pytest.mark.parametrize(
    "suite",
    [
        Suite(0x1301, "TLS_AES_128_GCM_SHA256", "AES", Mode.GCM, 16, 0, 16, None, "sha256", True),
        Suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", "CHACHA20", Mode.POLY1305, 32, 0, 16, None, "sha256", True),
        Suite(0x1305, "TLS_AES_128_CCM_8_SHA256", "AES", Mode.CCM, 16, 0, 8, None, "sha256", True),
        Suite(0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES", Mode.GCM, 32, 0, 16, None, "sha384", False),
        Suite(0xC09C, "TLS_RSA_WITH_AES_128_CCM", "AES", Mode.CCM, 16, 0, 16, None, "sha256", False),
        Suite(0xC0A3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", "AES", Mode.CCM, 32, 0, 8, None, "sha256", False),
        Suite(0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", "AES", Mode.CBC, 16, 16, 20, "sha1", "sha256", False),
        Suite(0xC028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "AES", Mode.CBC, 32, 16, 48, "sha384", "sha384", False),
        Suite(0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "3DES", Mode.CBC, 24, 8, 20, "sha1", "sha256", False),
        Suite(0x0005, "TLS_RSA_WITH_RC4_128_SHA", "RC4", Mode.STREAM, 16, 0, 20, "sha1", "sha256", False),
        Suite(0x003B, "TLS_RSA_WITH_NULL_SHA256", None, Mode.NULL, 0, 0, 32, "sha256", "sha256", False),
    ],
    ids=lambda suite: suite.name,
)
def test_a_name_taken_apart(suite: Suite) -> None:
    assert suite_of(suite.number) == suite


def test_names_that_say_nothing() -> None:
    for number in (0x0000, 0x0009, 0x00FF, 0x5600, 0x1306, 0xC100, 0x00C6, 0x0003, 0xCAFE, 0x0A0A):
        assert suite_of(number) is None
        assert plaintext_length(number, TLS_1_2, 64) is None


def test_unknown_suites_are_named_by_number() -> None:
    assert suite_name(0xCAFE) == "0xcafe"
    assert suite_name(0x0A0A) == "0x0a0a"
    assert suite_name(0x1302) == "TLS_AES_256_GCM_SHA384"


def test_the_registry_is_whole() -> None:
    names = suite_names()
    assert len(set(names.values())) == len(names) == 353
    assert all(name.startswith("TLS_") for name in names.values())


@pytest.mark.parametrize(
    ("suite", "version", "fragment", "expected"),
    [
        (0x1301, TLS_1_3, 19, (2, 2)),  # close_notify
        (0x1305, TLS_1_3, 11, (2, 2)),
        (0x1301, TLS_1_3, 16, None),
        (0x1301, TLS_1_2, 19, None),
        (0xC02F, TLS_1_2, 26, (2, 2)),
        (0xC02F, TLS_1_2, 23, None),
        (0xC02F, TLS_1_3, 26, None),
        (0xCCA8, TLS_1_2, 18, (2, 2)),
        (0xC0A0, TLS_1_2, 18, (2, 2)),
        (0x0005, TLS_1_2, 22, (2, 2)),
        (0x003B, TLS_1_2, 34, (2, 2)),
    ],
)
def test_plaintext_length(suite: int, version: int, fragment: int, expected: tuple[int, int] | None) -> None:
    assert plaintext_length(suite, version, fragment) == expected


@pytest.mark.parametrize(
    ("suite", "version", "encrypt_then_mac", "fragment", "expected"),
    [
        # AES, SHA-1: 2 bytes of close_notify and 20 of MAC are padded to 32, or 2 to 16 with 20 behind them.
        (0x002F, TLS_1_2, False, 16 + 32, (0, 11)),
        (0x002F, TLS_1_2, True, 16 + 16 + 20, (0, 15)),
        (0x002F, TLS_1_2, None, 16 + 32, (0, 11)),
        (0x002F, TLS_1_2, None, 16 + 16 + 20, (0, 15)),
        (0x002F, TLS_1_2, True, 16 + 32, None),
        (0x002F, TLS_1_2, False, 16 + 16 + 20, None),
        (0x002F, TLS_1_0, False, 32, (0, 11)),
        (0x002F, TLS_1_2, False, 16 + 48, (12, 27)),
        (0x002F, TLS_1_2, None, 16 + 33, None),
        (0x002F, TLS_1_2, None, 16, None),
        (0x000A, TLS_1_2, False, 8 + 24, (0, 3)),
    ],
)
def test_plaintext_length_in_cbc_mode(
    suite: int, version: int, encrypt_then_mac: bool | None, fragment: int, expected: tuple[int, int] | None
) -> None:
    assert plaintext_length(suite, version, fragment, encrypt_then_mac=encrypt_then_mac) == expected
