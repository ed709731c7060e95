"""`python -m bench`: connspect against tshark and tcptrace, whole process against whole process, in one run.

Exit status 1 when a required figure is missed. `python -m bench stages CAPTURE` times the stages inside one process,
`python -m bench live` compares what is seen of live traffic, `python -m bench day` watches memory over a day of it,
`python -m bench page` opens the page of 20,000 connections in a browser.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from bench import captures, tools
from bench.figures import HELP_SECONDS, SMALL, SYN_BYTES, Verdict, verdicts
from bench.measure import RunError, alternate, run
from bench.tables import Group, as_json, table

FLOOD, HELP = "synflood", "help"
FLOOD_COUNT = 250_000
DEFAULT_WORKLOADS = ("short", "keep", "bulk", SMALL, FLOOD, HELP)
OTHER_WORKLOADS = ("mixed", "idle")
#: Workloads that nobody generates, and the port of HTTP/2 without TLS. A key log lies beside the recording.
RECORDED_WORKLOADS = {"h2c": 81, "tlsh2": None}
_RECORDED = Path(__file__).parents[2] / "shared" / "conformance" / "bench"


def measure(workload: str, recorded: Path | None, rounds: int) -> Group:
    """Everything about one workload."""
    if workload == HELP:
        return [], [_help(rounds)]
    if workload == FLOOD:
        return [], [_flood()]
    if workload == SMALL:
        capture = captures.generated("short", captures.SMALL_COUNT)
    elif workload in RECORDED_WORKLOADS:
        return _recorded(workload, recorded, rounds)
    else:
        capture = (recorded and captures.recorded(recorded, workload)) or captures.generated(workload)
    return _measured(workload, capture, tools.commands(capture), rounds)


def _recorded(workload: str, folder: Path | None, rounds: int) -> Group:
    capture = folder and captures.recorded(folder, workload)
    if folder is None or capture is None:
        print(f"{workload}: not measured, there is no recording of it (--recorded)", file=sys.stderr)
        return [], []
    keys = folder / f"{workload}.keys"
    commands = tools.commands(capture, RECORDED_WORKLOADS[workload], keys if keys.exists() else None)
    return _measured(workload, capture, commands, rounds)


def _measured(workload: str, capture: Path, commands: dict[str, list[str]], rounds: int) -> Group:
    measurements = alternate(workload, captures.packets_of(capture), commands, rounds)
    for one in measurements:
        if one.failure is not None:
            print(f"{workload}: {one.failure}", file=sys.stderr)
    return measurements, list(verdicts(measurements))


def _help(rounds: int) -> Verdict:
    command = [tools.connspect(), "--help"]
    try:
        seconds = median(run(command).seconds for _ in range(rounds))
    except RunError as failure:
        return _failed(HELP, failure)
    return Verdict(HELP, tools.TABLE, "seconds", seconds, HELP_SECONDS)


def _flood() -> Verdict:
    """Peak memory with N and with 2 N half-open connections: the slope is what one costs."""
    floods = [captures.generated(FLOOD, count) for count in (FLOOD_COUNT, 2 * FLOOD_COUNT)]
    try:
        once, twice = (run(tools.commands(flood)[tools.TABLE]).peak_bytes for flood in floods)
    except RunError as failure:
        return _failed(FLOOD, failure)
    return Verdict(FLOOD, tools.TABLE, "bytes a SYN", (twice - once) / FLOOD_COUNT, SYN_BYTES)


def _failed(workload: str, failure: RunError) -> Verdict:
    print(f"{workload}: {failure}", file=sys.stderr)
    return Verdict(workload, tools.TABLE, "failures", 1, 0)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    choices = (*DEFAULT_WORKLOADS, *RECORDED_WORKLOADS, *OTHER_WORKLOADS)
    parser.add_argument(
        "workload", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(choices)}; default: the first 6"
    )
    parser.add_argument(
        "--recorded", type=Path, metavar="DIR", help="recorded workloads, *.pcap.zst, instead of generated"
    )
    parser.add_argument("--generated", action="store_true", help="do not look for recorded workloads")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each tool; the median counts (5)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--format", choices=("text", "md"), default="text", help="of the table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args(arguments)
    unknown = set(options.workload) - set(choices)
    if unknown:
        parser.error(f"unknown workload: {', '.join(sorted(unknown))}")
    return options


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if arguments[:1] == ["stages"]:
        from bench.stages import main as stages  # imports what it times, which makes this process large

        return stages(arguments[1:])
    if arguments[:1] == ["live"]:
        from bench.live import main as live

        return live(arguments[1:])
    if arguments[:1] == ["day"]:
        from bench.day import main as day

        return day(arguments[1:])
    if arguments[:1] == ["page"]:
        from bench.page import main as page

        return page(arguments[1:])
    options = _options(arguments)
    for tool in tools.missing():
        print(f"{tool} is not installed: nothing is compared with it", file=sys.stderr)
    folder = None if options.generated else options.recorded or _RECORDED
    rounds = 1 if options.quick else options.rounds
    groups = [measure(workload, folder, rounds) for workload in options.workload or DEFAULT_WORKLOADS]
    print(table(groups, markdown=options.format == "md"))
    if options.json:
        options.json.write_text(json.dumps(as_json(groups), indent=1) + "\n", encoding="utf-8")
    return 1 if any(verdict.held is False for _, found in groups for verdict in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
