"""The figures of reuse, told of every endpoint with requests, and complaining of none."""

from __future__ import annotations

from inspector.records.connection import Estimate
from tests.findings.cases import conclude, opened


def test_figures_are_a_fact() -> None:
    finding = conclude(*(opened((t, t + 5), end_ms=t + 6) for t in range(0, 200, 10)), tls_ns=1_000_000)["reuse"]
    assert finding.severity == "info"
    assert finding.measured == {
        "opened": 20,
        "connections_needed": 1,
        "avoidable_opens": 19,
        "handshake_ns_saved": 19 * 1_060_000,
        "server_ended": 0,
    }
    assert finding.title == (
        "20 connections opened to shop.test 10.0.0.1:8001, a good pool needs 1: 19 avoidable, 20 ms of handshakes"
    )
    assert finding.connections == [], "it is about all of them"
    assert finding.filter == "ip.addr == 10.0.0.1 && tcp.port == 8001 && tcp.flags.syn == 1"


def test_nothing_lost() -> None:
    finding = conclude(opened((0, 5), (10, 15), end_ms=16))["reuse"]
    assert finding.title == "no reuse lost at shop.test 10.0.0.1:8001: 1 connection opened, a good pool needs 1"


def test_server_that_ends_them_leaves_nothing_to_the_pool() -> None:
    finding = conclude(*(opened((t, t + 5), end_ms=t + 6, by="server") for t in (0, 10, 20)))["reuse"]
    assert finding.title == (
        "3 connections opened to shop.test 10.0.0.1:8001, a good pool needs 3: 3 were ended from its side"
    )


def test_encrypted_figures_are_bounds() -> None:
    sealed = [opened(end_ms=t + 6, protocol="tls", requests=None, estimate=Estimate(1, "records")) for t in (0, 10, 20)]
    finding = conclude(*sealed)["reuse"]
    assert finding.qualifiers == ["encrypted"]
    assert finding.title.startswith(
        "3 connections opened to shop.test 10.0.0.1:8001, a good pool needs at most 1: at least 2 avoidable"
    )
    assert "busy from their first to their last byte" in finding.how


def test_unused_connections_are_told() -> None:
    finding = conclude(opened((0, 5), end_ms=300), opened(end_ms=20, protocol="none"))["reuse"]
    assert finding.measured["avoidable_opens"] == 1
    assert finding.how.endswith("; 1 connection carried nothing")


def test_no_requests_no_figures() -> None:
    assert conclude(opened(end_ms=20, protocol="none")) == {}
