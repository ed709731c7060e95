"""The command `captures/record`: play scenarios, and write for each a folder with capture, setup and truth."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from . import capture, scenarios, tools
from .index import write_index
from .network import Network
from .stage import SCENARIOS, Scenario, Stage

CAPTURES = Path(__file__).parents[1]


def record(scenario: Scenario, python: Path, destination: Path) -> Path:
    """Play one scenario and write its folder under `destination`; return the folder.

    The folder is only touched when everything went well.
    """
    network = Network()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            stage = Stage(network, Path(scratch), python, scenario)
            try:
                scenario.topology(network)
                scenario.play(stage)
            finally:
                stage.close()
            finished = _write(scenario, stage, Path(scratch) / "finished")
            folder = destination / scenario.name
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(finished, folder)
            return folder
    finally:
        network.close()


def _write(scenario: Scenario, stage: Stage, folder: Path) -> Path:
    assert stage.captured is not None, f"{scenario.name} captured nothing"
    folder.mkdir()
    # Python writes a comment into the file as soon as it makes a context.
    lines = stage.key_log.read_text(encoding="ascii").splitlines() if stage.key_log.exists() else []
    key_log = "".join(f"{line}\n" for line in lines if not line.startswith("#"))
    path = capture.save(stage.captured, folder, scenario.compress, key_log, scenario.keys, scenario.leave_out)
    options = dict(stage.capture_options)
    if scenario.leave_out is not None:
        which, least_bytes = scenario.leave_out
        options["left_out"] = f"packet {which} of those with {least_bytes} bytes or more, counted from 0"
    if stage.captured_behind is not None:
        behind = capture.save_behind(stage.captured_behind, folder, scenario.compress)
        options["behind"] = {
            "file": behind.name,
            "host": "server",
            "interfaces": ["eth0"],
            "filter": capture.DEFAULT_FILTER,
            "clock": f"{capture.BEHIND_AHEAD_S} s fast",
        }
    setup = {
        "network": (scenario.topology.__doc__ or "").strip(),
        "capture": options,
        "software": tools.versions(stage.packages, stage.python),
        "configuration": {name: text.splitlines() for name, text in stage.configuration.items()},
    }
    (folder / "setup.json").write_text(json.dumps(setup, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "truth.json").write_text(_truth(scenario, stage), encoding="utf-8")
    if stage.payloads:
        (folder / "payloads.json").write_text(json.dumps(stage.payloads, indent=1) + "\n", encoding="utf-8")
    data = path.read_bytes()
    packets = capture.count_packets(gzip.decompress(data) if scenario.compress else data)
    family = scenario.play.__module__.rpartition(".")[2]
    (folder / "README.md").write_text(
        f"# {scenario.name}\n\n- Run: {scenario.ran}\n- To be seen: {scenario.seen}\n"
        f"- Capture: `{path.name}`, {packets} packets\n"
        f"- Played by: `{scenario.play.__name__}` in `recorder/scenarios/{family}.py`\n",
        encoding="utf-8",
    )
    return folder


def _truth(scenario: Scenario, stage: Stage) -> str:
    """truth.json, a fact a line: so a difference between two recordings can be read."""
    parts = {"facts": stage.facts} | ({"behind": stage.facts_behind} if stage.facts_behind else {})
    text = f'{{"scenario": {json.dumps(scenario.name)}'
    for name, facts in parts.items():
        lines = ",\n".join("  " + json.dumps(fact, ensure_ascii=False) for fact in facts)
        text += f', "{name}": [\n{lines}\n]'
    return text + "}\n"


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="captures/record", description="Record scenarios with real software (root).")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios to record; all when none is named")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--venv", type=Path, help="virtual environment of the clients; made there when missing")
    parser.add_argument("--into", type=Path, default=CAPTURES, help="where the folders go (default: captures/)")
    options = parser.parse_args()
    scenarios.load()
    if options.list:
        print("\n".join(f"{name:24} {scenario.seen}" for name, scenario in SCENARIOS.items()))
        return 0
    unknown = [name for name in options.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    names = options.names or list(SCENARIOS)
    install = tools.missing(program for name in names for program in SCENARIOS[name].programs)
    if install:
        parser.error(f"programs are missing: {install}")
    signal.signal(signal.SIGTERM, _end)
    try:
        _record_all(names, options.venv, options.into)
    except KeyboardInterrupt:
        print("stopped; everything is taken down", file=sys.stderr)
        return 130
    return 0


def _record_all(names: list[str], environment: Path | None, destination: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        python = tools.environment(environment or Path(scratch) / "venv")
        for name in names:
            print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
            folder = record(SCENARIOS[name], python, destination)
            print(f"{sum(path.stat().st_size for path in folder.iterdir()):,} bytes", file=sys.stderr)
    if destination == CAPTURES:
        write_index(CAPTURES)
