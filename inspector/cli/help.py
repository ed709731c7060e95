"""Help pages and usage errors: options under headings, and a hint where a capture stands in a command's place."""

from __future__ import annotations

import os
from typing import Any

import click


class Option(click.Option):
    """An option that is shown under a heading."""

    def __init__(self, *declarations: Any, heading: str = "Options", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading


class Command(click.Command):
    """A command whose help shows its options by heading, and its examples as they are typed."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        own_first = sorted(self.get_params(ctx), key=lambda parameter: not isinstance(parameter, Option))
        for parameter in own_first:
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections.setdefault(getattr(parameter, "heading", "Other"), []).append(record)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class Group(click.Group):
    """The commands in the order in which they are declared."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and os.path.exists(args[0]):
            raise click.UsageError(f"{args[0]} is a file: did you mean 'connspect read {args[0]}'?", ctx)
        return super().resolve_command(ctx, args)


def usage_line(error: click.ClickException) -> str:
    """A usage error as one line that names the command and says where to read on."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "connspect"
    message = " ".join(error.format_message().split())
    hint = "" if "did you mean" in message.lower() else f"; '{path} --help' tells more"
    message = message.removesuffix(".") if hint else message
    return f"{path}: {message}{hint}"
