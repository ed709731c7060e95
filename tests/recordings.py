"""The recordings in captures/, and connspect's report on one, as a program would get it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from inspector.cli.main import main
from tests.truth import Json

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
NAMES = sorted(path.parent.name for path in CAPTURES.glob("*/truth.json"))


def report_on(folder: Path, capture: str = "client") -> Json:
    """The report of `connspect read --format json` on a recording; `capture` is which, where there are two."""
    (path,) = folder.glob(f"{capture}.pcapng*")
    keys = [argument for log in folder.glob("keys.log") for argument in ("--keylog", str(log))]
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "report.json"
        status = main(["read", "--format", "json", "--output", str(output), *keys, str(path)])
        assert status == 0
        return json.loads(output.read_text(encoding="utf-8"))


def truth_of(folder: Path) -> Json:
    """What the programs of a recording knew."""
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))
