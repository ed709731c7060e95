"""How a capture is cut into batches, or in which order records are asked for, does not show: triage and runs tell what
row after row tells. Nothing raises, and everything adds up, whatever the packets are."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.engine import Options
from inspector.inspection import Inspection
from inspector.records.event import EventRecord
from inspector.sources.memory import Packet
from tests.tcp.conversations import captures, noise
from tests.tcp.playbook import inspect_packets


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
