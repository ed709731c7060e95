"""All connections of a capture: batches in, ended connections out.

For each batch: sort by 4-tuple, find the slots, triage, walk the steps, number what is new, retire what has ended.
Connections of SYNs alone never become objects here, unless something answers; a flood of them costs a row each. A
connection retires LINGER_NS of capture time after its end, or when its 4-tuple is used again; segments that come later
are late: counted, and an anomaly of its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, merge

import numpy as np

from inspector.bounds import Bounds
from inspector.endpoints import Endpoint, ip_text
from inspector.packets.batch import IcmpError, PacketBatch
from inspector.tcp.connection import Connection, MakeSink
from inspector.tcp.flow_table import SYN_ONLY, group
from inspector.tcp.registry import Late, Registry
from inspector.tcp.triage import triage
from inspector.tcp.walk import LINGER_NS, Walk
from inspector.tcp.whole_connection import ReadWhole

#: Connections of SYNs alone that are looked for at a time: what that needs beside the table stays small.
_HANDED_OUT = 65_536


class Tracker:
    """Feed it batches of segments; it gives the connections that have ended, and all others at the end.

    `make_sink` makes who takes a connection's byte streams, at its first payload; `on_new` is told of each connection
    when it begins. `read_whole` may read all payload of a connection at once, where there is nobody in `on_new`.
    """

    def __init__(
        self,
        make_sink: MakeSink,
        on_new: Callable[[Connection], None] | None = None,
        read_whole: ReadWhole | None = None,
    ) -> None:
        self._registry = Registry(make_sink, on_new)
        self._read_whole = read_whole
        self._clock_ns = 0
        """The latest time that any segment or idle tick had: capture times may run backwards, the clock does not."""

    @property
    def connections(self) -> int:
        """How many were seen."""
        return self._registry.connections

    def feed(self, batch: PacketBatch) -> list[Connection]:
        """Take a batch; the connections that retired with it, numbered, in the order of their retirement.

        The clock goes by the segments, so that it stands the same at each of them however a capture is cut; and by
        idle ticks, the batches without any packet (`end_packet` 0) that a live source sends and a file never has.
        """
        registry = self._registry
        if len(batch):
            groups = group(batch)
            slots = registry.slots(groups.tuples)
            steps = triage(batch, groups, registry.table.watched[slots])
            clock_ns = np.maximum(np.maximum.accumulate(batch.time_ns), self._clock_ns)
            Walk(registry, batch, steps, slots[steps.group_tuple], clock_ns, self._read_whole).walk()
            self._clock_ns = int(clock_ns[-1])
        elif not batch.end_packet:
            self._clock_ns = max(self._clock_ns, batch.end_ns)
        registry.number()
        for error in batch.icmp_errors:
            self._icmp(error)
        self._retire_ended()
        retired, registry.retired = registry.retired, []
        return retired

    @property
    def unfinished(self) -> Iterable[Connection]:
        """Connections that have not retired, in no order; those of SYNs alone only where `on_new` was told of them."""
        return self._registry.live.values()

    def let_go(self, bounds: Bounds) -> Iterator[Connection]:
        """Keep no more than `bounds`: connections that are given up, and then what ended long ago is forgotten.

        To be asked for between two batches, when what retired and what was late has been taken."""
        yield from self._registry.retire_oldest(bounds.following, bounds.unanswered)
        self._registry.forget(bounds.remembered)

    def take_late(self) -> list[Late]:
        """Segments of connections that had retired before, since the last time."""
        late, self._registry.late = self._registry.late, []
        return late

    def last_ns(self, of: Callable[[Endpoint, Endpoint], bool]) -> int:
        """The latest time of a segment of live connections whose client and server are `of` interest; 0: none."""
        return max((c.end_ns for c in self._registry.live.values() if of(_end(c.client), _end(c.server))), default=0)

    def finish(self) -> Iterator[Connection]:
        """Retire everything, by number."""
        return merge(self._finish_live(), self._finish_alone(), key=lambda connection: connection.id)

    def _finish_live(self) -> Iterator[Connection]:
        for connection in sorted(self._registry.live.values(), key=lambda connection: connection.id):
            self._registry.retire(connection)
            self._registry.retired.clear()
            yield connection

    def _finish_alone(self) -> Iterator[Connection]:
        """The connections of SYNs alone: each becomes an object just to be handed out, a range of numbers at a time."""
        table, step = self._registry.table, _HANDED_OUT
        state, numbers = table.state[: table.count], table.connection_id[: table.count]
        for first in range(0, self.connections, step):
            slots = np.flatnonzero((numbers >= first) & (numbers < first + step) & (state == SYN_ONLY))
            for slot in slots[np.argsort(numbers[slots])].tolist():
                yield self._registry.from_syns(slot)

    def _retire_ended(self) -> None:
        """Retire what ended LINGER_NS ago; who had more to say since it was queued goes back in."""
        registry, over_ns = self._registry, self._clock_ns - LINGER_NS
        while registry.closing and registry.closing[0][0] < over_ns:
            _, _, connection = heappop(registry.closing)
            if registry.live.get(connection.slot) is not connection:
                continue
            if connection.ended_ns < over_ns:
                registry.retire(connection)
            else:
                registry.retire_later(connection)

    def _icmp(self, error: IcmpError) -> None:
        """Somebody says that a segment did not get through: an anomaly of its connection, if there is one."""
        registry = self._registry
        slot = registry.table.find_one(
            (error.src_hi, error.src_lo, error.src_port), (error.dst_hi, error.dst_lo, error.dst_port)
        )
        if slot is None:
            return
        if registry.table.state[slot] == SYN_ONLY:
            registry.install(registry.from_syns(slot))
        live = registry.live.get(slot)
        known = [*(c for c in registry.retired if c.slot == slot), *([live] if live else [])]
        connection = next((c for c in reversed(known) if c.first_packet < error.packet), None)
        if connection is not None and not (connection.ended and connection.ended_packet < error.packet):
            code = f"icmp_{error.what.replace('-', '_')}"
            connection.note(code, error.packet, error.time_ns, error.detail)


def _end(end: tuple[int, int, int]) -> Endpoint:
    high, low, port = end
    return Endpoint(ip_text(high, low), port)
