"""Compares a report with a truth: every fact of truth.json against the part of the report that it speaks of.

Pure functions of two JSON documents. A truth says a part of the report; captures/README.md explains its form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: JSON as `json.loads` gives it.
Json = Any


def _about(found: Json, condition: Json) -> bool:
    return _is_number(found) and abs(found - condition["about"]) <= condition["within"]


def _least(found: Json, condition: Json) -> bool:
    return _is_number(found) and bool(found >= condition["least"])


def _most(found: Json, condition: Json) -> bool:
    return _is_number(found) and bool(found <= condition["most"])


def _exactly(found: Json, condition: Json) -> bool:
    return bool(found == condition["exactly"])


_CONDITIONS: dict[frozenset[str], Callable[[Json, Json], bool]] = {
    frozenset({"about", "within"}): _about,
    frozenset({"least"}): _least,
    frozenset({"most"}): _most,
    frozenset({"exactly"}): _exactly,
}


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_condition(said: Json) -> bool:
    """Whether a part of a truth is a condition rather than a value."""
    return isinstance(said, dict) and frozenset(said) in _CONDITIONS


def meets(found: Json, condition: Json) -> bool:
    """Whether a value meets a condition."""
    return _CONDITIONS[frozenset(condition)](found, condition)


def differences(report: Json, truth: Json) -> list[str]:
    """Where the report does not say what the truth says, a line each; empty when they agree."""
    lines = []
    for fact in truth["facts"]:
        subject, parts = _find(report, fact["of"])
        if len(parts) != 1:
            lines.append(f"{subject}: {len(parts)} in the report, said by {fact['from']}")
            continue
        lines += [f"{subject} {line}, said by {fact['from']}" for line in _compare(parts[0], fact["says"], "")]
    return lines


def _find(report: Json, of: Json) -> tuple[str, list[Json]]:
    """The part of a report that a fact is about: its name, and what was found (one, if all is well)."""
    ((kind, which),) = of.items()
    if kind == "connection":
        matches = [
            connection
            for connection in report["connections"]
            if (_address(connection["client"]), _address(connection["server"])) == (which["client"], which["server"])
        ]
        nth = which["nth"]
        return f"connection {which['client']} -> {which['server']} #{nth}", matches[nth - 1 : nth]
    if kind == "endpoint":
        return f"endpoint {which}", [one for one in report["endpoints"] if _address(one) == which]
    return which, [report[which]]


def _address(side: Json) -> str:
    host = f"[{side['ip']}]" if ":" in side["ip"] else side["ip"]
    return f"{host}:{side['port']}"


def _compare(found: Json, said: Json, path: str) -> list[str]:
    if is_condition(said):
        agrees = meets(found, said)
        return [] if agrees else [f"{path}: {found!r} is not {said}"]
    if isinstance(said, dict):
        return _compare_objects(found, said, path)
    if isinstance(said, list):
        return _compare_lists(found, said, path)
    # 1 == True in Python, not in JSON.
    agrees = found == said and isinstance(found, bool) == isinstance(said, bool)
    return [] if agrees else [f"{path}: {found!r} is not {said!r}"]


def _compare_objects(found: Json, said: Json, path: str) -> list[str]:
    if not isinstance(found, dict):
        return [f"{path}: {found!r} is no object"]
    lines = []
    for key, value in said.items():
        where = f"{path}.{key}" if path else key
        lines += _compare(found[key], value, where) if key in found else [f"{where}: not in the report"]
    return lines


def _compare_lists(found: Json, said: Json, path: str) -> list[str]:
    if not isinstance(found, list) or len(found) != len(said):
        count = len(found) if isinstance(found, list) else "no list"
        return [f"{path}: {count} instead of {len(said)} elements"]
    return [
        line
        for index, (one, other) in enumerate(zip(found, said, strict=True))
        for line in _compare(one, other, f"{path}[{index}]")
    ]
