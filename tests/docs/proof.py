"""docs/proof.md: every recording with the findings that it must lead to, and what connspect told.

`python -m tests.docs.proof` writes it. What must be told is in captures/expected.toml, by what was configured; what was
told are the findings of `read`, and of `hops` where both sides of a proxy were captured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from inspector.findings.words import seconds
from tests.expectations import EXPECTED, UNWANTED, Held, broken, findings_of, held
from tests.truth import Json

PAGE = Path(__file__).resolve().parents[2] / "docs" / "proof.md"


def page(findings: Callable[[str], list[Json]] = findings_of) -> str:
    """The page, from the findings of each recording by its name."""
    rows: list[str] = []
    right = wrong = quiet = 0
    for name, section in EXPECTED.items():
        told = findings(name)
        for row in held(section, told):
            right, wrong = (right, wrong + 1) if row.wrong else (right + 1, wrong)
            rows.append(_row(name, section["why"], row))
        if not section["must"]:
            quiet += 1
            rows.append(f"| `{name}` | {_text(section['why'])} | nothing | {_beyond(section, told)} | |")
        beyond = [line for line in broken(section, told) if UNWANTED.search(line)]
        rows += [f"| `{name}` | | no more than that | **wrong**: {_text(line)} | |" for line in beyond]
    return "\n".join([*_heading(len(EXPECTED), right, wrong, quiet), *rows, ""])


def _heading(recordings: int, right: int, wrong: int, quiet: int) -> Iterator[str]:
    yield "# Proof"
    yield ""
    yield (
        f"{recordings} recordings of real servers, proxies and clients, each with the findings that it has to lead to. "
        "What has to be found was written down from what was configured (`captures/expected.toml`), what was found is "
        "what `connspect read` and `connspect hops` say of the packets. A time is right within 5 % or 100 ms (the "
        "larger), unless a range is given; a count has to be the same; a product has to be among the first three "
        "suspects."
    )
    yield ""
    yield (
        f"**{right:,} of {right + wrong:,} expected findings are told as expected.** In {quiet} recordings, most of "
        "them of healthy traffic, nothing has to be found; nowhere is anything told above `info` that is neither "
        "expected nor allowed there."
    )
    yield ""
    yield "`python -m tests.docs.proof` makes this page; the tests hold every line of it."
    yield ""
    yield "| recording | what was configured or done | has to be found | was found | first suspects |"
    yield "| --- | --- | --- | --- | --- |"


def _row(name: str, why: str, row: Held) -> str:
    expected = row.expected
    wanted = ", ".join([*_severity(expected), *_figures(expected.get("measured", {}), _wanted)])
    names = expected.get("measured", {})
    told = "**nothing**"
    suspects = ""
    if row.told is not None:
        told = ", ".join([*_severity(row.told), *_figures({n: row.told["measured"].get(n) for n in names}, _told)])
        suspects = ", ".join(suspect["product"] for suspect in row.told["suspects"][:3])
    if row.wrong:
        told += f" — **wrong**: {'; '.join(row.wrong)}"
    return f"| `{name}` | {_text(why)} | `{row.code}` {wanted} | {_text(told)} | {_text(suspects)} |"


def _beyond(section: Json, told: list[Json]) -> str:
    """What was told where nothing had to be."""
    above = sorted({finding["code"] for finding in told if finding["severity"] != "info"})
    return ", ".join(f"`{code}` (allowed)" for code in above) or "nothing above `info`"


def _severity(finding: Json) -> list[str]:
    return [finding["severity"]] if "severity" in finding else []


def _figures(measured: Mapping[str, Json], shown: Callable[[str, Json], str]) -> Iterator[str]:
    for name, value in measured.items():
        yield f"{name.removesuffix('_ns').replace('_', ' ')} {shown(name, value)}"


def _wanted(name: str, value: Json) -> str:
    if not isinstance(value, dict):
        return _told(name, value)
    if "about" in value:
        return f"{_told(name, value['about'])} ± {_told(name, value['within'])}"
    if "least" in value:
        return f"≥ {_told(name, value['least'])}"
    if "most" in value:
        return f"≤ {_told(name, value['most'])}"
    return _told(name, value.get("exactly", value))


def _told(name: str, value: Json) -> str:
    if name.endswith("_ns") and isinstance(value, int | float):
        return seconds(round(value))
    return "unknown" if value is None else str(value)


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
