"""Findings of one cause are one finding: what another says already about the same connections is left out."""

from __future__ import annotations

import pytest

from inspector.findings.causes import one_a_cause
from inspector.findings.judge import judge
from inspector.findings.rules import rules
from inspector.records.finding import Finding
from tests.findings.cases import opened
from tests.report.samples import capture, endpoint


def found(code: str, *connections: int) -> Finding:
    return Finding(code, "info", "10.0.0.1:8001", None, list(connections), code, "", {}, [], [], [], None, "tcp")


def left(*findings: Finding) -> list[str]:
    return [finding.code for finding in one_a_cause(findings)]


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        ("silent-drop", "keepalive-race"),
        ("foreign-reset", "silent-drop"),
        ("foreign-reset", "keepalive-race"),
        ("foreign-reset", "server-idle-timeout"),
        ("foreign-reset", "tls-truncated"),
        ("keepalive-race", "half-closed-leak"),
    ],
)
def test_consequence_on_the_same_connections_is_left_out(cause: str, consequence: str) -> None:
    assert left(found(consequence, 1, 2), found(cause, 1, 2, 3)) == [cause]
    assert left(found(consequence, 1, 4), found(cause, 1, 2, 3)) == [consequence, cause], "one has another cause"


def test_finding_about_all_connections_stays() -> None:
    assert left(found("reuse"), found("foreign-reset", 1)) == ["reuse", "foreign-reset"]


def test_findings_come_by_severity_then_by_endpoint() -> None:
    connections = [opened((0, 5), end_ms=6), opened((0, 5), end_ms=6)]
    for i, connection in enumerate(connections):
        connection.id = i
        connection.server = type(connection.server)("10.0.0.1", 8002 - i)
    places = [endpoint(port=8001), endpoint(port=8002)]
    assert [finding.endpoint for finding in judge(capture(), places, connections)] == ["10.0.0.1:8001", "10.0.0.1:8002"]


def test_codes_are_told_by_one_rule_each() -> None:
    codes = [rule.code for rule in rules()]
    assert len(codes) == len(set(codes))
