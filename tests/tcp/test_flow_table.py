"""4-tuples to slots: against a dict of tuples, also when hashes collide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.packets.batch import IPV4_HIGH, U64, PacketBatch
from inspector.tcp import flow_table
from inspector.tcp.flow_table import FlowTable, Groups, group
from tests.tcp.columns import End, batch_of

_ENDS = st.tuples(
    st.sampled_from([IPV4_HIGH, 0x20010DB8_00000000, (1 << 64) - 1]),
    st.sampled_from([0, 1, 0x0A000001, (1 << 64) - 1]),
    st.sampled_from([0, 80, 40000, 0xFFFF]),
)
_ROWS = st.lists(st.tuples(_ENDS, _ENDS), min_size=1, max_size=30)


def _batch(rows: list[tuple[End, End]]) -> PacketBatch:
    return batch_of([{"source": source, "target": target} for source, target in rows])


def _key(source: End, target: End) -> tuple[End, End]:
    return (source, target) if source <= target else (target, source)


def _constant_hash(words: tuple[U64, ...]) -> U64:
    return np.full(len(words[0]), 12345, np.uint64)


def _check(batches: list[list[tuple[End, End]]]) -> None:
    table, slot_of = FlowTable(), dict[tuple[End, End], int]()
    for rows in batches:
        groups = group(_batch(rows))
        slots = table.slots(groups.tuples)
        _check_groups(rows, groups)
        for start, slot in zip(groups.starts.tolist(), slots.tolist(), strict=True):
            key = _key(*rows[int(groups.order[start])])
            assert slot_of.setdefault(key, slot) == slot
    assert sorted(slot_of.values()) == list(range(table.count)), "one slot a tuple, none twice"
    for (first, second), slot in slot_of.items():
        assert table.find_one(first, second) == table.find_one(second, first) == slot
    assert table.find_one((1, 2, 3), (4, 5, 6)) is None


def _check_groups(rows: list[tuple[End, End]], groups: Groups) -> None:
    assert sorted(groups.order.tolist()) == list(range(len(rows)))
    bounds = [*groups.starts.tolist(), len(rows)]
    seen = []
    for start, end in pairwise(bounds):
        members = groups.order[start:end].tolist()
        assert members == sorted(members), "capture order inside a group"
        (key,) = {_key(*rows[row]) for row in members}
        seen.append(key)
    assert len(set(seen)) == len(seen) == len({_key(*row) for row in rows})
    for position, row in enumerate(groups.order.tolist()):
        source, target = rows[row]
        assert bool(groups.reversed[position]) == (source > target)


@settings(max_examples=100, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=4))
def test_slots_are_a_dict_of_tuples(batches: list[list[tuple[End, End]]]) -> None:
    _check(batches)


@settings(max_examples=60, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=4))
def test_tuples_with_one_hash_are_still_told_apart(batches: list[list[tuple[End, End]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_table, "_hash", _constant_hash)
        _check(batches)


def test_many_tuples() -> None:
    """The index grows several times; who was in before keeps its slot."""
    client, server = (IPV4_HIGH, 0x0A000001), (IPV4_HIGH, 0x0A000002, 80)
    rows: list[tuple[End, End]] = [((*client, port), server) for port in range(20_000)]
    table = FlowTable()
    first = table.slots(group(_batch(rows[:100])).tuples)
    groups = group(_batch(rows))
    slots = table.slots(groups.tuples)
    assert table.count == len(rows)
    assert sorted(slots.tolist()) == list(range(len(rows)))
    assert sorted(slots[groups.tuples[4] >> np.uint64(16) < 100].tolist()) == sorted(first.tolist())
    assert slots.tolist() == table.slots(groups.tuples).tolist()
