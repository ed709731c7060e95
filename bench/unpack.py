"""`python -m bench.unpack FROM.zst TO`: decompress one file."""

from __future__ import annotations

import sys
from pathlib import Path

import zstandard


def main(packed: Path, out: Path) -> None:
    """Write what `packed` holds to `out`, by way of a temporary name so that an interrupted run leaves nothing."""
    partial = out.with_suffix(".partial")
    with packed.open("rb") as source, partial.open("wb") as target:
        zstandard.ZstdDecompressor().copy_stream(source, target)
    partial.replace(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
