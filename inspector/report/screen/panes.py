"""The parts of the screen that are a few lines of text: head, findings, events, and what the keys do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from inspector.records.finding import Finding
from inspector.report import units
from inspector.report.findings import SIGNS
from inspector.report.layout import Screen, hanging
from inspector.report.screen.columns import aligned, clock
from inspector.report.screen.happenings import Happening
from inspector.report.screen.watched import Facts
from inspector.report.text import printable

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
#: Only underlines what the words say: an odd event, a serious finding, a message about something wrong.
ODD = Style(color="yellow")
LOUD = Style(reverse=True)

#: Lines that explain themselves; the first column is as wide as the longest key.
HELP = (
    ("↑ ↓  PgUp PgDn  Home End", "move; also j, k, g, G and the mouse wheel"),
    ("Enter", "go in: an endpoint's connections, then one connection's story"),
    ("Esc", "back; drops a filter first"),
    ("s", "sort by the next column; a click on a title sorts by that one"),
    ("r", "sort the other way round"),
    ("/", "show only rows that contain what you type (all words of it)"),
    ("e", "event stream: connections as they open and close; shown or hidden"),
    ("f  F", "findings: shown, where there are any, or hidden; F tells them in full"),
    ("space", "hold the display; capturing goes on"),
    ("w", "write the report so far, as JSON, to a file in this directory"),
    ("?", "this page"),
    ("q  Ctrl-C", "end the capture; the report stays on the terminal"),
)


_EXPLAINED = (
    "Columns: open, now; opened, since the capture began; /s, opened a second, over the last 10 s; req/conn, requests "
    "per connection, median and range; idle at close, how long nothing had been said.",
    "Connections that are over are kept up to a bound, the oldest go first; the figures of an endpoint count all.",
)


class Pane(Widget):
    """Lines of text, each in one style; the last ones where there are more than room."""

    DEFAULT_CSS = "Pane { height: 1; background: ansi_default; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Sequence[tuple[str, Style]] = []

    def show(self, lines: Sequence[tuple[str, Style]]) -> None:
        """These lines, instead of those before."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._lines):
            return Strip.blank(self.size.width)
        text, style = self._lines[y]
        return Strip([Segment(aligned(text, self.size.width, False), style)], self.size.width)


def head(facts: Facts, paused: bool, width: int) -> str:
    """What is captured, since when, how much; the filter gives way where there is no room."""
    minutes, seconds = divmod(int(facts.seconds), 60)
    dropped = "dropped: unknown" if facts.dropped is None else f"{facts.dropped:,} dropped"
    told = [
        f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
        units.plural(facts.packets, "packet"),
        dropped,
        "DISPLAY HELD, capturing goes on" if paused else "? help  q quit",
    ]
    right = "  ".join(told) + " "
    left = f" connspect  {printable(facts.interface)}"
    whole = f"{left}  {printable(facts.filter)}"
    if len(whole) + 2 + len(right) > width:
        room = width - len(right) - len(left) - 4
        whole = f"{left}  {aligned(printable(facts.filter), room, False).rstrip()}" if room > 3 else left
    return whole + " " * max(2, width - len(whole) - len(right)) + right


def rule(width: int, what: str) -> tuple[str, Style]:
    """A line across, with what is below it."""
    return f" {what} ".ljust(width, "─"), DIM


def finding_lines(findings: Iterable[Finding], width: int, most: int) -> list[tuple[str, Style]]:
    """The findings, a line each, as many as there is room for."""
    told = list(findings)
    lines = [
        (f" {SIGNS[one.severity]:2} {_named(one)}", ODD if one.severity in ("warning", "problem") else PLAIN)
        for one in told
    ]
    if len(lines) > most:
        lines[most - 1 :] = [(f"   … and {len(told) - most + 1:,} more: F tells them all", DIM)]
    return [rule(width, units.plural(len(told), "finding")), *lines] if lines else []


def _named(finding: Finding) -> str:
    title = printable(finding.title)
    return title if finding.endpoint in title else f"{finding.endpoint}  {title}"


def event_lines(happenings: Sequence[Happening], width: int, most: int) -> list[tuple[str, Style]]:
    """The last of what happened."""
    shown = happenings[-most:] if most > 0 else []
    host = min(max((len(one.server) for one in shown), default=0), max(12, width // 3))
    return [
        rule(width, "events"),
        *(
            (f" {clock(one.time_ns, True)}  {aligned(one.server, host, False)}  {one.what}", ODD if one.odd else PLAIN)
            for one in shown
        ),
    ]


def help_lines(width: int) -> list[str]:
    """The page behind `?`."""
    widest, screen = max(len(keys) for keys, _ in HELP), Screen(width)
    lines = [""]
    for keys, what in HELP:
        lines += hanging(f"  {keys:{widest}}  ", what.split(" "), " ", screen)
    for text in _EXPLAINED:
        lines += ["", *hanging("  ", text.split(" "), " ", screen)]
    return lines


#: What the keys do, the most needed first: as many as fit are shown.
_KEYS = {
    "endpoints": ("Enter open", "s sort", "r reverse", "/ filter", "space hold", "e events", "f F findings", "w write"),
    "connections": ("Enter story", "Esc back", "s sort", "r reverse", "/ filter", "space hold", "e events", "w write"),
    "text": ("Esc back", "↑↓ scroll", "space hold", "e events", "w write"),
}


def key_line(view: str, width: int) -> str:
    """The line at the bottom."""
    line = ""
    for hint in _KEYS[view]:
        longer = f"{line}   {hint}" if line else f" {hint}"
        if len(longer) > width:
            break
        line = longer
    return line
