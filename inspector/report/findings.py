"""The findings at the end of the table: each in a few lines, the most useful first.

A sign, the conclusion and its code; how it was measured; the likely cause; what to do; and where to look. What another
finding of the same endpoint has just said of cause and cure is not said again. What comes from the wire passes
`text.printable`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from inspector.records.finding import Finding, Severity, Suspect
from inspector.report.layout import Screen, hanging
from inspector.report.text import printable

#: What stands before a finding.
SIGNS: dict[Severity, str] = {"info": "i", "notice": "·", "warning": "!", "problem": "!!"}
#: What the signs mean, the worst first.
_MEANINGS: dict[Severity, str] = {
    "problem": "requests are lost",
    "warning": "costs now",
    "notice": "may cost or surprise",
    "info": "good to know",
}
#: Packets that are named in a line.
_SHOWN_PACKETS = 6


def findings(found: Sequence[Finding], screen: Screen) -> Iterator[str]:
    """All findings, an empty line between them; what the signs mean, where there are several kinds."""
    said: set[tuple[str, str]] = set()
    for i, finding in enumerate(found):
        if i:
            yield ""
        yield from _finding(finding, said, screen)
    meanings = severities({finding.severity for finding in found})
    if len(meanings) > 1:
        yield ""
        words = [f"{SIGNS[severity]} {meaning}" for severity, meaning in meanings]
        yield from (screen.dim(line) for line in hanging(" ", words, "   ", screen))


def severities(told: Collection[Severity]) -> list[tuple[Severity, str]]:
    """Those severities, the worst first, with what they mean."""
    return [(severity, meaning) for severity, meaning in _MEANINGS.items() if severity in told]


def _finding(finding: Finding, said: set[tuple[str, str]], screen: Screen) -> Iterator[str]:
    """One finding; `said` are causes and cures with their endpoints, as told so far."""
    sign = SIGNS[finding.severity]
    heading = [*printable(finding.title).split(" "), f"[{', '.join([finding.code, *finding.qualifiers])}]"]
    emphasis = screen.warn if finding.severity in ("warning", "problem") else screen.bold
    yield from (emphasis(line) for line in hanging(f" {sign:2} ", heading, " ", screen))
    yield from _part("measured", finding.how, screen)
    likely = "; ".join(map(suspect_text, finding.suspects))
    for label, text in (("likely", likely), ("do", finding.advice)):
        if text and (finding.endpoint, text) not in said:
            said.add((finding.endpoint, text))
            yield from _part(label, text, screen)
    if finding.evidence:
        yield from _part("look", f"{packets_text(finding)}    {finding.filter}", screen)


def packets_text(finding: Finding) -> str:
    """The first packets that show it."""
    packets = [f"{one.packet:,}" for one in finding.evidence[:_SHOWN_PACKETS]]
    more = "" if len(finding.evidence) <= _SHOWN_PACKETS else ", …"
    return f"{'packet' if len(finding.evidence) == 1 else 'packets'} {', '.join(packets)}{more}"


def suspect_text(suspect: Suspect) -> str:
    """A likely cause in a line."""
    named = " ".join(part for part in (suspect.product, suspect.setting, suspect.value) if part)
    return f"{named} ({suspect.why})"


def _part(label: str, text: str, screen: Screen) -> Iterator[str]:
    yield from hanging(f"    {label:9} ", printable(text).split(" "), " ", screen)
