"""Who closed a connection, how, after how long idle, and what the other side answered: read off TCP and the messages.

The verdict is a function of the evidence: the FINs, RSTs and acknowledgment numbers that the connection kept.
"""

from __future__ import annotations

from typing import Literal

from inspector.bytestream import FROM_SERVER
from inspector.records.connection import Announced, Closed
from inspector.records.connection import Side as SideName
from inspector.records.layers import Layers, Sign
from inspector.tcp.connection import Connection
from inspector.tcp.sequence import distance
from inspector.tcp.side import Side

SIDES: tuple[SideName, SideName] = ("client", "server")


#: A first FIN or a first RST: packet, direction, how, time, acknowledgment number. A plain tuple: two are made a
#: connection.
_End = tuple[int, int, Literal["fin", "rst"], int, int | None]


def server_closed(connection: Connection) -> int | None:
    """The packet of the server's first FIN or RST."""
    server = connection.sides[FROM_SERVER]
    if server.rst_packet is None or server.fin_packet is None:
        return server.fin_packet if server.rst_packet is None else server.rst_packet
    return min(server.fin_packet, server.rst_packet)


def closed_ns(connection: Connection) -> int | None:
    """When it was closed first; None for a connection that is still open."""
    ends = _ends(connection)
    return _order(connection, ends)[0][3] if ends else None


def closing(
    connection: Connection, sign: Sign | None, layers: Layers | None, refused: bool, capture_end_ns: int
) -> Closed | None:
    """The first close; None for a connection that is still open."""
    ends = _ends(connection)
    if not ends:
        return None
    first, reply = _order(connection, ends)
    packet, direction, how, time_ns, _ = first
    announced = sign if sign is not None and sign.packet <= packet else None
    both_fin = how == "fin" and reply is not None and reply[2] == "fin"
    # By position, in the record's order: msgspec takes much longer over keywords.
    return Closed(
        SIDES[direction],
        how,
        packet,
        time_ns,
        both_fin and reply is not None and not _acknowledges_fin(reply, connection.sides[direction]),
        None if refused else _idle(connection, packet, time_ns, announced, layers),
        None if announced is None else announcement(announced),
        reply[2] if reply else None,
        reply[0] if reply else None,
        max(0, reply[3] - time_ns) if reply else None,
        _half_closed(first, reply, ends, capture_end_ns),
    )


def _ends(connection: Connection) -> list[_End]:
    """The first FIN and the first RST of both sides, as far as there are such, in capture order."""
    ends: list[_End] = []
    for direction, side in enumerate(connection.sides):
        if side.fin_packet is not None:
            ends.append((side.fin_packet, direction, "fin", side.fin_ns, side.fin_ack))
        if side.rst_packet is not None:
            ends.append((side.rst_packet, direction, "rst", side.rst_ns, side.rst_ack))
    ends.sort()
    return ends


def _order(connection: Connection, ends: list[_End]) -> tuple[_End, _End | None]:
    """Which end came first, and what the other side did: the capture's order, unless the first acknowledges a FIN."""
    first = ends[0]
    reply = None
    for end in ends:
        if end[1] != first[1]:
            if end[2] == "fin" and _acknowledges_fin(first, connection.sides[end[1]]):
                return end, first
            reply = reply or end
    return first, reply


def _acknowledges_fin(end: _End, other: Side) -> bool:
    """Whether a FIN or RST acknowledges the other side's FIN, so that its sender had it."""
    ack = end[4]
    if ack is None or other.fin_end is None:
        return False
    return other.next + distance(ack, other.next_seq) > other.fin_end


def announcement(sign: Sign) -> Announced:
    return Announced(SIDES[sign.by_server], sign.how, sign.packet, sign.time_ns)


def _idle(
    connection: Connection, packet: int, closed_ns: int, announced: Sign | None, layers: Layers | None
) -> int | None:
    """From the last application byte, or the end of the handshake, to what ended the idleness.

    `packet` and `closed_ns` are the close's; `announced` is the first sign of it, `layers` may have more.
    """
    since = connection.application_at_close_ns
    if since is None:
        since = _established(connection, layers)
    if since is None:
        return None
    until = announced.time_ns if announced is not None and _while_idle(announced, connection, since) else closed_ns
    for sign in layers.signs if layers is not None else ():
        if sign.packet <= packet and sign.time_ns < until and _while_idle(sign, connection, since):
            until = sign.time_ns
    return max(0, until - since)


def _established(connection: Connection, layers: Layers | None) -> int | None:
    """When the handshake was over, the TLS handshake where there is one."""
    tls = layers.tls if layers is not None else None
    return connection.established_ns if tls is None or tls.established_ns is None else tls.established_ns


def _while_idle(sign: Sign, connection: Connection, since: int) -> bool:
    """Whether a sign came by itself, after the last application byte and not with it."""
    last = connection.application_at_close_packet
    return sign.ends_idleness and (sign.time_ns >= since if last is None else sign.packet > last)


def _half_closed(first: _End, reply: _End | None, ends: list[_End], capture_end_ns: int) -> int | None:
    """How long only one side had closed: until the other answered, or the same side gave up with a RST."""
    if first[2] != "fin":
        return None
    until = reply[3] if reply else ends[-1][3] if ends[-1][2] == "rst" else capture_end_ns
    return max(0, until - first[3])
