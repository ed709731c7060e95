"""Ports that do not come free in time: the rate, over how long, and on whose side."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection, End
from inspector.records.finding import Finding
from tests.findings.cases import conclude, opened

CODE = "port-churn"


def churn(n: int, over_ms: float, *, by: str = "client", from_ms: float = 0) -> list[Connection]:
    """Connections of one request each, evenly over so many milliseconds."""
    times = [from_ms + over_ms * i / n for i in range(n)]
    connections = [opened((t + 1, t + 1.2), end_ms=t + 1.3, by=by) for t in times]
    for connection in connections:
        assert connection.closed is not None
        connection.closed.reply = "fin"
    return connections


def told(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


def test_six_hundred_a_second() -> None:
    finding = told(*churn(1_200, 2_000))
    assert finding is not None
    assert finding.severity == "warning"
    assert finding.measured == {"opens_per_s": 600, "time_wait_side": "client", "ports": 36_000}
    assert finding.title == (
        "10.0.0.2 opens 600 connections a second to shop.test 10.0.0.1:8001: 36,000 of 28,232 ports in TIME_WAIT"
    )
    assert finding.how == (
        "1,200 connections in 2 s; the client closed first on 1,200 of 1,200, and holds each in TIME_WAIT for 60 s"
    )
    assert len(finding.evidence) == 1
    assert finding.advice is not None
    assert finding.advice.startswith("keep one requests.Session() for all requests")


def test_server_that_closes_first_holds_them() -> None:
    finding = told(*churn(1_200, 2_000, by="server"))
    assert finding is not None
    assert finding.measured["time_wait_side"] == "server"
    assert finding.title.endswith(": 36,000 in TIME_WAIT on the server")
    assert finding.advice is not None
    assert "tcp_tw_reuse" not in finding.advice


@pytest.mark.parametrize(("n", "is_told"), [(704, False), (707, True)])
def test_three_quarters_of_the_ports_are_near(n: int, is_told: bool) -> None:
    """Of 28,232 ports, in two seconds."""
    assert (told(*churn(n, 2_000)) is not None) is is_told


def test_burst_is_no_rate() -> None:
    assert told(*churn(499, 100)) is None
    assert told(*churn(600, 100), opened((10_000, 10_005), end_ms=10_006)) is None


def test_busiest_minute_counts() -> None:
    late = opened((600_000, 600_005), end_ms=600_006)
    assert told(*churn(21_000, 50_000), late) is None
    finding = told(*churn(300, 200_000), *churn(21_200, 50_000, from_ms=300_000), late)
    assert finding is not None
    assert finding.measured["opens_per_s"] == 353


def test_rst_leaves_no_time_wait() -> None:
    connections = churn(1_200, 2_000)
    for connection in connections:
        assert connection.closed is not None
        connection.closed.how = "rst"
    assert told(*connections) is None


def test_clients_have_ports_of_their_own() -> None:
    connections = churn(1_200, 2_000)
    for i, connection in enumerate(connections):
        connection.client = End(f"10.0.1.{i % 2}", 40_000)
    assert told(*connections) is None
