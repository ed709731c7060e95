"""`connspect live`: the loop from the interfaces to the engine, and what ends it.

The order matters at the start: sockets first, then the rights go, then everything else is opened and read. Ctrl-C,
SIGTERM, a hangup and the limits end the capture, not the report; a second Ctrl-C ends the program.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from inspector.cli import PARTLY_READ
from inspector.cli.options import Shared
from inspector.cli.output import Output, open_output
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.cli.judging import Judging
    from inspector.cli.keeping import Keeping
    from inspector.cli.serving import Serving
    from inspector.engine import Inspector, Options
    from inspector.inspection import Inspection
    from inspector.records.event import EventRecord
    from inspector.sources.live import LiveSource

#: Objects made, and collections of the younger generation, before one of each generation.
COLLECTED_AFTER = (500_000, 10, 50)

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
    screen: bool

    def words(self) -> str:
        """The filter, as one expression."""
        return " ".join(self.filter)


@dataclass(slots=True)
class _Voice:
    """What is said about the capture while it runs: on standard error, or on the screen while there is one."""

    say: Callable[[str], None]

    def __call__(self, text: str) -> None:
        self.say(text)


@dataclass(slots=True)
class _Running:
    """An open capture, and where its report goes."""

    source: LiveSource
    keeping: Keeping
    capturing: Capturing
    shared: Shared
    output: Output
    voice: _Voice
    serving: Serving | None
    judging: Judging
    error: BaseException | None = None
    """What ended the capture; the report is of what was seen until then."""


def watch(capturing: Capturing, shared: Shared) -> int:
    """Capture and report; the exit status."""
    from inspector.cli.judging import Judging
    from inspector.cli.keeping import Keeping, rotation

    shared.check()
    if shared.format == "parquet":
        raise UsageError("--format parquet: live writes no tables; keep packets with -w, and read them")
    files = rotation(capturing.rotation)
    if capturing.write is None and (capturing.rotation or capturing.embed_keys):
        raise UsageError(f"{'--embed-keys' if capturing.embed_keys else '-b'}: only with -w FILE")
    with ExitStack() as stack:
        serving = _serving(capturing, stack, early=True)
        voice = _Voice(shared.warn)
        source = stack.enter_context(open_capture(capturing, voice))
        serving = serving or _serving(capturing, stack, early=False)
        stack.enter_context(_ending(source))
        shared.warn(f"capturing on {', '.join(source.names)}; Ctrl-C ends")
        if serving is not None:
            serving.start()
            shared.warn(f"metrics at {serving.url}")
        output = stack.enter_context(open_output(shared.output, as_it_comes=shared.format == "ndjson"))
        keeping = stack.enter_context(Keeping(source, capturing, files))
        report = {"table": _table, "json": _json, "ndjson": _ndjson, "html": _html}[shared.format]
        running = _Running(source, keeping, capturing, shared, output, voice, serving, Judging(source))
        inspection = report(running)
    if running.error is not None:
        raise running.error
    from inspector.report.heading import problem_text

    if shared.format != "table" or not output.terminal:
        for problem in inspection.capture.problems:
            shared.warn(problem_text(problem))
    return PARTLY_READ if inspection.capture.problems else 0


def open_capture(capturing: Capturing, warn: Callable[[str], None]) -> LiveSource:
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
            warn=warn,
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


def _table(running: _Running) -> Inspection:
    from inspector.cli.screen import has_screen
    from inspector.report.table import View, table

    shared, output = running.shared, running.output
    if running.capturing.screen and not shared.quiet and has_screen():
        inspection = _on_screen(running)
    else:
        with _status(running) as status:
            inspection = _inspect(running, _options(shared), status)
    output.lines(table(inspection, View(output.screen(), shared.connections, shared.events, shared.verbose)))
    return inspection


def _on_screen(running: _Running) -> Inspection:
    """Everything that is seen until the capture ends, shown as it comes."""
    from inspector.cli.screen import WatchedCapture, show
    from inspector.sources.bpf import DEFAULT_FILTER

    shared, voice = running.shared, running.voice
    watched = WatchedCapture(running.source, running.capturing.words() or DEFAULT_FILTER, running.judging)
    options = _options(shared)
    events: deque[EventRecord] = deque(maxlen=None if options.bounds is None else options.bounds.events)
    noted = 0

    def take(event: EventRecord) -> None:
        nonlocal noted
        watched.kept.add(event)
        if shared.events:
            events.append(event)
            noted += 1

    options = replace(options, events=True, on_event=take)
    voice.say = watched.warn
    try:
        inspection = show(
            watched, running.source, lambda: _inspect(running, options, watched.after_batch), shared.verbose
        )
    finally:
        voice.say = shared.warn
        for text in watched.said:
            shared.warn(text)
    running.error = watched.error
    inspection.events = sorted(events, key=lambda event: (event.time_ns, event.packet))
    if inspection.capture.history is not None:
        inspection.capture.history.events = noted - len(events)
    return inspection


def _json(running: _Running) -> Inspection:
    from inspector.report.json import json_report

    with _status(running) as status:
        inspection = _inspect(running, _options(running.shared), status)
    for piece in json_report(inspection):
        running.output.write(piece)
    return inspection


def _ndjson(running: _Running) -> Inspection:
    from inspector.report.ndjson import NdjsonWriter

    shared, output = running.shared, running.output
    writer = NdjsonWriter(output.write)
    running.judging.tell = writer.finding
    options = _options(
        shared,
        on_connection=writer.connection,
        on_event=writer.event if shared.events else None,
    )
    with _status(running) as status:

        def after_batch(inspector: Inspector) -> None:
            output.flush()
            status(inspector)

        inspection = _inspect(running, options, after_batch)
    writer.finish(inspection)
    return inspection


def _html(running: _Running) -> Inspection:
    from inspector.cli.kept import EVENTS_OF_PAGE, KeptEvents
    from inspector.report.html.page import html_report

    kept = KeptEvents(EVENTS_OF_PAGE)
    with _status(running) as status:
        inspection = _inspect(running, _options(running.shared, events=True, on_event=kept.add), status)
    for piece in html_report(inspection, kept.of):
        running.output.write(piece)
    return inspection


@contextmanager
def _status(running: _Running) -> Iterator[Callable[[Inspector], None]]:
    """Who keeps a line on standard error, where it does not run into the report."""
    from inspector.cli.progress import LiveStatus

    shared, output = running.shared, running.output
    status = LiveStatus(running.source, not shared.quiet and not (shared.format == "ndjson" and output.terminal))
    try:
        yield lambda inspector: status.update(inspector.connections)
    finally:
        status.stop()


def _options(shared: Shared, **others: object) -> Options:
    from inspector.bounds import Bounds
    from inspector.cli.read import engine_options

    options = engine_options(shared)(**others)
    return options if options.bounds is not None else replace(options, bounds=Bounds())


def _inspect(running: _Running, options: Options, after_batch: Callable[[Inspector], None]) -> Inspection:
    """Everything that is seen until the capture ends; `after_batch` is told of each batch that was fed."""
    from inspector.cli.selection import Selection
    from inspector.engine import Inspector
    from inspector.protocols.tls.keylog import KeyLog
    from inspector.sources.account import complete
    from inspector.sources.keys import FollowedKeys

    source, keeping, serving, judging = running.source, running.keeping, running.serving, running.judging
    keys = FollowedKeys(
        key_logs(running.shared.keylog),
        KeyLog(growing=True, most=None if options.bounds is None else options.bounds.secrets),
        running.voice,
    )
    inspector = Inspector(replace(serving.counting(options) if serving is not None else options, keys=keys.log))
    first_seen = False
    # There is next to nothing to collect (see reading.py), but this may run for days: it is looked for seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    with closing(keys):
        for batch in source:
            if len(batch) and not first_seen:
                first_seen = True
                if isinstance(options.select, Selection):
                    options.select.first_ns = int(batch.time_ns[0])
            keeping.take(batch, keys.take())
            inspector.feed(batch)
            if judging.tell is not None or (serving is not None and serving.is_asked):
                judging.look(inspector)
            if serving is not None:
                serving.refresh(inspector, source, judging.found)
            after_batch(inspector)
    keeping.close()
    return inspector.finish(partial(complete, source))


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
