"""TLS keys for a reading: from key logs that were named, and from the captures themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from inspector.errors import UsageError
from inspector.protocols.tls.keylog import KeyLog
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
