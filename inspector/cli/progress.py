"""A progress bar on standard error for what takes over a second, drawn from the reading loop: no thread of its own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

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
