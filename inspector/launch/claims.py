"""Which connections are the command's own: what was learned of its sockets, held against what was captured.

A claim is one moment of one socket: it began to connect, was accepted, closed, or was seen in the process tree. The
4-tuple finds the connection; the time tells it from others that use the same 4-tuple before or after, so that a
stranger's connection on a port that the command had just used is not taken for its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from inspector.endpoints import Endpoint

#: Kernel clocks and capture clocks are read one after the other; they agree at least as well as this.
SLACK_NS = 5_000_000
#: From a claim to its first packet in the capture: the SYN waits for ARP (3 tries of 1 s), or the capture loses it.
_LATE_NS = 10_000_000_000
#: From a SYN to the acceptance of its connection, at most: six SYN-ACKs are sent, each after twice the time.
_HANDSHAKE_NS = 130_000_000_000
#: Claims kept, about 300 bytes each. Those that fit no connection go first when there are more: the oldest.
MAX_CLAIMS = 1 << 20

Pair = tuple[Endpoint, Endpoint]


class Moment(Enum):
    """What happened to a socket."""

    CONNECTS = "connects"
    """connect() was called, and a local port chosen; the SYN comes next."""
    ACCEPTED = "accepted"
    """The handshake with a listening socket is complete."""
    CLOSED = "closed"
    """The socket's connection is over, or in TIME_WAIT."""
    SEEN = "seen"
    """There was such a socket, nobody knows since when."""


@dataclass(slots=True, frozen=True)
class Claim:
    """One moment of one socket."""

    moment: Moment
    local: Endpoint
    remote: Endpoint
    time_ns: int
    """Since the Unix epoch."""

    @property
    def pair(self) -> Pair:
        """Both ends in an order that does not depend on whose socket it is."""
        return pair(self.local, self.remote)


class Claims(Protocol):
    """Where claims come from."""

    def take(self) -> list[Claim]:
        """The claims since the last time, oldest first."""

    @property
    def lost(self) -> int:
        """Claims that there was no room for."""


def pair(one: Endpoint, other: Endpoint) -> Pair:
    """Two ends in an order of their own."""
    return (one, other) if one <= other else (other, one)


@dataclass(slots=True)
class _Tuple:
    """What is known of one 4-tuple."""

    begun: list[Claim] = field(default_factory=list)
    """CONNECTS and ACCEPTED that have met no connection so far."""
    seen: list[tuple[int, int]] = field(default_factory=list)
    """From when to when there was such a socket, by SEEN claims."""


class ClaimBook:
    """Claims in, verdicts on connections out."""

    def __init__(self) -> None:
        self.open = 0
        """Sockets that began and have not closed."""
        self.last_ns = 0
        """When a socket last began or closed, or one was seen for the first time; 0 without any."""
        self.forgotten = 0
        """Claims that were let go because there were too many."""
        self._tuples: dict[Pair, _Tuple] = {}
        self._kept = 0

    def add(self, claims: Iterable[Claim]) -> None:
        """Take claims, oldest first."""
        for claim in claims:
            if claim.moment is Moment.SEEN:
                self._see(self._tuples.setdefault(claim.pair, _Tuple()), claim.time_ns)
                continue
            self.last_ns = max(self.last_ns, claim.time_ns)
            if claim.moment is Moment.CLOSED:
                self.open = max(0, self.open - 1)
            else:
                self.open += 1
                self._kept += 1
                self._tuples.setdefault(claim.pair, _Tuple()).begun.append(claim)
        while self._kept > MAX_CLAIMS:
            self._forget_oldest()

    def knows(self, one: Endpoint, other: Endpoint) -> bool:
        """Whether there are claims between these ends that have met no connection yet."""
        return pair(one, other) in self._tuples

    def owns(self, client: Endpoint, server: Endpoint, start_ns: int, end_ns: int) -> bool:
        """Whether a captured connection is the command's; asked once for each, in the order of a 4-tuple's use.

        `start_ns` and `end_ns` are the times of its first and last packet.
        """
        known = self._tuples.get(pair(client, server))
        if known is None:
            return False
        if any(first <= end_ns + SLACK_NS and last >= start_ns - SLACK_NS for first, last in known.seen):
            return True
        # Both ends may be the command's own: a claim of each is used up.
        used = [self._first(known, moment, start_ns) for moment in (Moment.CONNECTS, Moment.ACCEPTED)]
        for claim in used:
            if claim is not None:
                known.begun.remove(claim)
                self._kept -= 1
        if not known.begun and not known.seen:
            del self._tuples[pair(client, server)]
        return any(used)

    def unmet(self) -> int:
        """Connections that were begun but not captured, to be asked when all have been: on other interfaces, mostly."""
        return sum(
            max(sum(c.moment is moment for c in known.begun) for moment in (Moment.CONNECTS, Moment.ACCEPTED))
            for known in self._tuples.values()
        )

    @staticmethod
    def _first(known: _Tuple, moment: Moment, start_ns: int) -> Claim | None:
        """The first claim that a connection which began at `start_ns` can have made."""
        before_ns = _HANDSHAKE_NS if moment is Moment.ACCEPTED else SLACK_NS
        for claim in known.begun:
            if claim.moment is moment and claim.time_ns - before_ns <= start_ns <= claim.time_ns + _LATE_NS:
                return claim
        return None

    def _see(self, known: _Tuple, time_ns: int) -> None:
        """A socket that is there at two polls in a row was there between them."""
        if known.seen and time_ns - known.seen[-1][1] < _LATE_NS:
            known.seen[-1] = (known.seen[-1][0], max(time_ns, known.seen[-1][1]))
            return
        known.seen.append((time_ns, time_ns))
        self.last_ns = max(self.last_ns, time_ns)
        self._kept += 1

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._tuples))
        known = self._tuples.pop(oldest)
        count = len(known.begun) + len(known.seen)
        self._kept -= count
        self.forgotten += count
