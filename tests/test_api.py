"""The Python API: the same as the command line says, as records come, and from packets of one's own."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

import inspector
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.sources.open import open_capture
from tests.recordings import CAPTURES, report_on

NGINX = CAPTURES / "nginx-idle" / "client.pcapng"
TLS = CAPTURES / "tls-idle"
EXPORTED = [name for name in inspector.__all__ if name != "__version__"]


def packets(path: Path) -> list[tuple[int, bytes]]:
    """A capture's packets, as `Packets.feed` takes them."""
    found = []
    with open_capture([str(path)]) as source:
        for batch in source:
            rows = zip(batch.time_ns, batch.position, batch.captured, strict=True)
            found += [(int(time_ns), batch.data[at : at + size].tobytes()) for time_ns, at, size in rows]
    return found


def test_the_examples_of_the_docstring_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CAPTURES.parent)
    outcome = doctest.testmod(inspector)
    assert (outcome.failed, outcome.attempted) == (0, 4)


def test_the_report_is_the_command_lines() -> None:
    inspection = inspector.read(NGINX)
    told, report = json.loads(inspector.to_json(inspection)), report_on(CAPTURES / "nginx-idle")
    for one in (told, report):
        one["capture"].pop("files")
    assert told == report


def test_connections_come_as_they_end_and_events_as_they_happen() -> None:
    with inspector.open_captures(NGINX, events=True) as session:
        records = list(session)
        inspection = session.finish()
    connections = [record for record in records if isinstance(record, Connection)]
    events = [record for record in records if isinstance(record, EventRecord)]
    assert sorted(one.id for one in connections) == [one.id for one in inspection.connections] == [*range(6)]
    assert [one.event for one in events[:3]] == ["syn", "syn-ack", "established"]
    assert events == inspector.read(NGINX, events=True).events


def test_an_iteration_may_be_left_and_taken_up_again() -> None:
    with inspector.open_captures(NGINX) as session:
        first = next(session.connections())
        assert session.snapshot().capture.packets > 0
        rest = list(session.connections())
        assert {first.id, *(one.id for one in rest)} == {*range(6)}
        assert session.snapshot() is session.finish()


def test_what_was_closed_cannot_be_read() -> None:
    with inspector.open_captures(NGINX) as session:
        pass
    with pytest.raises(inspector.UsageError, match="closed before it was read"):
        session.finish()


def test_a_selection_is_a_function_of_the_ended_connection() -> None:
    inspection = inspector.read(NGINX, select=lambda connection: connection.id % 2 == 0)
    assert [one.id for one in inspection.connections] == [0, 2, 4]
    assert inspection.capture.packets == 96


def test_keys_open_what_is_encrypted() -> None:
    capture = TLS / "client.pcapng"
    assert inspector.read(capture).connections[0].protocol == "tls"
    assert inspector.read(capture, keylog=[TLS / "keys.log"]).connections[0].protocol == "http/1.1"
    with pytest.raises(inspector.UsageError, match="No such file"):
        inspector.open_captures(capture, keylog=["nowhere.log"])


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_packets_of_ones_own_give_what_their_capture_gives(at_once: int) -> None:
    own, fed, records = inspector.Packets(), packets(NGINX), []
    for at in range(0, len(fed), at_once):
        records += own.feed(fed[at : at + at_once])
    inspection, read = own.finish(), inspector.read(NGINX)
    assert inspection.connections == read.connections
    assert inspection.findings == read.findings
    assert all(record in read.connections for record in records)


def test_no_event_of_ones_own_packets_is_lost() -> None:
    own = inspector.Packets(events=True, select=lambda connection: connection.id < 3)
    events = [record for record in own.feed(packets(NGINX)) if isinstance(record, EventRecord)]
    late = own.finish().events
    assert late
    read = inspector.read(NGINX, events=True, select=lambda connection: connection.id < 3)
    assert [*events, *late] == read.events


def test_packets_of_ones_own_take_keys() -> None:
    own = inspector.Packets()
    own.keys((TLS / "keys.log").read_bytes())
    own.feed(packets(TLS / "client.pcapng"))
    assert [one.protocol for one in own.finish().connections] == ["http/1.1", "http/1.1"]


def test_tables_have_the_records_rows(tmp_path: Path) -> None:
    inspection = inspector.read(NGINX)
    arrow, frames = inspector.to_arrow(inspection), inspector.to_pandas(inspection)
    assert {name: table.num_rows for name, table in arrow.items()} == {name: len(one) for name, one in frames.items()}
    assert list(frames["connections"]["closed_by"]) == ["server"] * 6
    assert str(frames["connections"]["closed_idle_ns"].dtype) == "Int64"
    assert frames["endpoints"]["headers_response_keep_alive"][0] == {"timeout=7": 18}
    inspector.to_parquet(inspection, tmp_path / "tables")
    assert sorted(path.stem for path in (tmp_path / "tables").iterdir()) == sorted(arrow)


def test_nothing_to_read_is_one_of_our_errors(tmp_path: Path) -> None:
    with pytest.raises(inspector.CaptureError):
        inspector.read(tmp_path / "nowhere.pcap")
    with pytest.raises(inspector.UsageError, match="no capture"):
        inspector.read()


def test_captures_cannot_be_stopped() -> None:
    with inspector.open_captures(NGINX) as session, pytest.raises(inspector.UsageError, match="end by themselves"):
        session.stop()


def test_the_import_alone_loads_nothing() -> None:
    program = "import sys, inspector; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {*run.stdout.split()} & {"numpy", "scapy", "rich", "msgspec", "click"}


@pytest.mark.parametrize("name", EXPORTED)
def test_every_name_says_what_it_is(name: str) -> None:
    assert getattr(inspector, name).__doc__
    assert name in dir(inspector)


def test_other_names_are_none_of_it() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = inspector.nothing
