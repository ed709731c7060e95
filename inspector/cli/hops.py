"""`connspect hops`: one capture with both legs of a proxy, or one of each, and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from inspector.cli.options import Shared
from inspector.cli.output import open_output
from inspector.errors import UsageError

#: Version of the result's form.
_SCHEMA = 1


def compare_hops(paths: Sequence[str], shared: Shared) -> int:
    """Report on both sides of a proxy; the exit status. Raises UsageError for more than two captures."""
    from inspector.cli.read import engine_options, inspect_captures
    from inspector.hops.conclusions import conclude
    from inspector.hops.legs import compare
    from inspector.report.hops import hops_report

    shared.check()
    if shared.format not in ("table", "json"):
        raise UsageError(f"--format {shared.format}: hops writes table and json")
    if len(paths) > 2:
        raise UsageError("hops: one capture with both legs, or two: one of each leg")
    with open_output(shared.output) as output:
        read = [inspect_captures([path], engine_options(shared)(), shared, output) for path in paths]
        hops = compare(read[0][0], read[1][0] if len(read) == 2 else None)
        hops.findings = conclude(hops)
        if shared.format == "json":
            output.write(msgspec.json.encode({"schema": _SCHEMA, **msgspec.structs.asdict(hops)}) + b"\n")
        else:
            output.lines(hops_report(hops, output.screen()))
    return max(status for _, status in read)
