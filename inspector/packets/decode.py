"""Packets as captured in, TCP segments out: the order of the layers, on one screen.

A batch is decoded in slices that stay in cache, each by link, IP and TCP as columns; rows that the columns do not
know are peeled one by one by the fallback and go through the same columns again. The slices write into the batch's
own columns, which are cut down to the segments once at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .batch import I64, U8, IcmpError, PacketBatch, RawBatch
from .dns import Answer, DnsReader, find_answers
from .duplicates import DuplicateWindow
from .fallback import Fallback, Peeled, dns_addresses
from .icmp import read_icmp_errors
from .ip import read_ip
from .link import read_link
from .rows import LINK, PROTOCOL, SEGMENT_COLUMNS, Cursor, Fate, Segments, chosen, padded
from .tcp import read_tcp
from .udp import read_other

#: Rows decoded at a time: their headers and columns stay in the cache of a core.
SLICE_ROWS = 8192

#: A packet inside more tunnels than this is not followed.
MAX_TUNNELS = 8


@dataclass(slots=True)
class _Level:
    """Packets of one slice at one depth of tunnels, and what is read of them."""

    data: U8
    cursor: Cursor
    out: Segments
    packet: I64
    time_ns: I64
    base: int
    """Where `data` lies in the batch's bytes."""


class _Gains:
    """What a batch yields besides columns: ICMP errors, DNS answers, bytes that do not lie in the capture so."""

    def __init__(self, captured: U8) -> None:
        self.errors: list[IcmpError] = []
        self.answers: list[Answer] = []
        self._captured = captured
        self.padded = padded(captured)
        """The captured bytes in a buffer that headers can be gathered from."""
        self._added: list[U8] = []
        self._size = len(self.padded)

    def add(self, data: U8) -> int:
        """Add bytes behind those that are there; returns where."""
        at = self._size
        self._added.append(data)
        self._size += len(data)
        return at

    def joined(self) -> U8:
        """All bytes in one buffer: the captured ones themselves where nothing was added."""
        return np.concatenate([self.padded, *self._added]) if self._added else self._captured


class PacketDecoder:
    """Decodes one capture's packets in order: fragments and copies are recognised across batches."""

    def __init__(self) -> None:
        self._fallback = Fallback()
        self._duplicates = DuplicateWindow()
        self._dns = DnsReader(dns_addresses)

    def decode(self, raw: RawBatch) -> PacketBatch:
        """The TCP segments of these packets. Never raises on what they contain.

        len(raw) == len(batch) + sum(batch.skipped.values()). `batch.data` is `raw.data`, unless something had to be
        put together or peeled out of a tunnel: then it is a copy with that added behind.
        """
        n = len(raw)
        link_types = np.array([LINK | interface.link_type & 0xFFFF for interface in raw.interfaces], np.int64)
        gains, out, fate = _Gains(raw.data), Segments.empty(n), np.zeros(n, np.uint8)
        for start in range(0, n, SLICE_ROWS):
            rows = slice(start, start + SLICE_ROWS)
            fate[rows] = self._decode_slice(raw, rows, link_types, out.part(rows), gains)
        batch = _batch(raw, out, fate, gains)
        batch.names = self._dns.names(gains.answers)
        return batch

    def _decode_slice(self, raw: RawBatch, rows: slice, link_types: I64, out: Segments, gains: _Gains) -> U8:
        at = raw.position[rows].copy()
        end = np.minimum(at + raw.captured[rows], len(raw.data))
        interface = raw.interface[rows]
        cursor = Cursor.start(
            at,
            end,
            np.maximum(at + raw.length[rows], end),
            link_types[interface],
            np.zeros(len(at), np.int64),
        )
        packet = raw.first_packet + np.arange(rows.start, rows.start + len(at))
        level = _Level(gains.padded, cursor, out, packet, raw.time_ns[rows], 0)
        channel = _read(level, gains) + (interface.astype(np.int64) << 33)
        self._peel(level, gains, 0)
        self._drop_copies(level, channel)
        return cursor.fate

    def _peel(self, level: _Level, gains: _Gains, depth: int) -> None:
        """Send the rows that the columns do not know through the fallback, and what it finds through the columns."""
        cursor = level.cursor
        rows = np.flatnonzero(cursor.fate == Fate.PEEL)
        if not len(rows):
            return
        if depth == MAX_TUNNELS:
            cursor.fate[rows] = Fate.NOT_TCP
            return
        index, peeled = self._peel_rows(level, rows, depth)
        if peeled:
            inner = _inner_level(level, index, peeled, gains)
            _read(inner, gains)
            self._peel(inner, gains, depth + 1)
            cursor.fate[index] = inner.cursor.fate
            level.out.put(index, inner.out)
        under_ip = cursor.next[rows] >= PROTOCOL
        cursor.fate[rows] = np.where(under_ip & (cursor.fate[rows] == Fate.NOT_IP), Fate.NOT_TCP, cursor.fate[rows])

    def _peel_rows(self, level: _Level, rows: I64, depth: int) -> tuple[I64, list[Peeled]]:
        """The rows that the fallback got further with, and how far; the others' fates are set."""
        cursor, index, peeled = level.cursor, [], []
        for row in rows.tolist():
            at, end = int(cursor.at[row]), int(cursor.end[row])
            result = self._fallback.peel(
                int(cursor.next[row]),
                level.data[int(cursor.ip_at[row]) : at].tobytes(),
                level.data[at:end].tobytes(),
                int(cursor.wire_end[row]) - end,
                int(cursor.network[row]),
                int(level.time_ns[row]),
                depth,
            )
            if isinstance(result, Peeled):
                index.append(row)
                peeled.append(result)
            else:
                cursor.fate[row] = result
        return np.array(index, np.int64), peeled

    def _drop_copies(self, level: _Level, channel: I64) -> None:
        mask = level.cursor.fate == Fate.SEGMENT
        if not mask.any():
            return
        rows = chosen(mask)
        copies = self._duplicates.find(level.out.part(rows), level.time_ns[rows], channel[rows])
        if copies.any():
            level.cursor.fate[np.flatnonzero(mask)[copies]] = Fate.DUPLICATE


def _read(level: _Level, gains: _Gains) -> I64:
    """Send a level through the columns; returns the link layer's interface number, a row each."""
    data, cursor, out = level.data, level.cursor, level.out
    channel = read_link(data, cursor)
    read_ip(data, cursor, out)
    read_tcp(data, cursor, out)
    gains.errors += read_icmp_errors(data, cursor, level.packet, level.time_ns)
    gains.answers += find_answers(data, cursor, level.packet, level.time_ns)
    read_other(data, cursor)
    if level.base:
        out.payload_position += level.base
        out.options_position += level.base
    return channel


def _inner_level(level: _Level, rows: I64, peeled: list[Peeled], gains: _Gains) -> _Level:
    """What was peeled out of these rows, as packets in a buffer of their own behind the batch's bytes."""
    data = padded(np.frombuffer(b"".join(found.data for found in peeled), np.uint8))
    captured = np.array([len(found.data) for found in peeled], np.int64)
    end = np.cumsum(captured)
    at = end - captured
    cursor = Cursor.start(
        at,
        end,
        at + np.array([found.wire_length for found in peeled], np.int64),
        np.array([found.what for found in peeled], np.int64),
        np.array([found.network for found in peeled], np.int64),
    )
    base = gains.add(data)
    return _Level(data, cursor, Segments.empty(len(rows)), level.packet[rows], level.time_ns[rows], base)


def _batch(raw: RawBatch, out: Segments, fate: U8, gains: _Gains) -> PacketBatch:
    """The rows that are segments, and why the others are not."""
    rows = chosen(fate == Fate.SEGMENT)
    counts = np.bincount(fate, minlength=len(Fate)).tolist()
    n = len(raw)
    return PacketBatch(
        data=gains.joined(),
        packet=(raw.first_packet + np.arange(n, dtype=np.int64))[rows],
        time_ns=raw.time_ns[rows],
        interface=raw.interface[rows],
        **{name: getattr(out, name)[rows] for name in SEGMENT_COLUMNS},
        skipped={why.name.lower(): counts[why] for why in Fate if why != Fate.SEGMENT and counts[why]},
        icmp_errors=sorted(gains.errors, key=lambda error: error.packet),
        end_packet=raw.first_packet + n - 1 if n else 0,
        end_ns=int(raw.time_ns[-1]) if n else raw.idle_ns or 0,
    )
