"""`connspect read` and `connspect show`: the shared options become options of the engine and a renderer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from inspector.cli import INTERRUPTED, PARTLY_READ
from inspector.cli.options import Shared
from inspector.cli.output import Output, open_output
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.engine import Options
    from inspector.inspection import Inspection
    from inspector.records.connection import Connection


def read_captures(paths: Sequence[str], shared: Shared) -> int:
    """Report on captures; the exit status."""
    shared.check()
    if shared.format == "parquet":
        return _read_parquet(paths, shared)
    with open_output(shared.output) as output:
        formats = {"table": _read_table, "json": _read_json, "ndjson": _read_ndjson, "html": _read_html}
        return formats[shared.format](paths, shared, output)


def show_connection(path: str, number: int, shared: Shared) -> int:
    """Tell the story of one connection; the exit status. Raises UsageError when there is no such connection."""
    from inspector.engine import Options
    from inspector.report.story import story

    shared.check()
    if shared.format != "table":
        raise UsageError(f"--format {shared.format}: show writes text; 'connspect read' has the other formats")
    highest = -1

    def select(connection: Connection) -> bool:
        nonlocal highest
        highest = max(highest, connection.id)
        return connection.id == number

    with open_output(shared.output) as output:
        options = Options(
            select=select,
            show_secrets=shared.show_secrets,
            events=True,
            events_of=frozenset([number]),
            names=not shared.no_names,
        )
        inspection, status = inspect_captures([path], options, shared, output)
        _warn_of_problems(inspection, shared)
        if not inspection.connections:
            there = f"there are 0 to {highest}" if highest >= 0 else "there are none"
            raise UsageError(f"{path}: no connection {number}; {there}")
        output.lines(story(inspection.connections[0], inspection.events, output.screen(), shared.verbose))
    return status


def _read_table(paths: Sequence[str], shared: Shared, output: Output) -> int:
    from inspector.report.table import View, table

    options = engine_options(shared)
    inspection, status = inspect_captures(paths, options(), shared, output)
    output.lines(table(inspection, View(output.screen(), shared.connections, shared.events, shared.verbose)))
    if not output.terminal:
        _warn_of_problems(inspection, shared)
    return status


def _read_json(paths: Sequence[str], shared: Shared, output: Output) -> int:
    from inspector.report.json import json_report

    inspection, status = inspect_captures(paths, engine_options(shared)(), shared, output)
    for piece in json_report(inspection):
        output.write(piece)
    _warn_of_problems(inspection, shared)
    return status


def _read_ndjson(paths: Sequence[str], shared: Shared, output: Output) -> int:
    from inspector.report.ndjson import NdjsonWriter

    writer = NdjsonWriter(output.write)
    on_event = writer.event if shared.events else None
    options = engine_options(shared)(on_connection=writer.connection, on_event=on_event)
    inspection, status = inspect_captures(paths, options, shared, output)
    writer.finish(inspection)
    _warn_of_problems(inspection, shared)
    return status


def _read_html(paths: Sequence[str], shared: Shared, output: Output) -> int:
    from inspector.cli.kept import EVENTS_OF_PAGE, KeptEvents
    from inspector.report.html.page import html_report

    kept = KeptEvents(EVENTS_OF_PAGE)
    options = engine_options(shared)(events=True, on_event=kept.add)
    inspection, status = inspect_captures(paths, options, shared, output)
    for piece in html_report(inspection, kept.of):
        output.write(piece)
    _warn_of_problems(inspection, shared)
    return status


def _read_parquet(paths: Sequence[str], shared: Shared) -> int:
    from inspector.cli.tables import folder_for, write_tables

    folder = folder_for(shared.output)
    inspection, status = inspect_captures(paths, engine_options(shared)(), shared)
    write_tables(inspection, folder)
    _warn_of_problems(inspection, shared)
    return status


def engine_options(shared: Shared) -> Callable[..., Options]:
    """The engine's options, but for those that a format decides."""
    from inspector.bounds import Bounds
    from inspector.engine import Options

    selection = shared.selection()
    return partial(
        Options,
        bounds=None if shared.history is None else Bounds(shared.history),
        select=selection if selection else None,
        show_secrets=shared.show_secrets,
        events=shared.events,
        names=not shared.no_names,
    )


def inspect_captures(
    paths: Sequence[str], options: Options, shared: Shared, output: Output | None = None
) -> tuple[Inspection, int]:
    """The inspection and the exit status that it asks for; `output` is where something is written meanwhile."""
    from inspector.cli.reading import inspect

    # Lines of a report that is written while it is read would run into the bar.
    mixed = shared.format == "ndjson" and output is not None and output.terminal
    inspection, interrupted = inspect(
        paths,
        options,
        keylogs=shared.keylog,
        warn=shared.warn,
        on_batch=output.flush if output is not None else _nothing,
        progress=not shared.quiet and not mixed,
    )
    if interrupted:
        return inspection, INTERRUPTED
    return inspection, PARTLY_READ if inspection.capture.problems else 0


def _warn_of_problems(inspection: Inspection, shared: Shared) -> None:
    from inspector.report.heading import problem_text

    for problem in inspection.capture.problems:
        shared.warn(problem_text(problem))


def _nothing() -> None:
    """Nobody reads along."""
