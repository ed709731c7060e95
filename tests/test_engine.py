"""The engine as its callers use it: what is selected, what is handed out when, and that options change no fact."""

from __future__ import annotations

import pytest

from inspector.engine import MAX_LAYERS, Inspector, Options
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import REQUEST, Talk, inspect, opened


def _three() -> list[Talk]:
    """Closed, open, unanswered; the first is used again long after its end."""
    closed = Talk("10.0.0.1:1", start=0).handshake().exchange().close("server").wait(5).c("ACK").c("ACK")
    still_open = Talk("10.0.0.1:2", start=1).handshake().exchange()
    unanswered = Talk("10.0.0.1:3", "10.0.0.9:443", start=2).c("SYN")
    return [closed, still_open, unanswered]


def test_nothing() -> None:
    inspection = Inspector().finish()
    assert (inspection.connections, inspection.endpoints, inspection.anomalies) == ([], [], {})
    assert inspection.capture.packets == 0
    assert (inspection.capture.first_ns, inspection.capture.last_ns) == (None, None)


def test_what_is_no_tcp_is_counted_by_reason() -> None:
    inspector = Inspector()
    frames = [b"\xff" * 60, Talk().c("SYN").packets[0].data, bytes(12) + b"\x08\x06" + bytes(40), b"", b"\0" * 14]
    for batch in MemorySource([(number, frame) for number, frame in enumerate(frames)]):
        inspector.feed(batch)
    capture = inspector.finish().capture
    assert (capture.packets, capture.tcp_segments, sum(capture.skipped.values())) == (5, 1, 4)


def test_first_and_last_times_are_the_earliest_and_the_latest() -> None:
    packets = [(500, b"\xff" * 60), (100, b"\xff" * 60), (900, b"\xff" * 60), (300, b"\xff" * 60)]
    for batch_rows in (1, 4):
        inspector = Inspector()
        for batch in MemorySource(packets, batch_rows=batch_rows):
            inspector.feed(batch)
        capture = inspector.finish().capture
        assert (capture.first_ns, capture.last_ns) == (100, 900)


def test_selection_changes_neither_ids_nor_capture_counts() -> None:
    everything = inspect(*_three())
    selected = inspect(*_three(), options=Options(select=lambda connection: connection.server.port == 443))
    assert [connection.id for connection in everything.connections] == [0, 1, 2]
    assert [connection.id for connection in selected.connections] == [2]
    assert selected.connections == everything.connections[2:]
    assert [endpoint.port for endpoint in selected.endpoints] == [443]
    assert selected.capture == everything.capture


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_connections_are_handed_out_as_they_end(batch_rows: int) -> None:
    handed: list[Connection] = []
    inspection = inspect(*_three(), options=Options(on_connection=handed.append), batch_rows=batch_rows)
    assert sorted(connection.id for connection in handed) == [0, 1, 2]
    assert handed[0].id == 0, "the only one that ended in the capture"
    assert inspection.connections == sorted(handed, key=lambda connection: connection.id)


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_late_segments_are_an_anomaly_once_a_connection(batch_rows: int) -> None:
    talk = opened().close().wait(5).s("ACK").wait(1).s("ACK").wait(1).s("ACK")
    other = Talk("10.0.0.1:1", start=4).c("SYN")
    assert inspect(talk, other, batch_rows=batch_rows).anomalies == {"after_close": 1}


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_late_segments_of_what_is_not_selected_are_no_anomaly(batch_rows: int) -> None:
    talk = opened().close().wait(5).s("ACK").wait(1).s("ACK")
    inspection = inspect(talk, options=Options(select=lambda connection: False), batch_rows=batch_rows)
    assert inspection.anomalies == {}
    assert inspection.capture.tcp_segments == 8


def test_events_of_some_connections() -> None:
    everything = inspect(*_three(), options=Options(events=True)).events
    assert {event.connection for event in everything} == {0, 1, 2}
    some = inspect(*_three(), options=Options(events=True, events_of=frozenset({1}))).events
    assert some == [event for event in everything if event.connection == 1]
    assert inspect(*_three()).events == []


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_events_of_what_is_not_selected_are_not_told(batch_rows: int) -> None:
    everything = inspect(*_three(), options=Options(events=True)).events
    handed: list[EventRecord] = []
    for told in (None, handed.append):
        options = Options(events=True, select=lambda connection: connection.id == 1, on_event=told)
        inspection = inspect(*_three(), options=options, batch_rows=batch_rows)
        assert (handed if told else inspection.events) == [event for event in everything if event.connection == 1]
    none = Options(events=True, select=lambda connection: False)
    assert inspect(*_three(), options=none, batch_rows=batch_rows).events == []


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_events_are_handed_out_in_the_order_of_the_capture(batch_rows: int) -> None:
    handed: list[EventRecord] = []
    inspection = inspect(*_three(), options=Options(events=True, on_event=handed.append), batch_rows=batch_rows)
    assert inspection.events == []
    assert [(event.time_ns, event.packet) for event in handed] == sorted(
        (event.time_ns, event.packet) for event in handed
    )
    assert handed == inspect(*_three(), options=Options(events=True), batch_rows=batch_rows).events


def test_what_an_event_log_says() -> None:
    talk = opened().c(REQUEST).c(REQUEST, at=0).close()
    events = inspect(talk, options=Options(events=True)).events
    assert [(event.packet, event.by, event.event, event.detail) for event in events] == [
        (1, "client", "syn", ""),
        (2, "server", "syn-ack", ""),
        (3, "client", "established", ""),
        (4, "client", "request", "GET /"),
        (4, "client", "request-end", "0 bytes"),
        (5, "client", "retransmission", f"{len(REQUEST)} bytes"),
        (6, "client", "fin", ""),
        (7, "server", "fin", ""),
    ]


def test_names_only_when_wanted() -> None:
    talk = opened().exchange()
    assert inspect(talk).connections[0].name == "a.example"
    (connection,) = inspect(talk, options=Options(names=False)).connections
    assert (connection.name, connection.names, connection.name_from) == (None, [], None)


def test_secrets_only_when_wanted() -> None:
    talk = opened().c(b"GET /a?token=s3cret HTTP/1.1\r\nHost: a\r\n\r\n")
    for show, target in ((False, "/a?…"), (True, "/a?token=s3cret")):
        inspection = inspect(talk, options=Options(events=True, show_secrets=show))
        request = inspection.connections[0].exchanges[0].request
        assert request is not None
        assert request.target == target
        assert ("s3cret" in str(inspection)) == show


def test_tunnels_inside_one_another_are_looked_into_to_a_bound() -> None:
    """Each takes some of the stack, and asks the one inside it for the last application byte."""
    talk = opened()
    for _ in range(400):
        talk.c(b"CONNECT a:1 HTTP/1.1\r\n\r\n").s(b"HTTP/1.1 200 OK\r\n\r\n")
    (connection,) = inspect(talk.close()).connections
    assert connection.requests == connection.responses == MAX_LAYERS + 1
    assert connection.closed is not None
    assert connection.closed.idle_ns == 1_000_000, "bytes that nobody looks into are an application's, too"
    assert inspect(talk, batch_rows=1).connections == [connection]
