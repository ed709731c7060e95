"""IPv4 and IPv6 headers, from the innermost of which a segment has its addresses, its time to live and its length.

The version nibble decides, whatever the header in front called it. IP in IP is read again by the same loop;
extension headers and AH are stepped over. Lengths are the headers' own, so that padding behind the datagram never
counts, and a length of 0 (segmentation offload hands such packets to the capture) means up to the packet's end on
the wire. Fragments are left to the fallback.
Sources: RFC 791; RFC 8200 section 4; RFC 4302 (AH); RFC 2003, 2473, 4213 (IP in IP).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .batch import I64, IPV4_HIGH, U8
from .rows import FRAGMENT_V4, FRAGMENT_V6, IP, PROTOCOL, Cursor, Fate, Segments, chosen, gather

#: More IP headers in a row than this are not followed.
MAX_NESTED = 16

#: More extension headers in a row than this are not followed.
MAX_EXTENSIONS = 16

_IPV4 = np.dtype(
    [
        ("version_ihl", "u1"),
        ("tos", "u1"),
        ("length", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("src", ">u4"),
        ("dst", ">u4"),
    ]
)
_IPV6 = np.dtype(
    [
        ("flow", ">u4"),
        ("length", ">u2"),
        ("next", "u1"),
        ("hops", "u1"),
        ("src_hi", ">u8"),
        ("src_lo", ">u8"),
        ("dst_hi", ">u8"),
        ("dst_lo", ">u8"),
    ]
)
_EXTENSION = np.dtype([("next", "u1"), ("length", "u1"), ("fragment", ">u2")])

_IPIP, _IPV6_IN_IP, _FRAGMENT, _AH = 4, 41, 44, 51

#: Hop-by-hop options, routing, destination options, mobility, HIP, Shim6: 8 bytes and their length field times 8.
_OPTIONS_HEADERS = (0, 43, 60, 135, 139, 140)


def _table(*numbers: int) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(numbers)] = True
    return table


#: What is stepped over behind each version's header.
_EXTENSIONS_V4 = _table(_AH)
_EXTENSIONS_V6 = _table(*_OPTIONS_HEADERS, _FRAGMENT, _AH)
_NESTED = _table(_IPIP, _IPV6_IN_IP)


def read_ip(data: U8, cursor: Cursor, out: Segments) -> None:
    """Move the rows that are at an IP header behind it and its extensions; `cursor.next` becomes the protocol.

    A header that is cut, too short or of no known version is `Fate.MALFORMED`. Whole fragments become `Fate.PEEL`;
    of fragments that the capture cut, which cannot be reassembled, the first is read as it stands and the others are
    `Fate.IP_FRAGMENT`.
    """
    for _ in range(MAX_NESTED):
        mask = (cursor.next == IP) & (cursor.fate == Fate.OPEN)
        if not mask.any():
            return
        rows = chosen(mask)
        at = cursor.at[rows]
        cursor.ip_at[rows] = at
        header = gather(data, at, _IPV4)
        version = header["version_ihl"] >> 4
        is_cut = at + 20 > cursor.end[rows]
        if is_cut.any():
            version[is_cut] = 0
        is_v4 = version == 4
        if is_v4.all():
            _read_v4(data, cursor, out, rows, header)
            continue
        is_v6 = version == 6
        index = np.arange(len(cursor.at))[rows]
        cursor.fate[index[~(is_v4 | is_v6)]] = Fate.MALFORMED
        if is_v4.any():
            _read_v4(data, cursor, out, index[is_v4], header[is_v4])
        if is_v6.any():
            _read_v6(data, cursor, out, index[is_v6])


def _read_v4(data: U8, cursor: Cursor, out: Segments, rows: slice | I64, header: NDArray[np.void]) -> None:
    at = cursor.at[rows]
    size = ((header["version_ihl"] & 15) << 2).astype(np.int64)
    total = header["length"].astype(np.int64)
    # Two headers must fit: the packet's own, and what its own length says.
    malformed = (size < 20) | ((total < size) & (total != 0)) | (at + size > cursor.end[rows])
    out.src_hi[rows] = IPV4_HIGH
    out.src_lo[rows] = header["src"]
    out.dst_hi[rows] = IPV4_HIGH
    out.dst_lo[rows] = header["dst"]
    out.ttl[rows] = header["ttl"]
    out.ip_id[rows] = header["id"]
    _narrow(cursor, rows, at, total)
    cursor.at[rows] = at + size
    cursor.next[rows] = PROTOCOL + header["protocol"].astype(np.int64)
    if malformed.any():
        cursor.fate[rows] = np.where(malformed, Fate.MALFORMED, cursor.fate[rows])
    fragment = header["fragment"] & 0x3FFF
    if fragment.any():
        _set_fragments(cursor, rows, fragment != 0, (fragment & 0x1FFF) == 0, FRAGMENT_V4)
    _read_extensions(data, cursor, rows, _EXTENSIONS_V4)


def _read_v6(data: U8, cursor: Cursor, out: Segments, rows: I64) -> None:
    at = cursor.at[rows]
    header = gather(data, at, _IPV6)
    length = header["length"].astype(np.int64)
    out.src_hi[rows] = header["src_hi"]
    out.src_lo[rows] = header["src_lo"]
    out.dst_hi[rows] = header["dst_hi"]
    out.dst_lo[rows] = header["dst_lo"]
    out.ttl[rows] = header["hops"]
    out.ip_id[rows] = 0
    malformed = at + 40 > cursor.end[rows]
    # 0: a jumbogram (RFC 2675), or one that segmentation offload left open.
    _narrow(cursor, rows, at, np.where(length > 0, length + 40, 0))
    cursor.at[rows] = at + 40
    cursor.next[rows] = PROTOCOL + header["next"].astype(np.int64)
    cursor.fate[rows] = np.where(malformed, Fate.MALFORMED, cursor.fate[rows])
    _read_extensions(data, cursor, rows, _EXTENSIONS_V6)


def _narrow(cursor: Cursor, rows: slice | I64, at: I64, total: I64) -> None:
    """End the rows where their IP datagram of `total` bytes ends (0: where they end anyhow), if that is earlier."""
    wire_end = np.minimum(at + total, cursor.wire_end[rows])
    if not total.all():
        wire_end = np.where(total > 0, wire_end, cursor.wire_end[rows])
    cursor.wire_end[rows] = wire_end
    cursor.end[rows] = np.minimum(cursor.end[rows], wire_end)


def _set_fragments(
    cursor: Cursor, rows: slice | I64, is_fragment: NDArray[np.bool_], is_first: NDArray[np.bool_], what: int
) -> None:
    """Decide fragments: whole ones are peeled, cut ones are lost unless they are the first."""
    is_whole = cursor.end[rows] == cursor.wire_end[rows]
    fate = np.where(is_whole, Fate.PEEL, np.where(is_first, Fate.OPEN, Fate.IP_FRAGMENT))
    is_fragment = is_fragment & (cursor.fate[rows] == Fate.OPEN)
    cursor.fate[rows] = np.where(is_fragment, fate, cursor.fate[rows])
    cursor.next[rows] = np.where(is_fragment & is_whole, what, cursor.next[rows])


def _read_extensions(data: U8, cursor: Cursor, rows: slice | I64, extensions: NDArray[np.bool_]) -> None:
    """Step over extension headers up to the transport header or the next IP header."""
    protocol = cursor.next[rows] & 0xFF
    if not (extensions | _NESTED)[protocol].any():
        return
    for _ in range(MAX_EXTENSIONS):
        mask = extensions[protocol] & (cursor.fate[rows] == Fate.OPEN)
        if not mask.any():
            break
        _step_over(data, cursor, np.arange(len(cursor.at))[rows][mask], protocol[mask])
        protocol = cursor.next[rows] & 0xFF
    nested = _NESTED[protocol] & (cursor.fate[rows] == Fate.OPEN)
    cursor.next[rows] = np.where(nested, IP, cursor.next[rows])


def _step_over(data: U8, cursor: Cursor, index: I64, protocol: I64) -> None:
    """Step over one extension header of each of these rows; whole fragments stay before theirs."""
    at = cursor.at[index]
    header = gather(data, at, _EXTENSION)
    length = header["length"].astype(np.int64)
    size = np.select([protocol == _AH, protocol == _FRAGMENT], [(length + 2) * 4, 8], (length + 1) * 8)
    is_cut = at + size > cursor.end[index]
    cursor.fate[index[is_cut]] = Fate.MALFORMED
    # Offset 0 and no more to come: whole in itself (RFC 6946).
    is_fragment = (protocol == _FRAGMENT) & ((header["fragment"] & 0xFFF9) != 0)
    cursor.next[index] = PROTOCOL + header["next"].astype(np.int64)
    _set_fragments(cursor, index, is_fragment, (header["fragment"] & 0xFFF8) == 0, FRAGMENT_V6)
    cursor.at[index] = np.where(cursor.fate[index] == Fate.PEEL, at, at + size)
