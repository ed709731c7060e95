"""`connspect explain`: what findings mean, from the rules' own texts."""

from __future__ import annotations

import json

from inspector.cli.options import Shared
from inspector.cli.output import open_output
from inspector.errors import UsageError
from inspector.report.explain import as_data, explained, kind_named, kinds, listed

#: Version of the result's form.
_SCHEMA = 1


def explain_findings(code: str | None, shared: Shared) -> int:
    """Tell all kinds, or one; the exit status. Raises UsageError when there is none of that code."""
    shared.check()
    if shared.format not in ("table", "json"):
        raise UsageError(f"--format {shared.format}: explain writes table and json")
    kind = None if code is None else kind_named(code)
    with open_output(shared.output) as output:
        screen = output.screen()
        if shared.format == "json":
            data = {"schema": _SCHEMA, "findings": as_data(kinds() if kind is None else [kind])}
            output.write((json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
        else:
            output.lines(listed(screen) if kind is None else explained(kind, screen))
    return 0
