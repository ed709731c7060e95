"""What HTTP tells, in either version, and the anomaly that anyone may tell."""

from __future__ import annotations

from msgspec import Struct


class Anomaly(Struct, gc=False):
    """Something odd on the wire: never an error of ours, never the end of the story."""

    packet: int
    time_ns: int
    code: str
    """snake_case; the same word everywhere (see docs/anomalies.md)."""
    detail: str = ""
    """For a person. May hold text from the wire: escaped by whoever prints it."""


class RequestFields(Struct, gc=False):
    """What is kept of a request's header section. Strings are the wire's bytes as latin-1; None: not there.

    One object may stand for many identical sections: never changed, though not frozen (that would double its cost)."""

    method: str | None
    target: str | None
    """The request target as sent; HTTP/2: :path."""
    authority: str | None
    """HTTP/1: of an absolute or authority-form target, else Host; HTTP/2: :authority, else host."""
    version: str | None
    """"HTTP/1.0", "HTTP/1.1", "HTTP/2"."""
    connection: str | None
    """Values as sent, several fields joined by ", " (RFC 9110 section 5.3)."""
    keep_alive: str | None
    proxy_connection: str | None
    upgrade: str | None
    """HTTP/2: :protocol of an extended CONNECT (RFC 8441)."""
    te: str | None
    transfer_encoding: str | None
    content_length: int | None
    user_agent: str | None
    x_request_id: str | None
    traceparent: str | None
    persistent: bool | None
    """Whether the connection may be used again after it, by RFC 9112 section 9.3; None for HTTP/2."""


class ResponseFields(Struct, gc=False):
    """What is kept of a response's header section. Strings are the wire's bytes as latin-1; None: not there.

    One object may stand for many identical sections: never changed, though not frozen (that would double its cost)."""

    status: int | None
    reason: str | None
    version: str | None
    connection: str | None
    keep_alive: str | None
    keep_alive_timeout: int | None
    """Seconds, from Keep-Alive: timeout= (RFC 2068 section 19.7.1.1)."""
    keep_alive_max: int | None
    """Requests that are still allowed, from Keep-Alive: max=."""
    transfer_encoding: str | None
    content_length: int | None
    server: str | None
    via: str | None
    alt_svc: str | None
    x_request_id: str | None
    persistent: bool | None
    """Whether the connection may be used again after it, by RFC 9112 section 9.3; false also for a body that ends with
    the connection; None for HTTP/2."""


class RequestReceived(Struct, gc=False):
    """A request's header section is complete."""

    packet: int
    time_ns: int
    exchange: int
    """Index of the exchange, counted by the decoder in the order of requests; an answer without one has its own."""
    stream: int | None
    """HTTP/2 stream id."""
    offset: int
    """Stream offset (client's direction) of the message's first byte; -1 where the client never sent it: an HTTP/2
    server promised to answer it. So is its MessageEnded's `end_offset`."""
    first_packet: int
    """The packet by which that first byte had arrived."""
    fields: RequestFields


class ResponseReceived(Struct, gc=False):
    """A final response's header section is complete (not 1xx, but 101)."""

    packet: int
    time_ns: int
    exchange: int
    stream: int | None
    unsolicited: bool
    """No request was waiting: a 408 out of the blue, or the answer to a request that the capture does not have."""
    first_packet: int
    """The packet by which the message's first byte had arrived."""
    first_ns: int
    fields: ResponseFields


class InterimReceived(Struct, gc=False):
    """A 1xx response other than 101."""

    packet: int
    time_ns: int
    exchange: int
    stream: int | None
    status: int


class MessageEnded(Struct, gc=False):
    """A request or response is over: its last body byte came (whole), or it will not come (not whole)."""

    packet: int
    """Packet with the last byte of it that was seen."""
    time_ns: int
    exchange: int
    stream: int | None
    direction: int
    """FROM_CLIENT: the request; FROM_SERVER: the response."""
    end_offset: int
    """Stream offset behind its last byte seen (HTTP/1; in HTTP/2 of the frame)."""
    body_bytes: int
    """Body bytes seen or counted over holes, without chunk framing and trailers."""
    whole: bool


class PlainExchange(Struct, gc=False):
    """A request without a body and the whole response to it, read at once: what RequestReceived, ResponseReceived and
    a MessageEnded of each would say of them. No decoder says it (see protocols/http1/plain.py)."""

    exchange: int
    request: RequestFields
    first_packet: int
    """The packet by which the request's first byte had arrived."""
    asked: tuple[int, int]
    """The packet with the request's last byte, and its time."""
    start: int
    """Stream offset (client's direction) of the request's first byte."""
    end: int
    """Stream offset behind its last byte."""
    response: ResponseFields
    answered: tuple[int, int]
    """The packet with which the response's header section was complete, and its time."""
    ended: tuple[int, int]
    """The packet with the response's last byte, and its time."""
    body_bytes: int
    """Of the response."""


class Upgraded(Struct, gc=False):
    """The connection speaks another protocol from here on: 101, or a CONNECT that was accepted."""

    packet: int
    time_ns: int
    exchange: int
    to: str
    """The Upgrade token in lower case; "connect" for a tunnel."""
    target: str | None
    """host:port of a tunnel."""
