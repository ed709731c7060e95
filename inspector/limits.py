"""Limits that connections have to keep: what `connspect check` and tests ask of an inspection.

A limit names what is counted, for whom, and how many there may be. It is held for every endpoint by itself unless it
names one, and for one client, or every client by itself, when it says so. A limit about something that was never seen
is broken: a gate that passes because it looked at nothing is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Literal, get_args

from msgspec import Struct

from inspector.endpoints import Endpoint
from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.records.field import says
from inspector.records.finding import SEVERITIES, Finding

LimitName = Literal[
    "max-opened",
    "max-avoidable",
    "min-requests-per-connection",
    "max-races",
    "max-refused",
    "max-unanswered",
    "forbid",
]
LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)

#: Stands for every client by itself.
EACH = "*"
#: Connections that a line names; the result has all.
_NAMED = 8


class Verdict(Struct):
    """What came of one limit, for one endpoint (and client)."""

    limit: Annotated[str, says("Which limit.")]
    where: Annotated[str, says("[CLIENT@]HOST:PORT that it was held for.")]
    allowed: Annotated[float | int | str, says("The limit itself.")]
    actual: Annotated[float | int | None, says("What was counted; null when that is not known.")]
    kept: Annotated[bool, says("Whether the limit was kept.")]
    connections: Annotated[list[int], says("Ids of the connections that count.")]
    what: Annotated[str, says("The result in one line.")]


@dataclass(slots=True, frozen=True)
class Where:
    """Whose connections a limit is about."""

    client: str | None = None
    """An address, EACH, or None for all together."""
    host: str | None = None
    """Address or name of the server; None: every endpoint by itself."""
    port: int | None = None

    def fits(self, connection: Connection) -> bool:
        """Whether the connection is one of them."""
        if self.client not in (None, EACH, connection.client.ip):
            return False
        if self.port not in (None, connection.server.port):
            return False
        names = [name.lower() for name in (connection.name, *connection.names) if name is not None]
        return self.host is None or self.host in (connection.server.ip, *names)

    def __str__(self) -> str:
        server = (
            f"{self.host or '*'}:{self.port or '*'}" if ":" not in (self.host or "") else f"[{self.host}]:{self.port}"
        )
        return server if self.client is None else f"{self.client}@{server}"


@dataclass(slots=True, frozen=True)
class Limit:
    """One limit."""

    name: LimitName
    allowed: float | int | str
    """A number; for `forbid` a finding's code, or a severity: that one or worse."""
    where: Where = Where()

    def hold(self, inspection: Inspection) -> list[Verdict]:
        """The limit against an inspection, for everybody whom it is about."""
        groups = _groups(self.where, inspection.connections)
        if not groups:
            return [self._of_nothing()]
        return [self._verdict(where, members, inspection) for where, members in groups]

    def _of_nothing(self) -> Verdict:
        anything_goes = self.where == Where() or self.name == "forbid" or self.allowed == 0
        what = f"{self.name}: there is no connection" + ("" if self.where == Where() else f" of {self.where}")
        kept = anything_goes and not self.name.startswith("min")
        return Verdict(self.name, str(self.where), self.allowed, 0 if kept else None, kept, [], what)

    def _verdict(self, where: Where, members: Sequence[Connection], inspection: Inspection) -> Verdict:
        if self.name == "forbid":
            return self._forbidden(where, members, inspection.findings)
        if self.name == "max-avoidable":
            return self._told(where, *_avoidable(where, inspection))
        counted, ids = _COUNTS[self.name](members)
        return self._told(where, counted, ids)

    def _told(self, where: Where, counted: float | int | None, ids: list[int]) -> Verdict:
        assert not isinstance(self.allowed, str)
        least = self.name.startswith("min-")
        kept = counted is not None and (counted >= self.allowed if least else counted <= self.allowed)
        noun = self.name.partition("-")[2].replace("-", " ")
        if counted is None:
            what = f"{where}: {noun} not known: encrypted, or not seen from beginning to end"
        else:
            bound = f"at {'least' if least else 'most'} {self.allowed:g} {'asked for' if least else 'allowed'}"
            what = f"{where}: {noun} {counted:g}, {bound}{_named(ids)}"
        return Verdict(self.name, str(where), self.allowed, counted, kept, ids, what)

    def _forbidden(self, where: Where, members: Sequence[Connection], findings: Sequence[Finding]) -> Verdict:
        here = {connection.id for connection in members}
        endpoints = {str(Endpoint(c.server.ip, c.server.port)) for c in members}
        broken = [
            finding
            for finding in findings
            if _is_meant(finding, str(self.allowed))
            and (here & set(finding.connections) if finding.connections else finding.endpoint in endpoints)
        ]
        ids = sorted({number for finding in broken for number in finding.connections if number in here})
        if not broken:
            what = f"{where}: no finding {self.allowed}"
        else:
            what = "; ".join(f"{where}: {finding.code}: {finding.title}" for finding in broken) + _named(ids)
        return Verdict(self.name, str(where), self.allowed, len(broken), not broken, ids, what)


def limit(name: LimitName, text: str) -> Limit:
    """A limit as it is typed: [[CLIENT@]HOST:PORT=]N, for `forbid` a code or a severity in N's place.

    CLIENT is an address or * for each by itself; HOST an address (IPv6 in brackets), a name, or *. Raises UsageError.
    """
    where_text, separator, value = text.rpartition("=")
    where = _where(name, where_text) if separator else Where()
    if name == "forbid":
        return Limit(name, value, where)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if number < 0 or number != number:
        raise UsageError(
            f"--{name} {text}: {value!r} is no number; write --{name} HOST:PORT=N, or N for every endpoint"
        )
    if name == "max-avoidable" and where.client is not None:
        raise UsageError(f"--{name} {text}: avoidable opens are counted per endpoint; leave {where.client}@ out")
    return Limit(name, int(number) if number == int(number) else number, where)


def _where(name: str, text: str) -> Where:
    client, at, server = text.rpartition("@")
    host, colon, port = server.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]").lower()
    if not colon or not (port == EACH or (port.isascii() and port.isdigit() and int(port) < 65_536)):
        raise UsageError(f"--{name} {text}: write HOST:PORT, as in --{name} shop.test:443=1")
    return Where(
        client.removeprefix("[").removesuffix("]") if at else None,
        None if bare in ("", EACH) else bare,
        None if port == EACH else int(port),
    )


def _groups(where: Where, connections: Iterable[Connection]) -> list[tuple[Where, list[Connection]]]:
    """The connections that a limit is about: each list has to keep it."""
    groups: dict[Where, list[Connection]] = {}
    for connection in connections:
        if where.fits(connection):
            client = connection.client.ip if where.client == EACH else where.client
            host, port = (where.host, where.port) if where.host else (connection.server.ip, connection.server.port)
            groups.setdefault(Where(client, host, port), []).append(connection)
    return list(groups.items())


def _opened(members: Sequence[Connection]) -> tuple[int, list[int]]:
    ids = [connection.id for connection in members if connection.opened.how == "handshake"]
    return len(ids), ids


def _per_connection(members: Sequence[Connection]) -> tuple[float | None, list[int]]:
    whole = [c for c in members if c.opened.how == "handshake" and c.requests is not None]
    mean = fmean(connection.requests or 0 for connection in whole) if whole else None
    return mean, [connection.id for connection in whole]


def _races(members: Sequence[Connection]) -> tuple[int, list[int]]:
    raced = [(c.id, sum(exchange.race is not None for exchange in c.exchanges)) for c in members]
    return sum(times for _, times in raced), [number for number, times in raced if times]


def _with_opening(how: str) -> Callable[[Sequence[Connection]], tuple[int, list[int]]]:
    def count(members: Sequence[Connection]) -> tuple[int, list[int]]:
        ids = [connection.id for connection in members if connection.opened.how == how]
        return len(ids), ids

    return count


_COUNTS: dict[str, Callable[[Sequence[Connection]], tuple[float | int | None, list[int]]]] = {
    "max-opened": _opened,
    "min-requests-per-connection": _per_connection,
    "max-races": _races,
    "max-refused": _with_opening("refused"),
    "max-unanswered": _with_opening("unanswered"),
}


def _avoidable(where: Where, inspection: Inspection) -> tuple[int | None, list[int]]:
    """Of all endpoints with that address or name."""
    pools = [
        endpoint.pool
        for endpoint in inspection.endpoints
        if where.port in (None, endpoint.port)
        and (where.host in (None, endpoint.ip) or where.host in map(str.lower, endpoint.names))
    ]
    known = [pool.avoidable_opens for pool in pools if pool is not None]
    return (sum(known) if known else None), []


def _is_meant(finding: Finding, named: str) -> bool:
    for severity in SEVERITIES:
        if named == severity:
            return SEVERITIES.index(finding.severity) >= SEVERITIES.index(severity)
    return finding.code == named


def _named(ids: Sequence[int]) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    noun = "connection" if len(ids) == 1 else "connections"
    return f" ({noun} {', '.join(map(str, ids[:_NAMED]))}{more})"
