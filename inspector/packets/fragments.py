"""IP fragments put together again, IPv4 and IPv6, within bounds.

A datagram is complete when its last fragment is there and no byte is missing before it. Where fragments overlap, the
one that starts earlier keeps its bytes, of two that start alike the one that came first, as Wireshark has it.
Sources: RFC 791 section 3.2; RFC 8200 section 4.5; RFC 5722 warns of overlaps, an observer still wants to see them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Incomplete datagrams held; beyond it the oldest is given up.
MAX_DATAGRAMS = 256

#: Bytes held over all incomplete datagrams; beyond it the oldest are given up.
MAX_BYTES = 8 << 20

#: Fragments of one datagram held; one with more is given up.
MAX_FRAGMENTS = 2048

#: Longest payload of a datagram, in bytes.
MAX_PAYLOAD = 65_535

#: Fragments later than this after the first belong to another datagram (RFC 8200 section 4.5: 60 seconds).
TIMEOUT_NS = 60_000_000_000

#: Source, destination, identification and what else tells datagrams apart, as bytes.
Key = tuple[bytes, int]


@dataclass(slots=True)
class _Datagram:
    start_ns: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Offset -> bytes."""
    size: int = 0
    """Bytes held."""
    total: int | None = None
    """Length of the whole payload, once the last fragment is there."""
    header: bytes = b""
    """What the first fragment says about all."""


class Reassembly:
    """Fragments of datagrams that are not complete yet."""

    def __init__(self) -> None:
        self._datagrams: dict[Key, _Datagram] = {}
        self.held = 0
        """Bytes of fragments held."""

    def add(
        self, key: Key, offset: int, payload: bytes, time_ns: int, *, is_last: bool, header: bytes
    ) -> tuple[bytes, bytes] | None:
        """Take a fragment; when it completes its datagram, return the first fragment's `header` and the payload.

        `offset` is in bytes. Fragments that reach beyond 65,535 bytes are dropped.
        """
        if offset + len(payload) > MAX_PAYLOAD:
            return None
        datagram = self._datagrams.get(key)
        if datagram is not None and abs(time_ns - datagram.start_ns) > TIMEOUT_NS:
            self._drop(key)
            datagram = None
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(time_ns)
        self._store(datagram, offset, payload)
        if is_last:
            datagram.total = offset + len(payload)
        if offset == 0:
            datagram.header = header
        whole = _join(datagram)
        if whole is not None:
            self._drop(key)
            return datagram.header, whole
        if len(datagram.pieces) > MAX_FRAGMENTS:
            self._drop(key)
        while len(self._datagrams) > MAX_DATAGRAMS or self.held > MAX_BYTES:
            self._drop(next(iter(self._datagrams)))
        return None

    def _store(self, datagram: _Datagram, offset: int, payload: bytes) -> None:
        held = datagram.pieces.get(offset, b"")
        datagram.pieces[offset] = held + payload[len(held) :]
        grown = len(datagram.pieces[offset]) - len(held)
        datagram.size += grown
        self.held += grown

    def _drop(self, key: Key) -> None:
        self.held -= self._datagrams.pop(key).size


def _join(datagram: _Datagram) -> bytes | None:
    """The whole payload, None while bytes are missing."""
    if datagram.total is None or datagram.size < datagram.total:
        return None
    whole = bytearray()
    for offset in sorted(datagram.pieces):
        if offset > len(whole):
            return None
        whole += datagram.pieces[offset][len(whole) - offset :]
    return bytes(whole[: datagram.total]) if len(whole) >= datagram.total else None
