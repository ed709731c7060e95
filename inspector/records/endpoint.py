"""Endpoints: what all connections to one server ip and port have in common. The socket is what has a policy."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from inspector.records.connection import Announcement, CloseHow, Estimate, Side
from inspector.records.field import says


class Client(Struct):
    """A client of an endpoint: one ip with one User-Agent."""

    ip: Annotated[str, says("The client's address.")]
    user_agent: Annotated[str | None, says("Its User-Agent; null where none was seen.")]
    opened: Annotated[int, says("Connections it opened (handshake seen).")]
    requests: Annotated[int | None, says("Requests it sent; null when all was encrypted.")]


class ClosedCounts(Struct):
    """Connections by who closed first and how; refusals are counted apart."""

    client_fin: Annotated[int, says("Closed by the client with FIN.")] = 0
    client_rst: Annotated[int, says("Closed by the client with RST.")] = 0
    server_fin: Annotated[int, says("Closed by the server with FIN.")] = 0
    server_rst: Annotated[int, says("Closed by the server with RST.")] = 0


class Decided(Struct):
    """Connections by who decided to close: who announced it, else who closed."""

    client: Annotated[int, says("Closes that the client decided.")] = 0
    server: Annotated[int, says("Closes that the server decided.")] = 0


class AnnouncedCount(Struct):
    """Connections whose close was announced alike."""

    by: Annotated[Side, says("Who announced it.")]
    how: Annotated[Announcement, says("By what it was announced.")]
    closed_by: Annotated[Side, says("Who closed first.")]
    closed_how: Annotated[CloseHow, says("By FIN or by RST.")]
    connections: Annotated[int, says("How many.")]


class RequestsPerConnection(Struct):
    """Requests per connection, over connections seen from handshake to end and not encrypted."""

    min: Annotated[int | None, says("Least.")]
    median: Annotated[float | None, says("Median.")]
    mean: Annotated[float | None, says("Mean.")]
    max: Annotated[int | None, says("Most.")]
    histogram: Annotated[dict[str, int], says("Connections by number of requests.")]
    partial: Annotated[int, says("Connections not in these figures: not seen from handshake to end, or encrypted.")]


class Idle(Struct):
    """Idle times before a close by one side."""

    n: Annotated[int, says("Closes.")]
    min_ns: Annotated[int | None, says("Shortest.")]
    median_ns: Annotated[int | None, says("Median.")]
    max_ns: Annotated[int | None, says("Longest.")]


class IdleBeforeClose(Struct):
    """Idle times by who closed."""

    client: Annotated[Idle, says("Before closes by the client.")]
    server: Annotated[Idle, says("Before closes by the server.")]


class TcpHandshakes(Struct):
    """TCP handshakes."""

    n: Annotated[int, says("Handshakes measured.")]
    median_ns: Annotated[int | None, says("Median time.")]


class TlsHandshakes(Struct):
    """TLS handshakes."""

    n: Annotated[int, says("Handshakes measured.")]
    median_ns: Annotated[int | None, says("Median time.")]
    resumed: Annotated[int, says("Of them resumed.")]


class Handshakes(Struct):
    """What opening costs."""

    tcp: Annotated[TcpHandshakes, says("TCP.")]
    tls: Annotated[TlsHandshakes, says("TLS.")]


class RequestHeaders(Struct):
    """Connection header values in requests."""

    connection: Annotated[dict[str, int], says("Requests by value of Connection (absent ones not counted).")]


class ResponseHeaders(Struct):
    """Connection header values in responses."""

    connection: Annotated[dict[str, int], says("Responses by value of Connection (absent ones not counted).")]
    keep_alive: Annotated[dict[str, int], says("Responses by value of Keep-Alive (absent ones not counted).")]


class Headers(Struct):
    """What was said about the connection."""

    request: Annotated[RequestHeaders, says("In requests.")]
    response: Annotated[ResponseHeaders, says("In responses.")]


class Pool(Struct):
    """Connections opened against connections that a good pool would have needed."""

    connections_needed: Annotated[int, says("Connections a good pool would have opened.")]
    avoidable_opens: Annotated[int, says("Connections beyond these.")]
    idle_at_open: Annotated[int, says("Opens while an idle connection to the same place was there.")]
    handshake_ns_saved: Annotated[int, says("Handshake time that the avoidable opens cost.")]


class EndpointRecord(Struct):
    """All connections to one server ip and port."""

    ip: Annotated[str, says("The server's address.")]
    port: Annotated[int, says("The server's port.")]
    name: Annotated[str | None, says("The most frequent server name.")]
    names: Annotated[dict[str, int], says("Connections by server name.")]
    protocols: Annotated[dict[str, int], says("Connections by protocol.")]
    clients: Annotated[list[Client], says("Its clients, by ip and User-Agent.")]
    connections: Annotated[int, says("All; the sum of the next five.")]
    opened: Annotated[int, says("Opened in the capture: handshake seen.")]
    already_open: Annotated[int, says("Already open when first seen.")]
    refused: Annotated[int, says("SYN met by RST.")]
    unanswered: Annotated[int, says("SYN met by nothing.")]
    half_open: Annotated[int, says("SYN-ACK, then nothing.")]
    closed: Annotated[ClosedCounts, says("By who closed first and how; without refusals.")]
    decided: Annotated[Decided, says("By who decided.")]
    announced: Annotated[list[AnnouncedCount], says("Closes that were announced, by whom and how; the most first.")]
    still_open: Annotated[int, says("Not closed when the capture ended.")]
    max_open_at_once: Annotated[int, says("Most connections open at one time.")]
    requests: Annotated[int | None, says("Requests on its connections; null when all were encrypted.")]
    estimate: Annotated[Estimate | None, says("What the encrypted ones add to it.")]
    requests_per_connection: Annotated[RequestsPerConnection, says("Requests per connection.")]
    idle_before_close: Annotated[IdleBeforeClose, says("Idle times before closes.")]
    handshake: Annotated[Handshakes, says("Handshake times.")]
    headers: Annotated[Headers, says("Connection headers.")]
    pool: Annotated[Pool | None, says("Reuse; null until it is computed.")]
