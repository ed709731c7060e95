"""How most connections begin and end, told at once: SYN, SYN-ACK, ACK and FIN, FIN, ACK as they should be.

Each function leaves a connection as its three segments, told one by one, would have left it; the laws over batch sizes
hold that, since a batch of one packet never has three. Whoever calls has made sure that the segments are so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.bytestream import StreamChunk
from inspector.tcp.connection import Connection, ReadWhole
from inspector.tcp.sequence import MASK, distance
from inspector.tcp.side import Side
from inspector.tcp.states import EndState

_ESTABLISHED, _CLOSED = EndState.ESTABLISHED, EndState.CLOSED

#: The sides of a connection that `whole` will be told of, which makes its own: nobody writes to these.
UNTOLD = (Side(), Side())


def is_new(connection: Connection) -> bool:
    """Whether nothing was told of a connection yet but who opened it, and nobody wants each segment for a log."""
    return not connection.syns and connection.role_from == "syn" and connection.log is None


def handshake(connection: Connection, seqs: tuple[int, int], packet: int, times_ns: tuple[int, int, int]) -> None:
    """SYN, SYN-ACK and ACK, and nothing before.

    `seqs`: both initial sequence numbers, the client's first; `packet`: that of the SYN; `times_ns`: of all three.
    """
    for side, seq in zip(connection.sides, seqs, strict=True):
        side.state = _ESTABLISHED
        side.isn = side.base_seq = seq
        side.next_seq = side.acked_seq = (seq + 1) & MASK
    connection.syn_packet, connection.syns = packet, 1
    connection.last_syn_ns, connection.syn_ack_ns, connection.established_ns = times_ns
    connection.history.letters = "ShA"


class Closing(NamedTuple):
    """FIN, FIN and ACK as they should be: what is kept of them."""

    direction: int
    """Of the first FIN."""
    acks: tuple[int, int]
    """The acknowledgment numbers on both FINs."""
    packets: tuple[int, int, int]
    """Of all three segments, as `times_ns`."""
    times_ns: tuple[int, int, int]
    acknowledged_between: bool
    """Whether there were pure ACKs between the FINs, of the one who sent the second."""


def whole(
    connection: Connection,
    seqs: tuple[int, int],
    opening: tuple[int, tuple[int, int, int]],
    payload: Sequence[StreamChunk | int],
    closing: Closing,
    sums: tuple[tuple[int, ...], tuple[int, ...]],
    read_whole: ReadWhole | None,
) -> None:
    """All of a new connection: its handshake, payload as it comes next, its close.

    `seqs`: both initial sequence numbers, the client's first; `opening`: the packet of the SYN and the times of SYN,
    SYN-ACK and ACK; `payload`: chunks, and numbers that stand for a pure ACK in that direction; `sums`: what each
    side's rows add up to (Totals), the client's first.
    """
    connection.syn_packet, connection.syns = opening[0], 1
    connection.last_syn_ns, connection.syn_ack_ns, connection.established_ns = opening[1]
    letters, sent = "ShA", [0, 0]
    chunks = []
    for chunk in payload:
        if isinstance(chunk, int):
            letter = "Aa"[chunk]
        else:
            towards = chunk.direction
            letter = "Dd"[towards]
            chunk.offset = sent[towards]
            sent[towards] += chunk.length
            chunks.append(chunk)
        if letter not in letters:
            letters += letter
    direction, packets, times_ns = closing.direction, closing.packets, closing.times_ns
    spent = read_whole(connection, chunks) if chunks and read_whole is not None else None
    if spent is not None:
        connection.sink = spent
        connection.remember_application()
    else:
        if connection.sides is UNTOLD:
            connection.sides = (Side(), Side())
        for chunk in chunks:
            (connection.sink or connection.open_sink(chunk)).data(chunk)
        connection.remember_application()
        for turn in (0, 1):
            connection.deliver_end(connection.sides[direction ^ turn], direction ^ turn, packets[turn], times_ns[turn])
    connection.sides = (
        _closed(seqs[0], sent[0], closing, direction, sums[0]),
        _closed(seqs[1], sent[1], closing, 1 - direction, sums[1]),
    )
    own, peer = ("fa", "FA") if direction else ("FA", "fa")
    letters += own[0]
    if closing.acknowledged_between and peer[1] not in letters:
        letters += peer[1]
    letters += peer[0]
    connection.history.letters = letters if own[1] in letters else letters + own[1]
    connection.ended = connection.watching = True
    connection.ended_packet, connection.ended_ns = packets[2], times_ns[2]


def _closed(isn: int, length: int, closing: Closing, turn: int, sums: tuple[int, ...]) -> Side:
    """A side that sent its ISN, `length` bytes and its FIN as it should, the first FIN (`turn` 0) or the second."""
    behind = (isn + 1 + length) & MASK
    packets, captured, ttl, _, network, *_ = sums
    # By position, in the order of the fields.
    return Side(
        _CLOSED,
        isn,
        isn,
        behind,
        length,
        length,
        length,
        (behind + 1) & MASK,
        length,
        behind,
        closing.packets[turn],
        closing.times_ns[turn],
        closing.acks[turn],
        True,
        packets,
        captured,
        ttl,
        packets,
        network,
    )


def may_part(connection: Connection, direction: int, seq: int, other: int) -> bool:
    """Whether nothing stands in the way of `part`: FINs with sequence number `seq` in `direction`, then `other`."""
    side, peer = connection.sides[direction], connection.sides[1 - direction]
    if side.next_seq != seq or peer.next_seq != other or connection.watching or connection.log is not None:
        return False
    settled = side.state is _ESTABLISHED and peer.state is _ESTABLISHED and connection.established_ns is not None
    return settled and not (side.window_closed or peer.window_closed or _ahead(side) or _ahead(peer))


def _ahead(side: Side) -> bool:
    """Whether the peer claims to have had bytes that are still to come: then a FIN may seem acknowledged at once."""
    acked = side.acked_seq
    return acked is not None and acked != side.next_seq and distance(acked, side.next_seq) > 0


def part(
    connection: Connection, direction: int, acks: tuple[int, int], packets: list[int], times_ns: list[int]
) -> None:
    """FIN in `direction`, FIN of the other side, ACK.

    `acks`: the acknowledgment numbers on both FINs; `packets` and `times_ns`: of all three.
    """
    connection.remember_application()
    for turn, (towards, ack) in enumerate(((direction, acks[0]), (1 - direction, acks[1]))):
        side = connection.sides[towards]
        side.state = _CLOSED
        side.fin_seq, side.fin_end, side.fin_ack = side.next_seq, side.next, ack
        side.fin_packet, side.fin_ns = packets[turn], times_ns[turn]
        side.acked_seq = (side.next_seq + 1) & MASK
        connection.history.note("F", towards)
        connection.deliver_end(side, towards, packets[turn], times_ns[turn])
    connection.history.note("A", direction)
    connection.ended = connection.watching = True
    connection.ended_packet, connection.ended_ns = packets[2], times_ns[2]
