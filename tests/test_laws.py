"""Laws on real captures: how a capture is cut into batches does not show, reading it twice gives the same bytes, and
one packet that is missing costs what depends on it.

The captures are those that ship, and those of CONNSPECT_CONFORMANCE, where that names a folder of captures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.engine import Inspector, Options
from inspector.errors import CaptureError
from inspector.inspection import Inspection
from inspector.protocols.tls.keylog import KeyLog
from inspector.records.event import EventRecord
from inspector.report.json import json_report
from inspector.sources.open import open_capture
from tests import drops
from tests.recordings import CAPTURES
from tests.tcp.playbook import check_laws

#: Captures with more packets are read in batches of 61 instead of 1 and 7: a batch takes about as long as 500 packets.
FEW_PACKETS = 500

SHIPPED = sorted(CAPTURES.glob("*/*.pcapng*"))
CONFORMANCE = os.environ.get("CONNSPECT_CONFORMANCE")


def _conformance() -> list[Path]:
    folder = Path(CONFORMANCE or "/nonexistent")
    return sorted(path for path in folder.glob("captures/**/*") if path.is_file())


def read(path: Path, batch_rows: int) -> Inspection:
    """All that is learned from a capture and the key log beside it, events too."""
    keys = KeyLog()
    if (log := path.with_name("keys.log")).exists():
        keys.add_whole(log.read_bytes())
    inspector = Inspector(Options(events=True, keys=keys))
    with open_capture([str(path)], batch_rows=batch_rows) as source:
        for batch in source:
            inspector.feed(batch)
    return inspector.finish()


def _in_order(events: list[EventRecord]) -> list[tuple[Any, ...]]:
    return sorted(
        (event.time_ns, event.packet, event.connection, event.event, str(event.by), event.exchange or 0, event.detail)
        for event in events
    )


def _report(inspection: Inspection) -> bytes:
    return b"".join(json_report(inspection))


def check(path: Path) -> None:
    """The laws, on one capture."""
    whole = read(path, 4096)
    check_laws(whole)
    assert _report(read(path, 4096)) == _report(whole)
    for batch_rows in (1, 7) if whole.capture.packets < FEW_PACKETS else (61,):
        cut = read(path, batch_rows)
        assert cut.connections == whole.connections
        assert cut.endpoints == whole.endpoints
        assert cut.anomalies == whole.anomalies
        assert cut.capture == whole.capture
        assert _in_order(cut.events) == _in_order(whole.events)


def test_there_are_captures() -> None:
    assert len(SHIPPED) >= 15


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_laws_on_captures_that_ship(path: Path) -> None:
    check(path)


@pytest.mark.skipif(CONFORMANCE is None, reason="CONNSPECT_CONFORMANCE names no folder of captures")
def test_laws_on_captures_of_others() -> None:
    paths = _conformance()
    assert paths
    for path in paths:
        try:
            check(path)
        except CaptureError:
            continue
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from error


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_missing_packet_costs_what_depends_on_it(data: st.DataObject) -> None:
    """Drawn from all recordings, whatever they speak; each is small enough to be read again and again."""
    path = data.draw(st.sampled_from([path for path in SHIPPED if path.stat().st_size < drops.MAX_FILE]))
    whole = drops.recording(path)
    packet = data.draw(st.integers(1, len(whole.packets)), label=f"packet of {path.parent.name}")
    drops.check(whole, packet)


def test_something_depends_on_a_missing_packet() -> None:
    """The law above would hold as well if nothing ever changed."""
    whole = drops.recording(next(path for path in SHIPPED if path.parent.name == "h2-table-size"))
    (exchanges,) = (connection["exchanges"] for connection in whole.connections.values())
    request = exchanges[1]["request"]["packet"]
    (cut,) = whole.without(request).values()
    assert not cut["http2"]["headers_reliable"]
    assert [exchange["stream"] for exchange in cut["exchanges"]] == [1, 3, 5, 7, 9, 11]
    assert cut["exchanges"][1]["request"] is None
    assert [exchange["request"]["target"] for exchange in cut["exchanges"][2:]] == [None] * 4
    with pytest.raises(AssertionError):
        drops.check(drops.Recording(**{**vars(whole), "connections": {("other",): cut}}), request)
