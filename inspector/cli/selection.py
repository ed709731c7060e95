"""Which connections are reported: --host, --port, --since, --until. Ids and capture totals never depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from inspector.cli.moments import Moment

if TYPE_CHECKING:
    from inspector.records.connection import Connection


@dataclass(slots=True)
class Selection:
    """All conditions must hold; of several hosts or ports, one."""

    hosts: frozenset[str]
    """Addresses in canonical form, and names in lower case."""
    ports: frozenset[int]
    since: Moment | None
    until: Moment | None
    first_ns: int = 0
    """Time of the first packet: known by the time the first connection has ended."""

    def __bool__(self) -> bool:
        return bool(self.hosts or self.ports or self.since or self.until)

    def __call__(self, connection: Connection) -> bool:
        """Whether the connection is to be reported."""
        return self._overlaps(connection) and self._has_port(connection) and self._has_host(connection)

    def _overlaps(self, connection: Connection) -> bool:
        if self.since is not None and connection.end_ns < self.since.absolute_ns(self.first_ns):
            return False
        return self.until is None or connection.start_ns <= self.until.absolute_ns(self.first_ns)

    def _has_port(self, connection: Connection) -> bool:
        return not self.ports or not self.ports.isdisjoint((connection.server.port, connection.client.port))

    def _has_host(self, connection: Connection) -> bool:
        if not self.hosts:
            return True
        names = (name.lower() for name in (connection.name, *connection.names) if name is not None)
        return not self.hosts.isdisjoint((connection.server.ip, connection.client.ip, *names))


def canonical_host(text: str) -> str:
    """An address as the reports write it, brackets or not; a name in lower case, without the root's dot."""
    bare = text.removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare.lower().removesuffix(".")
