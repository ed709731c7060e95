"""From a decoder's events to a connection's exchanges.

The book of a connection takes events in the order of the wire and keeps one Exchange a request. What only the end of
the connection can tell (how far a request was acknowledged, whether it met the close) is filled in by `settle`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, get_args

from msgspec import Struct

from inspector.bytestream import FROM_CLIENT, Arrival
from inspector.events import (
    Anomaly,
    Event,
    InterimReceived,
    MessageEnded,
    PlainExchange,
    RequestFields,
    RequestReceived,
    ResponseFields,
    ResponseReceived,
    StreamReset,
    Upgraded,
)
from inspector.records.exchange import Exchange, Interim, KeepAlive, Request, Reset, Response
from inspector.records.layers import LayerEvent, Layers, Sign
from inspector.records.redact import redacted

#: Header sections that are remembered: clients say the same thing again and again.
_REMEMBERED = 4096
_REQUEST_WHOLE, _RESPONSE_WHOLE = 1, 2
_BOTH_WHOLE = _REQUEST_WHOLE | _RESPONSE_WHOLE


class Close(Struct, gc=False):
    """What TCP knows of the connection's end, as far as a request's fate depends on it."""

    server_closed: int | None
    """Packet of the server's first FIN or RST."""
    acknowledged: int | None
    """Stream offset up to which the server's TCP acknowledged what the client sent."""
    sent: int
    """Stream offset behind the client's last byte."""


class _Progress(Struct, gc=False):
    """What is kept of an exchange beside its record."""

    start: int = -1
    """Stream offset of the request's first byte."""
    first_packet: int = -1
    """The packet by which it had arrived."""
    end: int = -1
    """Stream offset behind the request's last byte."""
    whole: int = 0


class LeftOut(Struct):
    """What exchanges said that are no longer listed."""

    requests_say: dict[str, int] = {}
    """Values of Connection."""
    responses_say: dict[str, int] = {}


class ExchangeBook:
    """The exchanges of one connection, as far as they are known."""

    __slots__ = (
        *("_progress", "_show_secrets", "anomalies", "exchanges", "layers", "names", "request_count", "response_count"),
        *("responses_say_keep_alive", "sign", "to_proxy", "tunnel", "upgraded"),
    )

    def __init__(self, show_secrets: bool) -> None:
        self._show_secrets = show_secrets
        self.exchanges: list[Exchange] = []
        self._progress: list[_Progress] = []
        self.anomalies: list[Anomaly] = []
        self.names: dict[str, str] = {}
        """Server names in order of appearance, and where they were read."""
        self.sign: Sign | None = None
        """The first sign that the connection will not go on."""
        self.layers: Layers | None = None
        """What the layers around HTTP/1 told; None where there are none."""
        self.upgraded: Upgraded | None = None
        self.tunnel: Upgraded | None = None
        """What comes after it is inside a tunnel."""
        self.to_proxy = False
        """A request was for a proxy, so its name is not the server's."""
        self.request_count = 0
        self.response_count = 0
        self.responses_say_keep_alive: dict[str, int] | None = None
        """Keep-Alive values in responses; None before the first."""

    @property
    def left_out(self) -> LeftOut | None:
        """Of a book in which not everything has room."""
        return None

    def take(self, event: Event) -> None:
        """The next event of the connection."""
        _TAKE[type(event)](self, event)

    def take_plain(self, told: PlainExchange) -> None:
        """A whole exchange of a connection that is to have nothing but such."""
        fields, (packet, time_ns) = told.request, told.asked
        request = self._make(fields)(packet, time_ns, packet, time_ns, 0)
        if fields.persistent is False and self.sign is None:
            self._sign(False, fields, told.asked)
        if fields.authority is not None and fields.authority not in self.names:
            self._name(fields)
        answer = told.response
        response = _response(answer, self._keep_alive(answer), told.answered, told.ended, told.body_bytes)
        if answer.persistent is False and self.sign is None:
            self._sign(True, answer, told.answered)
        self.exchanges.append(Exchange(told.exchange, None, False, request, response, [], True, None, None))
        self._progress.append(_Progress(told.start, told.first_packet, told.end, _BOTH_WHOLE))
        self.request_count += 1
        self.response_count += 1

    def settle(self, close: Close) -> None:
        """Fill in what only the end of the connection tells."""
        acknowledged, server_closed = close.acknowledged, close.server_closed
        for exchange, progress in zip(self.exchanges, self._progress, strict=True):
            request, start = exchange.request, progress.start
            if request is None or start < 0:
                continue
            if acknowledged is not None:
                end = progress.end if progress.end >= 0 else close.sent
                if end > acknowledged:
                    end = acknowledged
                request.acknowledged_bytes = end - start if end > start else 0
            if server_closed is not None:
                exchange.race = _race(exchange, progress, acknowledged, server_closed)

    # ---- one handler an event

    def _request(self, event: RequestReceived) -> None:
        fields = event.fields
        request = self._make(fields)(event.packet, event.time_ns, None, None, None)
        if event.exchange < len(self.exchanges):  # HTTP/2: it was recognised behind its answer
            self.exchanges[event.exchange].request = request
        else:
            self._add(event.exchange, event.stream, request)
        if event.stream is None or event.stream & 1:  # what a server pushes it did not get
            progress = self._progress[event.exchange]
            progress.start, progress.first_packet = event.offset, event.first_packet
        self.request_count += 1
        if fields.persistent is False and self.sign is None:
            self._sign(False, fields, (event.packet, event.time_ns))
        if fields.authority is not None and fields.authority not in self.names:
            self._name(fields)

    def _response(self, event: ResponseReceived) -> None:
        fields = event.fields
        response = _response(fields, self._keep_alive(fields), (event.packet, event.time_ns), (None, None), None)
        if event.exchange >= len(self.exchanges):
            self._add(event.exchange, event.stream, None)
        self.exchanges[event.exchange].response = response
        self.response_count += 1
        if fields.persistent is False and self.sign is None:
            idle = event.unsolicited and fields.status == 408
            self._sign(True, fields, (event.packet, event.time_ns), ends_idleness=idle)

    def _interim(self, event: InterimReceived) -> None:
        if event.exchange >= len(self.exchanges):
            self._add(event.exchange, event.stream, None)
        self.exchanges[event.exchange].interim.append(Interim(event.status, event.packet))

    def _ended(self, event: MessageEnded) -> None:
        exchange, progress = self.exchanges[event.exchange], self._progress[event.exchange]
        message: Request | Response | None
        if event.direction == FROM_CLIENT:
            message, bit = exchange.request, _REQUEST_WHOLE
            progress.end = event.end_offset
        else:
            message, bit = exchange.response, _RESPONSE_WHOLE
        if message is None:
            return
        message.body_bytes = event.body_bytes
        if event.whole:
            message.end_packet, message.end_ns = event.packet, event.time_ns
            progress.whole |= bit
            exchange.complete = progress.whole == _BOTH_WHOLE

    def _upgrade(self, event: Upgraded) -> None:
        self.sign = None  # what the messages said before was about a protocol that is over
        if event.target is not None:
            self.tunnel = self.tunnel or event
        else:
            self.upgraded = self.upgraded or event

    def _reset(self, event: StreamReset) -> None:
        if event.exchange is not None and self.exchanges[event.exchange].reset is None:
            self.exchanges[event.exchange].reset = Reset("server" if event.direction else "client", event.error)

    def _layer(self, event: LayerEvent) -> None:
        self.layers = self.layers or Layers()
        sign = self.layers.take(event)
        # What is inferred at the end may have been seen early.
        if sign is not None and (self.sign is None or sign.packet < self.sign.packet):
            self.sign = sign

    def _anomaly(self, event: Anomaly) -> None:
        self.anomalies.append(event)

    # ---- what messages say

    def _make(self, fields: RequestFields) -> MakeRequest:
        known = _makers.get((self._show_secrets, id(fields)))
        return known[1] if known is not None else _maker(self._show_secrets, fields)

    def _add(self, index: int, stream: int | None, request: Request | None) -> None:
        assert index == len(self.exchanges), "exchanges are numbered in order"
        self.exchanges.append(Exchange(index, stream, self.tunnel is not None, request, None, [], False, None, None))
        self._progress.append(_Progress())

    def _keep_alive(self, fields: ResponseFields) -> KeepAlive | None:
        if fields.keep_alive is None:
            return None
        said = self.responses_say_keep_alive
        if said is None:
            said = self.responses_say_keep_alive = {}
        said[fields.keep_alive] = said.get(fields.keep_alive, 0) + 1
        return KeepAlive(fields.keep_alive_timeout, fields.keep_alive_max)

    def _sign(
        self,
        by_server: bool,
        fields: RequestFields | ResponseFields,
        arrival: Arrival,
        *,
        ends_idleness: bool = False,
    ) -> None:
        """A message that ends the connection by what it says; one whose body ends with the connection says nothing."""
        how: Literal["connection-close", "http/1.0"]
        if fields.connection is not None and _says_close(fields.connection):
            how = "connection-close"
        elif fields.version == "HTTP/1.0":
            how = "http/1.0"
        else:
            return
        self.sign = Sign(by_server, how, arrival[0], arrival[1], ends_idleness)

    def _name(self, fields: RequestFields) -> None:
        """The server's name as the request says it; a request for a proxy says another server's."""
        authority, target = fields.authority, fields.target
        assert authority is not None
        connect = fields.method == "CONNECT" and (fields.version != "HTTP/2" or fields.upgrade is None)  # RFC 8441
        if connect or (target is not None and "://" in target.split("?")[0]):
            self.to_proxy = True
            return
        host = host_of(authority)
        if host:
            self.names.setdefault(host, "authority" if fields.version == "HTTP/2" else "host")


@lru_cache(maxsize=4096)
def host_of(authority: str) -> str:
    """The host of an authority (RFC 3986 section 3.2), in lower case, without user information, port and brackets."""
    host = authority.rpartition("@")[2].strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _race(
    exchange: Exchange, progress: _Progress, acknowledged: int | None, server_closed: int
) -> Literal["after", "crossed"] | None:
    """Whether the request met the server's close (CONTRACT: exchanges[].race)."""
    if progress.first_packet > server_closed:
        return "after"
    lost = exchange.response is None and acknowledged is not None and acknowledged <= progress.start
    return "crossed" if lost else None


@lru_cache(maxsize=256)
def _says_close(connection: str) -> bool:
    """Whether a Connection field says that this is the last message."""
    return "close" in [option.strip().lower() for option in connection.split(",")]


def _response(
    fields: ResponseFields,
    keep_alive: KeepAlive | None,
    arrival: Arrival,
    end: Arrival | tuple[None, None],
    body_bytes: int | None,
) -> Response:
    return Response(
        arrival[0],
        arrival[1],
        end[0],
        end[1],
        fields.status,
        fields.reason,
        fields.version,
        fields.connection,
        keep_alive,
        fields.transfer_encoding,
        fields.content_length,
        body_bytes,
        fields.server,
        fields.via,
        fields.alt_svc,
        fields.x_request_id,
        fields.persistent,
    )


#: Makes a record, given packet and time of the header section and of the end, and the bytes of the body.
MakeRequest = Callable[[int, int, int | None, int | None, int | None], Request]

_makers: dict[tuple[bool, int], tuple[RequestFields, MakeRequest]] = {}


def _maker(show_secrets: bool, fields: RequestFields) -> MakeRequest:
    """Makes the records of requests with these fields, redacted unless told otherwise.

    Decoders hand out one object for identical header sections, so its identity stands for its content while it is
    remembered here (and so kept alive).
    """
    show: Callable[[str | None], str | None] = _as_sent if show_secrets else _redacted
    target, authority, user_agent = show(fields.target), show(fields.authority), show(fields.user_agent)
    x_request_id = show(fields.x_request_id)

    def make(packet: int, time_ns: int, end_packet: int | None, end_ns: int | None, body_bytes: int | None) -> Request:
        return Request(
            packet,
            time_ns,
            end_packet,
            end_ns,
            fields.method,
            target,
            authority,
            fields.version,
            fields.connection,
            fields.keep_alive,
            fields.proxy_connection,
            fields.upgrade,
            fields.te,
            fields.transfer_encoding,
            fields.content_length,
            body_bytes,
            user_agent,
            x_request_id,
            fields.traceparent,
            fields.persistent,
            None,
        )

    if len(_makers) >= _REMEMBERED:
        _makers.clear()
    _makers[show_secrets, id(fields)] = (fields, make)
    return make


def _as_sent(text: str | None) -> str | None:
    return text


def _redacted(text: str | None) -> str | None:
    return None if text is None else redacted(text)


_TAKE: dict[type, Callable[[ExchangeBook, Any], None]] = {
    RequestReceived: ExchangeBook._request,
    ResponseReceived: ExchangeBook._response,
    InterimReceived: ExchangeBook._interim,
    MessageEnded: ExchangeBook._ended,
    Upgraded: ExchangeBook._upgrade,
    Anomaly: ExchangeBook._anomaly,
    StreamReset: ExchangeBook._reset,
    **dict.fromkeys(get_args(LayerEvent), ExchangeBook._layer),
}
