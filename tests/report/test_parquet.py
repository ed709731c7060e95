"""The Parquet tables against the JSON report of the same recordings, read by pyarrow, DuckDB and pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from inspector.cli.main import main
from inspector.report.parquet import tables
from tests.recordings import CAPTURES, report_on

#: HTTP/1, HTTP/2 with PING and GOAWAY, TLS that stays closed, a race, WebSocket, gRPC, a tunnel.
RECORDINGS = ["nginx-idle", "envoy-h2-pings", "tls-no-keys", "race-after", "websocket", "grpc", "connect-tunnel"]


def written(name: str, folder: Path) -> Path:
    """The folder with a recording's tables."""
    (capture,) = (CAPTURES / name).glob("client.pcapng*")
    keys = [argument for log in (CAPTURES / name).glob("keys.log") for argument in ("--keylog", str(log))]
    assert main(["read", "-T", "parquet", "-o", str(folder / name), *keys, str(capture)]) == 0
    return folder / name


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """A table's rows, maps as objects."""
    found = pq.read_table(folder / f"{table}.parquet")
    maps = [field.name for field in found.schema if str(field.type).startswith("map")]
    return [
        {name: dict(value) if name in maps and value is not None else value for name, value in row.items()}
        for row in found.to_pylist()
    ]


def flattened(record: dict[str, Any], columns: set[str], name: str = "") -> dict[str, Any]:
    """A JSON record by column: what has no column is an object whose fields have one."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        column = f"{name}_{key}" if name else key
        if column in columns:
            flat[column] = value
        elif isinstance(value, dict):
            flat |= flattened(value, columns, column)
    return flat


def as_json(records: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON records as rows: columns of an object that is null are null."""
    columns = set(found[0]) if found else set()
    return [dict.fromkeys(columns) | flattened(record, columns) for record in records]


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_table_says_what_the_json_report_says(name: str, tmp_path: Path) -> None:
    folder, report = written(name, tmp_path), report_on(CAPTURES / name)
    for table in ("connections", "endpoints"):
        found = rows(folder, table)
        assert found == as_json(report[table], found)
    exchanges = [
        {"connection": connection["id"], **exchange}
        for connection in report["connections"]
        for exchange in connection["exchanges"]
    ]
    found = rows(folder, "exchanges")
    assert found == as_json(exchanges, found)
    findings = [{**finding, "measured": json.dumps(finding["measured"])} for finding in report["findings"]]
    found = [{**row, "measured": json.dumps(json.loads(row["measured"]))} for row in rows(folder, "findings")]
    assert found == as_json(findings, found)


def test_no_field_of_the_report_is_lost() -> None:
    """Every leaf of the records is a column, or in a table of its own."""
    names = {table.name: {column.name for column in table.columns} for table in tables()}
    assert {"closed_idle_ns", "closed_announced_by", "tls_alpn", "http2_server_frames"} <= names["connections"]
    assert not {"exchanges", "http2_client_settings", "http2_pings"} & names["connections"]
    assert {"connection", "index", "request_time_ns", "response_keep_alive_timeout", "race"} <= names["exchanges"]
    assert all(column.sentence for table in tables() for column in table.columns)


def test_frames_are_those_of_the_report(tmp_path: Path) -> None:
    folder, report = written("envoy-h2-pings", tmp_path), report_on(CAPTURES / "envoy-h2-pings")
    found = rows(folder, "frames")
    told = {kind: [row for row in found if row["type"] == kind] for kind in ("SETTINGS", "GOAWAY", "PING")}
    http2 = [connection["http2"] for connection in report["connections"] if connection["http2"]]
    for kind, field in (("SETTINGS", "settings"), ("GOAWAY", "goaways")):
        packets = [one["packet"] for both in http2 for side in ("client", "server") for one in both[side][field]]
        assert sorted(row["packet"] for row in told[kind]) == sorted(packets)
        assert packets
    pings = [(ping["from"], ping["packet"], ping["ack_ns"]) for both in http2 for ping in both["pings"]]
    assert sorted((row["side"], row["packet"], row["ack_ns"]) for row in told["PING"]) == sorted(pings)
    assert pings


def test_columns_are_documented_in_the_file(tmp_path: Path) -> None:
    schema = pq.read_schema(written("nginx-idle", tmp_path) / "connections.parquet")
    assert schema.metadata[b"description"] == b"One row a TCP connection."
    assert schema.field("closed_idle_ns").metadata[b"description"].startswith(b"How long no application byte had moved")
    assert json.loads(schema.metadata[b"connspect"])["capture"]["packets"] == 96


def test_duckdb_answers_a_fleets_question(tmp_path: Path) -> None:
    """Who closes, after how long idle, by server: over the captures of many hosts."""
    for name in ("nginx-idle", "apache-idle", "node-idle"):
        written(name, tmp_path)
    answer = duckdb.execute(
        f"""
        select closed_by, count(*) as n, round(median(closed_idle_ns) / 1e9) as idle_s
        from '{tmp_path}/*/connections.parquet'
        where closed_idle_ns > 200_000_000 group by all order by idle_s
        """
    ).fetchall()
    assert answer == [("server", 10, 7.0)]


def test_pandas_reads_it(tmp_path: Path) -> None:
    frame = pd.read_parquet(written("nginx-idle", tmp_path) / "connections.parquet")
    assert frame["closed_by"].value_counts().to_dict() == {"server": 6}
    assert frame["requests"].sum() == 18
    assert (frame["closed_idle_ns"] / 1e9).round().tolist() == [7.0] * 6


def test_tables_are_replaced_whole(tmp_path: Path) -> None:
    folder = written("nginx-idle", tmp_path)
    again = written("nginx-idle", tmp_path)
    assert again == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{table.name}.parquet" for table in tables())


def test_a_file_in_the_folders_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    (capture,) = (CAPTURES / "nginx-idle").glob("client.pcapng*")
    assert main(["read", "-T", "parquet", "-o", str(taken), str(capture)]) == 2
    assert capsys.readouterr().err == f"connspect: --format parquet: {taken} is a file; name a folder with -o DIR\n"
    assert taken.read_text() == "mine"
