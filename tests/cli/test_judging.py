"""Findings while a capture goes on: when it is judged, what is told then, and what is not told again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inspector.cli import judging
from inspector.cli.judging import JUDGED, Judging
from inspector.engine import Inspector
from inspector.inspection import Inspection
from inspector.records.finding import Finding, Severity
from inspector.sources.memory import MemorySource
from tests.report.samples import capture, finding
from tests.tcp.playbook import Talk


class Clock:
    """Time as the tests let it go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(judging, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


class Scripted:
    """An inspector that finds what it is told to."""

    def __init__(self, clock: Clock, takes: float = 0.0) -> None:
        self.capture = SimpleNamespace(packets=0)
        self.finds: list[Finding] = []
        self.judged = 0
        self._clock, self._takes = clock, takes

    def more(self, *finds: Finding) -> None:
        """A packet, after which there is this to be found."""
        self.capture.packets += 1
        self.finds = list(finds)

    def snapshot(self) -> Inspection:
        self._clock.now += self._takes / 2
        return Inspection(capture=capture(packets=self.capture.packets), endpoints=[], connections=[])

    def judge(self, inspection: Inspection) -> None:
        self.judged += 1
        self._clock.now += self._takes / 2
        inspection.findings = list(self.finds)


def watching() -> tuple[Judging, list[Finding]]:
    source: Any = MemorySource([])
    told: list[Finding] = []
    one = Judging(source)
    one.tell = told.append
    return one, told


def test_a_finding_is_told_while_its_connections_go_on(clock: Clock) -> None:
    one, told = watching()
    clock.now += JUDGED
    inspector = Inspector()
    once = [Talk(f"10.0.0.1:{n}", start=n).handshake().exchange().close("client") for n in range(1, 6)]
    for talk in once:
        for batch in MemorySource(talk.packets):
            inspector.feed(batch)
    one.look(inspector)
    codes = [finding.code for finding in told]
    assert "client-never-reuses" in codes
    assert len(codes) == len(set(codes))
    assert one.found == told
    for batch in MemorySource(Talk("10.0.0.1:9", start=20).handshake().exchange().close("client").packets):
        inspector.feed(batch)
    clock.now += JUDGED
    one.look(inspector)
    assert [finding.code for finding in told] == codes, "it has only grown"
    grown = next(finding for finding in one.found if finding.code == "client-never-reuses")
    assert grown.measured["connections"] == 6


def test_it_is_judged_when_it_is_time_and_something_came(clock: Clock) -> None:
    inspector: Any = Scripted(clock)
    one, _ = watching()
    inspector.more()
    one.look(inspector)
    assert inspector.judged == 0, "there is next to nothing yet"
    clock.now += JUDGED
    one.look(inspector)
    inspector.more()
    one.look(inspector)
    assert inspector.judged == 1, "too early"
    clock.now += JUDGED
    one.look(inspector)
    assert inspector.judged == 2
    clock.now += JUDGED
    one.look(inspector)
    assert inspector.judged == 2, "nothing came"


def test_judging_takes_a_tenth_of_the_time_at_the_most(clock: Clock) -> None:
    inspector: Any = Scripted(clock, takes=2.0)
    one, _ = watching()
    for _ in range(100):
        inspector.more()
        one.look(inspector)
        clock.now += 1.0
    # A hundred seconds and what the judgements took: one in 20 s, the first after 5 s.
    assert inspector.judged == 6


def told_of(*rounds: list[Finding], clock: Clock) -> list[list[str]]:
    """What is told after each judgement: connections, as a word."""
    inspector: Any = Scripted(clock)
    one, told = watching()
    heard = []
    for finds in rounds:
        inspector.more(*finds)
        clock.now += JUDGED
        told.clear()
        one.look(inspector)
        heard.append([f"{one.severity} {one.connections}" for one in told])
    return heard


def reuse(severity: Severity, *connections: int, **changes: Any) -> Finding:
    return finding(severity=severity, connections=list(connections), **changes)


def test_what_is_told_is_told_again_only_with_another_severity(clock: Clock) -> None:
    rounds = [
        [reuse("info", 0)],
        [reuse("info", 0, 1, 2)],
        [reuse("warning", 0, 1, 2, 3)],
        [reuse("info", 0)],
        [],
        [reuse("info", 7)],
    ]
    assert told_of(*rounds, clock=clock) == [["info [0]"], [], ["warning [0, 1, 2, 3]"], [], [], []]


def test_findings_of_a_code_that_differ_are_told_each(clock: Clock) -> None:
    one, two = reuse("info", 0), reuse("info", 5)
    problem, elsewhere = reuse("problem", 9), reuse("info", 3, endpoint="10.0.0.1:8002")
    rounds = [[one], [one, two], [problem, one, two, elsewhere]]
    assert told_of(*rounds, clock=clock) == [["info [0]"], ["info [5]"], ["problem [9]", "info [3]"]]


def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_TOLD", 3)
    first = [reuse("info", n, endpoint=f"10.0.0.1:{n}") for n in range(5)]
    again = told_of(first, first[3:], first[:1], clock=clock)
    assert [len(heard) for heard in again] == [5, 0, 1]


def test_nobody_has_to_be_told(clock: Clock) -> None:
    inspector: Any = Scripted(clock)
    one, _ = watching()
    one.tell = None
    inspector.more(reuse("info", 0))
    clock.now += JUDGED
    one.look(inspector)
    assert [found.connections for found in one.found] == [[0]]
