"""The judge: every endpoint is a case, every rule is asked, and what has one cause becomes one finding.

A pure function of records: the same connections give the same findings, whether a capture has ended or goes on. It
runs at the end of a capture, and every now and then while one is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector.endpoints import Endpoint
from inspector.findings.case import Case, Scene
from inspector.findings.causes import one_a_cause
from inspector.findings.fronts import find_fronts
from inspector.findings.pool import measure
from inspector.findings.rule import Rule
from inspector.findings.rules import rules_for
from inspector.records.capture import CaptureRecord
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.records.finding import SEVERITIES, Finding

#: Facts that one looks up rather than reads: behind all others of their severity.
_LOOKED_UP = frozenset({"h2-settings"})


def judge(
    capture: CaptureRecord, endpoints: Sequence[EndpointRecord], connections: Iterable[Connection]
) -> list[Finding]:
    """The findings, the most severe first, what is only looked up behind them, then in order of endpoints. Fills in the
    endpoints' `pool` and the connections' `findings`."""
    scene = Scene.of(capture)
    by_endpoint: dict[tuple[str, int], list[Connection]] = {(e.ip, e.port): [] for e in endpoints}
    by_id: dict[int, Connection] = {}
    for connection in connections:
        theirs = by_endpoint.get((connection.server.ip, connection.server.port))
        if theirs is None:  # its endpoint has been let go
            continue
        theirs.append(connection)
        by_id[connection.id] = connection
        if connection.findings:
            connection.findings = []
    cases = [Case(endpoint, by_endpoint[endpoint.ip, endpoint.port], scene) for endpoint in endpoints]
    find_fronts(cases)
    findings: list[Finding] = []
    asked: dict[str, Rule] = {}
    for case in cases:
        measure(case)
        of_case = {rule.code: rule for rule in rules_for(case)}
        asked |= of_case
        findings += one_a_cause([finding for rule in of_case.values() for finding in rule.judge(case)])
    findings = _gathered(findings, asked.values())
    places = {str(Endpoint(endpoint.ip, endpoint.port)): i for i, endpoint in enumerate(endpoints)}
    findings.sort(
        key=lambda finding: (
            -SEVERITIES.index(finding.severity),
            finding.code in _LOOKED_UP,
            places[finding.endpoint],
        )
    )
    for finding in findings:
        for number in finding.connections:
            by_id[number].findings.append(finding.code)
    return findings


def _gathered(findings: list[Finding], rules: Iterable[Rule]) -> list[Finding]:
    """The findings of all endpoints, fewer where rules say that several have one cause."""
    for rule in rules:
        if rule.gather is None:
            continue
        theirs = [finding for finding in findings if finding.code == rule.code]
        if theirs:
            findings = [finding for finding in findings if finding.code != rule.code] + rule.gather(theirs)
    return findings
