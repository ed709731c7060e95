"""Fragments put together again: the packet that completes the datagram is the segment, the others are counted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.packets import fragments
from inspector.packets.decode import PacketDecoder
from inspector.packets.fragments import Reassembly
from inspector.sources.memory import Packet
from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, ipv6, tcp

PAYLOAD = bytes(range(256)) * 4
SEGMENT = tcp(PAYLOAD)


def _v4(start: int, stop: int, **fields: Any) -> bytes:
    more = 0x2000 if stop < len(SEGMENT) else 0
    return ethernet(ipv4(SEGMENT[start:stop], fragment=more | start // 8, **fields))


def _v6(start: int, stop: int, ident: int = 9) -> bytes:
    field = start | (stop < len(SEGMENT))
    header = b"\x06\0" + field.to_bytes(2, "big") + ident.to_bytes(4, "big")
    return ethernet(ipv6(header + SEGMENT[start:stop], next=44), 0x86DD)


PIECES = [(0, 400), (400, 800), (800, len(SEGMENT))]


@pytest.mark.parametrize("make", [_v4, _v6])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_any_order(make: Any, order: tuple[int, ...]) -> None:
    packets = [make(*PIECES[i]) for i in order]
    decoded = decode(packets, batch_rows=1)
    assert [(s.packet, s.payload, s.payload_length) for s in decoded.segments] == [(3, PAYLOAD, len(PAYLOAD))]
    assert decoded.skipped == {"ip_fragment": 2}


def test_the_header_of_the_first_fragment_speaks_for_all() -> None:
    decoded = decode([_v4(400, len(SEGMENT), ttl=3), _v4(0, 400, ttl=60)])
    assert [(s.ttl, s.ip_id) for s in decoded.segments] == [(60, 7)]


def test_tiny_fragments_that_split_the_tcp_header() -> None:
    pieces = [(start, min(start + 8, len(SEGMENT))) for start in range(0, len(SEGMENT), 8)]
    decoded = decode([_v4(*piece) for piece in pieces])
    assert [s.payload for s in decoded.segments] == [PAYLOAD]
    assert decoded.skipped == {"ip_fragment": len(pieces) - 1}


def test_a_hole_is_waited_for() -> None:
    decoded = decode([_v4(0, 400), _v4(800, len(SEGMENT))])
    assert decoded.segments == []
    assert decoded.skipped == {"ip_fragment": 2}


def test_where_fragments_overlap_the_earlier_offset_keeps_its_bytes() -> None:
    other = ethernet(ipv4(b"\xff" * 400, fragment=0x2000 | 200 // 8))
    decoded = decode([other, _v4(400, len(SEGMENT)), _v4(0, 400)])
    assert decoded.segments[0].payload[: 400 - 20] == PAYLOAD[: 400 - 20]
    assert decoded.segments[0].payload[400 - 20 : 600 - 20] == b"\xff" * 200
    assert decoded.segments[0].payload[600 - 20 :] == PAYLOAD[600 - 20 :]


def test_datagrams_are_told_apart() -> None:
    packets = [_v4(0, 400, id=1), _v4(400, len(SEGMENT), id=2), _v4(0, 400, src="10.9.9.9")]
    assert decode(packets).skipped == {"ip_fragment": 3}


def test_a_fragment_whole_in_itself() -> None:
    (segment,) = decode([_v6(0, len(SEGMENT))]).segments
    assert segment.payload == PAYLOAD


def test_fragments_inside_a_tunnel() -> None:
    packets = [ethernet(ipv4(bytes.fromhex("00000800") + _v4(*piece)[14:], protocol=47)) for piece in PIECES]
    decoded = decode(packets, batch_rows=2)
    assert [(s.packet, s.payload) for s in decoded.segments] == [(3, PAYLOAD)]
    assert decoded.skipped == {"ip_fragment": 2}


def test_of_fragments_that_the_capture_cut_the_first_is_read_as_it_stands() -> None:
    packets = [Packet(number, _v4(*piece)[:100], len(_v4(*piece))) for number, piece in enumerate(PIECES)]
    decoded = decode(packets)
    assert [(s.packet, s.payload_length, s.payload) for s in decoded.segments] == [(1, 380, PAYLOAD[:46])]
    assert decoded.skipped == {"ip_fragment": 2}


def test_a_late_fragment_belongs_to_another_datagram() -> None:
    packets = [Packet(0, _v4(400, len(SEGMENT))), Packet(61 * 10**9, _v4(0, 400))]
    assert decode(packets).skipped == {"ip_fragment": 2}


def test_a_fragmented_datagram_that_is_no_tcp() -> None:
    decoded = decode([_v4(0, 400, protocol=17), _v4(400, len(SEGMENT), protocol=17)])
    assert decoded.skipped == {"ip_fragment": 1, "not_tcp": 1}


def test_incomplete_datagrams_are_bounded() -> None:
    """The oldest of too many is given up: its last fragment then completes nothing."""
    decoder = PacketDecoder()
    count = fragments.MAX_DATAGRAMS + 1
    decode([_v4(0, 400, id=number) for number in range(1, count + 1)], decoder=decoder)
    rest = decode([_v4(400, len(SEGMENT), id=1), _v4(400, len(SEGMENT), id=count)], decoder=decoder)
    assert [s.ip_id for s in rest.segments] == [count]


def test_bytes_held_are_bounded() -> None:
    reassembly = Reassembly()
    for number in range(200):
        reassembly.add((b"%d" % number, 0), 8, bytes(65_000), 0, is_last=False, header=b"")
    assert reassembly.held <= fragments.MAX_BYTES


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), max_size=8), st.randoms())
def test_any_pieces_that_cover_the_datagram_give_it(extra: list[tuple[int, int]], random: Any) -> None:
    """Whatever else arrives, overlapping or not, as long as it says the same."""
    data = bytes(range(96))
    pieces = [(start * 8, min(start * 8 + size * 8, 96)) for start, size in [*extra, *((i, 1) for i in range(12))]]
    pieces = [piece for piece in pieces if piece[0] < 96]
    random.shuffle(pieces)
    reassembly, found = Reassembly(), []
    for start, stop in pieces:
        whole = reassembly.add((b"", 0), start, data[start:stop], 0, is_last=stop == 96, header=b"h")
        if whole is not None:
            found.append(whole)
    assert found
    assert set(found) == {(b"h", data)}
