"""h2-forbidden-header: fields that are about a connection of HTTP/1 and have no place in HTTP/2 (RFC 9113 8.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.http2 import by_server, first_of
from inspector.findings.rule import Rule, conclude, only
from inspector.findings.words import count, of_all
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding
from inspector.records.http2 import ForbiddenHeader


class ForbiddenHeaders(Struct):
    """What was measured."""

    header: Annotated[str, says("Name of the field; of several, all of them, joined by a comma.")]
    n: Annotated[int, says("How often they were there.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide: none."""


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    for where, connections in by_server(case):
        found: dict[Side | None, list[tuple[Connection, ForbiddenHeader]]] = {}
        for connection in connections:
            assert connection.http2 is not None
            for field in connection.http2.forbidden_headers:
                found.setdefault(_sender(connection, field.packet), []).append((connection, field))
        for side, fields in found.items():
            yield _finding(case, where, side, fields)


def _sender(connection: Connection, packet: int) -> Side | None:
    """Whose header section a packet completed; None where both sides' or none is known of it."""
    requests = any(e.request is not None and e.request.packet == packet for e in connection.exchanges)
    responses = any(e.response is not None and e.response.packet == packet for e in connection.exchanges)
    if requests == responses:
        return None
    return "client" if requests else "server"


def _finding(
    case: Case, where: str, side: Side | None, fields: Sequence[tuple[Connection, ForbiddenHeader]]
) -> Finding:
    connections = list({connection.id: connection for connection, _ in fields}.values())
    names = sorted({field.name for _, field in fields})
    packets = {(connection.id, field.packet) for connection, field in fields}
    answers = [
        e.response is not None
        for connection in connections
        for e in connection.exchanges
        if e.request is not None and (connection.id, e.request.packet) in packets
    ]
    who = {"client": f"the client sends {where}", "server": f"{where} sends", None: f"one side at {where} sends"}[side]
    fate = (
        f"; {of_all(sum(answers), len(answers))} such requests were answered all the same" if side == "client" else ""
    )
    on = f" on {count(len(connections), 'connection')}" if len(connections) > 1 else ""
    named = " || ".join(f'http2.header.name == "{name}"' for name in names)
    return conclude(
        "h2-forbidden-header",
        "warning",
        case,
        connections,
        title=f"{who} what HTTP/2 forbids: {', '.join(names)}, {count(len(fields), 'time')}",
        how=f"{count(len(fields), 'field')} in {count(len(packets), 'packet')}{on}{fate}",
        measured=ForbiddenHeaders(", ".join(names), len(fields)),
        evidence=first_of(Evidence(c.id, field.packet, _time(c, field.packet), field.name) for c, field in fields),
        clause=named,
        client=only(connection.client.ip for connection in connections),
        advice="drop fields about the connection where HTTP/1 becomes HTTP/2: stricter peers refuse them",
    )


def _time(connection: Connection, packet: int) -> int:
    """When a packet came, as far as a message tells it."""
    for exchange in connection.exchanges:
        for message in (exchange.request, exchange.response):
            if message is not None and message.packet == packet:
                return message.time_ns
    return connection.start_ns


RULES = (
    Rule(
        code="h2-forbidden-header",
        when="a request or response of HTTP/2 has Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or "
        "Upgrade, or TE with more than trailers",
        severity="warning",
        measured=ForbiddenHeaders,
        thresholds=LIMITS,
        meaning="These fields are about one connection of HTTP/1. In HTTP/2 a message that has one is malformed (RFC "
        "9113 section 8.2.2): one server answers it, the next one resets the stream with PROTOCOL_ERROR. They mostly "
        "come from a program or a proxy that copies header fields of HTTP/1.",
        example="A client that says connection: keep-alive in every request of HTTP/2: nginx answers, others do not.",
        advice="Drop them where HTTP/1 is translated. In a client, do not set them by hand: the library does what is "
        "needed for the version it speaks.",
        judge=_judge,
    ),
)
