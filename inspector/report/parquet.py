"""The report as Parquet: a table each of connections, exchanges, frames of control, endpoints and findings.

Every table is a file of one folder, written row group by row group beside its place and moved there when all are
whole. The capture's own record (files, totals, skipped packets) is in each file's metadata, as JSON under `connspect`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.records.exchange import Exchange
from inspector.records.finding import Finding
from inspector.records.frame import ControlFrame, control_frames
from inspector.report.columns import Column, columns_of, schema_of
from inspector.version import __version__

#: Rows that are in memory at a time, beside the records.
_ROWS = 20_000

_ID = "Id of its connection."
#: What has a table of its own.
_LEFT_OUT = frozenset(
    {"exchanges", "http2.client.settings", "http2.client.goaways", "http2.server.settings", "http2.server.goaways"}
    | {"http2.pings"}
)


@dataclass(slots=True, frozen=True)
class Table:
    """One table: its columns, and the rows of an inspection."""

    name: str
    says: str
    columns: list[Column]


def tables() -> list[Table]:
    """All tables, with their columns in order."""
    connection = Column("connection", pa.int64(), _ID, lambda row: row[0])
    exchange = [_of_second(column) for column in columns_of(Exchange)]
    return [
        Table("connections", "One row a TCP connection.", columns_of(Connection, _LEFT_OUT)),
        Table("exchanges", "One row a request and its response.", [connection, *exchange]),
        Table("frames", "One row an HTTP/2 SETTINGS, GOAWAY or PING frame.", columns_of(ControlFrame)),
        Table("endpoints", "One row a server's ip and port.", columns_of(EndpointRecord)),
        Table("findings", "One row a conclusion; `measured` is JSON.", columns_of(Finding)),
    ]


def arrow_tables(inspection: Inspection) -> dict[str, pa.Table]:
    """All tables in memory, by name; nulls, units and metadata as in the files."""
    return {
        table.name: pa.Table.from_arrays(
            _arrays(table, list(_rows(table.name, inspection))), schema=_schema(table, inspection)
        )
        for table in tables()
    }


def write_parquet(inspection: Inspection, folder: Path) -> None:
    """Write all tables into `folder`, which is made when it is not there. Raises UsageError when that fails."""
    parts: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for table in tables():
                path = folder / f"{table.name}.parquet"
                part = path.with_name(f".{path.name}.{os.getpid()}")
                parts.append((part, path))
                _write(table, inspection, part)
            for part, path in parts:
                part.replace(path)
        finally:
            for part, _ in parts:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error


def _write(table: Table, inspection: Inspection, path: Path) -> None:
    schema = _schema(table, inspection)
    rows = iter(_rows(table.name, inspection))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_arrays(_arrays(table, group), schema=schema))


def _schema(table: Table, inspection: Inspection) -> pa.Schema:
    about = {"connspect": msgspec.json.encode({"version": __version__, "capture": inspection.capture})}
    return schema_of(table.columns).with_metadata({"description": table.says, **about})


def _arrays(table: Table, rows: Sequence[Any]) -> list[pa.Array]:
    return [pa.array([column.value(row) for row in rows], column.type) for column in table.columns]


def _rows(name: str, inspection: Inspection) -> Iterable[Any]:
    match name:
        case "connections":
            return inspection.connections
        case "exchanges":
            return _exchanges(inspection)
        case "frames":
            return (frame for connection in inspection.connections for frame in control_frames(connection))
        case "endpoints":
            return inspection.endpoints
        case _:
            return inspection.findings


def _exchanges(inspection: Inspection) -> Iterator[tuple[int, Exchange]]:
    for connection in inspection.connections:
        for exchange in connection.exchanges:
            yield connection.id, exchange


def _of_second(column: Column) -> Column:
    """The same column of rows that are pairs."""
    return Column(column.name, column.type, column.sentence, lambda row: column.value(row[1]))
