"""RST that its sender did not send, told by the time to live; and differences that accuse nobody."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection, End, Side, Ttl
from inspector.records.finding import Finding
from tests.findings.cases import conclude, opened
from tests.report.samples import SECOND, exchange, request

CODE = "foreign-reset"


def cut(rst: int | None, usual: int = 63, *, by: Side = "server", at_ms: float = 10) -> Connection:
    """One exchange, then RST with this time to live."""
    connection = opened((0, 5), end_ms=at_ms, by=by)
    assert connection.closed is not None
    connection.closed.how = "rst"
    traffic = connection.client_traffic if by == "client" else connection.server_traffic
    traffic.ttl = Ttl(usual, rst)
    return connection


def met_after(seconds: float) -> Connection:
    """A foreign RST that met a request after so much silence."""
    at_ns = 5_000_000 + round(seconds * SECOND)
    connection = cut(64, at_ms=5 + 1_000 * seconds + 0.1)
    connection.exchanges.append(exchange(1, request(20, at_ns, acknowledged_bytes=0), None, complete=False))
    return connection


def told(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


def test_rst_of_a_firewall() -> None:
    finding = told(*(cut(64) for _ in range(4)))
    assert finding is not None
    assert finding.severity == "problem"
    assert finding.measured == {"ttl": 64, "usual_ttl": 63, "n": 4}
    assert finding.title == "RST of somebody else cut 4 connections to shop.test 10.0.0.1:8001"
    assert finding.how == "4 of 4 RST came with time to live 64, the server's other packets with 63"
    assert finding.evidence[0].what == "RST in the server's name, time to live 64 instead of 63"
    assert finding.filter == "tcp.stream in {0..3} && tcp.flags.reset == 1"
    assert finding.suspects == []


def test_rst_in_the_clients_name() -> None:
    finding = told(cut(113, 64, by="client"), cut(113, 64, by="client"))
    assert finding is not None
    assert finding.how == "2 of 2 RST came with time to live 113, the client's other packets with 64"
    assert finding.client == "10.0.0.2"


@pytest.mark.parametrize(("rst", "severity"), [(64, "notice"), (50, "problem"), (61, "notice"), (60, "problem")])
def test_single_rst_from_nearby_may_have_come_another_way(rst: int, severity: str) -> None:
    finding = told(cut(rst))
    assert finding is not None
    assert finding.severity == severity
    assert finding.title.startswith("a RST from elsewhere, or another way, cut" if severity == "notice" else "RST of")
    assert finding.qualifiers == ["few-samples"]


def test_hosts_own_rst_is_none() -> None:
    assert told(cut(63), cut(None)) is None


def test_other_initial_value_from_just_as_far_accuses_nobody() -> None:
    assert told(cut(254, 63), cut(127, 63)) is None
    assert told(cut(255, 63), cut(255, 63)) is not None


def test_other_way_of_the_hosts_packets_accuses_nobody() -> None:
    there = opened((0, 5), end_ms=6)
    there.server_traffic.ttl = Ttl(61, None)
    assert told(cut(61), cut(61), there) is None
    there.server_traffic.packets = 3
    assert told(cut(61), cut(61), there) is None
    there.server_traffic.packets = 2
    assert told(cut(61), cut(61), there) is not None, "what refused may be the firewall itself"
    assert told(cut(61), cut(61)) is not None


def test_two_packets_are_no_custom() -> None:
    short = cut(64)
    short.server_traffic.packets = 2
    assert told(short) is None
    short.server_traffic.packets = 3
    assert told(short) is not None


def test_rst_after_the_close_ended_nothing() -> None:
    closed = [opened((0, 5), end_ms=10, by=by) for by in ("client", "server")]
    closed.append(cut(64, 64, by="client"))
    for connection in closed:
        connection.server_traffic.ttl = Ttl(63, 64)
    assert told(*closed) is None
    still_open = opened((0, 5), end_ms=None)
    still_open.server_traffic.ttl = Ttl(63, 64)
    assert told(still_open) is None


def test_rst_that_met_a_request_after_silence() -> None:
    findings = conclude(met_after(360))
    assert findings[CODE].how == (
        "1 of 1 RST came with time to live 64, the server's other packets with 63; each after 6 min of silence"
    )
    assert findings[CODE].suspects[-1].product == "AWS NAT gateway"
    assert "silent-drop" not in findings, "one cause, one finding"


def test_other_hosts_way_is_no_excuse() -> None:
    there = opened((0, 5), end_ms=6, client=End("10.0.0.3", 40_000))
    there.client_traffic.ttl = Ttl(113, None)
    assert told(cut(113, 64, by="client"), cut(113, 64, by="client"), there) is not None


def test_shortest_silence_is_told_where_there_was_one_each_time() -> None:
    finding = told(met_after(2), met_after(1))
    assert finding is not None
    assert finding.how.endswith("; each after 1.00 s of silence")
    for others in ((met_after(2), met_after(0.99)), (met_after(2), cut(64))):
        finding = told(*others)
        assert finding is not None
        assert "silence" not in finding.how


def test_share_of_all_rst_in_the_servers_name() -> None:
    others = [cut(64, 64, by="client"), opened((0, 5), end_ms=None), opened((0, 5), end_ms=6)]
    for connection in others:
        connection.server_traffic.ttl = Ttl(63, None)
    finding = told(cut(64), cut(64), cut(63), *others)
    assert finding is not None
    assert finding.how.startswith("2 of 3 RST came with time to live 64")


def test_foreign_rst_is_no_timer_of_the_server() -> None:
    idle = [cut(64, at_ms=5_005) for _ in range(3)]
    assert set(conclude(*idle)) & {CODE, "server-idle-timeout"} == {CODE}
