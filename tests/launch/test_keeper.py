"""The command runs as it would by itself: streams, signals, status; and nothing is left behind.

Each test starts the keeper with a sniffer that sniffs nothing (runner.py), in a process group of its own, whose parent
lives and is in the same session: such a group can be stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from inspector.launch.cgroup import own_cgroup
from tests.launch.runner import plain_signals

ROOT = Path(__file__).parent.parent.parent
REPORT = "report: alone, keys 0\n"

#: The keepers of a test.
STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a temporary file nor a cgroup remains."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    STARTED.clear()
    yield
    for process in STARTED:
        if process.poll() is None:  # its test has failed
            os.killpg(process.pid, signal.SIGKILL)
    assert list(tmp_path.glob("connspect-*")) == []
    assert [path for path in cgroups() if path.exists()] == []


def cgroups() -> list[Path]:
    """Those that the keepers of this test made, if they could."""
    try:
        return [own_cgroup() / f"connspect-{process.pid}" for process in STARTED]
    except OSError:
        return []


def keeper(sniffer: str, *command: str, ignored: tuple[signal.Signals, ...] = ()) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.launch.runner", sniffer, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=partial(plain_signals, ignored),
    )
    STARTED.append(process)
    return process


def run(sniffer: str, *command: str, given: str = "") -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    process = keeper(sniffer, *command)
    out, err = process.communicate(given, timeout=30)
    return process.returncode, out, err


def shell(script: str, sniffer: str = "report", given: str = "") -> tuple[int, str, str]:
    return run(sniffer, "/bin/sh", "-c", script, given=given)


def wait_for(path: Path) -> str:
    """What a command writes to a file to say that it has come so far."""
    for _ in range(1000):
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"no {path}")


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_status_is_the_commands(script: str, status: int) -> None:
    assert shell(script) == (status, "", REPORT)


def test_streams_pass_through() -> None:
    status, out, err = shell("cat; echo error >&2", given="one\ntwo\n")
    assert (status, out, err) == (0, "one\ntwo\n", "error\n" + REPORT)


def test_who_reads_the_output_sees_its_end_before_the_report() -> None:
    process = keeper("wait", "/bin/echo", "done")
    assert process.stdout is not None
    alarm = threading.Timer(20, process.kill)
    alarm.start()
    assert process.stdout.read() == "done\n"
    alarm.cancel()
    assert process.poll() is None
    time.sleep(0.2)
    process.terminate()
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == "report: told to, keys 0\n"


def test_no_such_command() -> None:
    assert run("report", "connspect-has-none") == (127, "", "connspect-has-none: command not found\n")


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    assert run("report", f"{tmp_path}/text") == (126, "", f"{tmp_path}/text: Permission denied\n")
    assert run("report", str(tmp_path))[0] == 126


def test_a_script_without_an_interpreter_line(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $1; exit 3\n")
    script.chmod(0o755)
    assert run("report", str(script), "argument") == (3, "argument\n", REPORT)


def test_no_rights_to_capture_no_command(tmp_path: Path) -> None:
    assert run("refuse", "/bin/touch", f"{tmp_path}/ran") == (3, "", "refused\n")
    assert not (tmp_path / "ran").exists()


def test_a_sniffer_that_dies_takes_the_report_with_it_not_the_command() -> None:
    status, out, err = shell("sleep 0.3; echo done; exit 5", sniffer="crash")
    assert (status, out) == (5, "done\n")
    assert err == "the reader of packets was ended by signal 9: no report\n"


@pytest.mark.parametrize("sniffer", ["report", "crash"])
def test_nobody_reads_standard_error(sniffer: str) -> None:
    """Neither the report nor the word that there is none finds a reader."""
    process = keeper(sniffer, "/bin/sh", "-c", "cat; exit 5")
    assert process.stdin is not None
    assert process.stderr is not None
    process.stderr.close()
    process.stdin.close()
    assert process.wait(30) == 5


def test_the_key_log_is_private() -> None:
    script = 'stat -c "%a %s" "$SSLKEYLOGFILE" "${SSLKEYLOGFILE%/*}"; echo "$NODE_OPTIONS" | grep -c tls-keylog'
    _, out, _ = shell(script)
    file, folder, options = out.splitlines()
    assert (file, folder.split(" ")[0], options) == ("600 0", "700", "1")


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"])
def test_signals_pass_through(name: str, tmp_path: Path) -> None:
    script = f"trap 'echo {name}; exit 9' {name}; echo ready > {tmp_path}/ready; while :; do sleep 0.01; done"
    process = keeper("report", "/bin/sh", "-c", script)
    wait_for(tmp_path / "ready")
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert process.communicate(timeout=30) == (f"{name}\n", REPORT)
    assert process.returncode == 9


def test_stop_and_continue(tmp_path: Path) -> None:
    process = keeper(
        "report",
        "/bin/sh",
        "-c",
        f"echo $$ > {tmp_path}/pid; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo done",
    )
    command = int(wait_for(tmp_path / "pid"))
    process.send_signal(signal.SIGTSTP)
    for one in (process.pid, command):
        until = time.monotonic() + 10
        while state(one) != "T" and time.monotonic() < until:
            time.sleep(0.01)
        assert state(one) == "T"
    (tmp_path / "go").touch()
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=30) == ("done\n", REPORT)


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


def test_what_the_command_sends_to_its_group_reaches_it_once() -> None:
    script = "import os, signal, time; n = []; signal.signal(signal.SIGUSR1, lambda *_: n.append(1));" + (
        "os.kill(0, signal.SIGUSR1); time.sleep(0.3); print(len(n))"
    )
    assert run("report", sys.executable, "-c", script) == (0, "1\n", REPORT)


def test_ctrl_c_ends_the_waiting_for_what_is_left_and_another_one_the_report(tmp_path: Path) -> None:
    process = keeper("wait", "/bin/sh", "-c", f"echo ended > {tmp_path}/ended; exit 4")
    wait_for(tmp_path / "ended")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "report: told to, keys 0\n")
    assert process.returncode == 4


def test_ctrl_c_before_the_command_has_begun(tmp_path: Path) -> None:
    process = keeper("hesitate", "/bin/touch", f"{tmp_path}/ran")
    assert process.stderr is not None
    assert process.stderr.readline() == "hesitates\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130
    assert not (tmp_path / "ran").exists()


def test_what_is_ignored_stays_ignored_for_the_command() -> None:
    """As with nohup, time and env; SIGPIPE, which Python ignores by itself, is not."""
    ignored = (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    out, err = keeper("report", "/bin/grep", "SigIgn", "/proc/self/status", ignored=ignored).communicate(timeout=30)
    assert {number for number in signal.valid_signals() if int(out.split()[1], 16) >> number - 1 & 1} == set(ignored)
    assert err == REPORT


def test_what_is_ignored_may_be_handled_by_the_command_nonetheless(tmp_path: Path) -> None:
    script = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(9));" + (
        f"open('{tmp_path}/ready', 'w').write('ready'); time.sleep(20)"
    )
    process = keeper("report", sys.executable, "-c", script, ignored=(signal.SIGINT,))
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", REPORT)
    assert process.returncode == 9


def test_what_is_ignored_ends_nothing_before_the_command_has_begun() -> None:
    process = keeper("hesitate", "/bin/true", ignored=(signal.SIGHUP,))
    assert process.stderr is not None
    assert process.stderr.readline() == "hesitates\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 143


def test_what_is_ignored_does_not_hurry_the_report(tmp_path: Path) -> None:
    process = keeper("wait", "/bin/sh", "-c", f"echo ended > {tmp_path}/ended; exit 4", ignored=(signal.SIGINT,))
    wait_for(tmp_path / "ended")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("", "report: told to, keys 0\n")
    assert process.returncode == 4


def test_who_ignores_the_end_of_children_is_told_the_status() -> None:
    process = keeper("report", "/bin/sh", "-c", "exit 7", ignored=(signal.SIGCHLD,))
    assert process.communicate(timeout=30) == ("", REPORT)
    assert process.returncode == 7


def test_a_keeper_that_is_killed_leaves_no_keys(tmp_path: Path) -> None:
    """Its cgroup goes with the next run."""
    process = keeper("report", "/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 20 >/dev/null 2>&1")
    command = int(wait_for(tmp_path / "pid"))
    assert list(tmp_path.glob("connspect-*")) != []
    process.kill()
    assert process.communicate(timeout=30) == ("", "report: told to, keys 0\n")
    until = time.monotonic() + 10
    while list(tmp_path.glob("connspect-*")) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(command, signal.SIGTERM)
    assert shell("exit 0") == (0, "", REPORT)


def test_a_child_that_outlives_the_command_lives_on(tmp_path: Path) -> None:
    process = keeper("wait", "/bin/sh", "-c", f"sleep 20 >/dev/null 2>&1 & echo $! > {tmp_path}/pid")
    child = int(wait_for(tmp_path / "pid"))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "report: told to, keys 0\n")
    assert state(child) == "S"
    os.kill(child, signal.SIGTERM)


def test_it_is_in_our_process_group_and_the_sniffer_is_not() -> None:
    script = "import os; keeper = os.getppid(); print(os.getpid(), os.getpgrp() == os.getpgid(keeper));" + (
        "children = open(f'/proc/{keeper}/task/{keeper}/children').read().split();"
        "print(*(f'{child} {os.getpgid(int(child)) == os.getpgrp()}' for child in children), sep='\\n')"
    )
    _, out, _ = run("report", sys.executable, "-c", script)
    own, *children = out.splitlines()
    assert own.endswith(" True")
    assert sorted(child.split()[1] for child in children) == ["False", "True"]
    assert own in children
