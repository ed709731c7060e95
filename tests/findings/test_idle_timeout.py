"""Timers of idleness: when they are told, how they are worded, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.findings.case import follows_idle
from inspector.records.connection import Connection, Estimate, Opened, Upgrade
from inspector.records.finding import Finding
from tests.findings.cases import answering, asking, conclude, lost, opened, over_http2

SERVER, CLIENT = "server-idle-timeout", "client-idle-timeout"


def idle(*idle_ms: float, by: str = "server", apart_ms: float = 300) -> list[Connection]:
    """Connections of two requests, opened one after another, and closed after so much idleness."""
    starts = [apart_ms * i for i in range(len(idle_ms))]
    return [
        opened((t, t + 5), (t + 6, t + 10), end_ms=t + 10 + ms, by=by) for t, ms in zip(starts, idle_ms, strict=True)
    ]


def told(*connections: Connection) -> list[str]:
    return sorted(set(conclude(*connections)) & {SERVER, CLIENT})


def of_node(*connections: Connection) -> list[Connection]:
    return [asking(connection, user_agent="node") for connection in connections]


def unanswered(*waited_ms: float, by: str) -> list[Connection]:
    """Connections on which a request waited so long, and then were closed."""
    connections = idle(*waited_ms, by=by)
    for connection in connections:
        connection.exchanges[-1].response = None
    return connections


# ---- the server


def test_waiting_for_a_response_is_no_idleness() -> None:
    assert told(*unanswered(5_000, 5_000, 5_000, by="server")) == []
    assert told(*unanswered(5_000, 5_000, 5_000, by="client")) == []
    raced = unanswered(5_000, 5_000, 5_000, by="server")
    for connection in raced:
        connection.exchanges[-1].race = "after"
    assert told(*raced) == [SERVER]


def test_server_with_a_timer() -> None:
    finding = conclude(*idle(7_000, 7_003, 7_010))[SERVER]
    assert finding.severity == "info"
    assert finding.measured == {
        "timeout_ns": 7_003_000_000,
        "n": 3,
        "min_ns": 7_000_000_000,
        "max_ns": 7_010_000_000,
    }
    assert finding.title == "10.0.0.1:8001 closes idle connections after 7.00 s"
    assert finding.how == "3 of 3 closes by the server came 7.00 s to 7.01 s after the last byte, unannounced"
    assert finding.qualifiers == []
    assert finding.filter == "tcp.stream in {0..2} && tcp.flags.fin == 1"
    (nginx,) = finding.suspects
    assert (nginx.product, nginx.setting, nginx.value) == ("nginx 1.22.1", "keepalive_timeout", "7s")
    assert finding.advice == (
        "let requests / urllib3 retry what meets the close: HTTPAdapter(max_retries=3), since it never gives idle "
        "connections up by itself; or raise nginx keepalive_timeout"
    )


def test_clients_are_advised_in_their_own_language() -> None:
    finding = conclude(*of_node(*idle(7_000, 7_003, 7_010)))[SERVER]
    assert finding.advice == (
        "let undici / Node fetch give idle connections up: new undici.Agent({keepAliveTimeout: 6000}); "
        "or raise nginx keepalive_timeout"
    )


def test_timer_that_ticks_is_told_from_its_whole_second_on() -> None:
    finding = conclude(*idle(5_020, 5_900, 5_500, 5_700))[SERVER]
    assert finding.title == "10.0.0.1:8001 closes idle connections from 5 s on, checked once a second"
    assert finding.how == "4 of 4 closes by the server came 5.02 s to 5.90 s after the last byte, unannounced"
    assert finding.suspects[0].value == "5s"


def test_times_that_do_not_agree_tell_no_timer() -> None:
    assert told(*idle(2_000, 5_000, 9_000)) == []
    assert told(*idle(5_000, 7_000, 9_000, 11_000)) == []


def test_outlier_is_named() -> None:
    finding = conclude(*idle(5_000, 5_001, 1_200, 5_002, 5_003))[SERVER]
    assert finding.qualifiers == ["spread"]
    assert finding.connections == [0, 1, 3, 4]
    assert finding.how == (
        "4 of 5 closes by the server came 5.00 s after the last byte, unannounced; not so 1.20 s on connection 2"
    )


def test_single_close_is_told_with_care() -> None:
    finding = conclude(*idle(7_000))[SERVER]
    assert finding.qualifiers == ["few-samples"]
    assert finding.severity == "info"


def test_single_close_by_software_that_is_not_known_accuses_nobody() -> None:
    assert conclude(answering(idle(2_550)[0], server=None, keep_alive=None))[SERVER].suspects == []
    assert conclude(*(answering(one, server=None, keep_alive=None) for one in idle(2_550, 2_550)))[SERVER].suspects


def test_single_reset_is_nobodys_timer() -> None:
    connections = idle(7_000, 7_000)
    for connection in connections:
        assert connection.closed is not None
        connection.closed.how = "rst"
    assert told(connections[0]) == []
    finding = conclude(*connections)[SERVER]
    assert finding.filter.endswith("&& tcp.flags.reset == 1")


def test_all_at_one_moment_after_an_odd_time_may_be_the_end_of_the_server() -> None:
    assert conclude(*idle(2_800, 2_750, 2_700, apart_ms=50))[SERVER].qualifiers == ["few-samples"]
    assert conclude(*idle(3_050, 3_000, apart_ms=50))[SERVER].qualifiers == []
    assert conclude(*idle(2_800, 2_710, apart_ms=300))[SERVER].qualifiers == []


@pytest.mark.parametrize(("reused_ms", "severity"), [(5_990, "info"), (6_010, "notice"), (7_500, "notice")])
def test_reuse_within_a_second_of_the_limit_is_a_notice(reused_ms: float, severity: str) -> None:
    lucky = opened((0, 5), (5 + reused_ms, 10 + reused_ms), end_ms=17_010 + reused_ms - 10_000, by="server")
    assert conclude(lucky, *idle(7_000, 7_000))[SERVER].severity == severity


def test_reuse_near_a_limit_that_one_close_tells_is_no_notice_yet() -> None:
    lucky = opened((0, 5), (6_505, 6_510), end_ms=13_510, by="server")
    assert conclude(lucky)[SERVER].severity == "info"
    assert conclude(lucky, *idle(7_000))[SERVER].severity == "notice"


@pytest.mark.parametrize(("reused_ms", "severity"), [(490, "info"), (510, "notice")])
def test_of_a_short_timer_the_second_half_is_near(reused_ms: float, severity: str) -> None:
    lucky = opened((0, 5), (5 + reused_ms, 10 + reused_ms), end_ms=1_010 + reused_ms, by="server")
    assert conclude(lucky, *idle(1_000, 1_000))[SERVER].severity == severity


def test_race_is_a_notice() -> None:
    raced = lost(opened((0, 5), (8_000, 8_000), end_ms=7_005, by="server"), "after")
    assert conclude(raced, *idle(7_000, 7_000))[SERVER].severity == "notice"


def test_encrypted_closes_are_told_as_such() -> None:
    connections = idle(7_000, 7_000)
    for connection in connections:
        connection.protocol, connection.requests, connection.exchanges = "tls", None, []
        connection.estimate = Estimate(2, "records")
    finding = conclude(*connections)[SERVER]
    assert finding.qualifiers == ["encrypted"]
    assert "idle connections" in finding.title


def test_connections_on_which_nothing_is_asked_have_a_timer_of_their_own() -> None:
    """HAProxy's timeout http-request, and many another."""
    unasked = [opened(end_ms=t + 2_000, by="server", protocol="none", requests=0) for t in (0, 300)]
    for connection in unasked:
        assert connection.closed is not None
        connection.closed.idle_ns = 2_000_000_000
    finding = conclude(*unasked)[SERVER]
    assert finding.title == "10.0.0.1:8001 closes connections on which nothing is asked after 2.00 s"
    assert finding.advice == "let clients open connections only when there is something to ask"


def test_single_upgraded_connection_was_ended_by_its_program() -> None:
    connections = idle(2_300, 2_300)
    for connection in connections:
        connection.upgrade = Upgrade("websocket", 6)
    assert told(connections[0]) == []
    assert told(*connections) == [SERVER]


# ---- HTTP/2


def test_goaway_out_of_silence_is_a_timer() -> None:
    drained = [over_http2(opened((t, t + 5), end_ms=t + 4_005, by="server"), (t + 3_005, 1)) for t in (0, 300)]
    for connection in drained:
        assert connection.closed is not None
        connection.closed.idle_ns = 3_000_000_000
    finding = conclude(*drained)[SERVER]
    assert finding.measured["timeout_ns"] == 3_000_000_000
    assert "announced 2 of 2" in finding.how


def test_goaway_with_a_message_makes_no_timer_of_the_wait_behind_it() -> None:
    drained = over_http2(opened((0, 5), end_ms=405, by="server"), (5, 1))
    assert not follows_idle(drained)
    assert told(drained) == []
    assert follows_idle(over_http2(opened((0, 5), end_ms=405, by="server"), (206, 1)))


def test_goaway_to_nobodys_request_is_out_of_silence() -> None:
    unasked = over_http2(opened(end_ms=3_000, by="server"), (2_999, 0))
    assert unasked.closed is not None
    unasked.closed.idle_ns = 2_998_000_000
    assert follows_idle(unasked)


# ---- the client


def test_client_with_a_timer() -> None:
    finding = conclude(*of_node(*idle(4_003, 4_025, by="client")))[CLIENT]
    assert finding.severity == "info"
    assert finding.title == "the client closes idle connections to 10.0.0.1:8001 after 4.01 s"
    (undici,) = finding.suspects
    assert (undici.product, undici.value) == ("undici / Node fetch", "4000")
    assert finding.advice == "nothing; where requests come more seldom than that, a longer timer saves handshakes"


def test_single_close_is_the_end_of_a_program() -> None:
    assert told(*of_node(*idle(4_003, by="client"))) == []


@pytest.mark.parametrize("user_agent", ["python-httpx/0.28.1", "python-urllib3/2.8.0", "curl/8.14.1", "Ruby"])
def test_lazy_pools_close_nothing_by_themselves(user_agent: str) -> None:
    says = None if user_agent in ("curl/8.14.1", "Ruby") else "keep-alive"
    connections = [
        asking(one, user_agent=user_agent, connection=says) for one in idle(5_000, 5_001, 5_002, by="client")
    ]
    assert told(*connections) == []


def test_proxy_that_sends_on_what_a_lazy_client_said_has_its_own_timer() -> None:
    finding: Finding = conclude(*(asking(one, connection=None) for one in idle(3_000, 3_001, by="client")))[CLIENT]
    assert [(one.product, one.value) for one in finding.suspects] == [("unknown proxy,", "3 s")]


def test_all_at_one_moment_after_an_odd_time_is_the_end_of_a_program() -> None:
    at_once = idle(14_850, 14_800, 14_780, by="client", apart_ms=50)
    assert told(*of_node(*at_once)) == []
    assert told(*of_node(*idle(14_850, 14_850, 14_850, by="client"))) == [CLIENT]
    in_a_row = idle(7_950, 7_650, 7_350, 7_050, by="client", apart_ms=300)
    assert told(*of_node(*in_a_row)) == [], "nor does it tick"
    ticking = idle(7_950, 7_650, 7_350, 7_050, by="client", apart_ms=500)
    assert told(*of_node(*ticking)) == [CLIENT]


def test_odd_time_that_is_the_softwares_own_is_its_timer() -> None:
    """aiohttp rounds its 15 s up to a second of its clock."""
    connections = idle(15_280, 15_270, 15_260, by="client", apart_ms=10)
    known = [asking(one, user_agent="Python/3.11 aiohttp/3.14.5", connection=None) for one in connections]
    assert told(*known) == [CLIENT]
    assert told(*of_node(*connections)) == []


def test_connections_without_a_request_were_kept_for_nothing() -> None:
    unused = [opened(end_ms=t + 3_000, protocol="none", requests=0) for t in (0, 300, 600)]
    for connection in unused:
        assert connection.closed is not None
        connection.closed.idle_ns = 3_000_000_000
    assert told(*unused) == []
    for connection in unused:
        connection.protocol, connection.requests = "tls", None
    for estimate, found in ((None, []), (Estimate(0, "records"), []), (Estimate(2, "records"), [CLIENT])):
        for connection in unused:
            connection.estimate = estimate
        assert told(*unused) == found


@pytest.mark.parametrize("change", [{"protocol": "unknown"}, {"opened": Opened("mid-stream", None, 0, None, False)}])
def test_what_cannot_be_read_may_have_been_used(change: dict[str, Any]) -> None:
    connections = [opened(end_ms=t + 3_000, requests=0, **change) for t in (0, 300, 600)]
    for connection in connections:
        assert connection.closed is not None
        connection.closed.idle_ns = 3_000_000_000
    assert told(*connections) == [CLIENT]
