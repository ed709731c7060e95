"""DNS answers in, names of addresses out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from inspector.packets.batch import IPV4_HIGH, NamedAddress
from inspector.packets.decode import PacketDecoder
from inspector.packets.dns import MAX_READ_A_SECOND, MAX_REMEMBERED, Answer, DnsReader
from inspector.packets.fallback import MAX_ADDRESSES, dns_addresses
from inspector.sources.memory import MemorySource
from inspector.sources.memory import Packet as Captured

SECOND = 10**9
CNAME = DNSRR(rrname="shop.test", type="CNAME", rdata="cdn.test")


def answer(name: str = "shop.test", *records: Packet, **fields: object) -> Packet:
    return DNS(qr=1, qd=DNSQR(qname=name), an=list(records), **fields)


def a(address: str, name: str = "shop.test") -> Packet:
    return DNSRR(rrname=name, type="AAAA" if ":" in address else "A", rdata=address)


def names(*packets: Packet) -> list[tuple[int, int, int, str]]:
    decoder = PacketDecoder()
    found: list[NamedAddress] = []
    for batch in MemorySource([(at * SECOND, bytes(Ether() / one)) for at, one in enumerate(packets)], batch_rows=2):
        decoded = decoder.decode(batch)
        assert len(decoded) == 0
        assert sum(decoded.skipped.values()) == len(batch)
        found += decoded.names
    return [(one.time_ns // SECOND, one.high, one.low, one.name) for one in found]


def test_each_address_has_the_name_that_was_asked_for() -> None:
    told = names(
        IP() / UDP(sport=53, dport=4000) / answer("Shop.TEST", CNAME, a("10.0.0.1", "cdn.test"), a("10.0.0.2")),
        IPv6() / UDP(sport=53, dport=4000) / answer("shop.test", a("fd00::2")),
    )
    assert told == [
        (0, IPV4_HIGH, 0x0A000001, "shop.test"),
        (0, IPV4_HIGH, 0x0A000002, "shop.test"),
        (1, 0xFD00 << 48, 2, "shop.test"),
    ]


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(IP() / UDP(sport=53, dport=4000) / DNS(qr=0, qd=DNSQR(qname="shop.test")), id="question"),
        pytest.param(IP() / UDP(sport=5353, dport=5353) / answer("shop.test", a("10.0.0.1")), id="another-port"),
        pytest.param(IP() / UDP(sport=53) / answer("shop.test", a("10.0.0.1"), tc=1), id="truncated"),
        pytest.param(IP() / UDP(sport=53) / answer("shop.test", a("10.0.0.1"), rcode=3), id="error"),
        pytest.param(IP() / UDP(sport=53) / answer("shop.test", CNAME), id="no-address"),
        pytest.param(IP() / UDP(sport=53) / answer("shop\x1b[31m.test", a("10.0.0.1")), id="not-a-host-name"),
        pytest.param(IP() / UDP(sport=53) / answer("a b.test", a("10.0.0.1")), id="with-a-space"),
    ],
)
def test_what_names_nothing(packet: Packet) -> None:
    assert names(packet) == []


@given(cut=st.integers(0, 200), junk=st.binary(max_size=40), at=st.integers(0, 120))
def test_any_bytes(cut: int, junk: bytes, at: int) -> None:
    message = bytes(answer("shop.test", CNAME, a("10.0.0.1", "cdn.test"), a("fd00::1")))
    for name, address in dns_addresses(message[:at] + junk + message[at + len(junk) :][:cut]):
        assert isinstance(name, str)
        assert isinstance(address, str)


def test_a_cut_answer_is_passed_over() -> None:
    frame = bytes(Ether() / IP() / UDP(sport=53) / answer("shop.test", a("10.0.0.1"), a("10.0.0.2")))
    (batch,) = MemorySource([Captured(0, frame[:-4], len(frame))])
    assert PacketDecoder().decode(batch).names == []


def test_few_addresses_of_an_answer_are_enough() -> None:
    many = answer("shop.test", *(a(f"10.0.1.{at}") for at in range(100)))
    assert len(dns_addresses(bytes(many))) == MAX_ADDRESSES


class Dissector:
    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, message: bytes) -> list[tuple[str, str]]:
        self.read.append(message)
        return [("shop.test", "10.0.0.1")]


def test_the_same_answer_is_read_once() -> None:
    dissect = Dissector()
    reader = DnsReader(dissect)
    told = reader.names(Answer(at, at, bytes([at, at]) + b"the same") for at in range(100))
    assert (len(told), len(dissect.read)) == (100, 1)


def test_so_many_a_second_and_no_more() -> None:
    dissect = Dissector()
    reader = DnsReader(dissect)
    many = [Answer(at, at // 200 * SECOND, b"id%d" % at) for at in range(400)]
    assert len(reader.names(many)) == len(dissect.read) == 2 * MAX_READ_A_SECOND


def test_what_is_remembered_is_bounded() -> None:
    dissect = Dissector()
    reader = DnsReader(dissect)
    reader.names(Answer(at, at * SECOND, b"id%d" % at) for at in range(MAX_REMEMBERED + 1))
    reader.names([Answer(1, 10**6 * SECOND, b"id0"), Answer(2, 10**6 * SECOND, b"id%d" % MAX_REMEMBERED)])
    assert len(dissect.read) == MAX_REMEMBERED + 2
