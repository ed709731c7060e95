"""What is opened, what is refused, and a capture that is still being written."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from inspector.errors import CaptureError
from inspector.sources.compressed import PIPE_GRACE_S, PIPE_GRACES, PlainStream
from inspector.sources.open import open_capture
from inspector.sources.window import RELEASE_STEP, STREAM_BUFFER, MappedWindow, StreamError, StreamWindow
from tests.sources.forge import Pcapng, pcap, pcap_header, pcap_record, seen, seen_of

GOOD = pcap([(1, b"one"), (2, b"two")])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (
            b"#!/bin/sh\n",
            "not a pcap or pcapng file (starts with 23 21 2f 62); gzip, zstd, xz and lz4 of them are read",
        ),
        (b"\xd4", "not a pcap or pcapng file (starts with d4)"),
        (b"\x1f\x8b", "the gzip data are cut off"),
        (b"\x1f\x8b" + bytes(40), "the gzip data are damaged"),
    ],
)
def test_what_is_no_capture_is_said_in_one_line(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "good.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        open_capture([str(path)])
    message = str(caught.value)
    assert message.startswith(f"{path}: {what}")
    assert "\n" not in message


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="a directory: name the capture files in it"):
        open_capture([str(tmp_path)])
    with pytest.raises(CaptureError, match="no such file"):
        open_capture([str(tmp_path / "missing")])


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> io.FileIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(io, "FileIO", refuse)
    with pytest.raises(CaptureError, match="cannot be read: Permission denied"):
        open_capture([str(tmp_path / "secret")])


def test_names_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "capture.txt.gz"
    path.write_bytes(GOOD)
    with open_capture([str(path)]) as source:
        assert len(seen(source)) == 2
        assert source.files[0].compression is None


def test_of_several_files_the_readable_ones_are_read(tmp_path: Path) -> None:
    good, bad, missing = tmp_path / "good", tmp_path / "bad", tmp_path / "missing"
    good.write_bytes(GOOD)
    bad.write_bytes(b"bad!")
    with open_capture([str(bad), str(good), str(missing)]) as source:
        assert [packet.data for packet in seen(source)] == [b"one", b"two"]
        assert [file.path for file in source.files] == [str(good)]
        assert [(problem.file, problem.offset, problem.packet) for problem in source.problems] == [
            (str(bad), None, None),
            (str(missing), None, None),
        ]
    with pytest.raises(CaptureError, match=r"bad: not a pcap.*; .*missing: no such file"):
        open_capture([str(bad), str(missing)])


def test_progress(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(GOOD)
    with open_capture([str(path), str(path)]) as source:
        assert source.total_bytes == 2 * len(GOOD)
        assert source.position == 0
        assert len(seen(source)) == 4
        assert source.position == source.total_bytes


class _Pipe:
    """Standard input as somebody else writes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, self._writing = os.pipe()
        self._stdin = io.TextIOWrapper(os.fdopen(reading, "rb"))
        monkeypatch.setattr(sys, "stdin", self._stdin)

    def write(self, data: bytes) -> None:
        os.write(self._writing, data)

    def end(self) -> None:
        os.close(self._writing)

    def still_open(self) -> bool:
        return not self._stdin.buffer.closed


def test_packets_of_a_pipe_come_out_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = _Pipe(monkeypatch)
    pipe.write(pcap_header() + pcap_record(b"one", 1) + pcap_record(b"two", 2)[:10])
    with open_capture(["-"]) as source:
        assert source.total_bytes is None
        batches = iter(source)
        assert [packet.data for packet in seen_of(next(batches))] == [b"one"]
        pipe.write(pcap_record(b"two", 2)[10:])
        assert [(packet.number, packet.data) for packet in seen_of(next(batches))] == [(2, b"two")]
        pipe.write(pcap_record(b"three", 3)[:-1])
        pipe.end()
        assert next(batches, None) is None
        (problem,) = source.problems
        assert (problem.file, problem.packet) == ("-", 2)
        assert problem.offset == 24 + 2 * (16 + 3)
        assert source.files[0].path == "-"
        assert source.files[0].bytes == problem.offset + 16 + 4
    assert pipe.still_open()


def test_a_pipe_that_trickles_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = _Pipe(monkeypatch)
    pipe.write(b"always something")
    stream = PlainStream(sys.stdin.buffer, waits=True)  # type: ignore[arg-type]
    answers = [stream.ready() for _ in range(2 * PIPE_GRACES)]
    assert answers.index(False) == PIPE_GRACES
    assert PIPE_GRACES * PIPE_GRACE_S <= 0.1
    pipe.end()


def test_pcapng_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = _Pipe(monkeypatch)
    file = Pcapng().section()
    pipe.write(file.data)
    with open_capture(["-"]) as source:
        batches = iter(source)
        pipe.write(Pcapng().interface().enhanced(b"a").data)
        assert [packet.data for packet in seen_of(next(batches))] == [b"a"]
        pipe.write(Pcapng().interface(113).enhanced(b"b", interface=1).data)
        pipe.end()
        assert [(packet.data, packet.link_type) for packet in seen_of(next(batches))] == [(b"b", 113)]
        assert next(batches, None) is None
        assert not source.problems


def test_standard_input_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD)))
    with open_capture(["-"]) as source:
        assert [packet.data for packet in seen(source)] == [b"one", b"two"]


class _Endless:
    """A stream that never runs dry and never ends."""

    position = 0

    def read(self, size: int) -> bytes:
        return bytes(min(size, 1 << 16))

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        self.position = -1


def test_a_stream_is_looked_at_through_a_bounded_buffer() -> None:
    window = StreamWindow(_Endless())
    for _ in range(5):
        window.forward(len(window.data))
        assert len(window.data) == STREAM_BUFFER
    window.forward(0)  # one record fills it all
    assert len(window.data) == 2 * STREAM_BUFFER
    assert window.origin == 4 * STREAM_BUFFER


class _Broken(_Endless):
    def read(self, size: int) -> bytes:
        raise StreamError("the tape is torn")


def test_a_stream_that_breaks_ends_with_the_reason() -> None:
    window = StreamWindow(_Broken())
    window.forward(0)
    assert window.ended
    assert window.failure == "the tape is torn"


def test_pages_behind_the_reader_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(bytes(3 * RELEASE_STEP))
    with path.open("rb") as file:
        window = MappedWindow(file)
    assert int(window.data.sum()) == 0
    resident = _resident_kb(path)
    window.release(2 * RELEASE_STEP + 5)
    assert resident - _resident_kb(path) == 2 * RELEASE_STEP >> 10
    assert int(window.data.sum()) == 0  # they can still be looked at
    window.release(3 * RELEASE_STEP - 1)  # less than a step further
    assert _resident_kb(path) == resident


def _resident_kb(path: Path) -> int:
    """Resident memory of the mapping of `path`; Linux says it."""
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("no /proc/self/smaps")
    lines = iter(smaps.read_text().splitlines())
    assert any(line.endswith(str(path)) for line in lines)
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
