"""From record classes to columns: the tables of the Parquet report are the records, flattened.

A record's fields are columns; those of a record inside it get its name and an underscore in front (`closed.idle_ns` is
`closed_idle_ns`). Lists stay lists, counts by name are maps. Names, units and sentences are the JSON report's: the
classes are the only place that has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import inspect


@dataclass(slots=True, frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    sentence: str
    value: Callable[[Any], Any]
    """Of a record, as pyarrow takes it."""


def columns_of(record: type, left_out: frozenset[str] = frozenset()) -> list[Column]:
    """The columns of a record class; `left_out` are paths with dots that have a table of their own."""
    described = inspect.type_info(record)
    assert isinstance(described, inspect.StructType)
    return list(_flattened(described, (), left_out))


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """The table's schema; each field's metadata has its sentence under `description`."""
    fields = [pa.field(c.name, c.type, metadata={"description": c.sentence}) for c in columns]
    return pa.schema(fields)


def _flattened(record: inspect.StructType, path: tuple[str, ...], left_out: frozenset[str]) -> Iterator[Column]:
    for field in record.fields:
        sentence, kind = _bare(field.type)
        here = (*path, field.name)
        if ".".join(here) in left_out:
            continue
        if isinstance(kind, inspect.StructType):
            yield from _flattened(kind, here, left_out)
        else:
            name = "_".join((*path, field.encode_name))
            yield Column(name, _arrow(kind), sentence, _getter(here, _converter(kind)))


def _bare(kind: inspect.Type) -> tuple[str, inspect.Type]:
    """A field's sentence, and its type without the possibility of null."""
    sentence = ""
    if isinstance(kind, inspect.Metadata):
        sentence = str((kind.extra_json_schema or {}).get("description", ""))
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    return sentence, kind


def _arrow(kind: inspect.Type) -> pa.DataType:
    simple: dict[type, Callable[[], pa.DataType]] = {
        inspect.IntType: pa.int64,
        inspect.FloatType: pa.float64,
        inspect.BoolType: pa.bool_,
        inspect.StrType: pa.string,
        inspect.LiteralType: pa.string,
    }
    if type(kind) in simple:
        return simple[type(kind)]()
    if isinstance(kind, inspect.ListType):
        return pa.list_(_arrow(_bare(kind.item_type)[1]))
    if isinstance(kind, inspect.DictType) and not isinstance(_bare(kind.value_type)[1], inspect.AnyType):
        return pa.map_(pa.string(), _arrow(_bare(kind.value_type)[1]))
    if isinstance(kind, inspect.StructType):
        return pa.struct([(field.encode_name, _arrow(_bare(field.type)[1])) for field in kind.fields])
    return pa.string()


def _converter(kind: inspect.Type) -> Callable[[Any], Any] | None:
    """What makes a value into what pyarrow takes; None where it is that already."""
    if isinstance(kind, inspect.ListType):
        return msgspec.to_builtins if isinstance(_bare(kind.item_type)[1], inspect.StructType) else None
    if isinstance(kind, inspect.DictType):
        if isinstance(_bare(kind.value_type)[1], inspect.AnyType):
            return lambda value: msgspec.json.encode(value).decode()
        return lambda value: list(value.items())
    return None


def _getter(path: tuple[str, ...], convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def value(record: Any) -> Any:
        for name in path:
            record = getattr(record, name)
            if record is None:
                return None
        return record if convert is None else convert(record)

    return value
