"""`connspect show`: one connection told event by event, with what matters about each at its right.

Events become lines (`lines`), silence between exchanges becomes a line of its own, and what repeats is summed up
(`summary`). Times count from the first packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.endpoints import Endpoint
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.report import units
from inspector.report.layout import Screen, pack
from inspector.report.lines import Line, Lines
from inspector.report.summary import summed_up
from inspector.report.text import printable
from inspector.report.totals import ending, totals

#: Silence that is worth a line: from here on a close is said to follow idle (ns).
IDLE_NS = 200_000_000

#: How wide the middle column may become; a longer text has its remarks on the next line.
_MIDDLE = 36

#: Events that are no use of the connection: silence goes on over them.
_QUIET = {
    "ping": "PING",
    "ping-ack": "PING",
    "settings": "SETTINGS",
    "settings-ack": "SETTINGS",
    "keep-alive-probe": "keep-alive probes",
}


def story(
    connection: Connection, events: Sequence[EventRecord], screen: Screen, everything: bool, *, goes_on: bool = False
) -> Iterator[str]:
    """The connection and its events as lines of text; `everything`: sum nothing up; `goes_on`: the capture has not
    ended."""
    lines = told(connection, events, everything)
    yield from _title(connection, screen)
    yield ""
    if connection.opened.how == "mid-stream":
        yield "  already open when the capture began"
    yield from _set(lines, connection.start_ns, screen)
    yield ""
    yield from ending(connection, goes_on)
    yield from totals(connection, screen)


def told(connection: Connection, events: Sequence[EventRecord], everything: bool) -> list[Line]:
    """The lines of the story, silence among them; `everything`: sum nothing up."""
    lines = list(_with_silence(connection, events, everything))
    return lines if everything else summed_up(lines)


def _title(connection: Connection, screen: Screen) -> Iterator[str]:
    client = Endpoint(connection.client.ip, connection.client.port)
    server = Endpoint(connection.server.ip, connection.server.port)
    words = [
        f"connection {connection.id}",
        f"{client} → {server}",
        *([printable(connection.name)] if connection.name is not None else []),
        "tls, encrypted" if connection.protocol == "tls" else connection.protocol,
        f"{connection.state}  {connection.history}",
    ]
    for i, line in enumerate(pack(words, "   ", screen.width)):
        yield screen.bold(line if i == 0 else "   " + line)


def _with_silence(connection: Connection, events: Sequence[EventRecord], everything: bool) -> Iterator[Line]:
    """The events that have a line, and a line where nothing happened between exchanges for long."""
    lines = Lines(connection, everything)
    greeted = max((event.packet for event in events if event.event == "tls"), default=0)
    under_way: set[int | None] = set()
    since, meanwhile = connection.start_ns, dict[str, None]()
    blind = False  # something is spoken of whose messages are no events
    for event in events:
        quiet = _QUIET.get(event.event)
        if quiet is not None:
            meanwhile[quiet] = None
        elif lines.exchanges and not under_way and not blind and event.time_ns - since >= IDLE_NS:
            but = f", but for {' and '.join(meanwhile)}" if meanwhile else ""
            yield Line(None, event.packet, "", f"· idle {units.duration(event.time_ns - since)}{but} ·", shape="idle")
        line = lines.line(event)
        # The line of a handshake says what the hello before it said.
        if line is not None and (event.event != "client-hello" or event.packet > greeted):
            yield line
        if event.event == "upgrade":
            blind = True
        elif event.event == "request":
            blind = False
            under_way.add(event.exchange)
        elif event.event in ("response-end", "stream-reset"):
            under_way.discard(event.exchange)
        if quiet is None:
            since = event.time_ns
            meanwhile.clear()


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
