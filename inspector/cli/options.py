"""The options that every command shares, in the contract's words, and what of them is not built yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar

import click

from inspector.cli.help import Option
from inspector.cli.moments import Moment, moment
from inspector.cli.selection import Selection, canonical_host
from inspector.errors import UsageError

Format = Literal["table", "json", "ndjson", "html", "parquet"]

_REPORT, _SELECT, _READ = "What is written", "Which connections are reported", "How it is read"

_OPTIONS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    (
        _REPORT,
        ("-T", "--format"),
        {
            "type": click.Choice(["table", "json", "ndjson", "html", "parquet"]),
            "default": "table",
            "show_default": True,
            "help": "table for people, json for programs, ndjson as it is read, html for a browser, parquet for SQL.",
        },
    ),
    (
        _REPORT,
        ("-o", "--output"),
        {"metavar": "PATH", "help": "Write the report there; - is standard output (parquet: a folder)."},
    ),
    (_REPORT, ("--connections",), {"is_flag": True, "help": "List the connections, too."}),
    (_REPORT, ("--events",), {"is_flag": True, "help": "Write the event log, too (table, ndjson)."}),
    (
        _REPORT,
        ("--show-secrets",),
        {"is_flag": True, "help": "Show what is hidden by default, such as query strings."},
    ),
    (
        _SELECT,
        ("--host",),
        {"multiple": True, "metavar": "HOST", "help": "Address of either end, or name of the server. Repeatable."},
    ),
    (
        _SELECT,
        ("--port",),
        {
            "multiple": True,
            "type": click.IntRange(0, 65_535),
            "metavar": "PORT",
            "help": "Port of either end. Repeatable.",
        },
    ),
    (
        _SELECT,
        ("--since",),
        {"callback": moment, "metavar": "TIME", "help": "Not over by then: 10s (after the first packet) or ISO 8601."},
    ),
    (_SELECT, ("--until",), {"callback": moment, "metavar": "TIME", "help": "Begun by then."}),
    (
        _READ,
        ("--keylog",),
        {
            "multiple": True,
            "type": click.Path(),
            "metavar": "FILE",
            "help": "TLS keys, as SSLKEYLOGFILE has them. Repeatable.",
        },
    ),
    (_READ, ("-n", "no_names"), {"is_flag": True, "help": "Addresses only, no names from the traffic."}),
    (
        _READ,
        ("--history",),
        {
            "type": click.IntRange(0),
            "metavar": "N",
            "help": "Keep only the last N ended connections; older ones are in the totals. live: 10000, unless given.",
        },
    ),
    (
        _READ,
        ("-j", "--jobs"),
        {"type": click.IntRange(1), "default": 1, "metavar": "N", "help": "Processes. More than 1 is not built yet."},
    ),
    (_READ, ("-q", "--quiet"), {"is_flag": True, "help": "No progress, no warnings."}),
    (_READ, ("-v", "--verbose"), {"is_flag": True, "help": "Leave nothing out for want of room."}),
)


@dataclass(slots=True, frozen=True)
class Shared:
    """The shared options as given."""

    format: Format
    output: str | None
    connections: bool
    events: bool
    show_secrets: bool
    host: tuple[str, ...]
    port: tuple[int, ...]
    since: Moment | None
    until: Moment | None
    keylog: tuple[str, ...]
    no_names: bool
    history: int | None
    jobs: int
    quiet: bool
    verbose: bool

    def selection(self) -> Selection:
        """The connections that are asked for."""
        return Selection(frozenset(map(canonical_host, self.host)), frozenset(self.port), self.since, self.until)

    def warn(self, text: str) -> None:
        """One line on standard error, unless quiet."""
        if not self.quiet:
            click.echo(f"connspect: {text}", err=True)

    def check(self) -> None:
        """Refuse what is not built yet, or means nothing together (UsageError)."""
        if self.jobs > 1:
            raise UsageError(f"--jobs {self.jobs}: not built yet; leave it out to read in one process")
        if self.events and self.format == "json":
            raise UsageError("--events: the JSON report has no event log; use --format ndjson or table")


_Function = TypeVar("_Function", bound=Callable[..., Any])


def shared_options(function: _Function) -> _Function:
    """Declare the shared options and hand them to the command as one argument, `shared`."""
    names = list(Shared.__dataclass_fields__)

    @wraps(function)
    def command(**arguments: Any) -> Any:
        shared = Shared(**{name: arguments.pop(name) for name in names})
        return function(shared=shared, **arguments)

    declared: Any = command
    for heading, declarations, attributes in reversed(_OPTIONS):
        declared = click.option(*declarations, cls=Option, heading=heading, **attributes)(declared)
    return declared  # type: ignore[no-any-return]
