"""What the server says in Keep-Alive against what it does."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection
from inspector.records.exchange import KeepAlive
from tests.findings.cases import answering, conclude, opened

CODE = "advertised-timeout-differs"


def ended(n: int, after_ms: float, said: int | None) -> list[Connection]:
    """Connections that the server ended when they were idle for so long, having said another time in seconds."""
    hint = None if said is None else KeepAlive(said, None)
    starts = [300 * i for i in range(n)]
    return [
        answering(opened((t, t + 5), end_ms=t + 5 + after_ms, by="server"), keep_alive=hint, server=None)
        for t in starts
    ]


def test_server_that_closes_earlier_than_it_says() -> None:
    finding = conclude(*ended(4, 3_000, 30))[CODE]
    assert finding.severity == "notice"
    assert finding.measured == {"advertised_ns": 30_000_000_000, "timeout_ns": 3_000_000_000, "n": 4}
    assert finding.title == "shop.test 10.0.0.1:8001 says Keep-Alive: timeout=30, and closes after 3.00 s"
    assert finding.how == "4 of 4 closes came 27.0 s earlier than the last response had said"
    assert finding.filter == "tcp.stream in {0..3} && (http.response || tcp.flags.fin == 1)"
    assert finding.advice is not None
    assert "say what it does" in finding.advice


def test_server_that_waits_longer_than_it_says() -> None:
    finding = conclude(*ended(2, 6_000, 5))[CODE]
    assert finding.severity == "info"
    assert finding.how == "2 of 2 closes came 1.00 s later than the last response had said"
    assert [(one.product, one.value) for one in finding.suspects] == [("Node.js http", "5000")]
    assert finding.advice is not None
    assert finding.advice.startswith("nothing")


@pytest.mark.parametrize(
    ("after_ms", "told"), [(5_000, False), (4_760, False), (4_740, True), (5_490, False), (5_510, True)]
)
def test_how_far_it_may_be(after_ms: float, told: bool) -> None:
    assert (CODE in conclude(*ended(2, after_ms, 5))) is told


@pytest.mark.parametrize(("after_ms", "told"), [(910, False), (890, True)])
def test_short_times_may_be_farther_off(after_ms: float, told: bool) -> None:
    assert (CODE in conclude(*ended(2, after_ms, 1))) is told


def test_single_early_close_is_told_with_care() -> None:
    finding = conclude(*ended(1, 3_000, 30))[CODE]
    assert (finding.severity, finding.qualifiers) == ("info", ["few-samples"])


def test_server_that_says_nothing_says_nothing_wrong() -> None:
    assert CODE not in conclude(*ended(4, 3_000, None))
    assert CODE not in conclude(*ended(4, 3_000, 0))


def test_single_reset_breaks_no_promise() -> None:
    (reset,) = ended(1, 3_000, 30)
    assert reset.closed is not None
    reset.closed.how = "rst"
    assert CODE not in conclude(reset)


def test_times_that_do_not_agree_are_no_timer() -> None:
    assert CODE not in conclude(*ended(1, 3_000, 30), *ended(1, 9_000, 30))


def test_client_that_closes_earlier_keeps_no_promise_of_the_servers() -> None:
    assert CODE not in conclude(*(opened((t, t + 5), end_ms=t + 3_005) for t in (0, 300, 600)))


def test_timer_that_ticks_is_late_for_up_to_a_second() -> None:
    late = [one for idle_ms in (5_020, 5_900, 5_500, 5_700) for one in ended(1, idle_ms, 5)]
    findings = conclude(*late)
    assert "from 5 s on" in findings["server-idle-timeout"].title
    assert CODE not in findings
