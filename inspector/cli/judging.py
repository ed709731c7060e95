"""Findings while a capture goes on: judged now and then, by the capture's own loop, and told as they come to be known.

A judgement looks at all that is known, so it is made seldom: every five seconds, in a tenth of the capture's time at
the most, and only when packets have come since the last one. What it says holds for then. A finding is told once, and
once more with another severity. What it has become at the end, and whether it still holds, is in the final report.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from inspector.records.finding import Finding
from inspector.sources.account import complete

if TYPE_CHECKING:
    from inspector.engine import Inspector
    from inspector.inspection import Inspection
    from inspector.sources.live import LiveSource

#: Seconds between two judgements, ...
JUDGED = 5.0
#: ... and how many times as long as the last one took.
_PATIENCE = 10
#: Findings that are remembered as told; beyond it the oldest may be told again.
MOST_TOLD = 10_000


class Judging:
    """The judgements of one capture."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self.tell: Callable[[Finding], None] | None = None
        """Is given each finding when it is first known, and when its severity has changed."""
        self._next = time.monotonic() + JUDGED
        self._packets = 0
        self._told: dict[tuple[str, str, str, int], None] = {}
        self.found: list[Finding] = []
        """What the last judgement found."""

    def is_due(self, inspector: Inspector) -> bool:
        """Whether it is time for another one, and something has come."""
        return time.monotonic() >= self._next and inspector.capture.packets > self._packets

    def look(self, inspector: Inspector) -> None:
        """After each batch: judge, if it is time."""
        if self.is_due(inspector):
            began = time.monotonic()
            inspection = inspector.snapshot()
            complete(self._source, inspection.capture)
            self.judge(inspector, inspection)
            self._took(began)

    def judge(self, inspector: Inspector, inspection: Inspection) -> None:
        """Judge a snapshot of what the inspector knows now."""
        began = time.monotonic()
        inspector.judge(inspection)
        self.found = inspection.findings
        self._packets = inspection.capture.packets
        self._took(began)
        if self.tell is not None:
            for finding in self._new():
                self.tell(finding)

    def _took(self, began: float) -> None:
        self._next = began + max(JUDGED, _PATIENCE * (time.monotonic() - began))

    def _new(self) -> list[Finding]:
        """Findings that were not told. Several of a code and severity at an endpoint are told apart by their number:
        rules give them in the order of their connections."""
        numbers: Counter[tuple[str, str, str]] = Counter()
        new = []
        for finding in self.found:
            kind = finding.endpoint, finding.code, finding.severity
            key = (*kind, numbers[kind])
            numbers[kind] += 1
            if key not in self._told:
                new.append(finding)
                self._told[key] = None
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        return new
