"""Which packets the programs let through, run by a machine of our own."""

from __future__ import annotations

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from inspector.sources import bpf
from inspector.sources.bpf import MAX_INSTRUCTIONS, default_program
from inspector.sources.ring import FilterError, compiled
from tests.sources.bpf_machine import run

ETHERNET, LOOPBACK, TUNNEL = 1, 772, 65534
INCOMING, OUTGOING = 0, 4

CASES: list[tuple[Packet, bool]] = [
    (IP() / TCP(), True),
    (IP(options=[b"\x01\x01\x01\x00"]) / TCP(), True),
    (IP(frag=100) / TCP(), True),
    (IP() / UDP(sport=5353, dport=53) / DNS(qd=DNSQR()), True),
    (IP(options=[b"\x01\x01\x01\x00"]) / UDP(sport=53, dport=4000), True),
    (IP() / UDP(sport=53, dport=4000), True),
    (IP(frag=100, proto=17) / Raw(b"\x00\x35\x00\x35"), False),
    (IP() / UDP(sport=443, dport=4000), False),
    (IP() / ICMP(), False),
    (IPv6() / TCP(), True),
    (IPv6() / UDP(sport=53, dport=4000), True),
    (IPv6() / UDP(sport=4000, dport=53), True),
    (IPv6() / UDP(sport=4000, dport=443), False),
    (IPv6() / IPv6ExtHdrFragment(nh=6) / Raw(b"x" * 20), True),
    (IPv6() / IPv6ExtHdrFragment(nh=17) / Raw(b"\x00\x35" * 10), False),
    (IPv6() / Raw(b"x"), False),
]


def accepted(
    packet: bytes,
    program: bpf.Program,
    *,
    network_at: int = 14,
    hatype: int = ETHERNET,
    direction: int = INCOMING,
    ifindex: int = 2,
) -> int:
    known = {4: direction, 8: ifindex, 28: hatype}
    return run(program, packet, network_at=network_at, ancillary=known.__getitem__)


def default(**options: object) -> bpf.Program:
    ethernet, others = compiled(bpf.DEFAULT_FILTER)
    return bpf.socket_program(ethernet, others, snap_length=1000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("packet", "wanted"), CASES, ids=[case.summary() for case, _ in CASES])
def test_the_default_filter(packet: Packet, wanted: bool) -> None:
    program, data = default(), bytes(packet)
    assert accepted(bytes(Ether())[:12] + bytes(Ether() / packet)[12:], program) == (1000 if wanted else 0)
    assert accepted(data, program, network_at=0, hatype=TUNNEL) == (1000 if wanted else 0)
    assert accepted(b"head" + data, program, network_at=4, hatype=778) == (1000 if wanted else 0)


@pytest.mark.parametrize(("packet", "wanted"), CASES, ids=[case.summary() for case, _ in CASES])
def test_it_is_what_libpcap_makes_of_it(packet: Packet, wanted: bool) -> None:
    """Other words for the same, so that libpcap is asked."""
    ethernet, others = compiled(f"({bpf.DEFAULT_FILTER})")
    program = bpf.socket_program(ethernet, others, snap_length=1000)
    assert accepted(bytes(Ether() / packet), program) == (1000 if wanted else 0)
    assert accepted(b"head" + bytes(packet), program, network_at=4, hatype=778) == (1000 if wanted else 0)


def test_other_ethernet_frames_do_not_pass() -> None:
    for frame in (Ether() / ARP(), Ether(type=0x88CC) / Raw(bytes(IP() / TCP())), Ether() / Dot1Q(vlan=0x400)):
        assert accepted(bytes(frame), default()) == 0


def test_what_a_loopback_sends_is_left_out() -> None:
    data = bytes(Ether() / IP() / TCP())
    assert accepted(data, default(), hatype=LOOPBACK, direction=INCOMING) == 1000
    assert accepted(data, default(), hatype=LOOPBACK, direction=OUTGOING) == 0
    assert accepted(data, default(), hatype=ETHERNET, direction=OUTGOING) == 1000


@pytest.mark.parametrize("count", [1, 2, 200])
def test_some_interfaces_only(count: int) -> None:
    program = default(interfaces=range(10, 10 + count))
    data = bytes(Ether() / IP() / TCP())
    for index in range(8, 12 + count):
        assert accepted(data, program, ifindex=index) == (1000 if 10 <= index < 10 + count else 0)
        assert accepted(bytes(Ether() / ARP()), program, ifindex=index) == 0


def test_everything_and_nothing() -> None:
    every = bpf.socket_program(bpf.everything(), bpf.everything(), snap_length=77)
    assert accepted(b"x", every) == accepted(b"x", every, hatype=TUNNEL) == 77
    assert accepted(b"x", bpf.nothing()) == 0
    half = bpf.socket_program(bpf.everything(), None, snap_length=77)
    assert accepted(b"x", half, hatype=TUNNEL) == 0


def test_a_filter_that_only_ethernet_has() -> None:
    ethernet, others = compiled("ether dst ff:ff:ff:ff:ff:ff")
    assert ethernet is not None
    assert others is None


def test_a_filter_that_is_none() -> None:
    with pytest.raises(FilterError, match="syntax error"):
        compiled("tcp and and")


def test_without_libpcap_the_default_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("libpcap is not available. Cannot compile filter !")

    monkeypatch.setattr("inspector.sources.ring.compile_filter", missing)
    assert compiled(bpf.DEFAULT_FILTER)[0] is not None
    with pytest.raises(FilterError, match=r"install libpcap \(Debian: libpcap0.8.*leave the filter out"):
        compiled("tcp port 80")


def test_too_long_a_filter() -> None:
    long = [default_program()[0]] * MAX_INSTRUCTIONS
    with pytest.raises(ValueError, match="instructions"):
        bpf.socket_program(long, None, snap_length=1)


def test_the_layout_of_an_instruction() -> None:
    assert bpf.packed([bpf.Instruction(0x15, 1, 2, 0x0403_0201)]) == b"\x15\x00\x01\x02\x01\x02\x03\x04"
