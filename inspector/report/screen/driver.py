"""The terminal as Textual draws on it, but for two things: it is standard output, and it may go away.

Textual's writer is a thread that ends when the terminal is closed; whoever writes then waits for it for ever. Here
what cannot be written is nobody's, and the capture ends by its signal or because the screen sees that nobody is there.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Any, TextIO

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class _Patient:
    """A file of which nobody minds when it is gone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> None:
        if not self._gone:
            try:
                self._file.write(text)
            except OSError:
                self._gone = True

    def flush(self) -> None:
        if not self._gone:
            try:
                self._file.flush()
            except OSError:
                self._gone = True

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Draws on standard output."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = _Patient(sys.__stdout__ or sys.stdout)

    def hung_up(self) -> bool:
        """Whether the terminal has been closed."""
        poll = select.poll()
        poll.register(self.fileno, 0)
        return any(happened & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, happened in poll.poll(0))
