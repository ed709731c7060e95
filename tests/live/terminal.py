"""`connspect live` on a terminal that is a pty, and what a person at it would see: pyte keeps the picture."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

import pyte

from captures.recorder.network import Host
from tests.live.watching import ROOT

#: Leaves the alternate screen (xterm's 1049).
LEAVES_ALTERNATE = b"\x1b[?1049l"
ENTERS_ALTERNATE = b"\x1b[?1049h"


class Terminal:
    """A terminal with the capture in it. Its picture is what was drawn since the alternate screen was entered, or
    since it was left."""

    def __init__(
        self,
        host: Host,
        *arguments: str,
        columns: int,
        rows: int,
        environment: Mapping[str, str],
        program: Sequence[str],
    ) -> None:
        self._main, self._side = pty.openpty()
        self.output = b""
        self._picture = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._picture)
        self.resize(columns, rows)
        self.attributes = termios.tcgetattr(self._side)
        surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            host.command([sys.executable, *program, "live", *arguments]),
            stdin=self._side,
            stdout=self._side,
            stderr=self._side,
            cwd=ROOT,
            env={**surroundings, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def press(self, keys: str) -> None:
        """Press keys, as a terminal sends them."""
        os.write(self._main, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self._picture.resize(rows, columns)

    @property
    def text(self) -> str:
        """What is seen."""
        return "\n".join(line.rstrip() for line in self._picture.display)

    def wait_for(self, *words: str | re.Pattern[str], without: str | None = None, seconds: float = 20) -> str:
        """Wait until all words are seen (and one is not); what is seen then."""
        until = time.monotonic() + seconds
        while not all(map(self._shows, words)) or (without is not None and without in self.text):
            assert time.monotonic() < until, f"{words} but not {without!r} expected in:\n{self.text}"
            assert self.read() or self.process.poll() is None, f"it has ended; {words} expected in:\n{self.text}"
        return self.text

    def _shows(self, words: str | re.Pattern[str]) -> bool:
        return words in self.text if isinstance(words, str) else words.search(self.text) is not None

    def read(self, seconds: float = 0.1) -> bool:
        """Take what was drawn in the meantime; whether anything was."""
        if not select.select([self._main], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._main, 1 << 16)
        except OSError:
            return False
        self.output += data
        before, leaves, after = data.rpartition(LEAVES_ALTERNATE)
        if leaves:
            self._stream.feed(before)
            self._picture.reset()
        self._stream.feed(after)
        return True

    def end(self) -> str:
        """Wait until the capture has ended; what it wrote to the normal screen after its own."""
        until = time.monotonic() + 30
        while self.process.poll() is None or self.read(0.2):
            assert time.monotonic() < until, f"it does not end:\n{self.text}"
            self.read()
        return re.sub(r"\x1b\[[?>]?[\d;]*[a-zA-Z]", "", self.output.rpartition(LEAVES_ALTERNATE)[2].decode())

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its attributes, its normal screen, its cursor and its mouse."""
        switched = self.output.rindex(LEAVES_ALTERNATE) > self.output.rindex(ENTERS_ALTERNATE)
        cursor = self.output.rindex(b"\x1b[?25h") > self.output.rindex(b"\x1b[?25l")
        mouse = all(
            self.output.rindex(b"\x1b[?%dl" % mode) > self.output.rindex(b"\x1b[?%dh" % mode)
            for mode in (1000, 1003, 1006, 2004)
        )
        return switched and cursor and mouse and termios.tcgetattr(self._side) == self.attributes

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self._side)
        os.close(self._main)
        self._main = self._side = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for end in (self._main, self._side):
            if end >= 0:
                os.close(end)


@contextlib.contextmanager
def terminal(
    host: Host,
    *arguments: str,
    columns: int = 120,
    rows: int = 40,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "inspector"),
) -> Iterator[Terminal]:
    """A capture on a terminal, that does not outlive the test."""
    one = Terminal(host, *arguments, columns=columns, rows=rows, environment=environment or {}, program=program)
    try:
        yield one
    finally:
        one.close()
