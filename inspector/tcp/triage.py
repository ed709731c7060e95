"""Which rows of a batch Python must look at: a pure function of the columns, without any connection's state.

Rows come sorted by 4-tuple. A new group begins at every plain SYN, so that a group belongs to one connection. In each
group, rows become *steps*: single rows for whatever may change something (SYN, FIN, RST and all behind them, a closed
window, a sequence number that does not join up, a direction's first row and its first pure ACK), and *runs* of payload
segments of one direction that join up, ended by payload of the other direction. The rest, pure ACKs that repeat what is
known, is only added up: `totals` has, for each group and direction, what addition can tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.packets.batch import I64, U8, U32, PacketBatch
from inspector.tcp.flow_table import Groups
from inspector.tcp.segment import ACK, FIN, RST, SYN

#: Flags that make a segment more than data and acknowledgments.
CONTROL = FIN | SYN | RST

#: Acknowledgment numbers that spread farther than this are of no one window: which is the highest depends on the order.
WIDEST_SPREAD = 1 << 30
#: Stands for their highest.
SPREAD = -2

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Totals(NamedTuple):
    """What one direction's rows of each group add up to. shape (groups,) each."""

    packets: I64
    captured: I64
    """Payload bytes captured, repetitions included."""
    ttl_low: I64
    ttl_high: I64
    network_low: I64
    network_high: I64
    ack: I64
    """Highest acknowledgment number; -1 where no row but a RST acknowledges, SPREAD where none is the highest."""
    ack_first: I64
    """Sorted position of the first row that has it; meaningless where none is the highest."""


class Steps(NamedTuple):
    """What Python walks, sorted by group. Positions are sorted positions; rows, batch rows."""

    order: I64
    """Batch row at each sorted position."""
    group_starts: I64
    """Sorted position at which each group begins, and the number of rows behind the last. shape (groups + 1,)"""
    group_tuple: I64
    """Which tuple (index into Groups.tuples) each group is of. shape (groups,)"""
    step_starts: I64
    """Index of each group's first step, and the number of steps behind the last. shape (groups + 1,)"""
    members: I64
    """Sorted positions of all rows that are in steps."""
    first: I64
    """Per step: index in `members` of its first row, and the length of `members` behind the last. shape (steps + 1,)"""
    run: Mask
    """Per step: plain payload in order behind what the direction sent before, whole in the capture. shape (steps,)"""
    direction: U8
    """Per sorted position: 1 when the segment goes from the tuple's second end to its first."""
    totals: tuple[Totals, Totals]
    """By direction."""


def triage(batch: PacketBatch, groups: Groups, watched: Mask) -> Steps:
    """Sort out a batch. `watched`: per tuple of `groups`, whether each of its rows is to be a step of its own.

    Groups that begin with a SYN are sorted out all the same: nearly always they are new connections.
    """
    order = groups.order
    n = len(order)
    flags, seq = batch.flags[order], batch.seq[order]
    length, direction = batch.payload_length[order], groups.reversed.astype(np.uint8)
    plain_syn = (flags & (SYN | ACK | RST | FIN)) == SYN
    starts_tuple = np.zeros(n, bool)
    starts_tuple[groups.starts] = True
    starts_group = starts_tuple | plain_syn
    group_starts = np.flatnonzero(starts_group)
    group_of = np.cumsum(starts_group) - 1
    group_tuple = (np.cumsum(starts_tuple) - 1)[group_starts]
    watched_rows = (watched[group_tuple] & ~plain_syn[group_starts])[group_of]

    by_direction = (np.flatnonzero(direction == 0), np.flatnonzero(direction == 1))
    window_open = batch.window[order] != 0
    joins = _joins(seq, _sequence_end(seq, length, flags), group_of, by_direction)
    acknowledges = (flags & (CONTROL | ACK)) == ACK
    pure_ack = acknowledges & (length == 0)
    data = acknowledges & (length > 0) & (batch.payload_captured[order] == length) & window_open
    quiet = pure_ack & joins & window_open & _of_row_before(window_open, by_direction) & ~watched_rows
    quiet &= ~_behind_control(flags, starts_group) & ~_first_of_kind(pure_ack, group_of, by_direction)
    members = np.flatnonzero(~quiet)
    run, starts_step = _runs(data & joins & ~watched_rows, data & ~watched_rows, direction, group_of, members)
    first = np.flatnonzero(starts_step)
    step_starts = np.searchsorted(members[first], group_starts)
    return Steps(
        order,
        np.append(group_starts, n),
        group_tuple,
        np.append(step_starts, len(first)),
        members,
        np.append(first, len(members)),
        run[first],
        direction,
        (
            _totals(batch, order, flags, group_of, by_direction[0], len(group_starts)),
            _totals(batch, order, flags, group_of, by_direction[1], len(group_starts)),
        ),
    )


def _sequence_end(seq: U32, length: I64, flags: U8) -> U32:
    """The sequence number behind each segment: payload, SYN and FIN count (RFC 9293 section 3.4)."""
    control = ((flags & SYN) >> 1) + (flags & FIN)
    return seq + length.astype(np.uint32) + control


def _joins(seq: U32, end: U32, group_of: I64, by_direction: tuple[I64, I64]) -> Mask:
    """Per row: whether it begins where the row before it of the same group and direction ended."""
    joins = np.zeros(len(seq), bool)
    for rows in by_direction:
        before, after = rows[:-1], rows[1:]
        joins[after] = (seq[after] == end[before]) & (group_of[after] == group_of[before])
    return joins


def _of_row_before(mask: Mask, by_direction: tuple[I64, I64]) -> Mask:
    """Per row: the mask at the direction's row before it."""
    before = np.zeros(len(mask), bool)
    for rows in by_direction:
        before[rows[1:]] = mask[rows[:-1]]
    return before


def _behind_control(flags: U8, starts_group: Mask) -> Mask:
    """Per row: whether SYN is on the row before it, or FIN or RST on any row before it, in its group."""
    behind = np.zeros(len(flags), bool)
    if len(flags) < 2:
        return behind
    behind[1:] = (flags[:-1] & SYN) != 0
    position = np.arange(len(flags))
    last_close = np.maximum.accumulate(np.where((flags & (FIN | RST)) != 0, position, -1))
    group_start = np.maximum.accumulate(np.where(starts_group, position, 0))
    behind[1:] |= last_close[:-1] >= group_start[1:]
    behind &= ~starts_group
    return behind


def _first_of_kind(kind: Mask, group_of: I64, by_direction: tuple[I64, I64]) -> Mask:
    """Per row: whether it is the first of `kind` in its group and direction."""
    first = np.zeros(len(kind), bool)
    for rows in by_direction:
        of_kind = rows[kind[rows]]
        if len(of_kind):
            group = group_of[of_kind]
            first[of_kind[0]] = True
            first[of_kind[1:]] = group[1:] != group[:-1]
    return first


def _runs(joined: Mask, data: Mask, direction: U8, group_of: I64, members: I64) -> tuple[Mask, Mask]:
    """Per member: whether it is plain payload, and whether it begins a step."""
    joined, data = joined[members], data[members]
    starts = np.ones(len(members), bool)
    if len(members) > 1:
        same = (direction[members][1:] == direction[members][:-1]) & (group_of[members][1:] == group_of[members][:-1])
        starts[1:] = ~(joined[1:] & data[:-1] & same)
    return data, starts


def _totals(batch: PacketBatch, order: I64, flags: U8, group_of: I64, rows: I64, count: int) -> Totals:
    zeros = np.zeros(count, np.int64)
    totals = Totals(*(zeros.copy() for _ in Totals._fields))
    totals.ack[:] = -1
    if not len(rows):
        return totals
    at, starts = _run_starts(group_of[rows])
    source = order[rows]
    totals.packets[at] = np.diff(np.append(starts, len(rows)))
    totals.captured[at] = np.add.reduceat(batch.payload_captured[source], starts)
    totals.ttl_low[at] = np.minimum.reduceat(batch.ttl[source], starts)
    totals.ttl_high[at] = np.maximum.reduceat(batch.ttl[source], starts)
    network = batch.network[source]
    if network.any():
        totals.network_low[at] = np.minimum.reduceat(network, starts)
        totals.network_high[at] = np.maximum.reduceat(network, starts)
    acking = rows[(flags[rows] & (ACK | RST)) == ACK]
    if len(acking):
        at, starts = _run_starts(group_of[acking])
        ack = batch.ack[order[acking]]
        base = ack[starts]
        ahead = (ack - np.repeat(base, np.diff(np.append(starts, len(ack))))).astype(np.int32).astype(np.int64)
        highest = np.maximum.reduceat(ahead, starts)
        spread = highest - np.minimum.reduceat(ahead, starts) > WIDEST_SPREAD
        counts = np.diff(np.append(starts, len(ack)))
        having = np.flatnonzero(ahead == np.repeat(highest, counts))
        group = np.repeat(np.arange(len(starts)), counts)[having]
        totals.ack_first[at] = acking[having[np.flatnonzero(np.diff(group, prepend=-1))]]
        totals.ack[at] = np.where(spread, SPREAD, (base + highest.astype(np.uint32)).astype(np.int64))
    return totals


def _run_starts(group: I64) -> tuple[I64, I64]:
    """The distinct values of a sorted array, and where each begins."""
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    return group[starts], starts
