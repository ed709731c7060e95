"""`connspect show`: one connection told event by event, with what matters about each at its right.

Events become lines, silence between exchanges becomes a line of its own, and what repeats is summed up: many alike
exchanges after the first three, many alike small events after the first. Times count from the first packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from inspector.endpoints import Endpoint
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.records.exchange import Exchange, KeepAlive, Request, Response
from inspector.report import units
from inspector.report.layout import Screen, pack
from inspector.report.text import printable

#: Silence that is worth a line: from here on a close is said to follow idle (ns).
IDLE_NS = 200_000_000
#: Alike exchanges in a row that are all told; of more, the first three and the last.
TOLD_EXCHANGES = 6
#: Alike small events in a row (retransmissions, probes) that are all told.
TOLD_EVENTS = 3

#: How wide the middle column may become; a longer text has its remarks on the next line.
_MIDDLE = 36

_NAMES = {
    "syn": "SYN",
    "syn-ack": "SYN, ACK",
    "fin": "FIN",
    "rst": "RST",
    "keep-alive-probe": "keep-alive probe",
    "zero-window": "zero window",
}
_SMALL = frozenset({"retransmission", "keep-alive-probe", "zero-window", "anomaly", "gap"})
_RACES = {
    "after": "sent after the close had arrived",
    "crossed": "crossed the close: never acknowledged",
}


@dataclass(slots=True)
class Line:
    """A line of the story."""

    time_ns: int | None
    """None: a line between events."""
    packet: int
    who: str
    what: str
    remarks: list[str] = field(default_factory=list)
    shape: str = ""
    """What makes two lines alike: no targets, sizes or times."""


def story(connection: Connection, events: Sequence[EventRecord], screen: Screen, everything: bool) -> Iterator[str]:
    """The connection and its events as lines of text; `everything`: sum nothing up."""
    told = list(_with_silence(connection, events))
    if not everything:
        told = _summed_up(told)
    yield from _title(connection, screen)
    yield ""
    if connection.opened.how == "mid-stream":
        yield "  already open when the capture began"
    yield from _set(told, connection.start_ns, screen)
    yield ""
    yield from _ending(connection)
    yield from _totals(connection)


def _title(connection: Connection, screen: Screen) -> Iterator[str]:
    client = Endpoint(connection.client.ip, connection.client.port)
    server = Endpoint(connection.server.ip, connection.server.port)
    words = [
        f"connection {connection.id}",
        f"{client} → {server}",
        *([printable(connection.name)] if connection.name is not None else []),
        connection.protocol,
        f"{connection.state}  {connection.history}",
    ]
    for i, line in enumerate(pack(words, "   ", screen.width)):
        yield screen.bold(line if i == 0 else "   " + line)


def _with_silence(connection: Connection, events: Iterable[EventRecord]) -> Iterator[Line]:
    """The events that have a line, and a line where nothing happened between exchanges for long."""
    exchanges = {exchange.index: exchange for exchange in connection.exchanges}
    under_way: set[int | None] = set()
    since = connection.start_ns
    for event in events:
        if exchanges and not under_way and event.time_ns - since >= IDLE_NS:
            yield Line(None, event.packet, "", f"· idle {units.duration(event.time_ns - since)} ·", shape="idle")
        line = _line(connection, exchanges.get(-1 if event.exchange is None else event.exchange), event)
        if line is not None:
            yield line
        if event.event == "request":
            under_way.add(event.exchange)
        elif event.event == "response-end":
            under_way.discard(event.exchange)
        since = event.time_ns


def _line(connection: Connection, exchange: Exchange | None, event: EventRecord) -> Line | None:
    """The line of an event; None for one that another line tells."""
    line = Line(event.time_ns, event.packet, event.by or "", printable(event.detail) or event.event, shape=event.event)
    match event.event:
        case "established":
            return None
        case "request" if exchange is not None and exchange.request is not None:
            _tell_request(line, exchange, exchange.request)
        case "response" if exchange is not None and exchange.response is not None:
            _tell_response(line, exchange, exchange.response)
        case "request-end" | "response-end":
            return _end_line(line, exchange, event)
        case "syn" | "syn-ack" | "fin" | "rst":
            line.what = _NAMES[event.event]
            line.remarks = _tcp_remarks(connection, event)
        case "interim":
            line.remarks = ["interim response"]
        case "upgrade":
            line.what = f"{'upgrade' if connection.tunnel is None else 'tunnel'} {line.what}"
        case "request" | "response":
            pass
        case _:
            line.what = _NAMES.get(event.event, event.event)
            line.remarks = [printable(event.detail)] if event.detail else []
    return line


def _tell_request(line: Line, exchange: Exchange, request: Request) -> None:
    line.what = f"{printable(request.method or '?')} {printable(request.target or '?')}"
    line.remarks = _fields(
        ("Connection", request.connection),
        ("Keep-Alive", request.keep_alive),
        ("Proxy-Connection", request.proxy_connection),
        ("Upgrade", request.upgrade),
    )
    if request.version == "HTTP/1.0":
        line.remarks.insert(0, request.version)
    if exchange.race is not None:
        line.remarks.append(_RACES[exchange.race])
    elif exchange.response is None:
        line.remarks.append("no response")
    line.shape = f"{request.method} {line.remarks}"


def _tell_response(line: Line, exchange: Exchange, response: Response) -> None:
    in_one = response.end_packet == response.packet
    line.what = str(response.status or "?")
    if in_one and response.body_bytes is not None:
        line.what += f", {units.size(response.body_bytes)}"
    if exchange.request is not None:
        line.what += f" in {units.duration(response.time_ns - (exchange.request.end_ns or exchange.request.time_ns))}"
    line.remarks = _fields(("Connection", response.connection), ("Keep-Alive", _keep_alive(response.keep_alive)))
    if response.version == "HTTP/1.0":
        line.remarks.insert(0, response.version)
    if response.end_packet is None:
        line.remarks.append("not complete")
    line.shape = f"{response.status} {in_one} {line.remarks}"


def _keep_alive(value: KeepAlive | None) -> str | None:
    if value is None:
        return None
    pairs = (("timeout", value.timeout), ("max", value.max))
    return ", ".join(f"{name}={number}" for name, number in pairs if number is not None) or "without a number"


def _fields(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"{name}: {printable(value)}" for name, value in pairs if value is not None]


def _end_line(line: Line, exchange: Exchange | None, event: EventRecord) -> Line | None:
    """The end of a message that did not come with its header section."""
    if exchange is None:
        return None
    message = exchange.request if event.event == "request-end" else exchange.response
    if message is None or message.end_packet == message.packet:
        return None
    line.what = f"end of {event.event.removesuffix('-end')}, {units.size(message.body_bytes or 0)}"
    line.remarks = [f"{units.duration(event.time_ns - message.time_ns)} after its header"]
    if message.end_packet is None:
        line.what = f"{line.what} so far"
    return line


def _tcp_remarks(connection: Connection, event: EventRecord) -> list[str]:
    opened, closed = connection.opened, connection.closed
    if event.event == "syn" and opened.syn_packet not in (None, event.packet):
        return ["sent again"]
    if event.event == "syn-ack" and opened.handshake_ns is not None:
        return [f"handshake {units.duration(opened.handshake_ns)}"]
    if closed is None or event.event not in ("fin", "rst"):
        return []
    if event.packet == closed.packet and event.by == closed.by:
        return _close_remarks(connection)
    if event.packet == closed.reply_packet and closed.reply_ns is not None:
        return [f"answered in {units.duration(closed.reply_ns)}"]
    return []


def _close_remarks(connection: Connection) -> list[str]:
    closed = connection.closed
    if closed is None:
        return []
    if connection.opened.how == "refused":
        return ["refused"]
    remarks = ["closed by both at once" if closed.simultaneous else "closed first"]
    if closed.idle_ns is not None:
        remarks.append(f"idle {units.duration(closed.idle_ns)}")
    if closed.announced is not None:
        said = closed.announced
        remarks.append(f"announced by the {said.by} ({said.how}, packet {said.packet})")
    return remarks


def _summed_up(lines: list[Line]) -> list[Line]:
    """The same with what repeats summed up."""
    return list(_few_exchanges(_blocks(list(_few_events(lines)))))


def _few_events(lines: Iterable[Line]) -> Iterator[Line]:
    """Runs of alike small events become one line with their number."""
    for (shape, who), group in groupby(lines, key=lambda line: (line.shape, line.who)):
        run = list(group)
        if shape in _SMALL and len(run) > TOLD_EVENTS:
            first, last = run[0], run[-1]
            yield Line(
                first.time_ns,
                first.packet,
                who,
                units.times(first.what, len(run)),
                [f"packets {first.packet} to {last.packet}"],
                shape,
            )
        else:
            yield from run


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines cut before each request (and before silence that a request ends)."""
    blocks: list[list[Line]] = [[]]
    for line in lines:
        starts = line.who == "client" and " " in line.shape
        if starts and blocks[-1] and blocks[-1][-1].shape == "idle":
            blocks.append([blocks[-1].pop()])
        elif starts:
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _few_exchanges(blocks: Sequence[list[Line]]) -> Iterator[Line]:
    """Of many alike blocks in a row, the first three and the last, and how many there are between them."""
    for _, group in groupby(blocks, key=lambda block: [(line.who, line.shape) for line in block]):
        run = list(group)
        hidden = run[3:-1] if len(run) > TOLD_EXCHANGES else []
        shown = len(run) - len(hidden)
        for block in run[: 3 if hidden else shown]:
            yield from block
        if hidden:
            first, last = hidden[0][0].packet, hidden[-1][-1].packet
            yield Line(None, first, "", f"· {len(hidden):,} more like these, packets {first} to {last} ·")
            yield from run[-1]


def _set(lines: Sequence[Line], start_ns: int, screen: Screen) -> Iterator[str]:
    """The lines in columns: time, packet, who, what, remarks."""
    stamps = ["" if line.time_ns is None else units.since_start(line.time_ns - start_ns) for line in lines]
    time_width = max((len(stamp) for stamp in stamps), default=0)
    packet_width = max((len(str(line.packet)) for line in lines), default=0)
    left = 2 + time_width + 2 + packet_width + 2 + len("client") + 2
    widest = _MIDDLE if screen.width is None else min(_MIDDLE, (screen.width - left) // 2)
    middle = max((len(line.what) for line in lines if line.remarks and len(line.what) <= widest), default=0)
    for stamp, line in zip(stamps, lines, strict=True):
        if line.time_ns is None:
            yield screen.dim(" " * left + line.what)
            continue
        before = f"  {stamp:>{time_width}}  {line.packet:>{packet_width}}  {line.who:6}  "
        yield from _remarked(before + line.what, line.remarks, left + middle + 2, screen)


def _remarked(line: str, remarks: list[str], column: int, screen: Screen) -> Iterator[str]:
    """A line with its remarks from `column` on, below it where it reaches that far and the screen ends."""
    if not remarks:
        yield _cut(line, screen)
        return
    if screen.width is None:
        yield f"{line:{column - 2}}  {', '.join(remarks)}"
        return
    if len(line) + 2 > column:
        yield _cut(line, screen)
        line = ""
    for text in _packed(remarks, screen.width - column):
        yield _cut(f"{line:{column}}{text}", screen)
        line = ""


def _packed(remarks: list[str], room: int) -> list[str]:
    """The remarks on lines, whole where one has room on a line."""
    words: list[str] = []
    for i, remark in enumerate(remarks):
        closed = remark if i + 1 == len(remarks) else remark + ","
        words += [closed] if len(closed) <= room else closed.split(" ")
    return pack(words, " ", room)


def _cut(line: str, screen: Screen) -> str:
    if screen.width is None or len(line) <= screen.width:
        return line
    return line[: screen.width - 1] + "…"


def _ending(connection: Connection) -> Iterator[str]:
    """What did not happen."""
    closed = connection.closed
    if closed is None:
        yield f"  {_unclosed(connection)}"
    elif closed.reply is None and "R" not in connection.history.upper():
        other = "client" if closed.by == "server" else "server"
        lasted = f", for {units.duration(closed.half_closed_ns)}" if closed.half_closed_ns is not None else ""
        yield f"  the {other} had not closed when the capture ended{lasted}"


def _unclosed(connection: Connection) -> str:
    match connection.opened.how:
        case "unanswered":
            return "nobody answered"
        case "half-open":
            return "the handshake was never completed"
        case _:
            return "still open when the capture ended"


def _totals(connection: Connection) -> Iterator[str]:
    for who, traffic in (("client", connection.client_traffic), ("server", connection.server_traffic)):
        extras = (
            (units.size(traffic.missing_bytes) + " missing from the capture", traffic.missing_bytes),
            (units.size(traffic.retransmitted_bytes) + " retransmitted", traffic.retransmitted_bytes),
            (f"{traffic.out_of_order:,} out of order", traffic.out_of_order),
            (units.plural(traffic.keepalives, "keep-alive probe"), traffic.keepalives),
            (units.times("zero window", traffic.zero_windows), traffic.zero_windows),
        )
        facts = [units.plural(traffic.packets, "packet"), units.size(traffic.bytes)]
        yield f"  {who}   {', '.join(facts + [text for text, count in extras if count])}"
