"""One JSON object a line, each with its type first: connections as they end, findings as they come to be known, then
what is only known at the end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.records.finding import Finding


class NdjsonWriter:
    """Give it records as they come, then the inspection."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """`write` takes one line with its line end, as UTF-8."""
        self._write = write
        self._encoder = msgspec.json.Encoder()

    def connection(self, connection: Connection) -> None:
        """A connection has ended."""
        self._line("connection", connection)

    def event(self, event: EventRecord) -> None:
        """Something happened on a connection."""
        self._line("event", event)

    def finding(self, finding: Finding) -> None:
        """Something is concluded while the capture goes on; what became of it, `finish` tells."""
        self._line("finding", finding, b'"final":false,')

    def finish(self, inspection: Inspection) -> None:
        """Nothing more will be known."""
        for finding in inspection.findings:
            self._line("finding", finding, b'"final":true,')
        for endpoint in inspection.endpoints:
            self._line("endpoint", endpoint)
        self._line("capture", inspection.capture)

    def _line(self, kind: str, record: msgspec.Struct, more: bytes = b"") -> None:
        # A record always has fields, so its first byte is the brace that gives way to the type.
        self._write(b'{"type":"%b",%b%b\n' % (kind.encode(), more, self._encoder.encode(record)[1:]))
