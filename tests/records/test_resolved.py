"""Which of an address's names a connection gets."""

from __future__ import annotations

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from inspector.engine import Inspector, Options
from inspector.packets.batch import NamedAddress
from inspector.records.connection import Connection
from inspector.records.resolved import MAX_ADDRESSES, MAX_NAMES, ResolvedNames
from inspector.sources.memory import MemorySource

HTTP = b"GET / HTTP/1.1\r\nHost: said.test\r\n\r\n"


def test_the_last_one_before_the_connection() -> None:
    names = ResolvedNames()
    for time_ns, name in ((10, "a.test"), (20, "b.test"), (30, "b.test"), (40, "a.test")):
        names.add(NamedAddress(time_ns, 0, 1, name))
    assert [names.name(0, 1, time_ns) for time_ns in (9, 10, 19, 20, 39, 40, 99)] == [
        None, "a.test", "a.test", "b.test", "b.test", "a.test", "a.test",
    ]  # fmt: skip
    assert names.name(0, 2, 99) is None


def test_bounds() -> None:
    names = ResolvedNames()
    for at in range(MAX_NAMES + 1):
        names.add(NamedAddress(at, 0, 0, f"{at}.test"))
    assert (names.name(0, 0, 0), names.name(0, 0, 1)) == (None, "1.test")
    for at in range(1, MAX_ADDRESSES + 1):
        names.add(NamedAddress(100, 0, at, "x.test"))
    assert (names.name(0, 0, 200), names.name(0, 1, 200)) == (None, "x.test")


def connections(payload: bytes = b"", *, names: bool = True) -> list[Connection]:
    answer = DNS(qr=1, qd=DNSQR(qname="asked.test"), an=[DNSRR(rrname="asked.test", rdata="10.0.0.1")])
    packets = [
        IP() / UDP(sport=53, dport=4000) / answer,
        IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=1, dport=443, flags="S"),
        IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=443, dport=1, flags="SA", ack=1),
        IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=1, dport=443, flags="A", seq=1, ack=1) / payload,
    ]
    inspector = Inspector(Options(names=names))
    for batch in MemorySource([(at * 10**6, bytes(Ether() / one)) for at, one in enumerate(packets)]):
        inspector.feed(batch)
    return inspector.finish().connections


def test_a_connection_that_says_nothing() -> None:
    (one,) = connections()
    assert (one.name, one.names, one.name_from) == ("asked.test", [], "dns")


def test_what_it_says_itself_is_better() -> None:
    (one,) = connections(HTTP)
    assert (one.name, one.name_from) == ("said.test", "host")


def test_a_proxy_has_no_name() -> None:
    (one,) = connections(b"GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n\r\n")
    assert (one.name, one.name_from) == (None, None)


def test_no_names_are_wanted() -> None:
    (one,) = connections(names=False)
    assert (one.name, one.name_from) == (None, None)
