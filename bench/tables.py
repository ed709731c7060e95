"""The measurements as one table for a terminal or for Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.figures import Verdict, part_of_memory, reference_of, times_faster
from bench.measure import Measurement

_HEADINGS = (
    "workload",
    "packets",
    "tool",
    "seconds",
    "(spread)",
    "CPU s",
    "packets/s",
    "peak MB",
    "× faster",
    "of memory",
    "required",
    "",
)
_LEFT = {0, 2, 10, 11}
_MEGABYTE = 1_000_000

#: Measurements of one workload, and the verdicts on them.
Group = tuple[list[Measurement], list[Verdict]]


def table(groups: Sequence[Group], *, markdown: bool) -> str:
    """One line for each tool on each workload. Verdicts without a measurement of their own have lines at the end."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for measurements, verdicts in groups:
        reference = reference_of(measurements)
        rows += [_row(one, reference, [each for each in verdicts if each.tool == one.tool]) for one in measurements]
        if not measurements:
            rows += [_lone_row(verdict) for verdict in verdicts]
    return _markdown(rows) if markdown else _plain(rows)


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Everything measured, with the runs, and every verdict."""
    return {
        "measurements": [asdict(one) for measurements, _ in groups for one in measurements],
        "verdicts": [{**asdict(verdict), "held": verdict.held} for _, verdicts in groups for verdict in verdicts],
    }


def _row(one: Measurement, reference: Measurement | None, verdicts: list[Verdict]) -> tuple[str, ...]:
    head = one.workload, f"{one.packets:,}", one.tool
    if one.failure is not None:
        return *head, "failed", *[""] * 6, "no failure", _word(verdicts)
    low, high = one.spread
    peer = reference if one is not reference else None
    return (
        *head,
        f"{one.seconds:.3f}",
        f"({low:.3f}–{high:.3f})",
        f"{one.cpu_seconds:.3f}",
        f"{one.packets / one.seconds:,.0f}",
        f"{one.peak_bytes / _MEGABYTE:.0f}",
        _number(times_faster(one, peer)),
        _number(part_of_memory(one, peer)),
        ", ".join(_limit(verdict) for verdict in verdicts),
        _word(verdicts),
    )


def _lone_row(verdict: Verdict) -> tuple[str, ...]:
    measured = _number(verdict.measured, digits=3)
    seconds, peak = (measured, "") if verdict.what == "seconds" else ("", f"{measured} {verdict.what}")
    return verdict.workload, "", verdict.tool, seconds, "", "", "", peak, "", "", _limit(verdict), _word([verdict])


def _limit(verdict: Verdict) -> str:
    sign = "≥" if verdict.at_least else "≤"
    unit = {"times faster": "×", "part of memory": " of memory", "seconds": " s"}.get(verdict.what, f" {verdict.what}")
    return f"{sign} {verdict.limit:.3g}{unit}"


def _word(verdicts: list[Verdict]) -> str:
    held = [verdict.held for verdict in verdicts]
    if not held:
        return ""
    return "MISS" if False in held else "not judged" if None in held else "pass"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _plain(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if place in _LEFT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    rule = [("---" if place in _LEFT else "---:") for place in range(len(_HEADINGS))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))
