"""The parent process: starts workers, notices failures, hangs and crashes, and keeps the inputs that caused them."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Where inputs that fail are kept.
KEPT = Path("build") / "fuzz"

_REPOSITORY = Path(__file__).parents[2]
_STARTING_SECONDS = 60
_ENDING_SECONDS = 1


@dataclass(slots=True)
class Settings:
    """What to run."""

    seed: int
    seconds: float
    first: int = 0
    last: int = 1 << 62
    """Inputs [first, last)."""
    corpus: Sequence[Path] = ()
    target: str = "all"
    failures: Path = KEPT
    input_seconds: float = 20.0
    """An input that takes longer is a hang."""
    slow_seconds: float = 2.0
    """Processor time beyond which an input is reported as slow."""
    examine: str = "tests.fuzz.target:examine"


@dataclass(slots=True)
class Outcome:
    """What happened."""

    inputs: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """How often each cause was met."""
    saved: list[Path] = field(default_factory=list)
    """The first input of each cause, with its description beside it."""
    slow: list[tuple[float, int]] = field(default_factory=list)
    """(seconds, index), slowest first."""


def fuzz(settings: Settings) -> Outcome:
    """Run until the time is over or all inputs are done."""
    outcome = Outcome()
    deadline = time.monotonic() + settings.seconds
    index = settings.first
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "input"
        while index < settings.last and time.monotonic() < deadline:
            index = _run_worker(settings, outcome, index, current, deadline)
    outcome.slow.sort(reverse=True)
    return outcome


def _run_worker(settings: Settings, outcome: Outcome, first: int, current: Path, deadline: float) -> int:
    """One worker from input `first` until it ends; returns the input to go on with."""
    command = [sys.executable, "-m", "tests.fuzz.worker", "--seed", str(settings.seed), "--first", str(first)]
    command += ["--last", str(settings.last), "--input", str(current), "--examine", settings.examine]
    command += ["--target", settings.target]
    command += ["--corpus", *(str(folder.resolve()) for folder in settings.corpus)]
    with tempfile.TemporaryFile() as errors:
        worker = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=errors)
        running: dict[str, Any] | None = None
        finished, silent = first, False
        for message in _messages(worker, settings.input_seconds, deadline):
            if "start" in message:
                running = message
                continue
            if "silent" in message:
                silent = True
                break
            finished = message.get("done", message.get("failed", finished)) + 1
            _note(settings, outcome, message, current, running)
            running = None
        _end(worker)
        if not silent and (time.monotonic() >= deadline or (running is None and worker.returncode == 0)):
            return finished
        errors.seek(0)
        what = errors.read().decode(errors="replace")
        index = finished if running is None else int(running["start"])
        where = "hang" if silent else f"crash, status {worker.returncode}"
        _note(settings, outcome, {"failed": index, "what": what, "where": where}, current, running)
        return settings.last if running is None else index + 1


def _messages(worker: subprocess.Popen[bytes], patience: float, deadline: float) -> Iterator[dict[str, Any]]:
    """What the worker says, until it has ended or the time is over; {"silent": true} when it is so for too long."""
    assert worker.stdout is not None
    descriptor, held = worker.stdout.fileno(), b""
    wait: float = _STARTING_SECONDS
    while time.monotonic() < deadline:
        left = deadline - time.monotonic()
        ready, _, _ = select.select([descriptor], [], [], max(min(wait, left), 0))
        if not ready:
            if wait < left:
                yield {"silent": True}
            return
        read = os.read(descriptor, 1 << 16)
        if not read:
            return
        wait = patience
        *lines, held = (held + read).split(b"\n")
        yield from map(json.loads, lines)


def _note(
    settings: Settings, outcome: Outcome, message: dict[str, Any], current: Path, running: dict[str, Any] | None
) -> None:
    outcome.inputs += 1
    if "failed" not in message:
        if message["seconds"] > settings.slow_seconds:
            outcome.slow.append((message["seconds"], message["done"]))
        return
    where = message["where"]
    outcome.failed[where] += 1
    kept = Path(message.get("kept", current))
    if outcome.failed[where] > 1:
        kept.unlink(missing_ok=True)
        return
    settings.failures.mkdir(parents=True, exist_ok=True)
    kind = "start" if running is None else running["kind"]
    prefix = "" if settings.target == "all" else f"{settings.target}-"
    saved = settings.failures / f"{prefix}seed{settings.seed}-{message['failed']}.{kind}"
    if kept.exists():
        shutil.move(kept, saved)
    saved.with_suffix(".txt").write_text(f"{where}\n\n{message['what']}\n", encoding="utf-8")
    outcome.saved.append(saved)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Make a worker that does not end by itself say where it is (faulthandler does, on SIGABRT) and end."""
    try:
        worker.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        worker.send_signal(signal.SIGABRT)
    worker.wait()
    assert worker.stdout is not None
    worker.stdout.close()
