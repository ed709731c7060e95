"""`connspect run`: what the process that reads packets does while the command runs, and what it says at the end.

launch/keeper.py starts both. Here packets come from the sources of `live`, claims to connections from the keeper or
the kernel; the report has the connections that were claimed.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING

import click

from inspector.cli.live import COLLECTED_AFTER, Capturing, open_capture
from inspector.cli.options import Shared
from inspector.cli.output import open_output
from inspector.endpoints import Endpoint
from inspector.errors import ConnspectError, UsageError
from inspector.launch.channel import Channel
from inspector.launch.claims import ClaimBook
from inspector.launch.keeper import keep
from inspector.launch.linger import is_over
from inspector.launch.runtimes import advice, title
from inspector.protocols.tls.side import NO_LOG, NO_SECRET
from inspector.report import units
from inspector.report.heading import problem_text
from inspector.report.layout import Screen, hanging
from inspector.report.text import printable

if TYPE_CHECKING:
    from inspector.cli.keeping import Keeping
    from inspector.engine import Inspector, Options
    from inspector.inspection import Inspection
    from inspector.records.connection import Connection
    from inspector.sources.live import LiveSource

#: Seconds between two looks at the command when the capture has ended before it.
_LOOK_S = 0.05

_CAPTURE, _KEYS = "capture.pcapng", "keys.log"


def run_command(command: Sequence[str], interfaces: tuple[str, ...], folder: str | None, shared: Shared) -> int:
    """Run a command and report on its connections; its exit status. `folder`: where capture and keys are kept."""
    shared.check()
    if shared.format == "parquet":
        raise UsageError("--format parquet: run writes no tables; keep packets with --keep, and read them")
    return keep(
        command,
        lambda channel: _sniff(command, interfaces, folder, shared, channel),
        shared.warn,
        reports_to_stdout=shared.output == "-",
    )


def _sniff(
    command: Sequence[str], interfaces: tuple[str, ...], folder: str | None, shared: Shared, channel: Channel
) -> int:
    """What the sniffer's process does; its exit status."""
    write = None if folder is None else os.path.join(folder, _CAPTURE)
    capturing = Capturing(
        interfaces=interfaces,
        filter=(),
        duration=None,
        count=None,
        snap_length=None,
        promiscuous=False,
        write=write,
        rotation=(),
        embed_keys=False,
        metrics=None,
        screen=False,
    )
    try:
        with ExitStack() as stack:
            source = stack.enter_context(open_capture(capturing, shared.warn))
            _Run(stack, command, source, capturing, folder, shared, channel).report()
    except _Abandoned:
        return 0
    except ConnspectError as error:
        click.echo(printable(f"connspect: {error}"), err=True)
        return error.exit_status
    return 0


class _Abandoned(Exception):  # noqa: N818  # nothing is wrong here
    """The command could not be started: no report."""


@dataclass(slots=True)
class _Keyless:
    """TLS connections of the command that the key log has nothing for."""

    count: int = 0
    readable: int = 0
    """Those that were decrypted."""

    def note(self, connection: Connection) -> None:
        tls = connection.tls
        if tls is not None:
            self.readable += tls.decrypted
            self.count += not tls.decrypted and tls.why_not is not None and tls.why_not.startswith((NO_SECRET, NO_LOG))


class _Run:
    """One command's connections."""

    def __init__(
        self,
        stack: ExitStack,
        command: Sequence[str],
        source: LiveSource,
        capturing: Capturing,
        folder: str | None,
        shared: Shared,
        channel: Channel,
    ) -> None:
        from inspector.cli.judging import Judging
        from inspector.cli.keeping import Keeping, rotation
        from inspector.protocols.tls.keylog import KeyLog
        from inspector.sources.keys import FollowedKeys

        self._command = command
        self._source = source
        self._shared = shared
        self._channel = channel
        self._book = ClaimBook()
        self._selection = shared.selection()
        self._keyless = _Keyless()
        self._judging = Judging(source)
        self._ended_ns: int | None = None
        if folder is not None:
            _make(folder)
        self._output = stack.enter_context(
            open_output(shared.output, as_it_comes=shared.format == "ndjson", error=True)
        )
        self._keeping: Keeping = stack.enter_context(Keeping(source, capturing, rotation(())))
        self._kept_keys = None if folder is None else stack.enter_context(_key_file(folder))
        self._keys = FollowedKeys([channel.keys, *shared.keylog], KeyLog(growing=True), shared.warn)
        stack.callback(self._keys.close)

    def report(self) -> None:
        """Watch until the command has ended, then say what was seen."""
        formats = {"table": self._table, "json": self._json, "ndjson": self._ndjson, "html": self._html}
        inspection = formats[self._shared.format]()
        if self._shared.format != "table" or self._shared.output is not None:
            for problem in inspection.capture.problems:
                self._shared.warn(problem_text(problem))

    # ---- formats

    def _table(self) -> Inspection:
        from inspector.report.table import View, table

        shared = self._shared
        inspection = self._inspect()
        screen = self._output.screen()
        self._output.lines(self._heading(inspection, screen))
        view = View(screen, shared.connections, shared.events, shared.verbose)
        self._output.lines(["", *table(inspection, view)])
        return inspection

    def _json(self) -> Inspection:
        from inspector.report.json import json_report

        inspection = self._inspect()
        for piece in json_report(inspection):
            self._output.write(piece)
        self._output.flush()
        self._tell(inspection)
        return inspection

    def _ndjson(self) -> Inspection:
        from inspector.report.ndjson import NdjsonWriter

        writer = NdjsonWriter(self._output.write)
        self._judging.tell = writer.finding
        on_event = writer.event if self._shared.events else None
        inspection = self._inspect(writer.connection, on_event=on_event)
        writer.finish(inspection)
        self._output.flush()
        self._tell(inspection)
        return inspection

    def _html(self) -> Inspection:
        from inspector.cli.kept import EVENTS_OF_PAGE, KeptEvents
        from inspector.report.html.page import html_report

        kept = KeptEvents(EVENTS_OF_PAGE)
        inspection = self._inspect(events=True, on_event=kept.add)
        heading = [line.strip() for line in self._heading(inspection, Screen())]
        for piece in html_report(inspection, kept.of, heading):
            self._output.write(piece)
        self._output.flush()
        self._tell(inspection)
        return inspection

    def _tell(self, inspection: Inspection) -> None:
        """What the other formats have no place for."""
        for line in self._heading(inspection, Screen()):
            self._shared.warn(line.strip())

    # ---- what is seen

    def _inspect(self, on_connection: Callable[[Connection], None] | None = None, **others: object) -> Inspection:
        """Everything that is seen until the command and what it left behind are done."""
        from inspector.cli.read import engine_options
        from inspector.engine import Inspector
        from inspector.sources.account import complete

        def told(connection: Connection) -> None:
            self._keyless.note(connection)
            if on_connection is not None:
                on_connection(connection)

        options: Options = engine_options(self._shared)(**others)
        inspector = Inspector(replace(options, keys=self._keys.log, select=self._is_wanted, on_connection=told))
        signal.signal(signal.SIGTERM, lambda *_: self._source.stop())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTED_AFTER)
        self._channel.ready()
        first_seen = False
        for batch in self._source:
            if len(batch) and not first_seen:
                first_seen = True
                self._selection.first_ns = int(batch.time_ns[0])
            self._take_claims()
            self._keeping.take(batch, self._take_keys())
            inspector.feed(batch)
            if self._judging.tell is not None:
                self._judging.look(inspector)
            if self._shared.format == "ndjson":
                self._output.flush()
            if self._is_over(inspector):
                self._source.stop()
        self._wait_for_the_end()
        self._take_claims()
        self._keeping.close()
        return inspector.finish(partial(complete, self._source))

    def _take_claims(self) -> None:
        self._channel.listen()
        if self._channel.abandon:
            raise _Abandoned
        self._book.add(self._channel.claims.take())

    def _take_keys(self) -> bytes:
        text = self._keys.take()
        if text and self._kept_keys is not None:
            # A disk that is full ends the capture by its packets.
            with suppress(OSError):
                self._kept_keys.write(text)
        return text

    def _is_wanted(self, connection: Connection) -> bool:
        client, server = connection.client, connection.server
        ends = (Endpoint(client.ip, client.port), Endpoint(server.ip, server.port))
        own = self._book.owns(*ends, connection.start_ns, connection.end_ns)
        return own and (not self._selection or self._selection(connection))

    def _is_over(self, inspector: Inspector) -> bool:
        if self._channel.stop:
            return True
        if not self._channel.ended:
            return False
        now_ns = time.time_ns()
        if self._ended_ns is None:
            self._ended_ns = now_ns
        last_ns = max(self._book.last_ns, inspector.last_packet_ns(self._book.knows))
        return is_over(now_ns, self._ended_ns, last_ns, left=not self._channel.alone or self._book.open > 0)

    def _wait_for_the_end(self) -> None:
        """The capture may end before the command does: the interface went away, or the disk is full."""
        while not self._channel.ended:
            time.sleep(_LOOK_S)
            self._take_claims()

    # ---- what is said

    def _heading(self, inspection: Inspection, screen: Screen) -> Iterator[str]:
        connections = sum(endpoint.connections for endpoint in inspection.endpoints)
        count = f"{units.plural(connections, 'connection')} to {units.plural(len(inspection.endpoints), 'endpoint')}"
        told = [f"{printable(title(self._command))}: {count}", *self._how_sure()]
        yield from (screen.bold(line) for line in hanging("", told, ", ", screen))
        if self._keyless.count:
            keyless = units.plural(self._keyless.count, "TLS connection")
            others = f", {self._keyless.readable} with" if self._keyless.readable else ""
            words = f"{keyless} without keys{others}: {advice(self._command)}".split(" ")
            yield from (screen.warn(line) for line in hanging(" ! ", words, " ", screen))

    def _how_sure(self) -> list[str]:
        if not self._channel.exact:
            return ["by the sockets seen (may miss short ones)"]
        lost = self._channel.claims.lost + self._book.forgotten
        if lost:
            return [f"its own (cgroup), but {lost:,} sockets came too fast to be noted"]
        unmet = self._book.unmet()
        elsewhere = [f"{unmet:,} more not seen on {', '.join(self._source.names)}"] if unmet else []
        return ["all its own (cgroup)", *elsewhere]


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--keep {folder}: {error.strerror or error}") from None


def _key_file(folder: str) -> IO[bytes]:
    """Keys open what was captured: only the user may read them."""
    path = os.path.join(folder, _KEYS)
    try:
        return open(path, "wb", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
