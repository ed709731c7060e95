"""What a rule is: a code, what it measures, when it speaks, what it means, and the function that judges a case.

One rule, or a tight family, is one file under `rules/`, each with its `RULES`. `connspect explain` and the
documentation are made from these texts, so they are written for the person who reads a report. What is concluded from
more than one endpoint's case (`hops`) is a FindingKind all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.filters import display_filter
from inspector.findings.words import seconds
from inspector.records.connection import Connection
from inspector.records.finding import Evidence, Finding, Qualifier, Severity, Suspect

_T = TypeVar("_T")

#: Packets that a finding names; the connections are all named.
MAX_EVIDENCE = 12


@dataclass(slots=True, frozen=True, kw_only=True)
class FindingKind:
    """One kind of conclusion, for the person who meets it."""

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


@dataclass(slots=True, frozen=True, kw_only=True)
class Rule(FindingKind):
    """A kind that is concluded from the connections of one endpoint."""

    judge: Callable[[Case], Iterator[Finding]]
    gather: Callable[[Sequence[Finding]], list[Finding]] | None = None
    """Makes fewer of its findings, of all endpoints, where several have one cause."""


def opening(connection: Connection, what: str) -> Evidence:
    """The packet with which a connection began."""
    packet = connection.opened.syn_packet
    return Evidence(
        connection.id, connection.first_packet if packet is None else packet, connection.start_ns, f"SYN: {what}"
    )


def closing(connection: Connection) -> Evidence:
    """The packet with which a connection was closed; the connection is."""
    closed = connection.closed
    assert closed is not None
    idle = "" if closed.idle_ns is None else f", {seconds(closed.idle_ns)} after the last byte"
    return Evidence(connection.id, closed.packet, closed.time_ns, f"{closed.by} {closed.how.upper()}{idle}")


def closes(connections: Iterable[Connection]) -> str:
    """The display filter's clause for how these were closed; each is."""
    hows = {connection.closed.how for connection in connections if connection.closed is not None}
    flags = {"fin": "tcp.flags.fin == 1", "rst": "tcp.flags.reset == 1"}
    return " || ".join(flags[how] for how in sorted(hows))


def only(values: Iterable[_T]) -> _T | None:
    """The value that all of them are; None when they are several."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def conclude(
    code: str,
    severity: Severity,
    case: Case,
    connections: Sequence[Connection],
    *,
    title: str,
    how: str,
    measured: Struct,
    evidence: Iterable[Evidence],
    clause: str,
    client: str | None = None,
    qualifiers: Sequence[Qualifier] = (),
    suspects: Sequence[Suspect] = (),
    advice: str | None = None,
    ranked: bool = False,
) -> Finding:
    """A finding about some connections of a case; `clause` is the display filter for their packets.

    The first of `evidence` are kept. `ranked`: the most telling come first, and stay so; else they are put into the
    packets' order.
    """
    figures: dict[str, Any] = msgspec.to_builtins(measured)
    shown = list(islice(evidence, MAX_EVIDENCE))
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
        evidence=shown if ranked else sorted(shown, key=lambda one: one.packet),
        suspects=list(suspects),
        advice=advice,
        filter=display_filter(case, connections, clause),
    )
