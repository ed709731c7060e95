"""CLOSE_WAIT: who does not close, when that is a lazy pool, when it is a leak, and when nothing waits at all."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.records.connection import Connection, End
from inspector.records.exchange import Reset
from inspector.records.finding import Finding
from tests.findings.cases import conclude, opened
from tests.report.samples import MS, SECOND, START_NS

CODE = "half-closed-leak"


def waiting(seconds: float, *, at_ms: float = 100, by: str = "server", **changes: Any) -> Connection:
    """One exchange, FIN at `at_ms`, and for so many seconds no answer to it."""
    connection = opened((0, 5), end_ms=at_ms, by=by, **changes)
    closed = connection.closed
    assert closed is not None
    closed.reply = closed.reply_packet = closed.reply_ns = None
    closed.half_closed_ns = round(seconds * SECOND)
    return connection


def told(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


def test_server_closed_and_the_client_has_not_noticed() -> None:
    finding = told(waiting(4.2))
    assert finding is not None
    assert finding.severity == "info"
    assert finding.measured == {"n": 1, "oldest_ns": 4_200 * MS, "side": "client"}
    assert finding.title == "the client leaves 1 connection open on its side that shop.test 10.0.0.1:8001 closed"
    assert finding.how == (
        "CLOSE_WAIT on the client for up to 4.20 s, until the capture ended, 1 at once; "
        "a lazy pool closes at its next use"
    )
    assert finding.advice is None
    (suspect,) = finding.suspects
    assert suspect.product == "requests / urllib3 2.32"
    assert finding.evidence[0].what == "server FIN, not answered in 4.20 s"


@pytest.mark.parametrize(("seconds", "is_told"), [(2.999, False), (3.0, True)])
def test_three_seconds_are_the_least(seconds: float, is_told: bool) -> None:
    assert (told(waiting(seconds)) is not None) is is_told


@pytest.mark.parametrize(("seconds", "severity"), [(59.9, "info"), (60.0, "warning")])
def test_a_minute_is_a_leak(seconds: float, severity: str) -> None:
    finding = told(waiting(seconds))
    assert finding is not None
    assert finding.severity == severity


def test_three_at_once_are_a_leak() -> None:
    assert told(*(waiting(4) for _ in range(2))).severity == "info"  # type: ignore[union-attr]
    finding = told(*(waiting(4 + i) for i in range(3)))
    assert finding is not None
    assert finding.severity == "warning"
    assert finding.measured == {"n": 3, "oldest_ns": 6 * SECOND, "side": "client"}
    assert [one.connection for one in finding.evidence] == [2, 1, 0], "the oldest first"
    assert finding.advice is not None
    assert finding.advice.startswith("let requests / urllib3 close")


def test_three_one_after_another_are_a_lazy_pool() -> None:
    finding = told(*(waiting(4, at_ms=5_000 * i + 100) for i in range(3)))
    assert finding is not None
    assert finding.severity == "info"
    assert ", 1 at once" in finding.how


def test_one_each_on_three_clients_are_lazy_pools() -> None:
    connections = [waiting(4) for _ in range(3)]
    for i, connection in enumerate(connections):
        connection.client = End(f"10.0.1.{i}", 40_000)
    finding = told(*connections)
    assert finding is not None
    assert finding.severity == "info"
    assert finding.client is None


def test_connection_that_was_closed_after_all_waited_all_the_same() -> None:
    late = waiting(5)
    assert late.closed is not None
    late.closed.reply = "fin"
    finding = told(late)
    assert finding is not None
    assert "until the capture ended" not in finding.how
    assert finding.evidence[0].what == "server FIN, answered by FIN in 5.00 s"


def test_one_of_two_hosts_leaks() -> None:
    connections = [waiting(4) for _ in range(4)]
    connections[0].client = End("10.0.1.1", 40_000)
    finding = told(*connections)
    assert finding is not None
    assert finding.severity == "warning"


def test_connection_that_carried_nothing_waits_too() -> None:
    assert told(waiting(4, protocol="none", exchanges=[])) is not None
    assert told(opened((0, 5), end_ms=None), opened((0, 5), end_ms=10)) is None


def test_stream_that_was_reset_is_over() -> None:
    given_up = waiting(4, by="client")
    given_up.exchanges[0].response, given_up.exchanges[0].reset = None, Reset("client", "CANCEL")
    finding = told(given_up)
    assert finding is not None
    assert "lazy" not in finding.how, "servers have no pool"


def test_server_that_does_not_close() -> None:
    finding = told(waiting(70, by="client"))
    assert finding is not None
    assert finding.measured["side"] == "server"
    assert finding.title == "shop.test 10.0.0.1:8001 leaves 1 connection open on its side that the client closed"


def test_fin_that_nobody_acknowledged_tells_nothing_of_the_other_side() -> None:
    connection = waiting(70)
    connection.server_traffic.fin_acknowledged = False
    assert told(connection) is None


def test_client_that_reads_on_has_closed_by_intent() -> None:
    reading = waiting(70, at_ms=3, by="client")
    assert told(reading) is None, "the response ended after the FIN"
    unanswered = waiting(70, by="client")
    unanswered.exchanges[0].response = None
    assert told(unanswered) is None, "the server is still at work"


def test_client_that_sends_on_after_the_servers_fin() -> None:
    uploading = waiting(70)
    assert uploading.exchanges[0].request is not None
    uploading.exchanges[0].request.end_ns = START_NS + 30 * SECOND
    assert told(uploading) is None


def test_what_cannot_be_read_waits_where_nothing_came() -> None:
    assert told(waiting(70, protocol="unknown", exchanges=[])) is not None
    moving = waiting(70, protocol="unknown", exchanges=[])
    moving.end_ns += 20 * SECOND
    assert told(moving) is None
    replied = waiting(70, protocol="websocket", exchanges=[])
    assert replied.closed is not None
    replied.closed.reply = "fin"
    assert told(replied) is None


def test_encrypted_connection_waits_when_the_server_closed() -> None:
    assert told(waiting(4, protocol="tls", exchanges=[])) is not None
    late = waiting(4, protocol="tls", exchanges=[])
    late.end_ns += 4 * SECOND
    assert told(late) is not None, "it answered in the end"
    moving = waiting(4, protocol="tls", exchanges=[], by="client")
    moving.end_ns += 3 * SECOND
    assert told(moving) is None


def test_connections_opened_while_others_waited_are_counted() -> None:
    finding = told(*(waiting(10) for _ in range(3)), opened((5_000, 5_005), end_ms=5_010))
    assert finding is not None
    assert finding.how.endswith("3 at once; 1 other opened meanwhile")
    finding = told(*(waiting(10) for _ in range(3)), opened((20_000, 20_005), end_ms=20_010))
    assert finding is not None
    assert "meanwhile" not in finding.how
