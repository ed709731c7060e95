"""Inspections made by hand: what the engine would say, without packets. Tests change what they are about."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from inspector.inspection import Inspection
from inspector.records.capture import CaptureRecord, File
from inspector.records.carried import Grpc, ProxyProtocol, WebSocket, WebSocketClose
from inspector.records.connection import (
    Announced,
    Anomaly,
    Closed,
    Connection,
    End,
    Estimate,
    Opened,
    Traffic,
    Ttl,
    Tunnel,
    Upgrade,
)
from inspector.records.endpoint import (
    AnnouncedCount,
    Client,
    ClosedCounts,
    Decided,
    EndpointRecord,
    Handshakes,
    Headers,
    Idle,
    IdleBeforeClose,
    RequestHeaders,
    RequestsPerConnection,
    ResponseHeaders,
    TcpHandshakes,
    TlsHandshakes,
)
from inspector.records.event import EventKind, EventRecord
from inspector.records.exchange import Exchange, Interim, KeepAlive, Request, Reset, Response
from inspector.records.finding import Evidence, Finding, Suspect
from inspector.records.http2 import ForbiddenHeader, GoawayFrame, Http2, Http2Side, PingFrame, SettingsFrame
from inspector.records.tls import Tls, TlsAlert

START_NS = 1_777_636_800_000_000_000
MS = 1_000_000
SECOND = 1_000 * MS

_Record = TypeVar("_Record")

NO_IDLE = Idle(0, None, None, None)


def endpoint(**changes: Any) -> EndpointRecord:
    """nginx closing six connections of three requests each after 7 s."""
    record = EndpointRecord(
        ip="10.0.0.1",
        port=8001,
        name="shop.test",
        names={"shop.test": 6},
        protocols={"http/1.1": 6},
        clients=[Client("10.0.0.2", "python-requests/2.32", 6, 18)],
        connections=6,
        opened=6,
        already_open=0,
        refused=0,
        unanswered=0,
        half_open=0,
        closed=ClosedCounts(server_fin=6),
        decided=Decided(server=6),
        announced=[],
        still_open=0,
        max_open_at_once=1,
        requests=18,
        estimate=None,
        requests_per_connection=RequestsPerConnection(3, 3.0, 3.0, 3, {"3": 6}, 0),
        idle_before_close=IdleBeforeClose(NO_IDLE, Idle(6, 7_000 * MS, 7_003 * MS, 7_012 * MS)),
        handshake=Handshakes(TcpHandshakes(6, 60_000), TlsHandshakes(0, None, 0)),
        headers=Headers(RequestHeaders({"keep-alive": 18}), ResponseHeaders({"keep-alive": 18}, {"timeout=7": 18})),
        pool=None,
    )
    return _changed(record, changes)


def capture(**changes: Any) -> CaptureRecord:
    """84 packets in 8.6 s, all of them TCP."""
    record = CaptureRecord(
        files=[File("captures/nginx-idle/client.pcapng", "pcapng", None, [1], 84, 9_000)],
        packets=84,
        tcp_segments=84,
        skipped={},
        first_ns=START_NS,
        last_ns=START_NS + 8_600 * MS,
        dropped=None,
        problems=[],
    )
    return _changed(record, changes)


def inspection(**changes: Any) -> Inspection:
    """The nginx capture with its one endpoint and one of its connections."""
    whole = Inspection(capture=capture(), endpoints=[endpoint()], connections=[connection()])
    return _changed(whole, changes)


def request(packet: int, at_ns: int, **changes: Any) -> Request:
    """GET /a with Connection: keep-alive, in one packet."""
    record = Request(
        packet=packet,
        time_ns=START_NS + at_ns,
        end_packet=packet,
        end_ns=START_NS + at_ns,
        method="GET",
        target="/a",
        authority="shop.test",
        version="HTTP/1.1",
        connection="keep-alive",
        keep_alive=None,
        proxy_connection=None,
        upgrade=None,
        te=None,
        transfer_encoding=None,
        content_length=None,
        body_bytes=0,
        user_agent="python-requests/2.32",
        x_request_id=None,
        traceparent=None,
        persistent=True,
        acknowledged_bytes=120,
    )
    return _changed(record, changes)


def response(packet: int, at_ns: int, **changes: Any) -> Response:
    """200 with six bytes and Keep-Alive: timeout=7, in one packet."""
    record = Response(
        packet=packet,
        time_ns=START_NS + at_ns,
        end_packet=packet,
        end_ns=START_NS + at_ns,
        status=200,
        reason="OK",
        version="HTTP/1.1",
        connection="keep-alive",
        keep_alive=KeepAlive(7, None),
        transfer_encoding=None,
        content_length=6,
        body_bytes=6,
        server="nginx/1.22.1",
        via=None,
        alt_svc=None,
        x_request_id=None,
        persistent=True,
    )
    return _changed(record, changes)


def exchange(index: int, asked: Request | None, answered: Response | None, **changes: Any) -> Exchange:
    """A request and its response."""
    record = Exchange(
        index=index,
        stream=None,
        inside=False,
        request=asked,
        response=answered,
        interim=[],
        complete=True,
        reset=None,
        race=None,
    )
    return _changed(record, changes)


def traffic(**changes: Any) -> Traffic:
    """A few packets."""
    record = Traffic(
        packets=7,
        bytes=360,
        captured_bytes=360,
        missing_bytes=0,
        retransmitted_bytes=0,
        out_of_order=0,
        zero_windows=0,
        keepalives=0,
        ttl=Ttl(64, None),
        fin_acknowledged=True,
    )
    return _changed(record, changes)


def connection(**changes: Any) -> Connection:
    """Connection 0: one exchange, then the server's FIN after 7 s."""
    record = Connection(
        id=0,
        client=End("10.0.0.2", 46184),
        server=End("10.0.0.1", 8001),
        role_from="syn",
        name="shop.test",
        names=[],
        name_from="host",
        vantage="client",
        start_ns=START_NS,
        end_ns=START_NS + 7_003_300_000,
        first_packet=1,
        last_packet=28,
        opened=Opened("handshake", 1, 0, 60_000, False),
        closed=Closed(
            by="server",
            how="fin",
            packet=25,
            time_ns=START_NS + 7_003 * MS,
            simultaneous=False,
            idle_ns=7_002_480_000,
            announced=None,
            reply="fin",
            reply_packet=27,
            reply_ns=200_000,
            half_closed_ns=200_000,
        ),
        state="SF",
        history="ShADadFf",
        client_traffic=traffic(),
        server_traffic=traffic(bytes=1_500),
        protocol="http/1.1",
        tls=None,
        tunnel=None,
        upgrade=None,
        requests=1,
        responses=1,
        estimate=None,
        exchanges=[exchange(0, request(4, 310_000), response(6, 520_000))],
        http2=None,
        websocket=None,
        grpc=None,
        proxy_protocol=None,
        anomalies=[],
        findings=[],
    )
    return _changed(record, changes)


def tls(**changes: Any) -> Tls:
    """TLS 1.3 by a full handshake in 11 ms, decrypted."""
    record = Tls(
        version="TLS 1.3",
        sni="shop.test",
        alpn_offered=["h2", "http/1.1"],
        alpn="h2",
        cipher="TLS_AES_128_GCM_SHA256",
        resumed=False,
        resumption=None,
        early_data=False,
        retry=False,
        client_certificate=False,
        certificate_names=["shop.test"],
        tickets=2,
        handshake_ns=11 * MS,
        decrypted=True,
        why_not=None,
        client_closes=True,
        server_closes=False,
        alerts=[TlsAlert("client", 9, START_NS, "warning", "close_notify", False)],
    )
    return _changed(record, changes)


def http2_side(**changes: Any) -> Http2Side:
    """Nothing but frames."""
    record = Http2Side(
        settings=[],
        first_window_update=None,
        goaways=[],
        rst_streams={},
        window_updates=0,
        window_stalls_ns=0,
        pings=0,
        frames={},
    )
    return _changed(record, changes)


def http2(**changes: Any) -> Http2:
    """SETTINGS of both sides, a PING and a GOAWAY of the server's."""
    ack_ns = 300_000
    record = Http2(
        client=http2_side(
            settings=[SettingsFrame(4, START_NS, False, {"ENABLE_PUSH": 0}, ["ENABLE_PUSH"], ack_ns)],
            first_window_update=65_535,
            frames={"SETTINGS": 2, "HEADERS": 2, "WINDOW_UPDATE": 1},
            window_updates=1,
        ),
        server=http2_side(
            settings=[
                SettingsFrame(
                    5,
                    START_NS,
                    False,
                    {"MAX_CONCURRENT_STREAMS": 128, "0x2f": 1},
                    ["MAX_CONCURRENT_STREAMS", "0x2f"],
                    None,
                )
            ],
            goaways=[GoawayFrame(12, START_NS, 1, "NO_ERROR", "max_age")],
            rst_streams={"REFUSED_STREAM": 1},
            window_stalls_ns=120 * MS,
            pings=1,
            frames={"SETTINGS": 2, "HEADERS": 1, "DATA": 1, "PING": 1, "GOAWAY": 1, "RST_STREAM": 1},
        ),
        streams=2,
        peak_streams=2,
        stream_limit=128,
        refused_streams=1,
        streams_above_goaway=1,
        headers_reliable=True,
        pings=[PingFrame("server", 9, "0011223344556677", START_NS, 400_000)],
        forbidden_headers=[ForbiddenHeader(6, "connection")],
    )
    return _changed(record, changes)


def filled() -> tuple[Connection, EndpointRecord]:
    """A connection on which everything happened, and an endpoint that has every field."""
    both = connection(
        name_from="sni",
        protocol="h2",
        tls=tls(),
        tunnel=Tunnel("shop.test:443"),
        upgrade=Upgrade("websocket", 8),
        estimate=Estimate(12, "records"),
        http2=http2(),
        websocket=WebSocket(3, 4, 1, 1, WebSocketClose("client", 1000, "bye")),
        grpc=Grpc({"0": 3, "14": 1}),
        proxy_protocol=ProxyProtocol(2, "192.0.2.1:5", "10.0.0.1:443"),
        exchanges=[
            exchange(
                0,
                request(4, 0, connection=None, version="HTTP/2", persistent=None),
                response(6, 1),
                stream=1,
                interim=[Interim(103, 5)],
                inside=True,
                reset=Reset("server", "NO_ERROR"),
                race="after",
            )
        ],
        anomalies=[Anomaly("some_anomaly", 4, "detail")],
    )
    assert both.closed is not None
    both.closed.announced = Announced("server", "goaway", 12, START_NS)
    counted = endpoint(
        announced=[AnnouncedCount("server", "goaway", "client", "fin", 3)],
        estimate=Estimate(12, "records"),
        handshake=Handshakes(TcpHandshakes(6, 60_000), TlsHandshakes(6, 11 * MS, 4)),
    )
    return both, counted


def finding(**changes: Any) -> Finding:
    """nginx closing an idle connection after 7 s."""
    record = Finding(
        code="server-idle-timeout",
        severity="info",
        endpoint="10.0.0.1:8001",
        client=None,
        connections=[0],
        title="10.0.0.1:8001 closes idle connections after 7.00 s",
        how="the server's close came 7.00 s after the last byte, unannounced, on 1 of 1 connections",
        measured={"timeout_ns": 7_000 * MS, "n": 1, "min_ns": 7_000 * MS, "max_ns": 7_000 * MS},
        qualifiers=["few-samples"],
        evidence=[Evidence(0, 25, START_NS + 7_003 * MS, "server FIN, 7.00 s idle")],
        suspects=[Suspect("nginx", "keepalive_timeout", "7s", "Server header")],
        advice=None,
        filter="tcp.stream in {0} && tcp.flags.fin == 1",
    )
    return _changed(record, changes)


def event(
    kind: EventKind,
    packet: int,
    at_ns: int,
    by: Literal["client", "server"] | None,
    index: int | None = None,
    detail: str = "",
) -> EventRecord:
    """An event of connection 0."""
    return EventRecord(0, packet, START_NS + at_ns, by, kind, index, detail)


def nginx_events() -> list[EventRecord]:
    """The events of connection()."""
    return [
        event("syn", 1, 0, "client"),
        event("syn-ack", 2, 43_000, "server"),
        event("established", 3, 60_000, "client"),
        event("request", 4, 310_000, "client", 0, "GET /a"),
        event("request-end", 4, 310_000, "client", 0),
        event("response", 6, 520_000, "server", 0, "200"),
        event("response-end", 6, 520_000, "server", 0),
        event("fin", 25, 7_003_000_000, "server"),
        event("fin", 27, 7_003_200_000, "client"),
    ]


def _changed(record: _Record, changes: dict[str, Any]) -> _Record:
    for name, value in changes.items():
        getattr(record, name)
        setattr(record, name, value)
    return record
