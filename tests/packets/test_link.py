"""Link layers, each a few bytes in front of the same segment."""

from __future__ import annotations

import pytest

from inspector.packets.batch import Interface
from inspector.sources.memory import Packet
from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, ipv6, tagged, tcp

GET = ipv4(tcp(b"GET"))
GET6 = ipv6(tcp(b"GET"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [
        pytest.param(1, ethernet(GET), id="ethernet"),
        pytest.param(1, ethernet(GET6, 0x86DD), id="ethernet-ipv6"),
        pytest.param(1, ethernet(GET6), id="the-version-decides-not-the-ethertype"),
        pytest.param(1, ethernet(_bytes("aaaa03 000000 0800") + GET, 0x002F), id="llc-snap"),
        pytest.param(0, _bytes("02000000") + GET, id="null-little-endian"),
        pytest.param(0, _bytes("00000002") + GET, id="null-big-endian"),
        pytest.param(0, _bytes("1c000000") + GET6, id="null-freebsd-ipv6"),
        pytest.param(0, _bytes("0000001e") + GET6, id="null-macos-ipv6-big-endian"),
        pytest.param(0, _bytes("0a000000") + GET6, id="null-linux-ipv6"),
        pytest.param(108, _bytes("00000018") + GET6, id="loop-openbsd-ipv6"),
        pytest.param(101, GET, id="raw"),
        pytest.param(12, GET6, id="raw-12"),
        pytest.param(14, GET, id="raw-14"),
        pytest.param(228, GET, id="raw-ipv4"),
        pytest.param(229, GET6, id="raw-ipv6"),
        pytest.param(113, _bytes("0000 0001 0006 020000000001 0000 0800") + GET, id="sll"),
        pytest.param(276, _bytes("86dd 0000 00000003 0001 00 06 0200000000010000") + GET6, id="sll2"),
        pytest.param(104, _bytes("0f00 0800") + GET, id="cisco-hdlc"),
        pytest.param(9, _bytes("ff03 0021") + GET, id="ppp"),
        pytest.param(50, _bytes("ff03 0021") + GET, id="ppp-hdlc"),
    ],
)
def test_a_segment_under_each_link_layer(link_type: int, packet: bytes) -> None:
    decoded = decode([packet], link_type)
    assert [(s.src_port, s.dst_port, s.seq, s.payload, s.network) for s in decoded.segments] == [
        (40000, 80, 1000, b"GET", 0)
    ]
    assert not decoded.skipped


@pytest.mark.parametrize(
    ("link_type", "packet", "reason"),
    [
        pytest.param(1, ethernet(bytes(28), 0x0806), "not_ip", id="arp"),
        pytest.param(1, ethernet(_bytes("424203") + bytes(35), 38), "not_ip", id="spanning-tree"),
        pytest.param(1, ethernet(GET)[:13], "malformed", id="cut-ethernet"),
        pytest.param(1, tagged(GET, (0x8100, 5))[:17], "malformed", id="cut-tag"),
        pytest.param(1, tagged(GET, *[(0x8100, 5)] * 9), "not_ip", id="more-tags-than-are-followed"),
        pytest.param(0, _bytes("07000000") + GET, "not_ip", id="null-osi"),
        pytest.param(113, _bytes("0000 0001 0006 020000000001 0000 0806") + bytes(28), "not_ip", id="sll-arp"),
        pytest.param(9999, GET, "unsupported_link_type", id="nobody-knows"),
        pytest.param(147, GET, "unsupported_link_type", id="user-0"),
    ],
)
def test_no_segment_and_why(link_type: int, packet: bytes, reason: str) -> None:
    decoded = decode([packet], link_type)
    assert decoded.segments == []
    assert decoded.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("tags", "network"),
    [
        ([], 0),
        ([(0x8100, 100)], 100),
        ([(0x8100, 0xF000 | 100)], 100),
        ([(0x8100, 0xF000)], 0),
        ([(0x88A8, 7), (0x8100, 100)], 7 << 12 | 100),
        ([(0x9100, 7), (0x9100, 8), (0x8100, 9)], 7 << 24 | 8 << 12 | 9),
    ],
)
def test_vlan_ids_make_the_network_and_priorities_do_not(tags: list[tuple[int, int]], network: int) -> None:
    (segment,) = decode([tagged(GET, *tags)]).segments
    assert (segment.network, segment.payload) == (network, b"GET")


def test_interfaces_of_different_link_types_in_one_batch() -> None:
    interfaces = [Interface(1), Interface(101), Interface(0)]
    packets = [
        Packet(10**9, ethernet(ipv4(tcp(seq=1))), interface=0),
        Packet(2 * 10**9, ipv4(tcp(seq=2)), interface=1),
        Packet(3 * 10**9, ethernet(bytes(28), 0x0806), interface=0),
        Packet(4 * 10**9, _bytes("02000000") + ipv4(tcp(seq=4)), interface=2),
    ]
    decoded = decode(packets, interfaces=interfaces)
    assert [(s.packet, s.seq) for s in decoded.segments] == [(1, 1), (2, 2), (4, 4)]
    assert decoded.skipped == {"not_ip": 1}
    assert (decoded.end_packet, decoded.end_ns) == (4, 4 * 10**9)
