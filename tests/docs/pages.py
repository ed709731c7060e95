"""The pages: README.md and docs/, and what stands in their fences.

A block of `console` or `pycon` is run, and the page shows what came of it. What is to be known about a block stands in
a comment on the line before it:

    <!-- not run: it installs -->      why it is not; `sh` is never run, and always says why
    <!-- needs: jq tshark -->          run where these programs are
    <!-- root: its times differ -->    run by `make test-live`, beside a server (server.py); figures are not compared
    <!-- file: fetch.py -->            a file of this name is there for the examples behind it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"

#: What is typed by a reader, so that somebody has to try it.
TYPED = ("console", "pycon", "sh", "python", "sql")

_BLOCK = re.compile(
    r"(?:^<!-- (?P<word>not run|needs|root|file): (?P<what>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(slots=True, frozen=True)
class Block:
    """A fenced block."""

    language: str
    body: str
    reason: str | None
    """Why it is not run."""
    needs: tuple[str, ...]
    """Programs without which it is not run here."""
    root: bool
    """Whether it needs root's rights, and a server."""
    file: str | None
    """The file that it is."""
    start: int
    """Where its body begins in the page."""


def pages() -> list[Path]:
    """All pages that somebody reads."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _BLOCK.finditer(text):
        word, what = match["word"], match["what"]
        yield Block(
            language=match["language"],
            body=match["body"],
            reason=what if word == "not run" else None,
            needs=tuple(what.split()) if word == "needs" else (),
            root=word == "root",
            file=what if word == "file" else None,
            start=match.start("body"),
        )
