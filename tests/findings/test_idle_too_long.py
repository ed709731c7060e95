"""Clients that use connections shortly before the server ends them."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection, End
from tests.findings.cases import asking, conclude, lost, opened

CODE = "idle-timeout-too-long"


def ended(n: int, after_ms: float = 3_000, from_ms: float = 0) -> list[Connection]:
    """Connections that the server ended when they were idle for so long."""
    starts = [from_ms + 300 * i for i in range(n)]
    return [opened((t, t + 5), end_ms=t + 5 + after_ms, by="server") for t in starts]


def reused(after_ms: float, limit_ms: float = 3_000) -> Connection:
    """A connection that was used again when it had been idle for so long."""
    return opened((0, 5), (5 + after_ms, 10 + after_ms), end_ms=10 + after_ms + limit_ms, by="server")


def test_client_that_comes_back_just_in_time() -> None:
    finding = conclude(*ended(2), reused(2_800))[CODE]
    assert finding.severity == "warning"
    assert finding.measured == {"client_reused_after_ns": 2_800_000_000, "timeout_ns": 3_000_000_000}
    assert finding.connections == [2]
    assert finding.title == (
        "the client still uses connections to shop.test 10.0.0.1:8001 after 2.80 s idle, "
        "which the server ends after 3.00 s"
    )
    assert finding.how == "1 request came on connections that had been idle for 2.4 s or more; none met the close yet"
    assert [(one.product, one.setting) for one in finding.suspects] == [("requests / urllib3 2.32", "no idle limit")]
    assert finding.client == "10.0.0.2"
    assert finding.evidence[0].what == "request after 2.80 s idle"


@pytest.mark.parametrize(
    ("limit_ms", "after_ms", "told"),
    [(3_000, 2_390, False), (3_000, 2_410, True), (10_000, 8_990, False), (10_000, 9_010, True), (3_000, 3_200, True)],
)
def test_a_second_or_a_fifth_before_the_limit(limit_ms: float, after_ms: float, told: bool) -> None:
    findings = conclude(*ended(2, limit_ms), reused(after_ms, limit_ms))
    assert (CODE in findings) is told


def test_single_close_tells_no_limit() -> None:
    alone = reused(2_800)
    alone.closed = None
    assert CODE not in conclude(*ended(1), alone)
    assert CODE in conclude(*ended(2), alone)


def test_where_requests_were_lost_that_is_told_instead() -> None:
    raced = lost(opened((0, 5), (2_955, 2_955), end_ms=3_005, by="server"), "crossed")
    findings = conclude(*ended(2), reused(2_800), raced)
    assert "keepalive-race" in findings
    assert CODE not in findings


def test_of_another_client_it_is_told_all_the_same() -> None:
    raced = lost(opened((0, 5), (2_955, 2_955), end_ms=3_005, by="server"), "crossed")
    raced.client = End("10.0.0.3", 40_000)
    findings = conclude(*ended(2), reused(2_800), raced)
    assert findings[CODE].client == "10.0.0.2"


def test_pool_whose_limit_is_known_is_named_with_it() -> None:
    finding = conclude(*ended(2), asking(reused(2_800), user_agent="node"))[CODE]
    assert [(one.product, one.setting, one.value) for one in finding.suspects] == [
        ("undici / Node fetch", "keepAliveTimeout", "4000")
    ]
    assert finding.advice is not None
    assert finding.advice.startswith("let undici / Node fetch give idle connections up: new undici.Agent(")
