"""From the paths of a command line to a timeline: what each file is shows in its first bytes, never in its name.

A plain regular file is mapped. Everything else (compressed, a pipe, standard input) is a stream. What cannot be
opened is a problem of the timeline, and an error only where nothing can be opened.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Sequence
from typing import NamedTuple, cast

from inspector.errors import CaptureError
from inspector.packets.batch import Interface
from inspector.sources import pcap, pcapng
from inspector.sources.compressed import MAGIC_SIZE, Decompressed, PlainStream, ReadableFile, compression_of
from inspector.sources.reader import HeaderError, Reader
from inspector.sources.source import BATCH_ROWS, Problem
from inspector.sources.timeline import Input, Timeline
from inspector.sources.window import ByteStream, MappedWindow, StreamWindow, Window

STANDARD_INPUT = "-"

_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"


class _StandardInput:
    """sys.stdin's bytes; closing the capture leaves it open."""

    def __init__(self) -> None:
        self._file = cast(ReadableFile, sys.stdin.buffer)

    def read1(self, size: int, /) -> bytes:
        return self._file.read1(size)

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        """Nothing: it is not ours."""


def open_capture(paths: Sequence[str], *, batch_rows: int = BATCH_ROWS) -> Timeline:
    """The packets of one or more captures as one timeline; "-" is standard input.

    Waits until a pipe has said what it is. Raises CaptureError where no file can be read.
    """
    inputs: list[Input] = []
    interfaces: list[Interface] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            inputs.append(_open(path, interfaces))
        except CaptureError as error:
            problems.append(Problem(path, None, None, str(error)))
    if not inputs:
        raise CaptureError("; ".join(f"{problem.file}: {problem.what}" for problem in problems) or "no capture named")
    return Timeline(inputs, interfaces, problems, batch_rows)


def _open(path: str, interfaces: list[Interface]) -> Input:
    """Raises CaptureError, without the path."""
    try:
        opened = _open_standard_input() if path == STANDARD_INPUT else open_window(path)
        try:
            reader = _reader(opened.window, interfaces)
        except BaseException:
            opened.window.close()
            raise
    except IsADirectoryError:
        raise CaptureError("a directory: name the capture files in it") from None
    except FileNotFoundError:
        raise CaptureError("no such file") from None
    except OSError as error:
        raise CaptureError(f"cannot be read: {error.strerror or error}") from None
    except HeaderError as error:
        raise CaptureError(str(error)) from None
    return Input(path, opened.compression, opened.window, opened.total, reader)


class OpenFile(NamedTuple):
    """An opened file, whatever is in it."""

    window: Window
    compression: str | None
    """A key of compressed.MAGICS; None: none."""
    total: int | None
    """Stored bytes; None: not known."""


def open_window(path: str) -> OpenFile:
    """Open a file by its path; raises CaptureError, without the path, and OSError."""
    file = io.BufferedReader(io.FileIO(path))
    try:
        status = os.fstat(file.fileno())
        total = status.st_size if stat.S_ISREG(status.st_mode) else None
        stream = PlainStream(file, waits=total is None)
        if not total or compression_of(stream.peek(MAGIC_SIZE)):
            return _open_stream(stream, total)
        window = MappedWindow(file)
    except BaseException:
        file.close()
        raise
    file.close()
    return OpenFile(window, None, total)


def _open_standard_input() -> OpenFile:
    return _open_stream(PlainStream(_StandardInput(), waits=True), None)


def _open_stream(stream: PlainStream, total: int | None) -> OpenFile:
    compression = compression_of(stream.peek(MAGIC_SIZE))
    plain: ByteStream = stream if compression is None else Decompressed(stream, compression)
    return OpenFile(StreamWindow(plain), compression, total)


def _reader(window: Window, interfaces: list[Interface]) -> Reader:
    """The reader for what the window starts with; raises CaptureError and HeaderError."""
    while len(window.data) < 4 and not window.ended:
        window.forward(0)
    head = window.data[:16].tobytes()
    if head.startswith(_PCAPNG_MAGIC):
        return pcapng.PcapngReader(window, interfaces)
    if len(head) >= 4 and pcap.byte_order(head) is not None:
        return pcap.PcapReader(window, interfaces)
    if window.failure is not None:
        raise CaptureError(window.failure)
    if not head:
        raise CaptureError("empty")
    raise CaptureError(
        f"not a pcap or pcapng file (starts with {head[:4].hex(' ')}); gzip, zstd, xz and lz4 of them are read too"
    )
