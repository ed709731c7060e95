"""What a flood of SYNs costs: a row of arrays each, and no object before they are handed out."""

from __future__ import annotations

import numpy as np

from inspector.tcp.tracker import Tracker
from tests.tcp.columns import batch_of
from tests.tcp.test_streams import Reader

FLOOD = 300_000
#: Of each SYN alone (issue: a flood of half-open connections).
BYTES_OF_A_SYN = 128


def _bytes(tracker: Tracker) -> int:
    """Memory of whatever a tracker keeps in arrays and lists, as NumPy and Python size it."""
    seen, total = set[int](), 0
    waiting: list[object] = [tracker]
    while waiting:
        held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, np.ndarray):
            total += held.nbytes
        elif isinstance(held, (list, tuple)):
            total += held.__sizeof__()
            waiting += [one for one in held if one is not None]
        elif hasattr(held, "__dict__") and type(held).__module__.startswith("inspector."):
            waiting += held.__dict__.values()
        elif hasattr(held, "__slots__") and type(held).__module__.startswith("inspector."):
            waiting += [getattr(held, name) for name in held.__slots__ if hasattr(held, name)]
    return total


def test_a_syn_alone_costs_a_row_of_arrays() -> None:
    tracker = Tracker(lambda connection, start: Reader())
    rng = np.random.default_rng(1)
    addresses = rng.choice(1 << 31, FLOOD, replace=False)
    rows = 10_000
    for start in range(0, FLOOD, rows):
        flood = batch_of([], rows_alike=rows, first_packet=start + 1)
        flood.src_lo[:] = addresses[start : start + rows].astype(np.uint64)
        flood.flags[:] = 2
        assert tracker.feed(flood) == []
    cost = _bytes(tracker)
    assert FLOOD * 70 < cost <= FLOOD * BYTES_OF_A_SYN
    assert tracker.connections == FLOOD
    assert next(iter(tracker.finish())).syns == 1
