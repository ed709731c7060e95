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
        for name, field in definition.get("properties", {}).items():
            unit = _unit(name)
            if unit is not None:
                field["unit"] = unit
    return {"$schema": _DIALECT, "title": "connspect report", **report, "$defs": definitions}


def _unit(name: str) -> str | None:
    if name.endswith("_ns"):
        return "ns"
    return "bytes" if name in _BYTE_NAMES or name.split("_")[-1] == "bytes" else None
