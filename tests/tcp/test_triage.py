"""Which rows become steps, which of them join in runs, and what the rest adds up to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.packets.batch import PacketBatch
from inspector.tcp.flow_table import group
from inspector.tcp.triage import Steps, triage
from tests.tcp.columns import CLIENT, SERVER, Row, batch_of
from tests.tcp.playbook import REQUEST, Talk, columns, opened


def _triage(batch: PacketBatch, watched: bool = False) -> Steps:
    groups = group(batch)
    return triage(batch, groups, np.full(len(groups.starts), watched))


def _steps(talk: Talk, watched: bool = False) -> list[tuple[list[int], bool]]:
    """Each step's packets, and whether it is a run."""
    batch = columns(talk)
    steps = _triage(batch, watched)
    packets = batch.packet[steps.order[steps.members]].tolist()
    bounds = pairwise(steps.first.tolist())
    return [(packets[start:end], bool(run)) for (start, end), run in zip(bounds, steps.run, strict=True)]


def _told(talk: Talk) -> list[int]:
    return [packet for packets, _ in _steps(talk) for packet in packets]


def test_acknowledgments_that_repeat_what_is_known_are_not_told() -> None:
    talk = opened().c("ACK").c(REQUEST).s("ACK").c("ACK").s("ACK").c("ACK")
    assert _steps(talk) == [([1], False), ([2], False), ([3], False), ([5], True), ([6], False)]


def test_a_download_is_one_run() -> None:
    talk = opened().c(REQUEST)
    for _ in range(6):
        talk.s(b"x" * 100).s(b"y" * 100).c("ACK")
    steps = _steps(talk)
    assert steps[:4] == [([1], False), ([2], False), ([3], False), ([4], True)]
    assert steps[4:] == [([5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21], True)]


def test_payload_of_the_other_side_ends_a_run() -> None:
    talk = opened().c(b"a").c(b"b").s(b"c").s(b"d").c(b"e")
    assert [packets for packets, run in _steps(talk) if run] == [[4, 5], [6, 7], [8]]


def test_a_jump_begins_another_step() -> None:
    talk = opened().s(b"aa").s(b"bb", lose=True).s(b"cc").s(b"dd")
    assert [packets for packets, run in _steps(talk) if run] == [[4], [5, 6]]


def test_what_the_snap_length_cut_is_in_no_run() -> None:
    talk = Talk(snaplen=60).handshake().s(b"123456").s(b"1234567").s(b"1234")
    assert [packets for packets, run in _steps(talk) if run] == [[4], [6]]


@pytest.mark.parametrize("flags", ["FIN ACK", "RST ACK", "SYN ACK"])
def test_control_flags_are_told(flags: str) -> None:
    talk = opened().c("ACK").c("ACK").s("ACK").s(flags)
    assert talk.last in _told(talk)


def test_behind_a_fin_everything_is_told() -> None:
    talk = opened().c("ACK").s("ACK").c("ACK").s("FIN ACK").c("ACK").c("ACK").c("ACK")
    assert _told(talk) == [1, 2, 3, 5, 7, 8, 9, 10]


def test_a_closed_window_and_its_opening_are_told() -> None:
    talk = opened().c("ACK").c("ACK", window=0).c("ACK").c("ACK")
    assert _told(talk) == [1, 2, 3, 5, 6]


def test_keep_alive_probes_are_told() -> None:
    talk = opened().c("ACK").c("ACK", at=-1).c("ACK")
    assert _told(talk) == [1, 2, 3, 5, 6]


def test_of_a_watched_connection_every_row_is_a_step() -> None:
    talk = Talk().c(REQUEST, at=0).s(b"a", at=0).s(b"b").c("ACK").c("ACK").c("ACK")
    assert _steps(talk, watched=True) == [([packet], False) for packet in range(1, talk.last + 1)]


def test_each_plain_syn_begins_a_group() -> None:
    batch = columns(Talk().handshake(), Talk(start=1, isn=(5, 6)).handshake(), Talk("10.0.0.1:1", start=2).c("SYN"))
    steps = _triage(batch)
    sizes = np.diff(steps.group_starts).tolist()
    assert sorted(sizes) == [1, 3, 3]
    assert len(set(steps.group_tuple.tolist())) == 2


_ROW = st.fixed_dictionaries(
    {},
    optional={
        "flags": st.sampled_from([16, 24, 2, 18, 17, 4, 20, 0]),
        "seq": st.sampled_from([0, 1, 2, 3, 0xFFFFFFFF]),
        "ack": st.sampled_from([0, 1, 0xFFFFFFFF, 0x7FFFFFF0]),
        "window": st.sampled_from([0, 1]),
        "length": st.sampled_from([1, 2]),
        "ttl": st.sampled_from([63, 64]),
        "network": st.sampled_from([0, 5]),
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_ROW, st.booleans(), st.sampled_from([40000, 40001])), min_size=1, max_size=30))
def test_sums_and_steps_of_anything(drawn: list[tuple[Row, bool, int]]) -> None:
    rows = []
    for row, reverse, port in drawn:
        ends = (CLIENT[0], CLIENT[1], port), SERVER
        rows.append(Row(**row, source=ends[reverse], target=ends[not reverse]))
    batch = batch_of(rows)
    steps = _triage(batch)
    told = set(steps.order[steps.members].tolist())
    for index, (start, end) in enumerate(pairwise(steps.group_starts.tolist())):
        members = steps.order[start:end].tolist()
        for side in (0, 1):
            mine = [row for row in members if (rows[row]["source"] == SERVER) == bool(side)]
            totals = steps.totals[side]
            assert totals.packets[index] == len(mine)
            assert totals.captured[index] == sum(rows[row].get("length", 0) for row in mine)
            if not mine:
                continue
            ttls, networks = (
                [rows[row].get(name, usual) for row in mine] for name, usual in (("ttl", 64), ("network", 0))
            )
            assert (totals.ttl_low[index], totals.ttl_high[index]) == (min(ttls), max(ttls))
            assert (totals.network_low[index], totals.network_high[index]) == (min(networks), max(networks))
            for row in mine:
                if rows[row].get("flags", 16) & 7 or rows[row].get("length", 0):
                    assert row in told, "whatever has SYN, FIN, RST or payload is in a step"
    for step, (start, end) in enumerate(pairwise(steps.first.tolist())):
        members = steps.order[steps.members[start:end]].tolist()
        assert len(members) == 1 or steps.run[step]
        for before, after in pairwise(members):
            assert rows[after]["source"] == rows[before]["source"]
            assert rows[after].get("seq", 0) == (rows[before].get("seq", 0) + rows[before]["length"]) % (1 << 32)
