"""Where a report goes: standard output, a device or pipe as it is, or a file that appears when it is whole.

A file is written beside its place and renamed at the end, so that an error leaves the old file, never half a report.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Literal

from inspector.errors import UsageError
from inspector.report.layout import Screen
from inspector.report.text import encode


class Output:
    """An open report. What cannot be written raises UsageError."""

    def __init__(self, stream: IO[bytes], encoding: str, name: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._name = name
        self.terminal = stream.isatty()
        """Whether a person looks at it."""

    def screen(self) -> Screen:
        """What fits, and whether in colour (https://no-color.org)."""
        if not self.terminal:
            return Screen()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return Screen(shutil.get_terminal_size().columns, colour=not plain)

    def write(self, data: bytes) -> None:
        """Bytes of the report."""
        with _writing(self._name):
            self._stream.write(data)

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of text, without their ends."""
        for line in lines:
            self.write(encode(line + "\n", self._encoding))

    def flush(self) -> None:
        """Let a reader at the other end have what was written."""
        with _writing(self._name):
            self._stream.flush()


@contextmanager
def open_output(path: str | None, *, as_it_comes: bool = False, error: bool = False) -> Iterator[Output]:
    """The report at `path`; standard output for None or "-". Raises UsageError when it cannot be opened.

    `as_it_comes`: somebody may read it while it is written, so it is in its place from the start. `error`: standard
    error for None, because standard output belongs to somebody else.
    """
    if path is None and error:
        output = Output(sys.stderr.buffer, sys.stderr.encoding, "standard error")
        yield output
        output.flush()
    elif path is None or path == "-":
        output = Output(sys.stdout.buffer, sys.stdout.encoding, "standard output")
        yield output
        output.flush()
    elif as_it_comes or _is_special(path):
        with _opened(path, path, "wb") as output:
            yield output
    else:
        with _replacing(path) as output:
            yield output


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from error


@contextmanager
def _opened(name: str, path: str, mode: Literal["wb", "xb"]) -> Iterator[Output]:
    stream = _open(name, path, mode)
    try:
        yield Output(stream, "utf-8", name)
        with _writing(name):
            stream.close()
    finally:
        # What could not be written cannot be written now either, and that was said.
        with suppress(OSError):
            stream.close()


def _open(name: str, path: str, mode: Literal["wb", "xb"]) -> IO[bytes]:
    with _writing(name):
        return open(path, mode)


def _is_special(path: str) -> bool:
    """Something that is written into, not replaced: a device, a named pipe. A directory, too: opening it fails."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


@contextmanager
def _replacing(path: str) -> Iterator[Output]:
    """A file that takes the place of `path` when all went well, and is gone otherwise."""
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with _opened(path, partial, "xb") as output:
            yield output
        with _writing(path):
            if os.path.exists(target):
                shutil.copymode(target, partial)
            os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
