"""`python -m bench stages CAPTURE`: where the time goes inside one process.

Stages feed one another batch by batch, so each is timed as the difference between a pass with it and a pass without:
walking alone, walking and decoding, everything up to the Inspection. The reports are then timed by themselves.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from inspector.engine import Inspector
from inspector.inspection import Inspection
from inspector.packets.decode import PacketDecoder
from inspector.report.json import json_report
from inspector.report.layout import Screen
from inspector.report.table import View, table
from inspector.sources.open import open_capture


def walk(path: str) -> int:
    """Every packet's record; returns how many there are."""
    with open_capture([path]) as source:
        return sum(len(batch) for batch in source)


def decode(path: str) -> int:
    """Every packet's columns; returns how many TCP segments there are."""
    decoder = PacketDecoder()
    with open_capture([path]) as source:
        return sum(len(decoder.decode(batch)) for batch in source)


def inspect(path: str) -> Inspection:
    """Everything but the report."""
    inspector = Inspector()
    with open_capture([path]) as source:
        for batch in source:
            inspector.feed(batch)
    return inspector.finish()


def _exhaust(pieces: Iterable[str | bytes]) -> None:
    deque(pieces, maxlen=0)


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench stages", description=__doc__)
    parser.add_argument("capture")
    path = parser.parse_args(arguments).capture
    walk(path)
    walked, packets = _timed(lambda: walk(path))
    decoded, _ = _timed(lambda: decode(path))
    inspected, inspection = _timed(lambda: inspect(path))
    tabled, _ = _timed(lambda: _exhaust(table(inspection, View(Screen()))))
    encoded, _ = _timed(lambda: _exhaust(json_report(inspection)))
    stages = {
        "walk": walked,
        "decode": decoded - walked,
        "tcp, http, records": inspected - decoded,
        "table": tabled,
        "json": encoded,
    }
    print(f"{packets:,} packets, {len(inspection.connections):,} connections")
    for stage, seconds in stages.items():
        print(f"{stage:<20} {seconds:8.3f} s {seconds / max(packets, 1) * 1e9:8.0f} ns a packet")
    return 0
