"""Which 4-tuple a segment belongs to, for a whole batch at once.

A slot is a row of arrays that stands for one 4-tuple, whichever way round its packets go. `group` sorts a batch by
4-tuple (by a 64-bit hash, checked against the tuples themselves, so that the answer is exact) and `slots` finds or
makes the slot of each group in an open-addressing table, all groups together. No Python object exists for a tuple: a
connection of SYNs alone lives in the `syn_*` columns of its slot until something answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.packets.batch import I64, U64, PacketBatch

_MULTIPLIERS = tuple(
    np.uint64(m)
    for m in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD)
)
_SHIFT = np.uint64(32)

#: What a slot holds at the moment.
EMPTY, SYN_ONLY, CONNECTION, ENDED = range(4)


class Groups(NamedTuple):
    """A batch sorted by 4-tuple. n rows, m groups; a group is a run of one tuple's rows in capture order."""

    order: I64
    """Batch row at each sorted position. shape (n,)"""
    starts: I64
    """Sorted position where each group begins. shape (m,)"""
    reversed: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Per sorted position: whether the segment goes from the tuple's second end to its first. shape (n,)"""
    tuples: tuple[U64, ...]
    """Per group, the five words of the tuple: first end high, low, second end high, low, both ports. shape (m,) each"""


def group(batch: PacketBatch) -> Groups:
    """Sort the segments of a batch by 4-tuple, keeping capture order inside each."""
    words, swap = _canonical(batch)
    hashed = _hash(words)
    order = np.argsort(hashed, kind="stable")
    new = _changes([hashed[order]])
    ordered = [word[order] for word in words]
    if np.any(_changes(ordered) & ~new):  # two tuples with one hash
        order = np.lexsort(words)
        ordered = [word[order] for word in words]
        new = _changes(ordered)
    starts = np.flatnonzero(new)
    return Groups(order, starts, swap[order], tuple(word[starts] for word in ordered))


def _canonical(batch: PacketBatch) -> tuple[tuple[U64, ...], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The tuple's five words with its lower end first, and which segments come from the higher end."""
    source, target = batch.src_port.astype(np.uint64), batch.dst_port.astype(np.uint64)
    swap = (batch.src_hi > batch.dst_hi) | (
        (batch.src_hi == batch.dst_hi)
        & ((batch.src_lo > batch.dst_lo) | ((batch.src_lo == batch.dst_lo) & (source > target)))
    )
    ports = np.where(swap, (target << np.uint64(16)) | source, (source << np.uint64(16)) | target)
    words = (
        np.where(swap, batch.dst_hi, batch.src_hi),
        np.where(swap, batch.dst_lo, batch.src_lo),
        np.where(swap, batch.src_hi, batch.dst_hi),
        np.where(swap, batch.src_lo, batch.dst_lo),
        ports,
    )
    return words, swap


def _hash(words: tuple[U64, ...]) -> U64:
    """A 64-bit hash of the tuple. Arithmetic is modulo 2^64, as NumPy does it."""
    mixed = words[4] * _MULTIPLIERS[4]
    for word, multiplier in zip(words[:4], _MULTIPLIERS, strict=False):
        mixed ^= (word ^ (mixed >> _SHIFT)) * multiplier
    mixed ^= mixed >> _SHIFT
    mixed *= _MULTIPLIERS[0]
    mixed ^= mixed >> _SHIFT
    return mixed


def _changes(columns: list[U64]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Per row: whether it differs from the row before (the first one does)."""
    changed = np.ones(len(columns[0]), dtype=bool)
    if len(changed) > 1:
        changed[1:] = columns[0][1:] != columns[0][:-1]
        for column in columns[1:]:
            changed[1:] |= column[1:] != column[:-1]
    return changed


class FlowTable:
    """All 4-tuples seen so far."""

    #: Free rows are added this many at a time, or a sixteenth of the table.
    _GROWTH = 4096
    #: Rows entered at a time into an index that is made anew: what that needs beside the table stays small.
    _REBUILT = 65_536

    def __init__(self) -> None:
        self.count = 0
        self.words = [np.zeros(0, np.uint64) for _ in range(5)]
        self.state = np.zeros(0, np.uint8)
        """EMPTY, SYN_ONLY, CONNECTION or ENDED."""
        self.watched = np.zeros(0, bool)
        """Whether the slot's connection asks for each of its rows."""
        self.connection_id = np.zeros(0, np.int32)
        """Of SYN_ONLY and ENDED."""
        self.base_0 = np.zeros(0, np.uint32)
        """Sequence number before the first byte of the tuple's first end, of SYN_ONLY and ENDED."""
        self.base_1 = np.zeros(0, np.uint32)
        """The same of its second end."""
        self.base_known = np.zeros(0, np.uint8)
        """Which of the two are known: bits 1 and 2. SYN_ONLY has one: that of the end that sent the SYN."""
        self.syn_packet = np.zeros(0, np.int64)
        self.syn_ns = np.zeros(0, np.int64)
        self.packet_span = np.zeros(0, np.uint32)
        """SYN_ONLY: how far the last SYN's packet number lies behind the first one's."""
        self.last_ns = np.zeros(0, np.int64)
        """Time of the last packet, of SYN_ONLY and ENDED."""
        self.syn_count = np.zeros(0, np.uint16)
        self.syn_ttl = np.zeros(0, np.uint8)
        self.syn_network = np.zeros(0, np.int64)
        self._index = np.full(1024, -1, np.int32)

    _COLUMNS = (
        *("state", "watched", "connection_id", "base_0", "base_1", "base_known", "syn_packet", "syn_ns"),
        *("packet_span", "last_ns", "syn_count", "syn_ttl", "syn_network"),
    )

    def slots(self, tuples: tuple[U64, ...]) -> I64:
        """The slot of each tuple, made where it is new. shape (m,) in, shape (m,) out; tuples must be distinct."""
        hashed = _hash(tuples)
        found = self._find(tuples, hashed)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            found[missing] = self._insert([word[missing] for word in tuples], hashed[missing])
        return found

    def find_one(self, first: tuple[int, int, int], second: tuple[int, int, int]) -> int | None:
        """The slot of two ends (address high, address low, port), whichever way round; None when there is none."""
        low, high = sorted((first, second))
        ports = low[2] << 16 | high[2]
        words = tuple(np.array([word], np.uint64) for word in (low[0], low[1], high[0], high[1], ports))
        slot = int(self._find(words, _hash(words))[0])
        return slot if slot >= 0 else None

    def keep(self, slots: I64) -> None:
        """Forget all slots but these, given in ascending order, which are numbered anew from 0."""
        self.count = len(slots)
        self.words = [word[slots] for word in self.words]
        for name in self._COLUMNS:
            setattr(self, name, getattr(self, name)[slots])
        self._index_all(1024)

    def _find(self, tuples: tuple[U64, ...], hashed: U64) -> I64:
        mask = len(self._index) - 1
        found = np.full(len(hashed), -1, np.int64)
        open_ = np.arange(len(hashed))
        probe = (hashed & np.uint64(mask)).astype(np.int64)
        while len(open_):
            slot = self._index[probe[open_]]
            open_, slot = open_[slot >= 0], slot[slot >= 0]
            same = np.ones(len(slot), bool)
            for known, word in zip(self.words, tuples, strict=True):
                same &= known[slot] == word[open_]
            found[open_[same]] = slot[same]
            open_ = open_[~same]
            probe[open_] = (probe[open_] + 1) & mask
        return found

    def _insert(self, words: list[U64], hashed: U64) -> I64:
        first, self.count = self.count, self.count + len(hashed)
        self._grow()
        for column, word in zip(self.words, words, strict=True):
            column[first : self.count] = word
        if self.count * 3 > len(self._index) * 2:
            self._index_all(len(self._index))
        else:
            self._place(np.arange(first, self.count), hashed)
        return np.arange(first, self.count)

    def _index_all(self, size: int) -> None:
        """Make the index anew, with room for as many slots again as there are, and at least `size` places."""
        while self.count * 2 > size:
            size *= 2
        if size == len(self._index):
            self._index[:] = -1
        else:
            self._index = np.full(size, -1, np.int32)
        for start in range(0, self.count, self._REBUILT):
            rows = np.arange(start, min(start + self._REBUILT, self.count))
            self._place(rows, _hash(tuple(word[rows] for word in self.words)))

    def _place(self, slots: I64, hashed: U64) -> None:
        """Enter slots into the index: of several that want one place, the last writer has it, the others go on."""
        mask = len(self._index) - 1
        probe = (hashed & np.uint64(mask)).astype(np.int64)
        while len(slots):
            free = self._index[probe] < 0
            self._index[probe[free]] = slots[free]
            placed = self._index[probe] == slots
            slots, probe = slots[~placed], (probe[~placed] + 1) & mask

    def _grow(self) -> None:
        size = len(self.state)
        if self.count <= size:
            return
        size = self.count + max(self._GROWTH, self.count // 16)
        # In place, where the system can: no view of a column outlives the call that made it.
        for column in [*self.words, *(getattr(self, name) for name in self._COLUMNS)]:
            column.resize(size, refcheck=False)
