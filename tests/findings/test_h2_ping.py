"""PINGs: a steady beat, no answer, too many, and those that are no keepalive."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.findings.rules.h2_ping import steady
from inspector.records.capture import Dropped
from inspector.records.connection import Connection, Opened, Side
from inspector.records.finding import Finding
from inspector.records.http2 import PingFrame
from tests.findings.cases import conclude, conclude_all
from tests.findings.http2_cases import NGINX, goaway, h2, ping, settings
from tests.report.samples import MS, traffic

WHERE = "10.0.0.1:8001"
CODE = "h2-keepalive-ping"


def beating(times_ms: Sequence[float], by: Side = "client", end_ms: float | None = None) -> Connection:
    """A connection with answered PINGs at these times."""
    pings = [ping(by, at_ms, payload=f"{i:016x}") for i, at_ms in enumerate(times_ms)]
    return h2((0, 1), end_ms=end_ms or times_ms[-1] + 100, pings=pings)


def found(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


# ---- the beat


def test_steady_beat_of_a_client() -> None:
    finding = found(beating((1_005, 2_006, 3_008, 4_010, 5_011)))
    assert finding is not None
    assert finding.severity == "info"
    assert finding.measured == {"interval_ns": 1_001_500_000, "from": "client", "unanswered": 0, "rtt_ns": 400_000}
    assert finding.title == f"the client of {WHERE} sends PING every 1.00 s, and all are answered"
    assert finding.how == "5 PINGs; answers after 0.40 ms"
    assert finding.filter == "tcp.stream in {0} && http2.type == 6"
    assert finding.evidence[0].what == "client PING, answered after 0.40 ms"


def test_steady_beat_of_a_server() -> None:
    finding = found(beating((500, 1_000, 1_500, 2_000, 2_500), by="server"))
    assert finding is not None
    assert finding.title == f"{WHERE} sends PING every 500 ms, and all are answered"
    assert [suspect.product for suspect in finding.suspects] == ["nginx 1.22.1"]


def test_four_pings_are_no_beat_and_five_are() -> None:
    assert found(beating((1_000, 2_000, 3_000, 4_000))) is None
    assert found(beating((1_000, 2_000, 3_000, 4_000, 5_000))) is not None


def test_deviation_of_less_than_a_twentieth_or_fifty_milliseconds() -> None:
    second = 1_000 * MS
    assert steady([second, second, second + 49 * MS, second + 49 * MS]) is not None
    assert steady([2 * second - 100 * MS, 2 * second + 100 * MS] * 2) is None
    assert steady([2 * second - 99 * MS, 2 * second + 99 * MS] * 2) == 2 * second
    assert steady([second // 2 - 50 * MS, second // 2 + 50 * MS] * 2) is None
    assert steady([second // 2 - 49 * MS, second // 2 + 49 * MS] * 2) == second // 2


def test_jitter_of_fifteen_percent_is_told() -> None:
    """Envoy's connection_keepalive, which adds up to 15 % to each interval."""
    finding = found(beating((10_000, 20_100, 31_600, 42_400, 53_400, 64_900)))
    assert finding is not None
    assert finding.how == "6 PINGs, 10.1 s to 11.5 s apart: a jitter of 14%; answers after 0.40 ms"


def test_pings_that_come_as_they_please_are_no_beat() -> None:
    assert found(beating((1_000, 1_300, 4_000, 4_900, 9_000, 9_500))) is None


def test_fast_pings_measure_something() -> None:
    assert found(beating([199 * i for i in range(1, 20)])) is None
    assert found(beating([200 * i for i in range(1, 20)])) is not None


def test_estimates_of_bandwidth_are_no_keepalive() -> None:
    for payload in ("02041010090e0707", "00000000000004d2"):
        pings = [ping("client", 1_000 * i, payload=payload) for i in range(1, 8)]
        assert found(h2((0, 1), end_ms=9_000, pings=pings)) is None


def test_both_sides_have_their_own_beat() -> None:
    pings = [ping(side, 1_000 * i + 7, payload=f"{i:016x}") for side in ("client", "server") for i in range(1, 7)]
    told = [f.measured["from"] for f in conclude_all(h2((0, 1), end_ms=9_000, pings=pings)) if f.code == CODE]
    assert sorted(told) == ["client", "server"]


def test_beats_of_one_setting_are_one_finding() -> None:
    slow, slower, fast = (beating([i * ms for i in range(1, 7)]) for ms in (10_000, 10_900, 1_000))
    told = [f.connections for f in conclude_all(slow, fast, slower) if f.code == CODE]
    assert told == [[1], [0, 2]]


# ---- no answer


def silent(closes_ms: float | None, by: Side = "server", **changes: object) -> Connection:
    """A server's PING at 1,000 ms that is not answered."""
    connection = h2((0, 1), end_ms=closes_ms, by=by, pings=[ping("server", 1_000, None)])
    for name, value in changes.items():
        setattr(connection, name, value)
    return connection


def test_sender_that_closes_for_want_of_an_answer() -> None:
    finding = found(silent(1_500))
    assert finding is not None
    assert finding.severity == "problem"
    assert finding.measured == {"interval_ns": None, "from": "server", "unanswered": 1, "rtt_ns": None}
    assert finding.title == f"the client did not answer 1 PING of {WHERE}"
    assert finding.how == "1 PING, without an answer 1 of 1; the server closed 500 ms after"
    assert finding.suspects == []
    assert finding.advice is not None
    assert finding.evidence[0].what == "server PING, no answer"


def test_server_that_does_not_answer() -> None:
    deaf = h2((0, 1), end_ms=9_000, by="client", pings=[ping("client", 1_000, None)])
    finding = found(deaf)
    assert finding is not None
    assert finding.title == f"{WHERE} did not answer 1 PING of the client"


def test_answer_needs_time() -> None:
    assert found(silent(1_199)) is None
    assert found(silent(1_200)) is not None
    far = Opened("handshake", 1, 0, 100 * MS, False)
    assert found(silent(1_299, opened=far)) is None
    assert found(silent(1_300, opened=far)) is not None


def test_side_that_closes_need_not_answer_any_more() -> None:
    assert found(silent(1_500, by="client")) is None
    assert found(silent(6_000, by="client")) is not None


def test_end_of_the_capture_is_no_silence() -> None:
    assert found(silent(None)) is None
    other = h2((0, 1), end_ms=5_999)
    assert found(silent(None), other) is None
    assert found(silent(None), h2((0, 1), end_ms=6_000)) is not None


def test_answer_that_may_have_been_lost_is_not_missing() -> None:
    assert found(silent(1_500, client_traffic=traffic(missing_bytes=17))) is None
    assert found(silent(1_500, opened=Opened("mid-stream", None, 0, None, False))) is None
    assert not [f for f in conclude_all(silent(1_500), dropped=Dropped(3, 0)) if f.code == CODE]


# ---- too many


def calmed(pings: list[PingFrame], debug: str = "too_many_pings", last_ms: float | None = 3_005) -> Connection:
    said = [settings(0, NGINX), goaway(3_004, 1, "ENHANCE_YOUR_CALM", debug)]
    return h2((0, last_ms), end_ms=3_006, by="server", server=said, pings=pings)


def test_server_that_has_enough_of_pings() -> None:
    findings = conclude(calmed([ping("client", ms, payload=f"{ms:016x}") for ms in (500, 1_500, 2_500)]))
    finding = findings[CODE]
    assert finding.severity == "problem"
    assert finding.measured["from"] == "client"
    assert finding.title == f"{WHERE} ended 1 connection because of too many PINGs of the client"
    assert finding.how == '3 PINGs, 1.00 s apart, then GOAWAY ENHANCE_YOUR_CALM "too_many_pings"'
    assert finding.advice == "let the client send fewer: no more than the other side allows"
    assert "h2-goaway" not in findings


def test_call_that_was_ended_by_it_is_counted() -> None:
    finding = found(calmed([ping("client", 500)], last_ms=None))
    assert finding is not None
    assert finding.title.endswith("too many PINGs of the client: 1 request unanswered")


def test_advice_is_in_the_words_of_grpc() -> None:
    connection = calmed([ping("client", 500)])
    for exchange in connection.exchanges:
        assert exchange.request is not None
        exchange.request.user_agent = "grpc-python/1.60.0 grpc-c/37.0.0 (linux; chttp2)"
    finding = found(connection)
    assert finding is not None
    assert "GRPC_ARG_KEEPALIVE_TIME_MS" in (finding.advice or "")
    assert "300 s" in (finding.advice or "")


def test_pings_that_estimate_bandwidth_can_be_too_many() -> None:
    assert found(calmed([ping("client", ms, payload="02041010090e0707") for ms in (500, 600, 700)])) is not None


def test_calm_for_another_reason_is_a_goaway() -> None:
    findings = conclude(calmed([ping("client", 500)], debug="too_many_resets"))
    assert CODE not in findings
    assert findings["h2-goaway"].measured["error"] == "ENHANCE_YOUR_CALM"
