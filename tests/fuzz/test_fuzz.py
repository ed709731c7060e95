"""The fuzz harness itself: that it finds what it is there to find."""

from __future__ import annotations

import os
import struct
import time
from functools import cache
from pathlib import Path
from random import Random

import pytest

from inspector.bytestream import Ending
from tests.fuzz import __main__ as command
from tests.fuzz import streams, target
from tests.fuzz.containers import split
from tests.fuzz.inputs import CAPTURE, STREAM, TARGETS, Corpus, Input
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.runner import Outcome, Settings, fuzz
from tests.fuzz.shrink import shrink
from tests.fuzz.target import Told, examine_stream, retained
from tests.fuzz.worker import failure_of


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus()


def test_undamaged_corpus_is_fine(corpus: Corpus, tmp_path: Path) -> None:
    tried = [Input(CAPTURE, capture.encode()) for capture in corpus.captures[:5]]
    tried += [Input(STREAM, streams.encode(dialogue)) for dialogue in corpus.dialogues]
    for one in tried:
        assert failure_of(one, tmp_path / "input", target.examine) is None


PROTOCOLS = sorted(set(TARGETS) - {"all"})


@pytest.fixture(scope="module")
def narrowed() -> dict[str, Corpus]:
    return {target: Corpus(target=target) for target in PROTOCOLS}


@pytest.mark.parametrize("target", PROTOCOLS)
def test_recorded_dialogues_are_fine_and_many_units_long(target: str, narrowed: dict[str, Corpus]) -> None:
    corpus = narrowed[target]
    assert len(corpus.dialogues) > 2
    assert corpus.captures
    for dialogue in corpus.dialogues:
        examine_stream(dialogue, target)
    assert max(map(len, corpus.dialogues)) > 10


@pytest.mark.parametrize("target", PROTOCOLS)
def test_a_target_tells_its_decoder_something(target: str, narrowed: dict[str, Corpus]) -> None:
    """Undamaged, the decoder recognises what it is told; and what is damaged still keeps the promises of the waist."""
    corpus = narrowed[target]
    told = told_to(corpus.dialogues[-1], target)
    assert told.decoder.application_packet is not None
    assert len(told.events) > 2
    kinds = {corpus.make(3, index).kind for index in range(16)}
    assert kinds == {target, CAPTURE}
    for index in range(100):
        tried = corpus.make(3, index)
        if tried.kind == target:
            check_promises(streams.decode(tried.content))


def test_keys_reach_the_tls_decoder(narrowed: dict[str, Corpus]) -> None:
    dialogue = next(d for d in narrowed["tls"].dialogues if d[0].what == streams.KEYS)
    assert told_to(dialogue, "tls").decoder.protocol != "tls"
    assert told_to(dialogue[1:], "tls").decoder.protocol == "tls"


def told_to(dialogue: list[streams.Step], kind: str) -> Told:
    told = Told(kind)
    for packet, step in enumerate(dialogue, 1):
        told.tell(step, packet)
    return told


def test_what_a_decoder_keeps_is_measured() -> None:
    """With what it holds of a header section, and without what it has said."""
    small, large = Told(STREAM), Told(STREAM)
    for told, size in ((small, 10), (large, 50_000)):
        told.tell(streams.Step(streams.DATA, 0, b"GET / HTTP/1.1\r\nX: " + b"x" * size), 1)
    sizes = [retained(told.decoder, told.events) for told in (small, large)]
    assert 49_000 <= sizes[1] - sizes[0] < 120_000
    many = Told(STREAM)
    many.tell(streams.Step(streams.DATA, 0, b"GET / HTTP/1.1\r\n\r\n" * 900), 1)
    assert len(many.events) == 1800
    assert retained(many.decoder, many.events) < 1_000_000


def test_inputs_depend_on_seed_and_index_alone(corpus: Corpus) -> None:
    first = [corpus.make(5, index) for index in range(12)]
    assert [corpus.make(5, index) for index in reversed(range(12))] == first[::-1]
    assert corpus.make(6, 1) != first[1]
    assert {one.kind for one in first} == {CAPTURE, STREAM}


def test_splitting_and_joining_changes_nothing(corpus: Corpus) -> None:
    random = Random(1)
    for order, magic in (("<", 0xA1B2C3D4), (">", 0xA1B23C4D)):
        records = b"".join(
            struct.pack(order + "IIII", 1, 2, size, size) + random.randbytes(size) for size in (60, 0, 9)
        )
        content = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1) + records
        container = split(content, 1000)
        assert (container.kind, container.order, [len(piece) for piece in container.pieces]) == (
            "pcap",
            order,
            [76, 16, 25],
        )
        assert container.encode() == content
        assert container.pieces[0][container.frame_at(container.pieces[0]) :] == records[16:76]
    blocks = struct.pack(">III", 0x0A0D0D0A, 28, 0x1A2B3C4D) + bytes(12) + struct.pack(">I", 28)
    blocks += struct.pack(">II", 6, 36) + bytes(24) + struct.pack(">I", 36) + b"rest"
    container = split(blocks, 1000)
    assert (container.kind, container.order, [len(piece) for piece in container.pieces]) == ("pcapng", ">", [28, 36, 4])
    assert container.encode() == blocks
    assert split(b"no capture", 4).encode() == b"no c"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__.strip("_"))
def test_each_mutation_changes_something_and_never_raises(mutation: object, corpus: Corpus) -> None:
    assert callable(mutation)
    changed = 0
    for seed in range(600):
        random = Random(seed)
        container = random.choice(corpus.captures).copy()
        before = container.encode()
        mutation(random, container, corpus.captures[0])
        changed += container.encode() != before
    assert changed > 2


def test_damaged_streams_keep_the_promises_of_the_waist(corpus: Corpus) -> None:
    kinds: set[str] = set()
    for seed in range(300):
        random = Random(seed)
        steps = streams.mutate(random, random.choice(corpus.dialogues), random.choice(corpus.dialogues))
        assert streams.decode(streams.encode(steps)) == steps
        kinds |= check_promises(steps)
    assert kinds == {streams.DATA, streams.GAP, *(ending.value for ending in Ending)}


def check_promises(steps: list[streams.Step]) -> set[str]:
    """What the waist promises to decoders; the kinds of steps that there are."""
    kinds: set[str] = set()
    for direction in (0, 1):
        told = [step for step in steps if step.direction == direction and step.what != streams.KEYS]
        kinds.update(step.ending or step.what for step in told)
        assert all(step.what != streams.END for step in told[:-1])
        assert all(step.data or step.what != streams.DATA for step in told)
        assert all(step.length > 0 for step in told if step.what == streams.GAP)
    return kinds


@cache
def inputs_of_the_bad_run() -> list[Input]:
    corpus = Corpus()
    return [corpus.make(9, index) for index in range(6)]


def examine_badly(tried: Input, path: Path) -> None:
    """Stands for a program with faults: input 1 raises, 2 crashes, 3 takes memory, 5 hangs."""
    index = inputs_of_the_bad_run().index(tried)
    if index == 1:
        raise ValueError("a fault")
    if index == 2:
        os.abort()
    if index == 3:
        bytearray(600_000_000)[::4096] = bytes(1) * len(range(0, 600_000_000, 4096))
    if index == 5:
        time.sleep(600)


def bad_run(failures: Path, first: int, last: int, input_seconds: float) -> Outcome:
    examine = "tests.fuzz.test_fuzz:examine_badly"
    settings = Settings(9, 120, first, last, failures=failures, input_seconds=input_seconds, examine=examine)
    outcome = fuzz(settings)
    for saved in outcome.saved:
        index = int(saved.stem.removeprefix("seed9-"))
        assert saved.read_bytes() == inputs_of_the_bad_run()[index].content
    return outcome


def test_faults_crashes_and_memory_are_caught(tmp_path: Path) -> None:
    outcome = bad_run(tmp_path, 0, 5, input_seconds=60)
    assert outcome.inputs == 5
    assert [path.stem for path in outcome.saved] == ["seed9-1", "seed9-2", "seed9-3"]
    fault, crash, memory = outcome.failed
    assert fault.endswith(" ValueError a fault")
    assert crash == "crash, status -6"
    assert memory == "memory"
    said = [saved.with_suffix(".txt").read_text() for saved in outcome.saved]
    assert "ValueError: a fault" in said[0]
    assert "in examine_badly" in said[1], "faulthandler says where it crashed"
    assert "peak memory" in said[2]


def test_a_hang_is_caught(tmp_path: Path) -> None:
    outcome = bad_run(tmp_path, 5, 6, input_seconds=1)
    assert (outcome.inputs, dict(outcome.failed)) == (1, {"hang": 1})
    assert [path.stem for path in outcome.saved] == ["seed9-5"]
    assert "worker.py" in outcome.saved[0].with_suffix(".txt").read_text(), "faulthandler says where it hung"


def test_a_kept_input_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "seed1-4.stream"
    kept.write_bytes(streams.encode(Corpus().dialogues[0]))
    assert command.main(["--replay", str(kept)]) == 0
    assert capsys.readouterr().out == "no failure\n"
    kept.write_bytes(b"no stream")
    assert command.main(["--replay", str(kept)]) == 1
    assert "Traceback" in capsys.readouterr().out


def test_a_failing_input_is_made_small(corpus: Corpus, tmp_path: Path) -> None:
    def examine_syns(tried: Input, path: Path) -> None:
        """Fails on two frames of 74 bytes, which SYNs are."""
        if [len(piece) for piece in split(tried.content, len(tried.content)).pieces].count(16 + 74) > 1:
            raise ValueError(f"{len(tried.content)} bytes")

    small = shrink(Input(CAPTURE, corpus.captures[0].encode()), tmp_path / "input", examine_syns)
    assert [len(piece) for piece in split(small.content, 1000).pieces] == [90, 90]
    fine = Input(STREAM, b"[]")
    assert shrink(fine, tmp_path / "input", examine_syns) is fine


def test_a_run_says_how_it_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--inputs", "3", "--seed", "0", "--failures", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "3 inputs of seed 0, 0 failed\n"
    assert list(tmp_path.iterdir()) == []
