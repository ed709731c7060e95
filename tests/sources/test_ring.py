"""Blocks in, rows out; and when they go back to the kernel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.packets.batch import Interface
from inspector.sources.reader import Rows
from inspector.sources.ring import Ring
from tests.sources.blocks import ETHERNET, LOOPBACK, NO_HEADER, Frame, fill, owned, ring

ADDRESSES = bytes(range(12))
IPV4 = b"\x08\x00"


def packet(number: int) -> bytes:
    return ADDRESSES + IPV4 + bytes([number]) * 20


def bytes_of(rows: Rows | None) -> list[bytes]:
    assert rows is not None
    return [
        rows.data[at : at + size].tobytes()
        for at, size in zip(rows.position.tolist(), rows.captured.tolist(), strict=True)
    ]


def test_a_block_becomes_rows() -> None:
    memory, one = ring()
    assert not one.ready
    assert one.take(10) is None
    fill(memory, 0, [Frame(packet(1), 5_000_000_007), Frame(packet(2), 6_123_456_789, length=1500)])
    assert one.ready
    rows = one.take(10)
    assert bytes_of(rows) == [packet(1), packet(2)]
    assert rows is not None
    assert rows.time_ns.tolist() == [5_000_000_007, 6_123_456_789]
    assert rows.length.tolist() == [34, 1500]
    assert rows.interface.tolist() == [0, 0]
    assert one.interfaces.known == [Interface(1, "eth0")]


def test_a_block_goes_back_with_the_next_call() -> None:
    memory, one = ring()
    fill(memory, 0, [Frame(packet(1)), Frame(packet(2)), Frame(packet(3))])
    assert bytes_of(one.take(2)) == [packet(1), packet(2)]
    assert one.ready
    assert bytes_of(one.take(2)) == [packet(3)]
    assert owned(memory, 0)
    assert not one.ready
    assert one.take(2) is None
    assert not owned(memory, 0)


def test_blocks_are_taken_together_and_around_the_ring() -> None:
    memory, one = ring(4)
    seen = []
    for turn in range(6):
        for block in (3 * turn, 3 * turn + 1, 3 * turn + 2):
            assert not owned(memory, block % 4)
            fill(memory, block % 4, [Frame(packet(block)), Frame(packet(100 + block))])
        while (rows := one.take(1000)) is not None:
            seen.append(bytes_of(rows))
    assert [each for some in seen for each in some] == [packet(n) for b in range(18) for n in (b, 100 + b)]
    assert max(map(len, seen)) == 4  # never more than half of the ring: the kernel needs room, too


def test_what_comes_behind_a_look_waits_for_the_next() -> None:
    memory, one = ring(4)
    for turn in range(0, 9, 3):
        fill(memory, turn % 4, [Frame(packet(turn))])
        fill(memory, (turn + 1) % 4, [Frame(packet(turn + 1))])
        one.look()
        fill(memory, (turn + 2) % 4, [Frame(packet(turn + 2))])
        seen = []
        while (rows := one.take(1000)) is not None:
            seen += bytes_of(rows)
        assert seen == [packet(turn), packet(turn + 1)]
        assert one.ready
        one.look()
        assert bytes_of(one.take(1000)) == [packet(turn + 2)]
        assert one.take(1000) is None
    one.look()
    fill(memory, 1, [Frame(packet(9))])
    assert one.take(1000) is None


def test_a_quarter_full() -> None:
    memory, one = ring(8)
    fill(memory, 0, [Frame(packet(1))])
    assert not one.filling
    fill(memory, 1, [Frame(packet(2))])
    assert one.filling
    while one.take(10) is not None:
        pass
    assert not one.filling


def test_a_block_without_packets_goes_back() -> None:
    memory, one = ring()
    fill(memory, 0, [])
    assert one.take(5) is None
    assert one.take(5) is None
    assert not owned(memory, 0)
    fill(memory, 1, [Frame(packet(1))])
    assert bytes_of(one.take(5)) == [packet(1)]


@pytest.mark.parametrize(("tpid", "written"), [(0x8100, b"\x81\x00"), (0x88A8, b"\x88\xa8"), (0, b"\x81\x00")])
def test_a_tag_is_put_back(tpid: int, written: bytes) -> None:
    memory, one = ring()
    fill(memory, 0, [Frame(packet(1)), Frame(packet(2), tag=(tpid, 0x2064)), Frame(packet(3), length=99)])
    rows = one.take(10)
    tagged = ADDRESSES + written + b"\x20\x64" + packet(2)[12:]
    assert bytes_of(rows) == [packet(1), tagged, packet(3)]
    assert rows is not None
    assert rows.length.tolist() == [34, 38, 99]


def test_a_tag_of_zero_is_one_where_it_is_marked() -> None:
    memory, one = ring()
    fill(memory, 0, [Frame(packet(1), tag=(0x8100, 0))])
    assert bytes_of(one.take(10)) == [ADDRESSES + b"\x81\x00\x00\x00" + packet(1)[12:]]


def test_interfaces_by_index_and_kind() -> None:
    """An interface without a link-layer header, or with one that nobody here knows, starts at the network header."""
    memory, one = ring()
    frames = [
        Frame(packet(1), ifindex=2, hatype=ETHERNET),
        Frame(b"\x45" + bytes(19), ifindex=7, hatype=NO_HEADER, link=0),
        Frame(packet(2), ifindex=1, hatype=LOOPBACK),
        Frame(b"gre!" + b"\x45" + bytes(19), ifindex=9, hatype=778, link=4, length=1000),
        Frame(packet(3), ifindex=2, hatype=ETHERNET),
    ]
    fill(memory, 0, frames)
    rows = one.take(10)
    assert bytes_of(rows) == [packet(1), b"\x45" + bytes(19), packet(2), b"\x45" + bytes(19), packet(3)]
    assert rows is not None
    known = one.interfaces.known
    names = [(known[place].name, known[place].link_type) for place in rows.interface.tolist()]
    assert names == [("eth0", 1), ("tun0", 101), ("lo", 1), (None, 101), ("eth0", 1)]
    assert rows.length.tolist() == [34, 20, 34, 996, 34]


def test_a_super_packet() -> None:
    memory, one = ring()
    large = packet(1) + bytes(60_000)
    fill(memory, 0, [Frame(large)])
    assert bytes_of(one.take(10)) == [large]


@given(
    sizes=st.lists(st.lists(st.integers(14, 300), max_size=20), min_size=1, max_size=4),
    steps=st.lists(st.integers(1, 7), min_size=1),
)
def test_how_much_is_taken_at_a_time_does_not_show(sizes: list[list[int]], steps: list[int]) -> None:
    memory, one = ring(8)
    packets = []
    for block, of_block in enumerate(sizes):
        frames = [Frame(bytes([block, n % 256]) * (size // 2), n) for n, size in enumerate(of_block)]
        packets += [frame.data for frame in frames]
        fill(memory, block, frames)
    taken: list[bytes] = []
    turn = 0
    while len(taken) < len(packets):
        rows = one.take(steps[turn % len(steps)])
        turn += 1
        taken += bytes_of(rows) if rows is not None else []
        assert turn < 1000
    assert taken == packets
    assert not _more(one)


def _more(one: Ring) -> bool:
    return one.ready and one.take(1) is not None
