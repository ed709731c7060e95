"""`live -w`: packets and keys go to files while they are read. A full disk ends the capture, not the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from inspector.errors import UsageError
from inspector.sources.bpf import DEFAULT_FILTER
from inspector.sources.pcapng_writer import PcapngWriter, Rotation
from inspector.sources.source import Problem

if TYPE_CHECKING:
    from inspector.cli.live import Capturing
    from inspector.packets.batch import RawBatch
    from inspector.sources.live import LiveSource

_Number = TypeVar("_Number", int, float)

#: dumpcap's kB.
_KILOBYTE = 1000


def rotation(words: Sequence[str]) -> Rotation:
    """What -b asks for; raises UsageError."""
    size = seconds = files = None
    for word in words:
        what, _, number = word.partition(":")
        try:
            if what == "filesize":
                size = _positive(int(number)) * _KILOBYTE
            elif what == "duration":
                seconds = _positive(float(number))
            elif what == "files":
                files = _positive(int(number))
            else:
                raise ValueError
        except ValueError:
            raise UsageError(f"-b {word}: there are filesize:KB, duration:SECONDS and files:N") from None
    found = Rotation(size, seconds, files)
    if files is not None and not found:
        raise UsageError(f"-b files:{files}: say with filesize:KB or duration:SECONDS when a file is full, too")
    return found


def _positive(number: _Number) -> _Number:
    if not 0 < number < 1e12:
        raise ValueError
    return number


class Keeping:
    """Writes what is captured, if that is wanted."""

    def __init__(self, source: LiveSource, capturing: Capturing, files: Rotation) -> None:
        """Opens the first file; raises UsageError."""
        self._source = source
        self._embed = capturing.embed_keys
        self._writer: PcapngWriter | None = None
        if capturing.write is None:
            return
        try:
            self._writer = PcapngWriter(
                capturing.write,
                files,
                snap_length=capturing.snap_length,
                filter=capturing.words() or DEFAULT_FILTER,
            )
        except OSError as error:
            raise UsageError(f"cannot write {capturing.write}: {error.strerror or error}") from None

    def take(self, batch: RawBatch, keys: bytes) -> None:
        """Keep these packets, and these lines of a key log."""
        if self._writer is None:
            return
        if keys and self._embed:
            self._writer.add_keys(keys)
        if len(batch):
            try:
                self._writer.write(batch, self._source.files[0].dropped)
            except OSError as error:
                self._fail(self._writer, error)

    def close(self) -> None:
        """End the last file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close(self._source.files[0].dropped)
            except OSError as error:
                self._fail(writer, error)

    def _fail(self, writer: PcapngWriter, error: OSError) -> None:
        self._writer = None
        path = writer.paths[-1]
        what = f"cannot be written: {error.strerror or error}: {writer.packets:,} packets are kept, and capturing ended"
        self._source.problems.append(Problem(path, None, writer.packets or None, what))
        self._source.stop()

    def __enter__(self) -> Keeping:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
