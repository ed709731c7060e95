"""A pool that is too small, and what only looks like it."""

from __future__ import annotations

from tests.findings.cases import asking, conclude, opened

KEPT = (0, 50), (60, 65)


def test_surplus_is_thrown_away_while_others_live_on() -> None:
    surplus = [opened((1, 40 + i), end_ms=41 + i) for i in range(4)]
    findings = conclude(opened(*KEPT, end_ms=500), *surplus)
    finding = findings["pool-overflow"]
    assert finding.severity == "warning"
    assert finding.measured == {"kept": 1, "surplus": 4, "max_open_at_once": 5}
    assert finding.connections == [1, 2, 3, 4]
    assert finding.title == (
        "the client's pool for shop.test 10.0.0.1:8001 is too small: "
        "4 of 5 connections were thrown away after one request"
    )
    assert [suspect.product for suspect in finding.suspects] == ["requests / urllib3 2.32"]
    assert finding.advice == "let the pool keep 5 connections: HTTPAdapter(pool_maxsize=5), pool_block=True to wait"
    assert "client-never-reuses" not in findings, "one cause, one finding"


def test_packets_are_named_in_their_order() -> None:
    surplus = [opened((1, 40 + i), end_ms=41 + i) for i in range(4)]
    for connection, packet in zip(surplus, (50, 49, 56, 53), strict=True):
        assert connection.closed is not None
        connection.closed.packet = packet
    finding = conclude(opened(*KEPT, end_ms=500), *surplus)["pool-overflow"]
    assert [one.packet for one in finding.evidence] == [49, 50, 53, 56]


def test_pool_that_is_not_known_is_advised_in_general() -> None:
    mine = [
        asking(one, user_agent="mine/1")
        for one in (opened(*KEPT, end_ms=500), opened((1, 40), end_ms=41), opened((1, 40), end_ms=42))
    ]
    assert conclude(*mine)["pool-overflow"].advice == "let the pool keep 3 connections, or let requests wait"


def test_connection_that_is_left_waiting_lives_on() -> None:
    surplus = [opened((1, 40), end_ms=41) for _ in range(2)]
    assert "pool-overflow" in conclude(opened((0, 50), end_ms=None), *surplus)


def test_one_surplus_connection_is_no_pattern() -> None:
    assert "pool-overflow" not in conclude(opened(*KEPT, end_ms=500), opened((1, 40), end_ms=41))


def test_bursts_are_thrown_away_again_and_again_and_cost() -> None:
    bursts = [opened((t + i, t + 40 + i), end_ms=t + 41 + i) for t in (0, 100, 200, 300) for i in (1, 2, 3)]
    findings = conclude(opened(*((t, t + 60) for t in (0, 100, 200, 300)), end_ms=900), *bursts)
    assert findings["pool-overflow"].measured == {"kept": 1, "surplus": 12, "max_open_at_once": 4}
    assert "client-never-reuses" not in findings


def test_pool_may_give_up_the_connections_it_had_first() -> None:
    """httpx closes what has been idle beyond its limit, so no connection lives for long."""
    early = [opened((t + i, t + 40), end_ms=t + 41) for t in (0, 60, 120) for i in (0, 1, 2)]
    used_again = [opened((t + 5, t + 38), (t + 50, t + 90), end_ms=t + 91) for t in (0, 60, 120)]
    findings = conclude(*early, *used_again)
    assert findings["pool-overflow"].measured["surplus"] == 9
    assert "client-never-reuses" not in findings


def test_another_program_beside_a_session_is_no_surplus() -> None:
    runs = [opened((t, t + 5), end_ms=t + 6) for t in (10, 110, 210)]
    for run in runs:
        request = run.exchanges[0].request
        assert request is not None
        request.user_agent = "curl/8.14.1"
    assert "pool-overflow" not in conclude(opened(*((t, t + 5) for t in range(0, 400, 50)), end_ms=500), *runs)


def test_client_without_a_pool_keeps_none() -> None:
    threads = [opened((t + i, t + 5 + i), end_ms=t + 6 + i) for t in range(0, 100, 10) for i in (0, 1, 2)]
    findings = conclude(*threads)
    assert "pool-overflow" not in findings
    assert "client-never-reuses" in findings


def test_connections_that_end_after_the_kept_one_are_no_surplus() -> None:
    assert "pool-overflow" not in conclude(opened(*KEPT, end_ms=66), *(opened((1, 80), end_ms=81) for _ in range(3)))


def test_connections_that_the_server_closed_are_no_surplus() -> None:
    closed = [opened((1, 40), end_ms=41, by="server", said="server connection-close") for _ in range(3)]
    assert "pool-overflow" not in conclude(opened(*KEPT, end_ms=500), *closed)


def test_connections_that_said_close_are_no_surplus() -> None:
    closed = [opened((1, 40), end_ms=41, said="client connection-close") for _ in range(3)]
    assert "pool-overflow" not in conclude(opened(*KEPT, end_ms=500), *closed)
