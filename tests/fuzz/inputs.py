"""Input number i of seed s: the same bytes on every machine that has the same corpus.

The corpus is small captures from the repository, from folders named by the caller, and from the workload generator,
and the dialogues of streams.py. A target narrows it to one protocol: what its decoder was told of the recordings, and
these recordings themselves, mutated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.generate import generate
from inspector.protocols.detect import H2C, TLS
from tests.fuzz import protocols, streams
from tests.fuzz.containers import Container, split
from tests.fuzz.mutations import mutate
from tests.fuzz.recorded import Recorded

CAPTURE, STREAM = "capture", "stream"
#: Targets, each with the protocol that it narrows to.
TARGETS = {"all": None, "tls": TLS, "http2": H2C, "websocket": "websocket"}

#: Of a larger capture the beginning is taken.
MAX_SEED_BYTES = 200_000
#: Every so many inputs one is a stream.
STREAM_EVERY = 4
#: With a target, every so many inputs one is a capture.
CAPTURE_EVERY = 8

_SUFFIXES = (".pcap", ".pcapng", ".cap", ".trace", ".gz", ".zst", ".xz", ".lz4")
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to try."""

    kind: str
    """CAPTURE, STREAM, or a target: a stream for its decoder."""
    content: bytes


class Corpus:
    """What inputs are made from."""

    def __init__(self, folders: Sequence[Path] = (), target: str = "all") -> None:
        """Captures of these folders, besides those of the repository; with a target those in which it is spoken."""
        self.target = target
        name = TARGETS[target]
        if name is not None:
            recorded = Recorded()
            self.captures = [split(path.read_bytes(), MAX_SEED_BYTES) for path in recorded.captures[name]]
            self.dialogues = recorded.dialogues[name]
            return
        files = sorted(
            path
            for folder in (_REPOSITORY / "captures", *folders)
            for path in folder.rglob("*")
            if path.suffix in _SUFFIXES and path.is_file()
        )
        self.captures = [*_generated(), *(split(path.read_bytes(), MAX_SEED_BYTES) for path in files)]
        self.dialogues = streams.dialogues()

    def make(self, seed: int, index: int) -> Input:
        """Input `index` of that seed."""
        random = Random(f"{seed}:{index}")
        name = TARGETS[self.target]
        if name is not None and index % CAPTURE_EVERY:
            dialogue, other = (random.choice(self.dialogues) for _ in range(2))
            return Input(self.target, streams.encode(protocols.mutate(random, name, dialogue, other)))
        if name is None and index % STREAM_EVERY == 0:
            dialogue, other = (random.choice(self.dialogues) for _ in range(2))
            return Input(STREAM, streams.encode(streams.mutate(random, dialogue, other)))
        capture, donor = (random.choice(self.captures) for _ in range(2))
        return Input(CAPTURE, mutate(random, capture, donor))


def _generated() -> list[Container]:
    """A capture of each kind that needs no file."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "generated.pcap"
        for name, count, seed in (
            ("mixed", 24, 1),
            ("mixed", 12, 2),
            ("keep", 60, 3),
            ("idle", 4, 4),
            ("synflood", 50, 5),
        ):
            generate(name, out, count, seed)
            made.append(split(out.read_bytes(), MAX_SEED_BYTES))
    return made
