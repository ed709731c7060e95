"""Which rules are asked makes no difference: those that are left out have nothing to say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import inspector
from inspector.findings import judge as judging
from inspector.findings.case import Case, Scene
from inspector.findings.judge import judge
from inspector.findings.rule import Rule
from inspector.findings.rules import rules, rules_for
from tests.findings.cases import opened
from tests.recordings import CAPTURES, NAMES
from tests.report.samples import endpoint


@pytest.mark.parametrize("name", NAMES)
def test_all_rules_tell_what_those_tell_that_are_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (capture,) = (CAPTURES / name).glob("client.pcapng*")
    inspection = inspector.read(capture, keylog=list((CAPTURES / name).glob("keys.log")))
    told = inspection.findings

    def all_rules(case: Case) -> Iterator[Rule]:
        yield from rules()

    monkeypatch.setattr(judging, "rules_for", all_rules)
    assert judge(inspection.capture, inspection.endpoints, inspection.connections) == told


def test_a_plain_case_asks_few() -> None:
    case = Case(endpoint(), [opened((0, 5), end_ms=6)], Scene(0, 0, True))
    asked = {rule.code for rule in rules_for(case)}
    assert {"reuse", "client-never-reuses", "half-closed-leak"} <= asked
    assert asked.isdisjoint({"h2-goaway", "alpn-fallback", "refused", "keepalive-race", "silent-drop"})
