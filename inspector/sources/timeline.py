"""Capture files as one timeline: packets are numbered, batches cut, several files merged as mergecap does.

mergecap takes, again and again, the file whose next packet is earliest; of equals, the file named last (merge.c,
is_earlier). Let a packet's key be the largest time in its file up to it. Then that order is the stable sort by
(key, later named first), because (1) a packet below its key follows at once on the packet that set the key, as when
that one was taken no other file had anything earlier to offer, and nothing else has been taken since; (2) all others
are their own keys. The same holds from any point of the merge on, so keys may be counted anew with each piece read.
A sort is a thing that NumPy does; and what may be sorted already is what comes before anything that a file can still
bring, which is at or after the key of its last packet read, or else follows at once on that packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from inspector.packets.batch import BATCH_BOUNDARY, I64, Interface, RawBatch
from inspector.sources.reader import Reader, Rows
from inspector.sources.source import BATCH_ROWS, Problem, SourceFile
from inspector.sources.window import Window

#: Packets that are first read ahead of each of several files; twice as many each time, up to a batch. So only files
#: that overlap in time cost BATCH_BYTES each.
FIRST_LOOK_AHEAD = 256


class Input:
    """One file of a timeline: its reader, and what has become of its packets."""

    def __init__(self, path: str, compression: str | None, window: Window, total: int | None, reader: Reader) -> None:
        """`total`: stored bytes; None: not known."""
        self.file = SourceFile(path, reader.format, compression, reader.link_types, secrets=reader.secrets)
        self.total = total
        self.window = window
        self.last_packet: int | None = None
        self._reader = reader

    def read(self, max_rows: int, problems: list[Problem]) -> Rows | None:
        """The next packets; None at the end. All packets returned before must have got their numbers."""
        rows = self._reader.read(max_rows)
        self.file.bytes = self._reader.position
        self.file.dropped = self._reader.dropped
        problems += [Problem(self.file.path, note.offset, self.last_packet, note.what) for note in self._reader.notes]
        self._reader.notes.clear()
        return rows

    def number(self, count: int, last: int) -> None:
        """`count` of its packets are on the timeline, the last of them with number `last`."""
        self.file.packets += count
        self.last_packet = last


class _Ahead:
    """Packets of one input that have been read but not merged."""

    def __init__(self, source: Input) -> None:
        self.input = source
        self.rows: Rows | None = None
        self.done = 0
        """Rows that have been merged."""
        self.key: I64 = np.empty(0, dtype=np.int64)
        self._look_ahead = FIRST_LOOK_AHEAD

    def refill(self, max_rows: int, problems: list[Problem]) -> bool:
        """Read on where all rows are merged; whether there are any now."""
        if self.rows is not None and self.done < len(self.rows):
            return True
        self.rows = self.input.read(min(self._look_ahead, max_rows), problems)
        self.done = 0
        if self.rows is None:
            return False
        self._look_ahead *= 2
        self.key = np.maximum.accumulate(self.rows.time_ns)
        return True

    def before(self, key: int, and_equal: bool) -> int:
        """Rows left whose key is below `key`, or equal to it where that is wanted."""
        return int(np.searchsorted(self.key[self.done :], key, side="right" if and_equal else "left"))

    def part(self, count: int) -> Rows:
        """The next `count` rows, with the bytes of these alone."""
        assert self.rows is not None
        rows = self.rows
        chosen = slice(self.done, self.done + count)
        position = rows.position[chosen]
        first = int(position[0])
        end = int(position[-1] + rows.captured[chosen][-1])
        return Rows(
            data=rows.data[first:end],
            position=position - first,
            captured=rows.captured[chosen],
            length=rows.length[chosen],
            time_ns=rows.time_ns[chosen],
            interface=rows.interface[chosen],
        )


class Timeline:
    """A Source made of files; to be iterated once."""

    def __init__(
        self,
        inputs: Sequence[Input],
        interfaces: list[Interface],
        problems: list[Problem],
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        """`interfaces` is what the readers add to; `problems` are those of files that could not be opened."""
        self.problems = problems
        self._inputs = inputs
        self.interfaces = interfaces
        self._batch_rows = batch_rows
        self._packets = 0

    @property
    def files(self) -> list[SourceFile]:
        return [one.file for one in self._inputs]

    @property
    def total_bytes(self) -> int | None:
        totals = [one.total for one in self._inputs]
        return None if None in totals else sum(total for total in totals if total is not None)

    @property
    def position(self) -> int:
        return sum(one.file.bytes for one in self._inputs)

    def __enter__(self) -> Timeline:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        for one in self._inputs:
            one.window.close()

    def __iter__(self) -> Iterator[RawBatch]:
        return self._single(self._inputs[0]) if len(self._inputs) == 1 else self._merged()

    def _room(self) -> int:
        """Rows that the next batch may have."""
        return min(self._batch_rows, BATCH_BOUNDARY - self._packets % BATCH_BOUNDARY)

    def _batch(self, rows: Rows) -> RawBatch:
        """The rows with the next numbers of the timeline."""
        first = self._packets + 1
        self._packets += len(rows)
        return RawBatch(
            data=rows.data,
            position=rows.position,
            captured=rows.captured,
            length=rows.length,
            time_ns=rows.time_ns,
            interface=rows.interface,
            interfaces=self.interfaces,
            first_packet=first,
        )

    def _single(self, one: Input) -> Iterator[RawBatch]:
        while (rows := one.read(self._room(), self.problems)) is not None:
            batch = self._batch(rows)
            one.number(len(rows), self._packets)
            yield batch

    def _merged(self) -> Iterator[RawBatch]:
        # Of equal times the file named last goes first: the stable sort below keeps the order of this list.
        files = [_Ahead(one) for one in reversed(self._inputs)]
        while files := [ahead for ahead in files if ahead.refill(self._batch_rows, self.problems)]:
            order, owner = _next_in_order(files, self._room())
            counts = np.bincount(owner, minlength=len(files)).tolist()
            rows = _interleave([ahead.part(count) for ahead, count in zip(files, counts, strict=True) if count], order)
            batch = self._batch(rows)
            for index, (ahead, count) in enumerate(zip(files, counts, strict=True)):
                if count:
                    ahead.done += count
                    ahead.input.number(count, batch.first_packet + int(np.flatnonzero(owner == index)[-1]))
            yield batch


def _next_in_order(files: list[_Ahead], max_rows: int) -> tuple[I64, I64]:
    """What comes next on the timeline: (indices into the next rows of all files behind one another, index of file).

    Both have one entry a packet, at most `max_rows`; of each file it is the next rows without a gap.
    """
    # Nothing at or after this may be taken from files behind the one that may go on exactly there, nor anything
    # after it from any.
    last = [int(ahead.key[-1]) for ahead in files]
    limit = min(last)
    limited_by = last.index(limit)
    ready = np.array([ahead.before(limit, at <= limited_by) for at, ahead in enumerate(files)], dtype=np.int64)
    ready = np.minimum(ready, max_rows)
    keys = [ahead.key[ahead.done : ahead.done + count] for ahead, count in zip(files, ready.tolist(), strict=True)]
    order = np.argsort(np.concatenate(keys), kind="stable")[:max_rows]
    owner = np.repeat(np.arange(len(files)), ready)[order]
    taken = np.bincount(owner, minlength=len(files))
    left_out = np.cumsum(ready - taken) - (ready - taken)
    return order - left_out[owner], owner


def _interleave(parts: list[Rows], order: I64) -> Rows:
    """The rows of all parts in the given order; their bytes are copied behind one another unless there is one part."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part.data) for part in parts]
    starts = np.cumsum(sizes) - sizes
    return Rows(
        data=np.concatenate([part.data for part in parts]),
        position=np.concatenate([part.position + start for part, start in zip(parts, starts, strict=True)])[order],
        captured=np.concatenate([part.captured for part in parts])[order],
        length=np.concatenate([part.length for part in parts])[order],
        time_ns=np.concatenate([part.time_ns for part in parts])[order],
        interface=np.concatenate([part.interface for part in parts])[order],
    )
