"""Wireshark display filters that show what a finding is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from inspector.findings.case import Case
from inspector.records.connection import Connection

#: Connections that a filter names one by one; of more, the endpoint's address is named.
MAX_NAMED = 20
#: Of all connections of an endpoint the address is named, too, where their numbers make more than so many runs.
MAX_RUNS = 6


def display_filter(case: Case, connections: Sequence[Connection], clause: str) -> str:
    """A filter for `clause` on these connections (on all of the endpoint, when there are none): by stream number in a
    single file, else by address and ports."""
    named = 0 < len(connections) <= MAX_NAMED
    runs = _runs(connection.id for connection in connections) if named else []
    if len(runs) > MAX_RUNS and len(connections) == len(case.connections):
        named = False
    if case.scene.one_file and named:
        which = f"tcp.stream in {{{', '.join(runs)}}}"
    else:
        ip = case.endpoint.ip
        which = f"{'ipv6' if ':' in ip else 'ip'}.addr == {ip} && tcp.port == {case.endpoint.port}"
        if named:
            ports = sorted({connection.client.port for connection in connections})
            which += f" && tcp.port in {{{', '.join(map(str, ports))}}}"
    return f"{which} && ({clause})" if "||" in clause else f"{which} && {clause}" if clause else which


def of_address(ip: str | None, clause: str) -> str:
    """A filter for `clause` on all packets of an address (of everybody, when there is none)."""
    if ip is None:
        return clause
    address = ip.strip("[]")
    return f"{'ipv6' if ':' in address else 'ip'}.addr == {address} && ({clause})"


def _runs(numbers: Iterable[int]) -> list[str]:
    """Numbers in order, neighbours as a range: 0..5, 7."""
    runs = []
    for _, group in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        runs.append(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}")
    return runs
