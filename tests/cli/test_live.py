"""`live` and `interfaces` without a packet: options, rights, key logs that grow, and what cannot be done."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.cli import rights
from inspector.cli.keeping import Keeping, rotation
from inspector.cli.live import Capturing, key_logs
from inspector.cli.options import Shared
from inspector.cli.progress import LiveStatus
from inspector.errors import UsageError
from inspector.protocols.tls.keylog import CLIENT_RANDOM, MAX_LINE, KeyLog
from inspector.sources import live
from inspector.sources.keys import FollowedKeys
from inspector.sources.live import NotPermittedError, interface_names
from inspector.sources.memory import MemorySource
from inspector.sources.pcapng_writer import Rotation
from inspector.sources.source import Dropped, Problem, SourceFile
from tests.cli.conftest import Run

MASTER = b"m" * 48


def line(client_random: bytes) -> bytes:
    return b"CLIENT_RANDOM " + client_random.hex().encode() + b" " + MASTER.hex().encode() + b"\n"


def followed(*paths: Path) -> tuple[FollowedKeys, list[str]]:
    warnings: list[str] = []
    return FollowedKeys([str(path) for path in paths], KeyLog(), warnings.append), warnings


def known(keys: FollowedKeys, *numbers: int) -> list[int]:
    return [number for number in numbers if keys.log.secret(CLIENT_RANDOM, bytes([number]) * 32)]


def test_a_key_log_is_followed_from_before_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys, warnings = followed(path)
    assert keys.take() == b""
    path.write_bytes(line(b"\1" * 32) + line(b"\2" * 32)[:50])
    assert keys.take() == line(b"\1" * 32)
    assert known(keys, 1, 2) == [1]
    with path.open("ab") as file:
        file.write(line(b"\2" * 32)[50:] + line(b"\3" * 32))
    assert keys.take() == line(b"\2" * 32) + line(b"\3" * 32)
    assert known(keys, 1, 2, 3) == [1, 2, 3]
    assert keys.take() == b""
    assert warnings == []


def test_two_key_logs_do_not_run_into_each_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(line(b"\1" * 32)[:70])
    other.write_bytes(line(b"\2" * 32)[:80])
    keys, _ = followed(one, other)
    keys.take()
    for path, whole, done in ((one, line(b"\1" * 32), 70), (other, line(b"\2" * 32), 80)):
        with path.open("ab") as file:
            file.write(whole[done:])
    keys.take()
    assert known(keys, 1, 2) == [1, 2]
    assert keys.log.broken == 0


@pytest.mark.parametrize("how", ["cut", "replaced"])
def test_a_key_log_that_begins_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(line(b"\1" * 32) * 2)
    keys, _ = followed(path)
    keys.take()
    if how == "replaced":
        (tmp_path / "new").write_bytes(line(b"\2" * 32) * 3)
        os.replace(tmp_path / "new", path)
    else:
        path.write_bytes(line(b"\2" * 32))
    keys.take()
    assert known(keys, 1, 2) == [1, 2]
    keys.close()


def test_a_line_without_end_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"x" * (MAX_LINE + 1))
    keys, _ = followed(path)
    assert keys.take() == b""
    with path.open("ab") as file:
        file.write(b"\n" + line(b"\1" * 32))
    keys.take()
    assert known(keys, 1) == [1]


def test_a_key_log_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    keys, warnings = followed(tmp_path)
    keys.take()
    keys.take()
    assert warnings == [f"--keylog {tmp_path}: Is a directory"]


def test_no_such_interface(run: Run) -> None:
    ran = run("live", "-i", "no-such-thing")
    assert ran.status == 3
    assert ran.err == f"connspect: no interface no-such-thing; there are {', '.join(interface_names())}\n"


def test_rights_that_are_missing_are_told_in_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(live, "RingFeed", refused)
    monkeypatch.setattr(live, "ScapyFeed", refused)
    monkeypatch.setattr(sys, "argv", ["connspect", "live", "-i", "lo", "port 80"])
    ran = run("live", "-i", "lo", "port 80")
    assert ran.status == 3
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("connspect: capturing on lo needs rights that this process does not have: run 'sudo ")
    assert "live -i lo 'port 80''; or, once, 'sudo setcap cap_net_raw+ep /" in ran.err
    assert issubclass(NotPermittedError, Exception)


def test_the_command_is_told_as_it_was_typed(tmp_path: Path) -> None:
    module = rights.remedy(["/somewhere/inspector/__main__.py", "live"])
    assert f"'sudo {sys.executable} -m inspector live'" in module
    program = tmp_path / "connspect"
    program.touch()
    assert f"'sudo {program} live -i lo'" in rights.remedy([str(program), "live", "-i", "lo"])
    assert "'sudo connspect live'" in rights.remedy(["connspect", "live"])


def test_a_wrong_filter(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("live", "-i", "lo", "tcp", "port")
    assert ran.status in (2, 3)
    if ran.status == 2:
        assert ran.err.startswith("connspect: filter 'tcp port': ")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], Rotation()),
        (["filesize:10"], Rotation(bytes=10_000)),
        (["duration:1.5", "files:3"], Rotation(seconds=1.5, files=3)),
        (["filesize:1", "duration:60", "files:1"], Rotation(1000, 60.0, 1)),
    ],
)
def test_a_row_of_files(words: list[str], found: Rotation) -> None:
    assert rotation(words) == found


@pytest.mark.parametrize(
    "word", ["files:2", "filesize", "filesize:x", "filesize:0", "duration:-1", "duration:nan", "x:1"]
)
def test_a_row_of_files_that_is_none(word: str) -> None:
    with pytest.raises(UsageError, match=f"-b {word}: "):
        rotation([word])


@pytest.mark.parametrize("option", [["-b", "filesize:1"], ["--embed-keys"]])
def test_options_that_need_a_file(run: Run, option: list[str]) -> None:
    ran = run("live", *option)
    assert ran.status == 2
    assert "only with -w FILE" in ran.err


def test_interfaces(run: Run) -> None:
    ran = run("interfaces")
    assert ran.status == 0
    assert [row.split()[0] for row in ran.out.splitlines()] == [*interface_names(), "any"]


class Source:
    """What Keeping and LiveStatus see of a capture."""

    def __init__(self) -> None:
        self.files = [SourceFile("lo\x1b[31m", "live", None, [1], packets=12_410, dropped=Dropped(3, None))]
        self.problems: list[Problem] = []
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


def capturing(path: str) -> Capturing:
    return Capturing((), (), None, None, None, True, path, (), False, None, True)


def test_a_full_disk_ends_the_capture() -> None:
    source = Source()
    keeping = Keeping(source, capturing("/dev/full"), Rotation())  # type: ignore[arg-type]
    for batch in MemorySource([(1, b"a"), (2, b"b")], batch_rows=1):
        keeping.take(batch, b"")
    keeping.close()
    (problem,) = source.problems
    assert problem.what.startswith("cannot be written: No space left on device: ")
    assert problem.what.endswith("and capturing ended")
    assert source.stopped


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "not-there" / "kept"
    with pytest.raises(UsageError, match=f"cannot write {path}: No such file or directory"):
        Keeping(Source(), capturing(str(path)), Rotation())  # type: ignore[arg-type]


@pytest.mark.parametrize("person", [True, False])
def test_the_status_line(person: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: person)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    status = LiveStatus(Source(), True)  # type: ignore[arg-type]
    status.update(14)
    line = screen.getvalue()
    status.stop()
    if person:
        assert line == "\rlo\\x1b[31m    00:00:00    12,410 packets    3 dropped    14 connections    Ctrl-C ends"
        assert screen.getvalue().endswith(" \r")
    else:
        assert screen.getvalue() == ""


def test_which_key_logs_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    assert key_logs(("a",)) == ["a"]
    monkeypatch.setenv("SSLKEYLOGFILE", "b")
    assert key_logs(("a",)) == ["a", "b"]


@pytest.mark.parametrize(("arguments", "promiscuous"), [([], True), (["-p"], False)])
def test_what_is_asked_for_gets_there(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], promiscuous: bool
) -> None:
    asked: list[Capturing] = []

    def watch(capturing: Capturing, shared: Shared) -> int:
        asked.append(capturing)
        return 0

    monkeypatch.setattr("inspector.cli.live.watch", watch)
    words = ["-i", "lo", "-i", "eth0", "-c", "3", "--duration", "1.5", "-s", "96", "-w", "x", "-b", "files:2"]
    words += ["--metrics", "9090"]
    assert run("live", *words, "--embed-keys", *arguments, "tcp", "port", "80").status == 0
    names, filter = ("lo", "eth0"), ("tcp", "port", "80")
    assert asked == [Capturing(names, filter, 1.5, 3, 96, promiscuous, "x", ("files:2",), True, "9090", True)]
    assert asked[0].words() == "tcp port 80"


#: Judges a server's timer where nothing can be imported or read any more.
_JUDGE = """
import importlib, io, sys
from inspector.cli import rights
for module in rights._LATER:
    importlib.import_module(module)
from tests.report import samples
rights._read_rules()
sys.meta_path.clear()
io.open_code = io.open = None
from inspector.engine import Inspector
from inspector.findings.suspects import recognised
inspection = samples.inspection()
Inspector.judge(inspection)
print([finding.code for finding in inspection.findings], recognised(inspection.connections, "server"))
"""


def test_findings_need_nothing_that_only_root_can_read() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _JUDGE], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert "server-idle-timeout" in ran.stdout, ran.stderr
    assert "nginx" in ran.stdout
