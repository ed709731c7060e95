"""TCP headers: the end of the columns path.

A segment is believed when its header fits into its IP datagram and enough of it was captured to know its ports,
numbers, flags and window: 16 bytes. The checksum, the options and the payload may be cut.
Source: RFC 9293 section 3.1.
"""

from __future__ import annotations

import numpy as np

from .batch import U8
from .rows import PROTOCOL, Cursor, Fate, Segments, chosen, gather

TCP = PROTOCOL | 6

_TCP = np.dtype(
    [
        ("src_port", ">u2"),
        ("dst_port", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("offset", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("checksum", ">u2"),
        ("urgent", ">u2"),
    ]
)


def read_tcp(data: U8, cursor: Cursor, out: Segments) -> None:
    """Read the rows that are at a TCP header: they become `Fate.SEGMENT`, or `Fate.MALFORMED`."""
    mask = (cursor.next == TCP) & (cursor.fate == Fate.OPEN)
    if not mask.any():
        return
    rows = chosen(mask)
    at, end, wire_end = cursor.at[rows], cursor.end[rows], cursor.wire_end[rows]
    header = gather(data, at, _TCP)
    size = (header["offset"] >> 4 << 2).astype(np.int64)
    payload = at + size
    valid = (size >= 20) & (payload <= wire_end) & (at + 16 <= end)
    cursor.fate[rows] = np.where(valid, Fate.SEGMENT, Fate.MALFORMED)
    out.src_port[rows] = header["src_port"]
    out.dst_port[rows] = header["dst_port"]
    out.seq[rows] = header["seq"]
    out.ack[rows] = header["ack"]
    out.flags[rows] = header["flags"]
    out.window[rows] = header["window"]
    out.checksum[rows] = np.where(at + 18 <= end, header["checksum"], 0)
    out.payload_length[rows] = wire_end - payload
    out.payload_position[rows] = payload
    out.payload_captured[rows] = np.maximum(end - payload, 0)
    out.options_position[rows] = at + 20
    out.options_length[rows] = np.maximum(np.minimum(end, payload) - at - 20, 0)
    out.network[rows] = cursor.network[rows]
