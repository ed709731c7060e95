"""The index in captures/README.md: one line a scenario, between two marks; the rest of the page is written by hand."""

from __future__ import annotations

from pathlib import Path

from .stage import SCENARIOS

_BEGIN, _END = "<!-- index -->\n", "<!-- end of index -->\n"


def write_index(captures: Path) -> None:
    """Replace the index by one of the scenarios that have a folder."""
    page = captures / "README.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = ["| scenario | to be seen |\n", "| --- | --- |\n"]
    lines += [
        f"| [{name}]({name}/README.md) | {scenario.seen} |\n"
        for name, scenario in SCENARIOS.items()
        if (captures / name).is_dir()
    ]
    page.write_text(before + _BEGIN + "".join(lines) + _END + after, encoding="utf-8")
