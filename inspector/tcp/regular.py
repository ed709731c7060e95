"""How most connections begin and end, told at once: SYN, SYN-ACK, ACK and FIN, FIN, ACK as they should be.

Each function leaves a connection as its three segments, told one by one, would have left it; the laws over batch sizes
hold that, since a batch of one packet never has three. Whoever calls has made sure that the segments are so.
"""

from __future__ import annotations

from inspector.tcp.connection import Connection
from inspector.tcp.sequence import MASK, distance
from inspector.tcp.side import Side
from inspector.tcp.states import EndState

_ESTABLISHED, _CLOSED = EndState.ESTABLISHED, EndState.CLOSED


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
