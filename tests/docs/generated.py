"""Pages, and parts of pages, that the code writes: findings, fields, tables, commands, the man page.

What is made here is kept in the repository, so that it can be read and compared there. A part of a page that is
written by hand stands between `begin: NAME` and `end: NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inspector.findings.families import family
from inspector.findings.rule import FindingKind
from inspector.records.schema import json_schema
from inspector.report.explain import QUALIFIERS, by_family, figures, kinds, thresholds
from inspector.report.parquet import tables
from tests.docs.commands import Told, commands, shared_options
from tests.docs.manual import page as man_page
from tests.docs.pages import DOCS, ROOT

MADE = "<!-- made by python -m tests.docs.rewrite -->\n"
#: A bar inside a table.
BAR = "\\|"


def whole_pages() -> dict[Path, str]:
    """The pages that are made as a whole."""
    findings = {DOCS / "findings" / f"{kind.code}.md": _finding(kind) for kind in kinds()}
    return {
        **findings,
        DOCS / "findings" / "index.md": _findings(),
        DOCS / "reference" / "fields.md": _fields(),
        DOCS / "reference" / "tables.md": _tables(),
        DOCS / "reference" / "commands.md": _commands(),
        DOCS / "connspect.1": man_page(),
    }


def stale_pages() -> list[Path]:
    """Pages of findings that there are no more."""
    return [path for path in (DOCS / "findings").glob("*.md") if path not in whole_pages()]


def with_parts(path: Path, text: str) -> str:
    """A page that is written by hand, with its parts as they are made now."""
    for (where, name), body in _parts().items():
        if where == path:
            text = _replaced(text, name, body)
    return text


def pages_with_parts() -> set[Path]:
    """The pages that have such parts."""
    return {path for path, _ in _parts()}


def _parts() -> dict[tuple[Path, str], str]:
    navigation = "".join(f"      - {kind.code}: findings/{kind.code}.md\n" for kind in kinds())
    return {
        (ROOT / "mkdocs.yml", "findings"): navigation,
        (DOCS / "contract.md", "codes"): _codes(),
    }


def _replaced(text: str, name: str, body: str) -> str:
    found = re.search(
        rf"^(?P<start>[^\n]*begin: {name}\b[^\n]*\n).*?(?P<end>^[^\n]*end: {name}\b)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"there is no part {name}"
    return text[: found.end("start")] + body + text[found.start("end") :]


# ---- findings


def _findings() -> str:
    lines = [
        "# Findings",
        "",
        "What connspect concludes from connections. Each says how it was measured, names the packets that show it, and",
        "what makes it less sure. `connspect explain CODE` tells the same as these pages.",
        "",
    ]
    for title, those in by_family():
        lines += [f"## {title}", "", "| finding | when it is told | severity |", "| --- | --- | --- |"]
        lines += [
            f"| [`{kind.code}`]({kind.code}.md) | {_cell(kind.when)} | {_cell(kind.severity)} |" for kind in those
        ]
        lines += [""]
    rows = [f"| {qualifier} | {meaning} |" for qualifier, meaning in QUALIFIERS.items()]
    return MADE + "\n".join([*lines, _BEHIND + "\n".join(rows), ""])


_BEHIND = """\
## Severities

| severity | means |
| --- | --- |
| info | a fact worth knowing |
| notice | it may cost, or surprise |
| warning | it costs now |
| problem | requests or connections are lost |

## Qualifiers

They stand behind the code in a report, as in `[server-idle-timeout, few-samples]`.

| qualifier | means |
| --- | --- |
"""


def _finding(kind: FindingKind) -> str:
    lines = [
        f"# {kind.code}",
        "",
        _markdown(kind.meaning),
        "",
        "| | |",
        "| --- | --- |",
        f"| about | {family(kind.code)} |",
        f"| told when | {_cell(kind.when)} |",
        f"| severity | {_cell(kind.severity)} |",
        "",
        "## What to do",
        "",
        _markdown(kind.advice),
        "",
        "## What it looks like",
        "",
        _markdown(kind.example),
        "",
        "## How it is measured",
        "",
        "The figures of `measured` in the JSON report.",
        "",
        "| figure | unit | |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {unit} | {_cell(sentence)} |" for name, unit, sentence in figures(kind)),
        "",
    ]
    if numbers := thresholds(kind):
        lines += ["## Numbers that decide", "", "| number | value | |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {value} | {_cell(sentence)} |" for name, value, sentence in numbers]
        lines += [""]
    return MADE + "\n".join(lines)


def _codes() -> str:
    rows = [
        f"| `{kind.code}` | {', '.join(f'`{name}`' for name in kind.measured.__struct_encode_fields__)} |"
        for kind in kinds()
    ]
    return "\n".join(["", "| code | `measured` |", "| --- | --- |", *rows, "", ""])


# ---- reference


def _fields() -> str:
    schema = json_schema()
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    lines = [
        "# Fields of the JSON report",
        "",
        "The report is one `Report`. Each record's fields are below, as `connspect schema` has them. What is not known",
        "is null. `ns` are nanoseconds: since the Unix epoch where the sentence says so, else a duration.",
        "",
    ]
    for name in _in_order("Report", definitions):
        definition = definitions[name]
        lines += [f"## {name}", "", _markdown(definition.get("description", "")), ""]
        lines += ["| field | type | unit | |", "| --- | --- | --- | --- |"]
        for field, property in definition["properties"].items():
            kind, unit = _type(property), property.get("unit", "")
            lines.append(f"| `{field}` | {kind} | {unit} | {_cell(property['description'])} |")
        lines += [""]
    return MADE + "\n".join(lines)


def _in_order(first: str, definitions: dict[str, dict[str, Any]]) -> list[str]:
    """Records in the order in which they are named, from the first on; then those that nobody names."""
    order: list[str] = []
    waiting = [first, *sorted(definitions)]
    while waiting:
        name = waiting.pop(0)
        if name not in order:
            order.append(name)
            waiting = [*re.findall(r"#/\$defs/(\w+)", str(definitions[name])), *waiting]
    return order


def _type(property: dict[str, Any]) -> str:
    """A property's type in a few words, other records as links."""
    if "$ref" in property:
        name = property["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in property:
        return " or ".join(_type(one) for one in property["anyOf"])
    if "enum" in property:
        return ", ".join("null" if one is None else f'`"{one}"`' for one in property["enum"])
    if property.get("type") == "array":
        return f"list of {_type(property['items'])}" if property.get("items") else "list"
    if property.get("type") == "object":
        values = property.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) and values else "object"
    return str(property.get("type", "any"))


def _tables() -> str:
    lines = [
        "# Columns of the Parquet tables",
        "",
        "`connspect read -T parquet -o DIR` writes these, a file each. An object's fields have its name in front of",
        "theirs. The capture's own record is in each file's metadata, as JSON under `connspect`.",
        "",
    ]
    for table in tables():
        lines += [f"## {table.name}", "", _markdown(table.says), "", "| column | type | |", "| --- | --- | --- |"]
        lines += [f"| `{c.name}` | {_cell(_short(str(c.type)))} | {_cell(c.sentence)} |" for c in table.columns]
        lines += [""]
    return MADE + "\n".join(lines)


def _short(kind: str) -> str:
    """An Arrow type as SQL people say it."""
    return re.sub(r"<.*>", "", kind) if kind.startswith("list<item: struct") else kind.replace("item: ", "")


def _commands() -> str:
    lines = ["# Commands", "", "As `connspect COMMAND --help` tells them.", ""]
    for command in commands():
        lines += [*_command(command)]
    lines += ["## Options of all commands", "", *_options(shared_options())]
    return MADE + "\n".join(lines)


def _command(command: Told) -> Iterator[str]:
    yield from (f"## {command.name}", "", "```text", f"connspect {command.name} {command.usage}".rstrip(), "```", "")
    yield from (_markdown(command.summary) + ".", "")
    for paragraph in command.paragraphs:
        if isinstance(paragraph, str):
            yield from (_markdown(paragraph), "")
        else:
            yield from ("```text", *paragraph, "```", "")
    yield from _options(command.options)
    if command.without:
        yield from (f"Of the options of all commands these mean nothing here: {_listed(command.without)}.", "")


def _listed(options: list[str]) -> str:
    return ", ".join(f"`{option}`" for option in options)


def _options(by_heading: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    for heading, options in by_heading.items():
        yield from (f"| {heading.lower()} | |", "| --- | --- |")
        for written, what in options:
            yield f"| `{written.replace('|', BAR)}` | {_cell(what)} |"
        yield ""


def _markdown(text: str) -> str:
    """Text in which nothing is markup; what stands between backticks is code anyway."""
    parts = text.split("`")
    return "`".join(re.sub(r"([*_<>\[\]])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _cell(text: str) -> str:
    return _markdown(text).replace("|", BAR)
