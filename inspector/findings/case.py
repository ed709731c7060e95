"""A case: one endpoint with its connections, sorted once into the groups that rules ask about.

Rules read records and nothing else: a case is made from them in one pass, so that a rule looks only at the connections
that can interest it. Times are the capture's; whatever is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.endpoints import Endpoint
from inspector.findings.agree import Agreement
from inspector.records.capture import CaptureRecord
from inspector.records.connection import Announced, Closed, Connection, Side
from inspector.records.endpoint import EndpointRecord
from inspector.records.finding import Qualifier

if TYPE_CHECKING:  # it is made from cases
    from inspector.findings.pool import PoolUse

#: A close follows idle when nothing moved for at least so long (FINDINGS.md, definitions), ...
IDLE_LEAST_NS = 200_000_000
#: ... and for at least so many handshake round trips.
IDLE_LEAST_HANDSHAKES = 3


@dataclass(slots=True, frozen=True)
class Scene:
    """What is true of the whole capture."""

    first_ns: int
    last_ns: int
    """Time of the latest packet; what is open then may still close."""
    one_file: bool
    """Whether connection ids are Wireshark's stream numbers."""
    qualifiers: tuple[Qualifier, ...] = ()
    """What weakens every conclusion: lost packets."""

    @classmethod
    def of(cls, capture: CaptureRecord) -> Scene:
        """The scene of a capture."""
        dropped = capture.dropped
        lost = dropped is not None and bool(dropped.kernel or dropped.interface)
        return cls(capture.first_ns or 0, capture.last_ns or 0, len(capture.files) <= 1, ("drops",) if lost else ())


def decided_by(closed: Closed) -> Side:
    """Who meant the close: who announced it, else who closed."""
    return closed.by if closed.announced is None else closed.announced.by


def follows_idle(connection: Connection) -> bool:
    """Whether the close came out of silence, not with a message that said so."""
    closed = connection.closed
    if closed is None or closed.idle_ns is None or closed.idle_ns < IDLE_LEAST_NS or _is_waited_for(connection):
        return False
    if closed.announced is not None and closed.announced.how in ("connection-close", "http/1.0"):
        return _timed_out(connection)
    if closed.announced is not None and closed.announced.how == "goaway" and _went_along(connection, closed.announced):
        return False
    return closed.idle_ns >= IDLE_LEAST_HANDSHAKES * (connection.opened.handshake_ns or 0)


def _is_waited_for(connection: Connection) -> bool:
    """Whether a request was under way: who closes then has waited long enough for its response."""
    return any(
        exchange.request is not None and exchange.response is None and exchange.race is None and exchange.reset is None
        for exchange in connection.exchanges
    )


def _timed_out(connection: Connection) -> bool:
    """Whether the last word was a 408 to no request: the server's timer said it, and not a response."""
    last = connection.exchanges[-1] if connection.exchanges else None
    return last is not None and last.request is None and last.response is not None and last.response.status == 408


def _went_along(connection: Connection, goaway: Announced) -> bool:
    """Whether GOAWAY came with a message, and not out of silence; what the close waited for then is no timer's."""
    ends = [one.response.end_ns or 0 for one in connection.exchanges if one.response is not None]
    return bool(ends) and goaway.time_ns - max(ends) < IDLE_LEAST_NS


def idle_times(connections: Iterable[Connection]) -> list[int]:
    """After how long idle they were closed, in ns; those that were, in order."""
    return [c.closed.idle_ns for c in connections if c.closed is not None and c.closed.idle_ns is not None]


def is_encrypted(connection: Connection) -> bool:
    """Whether what it carried could not be read."""
    return connection.protocol == "tls"


class Case:
    """One endpoint and its connections, by what became of them; each group in order of ids."""

    __slots__ = (
        *(
            "asked_close",
            "client_ended",
            "client_idle",
            "connections",
            "endpoint",
            "front",
            "http2",
            "opened",
            "raced",
            "reset",
            "refused",
        ),
        *("scene", "server_ended", "server_idle", "server_timer"),
        *("tls", "unanswered", "uses", "waited"),
    )

    def __init__(self, endpoint: EndpointRecord, connections: Iterable[Connection], scene: Scene) -> None:
        self.endpoint = endpoint
        self.scene = scene
        self.connections = list(connections)
        self.opened: list[Connection] = []
        """Handshake seen."""
        self.refused: list[Connection] = []
        self.unanswered: list[Connection] = []
        self.server_idle: list[Connection] = []
        """Ended by the server's decision, after idle."""
        self.server_timer: Agreement | None = None
        """What their idle times agree on (pool.measure)."""
        self.client_idle: list[Connection] = []
        """Ended by the client's decision, after idle."""
        self.asked_close: list[Connection] = []
        """Ended because requests said so: Connection: close, or HTTP/1.0; whoever closed first then."""
        self.server_ended: list[Connection] = []
        """Ended by the server's decision, not after idle."""
        self.client_ended: list[Connection] = []
        """Ended by the client's decision, not after idle, and without a word in its requests."""
        self.raced: list[Connection] = []
        """With a request that met the close."""
        self.reset: list[Connection] = []
        """Closed by RST first."""
        self.waited: list[Connection] = []
        """With another number of requests than of responses."""
        self.http2: list[Connection] = []
        self.tls: list[Connection] = []
        self.front: str | None = None
        """Where its client, a proxy, is asked itself (ip:port), if that is in the capture, too (fronts.find_fronts)."""
        self.uses: Sequence[PoolUse] = ()
        """What each client did with its connections, and what a good pool would have (pool.measure)."""
        self._sort()

    @property
    def where(self) -> str:
        """ip:port."""
        return str(Endpoint(self.endpoint.ip, self.endpoint.port))

    @property
    def place(self) -> str:
        """How people call it: its name, where it has one, and ip:port."""
        name = self.endpoint.name
        return self.where if name is None or name.strip("[]") == self.endpoint.ip else f"{name} {self.where}"

    def place_of(self, connections: Iterable[Connection]) -> str:
        """How people call whom these connections are for: the end of a tunnel, or their name, with ip:port."""
        whom = {(None if c.tunnel is None else c.tunnel.target, c.name) for c in connections}
        target, name = whom.pop() if len(whom) == 1 else (None, None)
        if target is not None:
            return f"{target} through {self.where}"
        return self.where if name is None or name.strip("[]") == self.endpoint.ip else f"{name} {self.where}"

    def _sort(self) -> None:
        for connection in self.connections:
            how = connection.opened.how
            if how == "refused":
                self.refused.append(connection)
                continue
            if how == "unanswered":
                self.unanswered.append(connection)
                continue
            if how == "handshake":
                self.opened.append(connection)
            if connection.http2 is not None:
                self.http2.append(connection)
            if connection.tls is not None:
                self.tls.append(connection)
            closed = connection.closed
            if connection.requests != connection.responses:
                self.waited.append(connection)
            if closed is not None:
                if closed.how == "rst":
                    self.reset.append(connection)
                announced = closed.announced
                by_server = (announced or closed).by == "server"
                if follows_idle(connection):
                    (self.server_idle if by_server else self.client_idle).append(connection)
                elif by_server:
                    self.server_ended.append(connection)
                elif announced is not None and announced.how in ("connection-close", "http/1.0"):
                    self.asked_close.append(connection)
                else:
                    self.client_ended.append(connection)
                for exchange in connection.exchanges:
                    if exchange.race is not None:
                        self.raced.append(connection)
                        break
