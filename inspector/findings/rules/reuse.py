"""reuse: connections opened against those that a good pool would have needed, for every endpoint with requests.

The figures are the endpoint's `pool` (findings.pool). A fact, never a complaint: what keeps connections from being
reused has findings of its own. It names no connections: it is about all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from inspector.findings.case import Case
from inspector.findings.rule import MAX_EVIDENCE, Rule, conclude, opening
from inspector.findings.words import count, seconds
from inspector.records.field import says
from inspector.records.finding import Finding


class Reuse(Struct):
    """What was measured."""

    opened: Annotated[int, says("Connections that were opened in the capture.")]
    connections_needed: Annotated[int, says("Connections that a good pool would have opened for the same requests.")]
    avoidable_opens: Annotated[int, says("The difference.")]
    handshake_ns_saved: Annotated[
        int, says("Handshake time that the avoidable ones took: their number, by the median.")
    ]
    server_ended: Annotated[int, says("Of those needed, the ones that the server ended by itself.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide: none."""


LIMITS = Thresholds()

#: Handshakes that took less altogether are not worth a word.
WORTH_NS = 1_000_000


def _judge(case: Case) -> Iterator[Finding]:
    pool = case.endpoint.pool
    if pool is None:
        return
    opened = pool.connections_needed + pool.avoidable_opens
    if not opened:
        return
    ended = sum(use.server_ended for use in case.uses)
    figures = Reuse(opened, pool.connections_needed, pool.avoidable_opens, pool.handshake_ns_saved, ended)
    encrypted = any(use.kind == "tls" for use in case.uses)
    wasteful = [use for use in case.uses if use.avoidable] or case.uses
    openings = [c for use in wasteful for c in use.connections[:MAX_EVIDENCE] if c.opened.how == "handshake"]
    yield conclude(
        "reuse",
        "info",
        case,
        [],
        title=_title(case, figures, encrypted),
        how=_how(case, encrypted),
        measured=figures,
        evidence=(opening(connection, "opened") for connection in openings),
        clause="tcp.flags.syn == 1",
        qualifiers=["encrypted"] if encrypted else [],
    )


def _title(case: Case, figures: Reuse, encrypted: bool) -> str:
    about = "at most " if encrypted and figures.avoidable_opens else ""
    opened = count(figures.opened, "connection")
    needed = f"a good pool needs {about}{figures.connections_needed:,}"
    if figures.avoidable_opens:
        took = (
            f", {seconds(figures.handshake_ns_saved)} of handshakes" if figures.handshake_ns_saved >= WORTH_NS else ""
        )
        least = "at least " if encrypted else ""
        return f"{opened} opened to {case.place}, {needed}: {least}{figures.avoidable_opens:,} avoidable{took}"
    if figures.server_ended:
        return f"{opened} opened to {case.place}, {needed}: {figures.server_ended:,} were ended from its side"
    return f"no reuse lost at {case.place}: {opened} opened, {needed}"


def _how(case: Case, encrypted: bool) -> str:
    parts = ["requests were replayed by their times through a pool without size limit"]
    if encrypted:
        parts.append("encrypted connections count as busy from their first to their last byte")
    unused = sum(
        connection.protocol == "none" and connection.opened.how == "handshake" for connection in case.connections
    )
    if unused:
        parts.append(f"{count(unused, 'connection')} carried nothing")
    assert case.endpoint.pool is not None
    if beside := case.endpoint.pool.idle_at_open:
        parts.append(f"{count(beside, 'open')} met an idle connection to the same place")
    return "; ".join(parts)


RULES = (
    Rule(
        code="reuse",
        when="always, for every endpoint with requests",
        severity="info",
        measured=Reuse,
        thresholds=LIMITS,
        meaning="How many connections were opened, and how many a good pool would have opened for the same requests: "
        "one that keeps a connection until a second (or a fifth of the time, if that is less) before the server would "
        "end it, and knows no limit of size. Each server name has a pool of its own, also where several names share "
        "an address and port, since that is how clients keep connections. Connections that the server ended by itself "
        "count as needed. Without keys connections_needed is an upper limit, and avoidable_opens a lower one.",
        example="A script calls requests.get twenty times: 20 connections opened, 1 needed, 19 avoidable.",
        advice="Where many are avoidable, another finding says why. In a short script they cost less than a pool.",
        judge=_judge,
    ),
)
