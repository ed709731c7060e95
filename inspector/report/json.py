"""The JSON report: one object by the contract, written in pieces, so that it is never in memory a second time.

Compact, but each endpoint and each connection is a line of its own: `grep` and `less` can be used on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from inspector.inspection import Inspection
from inspector.version import __version__

#: Version of the report's schema: raised when a reader of the old one would go wrong.
SCHEMA_VERSION = 1

#: Bytes that are handed on at a time, or a little more.
_PIECE = 1 << 18


def json_report(inspection: Inspection) -> Iterator[bytes]:
    """The report as UTF-8, in pieces; fields in the order of records.capture.Report."""
    encode = msgspec.json.encode
    yield b'{"schema":%d,"version":%b,"capture":%b' % (
        SCHEMA_VERSION,
        encode(__version__),
        encode(inspection.capture),
    )
    yield b',\n"endpoints":['
    yield from _items(inspection.endpoints)
    yield b'],\n"connections":['
    yield from _items(inspection.connections)
    yield b'],\n"findings":%b,\n"anomalies":%b}\n' % (encode(inspection.findings), encode(inspection.anomalies))


def _items(records: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    """The records as a JSON list without its brackets, one a line."""
    encoder = msgspec.json.Encoder()
    piece = bytearray()
    comma = b"\n"
    for record in records:
        piece += comma
        encoder.encode_into(record, piece, -1)
        comma = b",\n"
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
