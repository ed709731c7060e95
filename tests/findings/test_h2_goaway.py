"""Connections of HTTP/2 that end with GOAWAY: gracefully, with an error, with streams that nobody answers."""

from __future__ import annotations

import pytest

from inspector.records.connection import Opened, Tunnel
from tests.findings.cases import conclude, conclude_all
from tests.findings.http2_cases import NGINX, NOTICE, goaway, h2, ns, reset, settings
from tests.report.samples import MS, traffic

WHERE = "10.0.0.1:8001"


def ended(*spans_ms: tuple[float, float | None], last: int) -> dict[str, object]:
    """The figures of h2-goaway on a connection with these streams and one GOAWAY of the server."""
    connection = h2(*spans_ms, end_ms=11, by="server", server=[settings(0, NGINX), goaway(10, last)])
    return conclude(connection)["h2-goaway"].measured


# ---- graceful


def test_goaway_with_the_last_response_loses_nothing() -> None:
    spans = [(2.0 * i, 2.0 * i + 1) for i in range(5)]
    both = [
        h2(*spans, end_ms=11, by="client", server=[settings(0, NGINX), goaway(9, 9)]),
        h2(*spans, end_ms=13, by="client", server=[settings(0, NGINX), goaway(9, 9)]),
    ]
    finding = conclude(*both)["h2-goaway"]
    assert finding.severity == "info"
    assert finding.measured == {
        "steps": 1, "error": "NO_ERROR", "last_stream_id": 9, "requests_before": 5, "streams_lost": 0
    }  # fmt: skip
    assert finding.title == f"{WHERE} ended 2 connections with GOAWAY after 5 requests, and lost nothing"
    assert finding.how == "last_stream_id 9; client FIN 3.00 ms later"
    assert finding.connections == [0, 1]
    assert finding.filter == "tcp.stream in {0..1} && http2.type == 7"
    assert finding.advice is None
    assert [suspect.product for suspect in finding.suspects] == ["nginx 1.22.1"]


def test_goaway_out_of_silence_is_told_with_the_time() -> None:
    idle = h2((0, 1), end_ms=4_001, by="server", server=[settings(0, NGINX), goaway(3_001, 1)])
    finding = conclude(idle)["h2-goaway"]
    assert finding.title == f"{WHERE} ended an idle connection with GOAWAY after 3.00 s"
    assert finding.how == "last_stream_id 1; server FIN 1.00 s later"


def test_times_that_do_not_agree_are_a_range() -> None:
    """A shutdown finds connections idle for any time."""
    idle = [h2((0, 1), end_ms=ms, by="server", server=[settings(0, NGINX), goaway(ms, 1)]) for ms in (1_001, 9_001)]
    assert conclude(*idle)["h2-goaway"].title == f"{WHERE} ended 2 idle connections with GOAWAY after 1.00 s to 9.00 s"


def test_silence_while_a_request_is_under_way_is_not_idle() -> None:
    """Caddy is told to end, and answers what it has first."""
    busy = h2((0, 1), (2, 1_500), end_ms=2_500, by="server", server=[settings(0, NGINX), goaway(1_002, 3)])
    assert busy.closed is not None
    busy.closed.idle_ns = 1_000 * MS
    assert (
        conclude(busy)["h2-goaway"].title
        == f"{WHERE} ended a connection with GOAWAY after 2 requests, and lost nothing"
    )


def test_drain_in_two_steps() -> None:
    said = [settings(0, NGINX), goaway(3_001, NOTICE), goaway(8_001, 3)]
    drained = h2((0, 1), (2, 1_000), end_ms=9_001, by="server", server=said)
    finding = conclude(drained)["h2-goaway"]
    assert finding.measured["steps"] == 2
    assert finding.measured["last_stream_id"] == 3
    assert finding.how == "last_stream_id 2^31-1, then 3 after 5.00 s; server FIN 1.00 s later"


def test_goaway_said_twice_is_one_step() -> None:
    twice = h2((0, 1), end_ms=300, server=[settings(0, NGINX), goaway(222, 1), goaway(273, 1)])
    assert conclude(twice)["h2-goaway"].measured["steps"] == 1


def test_notice_alone_is_one_step_and_loses_nothing() -> None:
    """HAProxy ends softly with one GOAWAY of last_stream_id 2^31-1."""
    told = h2((0, 1), end_ms=300, server=[settings(0, NGINX), goaway(10, NOTICE)])
    finding = conclude(told)["h2-goaway"]
    assert finding.measured["steps"] == 1
    assert finding.measured["streams_lost"] == 0
    assert finding.how.startswith("last_stream_id 2^31-1; client FIN")


def test_connections_that_differ_have_no_number_in_common() -> None:
    one = h2((0, 1), end_ms=20, server=[settings(0, NGINX), goaway(10, 1)])
    two = h2((0, 1), (2, 3), end_ms=20, server=[settings(0, NGINX), goaway(10, 3)])
    finding = conclude(one, two)["h2-goaway"]
    assert finding.measured["last_stream_id"] is None
    assert finding.measured["requests_before"] is None
    assert finding.how.startswith("last_stream_id one of each connection; ")


def test_open_connection_is_not_said_to_have_lost_nothing() -> None:
    draining = h2((0, 1), (2, None), end_ms=None, server=[settings(0, NGINX), goaway(10, 3)])
    finding = conclude(draining)["h2-goaway"]
    assert finding.severity == "info"
    assert finding.title == f"{WHERE} ended a connection with GOAWAY after 2 requests"


def test_farewell_of_a_client_is_no_news() -> None:
    assert "h2-goaway" not in conclude(h2((0, 1), end_ms=10, client=[goaway(9, 0)]))


def test_debug_data_names_the_setting() -> None:
    aged = h2((0, 1), end_ms=20, by="server", server=[settings(0, {}), goaway(10, 1, debug="max_age")])
    for exchange in aged.exchanges:
        assert exchange.response is not None
        exchange.response.server = None
    finding = conclude(aged)["h2-goaway"]
    assert 'it says "max_age"' in finding.how
    assert [(s.product, s.setting, s.why) for s in finding.suspects] == [
        ("gRPC", "max connection age", "its GOAWAY's debug data")
    ]


def test_debug_data_of_another_product_names_nobody() -> None:
    """Server: nginx, and the words of gRPC: one of them is not the one who speaks here."""
    odd = h2((0, 1), end_ms=20, by="server", server=[settings(0, NGINX), goaway(10, 1, debug="max_age")])
    assert [suspect.product for suspect in conclude(odd)["h2-goaway"].suspects] == ["nginx 1.22.1"]


def test_end_of_a_tunnel_is_not_the_proxy_s() -> None:
    inside = h2((0, 1), end_ms=20, server=[settings(0, NGINX), goaway(10, 1)], tunnel=Tunnel("shop.test:443"))
    beside = h2((0, 1), end_ms=20, server=[settings(0, NGINX), goaway(10, 1)])
    titles = [finding.title for finding in conclude_all(inside, beside) if finding.code == "h2-goaway"]
    assert [title.split(" ended")[0] for title in titles] == ["shop.test:443 through 10.0.0.1:8001", "10.0.0.1:8001"]


# ---- lost streams


def test_streams_above_the_last_one_are_lost_and_may_be_sent_again() -> None:
    spans = [(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, None), (0.0, None), (0.0, None)]
    lost = h2(*spans, end_ms=2, by="server", server=[settings(0, NGINX), goaway(1, 5)])
    finding = conclude(lost)["h2-goaway"]
    assert finding.severity == "problem"
    assert finding.measured["streams_lost"] == 3
    assert finding.title == f"{WHERE} left 3 requests unanswered when it ended a connection with GOAWAY"
    assert "streams 7, 9, 11 above last_stream_id" in finding.how
    assert finding.advice == "let the client send again what is above last_stream_id: it was not processed"
    assert finding.client == "10.0.0.2"


def test_unanswered_stream_that_was_taken_is_not_called_safe() -> None:
    lost = h2((0, 1), (2, None), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 3)])
    finding = conclude(lost)["h2-goaway"]
    assert finding.severity == "problem"
    assert "stream 3 unanswered, perhaps processed" in finding.how
    assert finding.advice == "repeat what got no answer only where doing it twice does no harm"


def test_lost_and_graceful_ends_are_two_findings() -> None:
    lost = h2((0, 1), (2, None), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 1)])
    kept = h2((0, 1), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 1)])
    told = [(f.severity, f.connections) for f in conclude_all(lost, kept) if f.code == "h2-goaway"]
    assert told == [("problem", [0]), ("info", [1])]


def test_stream_that_the_client_gave_up_is_not_lost() -> None:
    cancelled = h2((0, 1), (2, None), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 1)])
    reset(cancelled, 3, "client", "CANCEL")
    assert conclude(cancelled)["h2-goaway"].measured["streams_lost"] == 0


def test_stream_above_that_was_answered_all_the_same_is_not_lost() -> None:
    assert ended((0, 1), (2, 3), last=1)["streams_lost"] == 0


def test_end_of_the_capture_loses_only_what_is_above() -> None:
    still_open = h2((0, 1), (2, None), (3, None), end_ms=None, server=[settings(0, NGINX), goaway(9, 3)])
    assert conclude(still_open)["h2-goaway"].measured["streams_lost"] == 1


def test_answer_in_a_hole_is_not_missing() -> None:
    """What a stream came to is not known where bytes are missing; what was not looked at is."""
    for holed in (traffic(missing_bytes=100), traffic(captured_bytes=100)):
        lossy = h2((0, 1), (2, None), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 3)])
        lossy.server_traffic = holed
        finding = conclude(lossy)["h2-goaway"]
        assert finding.measured["streams_lost"] == 0
        assert "lost nothing" not in finding.title


# ---- errors


def test_error_is_a_problem_though_nothing_was_lost() -> None:
    broken = h2((0, 1), end_ms=10, by="server", server=[settings(0, NGINX), goaway(9, 1, "PROTOCOL_ERROR")])
    finding = conclude(broken)["h2-goaway"]
    assert finding.severity == "problem"
    assert finding.title == f"{WHERE} ended a connection with GOAWAY PROTOCOL_ERROR"
    assert finding.measured["error"] == "PROTOCOL_ERROR"
    assert finding.advice == "look at what the client sent just before"


def test_error_with_a_request_under_way() -> None:
    broken = h2((0, 1), (2, None), end_ms=10, by="client", server=[settings(0, NGINX), goaway(9, 3, "INTERNAL_ERROR")])
    finding = conclude(broken)["h2-goaway"]
    assert finding.title == f"{WHERE} ended a connection with GOAWAY INTERNAL_ERROR: 1 request unanswered"


def test_error_of_the_client_is_told() -> None:
    broken = h2((0, 1), (2, None), end_ms=10, client=[goaway(9, 0, "COMPRESSION_ERROR")])
    finding = conclude(broken)["h2-goaway"]
    assert (
        finding.title == f"the client of {WHERE} ended a connection with GOAWAY COMPRESSION_ERROR: 1 request unanswered"
    )
    assert finding.advice == "look for something between the two that changes header blocks, or a faulty server"


def test_errors_are_a_finding_each() -> None:
    errors = ("PROTOCOL_ERROR", "INTERNAL_ERROR", "PROTOCOL_ERROR")
    broken = [h2((0, 1), end_ms=10, server=[settings(0, NGINX), goaway(9, 1, error)]) for error in errors]
    told = [(f.measured["error"], f.connections) for f in conclude_all(*broken) if f.code == "h2-goaway"]
    assert told == [("PROTOCOL_ERROR", [0, 2]), ("INTERNAL_ERROR", [1])]


def test_long_debug_data_is_cut() -> None:
    broken = h2((0, 1), end_ms=10, server=[settings(0, NGINX), goaway(9, 1, "PROTOCOL_ERROR", "x" * 500)])
    assert len(conclude(broken)["h2-goaway"].how) < 100


# ---- after GOAWAY


def test_streams_opened_after_goaway() -> None:
    spans = [(0.0, 1.0), (160.0, 161.0), (310.0, None), (460.0, None)]
    said = [settings(0, NGINX), goaway(2, NOTICE), goaway(200, 3)]
    finding = conclude(h2(*spans, end_ms=1_000, by="server", server=said))["h2-after-goaway"]
    assert finding.severity == "warning"
    assert finding.measured == {"streams": 3, "n": 1}
    assert finding.title == f"the client opened 3 streams at {WHERE} after GOAWAY had come"
    assert finding.how == "the last one 458 ms after the first GOAWAY; 2 of them got no answer"
    assert [evidence.what for evidence in finding.evidence[1:]] == [f"request on stream {i}" for i in (3, 5, 7)]


def test_stream_that_crossed_goaway_is_no_fault() -> None:
    """A handshake's time and 20 ms: so long a request may have been on its way, or its client busy."""
    for at_ms, told in ((122.0, False), (122.1, True)):
        crossing = h2((0, 1), (at_ms, at_ms + 1), end_ms=1_000, server=[settings(0, NGINX), goaway(2, NOTICE)])
        crossing.opened = Opened("handshake", 1, 0, 100 * MS, False)
        assert ("h2-after-goaway" in conclude(crossing)) is told


def test_client_that_closes_on_a_stream_that_was_still_to_be_answered() -> None:
    hasty = h2((0, 1), (2, None), end_ms=10, by="client", server=[settings(0, NGINX), goaway(3, 3)])
    findings = conclude(hasty)
    finding = findings["h2-after-goaway"]
    assert finding.measured == {"streams": 1, "n": 1}
    assert finding.title == f"the client closed on 1 request that {WHERE} was still to answer after GOAWAY"
    assert findings["h2-goaway"].severity == "info"


def test_client_that_stops_when_told_is_right() -> None:
    polite = h2((0, 1), (2, 9), end_ms=10, by="client", server=[settings(0, NGINX), goaway(3, 3)])
    assert "h2-after-goaway" not in conclude(polite)


def test_client_leaving_after_an_error_is_right() -> None:
    told = h2((0, 1), (2, None), end_ms=10, by="client", server=[settings(0, NGINX), goaway(3, 3, "PROTOCOL_ERROR")])
    assert "h2-after-goaway" not in conclude(told)


def test_goaway_of_the_client_forbids_it_nothing() -> None:
    odd = h2((0, 1), (500, 501), end_ms=600, client=[goaway(2, 0)])
    assert "h2-after-goaway" not in conclude(odd)


def test_exchanges_that_are_no_longer_listed_count_as_before() -> None:
    long = h2((0, 1), (100, 101), end_ms=200, server=[settings(0, NGINX), goaway(50, NOTICE)], requests=1_000)
    assert long.exchanges[1].request is not None
    assert long.exchanges[1].request.time_ns == ns(100)
    assert conclude(long)["h2-goaway"].measured["requests_before"] == 999


# ---- farewells


@pytest.mark.parametrize("error", ["NO_ERROR", "CANCEL", "INTERNAL_ERROR"])
def test_client_that_has_its_answers_takes_leave(error: str) -> None:
    """Node's sessions that are destroyed say INTERNAL_ERROR; the server's GOAWAY behind it is a reply."""
    left = h2((0, 1), end_ms=10, by="server", client=[goaway(8, 0, error)], server=[settings(0, NGINX), goaway(9, 1)])
    assert "h2-goaway" not in conclude(left)


def test_client_that_breaks_off_without_its_answers_is_told() -> None:
    broken = h2((0, 1), (2, None), end_ms=10, by="client", client=[goaway(8, 0, "INTERNAL_ERROR")])
    assert conclude(broken)["h2-goaway"].severity == "problem"
    assert "h2-goaway" not in conclude(h2((0, 1), (2, None), end_ms=10, by="client", client=[goaway(8, 0)]))


def test_goaway_behind_the_client_s_fin_is_a_reply() -> None:
    closed = h2((0, 1), end_ms=10, by="client", server=[settings(0, NGINX), goaway(11, 1)])
    assert "h2-goaway" not in conclude(closed)
    asked_first = h2((0, 1), end_ms=10, by="client", server=[settings(0, NGINX), goaway(9, 1)])
    assert "h2-goaway" in conclude(asked_first)


def test_reply_that_loses_streams_is_told() -> None:
    said = [settings(0, NGINX), goaway(9, 1)]
    lost = h2((0, 1), (2, None), end_ms=10, by="server", client=[goaway(8, 0)], server=said)
    assert conclude(lost)["h2-goaway"].measured["streams_lost"] == 1


def test_request_that_opened_a_tunnel_is_not_one_of_its_requests() -> None:
    inside = h2((0, 1), (2, 3), end_ms=20, server=[settings(0, NGINX), goaway(10, 1)], tunnel=Tunnel("shop.test:443"))
    inside.exchanges[1].inside = True
    assert conclude(inside)["h2-goaway"].measured["requests_before"] == 1
