"""`connspect check`: captures against limits; what is broken is said, and the exit status says it to a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspector.cli import BROKEN, PARTLY_READ
from inspector.cli.options import Shared
from inspector.cli.output import Output, open_output
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.limits import LimitName, Verdict

#: Version of the result's form.
_SCHEMA = 1


def check_captures(paths: Sequence[str], asked: Mapping[LimitName, Sequence[str]], shared: Shared) -> int:
    """Hold every limit (by name, as typed); the exit status. Raises UsageError when there is none."""
    from inspector.cli.read import engine_options, inspect_captures
    from inspector.findings.rules import rule, rules
    from inspector.limits import limit
    from inspector.records.finding import SEVERITIES

    shared.check()
    if shared.format not in ("table", "json"):
        raise UsageError(f"--format {shared.format}: check writes table and json")
    limits = [limit(name, text) for name, texts in asked.items() for text in texts]
    if not limits:
        raise UsageError("check: no limit was given; --max-opened HOST:PORT=N is one, 'connspect check --help' has all")
    for one in limits:
        if one.name == "forbid" and one.allowed not in SEVERITIES and rule(str(one.allowed)) is None:
            codes = ", ".join(sorted(rule.code for rule in rules()))
            raise UsageError(f"--forbid {one.allowed}: no such code or severity; there are {codes}")
    with open_output(shared.output) as output:
        inspection, status = inspect_captures(paths, engine_options(shared)(), shared, output)
        verdicts = [verdict for one in limits for verdict in one.hold(inspection)]
        kept = all(verdict.kept for verdict in verdicts)
        if shared.format == "json":
            output.write(_json(kept, verdicts))
        else:
            _say(verdicts, shared, output)
    if not kept:
        return BROKEN
    return status if status else PARTLY_READ if inspection.capture.problems else 0


def _json(kept: bool, verdicts: Sequence[Verdict]) -> bytes:
    import msgspec

    result: dict[str, Any] = {"schema": _SCHEMA, "kept": kept, "limits": msgspec.to_builtins(verdicts)}
    return (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode()


def _say(verdicts: Sequence[Verdict], shared: Shared, output: Output) -> None:
    """A line for each broken limit, and how many were kept; all of them when asked to be verbose."""
    from inspector.report.text import printable

    screen = output.screen()
    broken = [verdict for verdict in verdicts if not verdict.kept]
    for verdict in verdicts if shared.verbose else broken:
        line = f"{'kept   ' if verdict.kept else 'BROKEN '} {verdict.limit:28} {printable(verdict.what)}"
        output.lines([line if verdict.kept else screen.warn(line)])
    count = len(verdicts)
    output.lines([f"{count - len(broken)} of {count} {'limit' if count == 1 else 'limits'} kept"])
