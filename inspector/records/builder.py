"""One finished TCP connection and its book become one record."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.endpoints import ip_text
from inspector.events import TlsAccount, Upgraded
from inspector.records.carried import Grpc, ProxyProtocol, WebSocket, proxy_record, websocket_record
from inspector.records.closing import SIDES, announcement, closing, server_closed
from inspector.records.connection import (
    Anomaly,
    Closed,
    Connection,
    End,
    Estimate,
    Opened,
    Opening,
    Traffic,
    Ttl,
    Tunnel,
    Upgrade,
)
from inspector.records.exchanges import Close, ExchangeBook, host_of
from inspector.records.http2 import Http2, http2_record
from inspector.records.layers import Layers
from inspector.records.redact import redacted
from inspector.records.tls import tls_record
from inspector.tcp.connection import Connection as TcpConnection
from inspector.tcp.side import Side
from inspector.tcp.states import conn_state
from inspector.tcp.triage import Totals
from inspector.tcp.whole_connection import Story, WholeConnection

#: A reply that comes this many times sooner than the other side's tells at which end the capture stood.
_NEARER = 4
#: Initial values of time to live that systems use.
_INITIAL_TTLS = (32, 64, 128, 255)
#: Routers that a packet has passed, by its time to live, if it began with one of these.
_HOPS: dict[int | None, int | None] = {
    None: None,
    **{ttl: next(initial for initial in _INITIAL_TTLS if initial >= ttl) - ttl for ttl in range(256)},
}

#: Where these are in what a side's rows add up to.
_PACKETS, _CAPTURED, _TTL = (Totals._fields.index(name) for name in ("packets", "captured", "ttl_low"))

Vantage = Literal["client", "server", "between"]
_Layers = tuple[Http2 | None, WebSocket | None, Grpc | None, ProxyProtocol | None]
_NO_LAYERS: _Layers = (None, None, None, None)


def connection_record(
    tcp: TcpConnection,
    protocol: str | None,
    book: ExchangeBook | None,
    *,
    names: bool,
    show_secrets: bool,
    capture_end_ns: int,
    over: bool = True,
) -> Connection:
    """The record. `protocol` is the decoder's word; that and the book are None where no payload was seen.

    Of a connection that is not `over`, requests are not told what became of them."""
    book = ExchangeBook(show_secrets) if book is None else book
    if isinstance(tcp, WholeConnection) and tcp.story is not None and not tcp.late:
        return _whole(tcp, tcp.story, str(protocol), book, names, over)
    client, server = tcp.sides
    how = opening(tcp)
    if over:
        book.settle(Close(server_closed(tcp), client.acked(), client.high))
    layers = book.layers
    tls = layers.tls if layers is not None else None
    known = _names(book, tls) if names and (book.names or tls is not None) else []
    protocol = _spoken(protocol, book)
    encrypted = protocol == "tls"
    # By position, in the record's order: msgspec takes fifty times as long over keywords.
    return Connection(
        tcp.id,
        _end(*tcp.client),
        server_end(*tcp.server),
        tcp.role_from,  # type: ignore[arg-type]
        known[0][0] if known else None,
        [name for name, _ in known[1:]] if len(known) > 1 else [],
        known[0][1] if known else None,  # type: ignore[arg-type]
        _vantage(tcp),
        tcp.first_ns,
        tcp.end_ns,
        tcp.first_packet,
        tcp.last_packet,
        Opened(
            how,
            tcp.syn_packet,
            tcp.syns - 1 if tcp.syns else 0,
            _handshake(tcp),
            not client.packets or not server.packets,
        ),
        closing(tcp, book.sign, layers, how == "refused", capture_end_ns),
        conn_state(client.state, server.state, bool(client.unique or server.unique)),
        tcp.history.letters,
        _traffic(client),
        _traffic(server),
        protocol,  # type: ignore[arg-type]
        None if tls is None else tls_record(tls),
        _tunnel(book.tunnel),
        _upgrade(book.upgraded),
        None if encrypted else book.request_count,
        None if encrypted else book.response_count,
        _estimate(tls) if encrypted else None,
        book.exchanges,
        *(_NO_LAYERS if layers is None else _layers(layers, show_secrets)),
        _anomalies(tcp, book, show_secrets),
        [],  # findings
    )


def _whole(
    tcp: WholeConnection, story: Story, protocol: str, book: ExchangeBook, names: bool, over: bool
) -> Connection:
    """The record of a connection of which its story tells all: HTTP/1 from handshake to FINs, and nothing odd."""
    closes_first, packets, times_ns = story.direction, story.close_packets, story.close_ns
    if over:
        length = story.lengths[FROM_CLIENT]
        server_fin = packets[0] if closes_first == FROM_SERVER else packets[1]
        book.settle(Close(server_fin, length + 1, length))
    known = _names(book, None) if names and book.names else []
    syn_ns, syn_ack_ns, ack_ns = story.times_ns
    client, server = story.sums
    assert story.application is not None
    sign, reply_ns = book.sign, max(0, times_ns[1] - times_ns[0])
    announced = sign if sign is not None and sign.packet <= packets[0] else None
    return Connection(
        tcp.id,
        _end(*tcp.client),
        server_end(*tcp.server),
        "syn",
        known[0][0] if known else None,
        [name for name, _ in known[1:]] if len(known) > 1 else [],
        known[0][1] if known else None,  # type: ignore[arg-type]
        _stood(client[_TTL], server[_TTL], (syn_ack_ns - syn_ns, ack_ns - syn_ack_ns)),
        tcp.first_ns,
        tcp.end_ns,
        tcp.first_packet,
        tcp.last_packet,
        Opened("handshake", tcp.first_packet, 0, max(0, ack_ns - syn_ns), False),
        Closed(
            SIDES[closes_first],
            "fin",
            packets[0],
            times_ns[0],
            False,
            max(0, times_ns[0] - story.application[1]),
            None if announced is None else announcement(announced),
            "fin",
            packets[1],
            reply_ns,
            reply_ns,
        ),
        "SF",
        story.letters,
        _whole_traffic(client, story.lengths[FROM_CLIENT]),
        _whole_traffic(server, story.lengths[FROM_SERVER]),
        protocol,  # type: ignore[arg-type]
        None,
        None,
        None,
        book.request_count,
        book.response_count,
        None,
        book.exchanges,
        None,
        None,
        None,
        None,
        [],
        [],
    )


def _whole_traffic(sums: tuple[int, ...], length: int) -> Traffic:
    return Traffic(sums[_PACKETS], length, sums[_CAPTURED], 0, 0, 0, 0, 0, _ttl(sums[_TTL], None), True)


def opening(tcp: TcpConnection) -> Opening:
    """How the connection began (CONTRACT: opened.how)."""
    if tcp.established_ns is not None:
        return "handshake"
    if tcp.syn_packet is None and tcp.syn_ack_ns is None:
        server = tcp.sides[FROM_SERVER]
        answers_syn = server.rst_packet == tcp.first_packet and server.base_seq is None and tcp.role_from != "port"
        return "refused" if answers_syn else "mid-stream"
    if tcp.syn_ack_ns is not None:
        return "half-open"
    return "refused" if tcp.sides[FROM_SERVER].rst_packet is not None else "unanswered"


def _names(book: ExchangeBook, tls: TlsAccount | None) -> list[tuple[str, str]]:
    """Server names in order of appearance, and where each was read: what the TLS handshake says comes first.

    Requests to a proxy name other servers. Behind a CONNECT the handshake says whose connection it is."""
    sni = host_of(tls.sni) if tls is not None and tls.sni else ""
    if not sni:
        return [] if book.to_proxy else list(book.names.items())
    return [(sni, "sni"), *((name, source) for name, source in book.names.items() if name != sni)]


def _estimate(tls: TlsAccount | None) -> Estimate | None:
    if tls is None or tls.estimated_exchanges is None:
        return None
    return Estimate(tls.estimated_exchanges, "records")


def _layers(layers: Layers, show_secrets: bool) -> _Layers:
    """http2, websocket, grpc, proxy_protocol."""
    show = str if show_secrets else redacted
    return (
        None if layers.http2 is None else http2_record(layers.http2, show),
        None if layers.websocket is None else websocket_record(layers.websocket, show),
        Grpc(dict(layers.grpc_statuses)) if layers.grpc_statuses else None,
        None if layers.proxy is None else proxy_record(layers.proxy),
    )


def _end(high: int, low: int, port: int) -> End:
    return End(ip_text(high, low), port)


#: Many connections have the same server.
server_end = lru_cache(maxsize=1024)(_end)


def _handshake(tcp: TcpConnection) -> int | None:
    if tcp.syn_packet is None or tcp.syn_ack_ns is None or tcp.established_ns is None:
        return None
    return max(0, tcp.established_ns - tcp.last_syn_ns)


@lru_cache(maxsize=4096)
def _ttl(usual: int | None, rst: int | None) -> Ttl:
    return Ttl(usual, rst)


def _traffic(side: Side) -> Traffic:
    return Traffic(
        side.packets,
        side.unique,
        side.captured,
        side.missing_bytes(),
        side.retransmitted,
        side.out_of_order,
        side.zero_windows,
        side.keepalives,
        _ttl(side.usual_ttl(), side.rst_ttl),
        side.fin_acknowledged(),
    )


def _vantage(tcp: TcpConnection) -> Vantage | None:
    replies = None
    if tcp.syn_packet is not None and tcp.syn_ack_ns is not None and tcp.established_ns is not None:
        replies = (tcp.syn_ack_ns - tcp.last_syn_ns, tcp.established_ns - tcp.syn_ack_ns)
    return _stood(tcp.sides[0].usual_ttl(), tcp.sides[1].usual_ttl(), replies)


def _stood(client_ttl: int | None, server_ttl: int | None, replies_ns: tuple[int, int] | None) -> Vantage | None:
    """Where the capture stood: at the end whose packets crossed no router, else at the one that answers much sooner.

    `replies_ns`: how long the server took for its SYN-ACK, then the client for its ACK."""
    client, server = _HOPS[client_ttl], _HOPS[server_ttl]
    if client is not None and server is not None and (client or server):
        if client and server:
            return "between"
        return "server" if client else "client"
    if replies_ns is None:
        return None
    to_server, to_client = replies_ns
    if to_server > _NEARER * to_client:
        return "client"
    return "server" if to_client > _NEARER * to_server else None


def _spoken(protocol: str | None, book: ExchangeBook) -> str:
    if protocol is None:
        return "none"
    to = book.upgraded.to if book.upgraded is not None else None
    return to if to in ("websocket", "h2c") else protocol


def _tunnel(tunnel: Upgraded | None) -> Tunnel | None:
    return None if tunnel is None or tunnel.target is None else Tunnel(tunnel.target)


def _upgrade(upgraded: Upgraded | None) -> Upgrade | None:
    return None if upgraded is None else Upgrade(upgraded.to, upgraded.packet)


def _anomalies(tcp: TcpConnection, book: ExchangeBook, show_secrets: bool) -> list[Anomaly]:
    if not tcp.anomalies and not book.anomalies and not tcp.late:
        return []
    show = str if show_secrets else redacted
    anomalies = [Anomaly(odd.code, odd.packet, show(odd.detail)) for odd in [*tcp.anomalies, *book.anomalies]]
    if tcp.late:
        anomalies.append(after_close(tcp.late[0][0]))
    if tcp.anomalies_omitted:
        anomalies.append(Anomaly("anomalies_omitted", tcp.last_packet, f"{tcp.anomalies_omitted} more"))
    anomalies.sort(key=lambda anomaly: anomaly.packet)
    return anomalies


def after_close(packet: int) -> Anomaly:
    """Segments came for a connection long after its end; `packet` is the first of them."""
    return Anomaly("after_close", packet, "segments after the connection had ended")
