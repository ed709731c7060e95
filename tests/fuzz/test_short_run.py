"""A short fuzz run with a fixed seed: the same inputs each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.inputs import Corpus
from tests.fuzz.target import examine
from tests.fuzz.worker import failure_of


@pytest.mark.parametrize(("target", "inputs"), [("all", 200), ("tls", 80), ("http2", 160), ("websocket", 40)])
def test_nothing_fails_on_some_inputs(target: str, inputs: int, tmp_path: Path) -> None:
    corpus = Corpus(target=target)
    for index in range(inputs):
        failure = failure_of(corpus.make(0, index), tmp_path / "input", examine)
        again = f"python -m tests.fuzz --target {target} --seed 0 --first {index} --inputs 1"
        assert failure is None, f"{again}\n{failure['what']}"
