"""The default report: what a person wants to know first about every endpoint, on one screen.

Everything is a line of text, so that a pipe gets the same words as a terminal: there one endpoint is one line and
every line names its endpoint, however long that makes it; on a terminal lines are fitted to the screen. Columns that
would say nothing are left out. What comes from the wire passes `text.printable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspector.inspection import Inspection
from inspector.records.capture import History
from inspector.records.finding import Finding
from inspector.report import units
from inspector.report.endpoint_table import endpoint_table
from inspector.report.findings import findings
from inspector.report.heading import heading
from inspector.report.layout import Screen, hanging
from inspector.report.listing import connection_list, event_list
from inspector.report.text import printable

#: What is listed on a terminal unless everything is asked for; more would scroll the beginning away.
LISTED_ENDPOINTS = 20
LISTED_CONNECTIONS = 200
#: The finding that is a sentence of its own at the end, not one among the others.
REUSE = "reuse"


@dataclass(slots=True, frozen=True)
class View:
    """What of the report is to be seen, and where."""

    screen: Screen
    connections: bool = False
    """List the connections."""
    events: bool = False
    """List the events."""
    everything: bool = False
    """Leave nothing out for want of room."""


def table(inspection: Inspection, view: View) -> Iterator[str]:
    """The report, line by line, without line ends."""
    screen = view.screen
    unlimited = view.everything or screen.width is None
    history = inspection.capture.history
    gone = 0 if history is None else history.endpoint_connections
    yield from heading(inspection.capture, gone + sum(e.connections for e in inspection.endpoints), screen)
    if inspection.endpoints:
        yield ""
        most = None if unlimited else LISTED_ENDPOINTS
        yield from endpoint_table(inspection.endpoints, screen, most, all_names=view.everything)
    if view.connections and inspection.connections:
        yield ""
        yield from connection_list(inspection.connections, screen, None if unlimited else LISTED_CONNECTIONS)
    if view.connections and inspection.unlisted:
        yield f" {units.plural(inspection.unlisted, 'unanswered connection')} more: counted above, not listed"
    if history is not None:
        yield from let_go(history)
    if view.events and inspection.events:
        yield ""
        yield from event_list(inspection.events, inspection.capture.first_ns or 0, screen)
    told = [finding for finding in inspection.findings if finding.code != REUSE]
    if told:
        yield ""
        yield from findings(told, screen)
    if reuse := [finding for finding in inspection.findings if finding.code == REUSE]:
        yield ""
        yield from hanging(" ", printable(reuse_text(reuse)).split(" "), " ", screen)
    if inspection.anomalies:
        yield ""
        most_first = sorted(inspection.anomalies.items(), key=lambda item: (-item[1], item[0]))
        yield from hanging(" anomalies   ", [units.times(code, n) for code, n in most_first], ", ", screen)
    if screen.width is not None and inspection.endpoints and not view.connections:
        yield ""
        hints = ["--connections lists them", "'connspect show FILE ID' tells one", "--format json has everything"]
        yield from (screen.dim(line) for line in hanging(" ", hints, ", ", screen))


def reuse_text(findings: Sequence[Finding]) -> str:
    """What was lost by not reusing connections, in a sentence: it is told of every endpoint."""
    if len(findings) == 1:
        title = findings[0].title
        return f"{title[0].upper()}{title[1:]}."
    opened, needed, avoidable, handshake_ns, ended = (
        sum(finding.measured[figure] for finding in findings)
        for figure in ("opened", "connections_needed", "avoidable_opens", "handshake_ns_saved", "server_ended")
    )
    figures = f"{units.plural(opened, 'connection')} opened to {len(findings):,} endpoints, good pools need {needed:,}"
    if not avoidable and ended:
        return f"{figures}: {ended:,} were ended from their side."
    if not avoidable:
        return f"No reuse lost: {figures}."
    most = max(findings, key=lambda finding: int(finding.measured["avoidable_opens"]))
    where = f"{most.measured['avoidable_opens']:,} of them at {most.endpoint}"
    return f"{figures}: {avoidable:,} avoidable, {where}; {units.duration(handshake_ns)} of handshakes."


def let_go(history: History) -> Iterator[str]:
    """What is not listed any more."""
    if history.connections:
        older = units.plural(history.connections, "older connection is", "older connections are")
        yield f" {older} in the totals only: --history N keeps more than {history.kept:,}"
    if history.endpoints:
        endpoints = units.plural(history.endpoints, "quiet endpoint is", "quiet endpoints are")
        theirs = units.plural(history.endpoint_connections, "connection")
        yield f" {endpoints} no longer listed, with {theirs} in all"
    if history.events:
        yield f" {units.plural(history.events, 'older event is', 'older events are')} no longer listed"
