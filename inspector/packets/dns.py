"""DNS answers that pass by: which name an address was asked for. They name connections that say nothing themselves.

The columns find answers, over UDP from port 53; what is in them Scapy reads, at half a millisecond each. So answers
that say the same again are not read again, and only so many are read for a second of capture time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np

from .batch import I64, IPV4_HIGH, U8, NamedAddress
from .rows import PROTOCOL, Cursor, Fate, gather

#: Answers that are remembered, so as not to read them again.
MAX_REMEMBERED = 4096
#: Answers that are read for each second of capture time; others are passed over.
MAX_READ_A_SECOND = 50
#: Longer answers are passed over: those in UDP are shorter, but for forged ones.
MAX_ANSWER = 4096

_UDP = PROTOCOL | 17
_DNS = 53
_UDP_HEADER = 8
_HEADER = np.dtype(
    {
        "names": ["src_port", "flags", "questions", "answers"],
        "formats": [">u2", ">u2", ">u2", ">u2"],
        "offsets": [0, 10, 12, 14],
        "itemsize": 20,
    }
)
#: QR set, and neither truncated (TC) nor an error (RCODE) (RFC 1035 section 4.1.1).
_FLAGS, _WANTED = 0x820F, 0x8000

#: Names as hosts have them, and the underscore of services.
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MAX_NAME = 253

_SECOND = 1_000_000_000


class Answer(NamedTuple):
    """A DNS message that answers."""

    packet: int
    time_ns: int
    message: bytes


def find_answers(data: U8, cursor: Cursor, packet: I64, time_ns: I64) -> list[Answer]:
    """The answers among these rows, which are behind their IP headers. `packet` and `time_ns` are the rows'."""
    is_udp = cursor.next == _UDP
    if not is_udp.any():
        return []
    rows = np.flatnonzero(is_udp & (cursor.fate == Fate.OPEN) & (cursor.at + _HEADER.itemsize <= cursor.end))
    header = gather(data, cursor.at[rows], _HEADER)
    wanted = (header["src_port"] == _DNS) & (header["flags"] & _FLAGS == _WANTED)
    rows = rows[wanted & (header["questions"] == 1) & (header["answers"] > 0)]
    rows = rows[(cursor.end[rows] == cursor.wire_end[rows]) & (cursor.end[rows] - cursor.at[rows] <= MAX_ANSWER)]
    return [
        Answer(
            int(packet[row]),
            int(time_ns[row]),
            data[int(cursor.at[row]) + _UDP_HEADER : int(cursor.end[row])].tobytes(),
        )
        for row in rows.tolist()
    ]


class DnsReader:
    """Reads answers, within its bounds."""

    def __init__(self, dissect: Callable[[bytes], list[tuple[str, str]]]) -> None:
        """`dissect` gives the name that was asked for and each address, of one message."""
        self._dissect = dissect
        self._known: dict[bytes, list[tuple[str, str]]] = {}
        self._second = self._read = 0

    def names(self, answers: Iterable[Answer]) -> list[NamedAddress]:
        """What the answers say, in the order of their packets."""
        found = []
        for answer in sorted(answers):
            for name, address in self._content(answer):
                ends = _ends(name, address)
                if ends is not None:
                    found.append(NamedAddress(answer.time_ns, *ends))
        return found

    def _content(self, answer: Answer) -> list[tuple[str, str]]:
        body = answer.message[2:]  # behind the id
        content = self._known.pop(body, None)
        if content is None:
            second = answer.time_ns // _SECOND
            if second != self._second:
                self._second, self._read = second, 0
            self._read += 1
            if self._read > MAX_READ_A_SECOND:
                return []
            content = self._dissect(answer.message)
            if len(self._known) >= MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
        self._known[body] = content
        return content


def _ends(name: str, address: str) -> tuple[int, int, str] | None:
    """Address high, low, and the name as reports have it; None where one of them is none."""
    name = name.lower().removesuffix(".")
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        return None
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    number = int(parsed)
    if parsed.version == 4:
        return IPV4_HIGH, number, name
    return number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF, name
