"""`connspect live`: the loop from the interfaces to the engine, and what ends it.

The order matters at the start: sockets first, then the rights go, then everything else is opened and read. Ctrl-C,
SIGTERM, a hangup and the limits end the capture, not the report; a second Ctrl-C ends the program.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from inspector.cli import PARTLY_READ
from inspector.cli.options import Shared
from inspector.cli.output import Output, open_output
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.cli.keeping import Keeping
    from inspector.cli.serving import Serving
    from inspector.engine import Options
    from inspector.inspection import Inspection
    from inspector.sources.live import LiveSource

#: Objects made, and collections of the younger generation, before one of each generation.
COLLECTED_AFTER = (100_000, 20, 50)

_ENDING = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


@dataclass(slots=True, frozen=True)
class Capturing:
    """The options of `live` itself, as given."""

    interfaces: tuple[str, ...]
    filter: tuple[str, ...]
    duration: float | None
    count: int | None
    snap_length: int | None
    promiscuous: bool
    write: str | None
    rotation: tuple[str, ...]
    embed_keys: bool
    metrics: str | None

    def words(self) -> str:
        """The filter, as one expression."""
        return " ".join(self.filter)


def watch(capturing: Capturing, shared: Shared) -> int:
    """Capture and report; the exit status."""
    from inspector.cli.keeping import Keeping, rotation

    shared.check()
    if shared.format == "parquet":
        raise UsageError("--format parquet: live writes table, json and ndjson; keep packets with -w, and read them")
    files = rotation(capturing.rotation)
    if capturing.write is None and (capturing.rotation or capturing.embed_keys):
        raise UsageError(f"{'--embed-keys' if capturing.embed_keys else '-b'}: only with -w FILE")
    with ExitStack() as stack:
        serving = _serving(capturing, stack, early=True)
        source = stack.enter_context(_open(capturing, shared))
        serving = serving or _serving(capturing, stack, early=False)
        stack.enter_context(_ending(source))
        shared.warn(f"capturing on {', '.join(source.names)}; Ctrl-C ends")
        if serving is not None:
            serving.start()
            shared.warn(f"metrics at {serving.url}")
        output = stack.enter_context(open_output(shared.output, as_it_comes=shared.format == "ndjson"))
        keeping = stack.enter_context(Keeping(source, capturing, files))
        report = {"table": _table, "json": _json, "ndjson": _ndjson}[shared.format]
        inspection = report(source, keeping, shared, output, serving)
    from inspector.report.heading import problem_text

    if shared.format != "table" or not output.terminal:
        for problem in inspection.capture.problems:
            shared.warn(problem_text(problem))
    return PARTLY_READ if inspection.capture.problems else 0


def _open(capturing: Capturing, shared: Shared) -> LiveSource:
    """The open capture, with all rights gone that it needed."""
    from inspector.cli import rights
    from inspector.sources.live import ANY, NotPermittedError, open_live

    try:
        source = open_live(
            capturing.interfaces or (ANY,),
            capturing.words(),
            snap_length=capturing.snap_length,
            promiscuous=capturing.promiscuous,
            duration=capturing.duration,
            count=capturing.count,
            warn=shared.warn,
        )
    except NotPermittedError as error:
        raise NotPermittedError(f"{error}: {rights.remedy()}") from None
    try:
        rights.drop()
    except BaseException:
        source.close()
        raise
    return source


def _serving(capturing: Capturing, stack: ExitStack, *, early: bool) -> Serving | None:
    """Who serves metrics, if that is wanted; `early`, before rights go, only where the port needs them."""
    if capturing.metrics is None:
        return None
    from inspector.cli.serving import Serving, needs_rights

    return stack.enter_context(Serving(capturing.metrics)) if early == needs_rights(capturing.metrics) else None


def _table(source: LiveSource, keeping: Keeping, shared: Shared, output: Output, serving: Serving | None) -> Inspection:
    from inspector.report.table import View, table

    inspection = _inspect(source, keeping, _options(shared), shared, output, serving)
    output.lines(table(inspection, View(output.screen(), shared.connections, shared.events, shared.verbose)))
    return inspection


def _json(source: LiveSource, keeping: Keeping, shared: Shared, output: Output, serving: Serving | None) -> Inspection:
    from inspector.report.json import json_report

    inspection = _inspect(source, keeping, _options(shared), shared, output, serving)
    for piece in json_report(inspection):
        output.write(piece)
    return inspection


def _ndjson(
    source: LiveSource, keeping: Keeping, shared: Shared, output: Output, serving: Serving | None
) -> Inspection:
    from inspector.report.ndjson import NdjsonWriter

    writer = NdjsonWriter(output.write)
    options = _options(
        shared,
        on_connection=writer.connection,
        on_event=writer.event if shared.events else None,
    )
    inspection = _inspect(source, keeping, options, shared, output, serving)
    writer.finish(inspection)
    return inspection


def _options(shared: Shared, **others: object) -> Options:
    from inspector.bounds import Bounds
    from inspector.cli.read import engine_options

    options = engine_options(shared)(**others)
    return options if options.bounds is not None else replace(options, bounds=Bounds())


def _inspect(
    source: LiveSource,
    keeping: Keeping,
    options: Options,
    shared: Shared,
    output: Output,
    serving: Serving | None,
) -> Inspection:
    """Everything that is seen until the capture ends."""
    from inspector.cli.keys import FollowedKeys
    from inspector.cli.progress import LiveStatus
    from inspector.cli.reading import complete
    from inspector.cli.selection import Selection
    from inspector.engine import Inspector
    from inspector.protocols.tls.keylog import KeyLog

    keys = FollowedKeys(
        key_logs(shared.keylog),
        KeyLog(growing=True, most=None if options.bounds is None else options.bounds.secrets),
        shared.warn,
    )
    inspector = Inspector(replace(serving.counting(options) if serving is not None else options, keys=keys.log))
    status = LiveStatus(source, not shared.quiet and not (shared.format == "ndjson" and output.terminal))
    first_seen = False
    # There is next to nothing to collect (see reading.py), but this may run for days: it is looked for seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    try:
        for batch in source:
            if len(batch) and not first_seen:
                first_seen = True
                if isinstance(options.select, Selection):
                    options.select.first_ns = int(batch.time_ns[0])
            keeping.take(batch, keys.take())
            inspector.feed(batch)
            if serving is not None:
                serving.refresh(inspector, source)
            output.flush()
            status.update(inspector.connections)
    finally:
        status.stop()
        keys.close()
    keeping.close()
    inspection = inspector.finish(partial(complete, source))
    return inspection


def key_logs(named: Sequence[str]) -> list[str]:
    """Key logs that are followed: those that were named, and the one that programs here are told to write."""
    by_environment = os.environ.get("SSLKEYLOGFILE")
    return [*named, by_environment] if by_environment else list(named)


@contextmanager
def _ending(source: LiveSource) -> Iterator[None]:
    """While this lasts, signals end the capture."""
    came = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came = True
        source.stop()

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
