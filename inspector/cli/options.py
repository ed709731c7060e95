"""The options that every command shares, in the contract's words, and what of them is not built yet.

Every command takes all of them, so that a script need not know which is which. Its help has those that mean something
to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar, get_args

import click

from inspector.cli.help import Option
from inspector.cli.moments import Moment, moment
from inspector.cli.selection import Selection, canonical_host
from inspector.errors import UsageError

Format = Literal["table", "json", "ndjson", "html", "parquet"]

#: What each format is for.
_FORMATS: dict[Format, str] = {
    "table": "table for people",
    "json": "json for programs",
    "ndjson": "ndjson as it is read",
    "html": "html for a browser",
    "parquet": "parquet for SQL",
}

_REPORT, _SELECT, _READ = "What is written", "Which connections are reported", "How it is read"

_OPTIONS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    (
        _REPORT,
        ("-T", "--format"),
        {
            "type": click.Choice(get_args(Format)),
            "default": "table",
            "show_default": True,
        },
    ),
    (
        _REPORT,
        ("-o", "--output"),
        {"metavar": "PATH"},
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


def shared_options(
    formats: Collection[Format] = get_args(Format), without: Collection[str] = ()
) -> Callable[[_Function], _Function]:
    """Declare the shared options and hand them to the command as one argument, `shared`.

    `formats` are those that the command writes; `without`: names in Shared that mean nothing to it. What it does not
    write and what means nothing to it is not in its help.
    """
    names = list(Shared.__dataclass_fields__)

    def declare(function: _Function) -> _Function:
        @wraps(function)
        def command(**arguments: Any) -> Any:
            shared = Shared(**{name: arguments.pop(name) for name in names})
            return function(shared=shared, **arguments)

        declared: Any = command
        for heading, declarations, attributes in reversed(_OPTIONS):
            name = declarations[-1].lstrip("-").replace("-", "_")
            told = {"hidden": name in without, **attributes, **_told(name, formats)}
            declared = click.option(*declarations, cls=Option, heading=heading, **told)(declared)
        return declared  # type: ignore[no-any-return]

    return declare


def _told(name: str, formats: Collection[Format]) -> dict[str, Any]:
    """What the help has of an option whose meaning hangs on the formats; of --format nothing, where there is one."""
    if name == "format":
        told = ", ".join(what for format, what in _FORMATS.items() if format in formats)
        return {"hidden": len(formats) < 2, "metavar": f"[{'|'.join(formats)}]", "help": f"{told}."}
    if name == "output":
        folder = " (parquet: a folder)" if "parquet" in formats else ""
        return {"help": f"Write the report there; - is standard output{folder}."}
    return {}
