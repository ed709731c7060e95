"""`python -m tests.docs.rewrite`: what the code writes in README.md and docs/ is written anew, examples' outputs too.

With names of pages only the outputs of their examples. `--root`: also of those examples that need root's rights.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.docs.examples import refreshed
from tests.docs.generated import pages_with_parts, stale_pages, whole_pages, with_parts
from tests.docs.pages import ROOT, pages


def rewrite(names: Sequence[str], *, root: bool) -> None:
    """Write what has changed, and say what that was."""
    if not names:
        for path in stale_pages():
            path.unlink()
            print(f"{path.relative_to(ROOT)} is gone")
        for path, text in whole_pages().items():
            _write(path, text)
        for path in sorted(pages_with_parts()):
            _write(path, with_parts(path, path.read_text("utf-8")))
    for path in map(Path.resolve, map(Path, names)) if names else pages():
        _write(path, refreshed(path.read_text("utf-8")))
        if root:
            _write(path, refreshed(path.read_text("utf-8"), root=True))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    rewrite([name for name in sys.argv[1:] if name != "--root"], root="--root" in sys.argv)
