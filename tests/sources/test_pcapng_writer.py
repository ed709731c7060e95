"""What is written is read back by our own reader and by tshark; files follow one another as dumpcap's do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.packets.batch import Interface, RawBatch
from inspector.sources.memory import MemorySource, Packet
from inspector.sources.open import open_capture
from inspector.sources.pcapng_writer import MAX_KEY_BYTES, PcapngWriter, Rotation
from inspector.sources.secrets import key_logs
from inspector.sources.source import Dropped
from tests.sources.forge import Seen, seen

SECOND = 10**9


def batches(packets: Sequence[Packet], interfaces: Sequence[Interface] = (Interface(1, "eth0"),)) -> list[RawBatch]:
    return list(MemorySource(packets, interfaces=interfaces))


def read_back(path: str | Path) -> list[Seen]:
    with open_capture([str(path)]) as source:
        packets = seen(source)
        assert source.problems == []
        return packets


def written(path: Path, packets: Sequence[Packet], rotation: Rotation) -> list[list[bytes]]:
    """The packets of each file that is there in the end."""
    writer = PcapngWriter(str(path), rotation, now=lambda: 1_700_000_000.0)
    for batch in batches(packets):
        writer.write(batch)
    writer.close(None)
    assert writer.packets == len(packets)
    return [[packet.data for packet in read_back(file)] for file in writer.paths]


@given(
    packets=st.lists(
        st.builds(Packet, st.integers(0, 1 << 62), st.binary(max_size=9), st.none() | st.integers(9, 70_000)),
        min_size=1,
    ),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_what_was_captured_is_there(
    tmp_path_factory: pytest.TempPathFactory, packets: list[Packet], sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("w") / "kept.pcapng"
    writer = PcapngWriter(str(path))
    start = 0
    while start < len(packets):
        size = sizes[start % len(sizes)]
        for batch in batches(packets[start : start + size]):
            writer.write(batch)
        start += size
    writer.close(None)
    assert read_back(path) == [
        Seen(at + 1, one.time_ns, one.data, one.length or len(one.data), 1) for at, one in enumerate(packets)
    ]


def test_interfaces_that_come_later_and_what_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    writer = PcapngWriter(str(path), filter="tcp", snap_length=96)
    interfaces = [Interface(1, "eth0")]
    writer.write(batches([Packet(1, b"a")], interfaces)[0])
    interfaces.append(Interface(101, "tun0"))
    writer.write(batches([Packet(2, b"b", interface=1), Packet(3, b"c", interface=0)], interfaces)[0])
    writer.close(Dropped(7, 2))
    assert [(one.data, one.link_type) for one in read_back(path)] == [(b"a", 1), (b"b", 101), (b"c", 1)]
    with open_capture([str(path)]) as source:
        names = [{one.name for one in batch.interfaces} for batch in source]
        assert names[-1] == {"eth0", "tun0"}
        assert source.files[0].dropped == Dropped(7, 2)


def test_nothing_was_captured(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    PcapngWriter(str(path)).close(Dropped(0, None))
    assert read_back(path) == []


def test_rows_of_a_view_into_a_ring(tmp_path: Path) -> None:
    """Packets do not lie one behind the other, nor in order."""
    data = np.frombuffer(b"..second..first..", np.uint8)
    position, size, time_ns = (np.array(values, np.int64) for values in ([10, 2], [5, 6], [1, 2]))
    batch = RawBatch(data, position, size, size, time_ns, np.zeros(2, np.uint16), [Interface(1)], 1)
    writer = PcapngWriter(str(tmp_path / "kept"))
    writer.write(batch)
    writer.close(None)
    assert [one.data for one in read_back(tmp_path / "kept")] == [b"first", b"second"]


def test_a_row_of_files_by_size(tmp_path: Path) -> None:
    packets = [Packet(at, bytes([at]) * 100) for at in range(10)]
    files = written(tmp_path / "kept.pcapng", packets, Rotation(bytes=400))
    assert [one for file in files for one in file] == [packet.data for packet in packets]
    assert [len(file) for file in files] == [3, 3, 3, 1]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:10] for name in names] == ["kept_00001", "kept_00002", "kept_00003", "kept_00004"]
    assert all(name.endswith(".pcapng") for name in names)


def test_a_file_takes_at_least_one_packet(tmp_path: Path) -> None:
    files = written(tmp_path / "kept", [Packet(at, bytes([at]) * 100) for at in range(3)], Rotation(bytes=1))
    assert [len(file) for file in files] == [1, 1, 1]


def test_a_row_of_files_by_time(tmp_path: Path) -> None:
    times = [0, 1, 9, 10, 11, 35]
    packets = [Packet(at * SECOND, bytes([at])) for at in times]
    files = written(tmp_path / "kept", packets, Rotation(seconds=10))
    assert [[one[0] for one in file] for file in files] == [[0, 1, 9], [10, 11], [35]]


def test_old_files_go(tmp_path: Path) -> None:
    packets = [Packet(at * SECOND, bytes([at])) for at in range(5)]
    files = written(tmp_path / "kept", packets, Rotation(seconds=1, files=2))
    assert [[one[0] for one in file] for file in files] == [[3], [4]]
    assert len(list(tmp_path.iterdir())) == 2


def test_keys_stand_in_front_of_the_packets(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    writer = PcapngWriter(str(path))
    (batch,) = batches([Packet(1, b"a"), Packet(2, b"b")])
    writer.write(batch)
    writer.add_keys(b"CLIENT_RANDOM 1\n")
    writer.add_keys(b"CLIENT_RANDOM 2\n")
    writer.add_keys(b"x" * MAX_KEY_BYTES)  # no room for that
    writer.close(None)
    with open_capture([str(path)], batch_rows=1) as source:
        next(iter(source))
        assert list(key_logs(source.files[0].secrets)) == [b"CLIENT_RANDOM 1\nCLIENT_RANDOM 2\n"]
    assert [one.data for one in read_back(path)] == [b"a", b"b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error() -> None:
    writer = PcapngWriter("/dev/full")
    (batch,) = batches([Packet(1, b"a")])
    with pytest.raises(OSError, match="No space left"):
        writer.write(batch)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    writer = PcapngWriter(str(path), filter="tcp")
    (batch,) = batches([Packet(1_700_000_000_123_456_789, bytes(60), 1500)])
    writer.write(batch)
    writer.add_keys(b"CLIENT_RANDOM " + b"11" * 32 + b" " + b"22" * 48 + b"\n")
    writer.close(Dropped(3, None))
    fields = [word for name in ("time_epoch", "len", "cap_len", "interface_name") for word in ("-e", f"frame.{name}")]
    command = ["tshark", "-r", str(path), "-T", "fields", *fields]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split("\t") == ["1700000000.123456789", "1500", "60", "eth0\n"]
