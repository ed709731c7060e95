"""The connections of a capture by 4-tuple: begun, found again, retired, numbered.

A slot of the flow table holds SYNs alone (a row, no object), a live connection, or the memory of one that has ended:
its number and where its sequence numbers began, which tells a late segment from a new connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappush
from typing import NamedTuple

import numpy as np

from inspector.bytestream import FROM_CLIENT
from inspector.packets.batch import I64, U64
from inspector.tcp.connection import Connection, Ends, MakeSink
from inspector.tcp.flow_table import CONNECTION, EMPTY, ENDED, SYN_ONLY, FlowTable


class Late(NamedTuple):
    """A segment of a connection that has retired."""

    connection: int
    packet: int
    time_ns: int


class Registry:
    """Who is who."""

    def __init__(
        self,
        make_sink: MakeSink,
        on_new: Callable[[Connection], None] | None,
    ) -> None:
        self._make_sink = make_sink
        self.on_new = on_new
        """Told of every connection when it begins; then none stays a row, not even of SYNs alone."""
        self.table = FlowTable()
        self.live: dict[int, Connection] = {}
        """By slot."""
        self.closing: list[tuple[int, int, Connection]] = []
        """Connections that have ended, until they retire: a heap by the time of their ends as they were queued, then
        by first packet."""
        self.retired: list[Connection] = []
        """Connections whose story is over, in that order; whoever reads it empties it."""
        self.late: list[Late] = []
        """Segments behind the end of connections that have retired; whoever reads it empties it."""
        self.fresh: list[Connection] = []
        """Connections without a number yet."""
        self.fresh_slots: list[I64] = []
        """Slots of SYNs alone without a number yet."""
        self.connections = 0
        """How many have a number."""

    def slots(self, tuples: tuple[U64, ...]) -> I64:
        """The slot of each of several distinct tuples (FlowTable.slots)."""
        return self.table.slots(tuples)

    def new(
        self,
        slot: int,
        client_end: int,
        role_from: str,
        packet: int,
        time_ns: int,
    ) -> Connection:
        connection = Connection(self.ends(slot), client_end, role_from, packet, time_ns, self._make_sink)
        connection.slot = slot
        return connection

    def ends(self, slot: int) -> Ends:
        """Address high, address low and port of both ends of a slot's tuple."""
        high_0, low_0, high_1, low_1, all_ports = self.table.words
        ports = all_ports.item(slot)
        return (high_0.item(slot), low_0.item(slot), ports >> 16), (high_1.item(slot), low_1.item(slot), ports & 0xFFFF)

    def install(self, connection: Connection) -> None:
        self.live[connection.slot] = connection
        self.table.state[connection.slot] = CONNECTION
        self.table.watched[connection.slot] = False
        if connection.id < 0:
            self.fresh.append(connection)
        if self.on_new is not None:
            self.on_new(connection)

    def from_syns(self, slot: int) -> Connection:
        """The connection that a slot of SYNs alone stands for."""
        table = self.table
        end = 0 if table.base_known[slot] == 1 else 1
        connection = self.new(slot, end, "syn", int(table.syn_packet[slot]), int(table.syn_ns[slot]))
        connection.id = int(table.connection_id[slot])
        isn = int((table.base_1 if end else table.base_0)[slot])
        last_packet = connection.first_packet + int(table.packet_span[slot])
        connection.syns_alone(isn, int(table.syn_count[slot]), last_packet, int(table.last_ns[slot]))
        side = connection.sides[FROM_CLIENT]
        side.add_ttl(int(table.syn_ttl[slot]), side.packets)
        side.network = int(table.syn_network[slot])
        return connection

    def base_seq(self, slot: int, end: int) -> int | None:
        """What Connection.base_seq would say of the connection that a slot remembers, or has SYNs alone of."""
        table = self.table
        if not int(table.base_known[slot]) >> end & 1:
            return None
        return int((table.base_1 if end else table.base_0)[slot])

    def retire_later(self, connection: Connection) -> None:
        """The connection has ended: queue it."""
        connection.queued = True
        heappush(self.closing, (connection.ended_ns, connection.first_packet, connection))

    def retire(self, connection: Connection) -> None:
        """The connection's story is over: its slot remembers only its number and where its sequence numbers began."""
        connection.finish()
        connection.retired = True
        self.retired.append(connection)
        slot, table = connection.slot, self.table
        if self.live.get(slot) is not connection:
            return
        del self.live[slot]
        table.state[slot] = ENDED
        table.watched[slot] = False
        table.connection_id[slot] = connection.id
        table.last_ns[slot] = connection.end_ns
        known = 0
        for end in (0, 1):
            base = connection.base_seq(end)
            if base is not None:
                (table.base_1 if end else table.base_0)[slot] = base
                known |= 1 << end
        table.base_known[slot] = known

    def retire_oldest(self, following: int, unanswered: int) -> Iterator[Connection]:
        """Give up connections beyond so many, and those of SYNs alone beyond so many: first those that were quiet
        longest. What comes for them later begins a new connection."""
        table = self.table
        if len(self.live) > following:
            quiet_longest = sorted(self.live.values(), key=lambda connection: (connection.end_ns, connection.id))
            for connection in quiet_longest[: len(self.live) - following]:
                self.retire(connection)
                self.retired.clear()
                table.state[connection.slot] = EMPTY
                yield connection
        slots = np.flatnonzero(table.state[: table.count] == SYN_ONLY)
        if len(slots) > unanswered:
            oldest = slots[np.argsort(table.last_ns[slots], kind="stable")][: len(slots) - unanswered]
            for slot in oldest.tolist():
                yield self.from_syns(slot)
            table.state[oldest] = EMPTY

    def forget(self, remembered: int) -> None:
        """Keep the slots of so many connections that have ended, the last ones, when there are twice as many."""
        table = self.table
        state = table.state[: table.count]
        over = np.flatnonzero((state == ENDED) | (state == EMPTY))
        if len(over) <= 2 * remembered:
            return
        ended = over[state[over] == ENDED]
        last = ended[np.argsort(table.last_ns[ended], kind="stable")][len(ended) - min(len(ended), remembered) :]
        kept = np.sort(np.concatenate([np.flatnonzero((state == SYN_ONLY) | (state == CONNECTION)), last]))
        table.keep(kept)
        live = list(self.live.values())
        for connection, slot in zip(live, np.searchsorted(kept, [one.slot for one in live]).tolist(), strict=True):
            connection.slot = slot
        self.live = {connection.slot: connection for connection in live}

    def number(self) -> None:
        """Give the batch's new connections their numbers, by first packet."""
        slots = np.concatenate([*self.fresh_slots, np.zeros(0, np.int64)])
        firsts = np.concatenate([self.table.syn_packet[slots], [c.first_packet for c in self.fresh]]).astype(np.int64)
        numbers = np.empty(len(firsts), np.int64)
        numbers[np.argsort(firsts, kind="stable")] = np.arange(self.connections, self.connections + len(firsts))
        self.connections += len(firsts)
        self.table.connection_id[slots] = numbers[: len(slots)]
        for connection, number in zip(self.fresh, numbers[len(slots) :].tolist(), strict=True):
            connection.id = number
            if self.table.state[connection.slot] == ENDED:
                self.table.connection_id[connection.slot] = number
        self.fresh, self.fresh_slots = [], []
