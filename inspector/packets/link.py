"""From the start of a packet to its network-layer header, for the link types that nearly all captures have.

Each link type is a function that moves its rows to what follows and says what that is, in EtherTypes; after it, VLAN
tags and LLC/SNAP are read by one loop for all. Link types that are not here are left to the fallback.
Layouts: https://www.tcpdump.org/linktypes.html; IEEE 802.1Q, 802.1ad, 802.2; RFC 1042 for SNAP.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .batch import I64, U8
from .rows import IP, LINK, Cursor, Fate, gather

#: More tags than this on one packet are not followed.
MAX_TAGS = 8

#: 802.1Q, 802.1ad, and the number that QinQ had before it.
TAGS = (0x8100, 0x88A8, 0x9100)

#: EtherTypes that lead to IP through headers that the fallback knows: MPLS, PPPoE session, PPP, MAC-in-MAC, NSH,
#: transparent Ethernet bridging.
PEELED = (0x8847, 0x8848, 0x8864, 0x880B, 0x88E7, 0x894F, 0x6558)

_LLC = 0x0004
"""ETH_P_802_2: stands for an 802.2 header, as Linux has it in the protocol field of SLL."""
_IPV6 = 0x86DD

_U2 = np.dtype(">u2")
_SLL = np.dtype({"names": ["type", "protocol"], "formats": [">u2", ">u2"], "offsets": [0, 14], "itemsize": 16})
_SLL2 = np.dtype(
    {
        "names": ["protocol", "ifindex", "type"],
        "formats": [">u2", ">u4", "u1"],
        "offsets": [0, 4, 10],
        "itemsize": 20,
    }
)
_LLC_SNAP = np.dtype([("llc", ">u4"), ("rest", ">u2"), ("protocol", ">u2")])
_FAMILY = np.dtype([("little", "<u4"), ("big", ">u4")])

#: Packets that the host itself sends, in the packet type of SLL and SLL2.
_OUTGOING = 4

#: AF_INET everywhere; AF_INET6 of NetBSD and OpenBSD, FreeBSD, macOS, Linux.
_FAMILIES = (2, 24, 28, 30, 10)


def _ethernet(data: U8, at: I64, channel: I64) -> tuple[I64, int]:
    kind = gather(data, at + 12, _U2).astype(np.int64)
    if kind.min(initial=0x600) < 0x600:
        kind[kind <= 1500] = _LLC
    return kind, 14


def _sll(data: U8, at: I64, channel: I64) -> tuple[I64, int]:
    header = gather(data, at, _SLL)
    channel += header["type"] == _OUTGOING
    return header["protocol"].astype(np.int64), 16


def _sll2(data: U8, at: I64, channel: I64) -> tuple[I64, int]:
    header = gather(data, at, _SLL2)
    channel += (header["ifindex"].astype(np.int64) << 1) + (header["type"] == _OUTGOING)
    return header["protocol"].astype(np.int64), 20


def _loopback(data: U8, at: I64, channel: I64) -> tuple[I64, int]:
    # NULL has the family in the byte order of the host that captured, LOOP in network order: small numbers either
    # way, so the reading that is small is right.
    raw = gather(data, at, np.dtype("<u4")).astype(np.int64)
    family = np.where(raw > 0xFFFF, gather(data, at, np.dtype(">u4")), raw)
    return np.where(np.isin(family, _FAMILIES), IP, 0), 4


def _raw(data: U8, at: I64, channel: I64) -> tuple[I64, int]:
    return np.full(len(at), IP, np.int64), 0


#: LINKTYPE_ number -> reader: (data, where the headers start, channel to add to) -> (EtherTypes, header length).
_READERS: dict[int, Callable[[U8, I64, I64], tuple[I64, int]]] = {
    1: _ethernet,
    0: _loopback,
    108: _loopback,
    12: _raw,
    14: _raw,
    101: _raw,
    228: _raw,
    229: _raw,
    113: _sll,
    276: _sll2,
}


def read_link(data: U8, cursor: Cursor) -> I64:
    """Move each row to its network-layer header and decide those that have none.

    Returns a number a row for the interface that the link layer names (SLL's direction, SLL2's interface index),
    0 where it names none; it is below 2**33. Link types without a reader become `Fate.PEEL`, a header that is cut
    `Fate.MALFORMED`.
    """
    channel = np.zeros(len(cursor.at), np.int64)
    link_types = _distinct(cursor.next)
    for link_type in link_types:
        if link_type >> 16 != LINK >> 16:
            continue
        rows: slice | I64 = slice(None) if len(link_types) == 1 else np.flatnonzero(cursor.next == link_type)
        reader = _READERS.get(link_type & 0xFFFF)
        if reader is None:
            cursor.fate[rows] = Fate.PEEL
            continue
        part = np.zeros(len(cursor.at[rows]), np.int64)
        cursor.next[rows], size = reader(data, cursor.at[rows], part)
        channel[rows] = part
        _step(cursor, rows, size)
    is_rare = cursor.next != IP
    if is_rare.any():
        _read_rare(data, cursor, np.flatnonzero(is_rare & (cursor.fate == Fate.OPEN)))
    return channel


def _distinct(numbers: I64) -> list[int]:
    """The different numbers, without sorting in the case that there is one."""
    if len(numbers) and (numbers == numbers[0]).all():
        return [int(numbers[0])]
    return [int(number) for number in np.unique(numbers)]


def _step(cursor: Cursor, rows: slice | I64, size: int) -> None:
    """Step over a header of this size; where it is cut the packet is malformed."""
    at = cursor.at[rows] + size
    cursor.at[rows] = at
    cut = at > cursor.end[rows]
    if cut.any():
        cursor.fate[rows] = np.where(cut, Fate.MALFORMED, cursor.fate[rows])


def _read_rare(data: U8, cursor: Cursor, rows: I64) -> None:
    """Read what may stand between a link-layer header and IP; then IP goes on, what leads to IP is peeled."""
    _read_llc(data, cursor, rows[cursor.next[rows] == _LLC])
    _read_tags(data, cursor, rows)
    rows = rows[cursor.fate[rows] == Fate.OPEN]
    kind = cursor.next[rows]
    cursor.next[rows[kind == _IPV6]] = IP
    cursor.fate[rows[np.isin(kind, PEELED)]] = Fate.PEEL
    cursor.fate[rows[~np.isin(kind, (IP, _IPV6, *PEELED))]] = Fate.NOT_IP


def _read_llc(data: U8, cursor: Cursor, rows: I64) -> None:
    """Follow SNAP headers with an EtherType (RFC 1042); other LLC leads to no IP."""
    header = gather(data, cursor.at[rows], _LLC_SNAP)
    is_snap = (header["llc"] == 0xAAAA0300) & (header["rest"] == 0) & (cursor.at[rows] + 8 <= cursor.end[rows])
    snap = rows[is_snap]
    cursor.next[snap] = header["protocol"][is_snap]
    cursor.at[snap] += 8


def _read_tags(data: U8, cursor: Cursor, rows: I64) -> None:
    """Follow VLAN tags, folding their ids (not their priorities) into `network`; id 0 is a priority, not a VLAN."""
    for _ in range(MAX_TAGS):
        rows = rows[np.isin(cursor.next[rows], TAGS) & (cursor.fate[rows] == Fate.OPEN)]
        if not len(rows):
            return
        at, network = cursor.at[rows], cursor.network[rows]
        vlan = (gather(data, at, _U2) & 0xFFF).astype(np.int64)
        cursor.network[rows] = np.where(vlan > 0, network << 12 | vlan, network)
        cursor.next[rows] = gather(data, at + 2, _U2)
        _step(cursor, rows, 4)
