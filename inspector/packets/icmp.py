"""ICMP and ICMPv6 errors that quote a TCP segment: found by columns, read one by one, for they are rare.

The quoted segment is somebody else's copy: it becomes an IcmpError, never a segment.
Sources: RFC 792, RFC 1191 (next-hop MTU), RFC 4443; code names from IANA's ICMP and ICMPv6 parameter registries.
"""

from __future__ import annotations

import numpy as np

from .batch import I64, IPV4_HIGH, U8, IcmpError
from .rows import PROTOCOL, Cursor, Fate, gather

_ICMP, _ICMPV6 = PROTOCOL | 1, PROTOCOL | 58
_TYPE = np.dtype("u1")

#: type -> word, of the types that quote a packet because it did not get through. Redirects quote one that did.
_WORDS_V4 = {3: "unreachable", 4: "source-quench", 11: "time-exceeded", 12: "parameter-problem"}
_WORDS_V6 = {1: "unreachable", 2: "too-big", 3: "time-exceeded", 4: "parameter-problem"}

_UNREACHABLE_V4 = (
    "network unreachable",
    "host unreachable",
    "protocol unreachable",
    "port unreachable",
    "fragmentation needed",
    "source route failed",
    "destination network unknown",
    "destination host unknown",
    "source host isolated",
    "network administratively prohibited",
    "host administratively prohibited",
    "network unreachable for this type of service",
    "host unreachable for this type of service",
    "communication administratively prohibited",
    "host precedence violation",
    "precedence cutoff in effect",
)
_UNREACHABLE_V6 = (
    "no route to destination",
    "administratively prohibited",
    "beyond scope of source address",
    "address unreachable",
    "port unreachable",
    "source address failed policy",
    "reject route to destination",
)
_EXCEEDED = ("in transit", "while reassembling fragments")


_TCP = 6
#: Extension headers that may stand before the quoted TCP header.
_EXTENSIONS = (0, 43, 60, 135, 139, 140)
_MAX_EXTENSIONS = 8


def read_icmp_errors(data: U8, cursor: Cursor, packet: I64, time_ns: I64) -> list[IcmpError]:
    """The errors among the open rows that quote a TCP segment's ports, in row order; decides nothing.

    `packet` and `time_ns` are the rows' numbers and capture times.
    """
    is_icmp = (cursor.next == _ICMP) | (cursor.next == _ICMPV6)
    if not is_icmp.any():
        return []
    rows = np.flatnonzero(is_icmp & (cursor.fate == Fate.OPEN) & (cursor.at + 8 <= cursor.end))
    is_v4 = cursor.next[rows] == _ICMP
    kind = gather(data, cursor.at[rows], _TYPE)
    rows = rows[np.where(is_v4, np.isin(kind, list(_WORDS_V4)), np.isin(kind, list(_WORDS_V6)))]
    errors = []
    for row in rows.tolist():
        message = data[int(cursor.at[row]) : int(cursor.end[row])].tobytes()
        ends = _quoted_ends(message[8:])
        if ends is not None:
            what, detail = _describe(message, is_v4=bool(cursor.next[row] == _ICMP))
            errors.append(IcmpError(int(packet[row]), int(time_ns[row]), what, detail, *ends))
    return errors


def _describe(message: bytes, *, is_v4: bool) -> tuple[str, str]:
    """The word for an error, and type, code and what they mean."""
    kind, code = message[0], message[1]
    if is_v4:
        what, names = _WORDS_V4[kind], {3: _UNREACHABLE_V4, 11: _EXCEEDED}
    else:
        what, names = _WORDS_V6[kind], {1: _UNREACHABLE_V6, 3: _EXCEEDED}
    detail = f"type {kind} code {code}"
    known = names.get(kind, ())
    if code < len(known):
        detail += f": {known[code]}"
    mtu = None
    if is_v4 and (kind, code) == (3, 4):
        what, mtu = "too-big", int.from_bytes(message[6:8], "big")
    elif not is_v4 and kind == 2:
        mtu = int.from_bytes(message[4:8], "big")
    # 0: a router from before RFC 1191, which says no MTU.
    return what, f"{detail}, next-hop MTU {mtu}" if mtu else detail


def _quoted_ends(packet: bytes) -> tuple[int, int, int, int, int, int] | None:
    """src_hi, src_lo, dst_hi, dst_lo, src_port, dst_port of a TCP segment cut anywhere; None where it is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        is_first = int.from_bytes(packet[6:8], "big") & 0x1FFF == 0
        protocol, at = packet[9] if is_first else None, (packet[0] & 15) * 4
        src, dst = bytes(8) + packet[12:16], bytes(8) + packet[16:20]
        high = IPV4_HIGH
    elif version == 6 and len(packet) >= 40:
        protocol, at = _behind_extensions(packet)
        src, dst = packet[8:24], packet[24:40]
        high = 0
    else:
        return None
    if protocol != _TCP or at < 20 or len(packet) < at + 4:
        return None
    return (
        high | int.from_bytes(src[:8], "big"),
        int.from_bytes(src[8:], "big"),
        high | int.from_bytes(dst[:8], "big"),
        int.from_bytes(dst[8:], "big"),
        int.from_bytes(packet[at : at + 2], "big"),
        int.from_bytes(packet[at + 2 : at + 4], "big"),
    )


def _behind_extensions(packet: bytes) -> tuple[int, int]:
    """Protocol behind an IPv6 header's extension headers, and where it starts."""
    protocol, at = packet[6], 40
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS or len(packet) < at + 2:
            break
        protocol, at = packet[at], at + (packet[at + 1] + 1) * 8
    return protocol, at
