"""TLS keys: from key logs that were named, read once or followed while they grow, and from the captures themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from inspector.errors import UsageError
from inspector.protocols.tls.keylog import MAX_LINE, KeyLog
from inspector.sources.secrets import key_logs, key_logs_ahead
from inspector.sources.source import Source

#: Bytes of a key log that are read at once.
_PIECE = 1 << 20


class CapturedKeys:
    """The keys that lie in captures: those that were read so far, and all others once one is missing."""

    def __init__(self, source: Source) -> None:
        self.log = KeyLog(self._ahead)
        self._source = source
        self._taken: dict[int, int] = {}

    def _ahead(self) -> Iterator[bytes]:
        return key_logs_ahead(self._source.files)

    def take(self) -> None:
        """Add what was read since the last time."""
        for at, file in enumerate(self._source.files):
            taken = self._taken.get(at, 0)
            if len(file.secrets) > taken:
                self._taken[at] = len(file.secrets)
                for text in key_logs(file.secrets[taken:]):
                    self.log.add_whole(text)


def read_key_logs(paths: Sequence[str], log: KeyLog, warn: Callable[[str], None]) -> None:
    """Add what the files say; `warn` is told of those that say nothing, and of lines that were not understood.

    Raises UsageError where one cannot be read.
    """
    for path in paths:
        read, broken = log.read, log.broken
        try:
            with open(path, "rb") as file:
                while piece := file.read(_PIECE):
                    log.add(piece)
        except OSError as error:
            raise UsageError(f"--keylog {path}: {error.strerror or error}") from None
        log.end()
        if log.read == read:
            warn(f"no TLS keys in {path}")
        elif log.broken > broken:
            lines = log.broken - broken
            warn(f"{path}: {lines} {'line is' if lines == 1 else 'lines are'} no TLS keys")


class FollowedKeys:
    """Key logs that grow while packets come: each time what is new is read, in whole lines. One that is not
    there yet may come."""

    def __init__(self, paths: Sequence[str], log: KeyLog, warn: Callable[[str], None]) -> None:
        self.log = log
        self._files = [_Followed(path, warn) for path in dict.fromkeys(paths)]

    def take(self) -> bytes:
        """Add what was written since the last time to the log; it is also returned."""
        text = b"".join(file.read() for file in self._files)
        if text:
            self.log.add_whole(text)
        return text

    def close(self) -> None:
        """Read no more."""
        for file in self._files:
            file.close()


class _Followed:
    """One key log. It may be replaced or cut: then it is read from the start."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn: Callable[[str], None] | None = warn
        self._file: BinaryIO | None = None
        self._rest = b""

    def read(self) -> bytes:
        """The lines that were written since the last time."""
        pieces = []
        try:
            if self._replaced():
                self.close()
            if self._file is None:
                self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115  # it stays open
            while piece := self._file.read(_PIECE):
                pieces.append(piece)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if self._warn is not None:
                self._warn(f"--keylog {self._path}: {error.strerror or error}")
                self._warn = None
            return b""
        if not pieces:
            return b""
        text = self._rest + b"".join(pieces)
        end = text.rfind(b"\n") + 1
        self._rest = text[end:] if len(text) - end <= MAX_LINE else b""
        return text[:end]

    def _replaced(self) -> bool:
        """Whether there is another file in its place, or less in it than was read."""
        if self._file is None:
            return False
        mine, there = os.fstat(self._file.fileno()), os.stat(self._path)
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino) or mine.st_size < self._file.tell()

    def close(self) -> None:
        """Read no more, or from the start."""
        self._rest = b""
        if self._file is not None:
            self._file.close()
            self._file = None
