"""All connections of a capture: batches in, ended connections out.

For each batch: sort by 4-tuple, find the slots, triage, walk the steps, number what is new, retire what has ended.
Connections of SYNs alone never become objects here, unless something answers; a flood of them costs a row each. A
connection retires LINGER_NS of capture time after its end, or when its 4-tuple is used again; segments that come later
are late: counted, and an anomaly of its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from inspector.packets.batch import IcmpError, PacketBatch
from inspector.tcp.connection import Connection, MakeSink
from inspector.tcp.flow_table import SYN_ONLY, group
from inspector.tcp.registry import Late, Registry
from inspector.tcp.triage import triage
from inspector.tcp.walk import LINGER_NS, Walk


class Tracker:
    """Feed it batches of segments; it gives the connections that have ended, and all others at the end.

    `make_sink` makes who takes a connection's byte streams, at its first payload; `on_new` is told of each connection
    when it begins.
    """

    def __init__(
        self,
        make_sink: MakeSink,
        on_new: Callable[[Connection], None] | None = None,
    ) -> None:
        self._registry = Registry(make_sink, on_new)
        self._clock_ns = 0
        """The latest time that any segment had: capture times may run backwards, the clock does not."""

    @property
    def connections(self) -> int:
        """How many were seen."""
        return self._registry.connections

    def feed(self, batch: PacketBatch) -> list[Connection]:
        """Take a batch; the connections that retired with it, numbered, in the order of their retirement."""
        registry = self._registry
        if len(batch):
            groups = group(batch)
            slots = registry.slots(groups.tuples)
            steps = triage(batch, groups, registry.table.watched[slots])
            clock_ns = np.maximum(np.maximum.accumulate(batch.time_ns), self._clock_ns)
            Walk(registry, batch, steps, slots[steps.group_tuple], clock_ns).walk()
            self._clock_ns = int(clock_ns[-1])
        registry.number()
        for error in batch.icmp_errors:
            self._icmp(error)
        self._retire_ended()
        retired, registry.retired = registry.retired, []
        return retired

    def take_late(self) -> list[Late]:
        """Segments of connections that had retired before, since the last time."""
        late, self._registry.late = self._registry.late, []
        return late

    def finish(self) -> Iterator[Connection]:
        """Retire everything: connections that something answered, then those of SYNs alone, by number."""
        registry = self._registry
        for connection in list(registry.live.values()):
            registry.retire(connection)
        yield from registry.retired
        registry.retired = []
        for slot in np.flatnonzero(registry.table.state[: registry.table.count] == SYN_ONLY).tolist():
            yield registry.from_syns(slot)

    def _retire_ended(self) -> None:
        """Retire what ended LINGER_NS ago. The queue is in order of first ends; who had more to say goes back in."""
        closing, live = self._registry.closing, self._registry.live
        for _ in range(len(closing)):
            if closing[0].ended_ns + LINGER_NS >= self._clock_ns:
                break
            connection = closing.popleft()
            if live.get(connection.slot) is connection:
                self._registry.retire(connection)

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
        for connection in [*(c for c in registry.retired if c.slot == slot), *([live] if live else [])]:
            over = connection.ended and connection.ended_packet < error.packet
            if connection.first_packet < error.packet and not over:
                code = f"icmp_{error.what.replace('-', '_')}"
                connection.note(code, error.packet, error.time_ns, error.detail)
                return
