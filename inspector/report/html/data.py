"""The page's data: what it draws and lists, in columns, so that 20,000 connections are a few megabytes.

Times are nanoseconds since the first packet, those of exchanges and stories since the first packet of their connection;
strings are numbers into `strings`. A row is a connection's place in these columns, not its id. Unknown is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.endpoints import Endpoint
from inspector.inspection import Inspection
from inspector.records.connection import Connection, End
from inspector.records.endpoint import EndpointRecord
from inspector.records.event import EventRecord
from inspector.records.exchange import Exchange
from inspector.records.finding import Finding
from inspector.report.endpoint_table import host_words
from inspector.report.html import budget
from inspector.report.html.stories import Stories
from inspector.report.html.strings import Strings
from inspector.report.listing import closer_words

#: The events of a connection that are kept, and how many earlier ones are not.
EventsOf = Callable[[int], tuple[Sequence[EventRecord], int]]
Columns = dict[str, list[Any]]

#: Numbers of who did something, and of a race, in the data.
BY = {"client": 0, "server": 1}
_RACES = {None: 0, "after": 1, "crossed": 2}


@dataclass(slots=True)
class PageData:
    """What the page's scripts read, and what is to be said about it."""

    columns: dict[str, Any]
    left_out: dict[str, int] = field(default_factory=dict)
    """How many are not on the page: `connections`, `exchanges`, `marks`, `stories`."""


def page_data(inspection: Inspection, events_of: EventsOf) -> PageData:
    """All columns of the page."""
    connections = budget.chosen(inspection.connections, inspection.findings, budget.CONNECTIONS)
    strings, origin = Strings(), inspection.capture.first_ns or 0
    rows = {connection.id: row for row, connection in enumerate(connections)}
    servers = _Servers(inspection, connections)
    exchanges, untold = _exchanges(connections, strings)
    marks, unmarked = _marks(connections, strings, origin)
    stories = Stories(strings)
    silent = stories.add_all(_most_telling_first(connections, inspection.findings), rows, events_of)
    columns = {
        "origin": str(origin),
        "span": max(0, (inspection.capture.last_ns or origin) - origin),
        "single": len(inspection.capture.files) == 1,
        "file": strings(inspection.capture.files[0].path) if len(inspection.capture.files) == 1 else None,
        "servers": servers.columns(strings),
        "connections": _connections(connections, servers, strings, origin),
        "exchanges": exchanges,
        "marks": marks,
        "stories": stories.columns(),
        "findings": [_finding(finding, rows, strings) for finding in inspection.findings],
    }
    left_out = {
        "connections": len(inspection.connections) - len(connections),
        "exchanges": untold,
        "marks": unmarked,
        "stories": silent,
    }
    return PageData({**columns, "strings": strings.all()}, left_out)


class _Servers:
    """Endpoints in the picture's order: those that findings are about first, then those with most connections."""

    def __init__(self, inspection: Inspection, connections: Iterable[Connection]) -> None:
        known = {(endpoint.ip, endpoint.port): endpoint for endpoint in inspection.endpoints}
        counts: dict[tuple[str, int], int] = {}
        for connection in connections:
            key = connection.server.ip, connection.server.port
            counts[key] = counts.get(key, 0) + 1
        named = {finding.endpoint: place for place, finding in reversed(list(enumerate(inspection.findings)))}
        last = len(inspection.findings)
        keys = sorted(counts, key=lambda key: (named.get(address(End(*key)), last), -counts[key]))
        self.numbers = {key: number for number, key in enumerate(keys)}
        self._labels = [_server_label(End(*key), known.get(key)) for key in keys]

    def columns(self, strings: Strings) -> Columns:
        ends = [End(*key) for key in self.numbers]
        return {
            "label": [strings(label) for label in self._labels],
            "ip": [strings(end.ip) for end in ends],
            "port": [end.port for end in ends],
        }


def address(end: End) -> str:
    """ip:port, with brackets where they are needed."""
    return str(Endpoint(end.ip, end.port))


def _server_label(end: End, endpoint: EndpointRecord | None) -> str:
    return address(end) if endpoint is None else " ".join(host_words(endpoint))


def _connections(connections: Iterable[Connection], servers: _Servers, strings: Strings, origin: int) -> Columns:
    columns: Columns = {}
    for connection in connections:
        closed, tls = connection.closed, connection.tls
        row: dict[str, Any] = {
            "id": connection.id,
            "server": servers.numbers[connection.server.ip, connection.server.port],
            "client": strings(connection.client.ip),
            "port": connection.client.port,
            "name": strings.maybe(connection.name),
            "protocol": strings(connection.protocol),
            "start": connection.start_ns - origin,
            "end": connection.end_ns - origin,
            "first": connection.first_packet,
            "last": connection.last_packet,
            "opened": strings(connection.opened.how),
            "handshake": connection.opened.handshake_ns,
            "tls": None if tls is None else tls.handshake_ns,
            "requests": connection.requests,
            "estimate": None if connection.estimate is None else connection.estimate.exchanges,
            "state": strings(connection.state),
            "by": None if closed is None else BY[closed.by],
            "reset": None if closed is None else int(closed.how == "rst"),
            "closing": None if closed is None else strings(" ".join(closer_words(closed))),
            "at": None if closed is None else closed.time_ns - origin,
            "packet": None if closed is None else closed.packet,
            "idle": None if closed is None else closed.idle_ns,
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def _exchanges(connections: Sequence[Connection], strings: Strings) -> tuple[Columns, int]:
    """The exchanges, connection after connection (`told` and `all` count them), and how many are left out."""
    most = budget.share([len(connection.exchanges) for connection in connections], budget.EXCHANGES)
    columns: Columns = {name: [] for name in ("told", "all", *_EXCHANGE)}
    for connection in connections:
        told = [exchange for exchange in connection.exchanges[:most] if exchange.request or exchange.response]
        columns["told"].append(len(told))
        columns["all"].append(len(connection.exchanges))
        for exchange in told:
            for name, value in zip(_EXCHANGE, _exchange(exchange, connection, strings), strict=True):
                columns[name].append(value)
    return columns, sum(columns["all"]) - sum(columns["told"])


_EXCHANGE = ("label", "begin", "respond", "finish", "asked", "answered", "status", "race", "stream")


def _exchange(exchange: Exchange, connection: Connection, strings: Strings) -> tuple[int | None, ...]:
    """Its label; when it began, was answered and ended; the packets of both headers; status, race, stream."""
    request, response, start = exchange.request, exchange.response, connection.start_ns
    times = [message.time_ns for message in (request, response) if message is not None]
    ends = [message.end_ns for message in (request, response) if message is not None and message.end_ns is not None]
    begin, end = min(times), max(times + ends)
    label = "?" if request is None else f"{request.method or '?'} {request.target or '?'}"
    return (
        strings(label),
        begin - start,
        None if response is None else response.time_ns - begin,
        end - begin,
        None if request is None else request.packet,
        None if response is None else response.packet,
        None if response is None else response.status,
        _RACES[exchange.race],
        exchange.stream,
    )


def _marks(connections: Iterable[Connection], strings: Strings, origin: int) -> tuple[Columns, int]:
    """GOAWAY and PING, and how many are left out."""
    marks = [(row, *mark) for row, connection in enumerate(connections) for mark in _frames(connection)]
    told = marks[: budget.MARKS]
    return {
        "row": [mark[0] for mark in told],
        "what": [strings(mark[1]) for mark in told],
        "by": [BY[mark[2]] for mark in told],
        "packet": [mark[3] for mark in told],
        "at": [mark[4] - origin for mark in told],
        "text": [strings(mark[5]) for mark in told],
    }, len(marks) - len(told)


def _frames(connection: Connection) -> Iterable[tuple[str, str, int, int, str]]:
    """What, by whom, packet, time, and its facts."""
    http2, closed = connection.http2, connection.closed
    if http2 is not None:
        for by, side in (("client", http2.client), ("server", http2.server)):
            for frame in side.goaways:
                debug = f', says "{frame.debug}"' if frame.debug else ""
                facts = f"{frame.error}, last stream {frame.last_stream_id}{debug}"
                yield "goaway", by, frame.packet, frame.time_ns, facts
        for ping in http2.pings:
            yield "ping", ping.by, ping.packet, ping.sent_ns, "not answered" if ping.ack_ns is None else "answered"
    elif closed is not None and closed.announced is not None and closed.announced.how == "goaway":
        said = closed.announced
        yield "goaway", said.by, said.packet, said.time_ns, "told from its length"


def _most_telling_first(connections: Sequence[Connection], findings: Iterable[Finding]) -> list[Connection]:
    """Those in which findings name packets before the others."""
    named = {evidence.connection for finding in findings for evidence in finding.evidence}
    return sorted(connections, key=lambda connection: connection.id not in named)


def _finding(finding: Finding, rows: dict[int, int], strings: Strings) -> dict[str, Any]:
    """Its code, and the rows of its connections as first, count, first, count …"""
    runs: list[int] = []
    for row in sorted(rows[number] for number in finding.connections if number in rows):
        if runs and row == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += [row, 1]
    return {"code": strings(finding.code), "title": strings(finding.title), "rows": runs}
