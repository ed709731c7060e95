"""Lengths are the headers', not the capture's: padding, offload, snap lengths, headers that lie."""

from __future__ import annotations

import pytest

from inspector.sources.memory import Packet
from tests.packets.decoding import Segment, decode
from tests.packets.packets import ethernet, ipv4, ipv6, tcp


def _one(packet: bytes | Packet) -> Segment:
    decoded = decode([packet])
    assert not decoded.skipped
    (segment,) = decoded.segments
    return segment


def test_ethernet_padding_is_no_payload() -> None:
    segment = _one(ethernet(ipv4(tcp())) + bytes(6))
    assert (segment.payload_length, segment.payload) == (0, b"")


@pytest.mark.parametrize("header", [ipv4, ipv6])
def test_ip_length_0_means_up_to_the_end_on_the_wire(header: type) -> None:
    packet = ethernet(header(tcp(b"x" * 3000), length=0))
    segment = _one(Packet(0, packet[:200], len(packet)))
    assert segment.payload_length == 3000
    assert segment.payload == b"x" * len(segment.payload)
    assert 0 < len(segment.payload) < 200


def test_a_snap_length_cuts_what_is_there_not_what_was_sent() -> None:
    packet = ethernet(ipv4(tcp(b"0123456789")))
    segment = _one(Packet(0, packet[:-6], len(packet)))
    assert (segment.payload_length, segment.payload) == (10, b"0123")


def test_a_snap_length_may_cut_options_away() -> None:
    packet = ethernet(ipv4(tcp(bytes.fromhex("020405b4 01030307") + b"data", offset=7)))
    segment = _one(Packet(0, packet[: 14 + 20 + 20 + 5], len(packet)))
    assert (segment.options, segment.payload_length, segment.payload) == (bytes.fromhex("020405b401"), 4, b"")


@pytest.mark.parametrize(("kept", "checksum"), [(20, 0xBEEF), (18, 0xBEEF), (17, 0), (16, 0)])
def test_16_bytes_of_a_tcp_header_are_enough(kept: int, checksum: int) -> None:
    packet = ethernet(ipv4(tcp(b"data", window=500)))
    segment = _one(Packet(0, packet[: 34 + kept], len(packet)))
    assert (segment.seq, segment.window, segment.checksum, segment.payload_length) == (1000, 500, checksum, 4)


def test_15_are_not() -> None:
    packet = ethernet(ipv4(tcp(b"data")))
    decoded = decode([Packet(0, packet[: 34 + 15], len(packet))])
    assert decoded.segments == []
    assert decoded.skipped == {"malformed": 1}


def test_an_ip_length_beyond_the_packet_ends_with_it() -> None:
    assert _one(ethernet(ipv4(tcp(b"data"), length=1500))).payload_length == 4


def test_an_ip_length_before_the_end_cuts_the_payload() -> None:
    segment = _one(ethernet(ipv4(tcp(b"data"), length=42)))
    assert (segment.payload_length, segment.payload) == (2, b"da")


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(ipv4(tcp(), ihl=4), id="ihl-below-5"),
        pytest.param(ipv4(tcp(), length=19), id="shorter-than-its-header"),
        pytest.param(ipv4(tcp(), length=39), id="tcp-header-beyond-the-ip-length"),
        pytest.param(ipv4(tcp(offset=4)), id="data-offset-4"),
        pytest.param(ipv4(tcp(offset=6)), id="data-offset-beyond-the-ip-length"),
        pytest.param(b"\x55" + ipv4(tcp())[1:], id="version-5"),
        pytest.param(ipv6(tcp(), length=10), id="ipv6-payload-of-10"),
        pytest.param(ipv6(bytes.fromhex("0609000000000000") + tcp(), next=0), id="extension-header-beyond-the-end"),
        pytest.param(ipv6(b"")[:39], id="ipv6-header-cut"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_headers_that_cannot_be_are_malformed(packet: bytes) -> None:
    decoded = decode([ethernet(packet)])
    assert decoded.segments == []
    assert decoded.skipped == {"malformed": 1}


def test_options_of_both_headers_are_stepped_over() -> None:
    segment = _one(ethernet(ipv4(tcp(bytes.fromhex("01010100") + b"data", offset=6), ihl=7)))
    assert (segment.options, segment.payload) == (bytes.fromhex("01010100"), b"data")


def test_extension_headers_are_stepped_over() -> None:
    hop_by_hop, destination = bytes.fromhex("2b00010400000000"), bytes.fromhex("0601010c") + bytes(12)
    routing = bytes.fromhex("3c020000") + bytes(20)
    segment = _one(ethernet(ipv6(hop_by_hop + routing + destination + tcp(b"data"), next=0), 0x86DD))
    assert (segment.src, segment.payload, segment.payload_length, segment.ip_id) == ("2001:db8::1", b"data", 4, 0)


def test_the_authentication_header_is_stepped_over() -> None:
    header = bytes.fromhex("06040000 00000001 00000001") + bytes(12)
    segment = _one(ethernet(ipv4(header + tcp(b"data"), protocol=51)))
    assert (segment.payload, segment.payload_length) == (b"data", 4)
