"""Whole processes: how long each takes and how much memory it has at most.

The kernel counts what a process had before `exec` as well, so the measuring process must stay smaller than what it
measures: it imports no NumPy and lets another process generate the workloads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

#: Unit of ru_maxrss: kilobytes, on macOS bytes (getrusage(2)).
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class RunError(Exception):
    """A command ended with a status that its measurement does not allow; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one command."""

    seconds: float
    """Wall clock, from before the fork to after the exit."""
    cpu_seconds: float
    """Processor time, user and system: what a busy machine disturbs less."""
    peak_bytes: int
    """Resident set at its largest, mapped pages included."""


def run(command: Sequence[str]) -> Run:
    """Run a command, its output discarded. Raises RunError when its exit status is not 0."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise RunError(f"{command[0]}: exit status {process.returncode}: {said[-1] if said else 'no message'}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT)


@dataclass(slots=True)
class Measurement:
    """Runs of one tool on one workload."""

    workload: str
    packets: int
    tool: str
    runs: list[Run] = field(default_factory=list)
    failure: str | None = None
    """Why there are no (more) runs."""

    @property
    def seconds(self) -> float:
        """Median."""
        return median(run.seconds for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest, in seconds."""
        times = [run.seconds for run in self.runs]
        return min(times), max(times)

    @property
    def cpu_seconds(self) -> float:
        """Median."""
        return median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> float:
        """Median of the peaks."""
        return median(run.peak_bytes for run in self.runs)


def alternate(workload: str, packets: int, commands: Mapping[str, Sequence[str]], rounds: int) -> list[Measurement]:
    """Run each tool's command in turn, `rounds` times over, so that a slow minute of the machine meets all of them.
    A tool that fails is not run again."""
    measurements = {tool: Measurement(workload, packets, tool) for tool in commands}
    for _ in range(rounds):
        for tool, command in commands.items():
            measurement = measurements[tool]
            if measurement.failure is None:
                try:
                    measurement.runs.append(run(command))
                except RunError as failure:
                    measurement.failure = str(failure)
    return list(measurements.values())
