"""What standard error shows while a command works, drawn from its loop, without a thread: a bar for what takes over a
second, a line for a live capture."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from inspector.report import units
from inspector.report.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from inspector.sources.live import LiveSource
    from inspector.sources.source import Source

#: Seconds before anything is shown, and between two drawings.
_PATIENCE, _INTERVAL = 1.0, 0.1


class ReadingProgress:
    """How far the reading of a source has come."""

    def __init__(self, source: Source, wanted: bool) -> None:
        self._source = source
        self._next = time.monotonic() + _PATIENCE if wanted and sys.stderr.isatty() else None
        self._bar: tuple[Progress, TaskID] | None = None

    def update(self, packets: int) -> None:
        """So many packets were read."""
        if self._next is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + _INTERVAL
        progress, task = self._bar = self._bar or self._start()
        progress.update(task, completed=self._source.position, packets=packets, refresh=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def _start(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[packets]:,} packets"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        progress.start()
        return progress, progress.add_task("", total=self._source.total_bytes, packets=0)


class LiveStatus:
    """One line on standard error, while a capture runs and a person looks."""

    _INTERVAL = 0.5

    def __init__(self, source: LiveSource, wanted: bool) -> None:
        self._source = source
        self._began = time.monotonic()
        self._next = self._began if wanted and sys.stderr.isatty() else None
        self._width = 0

    def update(self, connections: int) -> None:
        """So many connections were seen."""
        if self._next is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + self._INTERVAL
        file = self._source.files[0]
        minutes, seconds = divmod(int(now - self._began), 60)
        facts = [
            printable(file.path),
            f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
            units.plural(file.packets, "packet"),
            f"{(file.dropped.kernel if file.dropped else 0) or 0:,} dropped",
            units.plural(connections, "connection"),
            "Ctrl-C ends",
        ]
        self._write("    ".join(facts)[: shutil.get_terminal_size().columns - 1])

    def stop(self) -> None:
        """Take the line away."""
        if self._width:
            self._write("")

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line.ljust(self._width)}" + ("" if line else "\r"))
        sys.stderr.flush()
        self._width = len(line)
