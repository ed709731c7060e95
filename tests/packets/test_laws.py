"""An observer is total: packets cut at every length and random bytes never raise, and every packet is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.packets.batch import Interface, RawBatch
from inspector.packets.decode import PacketDecoder
from inspector.sources.memory import Packet
from tests.packets import strategies
from tests.packets.decoding import decode

#: Link types of the columns, some of Scapy's, and one that nobody knows.
LINK_TYPES = [0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 119, 127, 192, 228, 229, 276, 9999]


@settings(max_examples=12, deadline=None)
@given(st.one_of(strategies.tunnelled().map(lambda packet: (1, packet, 0)), strategies.linked()))
def test_packets_cut_at_every_length(packet: tuple[int, bytes, int]) -> None:
    link_type, data, _ = packet
    cuts = range(len(data) + 1)
    cut_by_snap_length = decode([Packet(i * 10**9, data[:i], len(data)) for i in cuts], link_type)
    cut_on_the_wire = decode([Packet(i * 10**9, data[:i]) for i in cuts], link_type)
    for decoded in (cut_by_snap_length, cut_on_the_wire):
        assert len(decoded.segments) + decoded.skipped.total() == len(data) + 1
        assert all(len(s.payload) <= s.payload_length for s in decoded.segments)
    assert len(cut_by_snap_length.segments) >= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LINK_TYPES), st.binary(max_size=120)), max_size=8))
def test_random_bytes_under_any_link_type(packets: list[tuple[int, bytes]]) -> None:
    decoded = decode(
        [Packet(number, data, interface=number) for number, (_, data) in enumerate(packets)],
        interfaces=[Interface(link_type) for link_type, _ in packets],
    )
    assert len(decoded.segments) + decoded.skipped.total() == len(packets)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.one_of(strategies.tunnelled().map(lambda packet: (1, packet, 0)), strategies.linked()))
def test_flipped_bytes(data: st.DataObject, packet: tuple[int, bytes, int]) -> None:
    link_type, original, _ = packet
    changed = bytearray(original)
    for _ in range(4):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode([bytes(changed)], link_type)
    assert len(decoded.segments) + decoded.skipped.total() == 1


@pytest.mark.parametrize("first_packet", [1, 65_537])
def test_an_empty_batch(first_packet: int) -> None:
    nothing = np.zeros(0, np.int64)
    raw = RawBatch(np.zeros(0, np.uint8), nothing, nothing, nothing, nothing, np.zeros(0, np.uint16), [], first_packet)
    batch = PacketDecoder().decode(raw)
    assert (len(batch), batch.skipped, batch.end_packet, batch.end_ns) == (0, {}, 0, 0)


def test_a_position_beyond_the_buffer_does_not_raise() -> None:
    """A source must not do so, but a wrong number must not read another packet's bytes either."""
    one = np.array([50], np.int64)
    raw = RawBatch(
        np.zeros(100, np.uint8), one, one * 4, one * 4, one, np.zeros(1, np.uint16), [Interface(1)], first_packet=1
    )
    assert PacketDecoder().decode(raw).skipped == {"not_ip": 1}
