"""One event of a connection's story becomes one line: when, who, what, and at the right what matters about it.

What only the whole connection tells (whether a PING was answered, what a GOAWAY left undone) comes from its record.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.records.connection import Connection
from inspector.records.described import settings_text
from inspector.records.event import EventRecord
from inspector.records.exchange import Exchange, KeepAlive, Request, Response
from inspector.records.http2 import GoawayFrame
from inspector.report import units
from inspector.report.text import printable

#: The largest stream id: a GOAWAY with it only says that a second one will follow (RFC 9113 section 6.8).
_LAST_STREAM = 2**31 - 1
#: A message that is over so soon after its header section is told by one line (ns).
_AT_ONCE_NS = 1_000_000

#: What a setting is when nobody says anything (RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1).
_DEFAULTS = frozenset(
    {
        "HEADER_TABLE_SIZE=4096",
        "ENABLE_PUSH=1",
        "INITIAL_WINDOW_SIZE=65535",
        "MAX_FRAME_SIZE=16384",
        "ENABLE_CONNECT_PROTOCOL=0",
        "NO_RFC7540_PRIORITIES=0",
    }
)

_NAMES = {
    "syn": "SYN",
    "syn-ack": "SYN, ACK",
    "fin": "FIN",
    "rst": "RST",
    "keep-alive-probe": "keep-alive probe",
    "zero-window": "zero window",
    "client-hello": "ClientHello",
    "close-notify": "close_notify",
    "settings": "SETTINGS",
    "settings-ack": "SETTINGS ACK",
    "ping": "PING",
    "ping-ack": "PING ACK",
    "proxy-header": "PROXY protocol",
    "alert": "TLS alert",
    "websocket-close": "WebSocket Close",
}
#: How announcements are named in running text.
ANNOUNCED = {"goaway": "GOAWAY", "close-notify": "close_notify"}
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
    asks: bool = False
    """A request: an exchange begins."""
    stream: int | None = None
    """HTTP/2: the stream of the message that it tells."""
    is_response: bool = False
    ordinary: bool = False
    """A message of which nothing is to be said."""


class Lines:
    """Makes the lines of one connection."""

    def __init__(self, connection: Connection, everything: bool) -> None:
        """`everything`: also tell what goes without saying."""
        self._connection = connection
        self._everything = everything
        self.exchanges = {exchange.index: exchange for exchange in connection.exchanges}
        http2 = connection.http2
        self._settings = (
            {
                (by, frame.packet, settings_text(frame.values)): frame.ack_ns
                for by, side in (("client", http2.client), ("server", http2.server))
                for frame in side.settings
                if not frame.ack
            }
            if http2 is not None
            else {}
        )
        self._pings = (
            {(ping.by, ping.packet, ping.payload): ping.ack_ns for ping in http2.pings} if http2 is not None else {}
        )
        self._last_goaway = http2.server.goaways[-1] if http2 is not None and http2.server.goaways else None

    def line(self, event: EventRecord) -> Line | None:
        """The line of an event; None for one that another line tells."""
        exchange = None if event.exchange is None else self.exchanges.get(event.exchange)
        line = Line(
            event.time_ns, event.packet, event.by or "", printable(event.detail) or event.event, shape=event.event
        )
        match event.event:
            case "established":
                return None
            case "request" if exchange is not None and exchange.request is not None:
                self._request(line, exchange, exchange.request)
            case "response" if exchange is not None and exchange.response is not None:
                _tell_response(line, exchange, exchange.response)
            case "request-end" | "response-end":
                return _end_line(line, exchange, event)
            case "syn" | "syn-ack" | "fin" | "rst":
                line.what = _NAMES[event.event]
                line.remarks = _tcp_remarks(self._connection, event)
            case "interim":
                line.what += _stream(exchange)
                line.remarks = ["interim response"]
            case "upgrade":
                tunnel = self._connection.tunnel
                is_tunnel = tunnel is not None and event.detail == f"to {tunnel.target}"
                line.what = f"{'tunnel' if is_tunnel else 'upgrade'} {line.what}"
            case "tls":
                version, *line.remarks = line.what.split(", ")
                line.what = f"{version} handshake"
            case "alert" | "websocket-close":
                line.what = f"{_NAMES[event.event]} {line.what}"
            case "settings" | "goaway" | "ping" | "stream-reset" | "trailers" | "window-stall":
                self._frame(line, exchange, event)
            case "request" | "response":
                pass
            case _:
                line.what = _NAMES.get(event.event, event.event)
                line.remarks = [printable(event.detail)] if event.detail else []
                line.remarks += self._announcement(event)
        return line

    # ---- HTTP

    def _request(self, line: Line, exchange: Exchange, request: Request) -> None:
        _tell_request(line, exchange, request)
        last = self._last_goaway
        if last is not None and _is_above(exchange, last):
            line.remarks.append(f"above the last stream of GOAWAY, {last.last_stream_id}: not processed")
        line.ordinary = not line.remarks
        line.shape = f"{request.method} {line.remarks}"

    # ---- HTTP/2

    def _frame(self, line: Line, exchange: Exchange | None, event: EventRecord) -> None:
        match event.event:
            case "settings":
                self._settings_frame(line, event)
            case "goaway":
                self._goaway(line, event)
            case "ping":
                self._ping(line, event)
            case "trailers":
                _trailers(line, exchange, event)
            case "window-stall":
                duration, _, whose = printable(event.detail).partition(", ")
                line.what = f"held up {duration} by a closed window"
                line.remarks = [whose]
            case "stream-reset":
                error, _, stream = printable(event.detail).partition(", stream ")
                line.what = f"RST_STREAM {error}  #{stream}"
                line.shape = f"stream-reset {error}"
                if exchange is not None:
                    line.remarks = ["the exchange was whole" if exchange.complete else "the exchange was not whole"]

    def _settings_frame(self, line: Line, event: EventRecord) -> None:
        line.what = "SETTINGS"
        line.remarks = printable(event.detail).split(", ") if event.detail else ["nothing but defaults"]
        if not self._everything:
            line.remarks = _without_defaults(line.remarks)
        key = (event.by, event.packet, event.detail)
        if key in self._settings:
            ack_ns = self._settings[key]
            line.remarks.append("not acknowledged" if ack_ns is None else f"acknowledged in {units.duration(ack_ns)}")

    def _ping(self, line: Line, event: EventRecord) -> None:
        line.what = "PING"
        key = (event.by, event.packet, event.detail)
        if key in self._pings:
            ack_ns = self._pings[key]
            line.shape = "ping" if ack_ns is not None else "ping, not answered"
            line.remarks = ["not answered" if ack_ns is None else f"answered in {units.duration(ack_ns)}"]

    def _goaway(self, line: Line, event: EventRecord) -> None:
        error, last, *debug = (*printable(event.detail).split(", ", 2), "")
        if not last:
            line.what, line.remarks = "GOAWAY", [error, *self._announcement(event)]
            return
        line.what, debug = f"GOAWAY {error}", debug[:-1]
        if last == f"last stream {_LAST_STREAM}":
            last = "no new streams, those under way go on"
        line.remarks = [last, *debug, *self._undone(event), *self._announcement(event)]

    def _undone(self, event: EventRecord) -> list[str]:
        """What a GOAWAY of the server left undone."""
        frame = self._last_goaway
        if frame is None or event.by != "server" or event.packet != frame.packet:
            return []
        above = sum(_is_above(exchange, frame) for exchange in self.exchanges.values())
        return [f"{units.plural(above, 'request')} above it not processed"] if above else []

    def _announcement(self, event: EventRecord) -> list[str]:
        """That an event was the first sign of the close, and after how long idle it came."""
        closed = self._connection.closed
        said = closed.announced if closed is not None else None
        if closed is None or said is None or (said.packet, said.by, said.how) != (event.packet, event.by, event.event):
            return []
        return ["announces the close"]


def _without_defaults(settings: list[str]) -> list[str]:
    """The settings that say something, and how many only repeat the default."""
    telling = [setting for setting in settings if setting not in _DEFAULTS]
    others = len(settings) - len(telling)
    return telling + ([f"{others} as by default"] if others else [])


def _is_above(exchange: Exchange, goaway: GoawayFrame) -> bool:
    """Whether a request of the client is on a stream above what GOAWAY says was processed."""
    stream = exchange.stream
    return exchange.request is not None and stream is not None and stream % 2 == 1 and stream > goaway.last_stream_id


def _stream(exchange: Exchange | None) -> str:
    return "" if exchange is None or exchange.stream is None else f"  #{exchange.stream}"


def _trailers(line: Line, exchange: Exchange | None, event: EventRecord) -> None:
    line.what = f"trailers{_stream(exchange)}"
    line.remarks = [printable(event.detail)] if event.detail else []
    line.shape = f"trailers {event.detail}"
    line.stream = None if exchange is None else exchange.stream
    line.ordinary = event.detail in ("", "grpc-status 0")


def _tell_request(line: Line, exchange: Exchange, request: Request) -> None:
    line.what = f"{printable(request.method or '?')} {printable(request.target or '?')}{_stream(exchange)}"
    line.asks, line.stream = True, exchange.stream
    line.remarks = _fields(
        ("Connection", request.connection),
        ("Keep-Alive", request.keep_alive),
        ("Proxy-Connection", request.proxy_connection),
        ("Upgrade", request.upgrade),
    )
    if request.version == "HTTP/1.0":
        line.remarks.insert(0, request.version)
    if exchange.stream is not None and exchange.stream % 2 == 0:
        line.remarks.append("pushed by the server")
    if exchange.race is not None:
        line.remarks.append(_RACES[exchange.race])
    elif exchange.response is None:
        line.remarks.append("no response")


def _tell_response(line: Line, exchange: Exchange, response: Response) -> None:
    in_one = _at_once(response)
    line.what = str(response.status or "?")
    if in_one and response.body_bytes is not None:
        line.what += f", {units.size(response.body_bytes)}"
    if exchange.request is not None:
        line.what += f" in {units.duration(response.time_ns - (exchange.request.end_ns or exchange.request.time_ns))}"
    line.what += _stream(exchange)
    line.remarks = _fields(("Connection", response.connection), ("Keep-Alive", _keep_alive(response.keep_alive)))
    if response.version == "HTTP/1.0":
        line.remarks.insert(0, response.version)
    if response.end_packet is None:
        line.remarks.append("not complete")
    line.shape = f"{response.status} {in_one} {line.remarks}"
    line.stream, line.is_response = exchange.stream, True
    line.ordinary = not line.remarks and (response.status or 0) < 400


def _at_once(message: Request | Response) -> bool:
    """Whether the end of a message came with its header section, or so soon that it needs no line."""
    if message.end_packet is None or message.end_ns is None:
        return False
    return message.end_packet == message.packet or message.end_ns - message.time_ns < _AT_ONCE_NS


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
    if message is None or _at_once(message):
        return None
    line.what = f"end of {event.event.removesuffix('-end')}, {units.size(message.body_bytes or 0)}"
    line.remarks = [f"{units.duration(event.time_ns - message.time_ns)} after its header"]
    line.stream = exchange.stream
    if message.end_packet is None:
        line.what = f"{line.what} so far"
    else:
        line.ordinary = True
    line.what += _stream(exchange)
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
    said = closed.announced
    if said is not None and (said.how, said.by, said.packet) != ("close-notify", closed.by, closed.packet):
        remarks.append(f"announced by the {said.by} ({ANNOUNCED.get(said.how, said.how)}, packet {said.packet})")
    return remarks
