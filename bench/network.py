"""A clock with a queue of events, the path between two hosts, and the tap on it that is the capture.

A segment passes the tap on its way: lost before it, nobody saw it; lost behind it, the capture has it and the receiver
has not. Each direction keeps its order unless a segment is held back on purpose.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

NANOSECONDS = 1_000_000_000
MILLISECOND = 1_000_000
MICROSECOND = 1_000


@dataclass(frozen=True, slots=True)
class Path:
    """What the way between client and server does to segments. Delays are one way."""

    client_delay_ns: int = 100 * MICROSECOND
    """From the client to the tap."""
    server_delay_ns: int = 400 * MICROSECOND
    """From the tap to the server."""
    jitter_ns: int = 50 * MICROSECOND
    """Added in front of the tap, uniform from 0."""
    loss_before: float = 0.0
    """Probability that a segment is lost in front of the tap."""
    loss_behind: float = 0.0
    """Probability that it is lost behind the tap, so that the capture has it."""
    reorder: float = 0.0
    """Probability that it is held back while those behind it go on."""
    duplicate: float = 0.0
    """Probability that the network delivers it twice."""
    bytes_per_second: int = 125_000_000

    @property
    def is_perfect(self) -> bool:
        return not (self.loss_before or self.loss_behind or self.reorder or self.duplicate)


@dataclass(slots=True)
class Tap:
    """The capture point: frames with their time, in the order in which they were sent."""

    packets: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(time in ns, serial, frame). Sorted, this is the capture; serials break ties."""

    def record(self, time_ns: int, frame: bytes) -> int:
        """Keep one frame; returns its serial."""
        serial = len(self.packets)
        self.packets.append((time_ns, serial, frame))
        return serial


class Clock:
    """Events in time order; those of one time in the order in which they were asked for."""

    __slots__ = ("_queue", "_serial", "now")

    def __init__(self, start_ns: int) -> None:
        self.now = start_ns
        self._serial = 0
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, time_ns: int, action: Callable[..., None], *arguments: Any) -> None:
        """Call `action` at that time."""
        self._serial += 1
        heapq.heappush(self._queue, (time_ns, self._serial, action, arguments))

    def run(self) -> None:
        """Until nothing is left to happen."""
        queue = self._queue
        while queue:
            self.now, _, action, arguments = heapq.heappop(queue)
            action(*arguments)


class Timer:
    """One deadline that may move. Only the queue entry that matches the present deadline fires."""

    __slots__ = ("_action", "_clock", "_queued_ns", "deadline_ns")

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action = action
        self.deadline_ns: int | None = None
        self._queued_ns: int | None = None

    def start(self, delay_ns: int) -> None:
        """Fire in `delay_ns`, and not at the deadline set before."""
        self.deadline_ns = deadline = self._clock.now + delay_ns
        if self._queued_ns is None or self._queued_ns > deadline:
            self._queue(deadline)

    def stop(self) -> None:
        self.deadline_ns = None

    def _queue(self, time_ns: int) -> None:
        self._queued_ns = time_ns
        self._clock.at(time_ns, self._fire, time_ns)

    def _fire(self, queued_ns: int) -> None:
        if queued_ns != self._queued_ns:
            return
        self._queued_ns = None
        if self.deadline_ns is None:
            return
        if self.deadline_ns > queued_ns:
            self._queue(self.deadline_ns)
            return
        self.deadline_ns = None
        self._action()


class Link:
    """One direction of a path."""

    __slots__ = ("_arrival_ns", "_before_ns", "_behind_ns", "_clock", "_free_ns", "_path", "_random", "_tap", "_tap_ns")

    def __init__(self, path: Path, clock: Clock, tap: Tap, random: Random, *, from_client: bool) -> None:
        delays = path.client_delay_ns, path.server_delay_ns
        self._before_ns, self._behind_ns = delays if from_client else delays[::-1]
        self._path = path
        self._clock = clock
        self._tap = tap
        self._random = random
        self._free_ns = self._tap_ns = self._arrival_ns = 0

    def send(self, frame: bytes, deliver: Callable[..., None], *arguments: Any) -> list[int]:
        """Put a frame on its way; `deliver` is called when it arrives. Returns the serials under which the tap has it
        (none where it was lost in front of it, two where the network doubled it)."""
        path, roll = self._path, self._random.random
        leave = max(self._clock.now, self._free_ns)
        self._free_ns = leave + len(frame) * NANOSECONDS // path.bytes_per_second
        at_tap = leave + self._before_ns + int(roll() * path.jitter_ns)
        if path.is_perfect:
            return self._pass_in_order(at_tap, frame, deliver, arguments)
        if roll() < path.loss_before:
            return []
        if roll() < path.reorder:
            at_tap += path.jitter_ns + MILLISECOND
            serials = [self._tap.record(at_tap, frame)]
            self._clock.at(at_tap + self._behind_ns, deliver, *arguments)
        elif roll() < path.loss_behind:
            self._tap_ns = at_tap = max(at_tap, self._tap_ns)
            serials = [self._tap.record(at_tap, frame)]
        else:
            serials = self._pass_in_order(at_tap, frame, deliver, arguments)
        if roll() < path.duplicate:
            serials += self._pass_in_order(at_tap + 2 * MICROSECOND, frame, deliver, arguments)
        return serials

    def _pass_in_order(
        self, at_tap: int, frame: bytes, deliver: Callable[..., None], arguments: tuple[Any, ...]
    ) -> list[int]:
        self._tap_ns = at_tap = max(at_tap, self._tap_ns)
        self._arrival_ns = arrival = max(at_tap + self._behind_ns, self._arrival_ns)
        self._clock.at(arrival, deliver, *arguments)
        return [self._tap.record(at_tap, frame)]
