"""Requests that met the close of an idle connection, and what only looks like one."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection
from tests.findings.cases import asking, conclude, lost, opened, over_http2

CODE = "keepalive-race"


def crossed(at_ms: float = 0, *, idle_ms: float = 2_950, margin_ms: float = 50, how: str = "fin") -> Connection:
    """A request after so much idleness, and the server's close so much later."""
    sent = at_ms + 5 + idle_ms
    connection = opened((at_ms, at_ms + 5), (sent, sent), end_ms=sent + margin_ms, by="server")
    assert connection.closed is not None
    connection.closed.how = how  # type: ignore[assignment]
    return lost(connection, "crossed")


def after(at_ms: float = 0, *, idle_ms: float = 3_001, method: str = "GET", acknowledged: int | None = 0) -> Connection:
    """A request after so much idleness; the server had closed after 3 s."""
    sent = at_ms + 5 + idle_ms
    connection = opened((at_ms, at_ms + 5), (sent, sent), end_ms=at_ms + 3_005, by="server")
    return lost(connection, "after", method=method, acknowledged=acknowledged)


def test_requests_that_left_before_the_close_was_there() -> None:
    findings = conclude(crossed(0), crossed(300, margin_ms=48), crossed(600))
    finding = findings[CODE]
    assert finding.severity == "problem"
    assert finding.measured == {
        "races": 3,
        "retry_safe": 3,
        "idle_ns": 2_950_000_000,
        "margin_ns": 50_000_000,
    }
    assert finding.title == (
        "3 requests to shop.test 10.0.0.1:8001 were lost: the server was closing the idle connection"
    )
    assert finding.how == (
        "sent 2.95 s after the last response, 48 ms to 50 ms before the server's close was seen; "
        "nothing of them was acknowledged, so all can be sent again"
    )
    assert [(one.product, one.setting, one.value) for one in finding.suspects] == [
        ("nginx 1.22.1", "keepalive_timeout", "3s"),
        ("requests / urllib3 2.32", "no idle limit", None),
    ]
    assert finding.evidence[0].what == "GET, 50 ms before the close"
    assert finding.client == "10.0.0.2"
    assert finding.advice is not None
    assert finding.advice.startswith("let requests / urllib3 retry what meets the close")
    assert finding.filter == "tcp.stream in {0..2} && (http.request || tcp.flags.fin == 1)"
    assert "idle-timeout-too-long" not in findings


def test_request_after_the_close_was_there() -> None:
    finding = conclude(after())[CODE]
    assert finding.measured["margin_ns"] == -1_000_000
    assert finding.title.startswith("1 request to shop.test 10.0.0.1:8001 was lost")
    assert finding.how.endswith(
        "when the server's close had reached the client's host; nothing of it was acknowledged, so it can be sent again"
    )


def test_both_kinds_are_counted() -> None:
    assert ", 1 of 2 when the server's close had reached the client's host" in conclude(after(), crossed(300))[CODE].how


@pytest.mark.parametrize(
    ("method", "acknowledged", "safe", "said"),
    [
        ("POST", 0, 1, "nothing of it was acknowledged, so it can be sent again"),
        ("POST", 120, 0, "0 of 1 can be sent again, the others may have been processed"),
        ("GET", 120, 1, "it can be sent again: GET"),
        ("DELETE", 120, 1, "it can be sent again: DELETE"),
        ("PATCH", 120, 0, "may have been processed"),
        ("PATCH", None, 0, "may have been processed"),
    ],
)
def test_what_can_be_sent_again(method: str, acknowledged: int | None, safe: int, said: str) -> None:
    finding = conclude(after(method=method, acknowledged=acknowledged))[CODE]
    assert finding.measured["retry_safe"] == safe
    assert said in finding.how


def test_timer_that_other_closes_show_is_the_limit() -> None:
    idle = [opened((t, t + 5), end_ms=t + 2_005, by="server") for t in (0, 300)]
    assert conclude(*idle, crossed())[CODE].suspects[0].value == "2s"


def test_clients_timers_that_are_known_are_suspects() -> None:
    (_, undici) = conclude(asking(crossed(), user_agent="node"))[CODE].suspects
    assert (undici.product, undici.setting, undici.value) == ("undici / Node fetch", "keepAliveTimeout", "4000")


def test_further_requests_on_the_connection_were_lost_with_it() -> None:
    twice = opened((0, 5), (2_955, 2_955), (2_956, 2_956), end_ms=3_005, by="server")
    second = lost(twice, "crossed").exchanges[1]
    second.response, second.complete, second.race = None, False, "crossed"
    assert conclude(twice)[CODE].measured["races"] == 2


def test_requests_keep_their_numbers_when_the_first_are_gone() -> None:
    connection = crossed()
    for one in connection.exchanges:
        one.index += 1_000
    assert conclude(connection)[CODE].measured["races"] == 1


def test_stream_on_a_connection_that_was_going_away() -> None:
    finding = conclude(over_http2(after(), (2_005, 1)))[CODE]
    assert finding.filter.endswith("(http2.headers || tcp.flags.fin == 1)")
    assert finding.suspects[0].value == "2s", "GOAWAY ended the idleness"


def test_server_that_had_said_close_has_no_timer_to_accuse() -> None:
    connection = opened((0, 5), (400, 400), end_ms=6, by="server", said="server connection-close")
    finding = conclude(lost(connection, "after"))[CODE]
    assert finding.suspects == []
    assert finding.advice == "let the client retry what can be sent again"


def test_request_that_met_the_close_at_work_is_no_race_with_a_timer() -> None:
    assert CODE not in conclude(crossed(idle_ms=199))
    assert CODE in conclude(crossed(idle_ms=201))


def test_over_a_long_way_idleness_is_longer() -> None:
    far = crossed(idle_ms=500)
    far.opened.handshake_ns = 200_000_000
    assert CODE not in conclude(far)


def test_reset_that_answers_the_request_is_a_firewalls_or_a_restart() -> None:
    assert CODE not in conclude(crossed(how="rst"))
    reset = after()
    assert reset.closed is not None
    reset.closed.how = "rst"
    assert CODE in conclude(reset)


def test_close_by_the_client_is_its_own() -> None:
    own = after()
    assert own.closed is not None
    own.closed.by = "client"
    assert CODE not in conclude(own)


def test_requests_that_were_answered_are_none() -> None:
    assert CODE not in conclude(opened((0, 5), (2_955, 2_960), end_ms=5_960, by="server"))
