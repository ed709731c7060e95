"""Whatever the wire says, what is printed obeys nobody but us."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.report.text import encode, printable

BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
def test_no_character_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not set(shown) & set(BIDI_CONTROLS)


@given(st.text())
def test_what_is_printed_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("wire", "shown"),
    [
        ("keep-alive", "keep-alive"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("one\r\nX-Forged: two", "one\\x0d\\x0aX-Forged: two"),
        ("\x9b2J", "\\x9b2J"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("Grüße ×1", "Grüße ×1"),
    ],
)
def test_escapes_are_visible(wire: str, shown: str) -> None:
    assert printable(wire) == shown


@given(st.text(), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252"]))
def test_every_encoding_takes_every_text(text: str, encoding: str) -> None:
    encode(text, encoding).decode(encoding)


def test_our_own_signs_have_plain_forms() -> None:
    assert encode("a → b ×3 · 7.00 – 7.01 s", "ascii") == b"a -> b x3 - 7.00 - 7.01 s"
    assert encode("a → b ×3", "utf-8").decode() == "a → b ×3"
