"""h2-settings: what both sides announced for a connection of HTTP/2, and whether the other side acknowledged it.

Connections whose first SETTINGS are the same are one finding; of an endpoint, the most frequent ways are told. A
frame without its acknowledgment is a warning only where nothing is missing and there was time for it: connections end
and captures stop at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from msgspec import Struct

from inspector.findings.case import Case, Scene
from inspector.findings.http2 import OTHER, SIDES, announced, by_server, first_of, is_whole, said_by
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.suspects import recognised
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Suspect

#: INITIAL_WINDOW_SIZE where none is announced (RFC 9113 section 6.5.2).
_WINDOW: Final = 65_535
#: Settings in no registry that are named.
_SHOWN = 3


class Settings(Struct):
    """What was measured."""

    client: Annotated[dict[str, int], says("The client's first SETTINGS, in their order.")]
    server: Annotated[dict[str, int], says("The server's first SETTINGS, in their order.")]
    ack_ns: Annotated[
        int | None, says("The longest time from SETTINGS of either side to the acknowledgment; null without one.")
    ]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    patience_ns: Annotated[int, says("An acknowledgment has this long to come.")] = 5_000_000_000
    told: Annotated[int, says("So many different ways of one endpoint are told.")] = 3
    slow_ns: Annotated[int, says("An acknowledgment that took so long is in the title.")] = 1_000_000_000


LIMITS = Thresholds()

#: SETTINGS of both sides: server, client.
_Pair = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]


def _judge(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        ways: dict[_Pair, list[Connection]] = {}
        unanswered: dict[Side, list[Connection]] = {}
        for connection in connections:
            pair = _first(connection)
            if pair is None:
                continue
            side = _unacknowledged(connection, case.scene)
            if side is not None:
                unanswered.setdefault(side, []).append(connection)
            else:
                ways.setdefault(pair, []).append(connection)
        for side, theirs in unanswered.items():
            yield _warning(case, where, side, theirs)
        number = sum(map(len, ways.values()))
        for alike in sorted(ways.values(), key=lambda alike: -len(alike))[: LIMITS.told]:
            yield _fact(case, where, alike, number)


def _first(connection: Connection) -> _Pair | None:
    """What server and client announced first; None where its beginning, or that of one side, was not seen."""
    if connection.opened.how != "handshake":
        return None
    server, client = (next(iter(announced(connection, side)), None) for side in SIDES)
    if server is None or client is None:
        return None
    return tuple(server.values.items()), tuple(client.values.items())


def _unacknowledged(connection: Connection, scene: Scene) -> Side | None:
    """Whose SETTINGS the other side, which speaks HTTP/2, did not acknowledge though it had the time."""
    if scene.qualifiers or not is_whole(connection):
        return None
    until_ns = scene.last_ns if connection.closed is None else connection.closed.time_ns
    for side in SIDES:
        waits = [until_ns - frame.time_ns for frame in announced(connection, side) if frame.ack_ns is None]
        if waits and max(waits) >= LIMITS.patience_ns and "SETTINGS" in said_by(connection, OTHER[side]).frames:
            return side
    return None


def _fact(case: Case, where: str, connections: Sequence[Connection], of: int) -> Finding:
    """What both sides said, on all connections where they said the same."""
    server, client = (announced(connections[0], side)[0].values for side in SIDES)
    frames = [frame for connection in connections for side in SIDES for frame in announced(connection, side)]
    slowest = max((frame.ack_ns for frame in frames if frame.ack_ns is not None), default=None)
    return conclude(
        "h2-settings",
        "info",
        case,
        connections,
        title=f"{where} takes {_takes(server, 'server')}{_slow(slowest)}",
        how="; ".join(_how(client, connections, slowest, of)),
        measured=Settings(dict(client), dict(server), slowest),
        evidence=_evidence(connections, missing=False),
        clause="http2.type == 4",
        suspects=[
            Suspect(one.named, None, None, one.sign)
            for one in recognised(connections, "server")
            if one.sign == "HTTP/2 SETTINGS"
        ],
    )


def _warning(case: Case, where: str, side: Side, connections: Sequence[Connection]) -> Finding:
    """A side's SETTINGS that the other one never acknowledged."""
    server, client = (announced(connections[0], each)[0].values for each in SIDES)
    other = OTHER[side]
    ends = [case.scene.last_ns if c.closed is None else c.closed.time_ns for c in connections]
    frames = [frame for c in connections for frame in announced(c, side) if frame.ack_ns is None]
    first = [min(frame.time_ns for frame in announced(c, side) if frame.ack_ns is None) for c in connections]
    waited = [end_ns - first_ns for end_ns, first_ns in zip(ends, first, strict=True)]
    return conclude(
        "h2-settings",
        "warning",
        case,
        connections,
        title=f"the client never acknowledged SETTINGS of {where}"
        if side == "server"
        else f"{where} never acknowledged SETTINGS of the client",
        how=f"{count(len(frames), 'frame')} on {count(len(connections), 'connection')}, seen for up to "
        f"{seconds(max(waited))} without an acknowledgment",
        measured=Settings(dict(client), dict(server), None),
        evidence=_evidence(connections, missing=True),
        clause="http2.type == 4",
        client=only(connection.client.ip for connection in connections),
        suspects=[Suspect(one.named, None, None, one.sign) for one in recognised(connections, other)],
        advice=f"look at the {other}: what the {side} announced is not in force until then, and the {side} may end the "
        "connection with SETTINGS_TIMEOUT",
    )


def _takes(values: dict[str, int], side: Side) -> str:
    """What a side's SETTINGS mean to the other one, in short: what limits it, and what is out of the ordinary."""
    limit, header = values.get("MAX_CONCURRENT_STREAMS"), values.get("MAX_HEADER_LIST_SIZE")
    parts = [f"{_size(values.get('INITIAL_WINDOW_SIZE', _WINDOW))} of a stream"]
    if side == "server":
        parts.insert(0, f"{'any number of streams' if limit is None else count(limit, 'stream')} at once")
        parts += [f"{_size(header)} of header"] if header is not None else []
        parts += ["WebSocket"] if values.get("ENABLE_CONNECT_PROTOCOL") else []
    return ", ".join(parts)


def _size(number: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit - 1:
            return f"{number / unit:.3g} {name}"
    return f"{number:,} bytes"


def _slow(ack_ns: int | None) -> str:
    if ack_ns is None or ack_ns < LIMITS.slow_ns:
        return ""
    return f"; SETTINGS were acknowledged only after {seconds(ack_ns)}"


def _how(client: dict[str, int], connections: Sequence[Connection], ack_ns: int | None, of: int) -> Iterator[str]:
    on = "" if of == len(connections) == 1 else f" on {of_all(len(connections), of)} connections"
    yield f"the client takes {_takes(client, 'client')}{on}"
    if ack_ns is not None:
        yield f"acknowledged within {seconds(ack_ns)}"
    strange = {name for c in connections for side in SIDES for frame in announced(c, side) for name in frame.order}
    if unknown := sorted(name for name in strange if name.startswith("0x")):
        yield f"{', '.join(unknown[:_SHOWN])} {'is' if len(unknown) == 1 else 'are'} in no registry"
    for side in SIDES:
        changes = [frame for c in connections for frame in announced(c, side)[1:] if frame.values]
        if changes:
            last = ", ".join(f"{name} {number}" for name, number in changes[-1].values.items())
            yield f"the {side} changed them {count(len(changes), 'time')}, last {last}"


def _evidence(connections: Sequence[Connection], missing: bool) -> list[Evidence]:
    """The frames of both sides; where an acknowledgment is missing, those without one."""
    return first_of(
        Evidence(
            connection.id,
            frame.packet,
            frame.time_ns,
            f"{side} SETTINGS, "
            + ("not acknowledged" if frame.ack_ns is None else f"acknowledged after {seconds(frame.ack_ns)}"),
        )
        for connection in connections
        for side in SIDES
        for frame in announced(connection, side)
        if not missing or frame.ack_ns is None
    )


RULES = (
    Rule(
        code="h2-settings",
        when="the first SETTINGS of both sides of connections of HTTP/2 were seen",
        severity="info; warning when one side did not acknowledge the other's for 5 s, and nothing is missing",
        measured=Settings,
        thresholds=LIMITS,
        meaning="What each side lets the other one do. MAX_CONCURRENT_STREAMS of the server decides how many requests "
        "share a connection, INITIAL_WINDOW_SIZE how many bytes of a body may come before the receiver says that it "
        "has read some. They are those of the next hop: behind a proxy, of the proxy. HTTP/2 has no setting for idle "
        "time. A number that no registry knows is somebody's own.",
        example="nginx: MAX_CONCURRENT_STREAMS 128, INITIAL_WINDOW_SIZE 65536, MAX_FRAME_SIZE 16777215.",
        advice="Nothing, as a rule. Where uploads are slow over a long way, a larger INITIAL_WINDOW_SIZE of the server "
        "helps; where requests wait for each other, a larger MAX_CONCURRENT_STREAMS.",
        judge=_judge,
    ),
)
