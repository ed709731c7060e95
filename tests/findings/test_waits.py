"""How long connections were idle before they were used again."""

from __future__ import annotations

from inspector.findings.waits import reuses, waits
from inspector.records.connection import Connection
from inspector.records.exchange import Reset
from tests.findings.cases import lost, opened
from tests.report.samples import MS


def idle_ms(connection: Connection) -> list[float]:
    return [idle_ns / MS for idle_ns, _ in waits(connection)]


def test_from_the_end_of_a_response_to_the_next_request() -> None:
    assert idle_ms(opened((0, 5), (30, 40), (45, 50), end_ms=60)) == [25, 5]


def test_first_request_waited_for_nothing() -> None:
    assert idle_ms(opened((0, 5), end_ms=60)) == []


def test_streams_at_once_are_over_when_the_last_one_is() -> None:
    assert idle_ms(opened((0, 50), (10, 20), (30, 40), (80, 90), end_ms=100)) == [30]


def test_what_follows_a_request_without_an_answer_is_not_known() -> None:
    connection = opened((0, 5), (30, 40), (60, 65), end_ms=70)
    connection.exchanges[1].response = None
    assert idle_ms(connection) == [25]


def test_what_follows_a_response_without_an_end_is_not_known() -> None:
    connection = opened((0, 5), (30, 40), end_ms=70)
    response = connection.exchanges[0].response
    assert response is not None
    response.end_ns = None
    assert idle_ms(connection) == []


def test_stream_that_was_reset_is_over() -> None:
    connection = opened((0, 5), (30, 40), (60, 65), end_ms=70)
    connection.exchanges[1].response, connection.exchanges[1].reset = None, Reset("client", "CANCEL")
    assert idle_ms(connection) == [25, 30]


def test_requests_whose_beginning_was_not_seen_count_by_their_answers() -> None:
    connection = opened((0, 5), (30, 40), (60, 65), end_ms=70)
    connection.exchanges[0].request = connection.exchanges[1].request = None
    assert idle_ms(connection) == [20]


def test_request_that_met_the_close_is_no_reuse() -> None:
    connection = lost(opened((0, 5), (30, 40), (60, 65), end_ms=61, by="server"), "after")
    assert idle_ms(connection) == [25, 20]
    assert reuses(connection) == [25 * MS]
