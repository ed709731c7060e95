"""`python -m tests.fuzz --minutes 10 [--target tls|http2|websocket] [--seed S] [--corpus DIR...]`: run, report, exit 1
when something failed.

`python -m tests.fuzz --replay FILE` examines one kept input again, in this process; with `--shrink` it makes the file
as small as it can while the failure stays the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.inputs import TARGETS, Input
from tests.fuzz.runner import KEPT, Outcome, Settings, fuzz
from tests.fuzz.shrink import shrink
from tests.fuzz.target import examine
from tests.fuzz.worker import failure_of


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--target", choices=TARGETS, default="all", help="one protocol's decoder, from recordings")
    parser.add_argument("--inputs", type=int, default=1 << 62, metavar="N", help="stop after N inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="I", help="begin with input I of the seed")
    parser.add_argument("--corpus", type=Path, nargs="*", default=[], metavar="DIR", help="more captures to start from")
    parser.add_argument("--failures", type=Path, default=KEPT, metavar="DIR")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    parser.add_argument("--shrink", action="store_true", help="with --replay: make FILE smaller")
    options = parser.parse_args(arguments)
    if options.replay:
        return _replay(options.replay, shrinking=options.shrink)
    last = options.first + options.inputs
    settings = Settings(
        options.seed,
        options.minutes * 60,
        options.first,
        last,
        options.corpus,
        target=options.target,
        failures=options.failures,
    )
    outcome = fuzz(settings)
    _report(outcome, settings)
    return 1 if outcome.failed else 0


def _report(outcome: Outcome, settings: Settings) -> None:
    print(f"{outcome.inputs} inputs of seed {settings.seed}, {outcome.failed.total()} failed")
    for seconds, index in outcome.slow[:5]:
        again = f"--target {settings.target} --seed {settings.seed} --first {index} --inputs 1"
        print(f"slow: input {index} took {seconds:.1f} s ({again})")
    for where, count in outcome.failed.most_common():
        print(f"{count} times: {where}")
    for saved in outcome.saved:
        print(f"python -m tests.fuzz --replay {saved}")


def _replay(path: Path, *, shrinking: bool) -> int:
    tried = Input(path.suffix.removeprefix("."), path.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        if shrinking:
            tried = shrink(tried, Path(folder) / "input", examine)
            path.write_bytes(tried.content)
        failure = failure_of(tried, Path(folder) / "input", examine)
    print("no failure" if failure is None else failure["what"])
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
