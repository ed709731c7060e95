"""How a capture is cut into batches, or in which order records are asked for, does not show: triage and runs tell what
row after row tells. Nothing raises, and everything adds up, whatever the packets are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.engine import Options
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.sources.memory import Packet
from tests.tcp.conversations import captures, noise
from tests.tcp.playbook import REQUEST, RESPONSE, SERVER, Talk, codes, inspect, inspect_packets, opened


def _story(inspection: Inspection) -> list[tuple[Any, ...]]:
    return sorted(_sortable(event) for event in inspection.events)


def _sortable(event: EventRecord) -> tuple[Any, ...]:
    exchange = -1 if event.exchange is None else event.exchange
    return event.time_ns, event.packet, event.connection, event.event, event.by or "", exchange, event.detail


def _check(packets: list[Packet], rows: list[int]) -> None:
    whole = inspect_packets(packets, Options(events=True))
    for batch_rows in rows:
        cut = inspect_packets(packets, Options(events=True), batch_rows)
        assert cut.connections == whole.connections
        assert cut.endpoints == whole.endpoints
        assert cut.anomalies == whole.anomalies
        assert _story(cut) == _story(whole)
    for batch_rows in (rows[0], len(packets)):
        without_log = inspect_packets(packets, batch_rows=batch_rows)
        assert without_log.connections == whole.connections
        assert without_log.anomalies == whole.anomalies


@settings(max_examples=25, deadline=None)
@given(captures(), st.sampled_from([2, 7, 64]))
def test_conversations_are_told_alike_in_batches_of_any_size(packets: list[Packet], batch_rows: int) -> None:
    _check(packets, [1, batch_rows])


@settings(max_examples=40, deadline=None)
@given(noise(), st.sampled_from([2, 7, 64]))
def test_segments_without_sense_are_told_alike(packets: list[Packet], batch_rows: int) -> None:
    if packets:
        _check(packets, [1, batch_rows])


# What fuzzing found to depend on batches, each as small as it gets.


def in_any_batches(talk: Talk) -> Connection:
    """The connection of a talk, which is the same in batches of any size."""
    (whole,) = inspect(talk).connections
    for batch_rows in range(1, talk.last):
        assert inspect(talk, batch_rows=batch_rows).connections == [whole]
    return whole


def test_a_fin_ahead_of_its_data_knows_of_quiet_acknowledgments_before_it() -> None:
    talk = opened().exchange().c(REQUEST)
    start = talk.sent(SERVER)
    talk.s(RESPONSE, lose=True).c("ACK", ack=talk.wire(SERVER) + 1).s("FIN ACK").s(RESPONSE, at=start)
    connection = in_any_batches(talk)
    assert (connection.requests, connection.responses) == (2, 1), "the hole was given up before the data came"


@pytest.mark.parametrize("ahead", [2, 500])
def test_a_forged_acknowledgment_inside_a_run_counts_before_the_farewell(ahead: int) -> None:
    talk = opened().c(REQUEST).s(RESPONSE[:20]).s(RESPONSE[20:], ack=1001 + len(REQUEST) + ahead)
    talk.s("FIN ACK").c("FIN ACK").wait(3).s("ACK")
    assert codes(in_any_batches(talk)) == ["after_close"], "both FINs were acknowledged with the second one"


def test_a_run_behind_a_reset_lasts_no_longer_than_what_comes_is_taken() -> None:
    talk = opened().c(REQUEST).c("RST").s(RESPONSE[:20]).wait(3).s(RESPONSE[20:])
    connection = in_any_batches(talk)
    assert connection.server_traffic.bytes == 20
    assert codes(connection) == ["after_close"]


def test_a_probe_behind_a_segment_that_ends_where_a_probe_begins() -> None:
    talk = opened().exchange()
    talk.s(RESPONSE[:-1], at=0).s("ACK", at=len(RESPONSE) - 1).c("ACK")
    assert in_any_batches(talk).server_traffic.keepalives == 1


def test_an_acknowledgment_of_a_fin_that_is_still_to_come_ends_nothing_sooner() -> None:
    """It says just what the last ACK will say; whether the connection has ended in between must not hang on batches."""
    talk = opened().c(b"x" * 10)
    talk.c(b"y" * 10, ack=talk.wire(SERVER) + 1).wait(2).c("FIN ACK").s("FIN ACK").wait(2).c("ACK")
    in_any_batches(talk)
