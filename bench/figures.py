"""What the measurements must show, and whether they do.

Ratios are against tshark in the same run on the same file. Without tshark a ratio cannot be judged: it is neither
held nor missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.measure import Measurement
from bench.tools import JSON, TABLE, TSHARK

#: The workload of a hundred packets: what is measured is starting up.
SMALL = "small"

#: Times faster than tshark, at least.
FASTER = {
    (TABLE, "short"): 4.0,
    (TABLE, "keep"): 5.0,
    (TABLE, "bulk"): 30.0,
    (JSON, "short"): 3.0,
    (JSON, "keep"): 4.0,
    (JSON, "bulk"): 30.0,
    (TABLE, "h2c"): 3.0,
    (TABLE, "tlsh2"): 2.0,
    (TABLE, SMALL): 1 / 1.5,
}
#: Part of tshark's peak memory, at most, on these workloads (but SMALL: there it is all start-up).
MEMORY_PART = 0.5
#: Seconds for `connspect --help`, at most.
HELP_SECONDS = 0.2
#: Bytes of peak memory for each further unanswered SYN, at most.
SYN_BYTES = 128


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure."""

    workload: str
    tool: str
    what: str
    """"times faster", "part of memory", "seconds", "bytes a SYN" or "failures"."""
    measured: float | None
    """None: not measured."""
    limit: float
    at_least: bool = False
    """Whether `limit` is the least that will do, or the most."""

    @property
    def held(self) -> bool | None:
        """None: cannot be judged."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def times_faster(one: Measurement, reference: Measurement | None) -> float | None:
    """The reference's time by this one's; None where one of them has no run."""
    return reference.seconds / one.seconds if reference and reference.runs and one.runs else None


def part_of_memory(one: Measurement, reference: Measurement | None) -> float | None:
    """This one's peak by the reference's; None where one of them has no run."""
    return one.peak_bytes / reference.peak_bytes if reference and reference.runs and one.runs else None


def reference_of(measurements: list[Measurement]) -> Measurement | None:
    """tshark's measurement among those of one workload."""
    return next((one for one in measurements if one.tool == TSHARK), None)


def verdicts(measurements: list[Measurement]) -> Iterator[Verdict]:
    """What is required of connspect on one workload, given all tools' measurements of it."""
    reference = reference_of(measurements)
    for one in measurements:
        if one.tool not in (TABLE, JSON):
            continue
        if one.failure is not None:
            yield Verdict(one.workload, one.tool, "failures", 1, 0)
            continue
        limit = FASTER.get((one.tool, one.workload))
        if limit is None:
            continue
        ratio = times_faster(one, reference)
        yield Verdict(one.workload, one.tool, "times faster", ratio, limit, at_least=True)
        if one.workload != SMALL:
            yield Verdict(one.workload, one.tool, "part of memory", part_of_memory(one, reference), MEMORY_PART)
