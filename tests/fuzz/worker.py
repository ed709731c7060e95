"""The child process: makes one input after the other, examines it, and says on standard output how it went.

One JSON object a line: {"start": i} before an input, then {"done": i, "seconds": s} or {"failed": i, "kept": path,
"what": ..., "where": ...}. Who reads it notices a hang by the silence, and a crash by the end of the file.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import importlib
import json
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.inputs import Corpus, Input

#: Peak resident memory of a worker, whatever it is fed. The interpreter, NumPy and Scapy take about 200 MB.
MEMORY_LIMIT = 500_000_000
#: What all inputs may add to that of a process that had more before the first one, such as that of all tests.
ADDED_MEMORY_LIMIT = 300_000_000
#: Address space: an absurd allocation fails at once.
ADDRESS_SPACE = 8_000_000_000

_STATUS = Path("/proc/self/status")

Examine = Callable[[Input, Path], None]


@functools.cache
def _peak_at_first() -> int:
    """Peak memory when this was first asked for."""
    return peak_bytes()


def failure_of(tried: Input, path: Path, examine: Examine) -> dict[str, str] | None:
    """Examine one input; None when all is well, else `what` failed, and `where`: alike for failures of one cause."""
    path.write_bytes(tried.content)
    at_first, before = _peak_at_first(), peak_bytes()
    try:
        examine(tried, path)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return {"what": "".join(traceback.format_exception(error)), "where": _cause(error)}
    peak = peak_bytes()
    if peak > max(MEMORY_LIMIT, at_first + ADDED_MEMORY_LIMIT) and peak > before:
        return {"what": f"peak memory {peak / 1e6:.0f} MB, before it {before / 1e6:.0f} MB", "where": "memory"}
    return None


def _cause(error: BaseException) -> str:
    """The place and the first line of what it says, without the numbers, which differ from input to input."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = re.sub(r"\d+", "#", (str(error).splitlines() or [""])[0])
    return f"{Path(last.filename).name}:{last.lineno} {type(error).__name__} {said}"[:200]


def peak_bytes() -> int:
    """Resident set of this process at its largest so far.

    Not ru_maxrss where there is VmHWM: that begins with what the process had in memory that started this one, and so
    hides what inputs take when that was large.
    """
    try:
        status = _STATUS.read_text()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return int(re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]


def load(name: str) -> Examine:
    """The function `module:function`."""
    module, _, function = name.partition(":")
    examine: Examine = getattr(importlib.import_module(module), function)
    return examine


def main() -> None:
    """The command line, as runner.py writes it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--last", type=int, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--examine", required=True)
    parser.add_argument("--target", default="all")
    parser.add_argument("--corpus", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    corpus, examine = Corpus(options.corpus, options.target), load(options.examine)
    for index in range(options.first, options.last):
        tried = corpus.make(options.seed, index)
        print(json.dumps({"start": index, "kind": tried.kind}), flush=True)
        started = time.process_time()
        failure = failure_of(tried, options.input, examine)
        if failure is None:
            print(json.dumps({"done": index, "seconds": time.process_time() - started}), flush=True)
        else:
            kept = options.input.rename(options.input.with_name(f"failed-{index}"))
            print(json.dumps({"failed": index, "kept": str(kept), **failure}), flush=True)
            if failure["where"] == "memory":
                break  # the peak never falls: the next input needs a new process


if __name__ == "__main__":
    main()
