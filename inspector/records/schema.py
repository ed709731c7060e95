"""The JSON report's schema (JSON Schema 2020-12), made from the record classes: they are the schema.

Every property has its sentence; a time, a duration and a number of bytes also have a `unit`, which their names tell
(`*_ns`, `*bytes`), so that a reader need not parse names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from inspector.records.capture import Report
from inspector.records.event import EventRecord

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"

#: Properties that count bytes without saying so in their names.
_BYTE_NAMES = frozenset({"offset", "content_length"})


def json_schema() -> dict[str, Any]:
    """The schema of the report; `$defs` also has `EventRecord`, the `event` lines of ndjson."""
    (report, _), definitions = msgspec.json.schema_components((Report, EventRecord), ref_template=_REF)
    for definition in definitions.values():
        _with_units(definition)
    return {"$schema": _DIALECT, "title": "connspect report", **report, "$defs": definitions}


def fields(record: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The properties of one record, those of records inside it in their places."""
    _, definitions = msgspec.json.schema_components((record,), ref_template=_REF)
    for definition in definitions.values():
        _with_units(definition)
    properties: dict[str, dict[str, Any]] = _inlined(definitions[record.__name__]["properties"], definitions)
    return properties


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = {key: _inlined(part, definitions) for key, part in schema.items() if key != "$ref"}
    if "$ref" in schema:
        return {**_inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions), **named}
    return named


def _with_units(definition: dict[str, Any]) -> None:
    for name, field in definition.get("properties", {}).items():
        unit = _unit(name)
        if unit is not None:
            field["unit"] = unit


def _unit(name: str) -> str | None:
    words = name.split("_")
    if "ns" in words[1:]:
        return "ns"
    return "bytes" if name in _BYTE_NAMES or words[-1] == "bytes" else None
