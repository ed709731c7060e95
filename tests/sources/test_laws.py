"""What holds for every capture: batches are invisible, cutting gives a prefix, damage never raises or swells."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import CaptureError
from inspector.sources.open import open_capture
from inspector.sources.source import BATCH_BYTES, Problem
from inspector.sources.window import STREAM_BUFFER
from tests.sources.forge import Pcapng, Seen, pcap_header, pcap_record, seen

_STATISTICS = b"\x05\x00\x08\x00" + b"\x07" + bytes(7)

_pcapng = (
    Pcapng().section().interface(1, (9, b"\x09"), (2, b"eth0")).enhanced(b"one", 1_000).enhanced(b"second", 2_000)
    .block(5, bytes(12) + _STATISTICS).simple(b"simple").simple(b"again").enhanced(bytes(64), 3_000, length=1500)
    .interface(113).enhanced(b"other", 4, 1).obsolete(b"obsolete", 5, 1).secrets(0x544C534B, b"CLIENT_RANDOM")
    .enhanced(b"x", 6_000).block(0xBAD, b"custom").section(">").interface(101).enhanced(b"swapped", 7).enhanced(b"", 8)
)  # fmt: skip
_pcap = pcap_header() + b"".join(pcap_record(bytes([n]) * (n * 7 % 40), n, n) for n in range(12))
CAPTURES = {"pcap": _pcap, "pcapng": _pcapng.data}

captures = st.sampled_from(list(CAPTURES))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws") / "capture"


def _read(path: Path, data: bytes, batch_rows: int = 1000) -> tuple[list[Seen], list[Problem]]:
    path.write_bytes(data)
    with open_capture([str(path)], batch_rows=batch_rows) as source:
        packets = seen(source)
        assert sum(file.packets for file in source.files) == len(packets)
        return packets, source.problems


@pytest.mark.parametrize("kind", list(CAPTURES))
@pytest.mark.parametrize("batch_rows", [1, 2, 3])
def test_batches_are_invisible(path: Path, kind: str, batch_rows: int) -> None:
    whole = _read(path, CAPTURES[kind])
    assert len(whole[0]) in (10, 12)
    assert _read(path, CAPTURES[kind], batch_rows) == whole


@pytest.mark.parametrize("kind", list(CAPTURES))
def test_any_cut_gives_a_prefix_and_a_problem(path: Path, kind: str) -> None:
    data = CAPTURES[kind]
    whole, problems_of_whole = _read(path, data)
    clean_ends = 0
    for size in range(28, len(data)):
        packets, problems = _read(path, data[:size])
        assert packets == whole[: len(packets)]
        cut = [problem for problem in problems if problem not in problems_of_whole]
        if not cut:
            clean_ends += 1
            continue
        (problem,) = cut
        assert problem.offset is not None
        assert problem.offset < size
        assert problem.packet == (len(packets) or None)
        # Up to where it says that the trouble starts, all is well.
        assert _read(path, data[: problem.offset])[0] == packets
    # One end behind each record, the last of which is the whole file.
    assert clean_ends == {"pcap": 11, "pcapng": 17}[kind]


@settings(max_examples=150)
@given(
    kind=captures,
    flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4),
    tail=st.integers(0, 40),
)
def test_flipped_bytes_never_raise(path: Path, kind: str, flips: list[tuple[int, int]], tail: int) -> None:
    data = bytearray(CAPTURES[kind])
    for at, value in flips:
        data[at % len(data)] = value
    data = data[: len(data) - tail]
    try:
        whole = _read(path, bytes(data))
    except CaptureError:
        return
    assert _read(path, bytes(data), batch_rows=1) == whole
    assert sum(len(packet.data) for packet in whole[0]) <= len(data)


@given(noise=st.binary(max_size=200), kind=captures)
def test_noise_behind_a_capture_never_raises(path: Path, noise: bytes, kind: str) -> None:
    whole, _ = _read(path, CAPTURES[kind])
    packets, _ = _read(path, CAPTURES[kind] + noise)
    assert packets[: len(whole)] == whole


@pytest.mark.parametrize("claim", [262_144, 100 << 20, 0xFFFFFFFF])
@pytest.mark.parametrize("link", [1, 249])
def test_a_claimed_length_allocates_nothing(path: Path, claim: int, link: int) -> None:
    data = pcap_header(link=link) + pcap_record(b"x") + pcap_record(b"y", captured=claim)
    compressed = path.with_name("claim.gz")
    compressed.write_bytes(gzip.compress(data))
    tracemalloc.start()
    try:
        with open_capture([str(compressed)]) as source:
            assert [packet.data for packet in seen(source)] == [b"x"]
            assert len(source.problems) == 1
        assert tracemalloc.get_traced_memory()[1] < STREAM_BUFFER + BATCH_BYTES
    finally:
        tracemalloc.stop()
