"""Holds the findings of a report against what captures/expected.toml says of its recording.

Pure functions of JSON documents: `held` gives a row for each expected finding, `broken` the lines that say what is
wrong. `python -m tests.expectations [NAME...]` prints them for recordings.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.recordings import CAPTURES, NAMES, hops_on, report_on
from tests.truth import Json, is_condition, meets

#: How far a duration may be from what was configured: part of it, or nanoseconds, whichever is more.
TOLERANCE, TOLERANCE_NS = 0.05, 100_000_000
#: Suspects that count as the top ones.
TOP = 3
#: Lines of `broken` about findings that should not be there.
UNWANTED = re.compile(": (must never appear|unexpected (notice|warning|problem)): ")

EXPECTED: dict[str, Json] = tomllib.loads((CAPTURES / "expected.toml").read_text(encoding="utf-8"))


@dataclass(slots=True, frozen=True)
class Held:
    """One expected finding, and what became of it."""

    code: str
    expected: Json
    told: Json
    """The finding that comes closest; None where there is none of that code."""
    wrong: list[str]


def findings_of(name: str, report: Json | None = None) -> list[Json]:
    """What is told of a recording: by `read`, whose report may be given, and by `hops` where it is of both sides of a
    proxy."""
    found: list[Json] = (report or report_on(CAPTURES / name))["findings"]
    return found if "hops" not in EXPECTED[name] else [*found, *hops_on(CAPTURES / name)["findings"]]


def held(section: Json, findings: list[Json]) -> list[Held]:
    """Each finding that must be there, with the one that agrees best with it."""
    rows = []
    for expected in section["must"]:
        candidates = [finding for finding in findings if finding["code"] == expected["code"]]
        compared = [(list(_wrong(expected, finding)), finding) for finding in candidates]
        wrong, told = min(compared, key=lambda pair: len(pair[0]), default=(["it is not there"], None))
        rows.append(Held(expected["code"], expected, told, wrong))
    return rows


def broken(section: Json, findings: list[Json]) -> list[str]:
    """What does not agree, a line each; empty when all is as expected."""
    lines = [f"{row.code}: {wrong}" for row in held(section, findings) for wrong in row.wrong]
    allowed = {*(expected["code"] for expected in section["must"]), *section.get("may", [])}
    for finding in findings:
        if finding["code"] in section["never"]:
            lines.append(f"{finding['code']}: must never appear: {finding['title']}")
        elif finding["severity"] != "info" and finding["code"] not in allowed:
            lines.append(f"{finding['code']}: unexpected {finding['severity']}: {finding['title']}")
    return lines


def _wrong(expected: Json, finding: Json) -> Iterator[str]:
    for key in ("endpoint", "severity"):
        if key in expected and finding[key] != expected[key]:
            yield f"{key} is {finding[key]}, not {expected[key]}"
    for name, value in expected.get("measured", {}).items():
        told = finding["measured"].get(name)
        if not _agrees(name, told, value):
            yield f"{name} is {told}, not {value}"
    top = [suspect["product"].lower() for suspect in finding["suspects"][:TOP]]
    for product in expected.get("suspects", []):
        if not any(one.startswith(product.lower()) for one in top):
            yield f"{product} is not among the first suspects: {', '.join(top) or 'there are none'}"


def _agrees(name: str, told: Json, value: Json) -> bool:
    if is_condition(value):
        return meets(told, value)
    if name.endswith("_ns") and isinstance(told, int | float):
        return bool(abs(told - value) <= max(TOLERANCE * value, TOLERANCE_NS))
    return bool(told == value)


def main(names: list[str]) -> int:
    """Print what is wrong with these recordings, or all; 1 when anything is."""
    wrong = 0
    for name in names or NAMES:
        for line in broken(EXPECTED[name], findings_of(name)):
            wrong += 1
            print(f"{name:28} {line}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
