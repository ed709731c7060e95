"""Text that is safe to print: whatever came from the wire or from a file name is escaped here, once, by every renderer.

A terminal obeys escape sequences and reorders text at bidirectional marks. Python's notion of a printable character
leaves out exactly those: controls, format characters (bidi marks, zero-width ones), separators other than the space,
surrogates and code points that nobody has assigned.
"""

from __future__ import annotations

#: How the few signs of our own look where the output cannot show them.
_PLAIN = str.maketrans({"×": "x", "–": "-", "→": "->", "·": "-", "…": "...", "µ": "u"})


def printable(text: str) -> str:
    """`text` with every character that is not printable as a visible escape: \\x1b, \\u202e, \\U000e0001."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def encode(text: str, encoding: str) -> bytes:
    """`text` as bytes of any encoding, never failing: signs that it lacks are replaced by plain ones or by escapes."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace")


def _escape(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
