"""alpn-fallback: HTTP/1.1 over TLS where HTTP/2 was within reach, and on which side that was decided.

Either the client offered h2 in its handshake, and the server chose something else or nothing; or the client did not
offer it to a server that speaks it, under that name, with others. What became a WebSocket had to be HTTP/1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import way
from inspector.findings.case import Case
from inspector.findings.clues import most
from inspector.findings.rule import Rule, conclude, only, opening
from inspector.findings.suspects import recognised
from inspector.findings.words import of_all
from inspector.records.connection import Connection, Side
from inspector.records.field import says
from inspector.records.finding import Finding
from inspector.records.tls import Tls

_H2 = "h2"
#: Versions whose server says in the clear what it chose.
_CLEAR = ("TLS 1.2", "TLS 1.1", "TLS 1.0")


class AlpnFallback(Struct):
    """What was measured."""

    connections: Annotated[int, says("Connections without HTTP/2 for this reason.")]
    offered: Annotated[list[str], says("Protocols that the client offered, as most of them did; empty for none.")]
    chosen: Annotated[str | None, says("The protocol that the server chose; null when it answered none.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide: none."""


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    ends: dict[str | None, list[Connection]] = {}
    for connection in case.tls:
        if connection.tls is not None and connection.tls.handshake_ns is not None:
            ends.setdefault(connection.tunnel.target if connection.tunnel else None, []).append(connection)
    for finished in ends.values():
        declined = [connection for connection in finished if _declined(connection, connection.tls)]
        if declined:
            yield _told(case, declined, len(finished), declined=True)
        speaks = {connection.name for connection in finished if _speaks_h2(connection)}
        silent = [c for c in finished if c.name in speaks and _did_not_offer(c, c.tls)] if speaks else []
        if silent:
            yield _told(case, silent, len(finished), declined=False)


def _declined(connection: Connection, tls: Tls | None) -> bool:
    """Whether the server would not have the h2 that was offered."""
    if tls is None or _H2 not in tls.alpn_offered or connection.http2 is not None:
        return False
    if tls.alpn is not None:
        return tls.alpn != _H2
    return tls.version in _CLEAR or connection.protocol in ("http/1.0", "http/1.1")


def _speaks_h2(connection: Connection) -> bool:
    return connection.http2 is not None or (connection.tls is not None and connection.tls.alpn == _H2)


def _did_not_offer(connection: Connection, tls: Tls | None) -> bool:
    """Whether the client spoke HTTP/1 by its own decision; what cannot be read may be a WebSocket."""
    if tls is None or _H2 in tls.alpn_offered or connection.upgrade is not None:
        return False
    return connection.protocol in ("http/1.0", "http/1.1")


def _told(case: Case, connections: Sequence[Connection], finished: int, *, declined: bool) -> Finding:
    offers = [tuple(connection.tls.alpn_offered) for connection in connections if connection.tls is not None]
    offered = most(offers) or ()
    chosen = most(connection.tls.alpn for connection in connections if connection.tls is not None)
    place, server = case.place_of(connections), _called(connections, "server")
    share = f"{of_all(len(connections), finished)} TLS connections"
    if declined:
        title = f"{place} speaks HTTP/1, though HTTP/2 was offered on {share}"
        answer = f"{server} chose {chosen or 'none'}"
    else:
        title = f"{place} could speak HTTP/2, which was not offered on {share}"
        answer = f"{server} takes h2 from others"
    return conclude(
        "alpn-fallback",
        "notice",
        case,
        connections,
        title=title,
        how=f"ALPN: {_called(connections, 'client')} offered {_listed(offered)}; {answer}",
        measured=AlpnFallback(len(connections), list(offered), chosen),
        evidence=(opening(connection, f"its ClientHello offers {_offer(connection)}") for connection in connections),
        clause="tcp.flags.syn == 1 || tls.handshake.type in {1, 2}",
        client=only(connection.client.ip for connection in connections),
        advice=_advice(connections, declined),
    )


def _listed(protocols: Sequence[str]) -> str:
    return ", ".join(protocols) or "no protocol"


def _offer(connection: Connection) -> str:
    return _listed(connection.tls.alpn_offered) if connection.tls is not None else ""


def _called(connections: Sequence[Connection], side: Side) -> str:
    """What one side is, as far as it told."""
    return next((one.named for one in recognised(connections, side)), f"the {side}")


def _advice(connections: Sequence[Connection], declined: bool) -> str:
    client = _called(connections, "client")
    if declined:
        setting = way(connections, "server", "http2")
        where = f"{_called(connections, 'server')}{f' ({setting})' if setting else ''}"
        return f"if HTTP/2 is wanted: switch it on in {where}; {client} would use it"
    setting = way(connections, "client", "http2")
    return f"if HTTP/2 is wanted: let {client} offer it{f': {setting}' if setting else ', if it can'}"


RULES = (
    Rule(
        code="alpn-fallback",
        when="a client offers h2 and the server chooses another protocol or none; or a client that speaks HTTP/1 did "
        "not offer h2 to a server that speaks it with others",
        severity="notice",
        measured=AlpnFallback,
        thresholds=LIMITS,
        meaning="The connection could have been HTTP/2, on which all requests share one connection, and is HTTP/1.1, "
        "where each request at a time needs its own. Which side decided is in the handshake (ALPN).",
        example="httpx offered h2 to an nginx without http2 on: three requests went over HTTP/1.1.",
        advice="In the server: switch HTTP/2 on (nginx: http2 on; Apache: Protocols h2 http/1.1; HAProxy: alpn "
        "h2,http/1.1). In the client: httpx.Client(http2=True) with the h2 package, --http2 in curl, allowH2 in "
        "undici; requests and aiohttp have no HTTP/2.",
        judge=_judge,
    ),
)
