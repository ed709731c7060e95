"""Exchanges: a request and what came back for it, on an HTTP/1 connection or an HTTP/2 stream."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from inspector.records.field import says


class KeepAlive(Struct, gc=False):
    """The Keep-Alive response field (RFC 2068 section 19.7.1.1)."""

    timeout: Annotated[int | None, says("Seconds that the server says it keeps an idle connection.")]
    max: Annotated[int | None, says("Requests that the server says it still takes on this connection.")]


class Request(Struct, gc=False):
    """One request."""

    packet: Annotated[int, says("Packet with which the header section was complete in order.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    end_packet: Annotated[int | None, says("Packet with which the last body byte had come; null when it did not.")]
    end_ns: Annotated[int | None, says("Time of that packet, since the Unix epoch.")]
    method: Annotated[str | None, says("Request method as sent; null when the header could not be read.")]
    target: Annotated[str | None, says("Request target as sent, the query as ?… unless secrets are shown.")]
    authority: Annotated[str | None, says("Whom the request is for: of the target, else Host; in HTTP/2 :authority.")]
    version: Annotated[str | None, says("HTTP version of the message.")]
    connection: Annotated[str | None, says("Value of Connection as sent, several fields joined by a comma.")]
    keep_alive: Annotated[str | None, says("Value of Keep-Alive as sent.")]
    proxy_connection: Annotated[str | None, says("Value of Proxy-Connection as sent.")]
    upgrade: Annotated[str | None, says("Value of Upgrade as sent; in HTTP/2 the :protocol of an extended CONNECT.")]
    te: Annotated[str | None, says("Value of TE as sent.")]
    transfer_encoding: Annotated[str | None, says("Value of Transfer-Encoding as sent.")]
    content_length: Annotated[int | None, says("Content-Length in bytes; null when absent or no number.")]
    body_bytes: Annotated[int | None, says("Body bytes seen, without chunk framing and trailers.")]
    user_agent: Annotated[str | None, says("Value of User-Agent.")]
    x_request_id: Annotated[str | None, says("Value of X-Request-Id.")]
    traceparent: Annotated[str | None, says("Value of traceparent (W3C Trace Context).")]
    persistent: Annotated[bool | None, says("Whether the request lets the connection go on (RFC 9112 section 9.3).")]
    acknowledged_bytes: Annotated[int | None, says("Bytes of the message that the server's TCP acknowledged.")]


class Response(Struct, gc=False):
    """One final response."""

    packet: Annotated[int, says("Packet with which the header section was complete in order.")]
    time_ns: Annotated[int, says("Time of that packet, since the Unix epoch.")]
    end_packet: Annotated[int | None, says("Packet with which the last body byte had come; null when it did not.")]
    end_ns: Annotated[int | None, says("Time of that packet, since the Unix epoch.")]
    status: Annotated[int | None, says("Status code.")]
    reason: Annotated[str | None, says("Reason phrase as sent.")]
    version: Annotated[str | None, says("HTTP version of the message.")]
    connection: Annotated[str | None, says("Value of Connection as sent, several fields joined by a comma.")]
    keep_alive: Annotated[KeepAlive | None, says("The numbers of Keep-Alive; null when the field is absent.")]
    transfer_encoding: Annotated[str | None, says("Value of Transfer-Encoding as sent.")]
    content_length: Annotated[int | None, says("Content-Length in bytes; null when absent or no number.")]
    body_bytes: Annotated[int | None, says("Body bytes seen, without chunk framing and trailers.")]
    server: Annotated[str | None, says("Value of Server.")]
    via: Annotated[str | None, says("Value of Via.")]
    alt_svc: Annotated[str | None, says("Value of Alt-Svc.")]
    x_request_id: Annotated[str | None, says("Value of X-Request-Id.")]
    persistent: Annotated[bool | None, says("Whether the response lets the connection go on (RFC 9112 section 9.3).")]


class Interim(Struct, gc=False):
    """A 1xx response on the way to the final one."""

    status: Annotated[int, says("Status code, 100 to 199.")]
    packet: Annotated[int, says("Packet with which its header section was complete.")]


class Reset(Struct, gc=False):
    """An HTTP/2 stream that was reset."""

    by: Annotated[Literal["client", "server"], says("Who sent RST_STREAM.")]
    error: Annotated[str, says("Error code by name (RFC 9113 section 7), or hexadecimal.")]


class Exchange(Struct, gc=False):
    """A request and its response."""

    index: Annotated[int, says("Position in the order of the requests on the connection, from 0.")]
    stream: Annotated[int | None, says("HTTP/2 stream id; null for HTTP/1.")]
    inside: Annotated[bool, says("Whether it ran inside a tunnel on this connection.")]
    request: Annotated[Request | None, says("Null when only the answer was seen.")]
    response: Annotated[Response | None, says("Null when there was none.")]
    interim: Annotated[list[Interim], says("1xx responses, in order.")]
    complete: Annotated[bool, says("Whether both messages were seen whole.")]
    reset: Annotated[Reset | None, says("HTTP/2: how the stream was reset.")]
    race: Annotated[
        Literal["after", "crossed"] | None,
        says(
            "The request met the close: its first byte came after the server's FIN or RST ('after'), or before it and "
            "was never acknowledged ('crossed')."
        ),
    ]
