"""Connections that came to nothing: one finding a cause, also where there are a thousand of them."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.findings.judge import judge
from inspector.records.connection import Anomaly, Connection, End, Opened
from inspector.records.finding import Finding
from tests.findings.cases import conclude, opened
from tests.report.samples import MS, SECOND, START_NS, capture, connection, endpoint


def failed(how: str, at_ms: float = 0, *, retries: int = 0, tried_ms: float = 0, **changes: Any) -> Connection:
    """A SYN that met RST ("refused") or nothing ("unanswered"), sent again for `tried_ms`."""
    start_ns = START_NS + round(at_ms * MS)
    record = connection(
        start_ns=start_ns,
        end_ns=start_ns + round(tried_ms * MS),
        name=None,
        exchanges=[],
        requests=0,
        responses=0,
        protocol="none",
        history="Sr" if how == "refused" else "S",
        opened=Opened(how, 1, retries, None, how == "unanswered"),  # type: ignore[arg-type]
    )
    if how == "unanswered":
        record.closed = None
    else:
        assert record.closed is not None
        record.closed.by, record.closed.how, record.closed.time_ns, record.closed.idle_ns = (
            "server",
            "rst",
            start_ns,
            None,
        )
    for name, value in changes.items():
        getattr(record, name)
        setattr(record, name, value)
    return record


def everywhere(*connections: Connection, last_s: float = 60) -> list[Finding]:
    """What is concluded from connections to several endpoints."""
    for i, one in enumerate(connections):
        one.id, one.findings = i, []
    servers = dict.fromkeys((one.server.ip, one.server.port) for one in connections)
    places = [endpoint(ip=ip, port=port, name=None) for ip, port in servers]
    return judge(capture(last_ns=START_NS + round(last_s * SECOND)), places, connections)


# ---- refused


def test_nothing_listens() -> None:
    finding = conclude(failed("refused"), failed("refused", 10))["refused"]
    assert finding.severity == "problem"
    assert finding.measured == {"n": 2, "retries": 0, "taken": 0, "endpoints": 1}
    assert finding.title == "shop.test 10.0.0.1:8001 refused 2 connections"
    assert finding.how == "SYN was met by RST within 10 ms"
    assert finding.advice == "see whether a server runs there, on this address and port"
    assert finding.filter == "tcp.stream in {0..1} && (tcp.flags.syn == 1 || tcp.flags.reset == 1)"


def test_server_that_was_away_for_a_moment() -> None:
    finding = conclude(opened((0, 5), end_ms=6), *(failed("refused", 10 * i) for i in range(1, 4)))["refused"]
    assert finding.title == "shop.test 10.0.0.1:8001 refused 3 of 4 connections"
    assert finding.how == "SYN was met by RST within 20 ms; it took 1 other"
    assert finding.measured == {"n": 3, "retries": 0, "taken": 1, "endpoints": 1}
    assert finding.advice is not None
    assert "restarted" in finding.advice


def test_clients_of_one_server_are_one_finding() -> None:
    connections = [failed("refused", i, client=End(f"10.0.1.{i}", 40_000)) for i in range(200)]
    finding = conclude(*connections)["refused"]
    assert finding.client is None
    assert "SYN of 200 clients" in finding.how


def test_client_that_sends_syn_again_after_rst() -> None:
    """Windows does so twice."""
    assert conclude(failed("refused", retries=2))["refused"].measured["retries"] == 2


def test_rst_without_its_syn_accuses_nobody() -> None:
    stray = failed("refused", opened=Opened("refused", None, 0, None, True))
    assert "refused" not in conclude(stray)


# ---- unanswered


def test_nobody_is_there() -> None:
    finding = conclude(failed("unanswered", retries=3, tried_ms=3_078))["unanswered"]
    assert finding.measured == {"n": 1, "retries": 3, "taken": 0, "endpoints": 1}
    assert finding.title == "shop.test 10.0.0.1:8001 did not answer 1 connection"
    assert finding.how == "no answer; SYN was sent again 3 times in up to 3.08 s"
    assert finding.evidence[0].what == "SYN, not answered, sent again 3 times"


def test_router_that_says_why() -> None:
    odd = Anomaly("icmp_unreachable", 2, "type 3 code 13: communication administratively prohibited")
    finding = conclude(failed("unanswered", retries=1, tried_ms=1_000, anomalies=[odd]))["unanswered"]
    assert finding.how.startswith("no answer but ICMP: communication administratively prohibited; ")
    assert finding.advice == "see what the router that answered lets through"


@pytest.mark.parametrize(("last_s", "is_told"), [(0.999, False), (1.0, True)])
def test_syn_shortly_before_the_end_may_be_answered_yet(last_s: float, is_told: bool) -> None:
    codes = [finding.code for finding in everywhere(failed("unanswered"), last_s=last_s)]
    assert codes == (["unanswered"] if is_told else [])


def test_syn_that_was_sent_again_has_waited() -> None:
    findings = everywhere(failed("unanswered", retries=1, tried_ms=1_000), last_s=0.5)
    assert [finding.code for finding in findings] == ["unanswered"]


def test_client_that_goes_on_was_answered_where_the_capture_did_not_look() -> None:
    assert everywhere(failed("unanswered", history="SADF")) == []


def test_client_that_gave_up_with_rst_was_not_refused() -> None:
    gave_up = failed("unanswered", retries=1, tried_ms=1_500, history="SR")
    gave_up.closed = opened((0, 5), end_ms=1_500).closed
    finding = conclude(gave_up)["unanswered"]
    assert finding.evidence[0].what == "SYN, not answered, sent again 1 time"


def test_server_that_takes_others_may_be_full() -> None:
    finding = conclude(opened((0, 5), end_ms=3_000), failed("unanswered", 10, retries=1, tried_ms=1_000))["unanswered"]
    assert finding.title == "shop.test 10.0.0.1:8001 did not answer 1 of 2 connections"
    assert finding.advice is not None
    assert "queue" in finding.advice


# ---- many endpoints


def test_scan_of_a_thousand_ports_is_one_finding() -> None:
    ports = [failed("refused", i, server=End("10.0.0.1", 1 + i)) for i in range(1_000)]
    web = [opened((2_000, 2_005), end_ms=2_006, server=End("10.0.0.1", 8080))]
    (finding,) = [finding for finding in everywhere(*ports, *web) if finding.code == "refused"]
    assert finding.severity == "notice"
    assert finding.title == "10.0.0.2 was refused by 10.0.0.1 on 1,000 ports (1, 2, 3, 4, …)"
    assert finding.how == "SYN was met by RST, on 1,000 connections; so many look like a scan"
    assert finding.measured == {"n": 1_000, "retries": 0, "taken": 0, "endpoints": 1_000}
    assert finding.connections == list(range(1_000))
    assert finding.filter == "ip.addr == 10.0.0.2 && (tcp.flags.syn == 1 || tcp.flags.reset == 1)"
    assert all(port.findings == ["refused"] for port in ports)


def test_network_that_is_away_is_one_finding_and_a_problem() -> None:
    hosts = [failed("unanswered", retries=1, tried_ms=1_000, server=End(f"10.0.0.{1 + i}", 5432)) for i in range(5)]
    (finding,) = everywhere(*hosts)
    assert finding.severity == "problem"
    assert finding.title == (
        "10.0.0.2 had no answer from 5 hosts, port 5432 (10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, …)"
    )
    assert finding.how == "no answer, SYN was sent again 5 times, on 5 connections"
    assert finding.advice == "see what these have in common: a network, a firewall, a release"


def test_nineteen_are_no_scan_and_twenty_are() -> None:
    ports = [failed("refused", server=End("10.0.0.1", 1 + i)) for i in range(20)]
    assert [finding.severity for finding in everywhere(*ports[:19])] == ["problem"]
    assert [finding.severity for finding in everywhere(*ports)] == ["notice"]


def test_four_endpoints_are_told_one_by_one() -> None:
    assert len(everywhere(*(failed("refused", server=End("10.0.0.1", 1 + i)) for i in range(4)))) == 4


def test_server_that_took_others_is_told_by_itself() -> None:
    ports = [failed("refused", server=End("10.0.0.1", 1 + i)) for i in range(6)]
    restarted = [
        opened((0, 5), end_ms=6, server=End("10.0.0.9", 80)),
        failed("refused", 10, server=End("10.0.0.9", 80)),
    ]
    titles = [finding.title for finding in everywhere(*ports, *restarted) if finding.code == "refused"]
    assert titles == [
        "10.0.0.2 was refused by 10.0.0.1 on 6 ports (1, 2, 3, 4, …)",
        "10.0.0.9:80 refused 1 of 2 connections",
    ]


def test_connection_from_before_the_capture_was_taken_too() -> None:
    ports = [failed("refused", server=End("10.0.0.1", 1 + i)) for i in range(5)]
    before = opened((0, 5), end_ms=None, server=End("10.0.0.1", 1), opened=Opened("mid-stream", None, 0, None, False))
    found = [finding for finding in everywhere(*ports, before) if finding.code == "refused"]
    assert len(found) == 5, "four are not many"
    assert found[0].measured["taken"] == 1


def test_clients_are_told_apart() -> None:
    ports = [failed("refused", server=End("10.0.0.1", 1 + i), client=End(f"10.0.1.{i % 2}", 40_000)) for i in range(10)]
    assert sorted(finding.client or "" for finding in everywhere(*ports)) == ["10.0.1.0", "10.0.1.1"]


def test_several_clients_and_one_host() -> None:
    ports = [
        failed("refused", server=End("10.0.0.1", 1 + i), client=End(f"10.0.1.{j}", 40_000))
        for i in range(5)
        for j in (0, 1)
    ]
    (finding,) = everywhere(*ports)
    assert finding.client is None
    assert finding.title.startswith("everybody was refused by 10.0.0.1 on 5 ports")
    assert finding.filter.startswith("ip.addr == 10.0.0.1 && ")


def test_hosts_of_ipv6() -> None:
    ports = [failed("refused", server=End("fd00::1", 1 + i), client=End("fd00::2", 40_000)) for i in range(5)]
    (finding,) = everywhere(*ports)
    assert finding.title.startswith("fd00::2 was refused by [fd00::1] on 5 ports")
    assert finding.filter.startswith("ipv6.addr == fd00::2 && ")
