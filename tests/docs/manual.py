"""The man page, made of the commands' help (man(7) macros)."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.version import __version__
from tests.docs.commands import Told, commands, program, shared_options

_FILES = """\
.SH ENVIRONMENT
.TP
.B SSLKEYLOGFILE
A TLS key log that
.B live
and
.B run
read as it grows.
.TP
.B NO_COLOR
Where it is set, nothing is coloured.
.SH "SEE ALSO"
.BR tcpdump (8),
.BR dumpcap (1),
.BR tshark (1),
.BR pcap-filter (7)
"""


def page() -> str:
    """The page's source."""
    whole = program()
    lines = [
        f'.TH CONNSPECT 1 "" "connspect {__version__}" "User Commands"',
        ".SH NAME",
        f"connspect \\- {_text(whole.summary[0].lower() + whole.summary[1:])}",
        ".SH SYNOPSIS",
        ".B connspect",
        r"\fICOMMAND\fR [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(whole),
        ".SH COMMANDS",
    ]
    for command in commands():
        lines += [f'.SS "connspect {_text(command.name)} {_text(command.usage)}"', _text(command.summary) + "."]
        lines += [*_paragraphs(command), *_options(command.options)]
        if command.without:
            lines += [
                ".PP",
                _text(f"Of the options of all commands these mean nothing here: {', '.join(command.without)}."),
            ]
    lines += [".SH OPTIONS", "Of all commands.", *_options(shared_options())]
    return "\n".join(lines) + "\n" + _FILES


def _options(by_heading: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    for heading, options in by_heading.items():
        yield from (".PP", f".I {_text(heading)}")
        for written, what in options:
            yield from (".TP", f".B {_text(written)}", _text(what))


def _paragraphs(command: Told) -> Iterator[str]:
    for paragraph in command.paragraphs:
        if isinstance(paragraph, str):
            yield from (".PP", _text(paragraph))
        else:
            yield from (".PP", ".nf", *map(_text, paragraph), ".fi")


def _text(text: str) -> str:
    """Text that means nothing to troff: a dash is the minus that is typed, and no line is a request."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace('"', r"\(dq")
    return rf"\&{plain}" if plain.startswith(".") else plain
