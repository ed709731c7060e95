"""A short fuzz run with a fixed seed: the same inputs each time."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.inputs import Corpus
from tests.fuzz.target import examine
from tests.fuzz.worker import failure_of

INPUTS = 200


def test_nothing_fails_on_two_hundred_inputs(tmp_path: Path) -> None:
    corpus = Corpus()
    for index in range(INPUTS):
        failure = failure_of(corpus.make(0, index), tmp_path / "input", examine)
        assert failure is None, f"python -m tests.fuzz --seed 0 --first {index} --inputs 1\n{failure['what']}"
