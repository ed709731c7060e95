"""Connections: how one was opened and closed, by whom, and what ran over it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from inspector.records.carried import Grpc, ProxyProtocol, WebSocket
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.http2 import Http2
from inspector.records.tls import Tls

Side = Literal["client", "server"]
RoleFrom = Literal["syn", "syn-ack", "content", "port", "first-packet"]
CloseHow = Literal["fin", "rst"]
Announcement = Literal["connection-close", "http/1.0", "goaway", "close-notify"]
Opening = Literal["handshake", "half-open", "unanswered", "refused", "mid-stream"]


class End(Struct, gc=False, frozen=True):
    """One end of a connection."""

    ip: Annotated[str, says("Address as text.")]
    port: Annotated[int, says("TCP port.")]


class Opened(Struct, gc=False):
    """How the connection began."""

    how: Annotated[Opening, says("handshake, half-open (never completed), unanswered, refused, or mid-stream.")]
    syn_packet: Annotated[int | None, says("Packet of the first SYN.")]
    syn_retransmissions: Annotated[int, says("SYNs sent again.")]
    handshake_ns: Annotated[int | None, says("From the last SYN before the SYN-ACK to the client's ACK.")]
    one_sided: Annotated[bool, says("Whether packets of one side only were seen.")]


class Announced(Struct, gc=False):
    """The first sign that the close was meant."""

    by: Annotated[Side, says("Who said it.")]
    how: Annotated[Announcement, says("By what the close was announced.")]
    packet: Annotated[int, says("Packet that carried it.")]
    time_ns: Annotated[int, says("Its time, since the Unix epoch.")]


class Closed(Struct, gc=False):
    """The first close of the connection, and what became of it."""

    by: Annotated[Side, says("Who closed first.")]
    how: Annotated[CloseHow, says("By FIN or by RST.")]
    packet: Annotated[int, says("Packet of that FIN or RST.")]
    time_ns: Annotated[int, says("Its time, since the Unix epoch.")]
    simultaneous: Annotated[bool, says("Both sides sent FIN before they had the other's.")]
    idle_ns: Annotated[int | None, says("How long no application byte had moved; null for a refusal.")]
    announced: Annotated[Announced | None, says("The first sign, by either side, that the close was meant.")]
    reply: Annotated[Literal["fin", "rst"] | None, says("What the other side answered with.")]
    reply_packet: Annotated[int | None, says("Packet of the answer.")]
    reply_ns: Annotated[int | None, says("Time from the close to the answer.")]
    half_closed_ns: Annotated[int | None, says("How long only one side had closed, at most to the capture's end.")]


class Ttl(Struct, gc=False, frozen=True):
    """Time to live of one side's packets."""

    usual: Annotated[int | None, says("The most frequent value.")]
    rst: Annotated[int | None, says("The value on its RST, where there is one.")]


class Traffic(Struct, gc=False):
    """What one side sent."""

    packets: Annotated[int, says("Segments.")]
    bytes: Annotated[int, says("Payload on the wire, each byte once: by headers, without probes and RST payload.")]
    captured_bytes: Annotated[int, says("Payload bytes that are in the capture, repetitions included.")]
    missing_bytes: Annotated[int, says("Bytes that were sent, by the sequence numbers, but are not in the capture.")]
    retransmitted_bytes: Annotated[int, says("Payload bytes that were sent again.")]
    out_of_order: Annotated[int, says("Segments that came behind a later one.")]
    zero_windows: Annotated[int, says("Segments that closed the window.")]
    keepalives: Annotated[int, says("TCP keep-alive probes.")]
    ttl: Annotated[Ttl, says("Time to live.")]
    fin_acknowledged: Annotated[bool | None, says("Whether the peer acknowledged its FIN; null without a FIN.")]


class Tunnel(Struct, gc=False):
    """A CONNECT that was accepted."""

    target: Annotated[str, says("host:port of the tunnel's other end.")]


class Upgrade(Struct, gc=False):
    """A change of protocol by 101."""

    to: Annotated[str, says("The protocol, as the Upgrade field names it.")]
    packet: Annotated[int, says("Packet with which the 101 was complete.")]


class Estimate(Struct, gc=False):
    """What can be said without keys."""

    exchanges: Annotated[int, says("Bursts of records taken for exchanges.")]
    basis: Annotated[Literal["records"], says("What was counted.")]


class Anomaly(Struct, gc=False):
    """Something odd on the wire."""

    code: Annotated[str, says("What, in one word; docs/anomalies.md lists them.")]
    packet: Annotated[int, says("Where.")]
    detail: Annotated[str, says("For a person.")]


class Connection(Struct, gc=False):
    """One TCP connection."""

    id: Annotated[int, says("From 0 by first packet; for a single file, Wireshark's tcp.stream.")]
    client: Annotated[End, says("The end that opened it, or is taken for it.")]
    server: Annotated[End, says("The other end.")]
    role_from: Annotated[RoleFrom, says("What told client and server apart.")]
    name: Annotated[str | None, says("First server name: SNI, else authority or Host, else from DNS; null to a proxy.")]
    names: Annotated[list[str], says("Further server names.")]
    name_from: Annotated[Literal["sni", "authority", "host", "dns"] | None, says("Where the name was read.")]
    vantage: Annotated[Literal["client", "server", "between"] | None, says("Where the capture stood.")]
    start_ns: Annotated[int, says("Time of the first packet, since the Unix epoch.")]
    end_ns: Annotated[int, says("Time of the last packet, since the Unix epoch.")]
    first_packet: Annotated[int, says("Number of the first packet.")]
    last_packet: Annotated[int, says("Number of the last packet.")]
    opened: Annotated[Opened, says("How it began.")]
    closed: Annotated[Closed | None, says("How it ended; null while open at the end of the capture.")]
    state: Annotated[str, says("Zeek's conn_state.")]
    history: Annotated[str, says("Zeek's history letters: upper case client, lower case server.")]
    client_traffic: Annotated[Traffic, says("What the client sent.")]
    server_traffic: Annotated[Traffic, says("What the server sent.")]
    protocol: Annotated[
        Literal["http/1.0", "http/1.1", "h2", "h2c", "websocket", "tls", "unknown", "none"],
        says("What was spoken; none without payload, tls when it could not be decrypted."),
    ]
    tls: Annotated[Tls | None, says("TLS, inside a tunnel the tunnel's; null without it.")]
    tunnel: Annotated[Tunnel | None, says("A CONNECT that was accepted.")]
    upgrade: Annotated[Upgrade | None, says("A change of protocol by 101.")]
    requests: Annotated[int | None, says("Requests; null when encrypted.")]
    responses: Annotated[int | None, says("Final responses, 101 among them; null when encrypted.")]
    estimate: Annotated[Estimate | None, says("Counts without keys.")]
    exchanges: Annotated[list[Exchange], says("In the order of the requests.")]
    http2: Annotated[Http2 | None, says("HTTP/2; null without it.")]
    websocket: Annotated[WebSocket | None, says("WebSocket; null without a frame of it.")]
    grpc: Annotated[Grpc | None, says("gRPC; null where no status of it was seen.")]
    proxy_protocol: Annotated[ProxyProtocol | None, says("PROXY protocol header; null without it.")]
    anomalies: Annotated[list[Anomaly], says("Odd things, in capture order.")]
    findings: Annotated[list[str], says("Codes of the findings that name this connection.")]
