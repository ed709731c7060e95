"""What a source has to say about itself when it has been read: the part of the capture's record that it alone knows."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.records.capture import CaptureRecord, Dropped, File, Problem
from inspector.sources.source import Source


def complete(source: Source, capture: CaptureRecord) -> None:
    """Add what only the source knows."""
    capture.files = [
        File(file.path, file.format, file.compression, file.link_types, file.packets, file.bytes)
        for file in source.files
    ]
    capture.problems = [Problem(p.file, p.offset, p.packet, p.what) for p in source.problems]
    dropped = [file.dropped for file in source.files if file.dropped is not None]
    if dropped:
        capture.dropped = Dropped(_sum(d.kernel for d in dropped), _sum(d.interface for d in dropped))


def _sum(counts: Iterator[int | None]) -> int | None:
    """The sum of those that are known; None when none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
