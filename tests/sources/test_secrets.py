"""The look ahead for keys: wherever they lie, however the file is stored, whatever is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.sources import secrets, window
from inspector.sources.open import open_capture
from inspector.sources.secrets import key_logs_ahead
from inspector.sources.source import TLS_KEY_LOG, SourceFile
from tests.sources.forge import DSB, NRB, Pcapng
from tests.sources.test_compressed import COMPRESS


def ahead(path: Path, data: bytes, kind: str = "pcapng") -> list[bytes]:
    path.write_bytes(data)
    return list(key_logs_ahead([SourceFile(str(path), kind, None, [])]))


def everywhere(order: str) -> Pcapng:
    """Keys before, between and behind packets of every kind, and in a second section of the other byte order."""
    file = Pcapng().section(order).interface().secrets(TLS_KEY_LOG, b"before").enhanced(b"abc").enhanced(b"x" * 1000)
    file.secrets(TLS_KEY_LOG, b"between").simple(b"defg").block(NRB, b"").secrets(1, b"other").obsolete(b"hijk")
    file.enhanced(b"").secrets(TLS_KEY_LOG, b"behind").section("<" if order == ">" else ">").interface()
    return file.enhanced(b"l").secrets(TLS_KEY_LOG, b"").secrets(TLS_KEY_LOG, b"last")


KEYS = [b"before", b"between", b"behind", b"", b"last"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_keys_wherever_they_lie(tmp_path: Path, order: str) -> None:
    assert ahead(tmp_path / "file", everywhere(order).data) == KEYS


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed(tmp_path: Path, kind: str) -> None:
    assert ahead(tmp_path / "file", COMPRESS[kind](everywhere("<").data)) == KEYS


@pytest.mark.parametrize("compress", [bytes, COMPRESS["gzip"]])
@pytest.mark.parametrize("size", [30, 31, 40, 64])
def test_blocks_on_every_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: type[bytes], size: int
) -> None:
    """A file is gone through in pieces, and comes in pieces, whose edges are anywhere."""
    monkeypatch.setattr(secrets, "_SPAN", size)
    monkeypatch.setattr(window, "STREAM_BUFFER", size)
    assert ahead(tmp_path / "file", compress(everywhere("<").data)) == KEYS


def test_large_blocks_are_stepped_over(tmp_path: Path) -> None:
    data = Pcapng().section().block(NRB, bytes(9 << 20)).interface().secrets(TLS_KEY_LOG, b"k" * (5 << 20)).data
    assert ahead(tmp_path / "file", data) == [b"k" * (5 << 20)]
    assert ahead(tmp_path / "file", COMPRESS["zstd"](data)) == [b"k" * (5 << 20)]


def test_other_files_have_none(tmp_path: Path) -> None:
    data = everywhere("<").data
    assert ahead(tmp_path / "file", data, "pcap") == []
    assert ahead(tmp_path / "file", b"no pcapng") == []
    assert ahead(tmp_path / "file", b"") == []
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    paths = ["-", str(pipe), str(tmp_path), str(tmp_path / "missing")]
    assert list(key_logs_ahead(SourceFile(path, "pcapng", None, []) for path in paths)) == []


def test_a_file_named_like_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ahead(Path("-"), everywhere("<").data) == []


def test_keys_beyond_the_bound_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "MAX_SECRET_BYTES", 60)
    data = Pcapng().section().secrets(TLS_KEY_LOG, b"x" * 20).secrets(TLS_KEY_LOG, b"y" * 20)
    assert ahead(tmp_path / "file", data.secrets(TLS_KEY_LOG, b"").data) == [b"x" * 20, b""]


@pytest.mark.parametrize(
    "damage",
    [
        Pcapng().section().block(1, bytes(8), size=0).data,
        Pcapng().section().block(1, bytes(8), size=1 << 31).data,
        Pcapng().section().block(6, bytes(20), size=0).data,
        Pcapng().section().block(6, bytes(20), size=8).data,
        Pcapng().section().block(DSB, b"").data,
        Pcapng().section().block(DSB, bytes(8), size=1 << 20).data,
    ],
)
@pytest.mark.parametrize("compress", [bytes, COMPRESS["gzip"]])
def test_damage_ends_it(tmp_path: Path, damage: bytes, compress: type[bytes]) -> None:
    start = Pcapng().section().interface().secrets(TLS_KEY_LOG, b"good").enhanced(b"good").data
    assert ahead(tmp_path / "file", compress(start + damage)) == [b"good"]


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
def test_what_the_reader_finds_is_found_ahead(tmp_path: Path, data: st.DataObject) -> None:
    """In a damaged file, too: the reader of the packets stops at the same place or before."""
    whole = bytearray(everywhere("<").data)
    at = data.draw(st.integers(28, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(40, len(whole)))])
    path = tmp_path / "file"
    found = ahead(path, cut)
    with open_capture([str(path)]) as source:
        for _ in source:
            pass
        read = [secret.data for secret in source.files[0].secrets if secret.kind == TLS_KEY_LOG]
    assert found[: len(read)] == read
