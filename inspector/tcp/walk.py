"""One batch's steps, walked: each connection is told what it must see, and given what the rest adds up to.

The steps of one 4-tuple follow one another, whatever other connections did in between: connections do not meet. Where
a connection asks for rows that triage took for quiet ones, they are told one by one until it has seen enough.
"""

from __future__ import annotations

import numpy as np

from inspector.bytestream import Piece, StreamChunk
from inspector.endpoints import server_by_port
from inspector.packets.batch import I64, U8, PacketBatch
from inspector.tcp import regular, whole_connection
from inspector.tcp.connection import Connection
from inspector.tcp.flow_table import CONNECTION, EMPTY, ENDED, SYN_ONLY
from inspector.tcp.registry import Late, Registry
from inspector.tcp.segment import ACK, FIN, RST, SYN, Rows, Run, Segment
from inspector.tcp.sequence import MASK, distance
from inspector.tcp.side import Side
from inspector.tcp.triage import SPREAD, WIDEST_SPREAD, Mask, Steps, Totals
from inspector.tcp.whole import LIFE, Begun, StepColumns, beginnings, step_columns, walked, whole_connections
from inspector.tcp.whole_connection import ReadWhole, Story, WholeConnection

#: Capture time for which an ended connection still takes what comes.
LINGER_NS = 2_000_000_000

#: SYNs of a connection of SYNs alone that are counted.
_MOST_SYNS = 0xFFFF
_HANDSHAKE = [SYN, SYN | ACK, ACK]
_FIN_ACK = FIN | ACK
#: Where `ack` is in Totals, with `ack_first` behind it.
_ACK_TOTAL = Totals._fields.index("ack")
_FAREWELL = [FIN | ACK, FIN | ACK, ACK]


class Walk:
    """One batch's steps, walked."""

    def __init__(
        self,
        registry: Registry,
        batch: PacketBatch,
        steps: Steps,
        slots: I64,
        clock_ns: I64,
        read_whole: ReadWhole | None,
    ) -> None:
        self._read_whole = read_whole
        self._registry = registry
        self._clock_ns = clock_ns
        """Per batch row, the latest time that any segment up to there had: lateness goes by it."""
        self._table = registry.table
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

    def _syns_alone(self) -> Mask:
        """Enter groups that are one plain SYN into the table; which groups these are."""
        batch, steps, table, slots = self._batch, self._steps, self._table, self._slots
        rows = steps.order[steps.group_starts[:-1]]
        alone: Mask = np.diff(steps.group_starts) == 1
        alone &= ((batch.flags[rows] & (SYN | ACK | FIN | RST)) == SYN) & (batch.payload_length[rows] == 0)
        only_group = np.ones(len(slots), bool)
        only_group[1:] = slots[1:] != slots[:-1]
        only_group[:-1] &= slots[1:] != slots[:-1]
        reverse = steps.direction[steps.group_starts[:-1]]
        base = np.where(reverse, table.base_1[slots], table.base_0[slots])
        again = (table.state[slots] == SYN_ONLY) & (table.base_known[slots] == 1 + reverse) & (base == batch.seq[rows])
        again &= (batch.network[rows] == table.syn_network[slots]) & (batch.ttl[rows] == table.syn_ttl[slots])
        new = table.state[slots] == EMPTY
        alone &= only_group & (new | again) & (self._registry.on_new is None)
        self._enter_new(slots[alone & new], rows[alone & new], reverse[alone & new])
        self._enter_again(slots[alone & again], rows[alone & again])
        return alone

    def _enter_new(self, slots: I64, rows: I64, reverse: U8) -> None:
        batch, table = self._batch, self._table
        table.state[slots] = SYN_ONLY
        table.base_0[slots] = table.base_1[slots] = batch.seq[rows]
        table.base_known[slots] = 1 + reverse
        table.syn_packet[slots] = batch.packet[rows]
        table.packet_span[slots] = 0
        table.syn_ns[slots] = table.last_ns[slots] = batch.time_ns[rows]
        table.syn_count[slots] = 1
        table.syn_ttl[slots] = batch.ttl[rows]
        table.syn_network[slots] = batch.network[rows]
        self._registry.fresh_slots.append(slots)

    def _enter_again(self, slots: I64, rows: I64) -> None:
        table = self._table
        table.syn_count[slots] += table.syn_count[slots] < _MOST_SYNS
        table.packet_span[slots] = self._batch.packet[rows] - table.syn_packet[slots]
        table.last_ns[slots] = self._batch.time_ns[rows]

    # ---- everything else

    def _load(self) -> None:
        """Turn what the steps need into lists: reading a list is five times faster than reading an array."""
        batch, steps = self._batch, self._steps
        first, members, order = steps.first, steps.members, steps.order
        columns = step_columns(batch, steps)
        closing = whole_connections(steps, columns)
        begins = (closing >= 0) & self._begin_anew(columns)
        self._begun = beginnings(
            batch,
            steps,
            columns,
            closing,
            [word[self._slots[begins]] for word in self._table.words],
            np.flatnonzero(begins),
        )
        kept = walked(steps, begins, closing)
        kept_before = np.append(0, np.cumsum(kept))
        count = np.diff(first)
        several = (count > 1) & kept
        self._members = Rows(batch, order[members[np.repeat(several, count)]], self._buffer)
        self._member = (np.cumsum(np.where(several, count, 0)) - count)[kept].tolist()
        self._count = count[kept].tolist()
        self._first_at, self._last_at = members[first[:-1]][kept], members[first[1:] - 1][kept]
        rows = order[self._first_at]
        columns = StepColumns._make(column[kept] for column in columns)
        self._closing = np.where(closing >= 0, kept_before[closing], -1).tolist()
        self._length = columns.length.tolist()
        self._run = steps.run[kept].tolist()
        self._direction = columns.direction.tolist()
        self._flags = columns.flags.tolist()
        self._seq = columns.seq.tolist()
        self._packet = batch.packet[rows].tolist()
        self._time = batch.time_ns[rows].tolist()
        clock_ns = self._clock_ns[rows]
        self._clock: list[int] = self._time if (clock_ns == batch.time_ns[rows]).all() else clock_ns.tolist()
        self._payload = batch.payload_position[rows].tolist()
        self._ack = columns.ack.tolist()
        self._window = columns.window.tolist()
        self._step_starts = kept_before[steps.step_starts].tolist()
        starts = steps.group_starts
        self._group_starts = starts.tolist()
        ends_of_groups = order[starts[1:] - 1]
        self._group_last = list(
            zip(batch.packet[ends_of_groups].tolist(), batch.time_ns[ends_of_groups].tolist(), strict=True)
        )
        self._totals = [list(zip(*(column.tolist() for column in total), strict=True)) for total in steps.totals]

    def _begin_anew(self, columns: StepColumns) -> Mask:
        """Groups beginning with a SYN that no connection of its tuple can claim, as `_connection_of` would find out."""
        table, slots, first = self._table, self._slots, self._steps.step_starts[:-1]
        state, end = table.state[slots], columns.direction[first]
        known = (table.base_known[slots] >> end) & 1 != 0
        same = known & (np.where(end == 1, table.base_1[slots], table.base_0[slots]) == columns.seq[first])
        anew: Mask = (state == EMPTY) | ((state == ENDED) & ~same)
        anew[1:] &= slots[1:] != slots[:-1]
        return anew & (self._registry.on_new is None)

    def _group(self, index: int, slot: int) -> None:
        """All rows of one connection in this batch."""
        step, end = self._step_starts[index], self._step_starts[index + 1]
        begun = self._begun.get(index)
        if begun is not None:
            self._begin_whole(begun, index, slot)
            return
        connection = self._connection_of(slot, step)
        if connection is None or connection.retired:
            self._late(connection, slot, self._group_starts[index], self._group_starts[index + 1])
            return
        if self._closing[index] >= 0 and regular.is_new(connection):
            self._tell_whole(connection, index)
            return
        start, behind = self._group_starts[index], self._group_starts[index + 1]
        if one_by_one := self._one_by_one(connection, index, step):
            late_from = self._all_rows_of(connection, start, behind)
        else:
            late_from = self._steps_of(connection, index, step, end)
        if late_from is not None:
            if not one_by_one:
                self._acknowledge(connection, start, late_from)
            self._retire_before(connection, start, late_from, behind)
            return
        self._add_up(connection, index)
        if not one_by_one:
            self._add_acknowledgments(connection, index)
        if connection.watching:
            self._table.watched[slot] = True
            if connection.ended and not connection.queued:
                self._registry.retire_later(connection)
        elif self._table.watched[slot]:
            self._table.watched[slot] = False

    def _begin_whole(self, begun: Begun, index: int, slot: int) -> None:
        """A connection that is all in this batch: its payload is read at once, where that is possible."""
        client_end, ends, packet, seqs, times_ns, closes_first, acknowledged_between, acks, packets, close_ns = begun
        carried = self._carried(self._step_starts[index], self._step_starts[index + 1], client_end)
        chunks, registry, totals = carried.chunks, self._registry, self._totals
        read = self._read_whole(chunks) if chunks and self._read_whole is not None else None
        direction = closes_first ^ client_end
        story = Story(
            seqs,
            times_ns,
            carried.lengths,
            whole_connection.history(carried.letters, direction, acknowledged_between),
            None if read is None else read.last,
            direction,
            acks,
            packets,
            close_ns,
            (totals[client_end][index], totals[1 - client_end][index]),
        )
        if read is not None:
            connection: Connection = WholeConnection(slot, ends, client_end, packet, times_ns[0], story, read)
            registry.install(connection)
        else:
            connection = self._enter(slot, client_end, "syn", packet, times_ns[0])
            whole_connection.tell(connection, chunks, story)
        self._told_whole(connection, index)

    def _tell_whole(self, connection: Connection, index: int) -> None:
        """Tell a new connection all its steps at once, and what they add up to."""
        step, close, second = self._step_starts[index], self._closing[index], self._step_starts[index + 1] - 2
        client_end, seq, ack, packet, time_ns = connection.client_end, self._seq, self._ack, self._packet, self._time
        carried = self._carried(step + 3, close, client_end)
        direction = self._direction[close] ^ client_end
        story = Story(
            (seq[step], seq[step + 1]),
            (time_ns[step], time_ns[step + 1], time_ns[step + 2]),
            carried.lengths,
            whole_connection.history(carried.letters, direction, second - close > 1),
            None,
            direction,
            (ack[close], ack[second]),
            (packet[close], packet[second], packet[second + 1]),
            (time_ns[close], time_ns[second], time_ns[second + 1]),
            (self._totals[client_end][index], self._totals[1 - client_end][index]),
        )
        whole_connection.tell(connection, carried.chunks, story)
        self._told_whole(connection, index)

    def _carried(self, first: int, end: int, client_end: int) -> whole_connection.Payload:
        """What a whole connection carried: the steps between its handshake and its close."""
        run, sender = self._run, self._direction
        return whole_connection.payload(
            [
                self._chunk(at, sender[at] ^ client_end) if run[at] else sender[at] ^ client_end
                for at in range(first, end)
            ]
        )

    def _told_whole(self, connection: Connection, index: int) -> None:
        connection.last_packet, connection.end_ns = self._group_last[index]
        self._table.watched[connection.slot] = True
        self._registry.retire_later(connection)

    def _one_by_one(self, connection: Connection, index: int, step: int) -> bool:
        """Whether all rows of a group must be told: behind a SYN triage could not know that they are wanted, and where
        acknowledgments lie far apart, which is the highest is decided one after the other."""
        if connection.watching and self._flags[step] & LIFE == SYN:
            return True
        for end in (0, 1):
            ack = self._totals[end][index][_ACK_TOTAL]
            known = connection.sides[1 - (end ^ connection.client_end)].acked_seq
            far = known is not None and ack >= 0 and abs(distance(ack, known)) > WIDEST_SPREAD
            if far or ack == SPREAD:
                return True
        return False

    def _steps_of(self, connection: Connection, index: int, step: int, end: int) -> int | None:
        """Tell a connection its steps; the sorted position from which on its rows are late, if any."""
        run, direction, flags = self._run, self._direction, self._flags
        step = self._handshake(connection, step, end)
        while step < end:
            if connection.ended and self._clock[step] > connection.ended_ns + LINGER_NS:
                return self._position(step)
            towards = direction[step] ^ connection.client_end
            if not run[step]:
                if flags[step] & LIFE == _FIN_ACK and self._farewell(connection, index, towards, step, end):
                    step += 3
                    continue
                if flags[step] & (RST | FIN) and self._needs_acknowledgments(connection, index, towards, step):
                    self._acknowledge(connection, self._group_starts[index], self._position(step))
                connection.segment(towards, self._segment(step))
            elif connection.ended:  # a run may last longer than an ended connection still takes what comes
                late_from = self._all_rows_of(connection, self._position(step), self._last_position(step) + 1)
                if late_from is not None:
                    return late_from
            elif not connection.run(towards, self._seq[step], self._chunk(step, towards)):
                if not connection.watching:
                    self._acknowledge(connection, self._group_starts[index], self._position(step))
                self._rows_of(connection, self._position(step), self._last_position(step) + 1)
            step += 1
            if connection.holding:
                step = self._follow(connection, index, step, end)
        return None

    def _all_rows_of(self, connection: Connection, start: int, end: int) -> int | None:
        """Tell all rows of a group; the sorted position from which on they are late, if any."""
        for position in range(start, end):
            if connection.ended and self._clock_ns[self._steps.order[position]] > connection.ended_ns + LINGER_NS:
                return position
            self._rows_of(connection, position, position + 1)
        return None

    def _handshake(self, connection: Connection, step: int, end: int) -> int:
        """Tell a new connection its first three steps at once, where they are what they mostly are; the step behind."""
        third = step + 2
        if third >= end or connection.syns or connection.role_from != "syn" or connection.log is not None:
            return step
        flags, seq, ack = self._flags, self._seq, self._ack
        if [flag & LIFE for flag in flags[step : step + 3]] != _HANDSHAKE or any(self._length[step : step + 3]):
            return step
        client, server = seq[step], seq[step + 1]
        sender = self._direction[step]
        if self._direction[step + 1 : step + 3] != [1 - sender, sender] or not self._window[third]:
            return step
        if [(client + 1) & MASK] * 2 != [ack[step + 1], seq[third]] or ack[third] != (server + 1) & MASK:
            return step
        time_ns = self._time
        times_ns = (time_ns[step], time_ns[step + 1], time_ns[third])
        regular.handshake(connection, (client, server), self._packet[step], times_ns)
        return step + 3

    def _farewell(self, connection: Connection, index: int, towards: int, step: int, end: int) -> bool:
        """Tell a connection its last three steps at once, where they are what they mostly are: FIN, FIN, ACK."""
        last = step + 2
        if last >= end or any(self._length[step : step + 3]) or not all(self._window[step : step + 3]):
            return False
        if [flag & LIFE for flag in self._flags[step : step + 3]] != _FAREWELL:
            return False
        sender = self._direction[step]
        if self._direction[step + 1 : step + 3] != [1 - sender, sender]:
            return False
        seq, ack, packet, time_ns = self._seq, self._ack, self._packet, self._time
        behind = (seq[step] + 1) & MASK
        if ack[step + 1] != behind or seq[last] != behind or ack[last] != (seq[step + 1] + 1) & MASK:
            return False
        highest = [self._totals[sent_by][index][_ACK_TOTAL:] for sent_by in (sender, 1 - sender)]
        expected = [(ack[last], self._position(last)), (behind, self._position(step + 1))]
        if highest != expected:  # something else in this batch acknowledges what was not sent yet
            return False
        if not regular.may_part(connection, towards, seq[step], seq[step + 1]):
            return False
        acks = (ack[step], behind)
        regular.part(connection, towards, acks, packet[step : last + 1], time_ns[step : last + 1])
        return True

    def _needs_acknowledgments(self, connection: Connection, index: int, towards: int, step: int) -> bool:
        """Whether a FIN or RST may mean something else with the acknowledgments before it: it is not what comes next,
        or its sender has acknowledged more before it than it says itself (one more, later on, is its peer's FIN)."""
        if self._seq[step] != connection.sides[towards].next_seq:
            return True
        highest, at = self._totals[self._direction[step]][index][_ACK_TOTAL:]
        more = (highest - self._ack[step]) & MASK
        return bool(highest >= 0 and (more > 1 or (more == 1 and at < self._position(step))))

    def _position(self, step: int) -> int:
        """The sorted position of a step's first row."""
        return int(self._first_at[step])

    def _last_position(self, step: int) -> int:
        """The sorted position of a step's last row."""
        return int(self._last_at[step])

    def _segment(self, step: int) -> Segment:
        row = self._steps.order[self._position(step)]
        return Segment(
            self._packet[step],
            self._time[step],
            self._seq[step],
            self._ack[step],
            self._flags[step],
            self._window[step],
            self._length[step],
            int(self._batch.payload_captured[row]),
            int(self._batch.ttl[row]),
            self._buffer,
            self._payload[step],
        )

    def _chunk(self, step: int, direction: int) -> StreamChunk:
        length, count = self._length[step], self._count[step]
        if count == 1:
            at = self._payload[step]
            return Piece(direction, 0, self._buffer[at : at + length], self._packet[step], self._time[step])
        first = self._member[step]
        return Run(direction, length, self._members, first, first + count - 1)

    def _follow(self, connection: Connection, index: int, step: int, end: int) -> int:
        """Tell each row from the last step on, while the connection asks for it; the step to go on with."""
        group_end = self._group_starts[index + 1]
        position = self._last_position(step - 1) + 1
        self._acknowledge(connection, self._group_starts[index], position)
        while connection.holding and position < group_end:
            self._rows_of(connection, position, position + 1)
            position += 1
        while step < end and self._position(step) < position:
            step += 1
        next_start = self._position(step) if step < end else group_end
        self._rows_of(connection, position, next_start)
        return step

    def _rows_of(self, connection: Connection, start: int, end: int) -> None:
        """Tell the rows at sorted positions start to end one by one, quiet ones too."""
        batch, steps = self._batch, self._steps
        for position in range(start, end):
            row = int(steps.order[position])
            towards = int(steps.direction[position]) ^ connection.client_end
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

    def _acknowledge(self, connection: Connection, start: int, position: int) -> None:
        """Bring acknowledgments up to date from the group's start to a sorted position: not all rows were told."""
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
        registry, flags = self._registry, self._flags[step]
        connection = registry.live.get(slot)
        state = CONNECTION if connection is not None else int(self._table.state[slot])
        stale = connection is not None and connection.ended and self._clock[step] > connection.ended_ns + LINGER_NS
        known = state != EMPTY and flags & LIFE == SYN
        opens = known and self._is_new(connection, stale or state == ENDED, slot, step)
        if state == SYN_ONLY:
            connection = registry.from_syns(slot)
            registry.install(connection)
        if connection is not None:
            if opens and not stale:
                connection.replaced_ns = self._time[step]
            if opens or stale:
                registry.retire(connection)
            if not opens:
                return connection
        elif state == ENDED and not opens:
            return None
        return self._begin(slot, step)

    def _is_new(self, connection: Connection | None, over: bool, slot: int, step: int) -> bool:
        """Whether a SYN opens another connection than the one its tuple had: its ISN differs from where that began.

        Where it is not known where that end began, the SYN belongs to the connection unless that is over.
        """
        end, seq = self._direction[step], self._seq[step]
        base = self._registry.base_seq(slot, end) if connection is None else connection.base_seq(end)
        return over if base is None else base != seq

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
        return self._enter(slot, client_end, role_from, self._packet[step], self._time[step])

    def _enter(self, slot: int, client_end: int, role_from: str, packet: int, time_ns: int) -> Connection:
        connection = self._registry.new(slot, client_end, role_from, packet, time_ns)
        self._registry.install(connection)
        return connection

    # ---- sums

    def _add_up(self, connection: Connection, index: int) -> None:
        """Give the connection what its group adds up to."""
        start, stop, same_networks = self._group_starts[index], self._group_starts[index + 1], True
        for end in (0, 1):
            packets, captured, ttl_low, ttl_high, network_low, network_high, _, _ = self._totals[end][index]
            if not packets:
                continue
            side = connection.sides[end ^ connection.client_end]
            side.packets += packets
            side.captured += captured
            if ttl_low == ttl_high:
                side.add_ttl(ttl_low, packets)
            else:
                self._add_ttls(side, self._rows_from(start, stop, end))
            if side.network is None and network_low == network_high:
                side.network = network_low
            elif network_low != side.network or network_high != network_low:
                same_networks = False
        if not same_networks:
            self._add_networks(connection, start, stop)
        connection.last_packet, connection.end_ns = self._group_last[index]

    def _add_acknowledgments(self, connection: Connection, index: int) -> None:
        for end in (0, 1):
            ack = self._totals[end][index][_ACK_TOTAL]
            if ack >= 0:
                peer = connection.sides[1 - (end ^ connection.client_end)]
                if peer.acked_seq is None or distance(ack, peer.acked_seq) > 0:
                    peer.acked_seq = ack

    def _retire_before(self, connection: Connection, start: int, late_from: int, behind: int) -> None:
        """The rows from sorted position `late_from` on are late: add up those before it, and end the story there."""
        batch = self._batch
        for end in (0, 1):
            rows = self._rows_from(start, late_from, end)
            if len(rows):
                side = connection.sides[end ^ connection.client_end]
                side.packets += len(rows)
                side.captured += int(batch.payload_captured[rows].sum())
                self._add_ttls(side, rows)
        self._add_networks(connection, start, late_from)
        last = int(self._steps.order[late_from - 1])
        connection.last_packet, connection.end_ns = int(batch.packet[last]), int(batch.time_ns[last])
        self._registry.retire(connection)
        self._late(connection, connection.slot, late_from, behind)

    def _rows_from(self, start: int, stop: int, end: int) -> I64:
        """Batch rows at sorted positions start to stop that the tuple's end `end` sent."""
        rows: I64 = self._steps.order[start:stop][self._steps.direction[start:stop] == end]
        return rows

    def _add_ttls(self, side: Side, rows: I64) -> None:
        ttls = self._batch.ttl[rows]
        side.add_ttl(int(ttls[0]), 0)
        values, counts = np.unique(ttls, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            side.add_ttl(value, count)

    def _add_networks(self, connection: Connection, start: int, stop: int) -> None:
        """Where an end comes under other tags than before, there are two networks with the same addresses."""
        batch, odd = self._batch, list[int]()
        for end in (0, 1):
            rows = self._rows_from(start, stop, end)
            side = connection.sides[end ^ connection.client_end]
            if side.network is None and len(rows):
                side.network = int(batch.network[rows[0]])
            odd += rows[batch.network[rows] != side.network][:1].tolist()
        if odd:
            connection.note_once(
                "overlapping_networks",
                int(batch.packet[min(odd)]),
                int(batch.time_ns[min(odd)]),
                "the same addresses and ports under another VLAN, VNI or interface",
            )

    def _late(self, connection: Connection | None, slot: int, start: int, end: int) -> None:
        """Rows behind the end of a connection. One that retires in this batch may not have its number yet: it keeps
        them itself."""
        rows = self._steps.order[start:end]
        late = list(zip(self._batch.packet[rows].tolist(), self._batch.time_ns[rows].tolist(), strict=True))
        number = int(self._table.connection_id[slot])
        if connection is None and number < 0:
            connection = next(c for c in reversed(self._registry.retired) if c.slot == slot)
        if connection is not None:
            connection.late += late
        else:
            self._registry.late += [Late(number, packet, time_ns) for packet, time_ns in late]
