"""What the event log says of TLS, HTTP/2 and the others: events in, lines out."""

from __future__ import annotations

from typing import get_args

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, StreamChunk
from inspector.engine import Options
from inspector.events import (
    Alert,
    AlertReceived,
    ClientHelloReceived,
    Event,
    Goaway,
    GoawayReceived,
    Http2Account,
    Http2Started,
    PingReceived,
    ProxyHeaderReceived,
    RequestReceived,
    ResponseReceived,
    Settings,
    SettingsReceived,
    StreamReset,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
    TrailersReceived,
    WebSocketAccount,
    WebSocketClose,
    WebSocketClosed,
    WebSocketStarted,
    WindowStalled,
)
from inspector.records.described import described
from inspector.records.event import EventKind, EventRecord
from inspector.records.log import EventLog
from inspector.tcp.connection import Connection
from tests.records.scripted import PREFACE, Script, ScriptedDecoder, at, play, request, response
from tests.tcp.playbook import MILLISECOND, START_NS, inspect, opened

EVENTS = Options(events=True)


def _settings(ack: bool, **values: int) -> SettingsReceived:
    return at(4, SettingsReceived, FROM_CLIENT, Settings(4, 0, ack, values, list(values)))


def _goaway(last: int, debug: str) -> GoawayReceived:
    return at(5, GoawayReceived, FROM_SERVER, Goaway(5, 0, last, "NO_ERROR", debug))


def _alert(level: str | None, description: str | None, inferred: bool = False) -> AlertReceived:
    return at(5, AlertReceived, Alert(5, 0, FROM_SERVER, level, description, inferred))


def _close(code: int | None, reason: str) -> WebSocketClosed:
    return at(4, WebSocketClosed, WebSocketClose(FROM_CLIENT, code, reason))


def _established(handshake_ns: int | None, **facts: object) -> TlsEstablished:
    return at(4, TlsEstablished, handshake_ns, TlsAccount(**facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (at(4, ClientHelloReceived, "a.test", ["h2", "http/1.1"]), "client client-hello a.test, offers h2 http/1.1"),
        (at(4, ClientHelloReceived, None, []), "client client-hello no server name"),
        (
            _established(
                11_200_000, version="TLS 1.3", resumed=False, alpn_offered=["h2", "http/1.1"], alpn="http/1.1"
            ),
            "client tls TLS 1.3, full handshake, 11.20 ms, ALPN h2 http/1.1 → http/1.1",
        ),
        (
            _established(
                None,
                version="TLS 1.2",
                resumed=True,
                resumption="ticket",
                alpn_offered=["h2"],
                retry=True,
                early_data=True,
                client_certificate=True,
            ),
            "client tls TLS 1.2, resumed by ticket, ALPN h2 offered, after a HelloRetryRequest, early data, "
            "client certificate asked for",
        ),
        (_established(1_250_000_000), "client tls TLS, 1.25 s"),
        (_alert("warning", "close_notify"), "server close-notify"),
        (_alert(None, "close_notify", inferred=True), "server close-notify told from its length"),
        (_alert("fatal", "unknown_ca"), "server alert fatal unknown_ca"),
        (_alert(None, None), "server alert encrypted"),
        (_settings(False, ENABLE_PUSH=0, HEADER_TABLE_SIZE=9), "client settings ENABLE_PUSH=0, HEADER_TABLE_SIZE=9"),
        (_settings(True), "client settings-ack"),
        (_goaway(7, "max_age"), 'server goaway NO_ERROR, last stream 7, says "max_age"'),
        (_goaway(2**31 - 1, ""), "server goaway NO_ERROR, last stream 2147483647"),
        (at(4, PingReceived, FROM_CLIENT, False, "00ff", None), "client ping 00ff"),
        (at(5, PingReceived, FROM_SERVER, True, "00ff", 400_000), "server ping-ack 00ff, after 0.40 ms"),
        (at(5, StreamReset, 0, 3, FROM_SERVER, "CANCEL"), "server stream-reset CANCEL, stream 3"),
        (at(5, WindowStalled, FROM_SERVER, 0, 120_000_000), "server window-stall 120.00 ms, the connection"),
        (at(5, WindowStalled, FROM_CLIENT, 3, 1_201_700_000), "client window-stall 1.20 s, stream 3"),
        (at(5, TrailersReceived, 0, 1, FROM_SERVER, "14"), "server trailers grpc-status 14"),
        (at(4, TrailersReceived, 0, 1, FROM_CLIENT, None), "client trailers"),
        (_close(1001, "going away"), "client websocket-close 1001 going away"),
        (_close(None, ""), "client websocket-close no status"),
        (
            at(4, ProxyHeaderReceived, 1, "192.0.2.1:5", "[2001:db8::1]:80"),
            "client proxy-header version 1, 192.0.2.1:5 → [2001:db8::1]:80",
        ),
        (at(4, ProxyHeaderReceived, 2, None, None), "client proxy-header version 2, nobody named → nobody named"),
    ],
)  # fmt: skip
def test_a_line_an_event(event: Event, line: str) -> None:
    words = described(event)
    assert words is not None
    assert f"{words.by} {words.kind} {words.detail}".strip() == line
    assert words.kind in get_args(EventKind)


def test_a_handshake_of_which_nothing_was_seen_has_no_line() -> None:
    assert described(_established(None)) is None


def test_what_hands_over_an_account_has_no_line() -> None:
    for event in (
        at(4, TlsStarted, TlsAccount()),
        at(4, Http2Started, Http2Account()),
        at(4, WebSocketStarted, WebSocketAccount()),
    ):
        assert described(event) is None


def test_what_could_not_be_read_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = request(4, 0, 1), response(5, 0, 1)
    assert isinstance(asked, RequestReceived)
    assert isinstance(answered, ResponseReceived)
    asked.fields.method = asked.fields.target = answered.fields.status = None
    assert [event.detail for event in _log(monkeypatch, asked, answered) if event.exchange == 0] == ["? ?", "?"]


def _log(monkeypatch: pytest.MonkeyPatch, *events: Event, options: Options = EVENTS) -> list[EventRecord]:
    play(monkeypatch, Script(*events, application=[4, 5]))
    return inspect(opened().c(PREFACE).s(b"answer").close(), options=options).events


def test_events_are_in_the_log_with_their_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    events = _log(
        monkeypatch,
        request(4, 0, 1),
        at(5, Http2Started, Http2Account()),
        at(5, TrailersReceived, 0, 1, FROM_SERVER, "0"),
        at(5, StreamReset, 0, 1, FROM_SERVER, "NO_ERROR"),
        at(5, StreamReset, None, 3, FROM_SERVER, "CANCEL"),
    )
    assert [(event.event, event.exchange) for event in events if 4 <= event.packet <= 5] == [
        ("request", 0),
        ("trailers", 0),
        ("stream-reset", 0),
        ("stream-reset", None),
    ]


def test_secrets_in_text_from_the_wire_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = [
        at(4, ClientHelloReceived, "a?token=s3cret", []),
        _goaway(1, "bearer s3cret"),
        _close(1000, "see /?k=s3cret"),
    ]
    assert "s3cret" not in str(_log(monkeypatch, *events))
    assert str(_log(monkeypatch, *events, options=Options(events=True, show_secrets=True))).count("s3cret") == 3


def _no_sink(connection: Connection, start: StreamChunk | None) -> ScriptedDecoder:
    return ScriptedDecoder(lambda event: None, Script())


def test_a_handshake_is_told_as_it_was_when_it_was_over() -> None:
    """However batches are cut: the decoder goes on with its account."""
    log, account = EventLog(show_secrets=False), TlsAccount(version="TLS 1.3", resumed=False)
    connection = Connection(((0, 1, 2), (0, 3, 4)), 0, "syn", 1, START_NS, _no_sink)
    log.note(connection, at(4, TlsEstablished, 5 * MILLISECOND, account))
    account.version, account.resumed = "TLS 1.2", None
    assert [event.detail for event in log.take()] == ["TLS 1.3, full handshake, 5.00 ms"]
