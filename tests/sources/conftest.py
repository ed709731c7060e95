"""Reading bytes as a capture file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.sources.open import open_capture
from inspector.sources.source import Problem
from inspector.sources.timeline import Timeline
from tests.sources.forge import Seen, seen

Read = Callable[[bytes], tuple[list[Seen], list[Problem], Timeline]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Packets, problems and the source itself (iterated and closed) of a file with these bytes."""

    def read_bytes(data: bytes) -> tuple[list[Seen], list[Problem], Timeline]:
        path = tmp_path / "capture"
        path.write_bytes(data)
        with open_capture([str(path)]) as source:
            return seen(source), source.problems, source

    return read_bytes
