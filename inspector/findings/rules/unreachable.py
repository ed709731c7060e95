"""refused and unanswered: connections that came to nothing, by RST or by silence.

One finding an endpoint; and where one client met the same at many endpoints that took no connection at all (a host
that is down, a scan), one for all of them. A SYN shortly before the capture ends may still be answered; and a client
that went on after its SYN was answered by packets that are not in the capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from inspector.findings.case import Case, Scene
from inspector.findings.filters import of_address
from inspector.findings.rule import MAX_EVIDENCE, Rule, conclude, only
from inspector.findings.words import count, of_all, seconds
from inspector.records.connection import Connection
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding

_Code = Literal["refused", "unanswered"]
_CLAUSES: dict[_Code, str] = {
    "refused": "tcp.flags.syn == 1 || tcp.flags.reset == 1",
    "unanswered": "tcp.flags.syn == 1 || icmp || icmpv6",
}
#: Endpoints that a title of many gives as examples.
_SHOWN = 4
#: What a client that had no answer can have sent: SYN, or RST to give up (Zeek's history letters).
_NO_MORE_THAN_SYN = frozenset("SR^")


class Unreachable(Struct):
    """What was measured."""

    n: Annotated[int, says("Connections that came to nothing.")]
    retries: Annotated[int, says("SYNs that were sent again for them.")]
    taken: Annotated[int, says("Connections that the same endpoints took.")]
    endpoints: Annotated[int, says("Endpoints (ip and port) that it is about.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    patience_ns: Annotated[int, says("A SYN sent once waits so long at least, before it is unanswered.")] = (
        1_000_000_000
    )
    many: Annotated[int, says("Endpoints that took no connection of a client; so many are told together.")] = 5
    scan: Annotated[int, says("So many of them look like a scan, and are a notice.")] = 20


LIMITS = Thresholds()


def _refused(case: Case) -> Iterator[Finding]:
    refused = [connection for connection in case.refused if connection.opened.syn_packet is not None]
    if refused:
        yield _told("refused", case, refused)


def _unanswered(case: Case) -> Iterator[Finding]:
    unanswered = [connection for connection in case.unanswered if _waited(connection, case.scene)]
    if unanswered:
        yield _told("unanswered", case, unanswered)


def _waited(connection: Connection, scene: Scene) -> bool:
    """Whether an answer would have come, had there been one."""
    if not _NO_MORE_THAN_SYN.issuperset(connection.history):
        return False
    retried = connection.opened.syn_retransmissions > 0
    return retried or scene.last_ns - connection.start_ns >= LIMITS.patience_ns


def _told(code: _Code, case: Case, failed: Sequence[Connection]) -> Finding:
    taken = len(case.connections) - len(case.refused) - len(case.unanswered)
    retries = sum(connection.opened.syn_retransmissions for connection in failed)
    took = max(connection.start_ns for connection in failed) - min(connection.start_ns for connection in failed)
    within = f" within {seconds(took)}" if len(failed) > 1 else ""
    how = _how_refused(failed, within) if code == "refused" else _how_unanswered(failed, retries)
    ever = f"; it took {count(taken, 'other')}" if taken else ""
    word = "refused" if code == "refused" else "did not answer"
    return conclude(
        code,
        "problem",
        case,
        failed,
        title=f"{case.place} {word} {_share(len(failed), taken + len(failed))}",
        how=how + ever,
        measured=Unreachable(len(failed), retries, taken, 1),
        evidence=(_evidence(connection) for connection in failed),
        clause=_CLAUSES[code],
        client=only(connection.client.ip for connection in failed),
        advice=_advice(code, taken > 0, _icmp(failed) is not None),
    )


def _share(failed: int, all_: int) -> str:
    return count(failed, "connection") if failed == all_ else f"{of_all(failed, all_)} connections"


def _how_refused(failed: Sequence[Connection], within: str) -> str:
    clients = len({connection.client.ip for connection in failed})
    by = f" of {clients:,} clients" if clients > 1 else ""
    return f"SYN{by} was met by RST{within}"


def _how_unanswered(failed: Sequence[Connection], retries: int) -> str:
    tried = max(connection.end_ns - connection.start_ns for connection in failed)
    over = f" in up to {seconds(tried)}" if retries else ""
    said = _icmp(failed)
    return f"{'no answer' if said is None else f'no answer but ICMP: {said}'}; {_sent(retries)}{over}"


def _sent(retries: int) -> str:
    return f"SYN was sent again {count(retries, 'time')}" if retries else "SYN was sent once"


def _icmp(failed: Sequence[Connection]) -> str | None:
    """What routers said about the SYNs; None where they said nothing."""
    for connection in failed:
        for odd in connection.anomalies:
            if odd.code.startswith("icmp_"):
                return odd.detail.partition(": ")[2] or odd.detail
    return None


def _evidence(connection: Connection) -> Evidence:
    assert connection.opened.syn_packet is not None
    again = connection.opened.syn_retransmissions
    what = "SYN, met by RST" if connection.opened.how == "refused" else "SYN, not answered"
    return Evidence(
        connection.id,
        connection.opened.syn_packet,
        connection.start_ns,
        what + (f", sent again {count(again, 'time')}" if again else ""),
    )


def _advice(code: _Code, taken: bool, said: bool) -> str:
    if code == "refused":
        if taken:
            return "see whether the server was restarted, and let clients wait a little and retry"
        return "see whether a server runs there, on this address and port"
    if taken:
        return "see whether the server's queue of new connections is full, or a firewall limits them"
    if said:
        return "see what the router that answered lets through"
    return "see whether the host is up, and whether a firewall on the way drops the SYN"


# ---- many endpoints


def _gather(findings: Sequence[Finding]) -> list[Finding]:
    """Those of one client at many endpoints that took nothing as one, where the first of them stood."""
    groups: dict[str | None, list[Finding]] = {}
    for finding in findings:
        if not finding.measured["taken"]:
            groups.setdefault(finding.client, []).append(finding)
    large = {client: group for client, group in groups.items() if len(group) >= LIMITS.many}
    left: list[Finding] = []
    for finding in findings:
        group = large.get(finding.client)
        if group is None or finding.measured["taken"]:
            left.append(finding)
        elif finding is group[0]:
            left.append(_together(group))
    return left


def _together(group: Sequence[Finding]) -> Finding:
    first = group[0]
    code: _Code = first.code  # type: ignore[assignment]
    n, retries = (sum(finding.measured[name] for finding in group) for name in ("n", "retries"))
    hosts = dict.fromkeys(finding.endpoint.rpartition(":")[0] for finding in group)
    scans = len(group) >= LIMITS.scan
    return msgspec.structs.replace(
        first,
        severity="notice" if scans else "problem",
        connections=sorted(number for finding in group for number in finding.connections),
        title=f"{first.client or 'everybody'} {'was refused by' if code == 'refused' else 'had no answer from'} "
        f"{_where(group, hosts)}",
        how=f"{'SYN was met by RST' if code == 'refused' else f'no answer, {_sent(retries)}'}, on "
        f"{count(n, 'connection')}{'; so many look like a scan' if scans else ''}",
        measured=msgspec.to_builtins(Unreachable(n, retries, 0, len(group))),
        evidence=sorted((one for finding in group for one in finding.evidence[:1]), key=lambda one: one.packet)[
            :MAX_EVIDENCE
        ],
        advice="nothing, if somebody scans on purpose"
        if scans
        else "see whether the host is up, and what listens there"
        if len(hosts) == 1
        else "see what these have in common: a network, a firewall, a release",
        filter=of_address(first.client or (next(iter(hosts)) if len(hosts) == 1 else None), _CLAUSES[code]),
    )


def _where(group: Sequence[Finding], hosts: dict[str, None]) -> str:
    """997 ports of 10.0.0.1 (21, 22, 23, …)"""
    ports = dict.fromkeys(finding.endpoint.rpartition(":")[2] for finding in group)
    if len(hosts) == 1:
        return f"{next(iter(hosts))} on {count(len(ports), 'port')} ({_some(list(ports))})"
    at = f", port {next(iter(ports))}" if len(ports) == 1 else f", {count(len(ports), 'port')}"
    return f"{count(len(hosts), 'host')}{at} ({_some(list(hosts))})"


def _some(values: Sequence[str]) -> str:
    return ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")


RULES = (
    Rule(
        code="refused",
        when="a SYN is met by RST",
        severity="problem; notice when one client met it at twenty endpoints or more, which looks like a scan",
        measured=Unreachable,
        thresholds=LIMITS,
        meaning="Nothing listens on that port of that address, or a firewall answers with RST in its place. If the "
        "same endpoint takes other connections, it was restarted meanwhile, or one of the machines behind it is down.",
        example="nginx was restarted: for 0.8 s, 24 connections were refused; eight were taken before and after.",
        advice="See whether the server runs and listens on this address and port. A client that retries had better "
        "wait a little longer each time.",
        judge=_refused,
        gather=_gather,
    ),
    Rule(
        code="unanswered",
        when="a SYN is answered by nothing, for a second at least or although it was sent again",
        severity="problem; notice when one client met it at twenty endpoints or more, which looks like a scan",
        measured=Unreachable,
        thresholds=LIMITS,
        meaning="The SYN did not arrive, or nobody answers it, or the answer is not in the capture: the host is down, "
        "a firewall drops it, or the server's queue of new connections is full. An ICMP error says which router gave "
        "it up, and why.",
        example="Nobody has the address: one connection, and SYN was sent again three times in 3.1 s.",
        advice="See whether the host is up, and whether a firewall on the way lets the port through. Whoever refuses "
        "answers with RST, whoever drops says nothing.",
        judge=_unanswered,
        gather=_gather,
    ),
)
