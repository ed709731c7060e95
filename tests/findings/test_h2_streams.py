"""Streams against the server's limit, and connections that one would have done for."""

from __future__ import annotations

import pytest

from inspector.records.connection import Connection, End
from inspector.records.finding import Finding
from tests.findings.cases import conclude, conclude_all
from tests.findings.http2_cases import NGINX, goaway, h2, reset, settings

WHERE = "10.0.0.1:8001"


def limited(limit: int | None, peak: int, refused: int = 0, end: int | None = None) -> Connection:
    """A connection with so many streams at once, of which the last ones are refused; `end`: last_stream_id of a
    GOAWAY."""
    values = {} if limit is None else {"MAX_CONCURRENT_STREAMS": limit}
    said = [settings(0, values), *([goaway(5, end)] if end is not None else [])]
    spans = [(1.0, 10.0 if i < peak - refused else None) for i in range(peak)]
    connection = h2(*spans, end_ms=20, server=said, peak=peak, refused=refused)
    for i in range(peak - refused, peak):
        reset(connection, 2 * i + 1, "server", "REFUSED_STREAM")
    return connection


def found(*connections: Connection) -> list[Finding]:
    """The findings about the limit."""
    return [finding for finding in conclude_all(*connections) if finding.code == "h2-stream-limit"]


# ---- the limit


def test_refused_streams() -> None:
    finding = conclude(limited(2, 4, refused=2))["h2-stream-limit"]
    assert finding.severity == "warning"
    assert finding.measured == {"stream_limit": 2, "peak_streams": 4, "refused_streams": 2}
    assert finding.title == f"all 2 streams that {WHERE} allows at once were in use: 2 further ones refused"
    assert (
        finding.how == "up to 4 streams in flight, against MAX_CONCURRENT_STREAMS 2; 2 streams may safely be sent again"
    )
    assert finding.advice == "raise nginx http2_max_concurrent_streams, or let the client use more connections"
    assert [evidence.what for evidence in finding.evidence] == [
        "server SETTINGS, MAX_CONCURRENT_STREAMS 2",
        "refused: stream 5",
        "refused: stream 7",
    ]


def test_limit_that_is_kept_to_is_told_when_it_is_reached() -> None:
    assert "h2-stream-limit" not in conclude(limited(8, 7))
    finding = conclude(limited(8, 8))["h2-stream-limit"]
    assert finding.title == f"all 8 streams that {WHERE} allows at once were in use: a further request has to wait"
    assert finding.how.endswith("what waits in the client is not seen")


def test_no_limit_is_never_reached() -> None:
    assert "h2-stream-limit" not in conclude(limited(None, 500))


def test_one_stream_at_a_time_is_always_reached() -> None:
    assert "h2-stream-limit" not in conclude(limited(1, 1))
    assert "h2-stream-limit" in conclude(limited(1, 2, refused=1))
    assert "h2-stream-limit" in conclude(limited(2, 2))


def test_limit_that_was_lowered_afterwards_was_not_reached() -> None:
    said = [settings(0, {"MAX_CONCURRENT_STREAMS": 100}), settings(15, {"MAX_CONCURRENT_STREAMS": 2})]
    busy = h2(*[(1.0, 10.0)] * 5, end_ms=20, server=said, peak=5)
    assert "h2-stream-limit" not in conclude(busy)


def test_refusal_below_the_limit() -> None:
    finding = conclude(limited(128, 3, refused=1))["h2-stream-limit"]
    assert finding.title == f"{WHERE} refused 1 stream, though it allows 128 at once"
    assert finding.advice is not None
    assert finding.advice.startswith("let the client send refused requests again")


def test_refusal_behind_goaway_is_told_by_the_goaway() -> None:
    findings = conclude(limited(128, 3, refused=1, end=3))
    assert "h2-stream-limit" not in findings
    assert findings["h2-goaway"].measured["streams_lost"] == 1


def test_client_that_refuses_a_push_is_no_limit() -> None:
    pushed = limited(128, 2)
    assert pushed.http2 is not None
    pushed.http2.client.rst_streams = {"REFUSED_STREAM": 1}
    pushed.http2.refused_streams = 1
    assert "h2-stream-limit" not in conclude(pushed)


def test_connections_at_the_limit_are_one_finding() -> None:
    (finding,) = found(limited(2, 2), limited(8, 3), limited(2, 4, refused=2))
    assert finding.connections == [0, 2]
    assert finding.measured == {"stream_limit": 2, "peak_streams": 4, "refused_streams": 2}


# ---- not shared


def users(n: int, *, requests: int = 4, apart_ms: float = 600, **changes: object) -> list[Connection]:
    """Connections that are open at the same time, with a request each now and then."""
    connections = []
    for i in range(n):
        spans = [(k * apart_ms + 10 * i, k * apart_ms + 10 * i + 5) for k in range(requests)]
        connections.append(h2(*spans, end_ms=requests * apart_ms + 10 * i))
    for connection in connections:
        for name, value in changes.items():
            setattr(connection, name, value)
    return connections


def test_four_connections_where_one_would_do() -> None:
    finding = conclude(*users(4))["h2-not-shared"]
    assert finding.severity == "notice"
    assert finding.measured == {"connections": 4, "peak_streams": 1, "stream_limit": 128}
    assert finding.title == f"4 connections to shop.test {WHERE} side by side, where one would do"
    assert finding.how == "at most 1 stream in flight on each of them, and the server allows 128"
    assert finding.connections == [0, 1, 2, 3]
    assert finding.client == "10.0.0.2"


def test_two_connections_that_were_both_used_beside_the_other() -> None:
    assert "h2-not-shared" in conclude(*users(2))
    once = [h2((0, 1_000), end_ms=1_100), h2((10, 900), (901, 902), (903, 904), end_ms=1_100)]
    assert "h2-not-shared" not in conclude(*once)


def test_connections_one_after_the_other_share_nothing() -> None:
    following = [h2((t, t + 5), (t + 10, t + 15), end_ms=t + 20) for t in (0, 100, 200, 300)]
    assert "h2-not-shared" not in conclude(*following)


def test_connection_with_goaway_is_not_there_to_be_shared() -> None:
    """It drains while its successor is used."""
    spans = [(0.0, 1.0), (10.0, 1_900.0)]
    drained = [
        h2(*((first + t, last + t) for first, last in spans), end_ms=2_000 + t, by="server",
           server=[settings(t, NGINX), goaway(t + 11, 3)])
        for t in (0, 500, 1_000, 1_500)
    ]  # fmt: skip
    assert "h2-not-shared" not in conclude(*drained)


@pytest.mark.parametrize(("limit", "told"), [(1, False), (2, True)])
def test_full_connection_has_no_room(limit: int, told: bool) -> None:
    """Each asks while the other has a stream in flight."""
    said = [settings(0, {"MAX_CONCURRENT_STREAMS": limit})]
    one = h2((0, 500), (505, 1_000), (1_005, 1_500), end_ms=1_600, server=said)
    two = h2((20, 520), (525, 1_020), (1_025, 1_500), end_ms=1_600, server=said)
    assert ("h2-not-shared" in conclude(one, two)) is told


def test_clients_and_programs_of_their_own_cannot_share() -> None:
    apart = users(4)
    for i, connection in enumerate(apart):
        connection.client = End(f"10.0.1.{i}", 40_000)
    assert "h2-not-shared" not in conclude(*apart)
    agents = users(4)
    for i, connection in enumerate(agents):
        for exchange in connection.exchanges:
            assert exchange.request is not None
            exchange.request.user_agent = f"program/{i}"
    assert "h2-not-shared" not in conclude(*agents)


def test_names_of_their_own_rightly_have_connections_of_their_own() -> None:
    named = users(4)
    for i, connection in enumerate(named):
        connection.name = f"shop{i}.test"
    assert "h2-not-shared" not in conclude(*named)


def test_connections_that_are_opened_anew_each_time_are_not_told_twice() -> None:
    findings = conclude(*(h2((10 * i, 10 * i + 25), end_ms=10 * i + 26) for i in range(10)))
    assert findings["client-never-reuses"].connections == list(range(10))
    assert "h2-not-shared" not in findings


def test_short_run_is_no_complaint() -> None:
    assert "h2-not-shared" not in conclude(*users(3, requests=1))


def test_connection_whose_settings_were_not_seen_is_not_counted_on() -> None:
    late = users(4)
    for connection in late:
        assert connection.http2 is not None
        connection.http2.server.settings.clear()
    assert "h2-not-shared" not in conclude(*late)


def test_two_clients_are_two_findings() -> None:
    connections = [*users(3), *users(3)]
    for connection in connections[3:]:
        connection.client = End("10.0.1.9", 40_000)
    told = [(f.client, f.connections) for f in conclude_all(*connections) if f.code == "h2-not-shared"]
    assert told == [("10.0.0.2", [0, 1, 2]), ("10.0.1.9", [3, 4, 5])]
