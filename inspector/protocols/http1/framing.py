"""How a message's body ends: one pure function that follows the numbered steps of RFC 9112 section 6.3.

It says what a passive observer may rely on. Where the RFC lets a recipient give up (steps 4 and 5), the answer is
UNKNOWN: nothing can be counted, and whoever reads has to look for the next start line.
"""

from __future__ import annotations

from enum import Enum

#: Numbers on the wire are kept where they fit a signed 64-bit integer.
_TOO_LARGE = 1 << 63


class Body(Enum):
    """Where a message's body ends."""

    NONE = "none"
    """With the header section: there is none."""
    LENGTH = "length"
    """After Content-Length bytes."""
    CHUNKED = "chunked"
    """Where the chunked coding says."""
    UNTIL_CLOSE = "until close"
    """With its direction of the connection."""
    TUNNEL = "tunnel"
    """There is none, and what follows is not HTTP: CONNECT was accepted."""
    UNKNOWN = "unknown"
    """Nobody can tell."""


def frame(method: str | None, status: int | None, transfer_encoding: str | None, content_length: str | None) -> Body:
    """How the body of a request (`status` None) or of a response to `method` (None: not known) ends.

    The header values are as sent, several joined by ", "; None: not there. (RFC 9112 section 6.3)
    """
    if status is not None:
        if method == "HEAD" or status < 200 or status == 204 or status == 304:  # step 1
            return Body.NONE
        if method == "CONNECT" and status < 300:  # step 2
            return Body.TUNNEL
    codings = transfer_codings(transfer_encoding) if transfer_encoding is not None else ()
    if codings:  # steps 3 and 4: whatever Content-Length says
        if codings[-1] == "chunked":
            return Body.CHUNKED
        return Body.UNKNOWN if status is None else Body.UNTIL_CLOSE
    if content_length is not None:
        return Body.UNKNOWN if length_of(content_length) is None else Body.LENGTH  # steps 5 and 6
    return Body.NONE if status is None else Body.UNTIL_CLOSE  # steps 7 and 8


def transfer_codings(transfer_encoding: str) -> tuple[str, ...]:
    """The codings' names in lower case, without parameters and without "identity" (RFC 2616 section 3.6: no coding)."""
    names = (coding.partition(";")[0].strip().lower() for coding in transfer_encoding.split(","))
    return tuple(name for name in names if name and name != "identity")


def length_of(content_length: str) -> int | None:
    """The number that Content-Length says; a list of equal ones counts as one (RFC 9110 section 8.6).

    None where it is no number, where the list disagrees, or where the number does not fit 63 bits.
    """
    value = content_length
    if "," in value:
        values = {part.strip() for part in value.split(",")}
        if len(values) != 1:
            return None
        value = values.pop()
    return number_of(value)


def number_of(digits: str) -> int | None:
    """The number that ASCII digits write; None for anything else, and where it does not fit 63 bits."""
    if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > 19:
        return None
    number = int(digits.lstrip("0") or "0")
    return number if number < _TOO_LARGE else None
