"""Finds the captures to measure on: recorded ones are unpacked, the others generated, once, into bench/built/.

Generating happens in a process of its own, so that the measuring one stays small (see measure.py).
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

WORK = Path(__file__).parent / "built"

#: About a hundred packets: eight connections of one request.
SMALL_COUNT = 8


def recorded(folder: Path, name: str) -> Path | None:
    """The recorded workload of that name, unpacked; None where `folder` has none."""
    packed = folder / f"{name}.pcap.zst"
    if not packed.exists():
        return None
    out = _work() / f"recorded-{name}.pcap"
    if not out.exists() or out.stat().st_mtime < packed.stat().st_mtime:
        _in_a_process("bench.unpack", str(packed), str(out))
    return out


def generated(name: str, count: int | None = None) -> Path:
    """A generated workload, at its usual size or with `count` of whatever it counts."""
    out = _work() / (f"{name}.pcap" if count is None else f"{name}-{count}.pcap")
    sources = Path(__file__).parent.glob("*.py")
    if not out.exists() or out.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        _in_a_process("bench.generate", name, str(out), *(() if count is None else ("--count", str(count))))
    return out


def packets_of(capture: Path) -> int:
    """Number of packets in a classic little-endian pcap file."""
    count, size = 0, capture.stat().st_size
    with capture.open("rb") as content:
        position = content.seek(24)
        while position < size:
            _, _, captured, _ = struct.unpack("<IIII", content.read(16))
            position = content.seek(captured, 1)
            count += 1
    return count


def _work() -> Path:
    WORK.mkdir(exist_ok=True)
    return WORK


def _in_a_process(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=WORK.parents[1], check=True, stdout=sys.stderr)
