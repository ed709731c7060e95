"""Everything learned from the packets so far: what the reports render and the findings judge.

An Inspection is plain data. The engine fills it; nothing below it knows who reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.records.capture import CaptureRecord
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.records.event import EventRecord
from inspector.records.finding import Finding


@dataclass(slots=True)
class Inspection:
    """The state of an inspection, whole at the end of the capture."""

    capture: CaptureRecord
    """Files, totals, skipped packets, problems: of the whole input, whatever was selected for the report."""
    endpoints: list[EndpointRecord]
    """Selected endpoints, in order of their first packets."""
    connections: list[Connection]
    """Selected connections, by id."""
    unlisted: int = 0
    """Unanswered connections that are counted in `endpoints` but not listed, because there were too many."""
    findings: list[Finding] = field(default_factory=list)
    """What is concluded from all this, the most severe first."""
    anomalies: dict[str, int] = field(default_factory=dict)
    """How often each anomaly was seen on the selected connections."""
    events: list[EventRecord] = field(default_factory=list)
    """The event log, where it was asked for, by time and packet."""
