"""Groups that are a whole connection as most short ones are: found in columns, so that they can be told at once.

Such a group goes from the SYN to the ACK of the last FIN and holds nothing but what comes next in its direction: SYN,
SYN-ACK, ACK, then payload and pure ACKs, then FIN, FIN, ACK. Between the FINs may be pure ACKs of the one who closes
second: its system acknowledges at once, the program closes when it comes to it. What is not so, or not all in one
batch, is told step by step; `whole_connection` leaves one as its steps would have left it, which the laws over
batch sizes hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from inspector.packets.batch import I64, U8, U16, U32, U64, PacketBatch
from inspector.tcp.connection import Ends
from inspector.tcp.segment import ACK, FIN, RST, SYN
from inspector.tcp.triage import Mask, Steps

#: The flags that open and close, and acknowledge.
LIFE = SYN | ACK | FIN | RST


class StepColumns(NamedTuple):
    """What there is to know of each step's first row; `length` is of all its rows. shape (steps,) each."""

    flags: U8
    seq: U32
    ack: U32
    window: U16
    direction: U8
    length: I64


def step_columns(batch: PacketBatch, steps: Steps) -> StepColumns:
    """What the steps of a batch are."""
    members, first = steps.members, steps.first
    rows = steps.order[members[first[:-1]]]
    behind = np.concatenate([[0], np.cumsum(batch.payload_length[steps.order[members]])])
    return StepColumns(
        batch.flags[rows],
        batch.seq[rows],
        batch.ack[rows],
        batch.window[rows],
        steps.direction[members[first[:-1]]],
        np.diff(behind[first]),
    )


#: Handshake and close of a whole connection as they are told: the client's end, both ends, the SYN's packet, the
#: initial sequence numbers, the times of the handshake, which end sent the first FIN, whether there are ACKs between
#: the FINs; the acknowledgment numbers of the FINs, the packets and the times of the FINs and of the last ACK.
Begun = tuple[
    int,
    Ends,
    int,
    tuple[int, int],
    tuple[int, int, int],
    int,
    bool,
    tuple[int, int],
    tuple[int, int, int],
    tuple[int, int, int],
]


def beginnings(
    batch: PacketBatch, steps: Steps, columns: StepColumns, closing: I64, words: Sequence[U64], groups: I64
) -> dict[int, Begun]:
    """What is told of these groups, by group. `words`: their tuples (Groups.tuples). shape (m,) each"""
    opening, close, second = steps.step_starts[groups], closing[groups], steps.step_starts[groups + 1] - 2
    rows = steps.order[steps.members[steps.first[:-1]]]
    packet, time_ns = batch.packet[rows], batch.time_ns[rows]
    high_0, low_0, high_1, low_1, ports = words
    ends = (high_0, low_0, ports >> np.uint64(16)), (high_1, low_1, ports & np.uint64(0xFFFF))

    def together(column: I64 | U32, *at: I64) -> Iterator[Any]:  # zip knows no lengths
        return zip(*(column[one].tolist() for one in at), strict=True)

    begun = zip(
        columns.direction[opening].tolist(),
        zip(*(zip(*(word.tolist() for word in end), strict=True) for end in ends), strict=True),
        packet[opening].tolist(),
        together(columns.seq, opening, opening + 1),
        together(time_ns, opening, opening + 1, opening + 2),
        columns.direction[close].tolist(),
        (second - close > 1).tolist(),
        together(columns.ack, close, second),
        together(packet, close, second, second + 1),
        together(time_ns, close, second, second + 1),
        strict=True,
    )
    return dict(zip(groups.tolist(), begun, strict=True))


def walked(steps: Steps, begins: Mask, closing: I64) -> Mask:
    """Which steps there is more to say of: where `begins`, only those between handshake and close. shape (steps,)"""
    starts = steps.step_starts
    count = np.diff(starts)
    step = np.arange(starts[-1])
    kept: Mask = np.repeat(~begins, count)
    kept |= (step >= np.repeat(starts[:-1] + 3, count)) & (step < np.repeat(closing, count))
    return kept


def whole_connections(steps: Steps, columns: StepColumns) -> I64:
    """The step of the first FIN of each group that is a whole connection; -1 of the others. shape (groups,)"""
    starts, ends = steps.step_starts[:-1], steps.step_starts[1:]
    closing = np.full(len(starts), -1)
    at = np.flatnonzero(ends - starts >= 6)
    fins = np.flatnonzero(columns.flags & FIN)
    if len(at) and len(fins):
        first_fin = fins[np.minimum(np.searchsorted(fins, starts[at]), len(fins) - 1)]
        good = (first_fin >= starts[at] + 3) & (first_fin <= ends[at] - 3)
        at, first_fin = at[good], first_fin[good]
        good = _opens(columns, starts[at]) & _closes(columns, first_fin, ends[at] - 2)
        good &= _adds_up(steps, columns, at, first_fin)
        at, first_fin = at[good], first_fin[good]
        good = _joins_up(steps, columns, at, first_fin)
        closing[at[good]] = first_fin[good]
    return closing


def _opens(columns: StepColumns, first: I64) -> Mask:
    """Whether the steps from `first` on are SYN, SYN-ACK and ACK without payload."""
    flags, seq, ack, direction = columns.flags, columns.seq, columns.ack, columns.direction
    second, third = first + 1, first + 2
    good: Mask = (flags[first] & LIFE == SYN) & (flags[second] & LIFE == SYN | ACK) & (flags[third] & LIFE == ACK)
    good &= columns.length[first] + columns.length[second] + columns.length[third] == 0
    good &= (direction[second] != direction[first]) & (direction[third] == direction[first])
    good &= (ack[second] == seq[first] + 1) & (seq[third] == ack[second]) & (ack[third] == seq[second] + 1)
    good &= columns.window[third] != 0
    return good


def _closes(columns: StepColumns, first: I64, second: I64) -> Mask:
    """Whether the steps `first`, `second` and the one behind that are FIN, FIN and ACK without payload, each FIN
    acknowledged by what follows."""
    flags, seq, ack, direction = columns.flags, columns.seq, columns.ack, columns.direction
    third = second + 1
    good: Mask = (flags[first] & LIFE == FIN | ACK) & (flags[second] & LIFE == FIN | ACK) & (flags[third] & LIFE == ACK)
    good &= columns.length[first] + columns.length[second] + columns.length[third] == 0
    good &= (direction[second] != direction[first]) & (direction[third] == direction[first])
    good &= (ack[second] == seq[first] + 1) & (seq[third] == ack[second]) & (ack[third] == seq[second] + 1)
    window = columns.window
    good &= (window[first] != 0) & (window[second] != 0) & (window[third] != 0)
    return good


def _adds_up(steps: Steps, columns: StepColumns, groups: I64, closing: I64) -> Mask:
    """Whether nothing comes behind the close, no FIN is acknowledged before it is sent, and the packets of a side look
    alike."""
    final = steps.step_starts[groups + 1] - 1
    last = steps.members[steps.first[final + 1] - 1]
    good: Mask = last == steps.group_starts[groups + 1] - 1
    behind_fin = steps.members[steps.first[closing]], steps.members[steps.first[final - 1]]
    acks = columns.ack[final].astype(np.int64), columns.ack[final - 1].astype(np.int64)
    closes_first = columns.direction[closing]
    for end, total in enumerate(steps.totals):
        # Who closes first has the other FIN to acknowledge.
        good &= total.ack[groups] == np.where(closes_first == end, *acks)
        good &= total.ack_first[groups] > np.where(closes_first == end, *behind_fin[::-1])
        good &= total.ttl_low[groups] == total.ttl_high[groups]
        good &= total.network_low[groups] == total.network_high[groups]
    return good


def _joins_up(steps: Steps, columns: StepColumns, groups: I64, closing: I64) -> Mask:
    """Whether all between handshake and close is payload or a pure ACK that begins where its direction stands, and all
    between the FINs is such an ACK."""
    starts, ends = steps.step_starts[groups], steps.step_starts[groups + 1]
    count = ends - starts - 3
    of_group = np.repeat(np.arange(len(groups)), count)
    step = np.arange(len(of_group)) - np.repeat(np.cumsum(count) - count - starts - 3, count)
    direction, length = columns.direction[step], columns.length[step]
    sender = columns.direction[starts][of_group]
    isn = np.where(direction == sender, columns.seq[starts][of_group], columns.seq[starts + 1][of_group])
    good: Mask = columns.seq[step] == isn + 1 + _sent_before(of_group, direction, length).astype(np.uint32)
    pure_ack = (columns.flags[step] & LIFE == ACK) & (length == 0) & (columns.window[step] != 0)
    fin, last = closing[of_group], ends[of_group] - 1
    # The last ACK is behind its own FIN; it has been compared with that, as the FINs have.
    closes = (step == fin) | (step >= last - 1)
    payload = steps.run[step] & (step < fin)
    good = np.where(closes, good | (step == last), good & (payload | pure_ack))
    all_good: Mask = np.bincount(of_group[~good], minlength=len(groups)) == 0
    return all_good


def _sent_before(of_group: I64, direction: U8, length: I64) -> I64:
    """Per step: payload bytes of its direction and group in the steps before it."""
    before = np.zeros(len(length), np.int64)
    new_group = np.flatnonzero(np.diff(of_group, prepend=-1))
    for end in (0, 1):
        own = np.where(direction == end, length, 0)
        so_far = np.cumsum(own) - own
        so_far -= so_far[new_group][of_group]
        before[direction == end] = so_far[direction == end]
    return before
