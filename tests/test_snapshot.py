"""Snapshots: what is known while connections go on, and that looking changes nothing."""

from __future__ import annotations

import pytest
from msgspec import structs

from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import PLAIN, REQUEST, RESPONSE, SECOND, START_NS, Talk, inspect, merged


def _snapshots(*talks: Talk, options: Options = PLAIN, batch_rows: int = 1) -> tuple[list[Inspection], Inspection]:
    """A snapshot after each batch, and the end."""
    inspector, taken = Inspector(options), []
    for batch in MemorySource(merged(*talks), batch_rows=batch_rows):
        inspector.feed(batch)
        taken.append(inspector.snapshot())
    return taken, inspector.finish()


def _talks() -> list[Talk]:
    closed = Talk("10.0.0.1:1", start=0).handshake().exchange().close("server")
    again = Talk("10.0.0.1:4", start=0.5).handshake().exchange().exchange()
    still_open = Talk("10.0.0.1:2", "10.0.0.9:443", start=1).handshake().exchange().wait(5).exchange()
    crossed = Talk("10.0.0.1:3", start=2).handshake().exchange().s("FIN ACK").c(REQUEST).s("RST")
    return [closed, again, still_open, crossed]


def test_a_connection_from_its_syn_to_its_end() -> None:
    talk = Talk().handshake().c(REQUEST).s(RESPONSE).c("ACK").close("server")
    taken, _ = _snapshots(talk, options=Options(events=True))
    told = []
    for inspection in taken:
        (one,), (endpoint,) = inspection.connections, inspection.endpoints
        told.append((one.opened.how, one.requests, one.responses, one.closed.by if one.closed else None))
        assert endpoint.still_open == (one.closed is None and one.opened.how != "unanswered")
        assert endpoint.opened == (one.opened.how == "handshake")
    assert told == [
        ("unanswered", 0, 0, None),
        ("half-open", 0, 0, None),
        ("handshake", 0, 0, None),
        ("handshake", 1, 0, None),
        ("handshake", 1, 1, None),
        ("handshake", 1, 1, None),
        ("handshake", 1, 1, "server"),
        ("handshake", 1, 1, "server"),
        ("handshake", 1, 1, "server"),
    ]


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("batch_rows", [1, 5, 4096])
def test_looking_changes_nothing(events: bool, batch_rows: int) -> None:
    unseen = inspect(*_talks(), options=Options(events=events), batch_rows=batch_rows)
    taken, seen = _snapshots(*_talks(), options=Options(events=events), batch_rows=batch_rows)
    assert seen == unseen
    assert seen.connections[3].exchanges[1].race is not None
    last = taken[-1]
    assert last.capture == seen.capture
    by_port = sorted(last.endpoints, key=lambda endpoint: endpoint.port)
    final = [structs.replace(endpoint, pool=None) for endpoint in seen.endpoints]
    assert by_port == sorted(final, key=lambda endpoint: endpoint.port), "the judge has not seen it yet"
    assert [one.id for one in last.connections] == [one.id for one in seen.connections]


def test_what_does_not_change_is_the_same_object() -> None:
    quiet = Talk("10.0.0.1:1", "10.0.0.7:80", start=0).handshake().exchange()
    busy = Talk("10.0.0.1:2", "10.0.0.8:80", start=1).handshake().exchange().exchange().exchange()
    taken, _ = _snapshots(quiet, busy)
    before, after = taken[-4], taken[-1]
    assert before.connections[0] is after.connections[0]
    assert before.connections[1] is not after.connections[1]
    endpoints = [{endpoint.ip: endpoint for endpoint in one.endpoints} for one in (before, after)]
    assert endpoints[0]["10.0.0.7"] is endpoints[1]["10.0.0.7"]
    assert endpoints[0]["10.0.0.8"] is not endpoints[1]["10.0.0.8"]


def test_how_long_the_other_side_has_not_closed_is_told_anew() -> None:
    waiting = Talk("10.0.0.1:1", start=0).handshake().exchange().s("FIN ACK").c("ACK")
    other = Talk("10.0.0.1:2", start=5).handshake()
    taken, _ = _snapshots(waiting, other)
    closed = [one.connections[0].closed for one in taken[-3:]]
    lasted = [one.half_closed_ns / SECOND for one in closed if one is not None and one.half_closed_ns is not None]
    assert lasted == pytest.approx([4.993, 4.994, 4.995], abs=0.01)
    assert lasted[0] < lasted[1] < lasted[2]


def test_a_snapshot_stays_as_it_was() -> None:
    talk = Talk().handshake().exchange().close()
    taken, _ = _snapshots(talk)
    assert [one.capture.packets for one in taken] == list(range(1, len(talk.packets) + 1))
    assert taken[0].connections == [], "a SYN alone, without the event log"
    assert taken[2].connections[0].closed is None


def test_selection() -> None:
    taken, _ = _snapshots(*_talks(), options=Options(select=lambda one: one.server.port == 443))
    assert {one.server.port for one in taken[-1].connections} == {443}
    assert [endpoint.port for endpoint in taken[-1].endpoints] == [443]
    assert taken[-1].capture.last_ns is not None
    assert taken[-1].capture.last_ns > START_NS + SECOND
