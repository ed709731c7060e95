"""The schema says of every field what it is."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.records.schema import json_schema

DEFINITIONS: dict[str, dict[str, Any]] = json_schema()["$defs"]
FIELDS = [(record, name) for record, definition in DEFINITIONS.items() for name in definition["properties"]]


@pytest.mark.parametrize(("record", "name"), FIELDS, ids=[f"{record}.{name}" for record, name in FIELDS])
def test_every_field_has_a_sentence(record: str, name: str) -> None:
    description = DEFINITIONS[record]["properties"][name].get("description", "")
    assert description.endswith(".")


def test_times_and_sizes_have_units() -> None:
    connection = DEFINITIONS["Connection"]["properties"]
    assert connection["start_ns"]["unit"] == "ns"
    assert DEFINITIONS["Traffic"]["properties"]["bytes"]["unit"] == "bytes"
    assert DEFINITIONS["Traffic"]["properties"]["missing_bytes"]["unit"] == "bytes"
    assert "unit" not in connection["first_packet"]


def test_the_schema_starts_at_the_report() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$ref"] == "#/$defs/Report"
    assert "EventRecord" in DEFINITIONS
