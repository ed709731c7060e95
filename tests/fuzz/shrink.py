"""A failing input made small: packets, blocks or steps are taken out as long as it fails for the same cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.fuzz import streams
from tests.fuzz.containers import Container, split
from tests.fuzz.inputs import CAPTURE, MAX_SEED_BYTES, Input
from tests.fuzz.mutations import MAX_BYTES
from tests.fuzz.worker import Examine, failure_of

Part = TypeVar("Part")


def shrink(tried: Input, path: Path, examine: Examine) -> Input:
    """The smallest input found with the cause of `tried`'s failure; `tried` itself where it does not fail."""
    failure = failure_of(tried, path, examine)
    if failure is None:
        return tried

    def fails(content: bytes) -> bool:
        again = failure_of(Input(tried.kind, content), path, examine)
        return again is not None and again["where"] == failure["where"]

    if tried.kind != CAPTURE:
        steps = _without_needless(streams.decode(tried.content), lambda some: fails(streams.encode(some)))
        return Input(tried.kind, streams.encode(steps))
    whole = split(tried.content, MAX_SEED_BYTES + MAX_BYTES)

    def capture_of(pieces: list[bytes]) -> bytes:
        return Container(whole.kind, whole.order, whole.head, pieces).encode()

    return Input(tried.kind, capture_of(_without_needless(whole.pieces, lambda some: fails(capture_of(some)))))


def _without_needless(parts: list[Part], fails: Callable[[list[Part]], bool]) -> list[Part]:
    """Leave out runs of parts, half of them at first and one by one at last, wherever it fails without them, too."""
    size = max(len(parts) // 2, 1)
    while True:
        at, before = 0, len(parts)
        while at < len(parts):
            fewer = parts[:at] + parts[at + size :]
            if fails(fewer):
                parts = fewer
            else:
                at += size
        if size == 1 and len(parts) == before:
            return parts
        size = max(size // 2, 1)
