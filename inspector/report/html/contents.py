"""What the page says in words: facts and damage of the capture, findings, servers, and what it has no room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from inspector.findings.rule import FindingKind
from inspector.inspection import Inspection
from inspector.records.capture import CaptureRecord
from inspector.records.endpoint import EndpointRecord
from inspector.records.finding import Finding, Severity
from inspector.report import units
from inspector.report.endpoint_table import (
    ENCRYPTED,
    closer_words,
    host_words,
    idle_at_close_words,
    other_words,
    per_connection_words,
    protocol_words,
    request_words,
    requests_text,
    response_words,
)
from inspector.report.explain import QUALIFIERS, kinds
from inspector.report.findings import packets_text, suspect_text
from inspector.report.heading import problem_text, skipped_words
from inspector.report.html import budget
from inspector.report.layout import Screen
from inspector.report.table import REUSE, let_go, reuse_text
from inspector.report.text import printable


@dataclass(slots=True, frozen=True)
class FindingView:
    """One finding as it is read."""

    number: int
    """Its place in `findings`, by which scripts know it."""
    severity: Severity
    title: str
    tags: list[str]
    """Code and qualifiers."""
    how: str
    suspects: list[str]
    advice: str | None
    packets: str | None
    filter: str
    connections: str | None
    """How many it is about; None where it names none."""
    kind: FindingKind | None
    """What `explain` tells of its code; None of a code that it does not know."""
    qualifiers: list[tuple[str, str]]
    """With what they mean."""


@dataclass(slots=True, frozen=True)
class EndpointRow:
    """One server."""

    names: list[str]
    address: str
    protocols: str
    opened: str
    still_open: str
    requests: str
    per_connection: str
    closers: str
    idle: str
    others: str
    said: list[tuple[str, str]]
    """Who says what about the connection."""


def finding_views(findings: Sequence[Finding]) -> list[FindingView]:
    """All findings but the figures of reuse, which are a sentence; the most severe first, as they come."""
    known = {kind.code: kind for kind in kinds()}
    return [
        _view(number, finding, known.get(finding.code))
        for number, finding in enumerate(findings)
        if finding.code != REUSE
    ]


def _view(number: int, finding: Finding, kind: FindingKind | None) -> FindingView:
    count = len(finding.connections)
    return FindingView(
        number=number,
        severity=finding.severity,
        title=printable(finding.title),
        tags=[finding.code, *finding.qualifiers],
        how=printable(finding.how),
        suspects=[printable(suspect_text(suspect)) for suspect in finding.suspects],
        advice=None if finding.advice is None else printable(finding.advice),
        packets=packets_text(finding) if finding.evidence else None,
        filter=printable(finding.filter),
        connections=units.plural(count, "connection") if count else None,
        kind=kind,
        qualifiers=[(qualifier, QUALIFIERS[qualifier]) for qualifier in finding.qualifiers],
    )


def reuse_sentence(findings: Sequence[Finding]) -> str | None:
    """What was lost by not reusing connections."""
    reuse = [finding for finding in findings if finding.code == REUSE]
    return printable(reuse_text(reuse)) if reuse else None


def heading_notes(inspection: Inspection) -> list[str]:
    """When it was, which files, what was skipped, what is damaged, what odd things there were."""
    return list(_notes(inspection))


def _notes(inspection: Inspection) -> Iterator[str]:
    capture = inspection.capture
    if capture.first_ns is not None and capture.last_ns is not None:
        yield f"{_moment(capture.first_ns)} to {_moment(capture.last_ns)}"
    if len(capture.files) > 1:
        yield ", ".join(f"{printable(file.path)} ({units.plural(file.packets, 'packet')})" for file in capture.files)
    if skipped := skipped_words(capture):
        yield f"Skipped: {', '.join(skipped)}"
    for problem in capture.problems:
        yield f"Problem: {problem_text(problem)}"
    if inspection.anomalies:
        most_first = sorted(inspection.anomalies.items(), key=lambda item: (-item[1], item[0]))
        yield f"Anomalies: {', '.join(units.times(printable(code), n) for code, n in most_first)}"


def _moment(ns: int) -> str:
    """A time of day, UTC, to the millisecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 1_000_000_000)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ns // 1_000_000 % 1_000:03} UTC"


def endpoint_rows(inspection: Inspection) -> list[EndpointRow]:
    """The servers with most connections."""
    ranked = sorted(inspection.endpoints, key=lambda endpoint: -endpoint.connections)
    return [_endpoint_row(endpoint) for endpoint in ranked[: budget.ENDPOINTS]]


def _endpoint_row(endpoint: EndpointRecord) -> EndpointRow:
    *names, address = host_words(endpoint)
    said = []
    if any(protocol.startswith("http/1") for protocol in endpoint.protocols):
        said = [
            ("requests say", "  ".join(request_words(endpoint, Screen()))),
            ("responses say", "  ".join(response_words(endpoint.headers, Screen()))),
        ]
    tls = endpoint.handshake.tls
    if tls.n:
        said.append(("TLS handshakes", f"{tls.n:,}, {tls.resumed:,} resumed, {units.duration(tls.median_ns)} (median)"))
    if ENCRYPTED in endpoint.protocols:
        said.append(("encrypted", "requests behind ~ are estimates; --keylog FILE shows what is inside"))
    return EndpointRow(
        names=names,
        address=address,
        protocols=", ".join(protocol_words(endpoint.protocols)),
        opened=f"{endpoint.opened:,}",
        still_open=f"{endpoint.still_open:,}",
        requests=requests_text(endpoint),
        per_connection=" ".join(per_connection_words(endpoint)),
        closers=" ".join(closer_words(endpoint)),
        idle=" ".join(idle_at_close_words(endpoint)),
        others=", ".join(other_words(endpoint)),
        said=said,
    )


def about_left_out(inspection: Inspection, left_out: dict[str, int]) -> list[str]:
    """What the page has no room for, or was not kept, in sentences."""
    told = []
    if left_out["connections"]:
        told.append(
            f"{units.plural(left_out['connections'], 'connection is', 'connections are')} not on this page, but in the "
            "figures of the servers; --host, --port, --since and --until choose, --format json has all."
        )
    if left_out["exchanges"]:
        told.append(
            f"{units.plural(left_out['exchanges'], 'exchange is', 'exchanges are')} not drawn: of each connection the "
            "first ones are."
        )
    if left_out["marks"]:
        told.append(f"{units.plural(left_out['marks'], 'GOAWAY or PING is', 'GOAWAYs and PINGs are')} not marked.")
    if left_out["stories"]:
        stories = units.plural(left_out["stories"], "connection has", "connections have")
        told.append(f"{stories} no story here: 'connspect show FILE ID' tells it.")
    if inspection.unlisted:
        told.append(f"{units.plural(inspection.unlisted, 'unanswered connection')} more: counted, not listed.")
    more = len(inspection.endpoints) - budget.ENDPOINTS
    if more > 0:
        told.append(f"{units.plural(more, 'server')} with fewer connections have no line in the table of servers.")
    return told + _history(inspection.capture)


def _history(capture: CaptureRecord) -> list[str]:
    return [] if capture.history is None else [f"{line.strip()}." for line in let_go(capture.history)]
