"""What programs call: captures, interfaces or packets of their own in; records out as they come, and an Inspection.

Every way in ends in the same engine. A Session reads a source and hands on what the engine says; Packets has no source,
its caller is one. Nothing is written, no signal is caught, and no rights are given up: that is for the caller to do.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from inspector.bounds import Bounds
from inspector.engine import Inspector, Options
from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.packets.batch import Interface
from inspector.protocols.tls.keylog import KeyLog
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.report.json import json_report
from inspector.sources.account import complete
from inspector.sources.keys import CapturedKeys, FollowedKeys, read_key_logs
from inspector.sources.memory import ETHERNET, Packet, batch_of, room
from inspector.sources.open import open_capture
from inspector.sources.source import Source

if TYPE_CHECKING:  # an extra
    import pandas as pd
    import pyarrow as pa

Record = Connection | EventRecord
Select = Callable[[Connection], bool]
Paths = str | os.PathLike[str]

#: Ended connections that are kept of interfaces, unless it is said otherwise.
HISTORY = Bounds().history


class _Keys(Protocol):
    """Where TLS keys come from while packets are read."""

    log: KeyLog

    def take(self) -> object:
        """Add what came since the last time."""


class _Engine:
    """The engine, with a queue for what it says."""

    def __init__(
        self, keys: KeyLog, *, select: Select | None, events: bool, show_secrets: bool, history: int | None
    ) -> None:
        self.records: deque[Record] = deque()
        self.inspector = Inspector(
            Options(
                keys=keys,
                select=select,
                show_secrets=show_secrets,
                events=events,
                bounds=None if history is None else Bounds(history),
                on_connection=self.records.append,
                on_event=self.records.append if events else None,
            )
        )

    def said(self) -> Iterator[Record]:
        """What it said since the last time."""
        while self.records:
            yield self.records.popleft()


class Session:
    """Captures or interfaces that are being read. Iterate over it for what ends and happens; `finish` ends it.

    Iteration gives each Connection once it has ended (2 s of capture time after its last close), and, with
    `events=True`, each EventRecord as it happens; it may be left and taken up again. A Session is a context manager,
    which closes files and sockets. It is made by `open_captures` and `open_interfaces`.
    """

    def __init__(self, source: Source, keys: _Keys, engine: _Engine) -> None:
        self._source = source
        self._keys = keys
        self._engine = engine
        self._inspection: Inspection | None = None
        self._going = self._read()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Record]:
        return self._going

    def connections(self) -> Iterator[Connection]:
        """The connections alone, as they end."""
        return (record for record in self._going if isinstance(record, Connection))

    def finish(self) -> Inspection:
        """Read what is left (of interfaces: until they end or are stopped), and say what was learned.

        Events that nobody has iterated over are in `events`. Raises UsageError when the session was closed before."""
        events = [record for record in self._going if isinstance(record, EventRecord)]
        if self._inspection is None:
            raise UsageError("finish: this session was closed before it was read to its end")
        self._inspection.events += events
        return self._inspection

    def snapshot(self) -> Inspection:
        """What is known so far: connections that are not over as they are now, and what can be concluded from them."""
        if self._inspection is not None:
            return self._inspection
        inspection = self._engine.inspector.snapshot()
        Inspector.judge(inspection)
        return inspection

    def stop(self) -> None:
        """Take no more packets of interfaces; those that have come are still read. From any thread."""
        stop = getattr(self._source, "stop", None)
        if stop is None:
            raise UsageError("stop: captures end by themselves; leave the iteration instead")
        stop()

    def close(self) -> None:
        """Let go of files and sockets; nothing can be read any more."""
        self._going.close()
        self._source.close()
        if isinstance(self._keys, FollowedKeys):
            self._keys.close()

    def _read(self) -> Generator[Record, None, None]:
        for batch in self._source:
            self._keys.take()
            self._engine.inspector.feed(batch)
            yield from self._engine.said()
        self._inspection = self._engine.inspector.finish(partial(complete, self._source))
        yield from self._engine.said()


def open_captures(
    *paths: Paths,
    keylog: Sequence[Paths] = (),
    select: Select | None = None,
    events: bool = False,
    show_secrets: bool = False,
    history: int | None = None,
) -> Session:
    """Captures as one timeline: pcap or pcapng, plain or compressed; "-" is standard input.

    `keylog`: TLS key logs (NSS format); keys in pcapng files are used anyway. `select`: which connections are reported,
    asked when each has ended. `events`: events, too. `show_secrets`: query strings as they were sent. `history`:
    keep only the last so many connections; None: all. Raises CaptureError when nothing can be read, UsageError for a
    key log that cannot be.
    """
    if not paths:
        raise UsageError("open_captures: no capture was named")
    source = open_capture([os.fspath(path) for path in paths])
    try:
        keys = CapturedKeys(source)
        read_key_logs([os.fspath(path) for path in keylog], keys.log, _nobody)
    except BaseException:
        source.close()
        raise
    engine = _Engine(keys.log, select=select, events=events, show_secrets=show_secrets, history=history)
    return Session(source, keys, engine)


def open_interfaces(
    *names: str,
    filter: str = "",
    duration: float | None = None,
    count: int | None = None,
    keylog: Sequence[Paths] = (),
    select: Select | None = None,
    events: bool = False,
    show_secrets: bool = False,
    history: int | None = HISTORY,
) -> Session:
    """Interfaces, from now on; all of them when none is named. It takes root, or CAP_NET_RAW.

    `filter`: as tcpdump takes it; "": TCP and DNS. It ends after `duration` seconds or `count` packets, or by
    `Session.stop`. `keylog`: key logs that are read as they grow. The others as in `open_captures`, but for `history`,
    which is bounded unless it is None. Raises CaptureError where an interface cannot be listened on, UsageError for a
    filter that is none.
    """
    from inspector.sources.live import open_live  # not everybody listens

    source = open_live(names or ("any",), filter, duration=duration, count=count)
    bounds = None if history is None else Bounds(history)
    log = KeyLog(growing=True, most=None if bounds is None else bounds.secrets)
    keys = FollowedKeys([os.fspath(path) for path in keylog], log, _nobody)
    engine = _Engine(log, select=select, events=events, show_secrets=show_secrets, history=history)
    return Session(source, keys, engine)


def read(
    *paths: Paths,
    keylog: Sequence[Paths] = (),
    select: Select | None = None,
    events: bool = False,
    show_secrets: bool = False,
    history: int | None = None,
) -> Inspection:
    """Captures from beginning to end. Arguments and errors as those of `open_captures`.

    What could not be read of them is in `capture.problems`; the event log is in `events`.
    """
    session = open_captures(
        *paths, keylog=keylog, select=select, events=events, show_secrets=show_secrets, history=history
    )
    with session:
        return session.finish()


class Packets:
    """Packets of your own: `feed` them in order of time, then `finish`.

        packets = Packets()
        for connection in packets.feed([(time_ns, frame), ...]):
            ...
        inspection = packets.finish()

    A few thousand at a time are much faster than one by one.
    """

    def __init__(
        self,
        *,
        link_type: int = ETHERNET,
        select: Select | None = None,
        events: bool = False,
        show_secrets: bool = False,
        history: int | None = None,
    ) -> None:
        """`link_type`: LINKTYPE_ number of the packets: 1 Ethernet, 101 raw IP. The others as in `open_captures`."""
        self._interfaces = [Interface(link_type)]
        self._log = KeyLog(growing=True)
        self._engine = _Engine(self._log, select=select, events=events, show_secrets=show_secrets, history=history)
        self._fed = 0

    def keys(self, text: bytes) -> None:
        """Whole lines of a TLS key log, best before the packets that need them."""
        self._log.add_whole(text)

    def feed(self, packets: Iterable[tuple[int, bytes]]) -> list[Record]:
        """Take packets as (nanoseconds since the Unix epoch, bytes); what ended or happened by them."""
        waiting = [Packet(time_ns, data) for time_ns, data in packets]
        done = 0
        while done < len(waiting):
            rows = waiting[done : done + room(self._fed)]
            self._engine.inspector.feed(batch_of(rows, self._interfaces, self._fed + 1))
            self._fed += len(rows)
            done += len(rows)
        return list(self._engine.said())

    def finish(self) -> Inspection:
        """No more packets: what was learned. Events that could not be handed out before are in `events`."""
        inspection = self._engine.inspector.finish()
        inspection.events += [record for record in self._engine.said() if isinstance(record, EventRecord)]
        return inspection


def to_json(inspection: Inspection) -> bytes:
    """The JSON report, as `connspect read -T json` writes it."""
    return b"".join(json_report(inspection))


def to_arrow(inspection: Inspection) -> dict[str, pa.Table]:
    """The tables connections, exchanges, frames, endpoints and findings, as pyarrow has them (an extra: `parquet`)."""
    from inspector.report.parquet import arrow_tables

    return arrow_tables(inspection)


def to_pandas(inspection: Inspection) -> dict[str, pd.DataFrame]:
    """The same tables as pandas has them; whole numbers stay whole where some are missing."""
    import pandas as pd
    import pyarrow as pa

    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return {
        name: table.to_pandas(types_mapper=types.get, maps_as_pydicts="strict")
        for name, table in to_arrow(inspection).items()
    }


def to_parquet(inspection: Inspection, folder: Paths) -> None:
    """The same tables as files of a folder. Raises UsageError when it cannot be written."""
    from inspector.report.parquet import write_parquet

    write_parquet(inspection, Path(folder))


def _nobody(text: str) -> None:
    """A key log that says nothing is no error."""
