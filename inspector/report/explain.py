"""What findings mean: all kinds in a line each, by what they are about, or one of them in full.

The texts are the rules' own (findings.rule.FindingKind): a report, `explain` and the documentation say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from inspector.errors import UsageError
from inspector.findings.families import FAMILIES, OTHERS, family
from inspector.findings.rule import FindingKind
from inspector.findings.rules import rules
from inspector.hops.conclusions import HEADER_CHANGED
from inspector.records.finding import Qualifier
from inspector.records.schema import fields
from inspector.report import units
from inspector.report.layout import Screen, hanging

#: What may stand behind a code, and what it means.
QUALIFIERS: dict[Qualifier, str] = {
    "few-samples": "it was seen once",
    "spread": "some values did not agree with the others and were set aside",
    "encrypted": "the content was not there: it is concluded from lengths and times",
    "drops": "the capturing system lost packets",
    "snaplen": "packets were cut short, so that headers may be missing",
}

_CODE_WIDTH = 28
#: A sentence that would have less room behind its figure stands below it.
_LEAST_ROOM = 30


def kinds() -> list[FindingKind]:
    """All kinds, family by family."""
    order = [code for codes in FAMILIES.values() for code in codes]
    known = [*rules(), HEADER_CHANGED]
    return sorted(known, key=lambda kind: order.index(kind.code) if kind.code in order else len(order))


def kind_named(code: str) -> FindingKind:
    """The kind with this code. Raises UsageError with those that are meant, perhaps, when there is none."""
    known = {kind.code: kind for kind in kinds()}
    if code in known:
        return known[code]
    typed = code.strip().lower().replace("_", "-").replace(" ", "-")
    near = get_close_matches(typed, known, n=1) or [name for name in known if typed and typed in name]
    if typed in QUALIFIERS:
        raise UsageError(f"explain: {typed} is no finding: it stands behind one, and says that {QUALIFIERS[typed]}")
    hint = f"did you mean {near[0]}?" if near else "'connspect explain' lists all"
    raise UsageError(f"explain: there is no finding {code}; {hint}")


def by_family() -> Iterator[tuple[str, list[FindingKind]]]:
    """What kinds are about, with those that are about it."""
    known = kinds()
    for title in (*FAMILIES, OTHERS):
        those = [kind for kind in known if family(kind.code) == title]
        if those:
            yield title, those


def listed(screen: Screen) -> Iterator[str]:
    """All kinds, a line each."""
    for i, (title, those) in enumerate(by_family()):
        if i:
            yield ""
        yield screen.bold(f" {title}")
        for kind in those:
            yield from hanging(f"   {kind.code:{_CODE_WIDTH}} ", kind.when.split(" "), " ", screen)
    yield ""
    yield screen.bold(" Behind a code: what makes it less sure")
    for qualifier, meaning in QUALIFIERS.items():
        yield from hanging(f"   {qualifier:{_CODE_WIDTH}} ", meaning.split(" "), " ", screen)
    yield ""
    yield " connspect explain CODE tells one in full."


def explained(kind: FindingKind, screen: Screen) -> Iterator[str]:
    """One kind in full."""
    yield screen.bold(f" {kind.code}")
    yield ""
    yield from hanging("   ", kind.meaning.split(" "), " ", screen)
    yield ""
    yield from _part("told", kind.when, screen)
    yield from _part("severity", kind.severity, screen)
    yield from _part("example", kind.example, screen)
    yield from _part("do", kind.advice, screen)
    yield from _figures("measured", figures(kind), screen)
    yield from _figures("thresholds", thresholds(kind), screen)


def figures(kind: FindingKind) -> list[tuple[str, str, str]]:
    """What is measured: name, unit ("" where it is a number of something, or no number) and sentence of each figure."""
    return [(name, field.get("unit", ""), field["description"]) for name, field in fields(kind.measured).items()]


def thresholds(kind: FindingKind) -> list[tuple[str, str, str]]:
    """What decides: name, value with its unit, and sentence of each number."""
    values = msgspec.structs.asdict(kind.thresholds)
    return [
        (name, _value(values[name], field.get("unit")), field["description"])
        for name, field in fields(type(kind.thresholds)).items()
    ]


def as_data(some: Sequence[FindingKind]) -> list[dict[str, Any]]:
    """Kinds for a program; `measured` and `thresholds` are properties as in the report's schema."""
    return [
        {
            "code": kind.code,
            "family": family(kind.code),
            "when": kind.when,
            "severity": kind.severity,
            "meaning": kind.meaning,
            "example": kind.example,
            "advice": kind.advice,
            "measured": fields(kind.measured),
            "thresholds": {
                name: {**field, "value": getattr(kind.thresholds, name)}
                for name, field in fields(type(kind.thresholds)).items()
            },
        }
        for kind in some
    ]


def _value(value: Any, unit: str | None) -> str:
    if unit == "ns":
        return units.duration(value)
    if unit == "bytes":
        return units.size(value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _part(label: str, text: str, screen: Screen) -> Iterator[str]:
    yield from hanging(f"   {label:11}", text.split(" "), " ", screen)


def _figures(label: str, rows: Sequence[tuple[str, str, str]], screen: Screen) -> Iterator[str]:
    """Rows of figures under a label, the sentences below one another."""
    if not rows:
        return
    yield ""
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for i, (name, value, sentence) in enumerate(rows):
        start = f"   {label if i == 0 else '':11}{name:{wide[0]}}  {value:>{wide[1]}}{'  ' if wide[1] else ''}"
        if screen.width is not None and screen.width - len(start) < _LEAST_ROOM:
            yield start.rstrip()
            start = " " * 17
        yield from hanging(start, sentence.split(" "), " ", screen)
