"""Who closed a connection, how, after how long idle, and what the other side answered: read off TCP and the messages.

The verdict is a function of the evidence: the FINs, RSTs and acknowledgment numbers that the connection kept.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from inspector.bytestream import FROM_SERVER
from inspector.records.connection import Announced, Closed, Side
from inspector.records.exchanges import Sign
from inspector.tcp.connection import Connection
from inspector.tcp.sequence import distance
from inspector.tcp.side import Side as TcpSide

SIDES: tuple[Side, Side] = ("client", "server")


class _End(NamedTuple):
    """A first FIN or a first RST."""

    packet: int
    direction: int
    how: Literal["fin", "rst"]
    time_ns: int
    ack: int | None


def server_closed(connection: Connection) -> int | None:
    """The packet of the server's first FIN or RST."""
    ends = _ends(connection, FROM_SERVER)
    return min(ends).packet if ends else None


def closing(connection: Connection, sign: Sign | None, refused: bool, capture_end_ns: int) -> Closed | None:
    """The first close; None for a connection that is still open."""
    ends = sorted(_ends(connection, 0) + _ends(connection, 1))
    if not ends:
        return None
    first = ends[0]
    other_ends = [end for end in ends if end.direction != first.direction]
    for end in other_ends:
        if end.how == "fin" and _acknowledges_fin(first, connection.sides[end.direction]):
            first, other_ends = end, [other for other in ends if other.direction == first.direction]
            break
    reply = other_ends[0] if other_ends else None
    both_fin = first.how == "fin" and reply is not None and reply.how == "fin"
    announced = sign if sign is not None and sign.packet <= first.packet else None
    # By position, in the record's order: msgspec takes much longer over keywords.
    return Closed(
        SIDES[first.direction],
        first.how,
        first.packet,
        first.time_ns,
        both_fin and reply is not None and not _acknowledges_fin(reply, connection.sides[first.direction]),
        None if refused else _idle(connection, first, announced),
        _announced(announced),
        reply.how if reply else None,
        reply.packet if reply else None,
        max(0, reply.time_ns - first.time_ns) if reply else None,
        _half_closed(first, reply, ends, capture_end_ns),
    )


def _ends(connection: Connection, direction: int) -> list[_End]:
    side = connection.sides[direction]
    ends = []
    if side.fin_packet is not None:
        ends.append(_End(side.fin_packet, direction, "fin", side.fin_ns, side.fin_ack))
    if side.rst_packet is not None:
        ends.append(_End(side.rst_packet, direction, "rst", side.rst_ns, side.rst_ack))
    return ends


def _acknowledges_fin(end: _End, other: TcpSide) -> bool:
    """Whether a FIN or RST acknowledges the other side's FIN, so that its sender had it."""
    if end.ack is None or other.fin_end is None:
        return False
    return other.next + distance(end.ack, other.next_seq) > other.fin_end


def _announced(sign: Sign | None) -> Announced | None:
    if sign is None:
        return None
    return Announced(SIDES[sign.by_server], sign.how, sign.packet, sign.time_ns)  # type: ignore[arg-type]


def _idle(connection: Connection, first: _End, announced: Sign | None) -> int | None:
    """From the last application byte, or the end of the handshake, to what ended the idleness."""
    since = connection.application_at_close_ns
    if since is None:
        since = connection.established_ns
    if since is None:
        return None
    until = announced.time_ns if announced is not None and announced.ends_idleness else first.time_ns
    return max(0, until - since)


def _half_closed(first: _End, reply: _End | None, ends: list[_End], capture_end_ns: int) -> int | None:
    """How long only one side had closed: until the other answered, or the same side gave up with a RST."""
    if first.how != "fin":
        return None
    until = reply.time_ns if reply else ends[-1].time_ns if ends[-1].how == "rst" else capture_end_ns
    return max(0, until - first.time_ns)
