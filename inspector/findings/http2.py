"""HTTP/2 as rules look at it: what one side said, which of a client's streams were answered, and whether all was seen.

Pure functions of records. Streams are the client's, by their exchanges: those that a server pushed are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from inspector.findings.case import Case
from inspector.findings.rule import MAX_EVIDENCE
from inspector.findings.words import count
from inspector.records.connection import Connection, Side, Traffic
from inspector.records.exchange import Exchange
from inspector.records.finding import Evidence
from inspector.records.http2 import GoawayFrame, Http2Side, SettingsFrame

#: Streams that a sentence names one by one.
_NAMED = 4

SIDES: Final[tuple[Side, Side]] = ("server", "client")
OTHER: Final[dict[Side, Side]] = {"client": "server", "server": "client"}


def by_server(case: Case) -> Iterator[tuple[str, list[Connection]]]:
    """The connections of HTTP/2 by who speaks it, in words: the endpoint, or whom a tunnel through it leads to."""
    groups: dict[str | None, list[Connection]] = {}
    for connection in case.http2:
        tunnel = connection.tunnel
        groups.setdefault(None if tunnel is None else tunnel.target, []).append(connection)
    for target, connections in groups.items():
        yield case.where if target is None else f"{target} through {case.where}", connections


def said_by(connection: Connection, side: Side) -> Http2Side:
    """What one side of a connection of HTTP/2 sent."""
    assert connection.http2 is not None
    return connection.http2.client if side == "client" else connection.http2.server


def announced(connection: Connection, side: Side) -> list[SettingsFrame]:
    """Its SETTINGS that are no acknowledgments."""
    return [frame for frame in said_by(connection, side).settings if not frame.ack]


def is_whole(connection: Connection) -> bool:
    """Whether every byte of it is in the capture, from the handshake on: what was not seen was not sent."""
    if connection.opened.how != "handshake" or connection.opened.one_sided:
        return False
    return _is_whole(connection.client_traffic) and _is_whole(connection.server_traffic)


def _is_whole(traffic: Traffic) -> bool:
    return not traffic.missing_bytes and traffic.captured_bytes >= traffic.bytes


def asked(connection: Connection) -> Iterator[Exchange]:
    """The exchanges of the client's streams whose request was seen, in order."""
    for exchange in connection.exchanges:
        if exchange.request is not None and exchange.stream is not None and exchange.stream & 1:
            yield exchange


def is_answered(exchange: Exchange) -> bool:
    """Whether its response came to an end."""
    return exchange.response is not None and exchange.response.end_ns is not None


def given_up(exchange: Exchange) -> bool:
    """Whether the client reset it: it did not want the answer any more."""
    return exchange.reset is not None and exchange.reset.by == "client"


def is_about_pings(frame: GoawayFrame) -> bool:
    """Whether a GOAWAY says that there were too many PINGs."""
    return frame.error == "ENHANCE_YOUR_CALM" and "ping" in frame.debug.lower()


def first_of(evidence: Iterable[Evidence]) -> list[Evidence]:
    """As much of it as a finding names: of thousands of connections the rest need not be made."""
    return [*islice(evidence, MAX_EVIDENCE)]


def stream_ids(streams: Sequence[int], of_one: bool) -> str:
    """Streams as a sentence names them: stream 7; streams 7, 9, 11; 12 streams. `of_one`: of one connection."""
    if not of_one or len(streams) > _NAMED:
        return count(len(streams), "stream")
    return f"{'stream' if len(streams) == 1 else 'streams'} {', '.join(map(str, streams))}"
