"""Header sections of HTTP/2: what is kept of a decoded block, as the fields that HTTP/1 has (RFC 9113 section 8).

This is the hot path of HTTP/2. A block on a table always says the same, so small answers are remembered by the two, and
the same answer is the same object. Sections that say the same by other bytes share their fields' object, too.
"""

from __future__ import annotations

from functools import lru_cache

from inspector.events import RequestFields, ResponseFields
from inspector.protocols.http2.hpack import Table, read_block

#: Sections that are remembered, and the size of the largest, as a block and as the values that are kept of it. Their
#: tables are kept alive, too: in practice some MiB altogether, and never more than 64 (hpack.MAX_TABLE_SIZE each).
REMEMBERED_SECTIONS = 1024
REMEMBERED_SIZE = 4096

#: The names that are looked at, pseudo-header fields among them.
KEPT = frozenset(
    (
        ":authority",
        ":method",
        ":path",
        ":protocol",
        ":status",
        "alt-svc",
        "connection",
        "content-length",
        "grpc-status",
        "host",
        "keep-alive",
        "proxy-connection",
        "server",
        "te",
        "traceparent",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-request-id",
    )
)
#: Connection-specific fields (RFC 9113 section 8.2.2); TE is one unless it says "trailers".
_FORBIDDEN = frozenset(("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"))
#: No length in bytes that fits 63 bits has more digits.
_MAX_DIGITS = 18


class Section:
    """A header or trailer section. Shared: nobody changes it."""

    __slots__ = (
        *("_kept", "_request", "_response", "broken", "forbidden", "grpc_status", "known", "largest_update", "plain"),
        *("pseudo", "small", "status", "table", "too_large"),
    )

    def __init__(self, table: Table, block: bytes) -> None:
        read = read_block(table, block)
        values: dict[str, list[str]] = {}
        self.forbidden: list[str] = []
        """Names of connection-specific fields, in their order."""
        for name, value in read.fields:
            if name is None or value is None or name not in KEPT:
                continue
            values.setdefault(name, []).append(value)
            if name in _FORBIDDEN or (name == "te" and value.strip().lower() != "trailers"):
                self.forbidden.append(name)
        self._kept = kept = {name: ", ".join(each) for name, each in values.items()}
        self.small = len(block) <= REMEMBERED_SIZE and sum(map(len, kept.values())) <= REMEMBERED_SIZE
        self._request: RequestFields | None = None
        self._response: ResponseFields | None = None
        self.pseudo = any(name is not None and name.startswith(":") for name, _ in read.fields)
        """It has pseudo-header fields: a request's or a response's, not trailers."""
        self.status = _number(kept.get(":status"))
        self.grpc_status = kept.get("grpc-status")
        self.known = read.known
        """Everything in it could be read."""
        self.broken = read.broken
        self.too_large = read.too_large
        self.largest_update = read.largest_update
        self.plain = read.known and read.broken is None and read.largest_update is None
        """Nothing about it needs a second look."""
        self.table = read.table
        """What the direction's next block is read with."""

    def request(self) -> RequestFields:
        """It as a request's."""
        if self._request is None:
            get = self._kept.get
            make = _request_fields if self.small else RequestFields
            self._request = make(
                get(":method"),
                get(":path"),
                get(":authority") or get("host"),
                "HTTP/2",
                get("connection"),
                get("keep-alive"),
                get("proxy-connection"),
                get("upgrade") or get(":protocol"),
                get("te"),
                get("transfer-encoding"),
                _number(get("content-length")),
                get("user-agent"),
                get("x-request-id"),
                get("traceparent"),
                None,
            )
        return self._request

    def response(self) -> ResponseFields:
        """It as a response's."""
        if self._response is None:
            get = self._kept.get
            make = _response_fields if self.small else ResponseFields
            self._response = make(
                self.status,
                None,
                "HTTP/2",
                get("connection"),
                get("keep-alive"),
                None,
                None,
                get("transfer-encoding"),
                _number(get("content-length")),
                get("server"),
                get("via"),
                get("alt-svc"),
                get("x-request-id"),
                None,
            )
        return self._response


_remembered: dict[tuple[Table, bytes], Section] = {}
_request_fields = lru_cache(maxsize=REMEMBERED_SECTIONS)(RequestFields)
_response_fields = lru_cache(maxsize=REMEMBERED_SECTIONS)(ResponseFields)


def read_section(table: Table, block: bytes) -> Section:
    """What a block says, read with a table."""
    key = table, block
    section = _remembered.get(key)
    if section is None:
        section = Section(table, block)
        if section.small:
            if len(_remembered) >= REMEMBERED_SECTIONS:
                _remembered.clear()
            _remembered[key] = section
    return section


def _number(value: str | None) -> int | None:
    """A length or a status; None where it is no number, or one that nobody means."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
        return None
    return int(value)
