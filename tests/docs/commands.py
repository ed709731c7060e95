"""The commands as click knows them, taken apart: for the page and the man page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

from inspector.cli.main import connspect


@dataclass(slots=True)
class Told:
    """One command."""

    name: str
    usage: str
    """What stands behind its name."""
    summary: str
    """One sentence, without its full stop."""
    paragraphs: list[str | list[str]]
    """The text behind it: running text, or lines that stand as they are typed."""
    options: dict[str, list[tuple[str, str]]]
    """By heading: how it is written, and what it does."""
    without: list[str]
    """Options that it takes as all do, and that mean nothing to it."""


def program() -> Told:
    """The command line itself."""
    return _told("connspect", connspect)


def commands() -> Iterator[Told]:
    """Each command with the options that are its own, in the order of the help."""
    shared = shared_options()
    for name, command in connspect.commands.items():
        told = _told(name, command)
        own = {
            heading: [row for row in rows if row[0] not in {written for written, _ in shared.get(heading, [])}]
            for heading, rows in told.options.items()
        }
        told.options = {heading: rows for heading, rows in own.items() if rows}
        yield told


def shared_options() -> dict[str, list[tuple[str, str]]]:
    """The options of every command that reads packets: those of `read`, which has no others."""
    return _told("read", connspect.commands["read"]).options


def _told(name: str, command: click.Command) -> Told:
    context = click.Context(command, info_name=name)
    first, *paragraphs = _paragraphs(command.help or "")
    assert isinstance(first, str)
    options: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            options.setdefault(getattr(parameter, "heading", "Other"), []).append(record)
    hidden = [one.opts[-1] for one in command.params if isinstance(one, click.Option) and one.hidden]
    return Told(name, " ".join(command.collect_usage_pieces(context)), first.rstrip("."), paragraphs, options, hidden)


def _paragraphs(text: str) -> Iterator[str | list[str]]:
    """click's: an empty line between two, \\b before one that is not to be filled."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.split("\n")
        if lines[0].strip() == "\b":
            yield [line.strip() for line in lines[1:]]
        else:
            yield " ".join(line.strip() for line in lines)
