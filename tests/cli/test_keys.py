"""Key logs by option, and keys in captures: which of them the engine gets, and when."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.errors import UsageError
from inspector.protocols.tls.keylog import CLIENT_RANDOM, KeyLog
from inspector.sources.keys import CapturedKeys, read_key_logs
from inspector.sources.open import open_capture
from inspector.sources.source import TLS_KEY_LOG
from tests.cli.conftest import CAPTURES, NGINX, Run
from tests.sources.forge import EPB, Pcapng

MASTER = b"m" * 48


def line(client_random: bytes) -> bytes:
    return b"CLIENT_RANDOM " + client_random.hex().encode() + b" " + MASTER.hex().encode() + b"\n"


def test_several_files_without_a_word(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"# keys\n" + line(b"1" * 32)[:-1])
    second.write_bytes(line(b"2" * 32))
    ran = run("read", "--keylog", first, "--keylog", second, NGINX)
    assert (ran.status, ran.err) == (0, "")
    log = KeyLog()
    read_key_logs([str(first), str(second)], log, pytest.fail)
    assert log.secret(CLIENT_RANDOM, b"1" * 32) == log.secret(CLIENT_RANDOM, b"2" * 32) == MASTER


@pytest.mark.parametrize("foreign", [NGINX.read_bytes(), b"", b"\0" * 3_000_000, b"# only a comment\n"])
def test_a_foreign_file_is_named(run: Run, tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(foreign)
    ran = run("read", "--keylog", path, NGINX)
    assert (ran.status, ran.err) == (0, f"connspect: no TLS keys in {path}\n")
    assert run("read", "-q", "--keylog", path, NGINX).err == ""


def test_broken_lines_are_counted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "torn"
    path.write_bytes(line(b"1" * 32) + line(b"2" * 32)[:70] + b"\n")
    assert run("read", "--keylog", path, NGINX).err == f"connspect: {path}: 1 line is no TLS keys\n"
    path.write_bytes(path.read_bytes() + b"x\n")
    assert run("read", "--keylog", path, NGINX).err == f"connspect: {path}: 2 lines are no TLS keys\n"


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    ran = run("read", "--keylog", tmp_path / "missing", NGINX)
    assert ran.status == 2
    assert "missing" in ran.err
    with pytest.raises(UsageError, match=r"--keylog .*: Is a directory"):
        read_key_logs([str(tmp_path)], KeyLog(), pytest.fail)


def capture(tmp_path: Path, name: str) -> str:
    """Keys 1 before a packet, 2 between two, 3 behind them."""
    file = Pcapng().section().interface().secrets(TLS_KEY_LOG, line(b"1" * 32)).enhanced(b"a")
    file.secrets(7, b"not TLS").secrets(TLS_KEY_LOG, line(b"2" * 32)).enhanced(b"b")
    path = tmp_path / name
    path.write_bytes(file.secrets(TLS_KEY_LOG, line(b"3" * 32)).data)
    return str(path)


def test_keys_of_captures_come_with_their_packets(tmp_path: Path) -> None:
    """What is behind the packets is not looked for while nothing is missing."""
    with open_capture([capture(tmp_path, "capture")]) as source:
        captured = CapturedKeys(source)
        known = []
        for _ in source:
            captured.take()
            known.append([len(captured.log.labels(random * 32)) for random in (b"1", b"2", b"3")])
    assert known == [[1, 0, 0], [1, 1, 0]]


def test_a_missing_key_is_looked_for_in_all_captures(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_bytes(Pcapng().section().interface().enhanced(b"x").secrets(TLS_KEY_LOG, line(b"4" * 32)).data)
    with open_capture([str(first), capture(tmp_path, "second"), str(NGINX)]) as source:
        captured = CapturedKeys(source)
        assert captured.log.secret(CLIENT_RANDOM, b"3" * 32) == MASTER
        assert captured.log.secret(CLIENT_RANDOM, b"4" * 32) == MASTER
        assert captured.log.secret(CLIENT_RANDOM, b"5" * 32) is None
        assert sum(len(batch) for batch in source) > 3


RECORDED = CAPTURES / "tls-suites"


def with_keys_at(place: float) -> bytes:
    """The recording with its keys in a block: before the packets (0), behind them (1), or anywhere between."""
    data = gzip.decompress((RECORDED / "client.pcapng.gz").read_bytes())
    packets, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == EPB:
            packets.append(at)
        at += size
    cut = [*packets, len(data)][int(place * len(packets))]
    block = Pcapng().secrets(TLS_KEY_LOG, (RECORDED / "keys.log").read_bytes()).data
    return data[:cut] + bytes(block) + data[cut:]


@pytest.mark.parametrize("store", [bytes, gzip.compress])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_where_keys_lie_does_not_show(run: Run, tmp_path: Path, place: float, store: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "capture"
    path.write_bytes(store(with_keys_at(place)))
    named = run("read", "-T", "json", "--keylog", RECORDED / "keys.log", RECORDED / "client.pcapng.gz")
    found = run("read", "-T", "json", path)
    assert (found.status, found.err) == (0, "")
    connections = json.loads(found.out)["connections"]
    assert connections == json.loads(named.out)["connections"]
    assert all(connection["tls"]["decrypted"] for connection in connections)
