"""What a rule is: a code, what it measures, when it speaks, what it means, and the function that judges a case.

One rule, or a tight family, is one file under `rules/`, each with a `RULE` (or `RULES`). `connspect explain` and the
documentation are made from these texts, so they are written for the person who reads a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.filters import display_filter
from inspector.records.connection import Connection
from inspector.records.finding import Evidence, Finding, Qualifier, Severity, Suspect

#: Packets that a finding names; the connections are all named.
MAX_EVIDENCE = 12


@dataclass(slots=True, frozen=True)
class Rule:
    """One kind of conclusion."""

    code: str
    when: str
    """When it is told, in a sentence."""
    severity: str
    """Its severity, and what raises it, in words."""
    measured: type[Struct]
    """The figures of `Finding.measured`, each field with its sentence."""
    thresholds: Struct
    """Named numbers that decide, each with its sentence; the values in force."""
    meaning: str
    """What it says about the server, the client or the path."""
    example: str
    """What it looks like in a report, with the cause that was behind it."""
    advice: str
    """What to do, in general."""
    judge: Callable[[Case], Iterator[Finding]]


def conclude(
    code: str,
    severity: Severity,
    case: Case,
    connections: Sequence[Connection],
    *,
    title: str,
    how: str,
    measured: Struct,
    evidence: Sequence[Evidence],
    clause: str,
    client: str | None = None,
    qualifiers: Sequence[Qualifier] = (),
    suspects: Sequence[Suspect] = (),
    advice: str | None = None,
) -> Finding:
    """A finding about some connections of a case; `clause` is the display filter for their packets."""
    figures: dict[str, Any] = msgspec.structs.asdict(measured)
    return Finding(
        code=code,
        severity=severity,
        endpoint=case.where,
        client=client,
        connections=[connection.id for connection in connections],
        title=title,
        how=how,
        measured=figures,
        qualifiers=[*dict.fromkeys((*qualifiers, *case.scene.qualifiers))],
        evidence=list(evidence[:MAX_EVIDENCE]),
        suspects=list(suspects),
        advice=advice,
        filter=display_filter(case, connections, clause),
    )
