"""What a terminal sends reaches the command as it would without us: once."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from tests.launch.runner import plain_signals

ROOT = Path(__file__).parent.parent.parent

#: Tells of each Ctrl-C and ends at "end".
COMMAND = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("<INT>", flush=True))
print("<terminal>" if sys.stdin.isatty() and sys.stdout.isatty() else "<none>", flush=True)
while True:
    line = sys.stdin.readline()
    if line.strip() == "end":
        break
print("<done>", flush=True)
sys.exit(3)
"""


class Terminal:
    """A terminal with the keeper as its only job."""

    def __init__(self, sniffer: str, *command: str) -> None:
        self.process, self._screen = pty.fork()
        if self.process == 0:
            plain_signals()
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-m", "tests.launch.runner", sniffer, *command])
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def until(self, text: str) -> None:
        """Wait until it is shown, at most 20 s."""
        until = time.monotonic() + 20
        while text not in self.shown:
            assert select.select([self._screen], [], [], max(0.0, until - time.monotonic()))[0], self.shown
            try:
                self.shown += os.read(self._screen, 4096).decode()
            except OSError:  # all have closed it
                break
        assert text in self.shown

    def status(self) -> int:
        _, waited = os.waitpid(self.process, 0)
        os.close(self._screen)
        return os.waitstatus_to_exitcode(waited)


@pytest.fixture(autouse=True)
def _no_key_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)


def test_ctrl_c_reaches_the_command_once() -> None:
    terminal = Terminal("report", sys.executable, "-c", COMMAND)
    terminal.until("<terminal>")
    terminal.type("\x03")
    terminal.until("<INT>")
    time.sleep(0.3)
    terminal.type("end\n")
    terminal.until("report: alone")
    assert terminal.shown.count("<INT>") == 1
    assert terminal.shown.index("<done>") < terminal.shown.index("report: alone")
    assert terminal.status() == 3


def test_ctrl_z_without_a_shell_stops_nothing() -> None:
    """Nobody could continue us: the kernel does not stop such a process group, and neither do we ourselves."""
    terminal = Terminal("report", sys.executable, "-c", COMMAND)
    terminal.until("<terminal>")
    terminal.type("\x1a")
    time.sleep(0.3)
    terminal.type("end\n")
    terminal.until("report: alone")
    assert terminal.status() == 3


def test_ctrl_c_after_the_end_asks_for_the_report_and_a_second_one_does_without() -> None:
    terminal = Terminal("wait", "/bin/sh", "-c", "echo '<ended>'; exit 4")
    terminal.until("<ended>")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.until("report: told to")
    assert terminal.status() == 4


def test_the_terminal_goes_away() -> None:
    terminal = Terminal("report", sys.executable, "-c", "import time; print('<up>', flush=True); time.sleep(60)")
    terminal.until("<up>")
    os.close(terminal._screen)
    _, waited = os.waitpid(terminal.process, 0)
    assert os.waitstatus_to_exitcode(waited) == 129
