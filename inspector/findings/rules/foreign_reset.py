"""foreign-reset: a RST that its sender's host did not send, by its time to live.

Each router takes one off, so a host's packets arrive with the same time to live as long as they come the same way. A
RST that arrives with another one was made elsewhere: by a firewall, or by a box that cuts connections. It accuses
nobody where other connections of that host show such a time to live too (another way), or where it comes from just as
far, counted from another initial value (another part of the same host).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.clues import most
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.rules.silent_drop import lost_after
from inspector.findings.suspects import forgetters
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection, Side, Traffic
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding

_SIDES: tuple[Side, Side] = ("client", "server")
#: Initial values of time to live that systems use.
_INITIAL_TTLS = (32, 64, 128, 255)


class ForeignReset(Struct):
    """What was measured."""

    ttl: Annotated[int, says("Time to live of the RST, the most frequent.")]
    usual_ttl: Annotated[int, says("Time to live of its sender's other packets, the most frequent.")]
    n: Annotated[int, says("Connections that such a RST ended.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    packets: Annotated[int, says("A side has sent so many packets at least, before one has a usual time to live.")] = 3
    near: Annotated[int, says("A single RST that is so few hops off is a notice: it may have come another way.")] = 2
    silence_ns: Annotated[int, says("Silence before the request that met it is told when it lasted so long.")] = (
        1_000_000_000
    )


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    for side in _SIDES:
        foreign = [connection for connection in case.reset if _is_foreign(connection, side)]
        if not foreign:
            continue
        ways = _ways(case, side)
        foreign = [c for c in foreign if _traffic(c, side).ttl.rst not in ways[_host(c, side)]]
        if foreign:
            yield _told(case, side, foreign)


def _is_foreign(connection: Connection, side: Side) -> bool:
    """Whether the connection was ended by a RST of this side that came from elsewhere."""
    closed, traffic = connection.closed, _traffic(connection, side)
    if closed is None or closed.how != "rst" or closed.by != side or traffic.packets < LIMITS.packets:
        return False
    usual, rst = traffic.ttl.usual, traffic.ttl.rst
    return usual is not None and rst is not None and _hops(usual) != _hops(rst)


def _traffic(connection: Connection, side: Side) -> Traffic:
    return connection.client_traffic if side == "client" else connection.server_traffic


def _host(connection: Connection, side: Side) -> str:
    return connection.client.ip if side == "client" else connection.server.ip


def _hops(ttl: int) -> int:
    """Routers on the way, if it began with a usual value."""
    return next(initial for initial in _INITIAL_TTLS if initial >= ttl) - ttl


def _ways(case: Case, side: Side) -> dict[str, set[int]]:
    """Usual times to live by host: the ways by which its packets come."""
    ways: dict[str, set[int]] = {}
    for connection in case.connections:
        traffic = _traffic(connection, side)
        known = ways.setdefault(_host(connection, side), set())
        if traffic.ttl.usual is not None and traffic.packets >= LIMITS.packets:
            known.add(traffic.ttl.usual)
    return ways


def _told(case: Case, side: Side, foreign: Sequence[Connection]) -> Finding:
    ttl = most(_traffic(connection, side).ttl.rst for connection in foreign)
    usual = most(_traffic(connection, side).ttl.usual for connection in foreign)
    assert ttl is not None
    assert usual is not None
    single = len(foreign) == 1
    may_be = single and abs(_hops(ttl) - _hops(usual)) <= LIMITS.near
    resets = sum(
        connection.closed is not None and (connection.closed.by, connection.closed.how) == (side, "rst")
        for connection in case.connections
        if connection.opened.how != "refused"
    )
    silences = [lost[1] for connection in foreign if (lost := lost_after(connection)) is not None]
    silence = min(silences) if len(silences) == len(foreign) and min(silences) >= LIMITS.silence_ns else None
    return conclude(
        "foreign-reset",
        "notice" if may_be else "problem",
        case,
        foreign,
        title=f"{'a RST from elsewhere, or another way,' if may_be else 'RST of somebody else'} cut "
        f"{count(len(foreign), 'connection')} to {case.place}",
        how=f"{of_all(len(foreign), resets)} RST came with time to live {ttl}, the {side}'s other packets with {usual}"
        + ("" if silence is None else f"; each after {seconds(silence)} of silence"),
        measured=ForeignReset(ttl, usual, len(foreign)),
        evidence=(_evidence(connection, side) for connection in foreign),
        clause="tcp.flags.reset == 1",
        client=only(connection.client.ip for connection in foreign),
        qualifiers=["few-samples"] if single else [],
        suspects=[] if silence is None else forgetters(silence / 1e9),
        advice=f"look for a firewall or proxy on the way, and whether the {side}'s own capture shows it",
    )


def _evidence(connection: Connection, side: Side) -> Evidence:
    closed, ttl = connection.closed, _traffic(connection, side).ttl
    assert closed is not None
    return Evidence(
        connection.id,
        closed.packet,
        closed.time_ns,
        f"RST in the {side}'s name, time to live {ttl.rst} instead of {ttl.usual}",
    )


RULES = (
    Rule(
        code="foreign-reset",
        when="a RST ended a connection, and arrived from another distance (time to live) than its sender's packets",
        severity="problem; notice when a single RST is only two hops off or less",
        measured=ForeignReset,
        thresholds=LIMITS,
        meaning="The RST bears the address of one end, but was made by something else: a firewall that no longer "
        "knows the connection or does not want it, an intrusion prevention system, or somebody who cuts connections. "
        "The end that is named did not close, and its program knows nothing of it. A load balancer that answers in its "
        "server's name is such a box, too.",
        example="A firewall answered for the server: its RST arrived with a time to live of 64, where the server's "
        "packets have 63 left behind one router.",
        advice="Capture on the side of the host that is named: if it did not send the RST, look for the box between. "
        "From the difference in time to live one can tell how many routers away it stands. If it comes after silence, "
        "give idle connections up earlier, or raise the limit of the firewall.",
        judge=_judge,
    ),
)
