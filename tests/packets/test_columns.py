"""The fast path equals the slow path: every column as Scapy dissects it, on packets of every kind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.packets.batch import Interface
from inspector.packets.rows import MIN_BUFFER
from inspector.sources.memory import Packet
from tests.packets import strategies
from tests.packets.decoding import SPACING_NS, decode
from tests.packets.packets import ipv4, tcp
from tests.packets.scapy_view import segment_of


@settings(max_examples=25, deadline=None)
@given(st.lists(strategies.linked(), min_size=1, max_size=6))
def test_what_the_columns_read_is_what_scapy_reads(packets: list[tuple[int, bytes, int]]) -> None:
    interfaces = [Interface(link_type) for link_type, _, _ in packets]
    decoded = decode(
        [Packet(number * SPACING_NS, data, None, number) for number, (_, data, _) in enumerate(packets)],
        interfaces=interfaces,
    )
    expected = [
        segment_of(number, data, link_type, network) for number, (link_type, data, network) in enumerate(packets, 1)
    ]
    assert decoded.segments == expected
    assert not decoded.skipped


@settings(max_examples=25, deadline=None)
@given(st.lists(strategies.tunnelled(), min_size=1, max_size=3))
def test_what_is_peeled_is_what_scapy_reads(packets: list[bytes]) -> None:
    decoded = decode(packets)
    expected = [segment_of(number, data, 1, 0) for number, data in enumerate(packets, 1)]
    assert [replace(segment, network=0) for segment in decoded.segments] == expected


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(strategies.tunnelled(), strategies.linked().map(lambda one: one[1])), max_size=8))
def test_batches_do_not_show(packets: list[bytes]) -> None:
    whole, single = decode(packets), decode(packets, batch_rows=1)
    assert whole.rows == single.rows
    assert whole.segments == single.segments
    assert whole.skipped == single.skipped
    assert (whole.end_packet, whole.end_ns) == (single.end_packet, single.end_ns)


def test_a_last_header_at_the_end_of_the_buffer_is_read_whole() -> None:
    """The last packet of a buffer is an ACK without payload: its header's last byte is the buffer's."""
    ack = bytes.fromhex("4500002800010000400600000a0000010a0000021f90c3500000000a0000000b50107fff00aa0000")
    filler = bytes.fromhex("6000000000003b") + bytes(MIN_BUFFER)
    decoded = decode([filler, ack], 101)
    assert [(s.packet, s.seq, s.ack, s.checksum, s.payload_length) for s in decoded.segments] == [(2, 10, 11, 0xAA, 0)]
    assert decoded.skipped == {"not_tcp": 1}


def test_a_header_cut_by_the_end_of_the_buffer_reads_as_far_as_it_goes() -> None:
    packet = ipv4(tcp(b"GET", checksum=0xBEEF))
    decoded = decode([Packet(0, bytes(MIN_BUFFER)), Packet(1, packet[:37], len(packet))], 101)
    assert [(s.packet, s.src_port, s.seq, s.window, s.checksum) for s in decoded.segments] == [(2, 40000, 1000, 500, 0)]
    assert decoded.skipped == {"malformed": 1}
