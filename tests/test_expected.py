"""captures/expected.toml speaks of every recording, in the form that its head describes."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.recordings import CAPTURES, NAMES
from tests.truth import is_condition

EXPECTED: dict[str, Any] = tomllib.loads((CAPTURES / "expected.toml").read_text(encoding="utf-8"))
SEVERITIES = {"info", "notice", "warning", "problem"}


def test_every_recording_has_its_section() -> None:
    assert set(EXPECTED) == set(NAMES)


@pytest.mark.parametrize("name", EXPECTED)
def test_section_says_what_its_head_says(name: str) -> None:
    section = EXPECTED[name]
    assert {"why", "must", "never"} <= set(section) <= {"why", "must", "may", "never", "hops"}
    assert section["why"]
    codes = [finding["code"] for finding in section["must"]]
    may = section.get("may", [])
    for code in (*codes, *may, *section["never"]):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert set(section["never"]).isdisjoint((*codes, *may))


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name]["must"]])
def test_finding_can_be_held_against_one(name: str) -> None:
    for finding in EXPECTED[name]["must"]:
        assert set(finding) <= {"code", "endpoint", "severity", "measured", "suspects"}
        assert finding.get("severity", "info") in SEVERITIES
        for value in finding.get("measured", {}).values():
            assert is_condition(value) or isinstance(value, str | int | float)
