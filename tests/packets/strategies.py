"""Packets of every kind that reaches TCP, forged with Scapy from choices that hypothesis makes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN

_NUMBER32 = st.integers(0, 2**32 - 1)
_NUMBER16 = st.integers(0, 2**16 - 1)
_MAC = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}

_OPTIONS = st.lists(
    st.sampled_from(
        [("MSS", 1460), ("WScale", 7), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("SAck", (5, 9))]
    ),
    max_size=4,
)


@st.composite
def tcp(draw: st.DrawFn) -> Any:
    """A TCP segment, of any flags, with options and payload."""
    return TCP(
        sport=draw(_NUMBER16),
        dport=draw(_NUMBER16),
        seq=draw(_NUMBER32),
        ack=draw(_NUMBER32),
        flags=draw(st.integers(0, 255)),
        window=draw(_NUMBER16),
        chksum=draw(st.integers(1, 2**16 - 1)),
        options=draw(_OPTIONS),
    ) / draw(st.binary(max_size=40))


@st.composite
def ipv4(draw: st.DrawFn) -> Any:
    """An IPv4 header, some with options."""
    return IP(
        src=str(draw(st.ip_addresses(v=4))),
        dst=str(draw(st.ip_addresses(v=4))),
        ttl=draw(st.integers(0, 255)),
        id=draw(_NUMBER16),
        flags=draw(st.sampled_from([0, 2])),
        options=draw(st.lists(st.sampled_from([IPOption_NOP(), IPOption_RR()]), max_size=3)),
    )


@st.composite
def ipv6(draw: st.DrawFn) -> Any:
    """An IPv6 header, some with extension headers."""
    layer = IPv6(
        src=str(draw(st.ip_addresses(v=6))),
        dst=str(draw(st.ip_addresses(v=6))),
        hlim=draw(st.integers(0, 255)),
    )
    extensions = [
        lambda: IPv6ExtHdrHopByHop(),
        lambda: IPv6ExtHdrDestOpt(),
        lambda: IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0),
        lambda: IPv6ExtHdrFragment(id=7),
    ]
    for extension in draw(st.lists(st.sampled_from(extensions), max_size=3)):
        layer = layer / extension()
    return layer


def datagram() -> st.SearchStrategy[Any]:
    """TCP over IP of either version."""
    return st.builds(lambda ip, segment: ip / segment, st.one_of(ipv4(), ipv6()), tcp())


@st.composite
def ethernet(draw: st.DrawFn, tags: int = 3) -> tuple[Any, list[int]]:
    """An Ethernet header with up to so many VLAN tags, and the ids of those."""
    layer, vlans = Ether(**_MAC), draw(st.lists(st.integers(1, 4095), max_size=tags))
    for vlan in vlans:
        layer = layer / draw(st.sampled_from([Dot1Q, Dot1AD]))(vlan=vlan, prio=draw(st.integers(0, 7)))
    return layer, vlans


def _loopback(inner: Any) -> Any:
    return Loopback(type=2 if isinstance(inner, IP) else 30) / inner


@st.composite
def linked(draw: st.DrawFn) -> tuple[int, bytes, int]:
    """TCP under a link layer that the columns read: LINKTYPE_, the bytes, the network number."""
    inner, network = draw(datagram()), 0
    kind = draw(st.sampled_from(["ethernet", "snap", "sll", "sll2", "null", "loop", "raw"]))
    if kind == "ethernet":
        layer, vlans = draw(ethernet())
        for vlan in vlans:
            network = network << 12 | vlan
        # What lies behind a short datagram on Ethernet is padding.
        return 1, bytes(layer / inner) + bytes(draw(st.integers(0, 6))), network
    if kind == "snap":
        code = 0x0800 if isinstance(inner, IP) else 0x86DD
        return 1, bytes(Dot3(**_MAC) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=code) / inner), 0
    if kind == "sll":
        return 113, bytes(CookedLinux() / inner), 0
    if kind == "sll2":
        return 276, bytes(CookedLinuxV2() / inner), 0
    if kind == "raw":
        return draw(st.sampled_from([101, 12])), bytes(inner), 0
    little = bytes(_loopback(inner))
    if kind == "null" and draw(st.booleans()):
        return 0, little, 0
    return (0 if kind == "null" else 108), little[3::-1] + little[4:], 0


@st.composite
def tunnelled(draw: st.DrawFn) -> bytes:
    """TCP inside a tunnel over Ethernet that needs Scapy, or IP in IP."""
    inner, outer = draw(datagram()), draw(ipv4())
    inner_ethernet = draw(ethernet(1))[0]
    ethertype = 0x0800 if isinstance(inner, IP) else 0x86DD
    kinds = {
        "ip": lambda: outer / inner,
        "gre": lambda: outer / GRE(key_present=1, key=5, proto=ethertype) / inner,
        "nvgre": lambda: outer / GRE(key_present=1, key=5, proto=0x6558) / inner_ethernet / inner,
        "vxlan": lambda: outer / UDP(sport=50000, dport=4789) / VXLAN(vni=7) / inner_ethernet / inner,
        "geneve": lambda: outer / UDP(sport=50000, dport=6081) / GENEVE(vni=7) / inner_ethernet / inner,
        "gtp": lambda: outer / UDP(sport=50000, dport=2152) / GTP_U_Header(teid=9, gtp_type=255) / inner,
        "mpls": lambda: MPLS(label=20, s=0) / MPLS(label=21, s=1) / inner,
        "pppoe": lambda: PPPoE(sessionid=3) / PPP() / inner,
    }
    return bytes(draw(ethernet(1))[0] / kinds[draw(st.sampled_from(sorted(kinds)))]())
