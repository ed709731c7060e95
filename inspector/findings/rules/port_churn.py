"""port-churn: connections are opened so fast that the ports of those that were closed do not come free in time.

Whoever closes first holds the connection in TIME_WAIT for a minute, and a client has about 28,000 ports for all its
connections to one endpoint. What ends by RST leaves nothing behind. The rate is that of the busiest minute; of a
shorter capture it is that of the whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import way
from inspector.findings.case import Case
from inspector.findings.rule import Rule, conclude, opening
from inspector.findings.words import of_all
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Finding

_SECOND_NS = 1_000_000_000


class PortChurn(Struct):
    """What was measured."""

    opens_per_s: Annotated[int, says("Connections a second that one client opened, and that left a TIME_WAIT.")]
    time_wait_side: Annotated[Side, says("Who closed most of them first, and so holds the TIME_WAIT.")]
    ports: Annotated[int, says("Ports in TIME_WAIT at one time, at this rate.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    time_wait_s: Annotated[int, says("Seconds that TIME_WAIT lasts: as on Linux.")] = 60
    ephemeral: Annotated[int, says("Ports that a client has: Linux's 32768 to 60999.")] = 28_232
    near: Annotated[float, says("From this part of them on it is told.")] = 0.75
    least: Annotated[int, says("So many connections at least, before there is a rate.")] = 500


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    if len(case.opened) < LIMITS.least:
        return
    whole_ns = case.scene.last_ns - case.scene.first_ns
    length_ns = max(min(whole_ns, LIMITS.time_wait_s * _SECOND_NS), _SECOND_NS)
    if len(case.opened) * LIMITS.time_wait_s * _SECOND_NS // length_ns < LIMITS.near * LIMITS.ephemeral:
        return  # not even all of them would do
    clients: dict[str, list[Connection]] = {}
    for connection in case.opened:
        closed = connection.closed
        if closed is not None and closed.how == "fin" and closed.reply == "fin":
            clients.setdefault(connection.client.ip, []).append(connection)
    for client, connections in clients.items():
        busiest = _busiest(connections, length_ns) if length_ns < whole_ns else connections
        waiting = len(busiest) * LIMITS.time_wait_s * _SECOND_NS // length_ns
        if len(busiest) >= LIMITS.least and waiting >= LIMITS.near * LIMITS.ephemeral:
            yield _told(case, client, busiest, length_ns)


def _busiest(connections: Sequence[Connection], length_ns: int) -> Sequence[Connection]:
    """Those of the stretch of this length in which most were opened; they come in order of time."""
    starts = [connection.start_ns for connection in connections]
    most: tuple[int, int] = (0, 0)
    for first, start_ns in enumerate(starts):
        last = bisect_right(starts, start_ns + length_ns)
        if last - first > most[1] - most[0]:
            most = first, last
    return connections[most[0] : most[1]]


def _told(case: Case, client: str, busiest: Sequence[Connection], length_ns: int) -> Finding:
    by_client = sum(connection.closed is not None and connection.closed.by == "client" for connection in busiest)
    side: Side = "client" if 2 * by_client >= len(busiest) else "server"
    rate = round(len(busiest) * _SECOND_NS / length_ns)
    ports = rate * LIMITS.time_wait_s
    first = by_client if side == "client" else len(busiest) - by_client
    if side == "client":
        follows = f"{ports:,} of {LIMITS.ephemeral:,} ports in TIME_WAIT"
    else:
        follows = f"{ports:,} in TIME_WAIT on the server"
    reuse = way(busiest, "client", "reuse") or "reuse connections"
    return conclude(
        "port-churn",
        "warning",
        case,
        busiest,
        title=f"{client} opens {rate:,} connections a second to {case.place}: {follows}",
        how=f"{len(busiest):,} connections in {length_ns / _SECOND_NS:.0f} s; the {side} closed first on "
        f"{of_all(first, len(busiest))}, and holds each in TIME_WAIT for {LIMITS.time_wait_s} s",
        measured=PortChurn(rate, side, ports),
        evidence=[opening(connection, "opened") for connection in busiest[:1]],
        clause="tcp.flags.syn == 1 || tcp.flags.fin == 1",
        client=client,
        advice=f"{reuse}"
        + ("; net.ipv4.tcp_tw_reuse=1 on the client only helps to bear it" if side == "client" else ""),
    )


RULES = (
    Rule(
        code="port-churn",
        when="one client opens connections to one endpoint so fast that a minute's worth of them comes near the number "
        "of ports it has (three quarters of 28,232)",
        severity="warning",
        measured=PortChurn,
        thresholds=LIMITS,
        meaning="Each connection leaves its port in TIME_WAIT for a minute, on the side that closed first. When that "
        "is the client, it runs out of ports (EADDRNOTAVAIL: cannot assign requested address). When it is the server, "
        "its table of TIME_WAIT sockets fills.",
        example="1,200 connections in two seconds, one GET each, closed by the client: at that rate 36,240 ports wait "
        "after a minute, and Linux gives a client 28,232.",
        advice="Reuse connections: that is what a pool is for. Where that cannot be, let the client use more addresses "
        "or more ports (net.ipv4.ip_local_port_range), and on Linux net.ipv4.tcp_tw_reuse=1.",
        judge=_judge,
    ),
)
