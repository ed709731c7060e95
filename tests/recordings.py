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
    return _told("read", folder, *folder.glob(f"{capture}.pcapng*"))


def hops_on(folder: Path) -> Json:
    """What `connspect hops --format json` says of a recording of a proxy, the client's side first."""
    return _told("hops", folder, *folder.glob("client.pcapng*"), *folder.glob("upstream.pcapng*"))


def _told(command: str, folder: Path, *captures: Path) -> Json:
    keys = [argument for log in folder.glob("keys.log") for argument in ("--keylog", str(log))]
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "report.json"
        status = main([command, "--format", "json", "--output", str(output), *keys, *map(str, captures)])
        assert status == 0
        return json.loads(output.read_text(encoding="utf-8"))


def truth_of(folder: Path) -> Json:
    """What the programs of a recording knew."""
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))
