"""Numbers, batch edges, and the merge of several files."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inspector.packets.batch import BATCH_BOUNDARY
from inspector.sources.memory import MemorySource
from inspector.sources.open import open_capture
from tests.sources.forge import Pcapng, Seen, pcap, pcap_header, pcap_record, seen

#: Packet times of one file, equal ones and steps back among them.
times = st.lists(st.integers(0, 6), max_size=12)


def _merge_of_heads(files: list[list[int]]) -> Iterator[tuple[int, int]]:
    """(file, index in it) as mergecap goes: the earliest head; of equal ones that of the file named last."""
    heads = [(packets[0], -file, 0) for file, packets in enumerate(files) if packets]
    heapq.heapify(heads)
    while heads:
        _, minus_file, index = heapq.heappop(heads)
        yield -minus_file, index
        if index + 1 < len(files[-minus_file]):
            heapq.heappush(heads, (files[-minus_file][index + 1], minus_file, index + 1))


def _write(folder: Path, files: list[list[int]]) -> list[str]:
    """Captures whose packets say which they are."""
    paths = []
    for file, packets in enumerate(files):
        path = folder / f"{file}.pcap"
        path.write_bytes(pcap([(time, bytes([file, index])) for index, time in enumerate(packets)], link=file))
        paths.append(str(path))
    return paths


@example(files=[[2, 3], [1, 3, 3]], batch_rows=2)  # an equal time is in sight, but one that goes first is not yet
@given(files=st.lists(times, min_size=1, max_size=4), batch_rows=st.sampled_from([1, 2, 5, 1000]))
def test_the_merge_is_that_of_the_earliest_heads(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], batch_rows: int
) -> None:
    with open_capture(_write(tmp_path_factory.mktemp("m"), files), batch_rows=batch_rows) as source:
        packets = seen(source)
        assert [tuple(packet.data) for packet in packets] == list(_merge_of_heads(files))
        assert [packet.number for packet in packets] == list(range(1, len(packets) + 1))
        assert [packet.time_ns for packet in packets] == [files[p.data[0]][p.data[1]] for p in packets]
        assert [packet.link_type for packet in packets] == [packet.data[0] for packet in packets]
        assert [file.packets for file in source.files] == [len(times) for times in files]
        assert not source.problems


def test_the_merge_is_mergecaps(tmp_path: Path) -> None:
    """As mergecap 4.0.17 merged these two."""
    paths = _write(tmp_path, [[5, 5, 1, 7], [5, 1, 6, 7]])
    with open_capture(paths) as source:
        assert [tuple(packet.data) for packet in seen(source)] == [
            (1, 0), (1, 1), (0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (0, 3),
        ]  # fmt: skip


def test_damage_is_placed_on_the_timeline(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_bytes(pcap_header() + b"".join(pcap_record(b"w", second) for second in (1, 3, 5)))
    cut.write_bytes(pcap_header() + pcap_record(b"c", 2) + pcap_record(b"c", 4)[:-1])
    with open_capture([str(whole), str(cut)]) as source:
        assert [packet.data for packet in seen(source)] == [b"w", b"c", b"w", b"w"]
        (problem,) = source.problems
        assert (problem.file, problem.packet, problem.offset) == (str(cut), 2, 24 + 17)


def test_interfaces_of_merged_files_keep_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(Pcapng().section().interface(1).interface(101).enhanced(b"a", 1, 1).enhanced(b"c", 3, 0).data)
    other.write_bytes(Pcapng().section(">").interface(113).enhanced(b"b", 2, 0).data)
    with open_capture([str(one), str(other)]) as source:
        assert [(packet.data, packet.link_type) for packet in seen(source)] == [(b"a", 101), (b"b", 113), (b"c", 1)]
        assert [file.link_types for file in source.files] == [[1, 101], [113]]


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("batch_rows", [1000, 20_000, 1 << 20])
def test_no_batch_spans_the_boundary(tmp_path: Path, files: int, batch_rows: int) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap_header() + pcap_record(b"", 1) * (2 * BATCH_BOUNDARY + 5))
    with open_capture([str(path)] * files, batch_rows=batch_rows) as source:
        expected = 1
        for batch in source:
            assert batch.first_packet == expected
            assert len(batch) <= batch_rows
            expected += len(batch)
            assert (batch.first_packet - 1) // BATCH_BOUNDARY == (expected - 2) // BATCH_BOUNDARY
    assert expected == files * (2 * BATCH_BOUNDARY + 5) + 1


def test_a_batch_has_only_its_own_bytes(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap([(time, bytes(100)) for time in range(10)]))
    with open_capture([str(path)], batch_rows=3) as source:
        assert [len(batch.data) for batch in source] == [3 * 116, 3 * 116, 3 * 116, 116]


def test_memory_gives_the_same_batches_as_a_file(tmp_path: Path) -> None:
    packets = [(5, b"one"), (3, b""), (8, b"three")]
    path = tmp_path / "capture"
    path.write_bytes(pcap(packets, link=113))
    with open_capture([str(path)]) as file, MemorySource(packets, link_type=113, batch_rows=2) as memory:
        assert seen(memory) == seen(file)
        assert [batch.first_packet for batch in memory] == [1, 3]
        assert memory.files[0].packets == 3
    assert seen(MemorySource([])) == []
    assert seen(MemorySource([(1, b"x")])) == [Seen(1, 1, b"x", 1, 1)]
