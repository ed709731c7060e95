"""Laws on real captures: how a capture is cut into batches does not show, and reading it twice gives the same bytes.

The captures are those that ship, and those of CONNSPECT_CONFORMANCE, where that names a folder of captures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from inspector.engine import Inspector, Options
from inspector.errors import CaptureError
from inspector.inspection import Inspection
from inspector.records.event import EventRecord
from inspector.report.json import json_report
from inspector.sources.open import open_capture
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
    """All that is learned from a capture, events too."""
    inspector = Inspector(Options(events=True))
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
