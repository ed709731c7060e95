"""Bytes behind a hole: what is held, what joins up, who was first, and the bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.tcp import reassembly
from inspector.tcp.reassembly import Held, Reassembler


def _held(offset: int, data: bytes, packet: int = 1) -> Held:
    return Held(offset, offset + len(data), data, packet, packet * 1000)


def _ready(pending: Reassembler, offset: int) -> list[tuple[int, bytes | None, int]]:
    return [(piece.offset, piece.data, piece.packet) for piece in pending.ready(offset)]


def test_what_joins_up_comes_out_once() -> None:
    pending = Reassembler()
    assert pending.hold(_held(10, b"def", 1)) == 3
    assert pending.hold(_held(20, b"xyz", 2)) == 3
    assert _ready(pending, 7) == []
    assert pending.hold(_held(7, b"abc", 3)) == 3
    assert pending.held_bytes == 9
    assert _ready(pending, 7) == [(7, b"abc", 3), (10, b"def", 1)]
    assert pending.held_bytes == 3
    assert _ready(pending, 7) == []
    assert _ready(pending, 20) == [(20, b"xyz", 2)]
    assert pending.held == []
    assert pending.held_bytes == 0


def test_of_overlapping_bytes_the_first_captured_count() -> None:
    pending = Reassembler()
    pending.hold(_held(4, b"first"))
    assert pending.hold(_held(2, b"AAAAAAAAAA", 2)) == 5
    assert _ready(pending, 2) == [(2, b"AA", 2), (4, b"first", 1), (9, b"AAA", 2)]


def test_the_same_bytes_again_are_nothing_new() -> None:
    pending = Reassembler()
    pending.hold(_held(4, b"first"))
    assert pending.hold(_held(4, b"FIRST", 2)) == 0
    assert pending.hold(_held(5, b"IRS", 3)) == 0
    assert pending.held_bytes == 5
    assert _ready(pending, 4) == [(4, b"first", 1)]


def test_bytes_that_nobody_reads_are_held_by_their_length() -> None:
    pending = Reassembler()
    assert pending.hold(Held(5, 10_000_005, None, 1, 1000)) == 10_000_000
    assert pending.held_bytes == 0
    assert not pending.full
    assert _ready(pending, 5) == [(5, None, 1)]


def test_the_bound_on_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reassembly, "HELD_BYTES", 10)
    pending = Reassembler()
    pending.hold(_held(5, b"0123456789"))
    assert not pending.full
    pending.hold(_held(20, b"x"))
    assert pending.full
    pending.ready(5)
    assert not pending.full


def test_the_bound_on_pieces() -> None:
    pending = Reassembler()
    for offset in range(2, 2 + 2 * reassembly.HELD_PIECES, 2):
        pending.hold(_held(offset, b"x"))
    assert not pending.full
    pending.hold(_held(1 << 20, b"x"))
    assert pending.full


_PIECES = st.lists(st.tuples(st.integers(1, 60), st.binary(min_size=1, max_size=15), st.booleans()), max_size=25)


@settings(max_examples=200)
@given(_PIECES)
def test_a_reassembler_is_a_mapping_of_offsets_to_first_bytes(pieces: list[tuple[int, bytes, bool]]) -> None:
    pending, first = Reassembler(), dict[int, int]()
    position = 0
    for offset, data, fills in pieces:
        offset = max(offset, position)
        fresh = {offset + at: byte for at, byte in enumerate(data) if offset + at not in first}
        assert pending.hold(_held(offset, data)) == len(fresh)
        first |= fresh
        assert pending.held_bytes == len(first)
        if fills:
            start = position = min(first)
            taken = b"".join(piece.data or b"" for piece in pending.ready(start))
            expected = bytearray()
            while position in first:
                expected.append(first.pop(position))
                position += 1
            assert taken == expected
    assert b"".join(piece.data or b"" for piece in pending.held) == bytes(first[at] for at in sorted(first))
