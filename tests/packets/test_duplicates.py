"""Copies of the capture against retransmissions: what makes the difference, and that batches do not show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.packets.batch import Interface
from inspector.packets.duplicates import WINDOW_NS, WINDOW_PACKETS
from inspector.sources.memory import Packet
from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, ipv6, tagged, tcp

INTERFACES = [Interface(1), Interface(1)]
MICROSECOND = 1_000


@dataclass(frozen=True)
class Sighting:
    """A segment, seen once."""

    seq: int = 1000
    ip_id: int = 7
    ttl: int = 64
    checksum: int = 0xBEEF
    vlan: int = 0
    interface: int = 0
    after_ns: int = MICROSECOND
    payload: bytes = b"data"

    def packet(self, time_ns: int) -> Packet:
        inner = ipv4(tcp(self.payload, seq=self.seq, checksum=self.checksum), id=self.ip_id, ttl=self.ttl)
        frame = tagged(inner, (0x8100, self.vlan)) if self.vlan else ethernet(inner)
        return Packet(time_ns, frame, interface=self.interface)


def _packets(sightings: list[Sighting]) -> list[Packet]:
    times = [sum(s.after_ns for s in sightings[: i + 1]) for i in range(len(sightings))]
    return [sighting.packet(time_ns) for sighting, time_ns in zip(sightings, times, strict=True)]


def _kept(sightings: list[Sighting], batch_rows: int = 4096) -> list[int]:
    decoded = decode(_packets(sightings), interfaces=INTERFACES, batch_rows=batch_rows)
    kept = [segment.packet for segment in decoded.segments]
    assert decoded.skipped == ({"duplicate": len(sightings) - len(kept)} if len(kept) < len(sightings) else {})
    return kept


FIRST = Sighting()


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(FIRST, id="same-interface-with-an-ip-id"),
        pytest.param(replace(FIRST, interface=1), id="other-interface"),
        pytest.param(replace(FIRST, ttl=63), id="a-router-in-between"),
        pytest.param(replace(FIRST, ttl=63, vlan=5), id="a-router-into-a-vlan"),
        pytest.param(replace(FIRST, after_ns=WINDOW_NS), id="just-in-time"),
    ],
)
def test_copies(second: Sighting) -> None:
    assert _kept([FIRST, second]) == [1]


@pytest.mark.parametrize("ip_id", [0, 1])
def test_copies_without_a_counted_ip_id(ip_id: int) -> None:
    first = Sighting(ip_id=ip_id)
    assert _kept([first, replace(first, interface=1)]) == [1]
    assert _kept([first, replace(first, ttl=63)]) == [1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(Sighting(ip_id=0), Sighting(ip_id=0), id="ip-id-0"),
        pytest.param(Sighting(ip_id=1), Sighting(ip_id=1), id="ip-id-1"),
        pytest.param(FIRST, replace(FIRST, ip_id=8), id="next-ip-id"),
        pytest.param(FIRST, replace(FIRST, checksum=1), id="other-checksum"),
        pytest.param(FIRST, replace(FIRST, seq=1004), id="other-seq-same-ip-id"),
        pytest.param(FIRST, replace(FIRST, payload=b"dat"), id="other-length"),
        pytest.param(FIRST, replace(FIRST, vlan=5), id="other-vlan"),
        pytest.param(FIRST, replace(FIRST, after_ns=WINDOW_NS + 1), id="too-late"),
    ],
)
def test_no_copies(first: Sighting, second: Sighting) -> None:
    assert _kept([first, second]) == [1, 2]


def test_ipv6_has_no_ip_id() -> None:
    packet = ethernet(ipv6(tcp(b"data")), 0x86DD)
    packets = [Packet(0, packet), Packet(1, packet), Packet(2, packet, interface=1)]
    decoded = decode(packets, interfaces=INTERFACES)
    assert [s.packet for s in decoded.segments] == [1, 2]


def test_a_third_sighting_is_a_copy_too() -> None:
    assert _kept([FIRST, FIRST, replace(FIRST, interface=1)]) == [1]


@pytest.mark.parametrize("batch_rows", [1, 5, 33, 4096])
@pytest.mark.parametrize(("between", "kept"), [(WINDOW_PACKETS - 1, False), (WINDOW_PACKETS, True)])
def test_the_window_is_so_many_tcp_packets(between: int, kept: bool, batch_rows: int) -> None:
    before, others = ([Sighting(seq=seq + i, ip_id=seq + i) for i in range(between)] for seq in (2000, 3000))
    sightings = [*before, FIRST, *others, FIRST]
    assert (len(sightings) in _kept(sightings, batch_rows)) is kept


def test_sll_says_which_way_a_packet_went() -> None:
    """`-i any` in a classic pcap: one interface, no IP id, but one copy leaves and the other arrives."""
    inner = ipv4(tcp(b"data"), id=0)
    outgoing, incoming = (bytes.fromhex(f"{kind:04x} 0001 0006 020000000001 0000 0800") + inner for kind in (4, 0))
    assert decode([Packet(0, outgoing), Packet(1, incoming)], 113).skipped == {"duplicate": 1}
    assert decode([Packet(0, outgoing), Packet(1, outgoing)], 113).skipped == {}


def test_sll2_says_which_interface() -> None:
    inner = ipv4(tcp(b"data"), id=0)
    one, two = (bytes.fromhex(f"0800 0000 {index:08x} 0001 00 06 0200000000010000") + inner for index in (1, 2))
    assert decode([Packet(0, one), Packet(1, two)], 276).skipped == {"duplicate": 1}
    assert decode([Packet(0, one), Packet(1, one)], 276).skipped == {}


_SIGHTINGS = st.builds(
    Sighting,
    seq=st.sampled_from([1000, 2000]),
    ip_id=st.sampled_from([0, 7]),
    ttl=st.sampled_from([63, 64]),
    interface=st.sampled_from([0, 1]),
    after_ns=st.sampled_from([MICROSECOND, WINDOW_NS // 3]),
)


def _is_copy(earlier: Sighting, later: Sighting) -> bool:
    same = (earlier.seq, earlier.ip_id) == (later.seq, later.ip_id)
    return same and (later.ip_id > 1 or earlier.ttl != later.ttl or earlier.interface != later.interface)


@settings(max_examples=40, deadline=None)
@given(st.lists(_SIGHTINGS, max_size=50), st.integers(1, 60))
def test_whatever_the_batches_the_definition_holds(sightings: list[Sighting], batch_rows: int) -> None:
    times = [packet.time_ns for packet in _packets(sightings)]
    expected = []
    for at, sighting in enumerate(sightings):
        window = range(max(0, at - WINDOW_PACKETS), at)
        if not any(times[at] - times[i] <= WINDOW_NS and _is_copy(sightings[i], sighting) for i in window):
            expected.append(at + 1)
    assert _kept(sightings, batch_rows) == expected
