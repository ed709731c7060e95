"""Tunnels: the innermost addresses, the tunnel's number, and what is counted where a tunnel leads nowhere."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest

from inspector.sources.memory import Packet
from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, ipv6, tcp, udp

GET = ipv4(tcp(b"GET"), src="192.0.2.1", dst="192.0.2.2", ttl=9, id=5)
GET6 = ipv6(tcp(b"GET"))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _vxlan(inner: bytes, vni: int = 7, flags: int = 0x08) -> bytes:
    return bytes([flags, 0, 0, 0]) + (vni << 8).to_bytes(4, "big") + inner


VXLAN_ARP = ethernet(ipv4(udp(_vxlan(ethernet(bytes(28), 0x0806)), dport=4789), protocol=17))
VXLAN_UNFLAGGED = ethernet(ipv4(udp(_vxlan(ethernet(GET), flags=0), dport=4789), protocol=17))


def _tunnels() -> list[object]:
    gre, vxlan = _hex("0000 0800"), _vxlan(ethernet(GET))
    gtp = _hex("30ff") + len(GET).to_bytes(2, "big") + _hex("00000009") + GET
    return [
        pytest.param(ipv4(GET, protocol=4), id="ip-in-ip"),
        pytest.param(ipv4(ipv4(GET, protocol=4), protocol=4), id="ip-in-ip-in-ip"),
        pytest.param(ipv4(gre + GET, protocol=47), id="gre"),
        pytest.param(ipv4(_hex("2000 0800 00000005") + GET, protocol=47), id="gre-key"),
        pytest.param(ipv4(_hex("2000 6558 00000500") + ethernet(GET), protocol=47), id="nvgre"),
        pytest.param(ipv4(_hex("1000 88be 00000001 1001 0005 00000000") + ethernet(GET), protocol=47), id="erspan-2"),
        pytest.param(ipv4(gre + ipv4(gre + GET, protocol=47), protocol=47), id="gre-in-gre"),
        pytest.param(ipv4(udp(vxlan, dport=4789), protocol=17), id="vxlan"),
        pytest.param(ipv4(udp(vxlan, dport=8472), protocol=17), id="vxlan-linux"),
        pytest.param(ipv4(udp(vxlan, sport=4789, dport=53), protocol=17), id="vxlan-from-its-port"),
        pytest.param(ipv4(udp(_hex("0000 0800 00000700") + GET, dport=6081), protocol=17), id="geneve"),
        pytest.param(ipv4(udp(gtp, dport=2152), protocol=17), id="gtp-u"),
        pytest.param(ipv4(_hex("0300") + ethernet(GET), protocol=97), id="etherip"),
        pytest.param(ipv4(_hex("00014140") + GET, protocol=137), id="mpls-in-ip"),
    ]


@pytest.mark.parametrize("packet", _tunnels())
def test_a_segment_out_of_a_tunnel(packet: bytes) -> None:
    decoded = decode([ethernet(packet)])
    assert [
        (s.src, s.dst, s.src_port, s.seq, s.payload_length, s.payload, s.ttl, s.ip_id) for s in decoded.segments
    ] == [("192.0.2.1", "192.0.2.2", 40000, 1000, 3, b"GET", 9, 5)]
    assert not decoded.skipped


@pytest.mark.parametrize(
    ("ethertype", "packet"),
    [
        pytest.param(0x8847, _hex("00014040 00015140") + GET6, id="mpls"),
        pytest.param(0x8847, _hex("00014140 00000000") + ethernet(GET6, 0x86DD), id="ethernet-over-mpls"),
        pytest.param(0x8864, _hex("1100 0003") + (2 + len(GET6)).to_bytes(2, "big") + _hex("0057") + GET6, id="pppoe"),
        pytest.param(0x0800, ipv4(GET6, protocol=41), id="6in4"),
        pytest.param(0x86DD, ipv6(ipv6(tcp(b"GET")), next=41), id="6in6"),
    ],
)
def test_ipv6_out_of_a_tunnel(ethertype: int, packet: bytes) -> None:
    decoded = decode([ethernet(packet, ethertype)])
    assert [(s.src, s.dst, s.payload) for s in decoded.segments] == [("2001:db8::1", "2001:db8::2", b"GET")]
    assert not decoded.skipped


def test_4in6() -> None:
    (segment,) = decode([ethernet(ipv6(GET, next=4), 0x86DD)]).segments
    assert (segment.src, segment.ip_id) == ("192.0.2.1", 5)


@pytest.mark.parametrize("header", [ipv4, ipv6])
def test_ipcomp_is_inflated(header: type) -> None:
    compress = zlib.compressobj(wbits=-15)
    deflated = compress.compress(tcp(b"GET " * 50)) + compress.flush()
    protocol = {"protocol": 108} if header is ipv4 else {"next": 108}
    # An index above 255 was negotiated (RFC 3173): it does not say which algorithm.
    packet = header(_hex("0600 eed1") + deflated, **protocol)
    (segment,) = decode([ethernet(packet)]).segments
    assert (segment.payload_length, segment.payload) == (200, b"GET " * 50)
    assert segment.src == ("10.0.0.1" if header is ipv4 else "2001:db8::1")


def test_an_ipcomp_bomb_is_bounded() -> None:
    compress = zlib.compressobj(wbits=-15)
    deflated = compress.compress(tcp(bytes(1 << 24))) + compress.flush()
    (segment,) = decode([ethernet(ipv4(_hex("0600 0002") + deflated, protocol=108))]).segments
    assert segment.payload_length == 65_535 - 20 - 20


def test_what_is_behind_the_length_of_pppoe_is_padding() -> None:
    """The IP header claims 46 bytes, PPPoE carries 42, the frame is padded: seen from a real access concentrator."""
    packet = ethernet(_hex("1100 0003 002a 0021") + ipv4(tcp(), length=46) + bytes(6), 0x8864)
    (segment,) = decode([packet]).segments
    assert segment.payload_length == 0


def test_a_tunnelled_segment_may_be_cut() -> None:
    packet = ethernet(ipv4(_hex("0000 0800") + ipv4(tcp(b"0123456789")), protocol=47))
    (segment,) = decode([Packet(0, packet[:-4], len(packet))]).segments
    assert (segment.payload_length, segment.payload) == (10, b"012345")


def test_networks_are_told_apart() -> None:
    def network(packet: bytes) -> int:
        (segment,) = decode([ethernet(packet)]).segments
        return segment.network

    def vxlan(vni: int) -> bytes:
        return ipv4(udp(_vxlan(ethernet(GET), vni), dport=4789), protocol=17)

    numbers = [network(GET), network(vxlan(7)), network(vxlan(8)), network(ipv4(vxlan(7), protocol=4))]
    assert numbers[0] == 0
    assert numbers[1] == numbers[3]
    assert len(set(numbers)) == 3


def test_labels_of_one_direction_make_no_network() -> None:
    """The two directions of a connection have different MPLS labels: they are not two networks."""
    packets = [ethernet(_hex(label) + GET, 0x8847) for label in ("00014140", "00015140")]
    assert [s.network for s in decode(packets).segments] == [0, 0]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(ethernet(ipv4(_hex("0000 0806") + bytes(28), protocol=47)), "not_tcp", id="arp-in-gre"),
        pytest.param(ethernet(ipv4(_hex("0000 88be"), protocol=47)), "not_tcp", id="gre-with-nothing"),
        pytest.param(
            ethernet(ipv4(udp(_vxlan(ethernet(bytes(28), 0x0806)), dport=4789), protocol=17)), "not_tcp", id="a"
        ),
        pytest.param(VXLAN_UNFLAGGED, "not_tcp", id="vxlan-without-its-flag"),
        pytest.param(ethernet(_hex("00014140") + bytes(20), 0x8847), "not_ip", id="mpls-with-nothing"),
        pytest.param(ethernet(_hex("1100 0003 000a c021 01010008 0000"), 0x8864), "not_ip", id="ppp-lcp"),
        pytest.param(ethernet(ipv4(bytes(40), protocol=50)), "not_tcp", id="esp"),
        pytest.param(ethernet(ipv4(_hex("06000002ffffffff"), protocol=108)), "not_tcp", id="ipcomp-not-deflated"),
        pytest.param(ethernet(ipv4(b"\x06", protocol=108)), "malformed", id="ipcomp-cut"),
    ],
)
def test_tunnels_that_lead_to_no_segment(packet: bytes, reason: str) -> None:
    decoded = decode([packet])
    assert decoded.segments == []
    assert decoded.skipped == {reason: 1}


def test_tunnels_without_end_are_given_up() -> None:
    packet = GET
    for _ in range(12):
        packet = ipv4(_hex("0000 0800") + packet, protocol=47)
    assert decode([ethernet(packet)]).skipped == {"not_tcp": 1}


def test_segments_keep_capture_order_around_tunnels() -> None:
    packets = [
        ethernet(ipv4(tcp(b"one"))),
        ethernet(ipv4(_hex("0000 0800") + ipv4(tcp(b"two")), protocol=47)),
        ethernet(bytes(28), 0x0806),
        ethernet(ipv4(tcp(b"four"))),
    ]
    decoded = decode(packets)
    assert [(s.packet, s.payload) for s in decoded.segments] == [(1, b"one"), (2, b"two"), (4, b"four")]


def test_scapy_is_not_imported_for_plain_traffic() -> None:
    code = (
        "import sys; from tests.packets.decoding import decode; from tests.packets.packets import *;"
        "decode([ethernet(ipv4(tcp())), ethernet(ipv4(udp(b'x'), protocol=17)), ethernet(b'', 0x806)]);"
        "assert not any(name.startswith('scapy') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
