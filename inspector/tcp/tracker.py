"""All connections of a capture: batches in, ended connections out.

For each batch: sort by 4-tuple, find the slots, triage, walk the steps, add up the rest, number what is new, retire
what has ended. Connections of SYNs alone never become objects here, unless something answers; a flood of them costs a
row each. A connection retires LINGER_NS of capture time after its end, or when its 4-tuple is used again; segments that
come later are late: counted, and an anomaly of its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from inspector.bytestream import FROM_CLIENT, Piece, StreamChunk, StreamSink
from inspector.endpoints import server_by_port
from inspector.packets.batch import I64, IcmpError, PacketBatch
from inspector.tcp.connection import Connection
from inspector.tcp.flow_table import CONNECTION, EMPTY, ENDED, SYN_ONLY, FlowTable, group
from inspector.tcp.segment import ACK, FIN, RST, SYN, Rows, Run, Segment
from inspector.tcp.sequence import MASK, distance
from inspector.tcp.triage import Steps, triage

#: Capture time for which an ended connection still takes what comes.
LINGER_NS = 2_000_000_000


class Late(NamedTuple):
    """A segment of a connection that has retired."""

    connection: int
    packet: int
    time_ns: int


class Tracker:
    """Feed it batches of segments; it gives the connections that have ended, and all others at the end."""

    def __init__(
        self,
        make_sink: Callable[[Connection], StreamSink],
        on_new: Callable[[Connection], None] | None = None,
    ) -> None:
        self._make_sink = make_sink
        self._on_new = on_new
        """Told of every connection when it begins; then none stays a row, not even of SYNs alone."""
        self._table = FlowTable()
        self._live: list[Connection | None] = []
        """By slot."""
        self._closing: deque[Connection] = deque()
        self._retired: list[Connection] = []
        self._fresh: list[Connection] = []
        self._fresh_slots: list[I64] = []
        self.connections = 0
        """How many were seen."""
        self.late: list[Late] = []
        """Segments behind the end of their connection, of the last batch; whoever reads it empties it."""
        self._clock_ns = 0

    def feed(self, batch: PacketBatch) -> list[Connection]:
        """Take a batch; the connections that retired with it, numbered, in the order of their retirement."""
        if len(batch):
            groups = group(batch)
            slots = self._table.slots(groups.tuples)
            self._live.extend([None] * (self._table.count - len(self._live)))
            steps = triage(batch, groups, self._table.watched[slots])
            _Walk(self, batch, steps, slots[steps.group_tuple]).walk()
        self._clock_ns = max(self._clock_ns, batch.end_ns)
        self._number()
        for error in batch.icmp_errors:
            self._icmp(error)
        self._retire_ended()
        retired, self._retired = self._retired, []
        return retired

    def finish(self) -> Iterator[Connection]:
        """Retire everything: connections that something answered, then those of SYNs alone, by number."""
        for connection in [c for c in self._live if c is not None]:
            self._retire(connection)
        yield from self._retired
        self._retired = []
        for slot in np.flatnonzero(self._table.state[: self._table.count] == SYN_ONLY).tolist():
            yield self._from_syns(slot)

    # ---- slots and connections

    def _new(self, slot: int, client_end: int, role_from: str, packet: int, time_ns: int) -> Connection:
        high_0, low_0, high_1, low_1, ports = (int(word[slot]) for word in self._table.words)
        ends = ((high_0, low_0, ports >> 16), (high_1, low_1, ports & 0xFFFF))
        connection = Connection(ends, client_end, role_from, packet, time_ns, self._make_sink)
        connection.slot = slot
        return connection

    def _install(self, connection: Connection) -> None:
        self._live[connection.slot] = connection
        self._table.state[connection.slot] = CONNECTION
        self._table.watched[connection.slot] = False
        if connection.id < 0:
            self._fresh.append(connection)
        if self._on_new is not None:
            self._on_new(connection)

    def _from_syns(self, slot: int) -> Connection:
        """The connection that a slot of SYNs alone stands for."""
        table = self._table
        end = 0 if table.base_known[slot] == 1 else 1
        connection = self._new(slot, end, "syn", int(table.syn_packet[slot]), int(table.syn_ns[slot]))
        connection.id = int(table.connection_id[slot])
        isn = int((table.base_1 if end else table.base_0)[slot])
        connection.syns_alone(isn, int(table.syn_count[slot]), int(table.last_packet[slot]), int(table.last_ns[slot]))
        side = connection.sides[FROM_CLIENT]
        side.ttls[int(table.syn_ttl[slot])] = side.packets
        side.network = int(table.syn_network[slot])
        return connection

    def _retire(self, connection: Connection) -> None:
        """The connection's story is over: its slot remembers only its number and where its sequence numbers began."""
        connection.finish()
        connection.retired = True
        self._retired.append(connection)
        slot, table = connection.slot, self._table
        if self._live[slot] is not connection:
            return
        self._live[slot] = None
        table.state[slot] = ENDED
        table.watched[slot] = False
        table.connection_id[slot] = connection.id
        known = 0
        for end in (0, 1):
            base = connection.sides[end ^ connection.client_end].base_seq
            if base is not None:
                (table.base_1 if end else table.base_0)[slot] = base
                known |= 1 << end
        table.base_known[slot] = known

    def _retire_ended(self) -> None:
        """Retire what ended LINGER_NS ago. The queue is in order of first ends; who had more to say goes back in."""
        for _ in range(len(self._closing)):
            if self._closing[0].ended_ns + LINGER_NS >= self._clock_ns:
                break
            connection = self._closing.popleft()
            if self._live[connection.slot] is connection:
                self._retire(connection)

    def _number(self) -> None:
        """Give the batch's new connections their numbers, by first packet."""
        slots = np.concatenate([*self._fresh_slots, np.zeros(0, np.int64)])
        firsts = np.concatenate([self._table.syn_packet[slots], [c.first_packet for c in self._fresh]]).astype(np.int64)
        numbers = np.empty(len(firsts), np.int64)
        numbers[np.argsort(firsts, kind="stable")] = np.arange(self.connections, self.connections + len(firsts))
        self.connections += len(firsts)
        self._table.connection_id[slots] = numbers[: len(slots)]
        for connection, number in zip(self._fresh, numbers[len(slots) :].tolist(), strict=True):
            connection.id = number
            if self._live[connection.slot] is None and self._table.state[connection.slot] == ENDED:
                self._table.connection_id[connection.slot] = number
        self._fresh, self._fresh_slots = [], []

    def _icmp(self, error: IcmpError) -> None:
        """Somebody says that a segment did not get through: an anomaly of its connection, if there is one."""
        slot = self._table.find_one(
            (error.src_hi, error.src_lo, error.src_port), (error.dst_hi, error.dst_lo, error.dst_port)
        )
        if slot is None or self._table.state[slot] not in (SYN_ONLY, CONNECTION):
            return
        connection = self._live[slot]
        if connection is None:
            connection = self._from_syns(slot)
            self._install(connection)
        code = f"icmp_{error.what.replace('-', '_')}"
        connection.note(code, error.packet, error.time_ns, error.detail)


class _Walk:
    """One batch's steps, walked."""

    def __init__(self, tracker: Tracker, batch: PacketBatch, steps: Steps, slots: I64) -> None:
        self._tracker = tracker
        self._table = tracker._table
        self._batch = batch
        self._steps = steps
        self._slots = slots
        self._buffer = memoryview(batch.data)  # type: ignore[arg-type]

    def walk(self) -> None:
        """Syns alone at once, everything else group by group."""
        alone = self._syns_alone()
        rest = np.flatnonzero(~alone)
        if len(rest):
            self._load()
            slots = self._slots.tolist()
            for index in rest.tolist():
                self._group(index, slots[index])

    # ---- SYNs alone

    def _syns_alone(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Enter groups that are one plain SYN into the table; which groups these are."""
        batch, steps, table, slots = self._batch, self._steps, self._table, self._slots
        rows = steps.order[steps.group_starts[:-1]]
        alone = np.diff(steps.group_starts) == 1
        alone &= ((batch.flags[rows] & (SYN | ACK | FIN | RST)) == SYN) & (batch.payload_length[rows] == 0)
        only_group = np.ones(len(slots), bool)
        only_group[1:] = slots[1:] != slots[:-1]
        only_group[:-1] &= slots[1:] != slots[:-1]
        reverse = steps.direction[steps.group_starts[:-1]]
        base = np.where(reverse, table.base_1[slots], table.base_0[slots])
        again = (table.state[slots] == SYN_ONLY) & (table.base_known[slots] == 1 + reverse) & (base == batch.seq[rows])
        again &= (batch.network[rows] == table.syn_network[slots]) & (batch.ttl[rows] == table.syn_ttl[slots])
        new = table.state[slots] == EMPTY
        alone &= only_group & (new | again) & (self._tracker._on_new is None)
        self._enter_new(slots[alone & new], rows[alone & new], reverse[alone & new])
        self._enter_again(slots[alone & again], rows[alone & again])
        return alone

    def _enter_new(self, slots: I64, rows: I64, reverse: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        batch, table = self._batch, self._table
        table.state[slots] = SYN_ONLY
        table.base_0[slots] = table.base_1[slots] = batch.seq[rows]
        table.base_known[slots] = 1 + reverse
        table.syn_packet[slots] = table.last_packet[slots] = batch.packet[rows]
        table.syn_ns[slots] = table.last_ns[slots] = batch.time_ns[rows]
        table.syn_count[slots] = 1
        table.syn_ttl[slots] = batch.ttl[rows]
        table.syn_network[slots] = batch.network[rows]
        self._tracker._fresh_slots.append(slots)

    def _enter_again(self, slots: I64, rows: I64) -> None:
        self._table.syn_count[slots] += 1
        self._table.last_packet[slots] = self._batch.packet[rows]
        self._table.last_ns[slots] = self._batch.time_ns[rows]

    # ---- everything else

    def _load(self) -> None:
        """Turn what the steps need into lists: reading a list is five times faster than reading an array."""
        batch, steps = self._batch, self._steps
        first, members, order = steps.first, steps.members, steps.order
        self._members = Rows(batch, order[members], self._buffer)
        self._position = members[first[:-1]].tolist()
        self._last_position = members[first[1:] - 1].tolist()
        rows = order[members[first[:-1]]]
        last_rows = order[members[first[1:] - 1]]
        ends = np.concatenate([[0], np.cumsum(batch.payload_length[order[members]])])
        self._length = np.diff(ends[first]).tolist()
        self._first = first.tolist()
        self._run = steps.run.tolist()
        self._direction = steps.direction[members[first[:-1]]].tolist()
        self._flags = batch.flags[rows].tolist()
        self._seq = batch.seq[rows].tolist()
        self._packet = batch.packet[rows].tolist()
        self._time = batch.time_ns[rows].tolist()
        self._last_time = batch.time_ns[last_rows].tolist()
        self._payload = batch.payload_position[rows].tolist()
        self._rows = rows.tolist()
        self._ack = batch.ack[rows].tolist()
        self._window = batch.window[rows].tolist()
        self._captured = batch.payload_captured[rows].tolist()
        self._ttl = batch.ttl[rows].tolist()
        self._step_starts = steps.step_starts.tolist()
        starts = steps.group_starts
        self._group_starts = starts.tolist()
        ends_of_groups = order[starts[1:] - 1]
        self._group_last = list(
            zip(batch.packet[ends_of_groups].tolist(), batch.time_ns[ends_of_groups].tolist(), strict=True)
        )
        self._totals = [list(zip(*(column.tolist() for column in total), strict=True)) for total in steps.totals]

    def _group(self, index: int, slot: int) -> None:
        """All rows of one connection in this batch."""
        step, end = self._step_starts[index], self._step_starts[index + 1]
        connection = self._connection_of(slot, step)
        if connection is None or connection.retired:
            self._late(connection, slot, self._group_starts[index], self._group_starts[index + 1])
            return
        late_from = self._steps_of(connection, index, step, end)
        self._add_up(connection, index, late_from)
        if connection.watching:
            self._table.watched[slot] = True
            if connection.ended and not connection.queued:
                connection.queued = True
                self._tracker._closing.append(connection)
        elif self._table.watched[slot]:
            self._table.watched[slot] = False

    def _steps_of(self, connection: Connection, index: int, step: int, end: int) -> int | None:
        """Tell a connection its steps; the sorted position from which on its rows are late, if any."""
        run, direction = self._run, self._direction
        while step < end:
            if connection.ended and self._time[step] > connection.ended_ns + LINGER_NS:
                return self._position[step]
            towards = direction[step] ^ connection.client_end
            if not run[step]:
                connection.segment(towards, self._segment(step))
            elif not connection.run(towards, self._seq[step], self._chunk(step, towards)):
                if not connection.watching:
                    self._acknowledge(connection, index, self._position[step])
                self._rows_of(connection, self._position[step], self._last_position[step] + 1, only=towards)
            step += 1
            if connection.holding:
                step = self._follow(connection, index, step, end)
        return None

    def _segment(self, step: int) -> Segment:
        return Segment(
            self._packet[step],
            self._time[step],
            self._seq[step],
            self._ack[step],
            self._flags[step],
            self._window[step],
            self._length[step],
            self._captured[step],
            self._ttl[step],
            self._buffer,
            self._payload[step],
        )

    def _chunk(self, step: int, direction: int) -> StreamChunk:
        length, first = self._length[step], self._first[step]
        if self._first[step + 1] - first == 1:
            at = self._payload[step]
            return Piece(direction, 0, self._buffer[at : at + length], self._packet[step], self._time[step])
        return Run(direction, length, self._members, first, self._first[step + 1] - 1)

    def _follow(self, connection: Connection, index: int, step: int, end: int) -> int:
        """Tell each row from the last step on, while the connection asks for it; the step to go on with."""
        group_end = self._group_starts[index + 1]
        position = self._last_position[step - 1] + 1
        self._acknowledge(connection, index, position)
        while connection.holding and position < group_end:
            self._rows_of(connection, position, position + 1)
            position += 1
        while step < end and self._position[step] < position:
            step += 1
        next_start = self._position[step] if step < end else group_end
        self._rows_of(connection, position, next_start)
        return step

    def _rows_of(self, connection: Connection, start: int, end: int, only: int | None = None) -> None:
        """Tell the rows at sorted positions start to end one by one (`only` those of one direction)."""
        batch, steps = self._batch, self._steps
        for position in range(start, end):
            row = int(steps.order[position])
            towards = int(steps.direction[position]) ^ connection.client_end
            if only is not None and towards != only:
                continue
            connection.segment(
                towards,
                Segment(
                    int(batch.packet[row]),
                    int(batch.time_ns[row]),
                    int(batch.seq[row]),
                    int(batch.ack[row]),
                    int(batch.flags[row]),
                    int(batch.window[row]),
                    int(batch.payload_length[row]),
                    int(batch.payload_captured[row]),
                    int(batch.ttl[row]),
                    self._buffer,
                    int(batch.payload_position[row]),
                ),
            )

    def _acknowledge(self, connection: Connection, index: int, position: int) -> None:
        """Bring acknowledgments up to date to a sorted position (not included): rows in between were not told."""
        start = self._group_starts[index]
        if position <= start:
            return
        batch, rows = self._batch, self._steps.order[start:position]
        highest = [-1, -1]
        telling = (batch.flags[rows] & (ACK | RST)) == ACK
        for end in (0, 1):
            acks = batch.ack[rows[telling & (self._steps.direction[start:position] == end)]]
            if len(acks):
                ahead = (acks - acks[0]).astype(np.int32)
                highest[end ^ connection.client_end] = (int(acks[0]) + int(ahead.max())) & MASK
        last = int(rows[-1])
        connection.acknowledged(highest[0], highest[1], int(batch.packet[last]), int(batch.time_ns[last]))

    # ---- which connection

    def _connection_of(self, slot: int, step: int) -> Connection | None:
        """The connection that a group belongs to, made if need be; a retired one, or None, when its rows are late."""
        tracker, flags = self._tracker, self._flags[step]
        connection = tracker._live[slot]
        state = CONNECTION if connection is not None else int(self._table.state[slot])
        opens = (flags & (SYN | ACK | RST | FIN)) == SYN and self._is_new(connection, state, slot, step)
        if state == SYN_ONLY:
            connection = tracker._from_syns(slot)
            tracker._install(connection)
        if connection is not None:
            stale = connection.ended and self._time[step] > connection.ended_ns + LINGER_NS
            if opens or stale:
                tracker._retire(connection)
            if not opens:
                return connection
        elif state == ENDED and not opens:
            return None
        connection = self._begin(slot, step)
        tracker._install(connection)
        return connection

    def _is_new(self, connection: Connection | None, state: int, slot: int, step: int) -> bool:
        """Whether a SYN opens another connection than the one its tuple had: its ISN differs from where that began."""
        if state == EMPTY:
            return True
        end, seq = self._direction[step], self._seq[step]
        if connection is not None:
            base = connection.sides[end ^ connection.client_end].base_seq
            return base is not None and base != seq
        if not int(self._table.base_known[slot]) >> end & 1:
            return state == ENDED
        return bool((self._table.base_1 if end else self._table.base_0)[slot] != seq)

    def _begin(self, slot: int, step: int) -> Connection:
        """A new connection, with its roles as far as the first packet tells them."""
        flags, sender = self._flags[step], self._direction[step]
        ports = int(self._table.words[4][slot])
        if flags & SYN:
            client_end, role_from = (1 - sender, "syn-ack") if flags & ACK else (sender, "syn")
        elif flags & RST and flags & ACK and self._seq[step] == 0:
            client_end, role_from = 1 - sender, "first-packet"  # the answer to a SYN (RFC 9293 section 3.5.2)
        else:
            server = server_by_port(ports >> 16, ports & 0xFFFF)
            client_end, role_from = (sender, "first-packet") if server is None else (1 - server, "port")
        return self._tracker._new(slot, client_end, role_from, self._packet[step], self._time[step])

    # ---- sums

    def _add_up(self, connection: Connection, index: int, late_from: int | None) -> None:
        """Give the connection what its group adds up to, without the rows that are late."""
        for end in (0, 1):
            packets, captured, ttl_low, ttl_high, network_low, network_high, ack = self._totals[end][index]
            if not packets:
                continue
            side = connection.sides[end ^ connection.client_end]
            side.packets += packets
            side.captured += captured
            if ttl_low == ttl_high:
                side.ttls[ttl_low] = side.ttls.get(ttl_low, 0) + packets
            else:
                self._add_ttls(side.ttls, index, end)
            if side.network is None:
                side.network = network_low
            if network_low != side.network or network_high != network_low:
                self._network(connection, end ^ connection.client_end, index, end)
            if ack >= 0:
                peer = connection.sides[1 - (end ^ connection.client_end)]
                if peer.acked_seq is None or distance(ack, peer.acked_seq) > 0:
                    peer.acked_seq = ack
        connection.last_packet, connection.end_ns = self._group_last[index]
        if late_from is not None:
            self._take_late_out(connection, late_from, self._group_starts[index + 1])

    def _rows_from(self, index: int, end: int) -> I64:
        """Batch rows of a group that the tuple's end `end` sent."""
        start, stop = self._group_starts[index], self._group_starts[index + 1]
        return self._steps.order[start:stop][self._steps.direction[start:stop] == end]

    def _add_ttls(self, ttls: dict[int, int], index: int, end: int) -> None:
        values, counts = np.unique(self._batch.ttl[self._rows_from(index, end)], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            ttls[value] = ttls.get(value, 0) + count

    def _network(self, connection: Connection, direction: int, index: int, end: int) -> None:
        """The direction comes under other tags than before: two networks with the same addresses."""
        side, rows = connection.sides[direction], self._rows_from(index, end)
        networks = self._batch.network[rows]
        odd = np.flatnonzero(networks != side.network)
        if len(odd):
            row = rows[odd[0]]
            connection.note_once(
                "overlapping_networks",
                int(self._batch.packet[row]),
                int(self._batch.time_ns[row]),
                "the same addresses and ports under another VLAN, VNI or interface",
            )

    def _take_late_out(self, connection: Connection, start: int, end: int) -> None:
        rows, batch = self._steps.order[start:end], self._batch
        for sender in (0, 1):
            mine = rows[self._steps.direction[start:end] == sender]
            side = connection.sides[sender ^ connection.client_end]
            side.packets -= len(mine)
            side.captured -= int(batch.payload_captured[mine].sum())
            for ttl in batch.ttl[mine].tolist():
                side.ttls[ttl] -= 1
        before = self._steps.order[start - 1]
        connection.last_packet, connection.end_ns = int(batch.packet[before]), int(batch.time_ns[before])
        self._tracker._retire(connection)
        self._late(connection, connection.slot, start, end)

    def _late(self, connection: Connection | None, slot: int, start: int, end: int) -> None:
        """Rows behind the end of a connection. One that retires in this batch may not have its number yet: it keeps
        them itself."""
        rows = self._steps.order[start:end]
        late = list(zip(self._batch.packet[rows].tolist(), self._batch.time_ns[rows].tolist(), strict=True))
        if connection is not None:
            connection.late += late
        else:
            number = int(self._table.connection_id[slot])
            self._tracker.late += [Late(number, packet, time_ns) for packet, time_ns in late]
