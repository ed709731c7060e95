"""ICMP errors about TCP segments: never segments themselves, always counted, told with what they say."""

from __future__ import annotations

import pytest

from inspector.packets.batch import IPV4_HIGH
from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, ipv6, tcp

QUOTED = ipv4(tcp()[:8], src="10.0.0.1", dst="10.0.0.2", length=1500)
QUOTED6 = ipv6(tcp()[:8], length=1400)


def _icmp(kind: int, code: int, rest: int = 0, quoted: bytes = QUOTED) -> bytes:
    return ethernet(ipv4(bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big") + quoted, src="10.9.9.9", protocol=1))


def _icmp6(kind: int, code: int, rest: int = 0, quoted: bytes = QUOTED6) -> bytes:
    return ethernet(ipv6(bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big") + quoted, next=58), 0x86DD)


@pytest.mark.parametrize(
    ("packet", "what", "detail"),
    [
        (_icmp(3, 3), "unreachable", "type 3 code 3: port unreachable"),
        (_icmp(3, 13), "unreachable", "type 3 code 13: communication administratively prohibited"),
        (_icmp(3, 99), "unreachable", "type 3 code 99"),
        (_icmp(3, 4, 1400), "too-big", "type 3 code 4: fragmentation needed, next-hop MTU 1400"),
        (_icmp(3, 4, 0), "too-big", "type 3 code 4: fragmentation needed"),
        (_icmp(11, 0), "time-exceeded", "type 11 code 0: in transit"),
        (_icmp(12, 0), "parameter-problem", "type 12 code 0"),
        (_icmp(4, 0), "source-quench", "type 4 code 0"),
        (_icmp6(1, 4), "unreachable", "type 1 code 4: port unreachable"),
        (_icmp6(2, 0, 1280), "too-big", "type 2 code 0, next-hop MTU 1280"),
        (_icmp6(3, 1), "time-exceeded", "type 3 code 1: while reassembling fragments"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_about_a_segment(packet: bytes, what: str, detail: str) -> None:
    decoded = decode([packet])
    (error,) = decoded.icmp_errors
    assert (error.packet, error.what, error.detail) == (1, what, detail)
    assert (error.src_port, error.dst_port) == (40000, 80)
    assert decoded.segments == []
    assert decoded.skipped == {"not_tcp": 1}


def test_the_ends_are_those_of_the_quoted_segment() -> None:
    v4, v6 = decode([_icmp(3, 1), _icmp6(1, 0)]).icmp_errors
    assert (v4.src_hi, v4.src_lo, v4.dst_hi, v4.dst_lo) == (IPV4_HIGH, 0x0A000001, IPV4_HIGH, 0x0A000002)
    assert (v6.src_hi, v6.src_lo, v6.dst_hi, v6.dst_lo) == (0x20010DB8 << 32, 1, 0x20010DB8 << 32, 2)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(_icmp(8, 0), id="echo-request"),
        pytest.param(_icmp(5, 1), id="redirect"),
        pytest.param(_icmp(3, 3, quoted=ipv4(tcp(), protocol=17)), id="about-udp"),
        pytest.param(_icmp(3, 3, quoted=ipv4(tcp(), fragment=5)), id="about-a-later-fragment"),
        pytest.param(_icmp(3, 3, quoted=QUOTED[:23]), id="ports-cut"),
        pytest.param(_icmp(3, 3, quoted=b""), id="nothing-quoted"),
        pytest.param(_icmp(3, 3, quoted=ipv4(tcp(), ihl=4)), id="quoted-header-malformed"),
        pytest.param(_icmp6(128, 0), id="echo-request-ipv6"),
        pytest.param(_icmp6(1, 0, quoted=ipv6(tcp(), next=17)), id="about-udp-ipv6"),
        pytest.param(ethernet(ipv4(b"\x03\x03", protocol=1)), id="icmp-cut"),
    ],
)
def test_no_error_about_a_segment(packet: bytes) -> None:
    decoded = decode([packet])
    assert decoded.icmp_errors == []
    assert decoded.skipped == {"not_tcp": 1}


def test_extension_headers_of_the_quoted_packet_are_stepped_over() -> None:
    quoted = ipv6(bytes.fromhex("0600010400000000") + tcp()[:4], next=0)
    (error,) = decode([_icmp6(1, 4, quoted=quoted)]).icmp_errors
    assert error.dst_port == 80


def test_errors_come_in_capture_order_from_tunnels_too() -> None:
    in_gre = ethernet(ipv4(bytes.fromhex("00000800") + _icmp(3, 1)[14:], protocol=47))
    errors = decode([in_gre, _icmp(3, 3), in_gre]).icmp_errors
    assert [(e.packet, e.detail[-20:]) for e in errors] == [
        (1, "de 1: host unreachable"[-20:]),
        (2, "de 3: port unreachable"[-20:]),
        (3, "de 1: host unreachable"[-20:]),
    ]
