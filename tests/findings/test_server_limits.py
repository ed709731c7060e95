"""Connections that the server ends by count or by age, and what only looks so."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection, Tunnel, Upgrade
from inspector.records.finding import Suspect
from tests.findings.cases import answering, conclude, opened, over_http2
from tests.report.samples import START_NS

COUNT, AGE = "server-max-requests", "server-max-age"
SAID = "server connection-close"


def of(n: int, at_ms: float = 0, *, said: str | None = SAID, by: str = "server", wait_ms: float = 1) -> Connection:
    """A connection of so many requests, 10 ms apart, ended by the server with the last response or a little later."""
    spans = [(at_ms + 10 * i, at_ms + 10 * i + 5) for i in range(n)]
    return opened(*spans, end_ms=spans[-1][1] + wait_ms, by=by, said=said)


def one_by_one(*counts: int, said: str | None = SAID) -> list[Connection]:
    """Connections of so many requests, one after another."""
    return [of(n, 10_000 * i, said=said) for i, n in enumerate(counts)]


def aged(beat_ms: float, at_ms: float, limit_ms: float = 3_000, said: str | None = SAID) -> Connection:
    """A connection with a request each so many ms, whose first response after the limit is the last."""
    n = int(limit_ms / beat_ms) + 2
    spans = [(at_ms + beat_ms * i, at_ms + beat_ms * i + 2) for i in range(n)]
    return opened(*spans, end_ms=spans[-1][1] + 0.1, by="server", said=said)


def told(*connections: Connection) -> list[str]:
    return sorted(set(conclude(*connections)) & {COUNT, AGE})


# ---- a count


def test_server_that_ends_connections_after_so_many_requests() -> None:
    findings = conclude(*one_by_one(25, 25), of(10, 30_000, by="client", said=None))
    finding = findings[COUNT]
    assert finding.severity == "info"
    assert finding.measured == {"max_requests": 25, "n": 2}
    assert finding.connections == [0, 1]
    assert finding.qualifiers == []
    assert finding.title == "shop.test 10.0.0.1:8001 ends connections after 25 requests"
    assert finding.how == (
        "2 of 2 connections that the server ended had 25, none more; each announced by Connection: close"
    )
    assert finding.suspects == [
        Suspect("nginx 1.22.1", "keepalive_requests", "25", "Server header; its default is 1000, so someone set it")
    ]
    assert finding.advice == "nothing is lost; raise nginx keepalive_requests to save handshakes"
    assert finding.filter == "tcp.stream in {0..1} && (http.response || tcp.flags.fin == 1)"
    assert "server-closes-each-response" not in findings
    assert "client-never-reuses" not in findings


def test_apache_does_not_count_the_first() -> None:
    apache = [answering(one, server="Apache/2.4.71 (Debian)") for one in one_by_one(26, 26)]
    (suspect,) = conclude(*apache)[COUNT].suspects
    assert (suspect.product, suspect.setting, suspect.value) == ("Apache httpd 2.4.71", "MaxKeepAliveRequests", "25")


def test_unannounced_close_right_after_the_response() -> None:
    finding = conclude(*one_by_one(25, 25, said=None))[COUNT]
    assert finding.how.endswith("the close came right after the response, unannounced")
    assert told(of(25, said=None, wait_ms=51), of(25, 10_000, said=None, wait_ms=51)) == []
    assert told(of(25, said=None, wait_ms=49), of(25, 10_000, said=None, wait_ms=49)) == [COUNT]


def test_over_a_long_way_right_after_is_later() -> None:
    far = [of(25, t, said=None, wait_ms=250) for t in (0, 10_000)]
    assert told(*far) == []
    for connection in far:
        connection.opened.handshake_ns = 100_000_000
    assert told(*far) == [COUNT]


def test_what_became_something_else_has_no_count() -> None:
    upgraded, tunnels = one_by_one(25, 25), one_by_one(25, 25)
    for connection, tunnel in zip(upgraded, tunnels, strict=True):
        connection.upgrade, tunnel.tunnel = Upgrade("websocket", 6), Tunnel("shop.test:443")
    assert told(*upgraded) == []
    assert told(*tunnels) == []


def test_reset_is_no_limit() -> None:
    connections = one_by_one(25, 25, said=None)
    for connection in connections:
        assert connection.closed is not None
        connection.closed.how = "rst"
    assert told(*connections) == []


def test_counts_have_to_agree() -> None:
    assert told(*one_by_one(25, 24)) == []
    assert told(*one_by_one(25, 25, 25, 12)) == [COUNT]
    assert told(*one_by_one(25, 25, 12)) == []
    assert conclude(*one_by_one(25, 25, 25, 12))[COUNT].qualifiers == ["spread"]


def test_connection_that_went_beyond_refutes_it() -> None:
    assert told(*one_by_one(25, 25), of(26, 30_000, by="client", said=None)) == []


def test_small_counts_may_be_chance() -> None:
    assert told(*one_by_one(3, 3)) == []
    assert told(*one_by_one(3, 3, 3)) == [COUNT]
    assert told(*one_by_one(4, 4)) == [COUNT]


def test_one_request_each_is_another_finding() -> None:
    findings = conclude(*one_by_one(1, 1, 1))
    assert COUNT not in findings
    assert "server-closes-each-response" in findings


def test_single_connection_at_the_servers_default_is_told_with_care() -> None:
    finding = conclude(of(100))[COUNT]
    assert (finding.measured, finding.qualifiers) == ({"max_requests": 100, "n": 1}, ["few-samples"])
    assert told(of(99)) == []
    assert told(answering(of(100), server="mine/1")) == []


def test_connections_side_by_side_that_end_at_one_moment_are_one_event() -> None:
    """nginx that is ended: it closes what it has, and clients in step were all equally far."""
    assert told(*(of(8, 3 * i, said=None) for i in range(4))) == []
    assert told(*(of(8, 3 * i) for i in range(4))) == []
    assert told(of(8), of(8, 90)) == [COUNT], "the second began behind the first"
    assert told(*(of(8, 3 * i) for i in range(4)), *(of(8, 1_000 + 3 * i) for i in range(4))) == [COUNT]


@pytest.mark.parametrize("said", [SAID, None])
def test_error_is_why_it_was_the_last(said: str | None) -> None:
    errors = one_by_one(5, 5, said=said)
    for connection in errors:
        last = connection.exchanges[-1].response
        assert last is not None
        last.status = 400
    assert told(*errors) == []
    assert told(*(answering(one, status=404) for one in errors)) == [COUNT], "where all are, it is no reason"


def test_body_that_ends_with_the_connection_is_why_it_was_the_last() -> None:
    endless = one_by_one(5, 5, said=None)
    for connection in endless:
        last = connection.exchanges[-1].response
        assert last is not None
        last.persistent, last.content_length, last.connection = False, None, None
    assert told(*endless) == []


# ---- a count of HTTP/2


def test_goaway_with_the_last_response_counts_streams() -> None:
    connections = [over_http2(of(5, t), (t + 44, 9)) for t in (0, 10_000)]
    finding = conclude(*connections)[COUNT]
    assert finding.measured == {"max_requests": 5, "n": 2}
    assert finding.how.endswith("each announced by GOAWAY")
    assert finding.filter == "tcp.stream in {0..1} && (http2.goaway || tcp.flags.fin == 1)"


def test_streams_above_the_last_one_do_not_count() -> None:
    connections = [over_http2(of(7, t), (t + 44, 9)) for t in (0, 10_000)]
    assert conclude(*connections)[COUNT].measured["max_requests"] == 5


def test_of_two_goaways_the_first_tells_when() -> None:
    connections = [over_http2(of(7, t), (t + 41, 2**31 - 1), (t + 66, 13)) for t in (0, 10_000)]
    assert conclude(*connections)[COUNT].measured["max_requests"] == 5


def test_of_long_connections_the_last_requests_are_listed() -> None:
    """While a capture goes on, the first ones are in the counts only."""
    plain = one_by_one(1_000, 1_000)
    streams = [over_http2(of(9, t), (t + 44, 9)) for t in (0, 10_000)]
    for connection in (*plain, *streams):
        del connection.exchanges[: len(connection.exchanges) // 2]
    assert conclude(*plain)[COUNT].measured["max_requests"] == 1_000
    assert conclude(*streams)[COUNT].measured["max_requests"] == 5


def test_goaway_with_an_error_is_no_limit() -> None:
    assert told(*(over_http2(of(5, t), (t + 44, 9), error="PROTOCOL_ERROR") for t in (0, 10_000))) == []


def test_versions_have_limits_of_their_own() -> None:
    findings = conclude(
        *(over_http2(of(5, t), (t + 44, 9)) for t in (0, 10_000)), of(25, 30_000, by="client", said=None)
    )
    assert findings[COUNT].measured["max_requests"] == 5


# ---- an age

BEATS = ((120, 0), (150, 400), (180, 800), (220, 1_200))


def test_server_that_ends_connections_of_an_age() -> None:
    findings = conclude(*(aged(beat, at) for beat, at in BEATS))
    finding = findings[AGE]
    assert finding.severity == "info"
    assert finding.measured["n"] == 4
    assert 3_000_000_000 <= finding.measured["age_ns"] <= 3_230_000_000
    assert finding.title.startswith("shop.test 10.0.0.1:8001 ends connections that are 3.")
    assert "with 15 to 27 requests; each announced by Connection: close" in finding.how
    (nginx,) = finding.suspects
    assert (nginx.setting, nginx.value) == ("keepalive_time", "3s")
    assert COUNT not in findings


def test_two_ages_may_be_chance() -> None:
    assert told(*(aged(beat, at) for beat, at in BEATS[::2])) == []
    assert told(*(aged(beat, at) for beat, at in BEATS[:3])) == [AGE]


def test_connections_that_began_together_tell_no_age() -> None:
    assert told(*(aged(beat, at / 10) for beat, at in BEATS)) == []


def test_connection_that_was_used_when_older_refutes_it() -> None:
    older = opened((0, 5), (4_000, 4_005), end_ms=None)
    assert told(*(aged(beat, at) for beat, at in BEATS), older) == []
    younger = opened((0, 5), (2_900, 2_905), end_ms=None)
    assert told(*(aged(beat, at) for beat, at in BEATS), younger) == [AGE]


def test_equal_counts_explain_equal_ages() -> None:
    findings = conclude(*(aged(150, at) for at in (0, 800, 1_600, 2_400)))
    assert COUNT in findings
    assert AGE not in findings


def test_timer_of_idleness_explains_equal_ages() -> None:
    idle = []
    for i, t in enumerate((0, 700, 1_400)):
        spans = [(t + 5 * n, t + 5 * n + 2) for n in range(i + 1)]
        idle.append(opened(*spans, (t + 18, t + 20), end_ms=t + 3_020, by="server"))
    findings = conclude(*idle)
    assert "server-idle-timeout" in findings
    assert AGE not in findings


def test_slow_responses_that_are_the_only_ones_tell_no_age() -> None:
    slow = [opened((t, t + 3_000), end_ms=t + 3_001, by="server", said=SAID) for t in (0, 700, 1_400)]
    assert told(*slow, aged(140, 2_100)) == []


def left(at_ms: float, last_ms: float, n: int) -> Connection:
    """A connection of so many requests, left alone after the last, and ended by the server when it was 3 s old."""
    spans = [(at_ms + last_ms * i / n, at_ms + last_ms * i / n + 2) for i in range(1, n + 1)]
    return opened(*spans, end_ms=spans[0][0] + 3_000, by="server")


def test_idle_connections_may_have_been_too_old() -> None:
    """Envoy ends them at their age though nobody asks anything; their idle times do not agree."""
    alone_ms = (100, 900, 1_900, 2_500)
    findings = conclude(*(left(800 * i, last, i + 2) for i, last in enumerate(alone_ms)))
    assert "server-idle-timeout" not in findings
    assert findings[AGE].measured["n"] == 4
    assert told(*(left(800 * i, last, 2) for i, last in enumerate(alone_ms))) == [], "their count may have been why"


@pytest.mark.parametrize(("limit_ms", "found"), [(900, []), (1_100, [AGE])])
def test_what_is_over_at_once_has_no_age(limit_ms: float, found: list[str]) -> None:
    assert told(*(aged(beat / 4, at, limit_ms) for beat, at in BEATS)) == found


def test_ages_that_differ_by_a_second_are_none() -> None:
    assert (
        told(*(aged(120, at, limit) for at, limit in ((0, 1_100), (700, 1_400), (1_500, 1_700), (2_500, 2_000)))) == []
    )


def test_connections_that_were_open_before_have_no_age() -> None:
    connections = [aged(beat, at) for beat, at in BEATS]
    for connection in connections[:2]:
        connection.opened.how = "mid-stream"
        connection.start_ns = START_NS
    assert told(*connections) == []
