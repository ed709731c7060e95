"""Header compression (RFC 7541) for an observer, who may have missed a part of it.

A block is read by a pure function: a table and a block give fields and the next table. Tables never change; the same
bytes on the same table give the same answer, which makes whole answers worth remembering (sections.py), on one
connection and from one connection to the next.

A table that is `lost` lacks what was inserted before the capture, or in a hole. Indices count from the newest entry, so
what is inserted from then on is found where the peer finds it; what lies behind is unknown: a field whose name and
value are None. The peer's own limit decides about eviction, told by its table size updates (section 6.3).

The static table and the Huffman code come from the library hpack; its decoder raises where an observer goes on, and
takes several times as long.

Broken blocks do not raise: what came before the break counts, what came behind is unknown, and so is the table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from hpack.table import HeaderTable

from inspector.protocols.http2.huffman import huffman_text

#: Table size before any SETTINGS (RFC 9113 section 6.5.2).
DEFAULT_TABLE_SIZE = 4096
#: Most bytes of table that are kept, as section 4.1 counts them: what a peer keeps beyond it is unknown here.
MAX_TABLE_SIZE = 64 * 1024
#: Most bytes of fields of one block (section 4.1's count): what comes behind is only inserted.
MAX_LIST_SIZE = 1024 * 1024
#: Strings up to this size are remembered, and how many of them: at most 1 MiB.
_REMEMBERED_SIZE = 256
_REMEMBERED_STRINGS = 4096

#: What each entry costs beside its characters (section 4.1).
_ENTRY_OVERHEAD = 32
#: No honest number needs more bytes of continuation (section 5.1): 28 bits.
_MAX_CONTINUATION = 4

#: A field: its name in lower case and its value, latin-1; None: not known.
Field = tuple[str | None, str | None]

#: Appendix A, from index 1 on; index 0 is none.
STATIC: tuple[Field, ...] = (
    (None, None),
    *((name.decode("latin-1"), value.decode("latin-1")) for name, value in HeaderTable.STATIC_TABLE),
)
_FIRST_DYNAMIC = len(STATIC)


class Table:
    """What indices beyond the static table mean. Compared by identity, and never changed."""

    __slots__ = ("entries", "limit", "lost", "size")

    def __init__(self, entries: tuple[Field, ...], size: int, limit: int, lost: bool) -> None:
        self.entries = entries
        """The newest first."""
        self.size = size
        """Bytes of the entries (section 4.1)."""
        self.limit = limit
        """The most bytes that the peer keeps, by its last table size update."""
        self.lost = lost
        """Behind `entries` there may be others."""


class Block(NamedTuple):
    """What a header block says."""

    fields: list[Field]
    known: bool
    """No field is unknown, and none was left out."""
    too_large: bool
    """Fields were left out: there were more than MAX_LIST_SIZE."""
    largest_update: int | None
    """The largest table size update."""
    broken: str | None
    """What broke it off, or was broken inside."""
    table: Table
    """What the next block is read with."""


def first_table() -> Table:
    """A connection's first table."""
    return _empty(DEFAULT_TABLE_SIZE, False)


def lost_table() -> Table:
    """A table of which nothing is known, not even the peer's limit: what it holds is right, and there may be more."""
    return _empty(MAX_TABLE_SIZE + 1, True)


class _BrokenError(Exception):
    """A block that cannot be read further."""


def read_block(table: Table, block: bytes) -> Block:
    """All fields of a header block."""
    reader = _Reader(table, block)
    try:
        reader.read()
    except (_BrokenError, IndexError) as error:
        broken = str(error) if isinstance(error, _BrokenError) else "it is cut off"
        return Block(reader.fields, False, reader.too_large, reader.largest_update, broken, lost_table())
    known = reader.known and not reader.too_large
    following = _table_after(table, tuple(reader.dynamic), reader.size, reader.limit, reader.lost)
    return Block(reader.fields, known, reader.too_large, reader.largest_update, reader.broken, following)


class _Reader:
    """A block being read; its attributes are Table's and Block's."""

    __slots__ = (
        *("_block", "_left", "_position", "broken", "dynamic", "fields", "known", "largest_update", "limit", "lost"),
        *("size", "too_large"),
    )

    def __init__(self, table: Table, block: bytes) -> None:
        self._block = block
        self._position = 0
        self._left = MAX_LIST_SIZE
        self.dynamic: tuple[Field, ...] | list[Field] = table.entries
        self.size, self.limit, self.lost = table.size, table.limit, table.lost
        self.fields: list[Field] = []
        self.known, self.too_large = True, False
        self.largest_update: int | None = None
        self.broken: str | None = None

    def read(self) -> None:
        """All of it."""
        block, end = self._block, len(self._block)
        while self._position < end:
            byte = block[self._position]
            self._position += 1
            if 0x20 <= byte < 0x40:
                self._resize(byte & 0x1F)
                continue
            name, value = field = self._field(byte)
            cost = _cost(name, value)
            self._left -= cost
            if name is None or value is None:
                self.known = False
            if self._left >= 0:
                self.fields.append(field)
            else:
                self.too_large = True
            if 0x40 <= byte < 0x80:
                if not isinstance(self.dynamic, list):
                    self.dynamic = list(self.dynamic)
                self.dynamic.insert(0, field)
                self.size += cost
                if self.size > self.limit or self.size > MAX_TABLE_SIZE:
                    self._evict()

    def _field(self, byte: int) -> Field:
        """The field that begins with `byte` (section 6): indexed, or a literal with a name that may be."""
        prefix = 0x7F if byte >= 0x80 else 0x3F if byte >= 0x40 else 0x0F
        index = byte & prefix
        if index == prefix:
            index, self._position = _number(self._block, self._position, index, prefix)
        if index < _FIRST_DYNAMIC:
            field = STATIC[index]
        elif index - _FIRST_DYNAMIC < len(self.dynamic):
            field = self.dynamic[index - _FIRST_DYNAMIC]
        else:
            field = None, None
            if not self.lost:
                self.broken, self.lost = f"index {index} is beyond the table", True
        if byte >= 0x80:
            if not index:
                raise _BrokenError("index 0")
            return field
        name = field[0] if index else self._string()
        value = self._string()
        return name and name.lower(), value

    def _string(self) -> str | None:
        """A string (section 5.2); None where its Huffman code is broken."""
        block = self._block
        byte = block[self._position]
        length, position = _number(block, self._position + 1, byte & 0x7F, 0x7F)
        self._position = position + length
        data = block[position : position + length]
        if len(data) < length:
            raise _BrokenError("it is cut off")
        if byte < 0x80:
            return data.decode("latin-1")
        text = _remembered_text(data) if length <= _REMEMBERED_SIZE else huffman_text(data)
        if text is None:
            self.broken = "Huffman code"
        return text

    def _resize(self, prefix: int) -> None:
        """A table size update (section 6.3)."""
        self.limit, self._position = _number(self._block, self._position, prefix, 0x1F)
        self.largest_update = max(self.limit, self.largest_update or 0)
        self.lost = self.lost and self.limit > 0
        if self.fields:
            self.broken = "table size update behind a field"
        self._evict()

    def _evict(self) -> None:
        if not isinstance(self.dynamic, list):
            self.dynamic = list(self.dynamic)
        while self.dynamic and self.size > min(self.limit, MAX_TABLE_SIZE):
            self.size -= _cost(*self.dynamic.pop())
            self.lost = self.limit > MAX_TABLE_SIZE


def _table_after(table: Table, entries: tuple[Field, ...], size: int, limit: int, lost: bool) -> Table:
    """The next table: the same object wherever nothing is different, so that what is remembered of it serves again."""
    if limit == table.limit and lost == table.lost and entries == table.entries:
        return table
    return Table(entries, size, limit, lost) if entries else _empty(limit, lost)


@lru_cache(maxsize=256)
def _empty(limit: int, lost: bool) -> Table:
    return Table((), 0, limit, lost)


def _cost(name: str | None, value: str | None) -> int:
    """Bytes that an entry counts for (section 4.1); of an unknown one, at least."""
    return _ENTRY_OVERHEAD + (len(name) if name else 0) + (len(value) if value else 0)


def _number(block: bytes, position: int, number: int, prefix: int) -> tuple[int, int]:
    """A number whose prefix is `number`, continued from `position` on (section 5.1), and the position behind it."""
    if number < prefix:
        return number, position
    for shift in range(0, 7 * _MAX_CONTINUATION, 7):
        byte = block[position]
        position += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise _BrokenError("a number without end")


_remembered_text = lru_cache(maxsize=_REMEMBERED_STRINGS)(huffman_text)
