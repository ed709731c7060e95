"""The JSON report and its lines, against the records and against their own schema."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema

from inspector.inspection import Inspection
from inspector.records.capture import Problem
from inspector.records.event import EventKind
from inspector.records.schema import json_schema
from inspector.report.json import json_report
from inspector.report.ndjson import NdjsonWriter
from tests.report import samples


def report(inspection: Inspection) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(b"".join(json_report(inspection)))
    return parsed


def closed_schema() -> dict[str, Any]:
    """The schema without room for fields that it does not name."""
    schema = json_schema()
    for definition in schema["$defs"].values():
        definition.setdefault("additionalProperties", False)
    return schema


def test_the_report_is_valid_and_has_no_field_that_the_schema_lacks() -> None:
    inspection = samples.inspection(capture=samples.capture(problems=[Problem("a", None, None, "gone")]))
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(report(inspection), closed_schema(), jsonschema.Draft202012Validator)


def test_a_report_with_everything_filled_is_valid() -> None:
    connection, endpoint = samples.filled()
    whole = report(samples.inspection(connections=[connection], endpoints=[endpoint]))
    jsonschema.validate(whole, closed_schema(), jsonschema.Draft202012Validator)
    (told,) = whole["connections"]
    assert [name for name, value in told.items() if value is None] == []
    assert told["http2"]["pings"][0]["from"] == "server"


def test_an_encrypted_connection_is_valid() -> None:
    secret = samples.connection(protocol="tls", requests=None, responses=None, exchanges=[], tls=samples.tls(alpn=None))
    endpoint = samples.endpoint(requests=None)
    endpoint.clients[0].requests = None
    whole = report(samples.inspection(connections=[secret], endpoints=[endpoint]))
    jsonschema.validate(whole, closed_schema(), jsonschema.Draft202012Validator)


def test_every_kind_of_event_is_valid() -> None:
    lines: list[bytes] = []
    writer = NdjsonWriter(lines.append)
    for kind in get_args(EventKind):
        writer.event(samples.event(kind, 1, 0, "client", 0, "detail"))
    schema = closed_schema()
    for line in lines:
        told = json.loads(line)
        assert told.pop("type") == "event"
        jsonschema.validate(told, {**schema, "$ref": "#/$defs/EventRecord"}, jsonschema.Draft202012Validator)


def test_keys_come_in_the_contracts_order() -> None:
    assert list(report(samples.inspection())) == [
        "schema",
        "version",
        "capture",
        "endpoints",
        "connections",
        "findings",
        "anomalies",
    ]


def test_empty_and_many() -> None:
    empty = report(samples.inspection(endpoints=[], connections=[]))
    assert (empty["endpoints"], empty["connections"]) == ([], [])
    many = report(samples.inspection(connections=[samples.connection(id=i) for i in range(2_000)]))
    assert [c["id"] for c in many["connections"]] == list(range(2_000))


def test_the_report_comes_in_pieces_with_a_connection_a_line() -> None:
    inspection = samples.inspection(connections=[samples.connection(id=i) for i in range(2_000)])
    pieces = list(json_report(inspection))
    assert max(map(len, pieces)) < 300_000
    lines = b"".join(pieces).splitlines()
    assert sum(line.startswith(b'{"id":') for line in lines) == 2_000


def test_text_from_the_wire_is_json_text() -> None:
    name = 'a"\x1b\u2028\u202e'
    assert report(samples.inspection(endpoints=[samples.endpoint(name=name)]))["endpoints"][0]["name"] == name


def test_lines_have_their_type_first_and_the_capture_last() -> None:
    lines: list[bytes] = []
    writer = NdjsonWriter(lines.append)
    inspection = samples.inspection(findings=[samples.finding()])
    writer.event(samples.nginx_events()[0])
    writer.finding(samples.finding())
    writer.connection(samples.connection())
    writer.finish(inspection)
    assert all(line.endswith(b"}\n") and line.count(b"\n") == 1 for line in lines)
    objects = [json.loads(line) for line in lines]
    assert [next(iter(o.items())) for o in objects] == [
        ("type", "event"),
        ("type", "finding"),
        ("type", "connection"),
        ("type", "finding"),
        ("type", "endpoint"),
        ("type", "capture"),
    ]
    assert [o.pop("final") for o in objects if o["type"] == "finding"] == [False, True]
    whole = report(inspection)
    (finding,) = whole["findings"]
    records = (finding, whole["connections"][0], finding, whole["endpoints"][0], whole["capture"])
    for line, record in zip(objects[1:], records, strict=True):
        assert {k: v for k, v in line.items() if k != "type"} == record
