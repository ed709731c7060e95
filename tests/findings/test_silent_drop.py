"""Connections that somebody on the way forgot: after which silence, and what only looks like it."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection
from inspector.records.finding import Finding
from inspector.records.http2 import PingFrame
from tests.findings.cases import conclude, opened
from tests.report.samples import MS, SECOND, START_NS, exchange, http2, request

CODE = "silent-drop"


def dead(idle_s: float, *, tried_s: float = 3.3, rst: bool = False) -> Connection:
    """One exchange, that much silence, and a request that met nothing (or RST) for `tried_s`."""
    connection = opened((0, 5), end_ms=None)
    asked_ns = round((0.005 + idle_s) * SECOND)
    lost = exchange(1, request(29, asked_ns, acknowledged_bytes=0), None, complete=False)
    connection.exchanges.append(lost)
    connection.requests = 2
    connection.end_ns = START_NS + asked_ns + round(tried_s * SECOND)
    if rst:
        ended = opened((0, 5), end_ms=5 + 1_000 * idle_s + 0.06, by="server")
        assert ended.closed is not None
        ended.closed.how, ended.closed.packet, ended.closed.idle_ns = "rst", 30, 60_000
        ended.closed.reply = None
        connection.closed = ended.closed
        lost.race = "crossed"
    else:
        connection.client_traffic.retransmitted_bytes = 180
        connection.client_traffic.fin_acknowledged = None
    return connection


def told(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


def test_request_after_silence_that_nobody_acknowledged() -> None:
    finding = told(*(dead(2) for _ in range(4)))
    assert finding is not None
    assert finding.severity == "problem"
    assert finding.measured == {"idle_ns": 2 * SECOND, "n": 4}
    assert finding.title == "4 connections to shop.test 10.0.0.1:8001 were dead when used again after 2.00 s of silence"
    assert finding.how == (
        "4 requests sent again and again, never acknowledged, as if a NAT, firewall or load balancer on the way had "
        "forgotten them"
    )
    assert finding.qualifiers == []
    assert finding.suspects == [], "nothing that is known forgets so soon"
    assert finding.evidence[0].packet == 29


def test_shortest_silence_names_who_forgets() -> None:
    finding = told(dead(360), dead(900))
    assert finding is not None
    assert finding.measured == {"idle_ns": 360 * SECOND, "n": 2}
    assert [suspect.product for suspect in finding.suspects] == [
        "Azure load balancer or NAT gateway",
        "AWS NLB",
        "AWS NAT gateway",
    ]
    assert finding.advice is not None
    assert "before 359 s" in finding.advice


def test_silence_that_did_no_harm_is_told() -> None:
    survived = opened((0, 5), (100_005, 100_010), end_ms=None)
    finding = told(dead(360), survived)
    assert finding is not None
    assert finding.how.endswith("; silence of 1 min 40 s did no harm")
    assert finding.qualifiers == ["few-samples"]


@pytest.mark.parametrize(("idle_s", "is_told"), [(0.99, False), (1.0, True)])
def test_loss_right_after_other_messages_is_no_forgetting(idle_s: float, is_told: bool) -> None:
    assert (told(dead(idle_s)) is not None) is is_told


@pytest.mark.parametrize(("tried_s", "is_told"), [(0.99, False), (1.0, True)])
def test_what_was_sent_again_for_less_than_a_second_may_be_acknowledged_yet(tried_s: float, is_told: bool) -> None:
    assert (told(dead(2, tried_s=tried_s)) is not None) is is_told


def test_request_that_was_lost_once_and_then_heard() -> None:
    heard = dead(2)
    heard.exchanges[1].request.acknowledged_bytes = 36  # type: ignore[union-attr]
    assert told(heard) is None


def test_slow_answer_was_acknowledged() -> None:
    slow = dead(2, tried_s=60)
    slow.client_traffic.retransmitted_bytes = 0
    assert told(slow) is None


def test_server_that_acknowledged_the_clients_fin_was_there() -> None:
    there = dead(2)
    there.client_traffic.fin_acknowledged = True
    assert told(there) is None


def test_server_that_had_closed_is_a_race() -> None:
    closed = dead(2)
    closed.closed = opened((0, 5), end_ms=1_000, by="server").closed
    assert told(closed) is None


def test_capture_of_one_side_cannot_tell() -> None:
    one_sided = dead(2)
    one_sided.opened.one_sided = True
    assert told(one_sided) is None


def test_probes_break_the_silence() -> None:
    probed = dead(360)
    probed.client_traffic.keepalives = 5
    assert told(probed) is None


def test_pings_of_http2_break_the_silence() -> None:
    pinged = dead(10, tried_s=5)
    pinged.http2 = http2(pings=[PingFrame("client", 9, "00", START_NS + 9_500 * MS, 400_000)])
    assert told(pinged) is None


# ---- RST from nowhere


def test_rst_from_nowhere() -> None:
    finding = told(dead(360, rst=True))
    assert finding is not None
    assert finding.how == (
        "1 request met by RST, though nobody had closed, as if a NAT, firewall or load balancer on the way had "
        "forgotten it"
    )
    assert finding.measured == {"idle_ns": 360 * SECOND, "n": 1}
    assert finding.evidence[0].what == "request after 6 min of silence, met by RST"


@pytest.mark.parametrize(("idle_s", "is_told"), [(29.9, False), (30.0, True)])
def test_rst_after_less_may_be_the_servers(idle_s: float, is_told: bool) -> None:
    assert (told(dead(idle_s, rst=True)) is not None) is is_told


def test_server_with_a_shorter_limit_had_closed() -> None:
    ended = [opened((t, t + 5), end_ms=t + 60_005, by="server") for t in (0, 10)]
    assert told(dead(61, rst=True), *ended) is None
    assert told(dead(60, rst=True), *ended) is None
    assert told(dead(45, rst=True), *ended) is not None


def test_rst_before_the_request_is_a_close() -> None:
    late = dead(60, rst=True)
    assert late.closed is not None
    late.closed.packet = 28
    assert told(late) is None


def test_new_connections_that_were_answered_meanwhile_show_that_the_server_was_there() -> None:
    later = opened((2_100, 2_105), end_ms=2_110)
    finding = told(dead(2), later)
    assert finding is not None
    assert finding.how.endswith("; 1 new connection was answered")
    earlier = opened((100, 105), end_ms=110)
    finding = told(dead(2), earlier)
    assert finding is not None
    assert "new connection" not in finding.how
