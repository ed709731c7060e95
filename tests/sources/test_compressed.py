"""Compressed captures: whole, several in one file, cut, damaged, with something behind them."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import sys
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard

from inspector.errors import CaptureError
from inspector.sources.compressed import MAGICS, Decompressed, PlainStream
from tests.sources.conftest import Read
from tests.sources.forge import pcap


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def _lz4(data: bytes) -> bytes:
    compressed: bytes = lz4.frame.compress(data, content_checksum=True)
    return compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": _zstd,
    "xz": lzma.compress,
    "lz4": _lz4,
}

#: Bytes that do not compress away: several blocks of every codec (zstd's have 128 KiB).
PACKETS = [(number, random.Random(number).randbytes(number * 2)) for number in range(800)]
CAPTURE = pcap(PACKETS)

every_compression = pytest.mark.parametrize("kind", list(COMPRESS))


@every_compression
def test_compressed_captures_are_read(read: Read, kind: str) -> None:
    data = COMPRESS[kind](CAPTURE)
    packets, problems, source = read(data)
    assert [(packet.time_ns, packet.data) for packet in packets] == PACKETS
    assert not problems
    (file,) = source.files
    assert (file.compression, file.format, file.bytes) == (kind, "pcap", len(data))
    assert source.total_bytes == source.position == len(data)


@every_compression
def test_several_behind_one_another_are_one(read: Read, kind: str) -> None:
    compress = COMPRESS[kind]
    packets, problems, _ = read(compress(CAPTURE[:5000]) + compress(b"") + compress(CAPTURE[5000:]))
    assert [(packet.time_ns, packet.data) for packet in packets] == PACKETS
    assert not problems


@every_compression
def test_cut_data_give_what_is_before_and_a_reason(read: Read, kind: str) -> None:
    data = COMPRESS[kind](CAPTURE)
    packets, (problem,), _ = read(data[: len(data) * 3 // 4])
    assert 0 < len(packets) < len(PACKETS)
    assert [(packet.time_ns, packet.data) for packet in packets] == PACKETS[: len(packets)]
    assert problem.what == f"the {kind} data are cut off"
    assert problem.packet == len(packets)


@every_compression
def test_damaged_data_give_a_reason(read: Read, kind: str) -> None:
    data = bytearray(COMPRESS[kind](CAPTURE))
    data[-6] ^= 0xFF  # the checksum, or what leads to it
    data[-3] ^= 0xFF
    packets, problems, _ = read(bytes(data))
    assert [(packet.time_ns, packet.data) for packet in packets] == PACKETS[: len(packets)]
    assert len(packets) > 100
    assert f"the {kind} data are" in problems[0].what
    assert len(problems) == 1


@every_compression
def test_what_lies_behind_is_named(read: Read, kind: str) -> None:
    packets, (problem,), _ = read(COMPRESS[kind](CAPTURE) + b"garbage")
    assert len(packets) == len(PACKETS)
    assert problem.what == f"something that is not {kind} lies behind the {kind} data"


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_padding_behind_is_fine(read: Read, kind: str) -> None:
    packets, problems, _ = read(COMPRESS[kind](CAPTURE) + bytes(512) + COMPRESS[kind](b"") + bytes(10_000))
    assert len(packets) == len(PACKETS)
    assert not problems


@every_compression
def test_what_decompresses_to_something_enormous_comes_in_pieces(kind: str) -> None:
    bomb = io.BytesIO(COMPRESS[kind](bytes(40 << 20)))
    stream = Decompressed(PlainStream(io.BufferedReader(bomb), waits=False), kind)
    pieces = []
    while piece := stream.read(1 << 16):
        pieces.append(len(piece))
    assert sum(pieces) == 40 << 20
    assert max(pieces) <= 1 << 16


def test_lz4_without_its_module_says_what_to_install(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(CaptureError, match=r"pip install 'connspect\[lz4\]'"):
        read(COMPRESS["lz4"](CAPTURE))


def test_magic_numbers_are_those_of_the_compressors() -> None:
    assert {kind: compress(b"x")[: len(MAGICS[kind])] for kind, compress in COMPRESS.items()} == MAGICS
