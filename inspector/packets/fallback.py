"""What the columns do not know, peeled row by row until a header is reached that they know.

A row comes with what its next header is and the bytes from there on. Scapy dissects them as far as the next Ethernet
or IP header and no further, and the columns go on from there: so that a segment out of a tunnel is read by the same
code as any other. Fragments are put together and IPComp is inflated here, each giving a whole IP datagram.
Scapy is imported when the first row asks for it, for that takes half a second.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from .fragments import Reassembly
from .rows import ETHERTYPE, FRAGMENT_V4, FRAGMENT_V6, IP, LINK, PROTOCOL, UDP_PORT, Fate

if TYPE_CHECKING:
    from scapy.packet import Packet

_IPCOMP = PROTOCOL | 108
_NAMESPACE = 0xFFFF_0000
_ETHERNET = LINK | 1

#: Most that inflating one IPComp payload may give, in bytes.
MAX_INFLATED = 65_535

#: Addresses that are taken from one DNS answer, of types A and AAAA.
MAX_ADDRESSES = 32
_ADDRESS_RECORDS = (1, 28)

#: Scapy's modules that hold, or bind, the layers that lead to IP.
SCAPY_MODULES = (
    "scapy.layers.dot11",
    "scapy.layers.inet",
    "scapy.layers.inet6",
    "scapy.layers.l2",
    "scapy.layers.l2tp",
    "scapy.layers.ppi",
    "scapy.layers.ppp",
    "scapy.layers.vxlan",
    "scapy.contrib.chdlc",
    "scapy.contrib.erspan",
    "scapy.contrib.etherip",
    "scapy.contrib.geneve",
    "scapy.contrib.gtp",
    "scapy.contrib.mpls",
    "scapy.contrib.nsh",
)

#: Layer -> field that names the network which both directions share. MPLS labels, GTP tunnel endpoints and PPTP call
#: numbers are chosen by each receiver: the two directions of one connection differ in them, so they name nothing.
_NETWORK_FIELDS = {"VXLAN": "vni", "GENEVE": "vni", "GRE": "key", "PPPoE": "sessionid"}


@dataclass(slots=True, frozen=True)
class Peeled:
    """Bytes that start with a header the columns know."""

    what: int
    """As Cursor.next."""
    data: bytes
    wire_length: int
    """Bytes they had on the wire."""
    network: int


class Fallback:
    """Peels rows; keeps the fragments of datagrams that are not complete."""

    def __init__(self) -> None:
        self._fragments: dict[int, Reassembly] = {}
        self._scapy: _Scapy | None = None

    def peel(
        self, what: int, ip_header: bytes, data: bytes, missing: int, network: int, time_ns: int, depth: int
    ) -> Peeled | Fate:
        """Peel one row, or say why it goes no further.

        `what` is the next header (as Cursor.next), `data` the bytes from there on, `missing` how many more there were
        on the wire, `ip_header` the bytes from the IP header in front (of fragments and IPComp), `depth` how often the
        row was peeled before: fragments inside a tunnel are kept apart from those outside, so that the order in which
        fragments meet does not depend on batches.
        """
        if what in (FRAGMENT_V4, FRAGMENT_V6):
            return self._reassemble(what, ip_header, data, network, time_ns, depth)
        if what == _IPCOMP:
            return _inflate(ip_header, data, network)
        if self._scapy is None:
            self._scapy = _Scapy()
        return self._scapy.peel(what, data, missing, network)

    def _reassemble(
        self, what: int, ip_header: bytes, data: bytes, network: int, time_ns: int, depth: int
    ) -> Peeled | Fate:
        if what == FRAGMENT_V4:
            flags = int.from_bytes(ip_header[6:8], "big")
            offset, is_last = (flags & 0x1FFF) * 8, not flags & 0x2000
            key = ip_header[12:20] + ip_header[4:6] + ip_header[9:10]
            header, payload = ip_header[:9] + ip_header[9:10] + ip_header[10:20], data
        else:
            flags = int.from_bytes(data[2:4], "big")
            offset, is_last = flags & 0xFFF8, not flags & 1
            key = ip_header[8:40] + data[4:8]
            header, payload = ip_header[:6] + data[:1] + ip_header[7:40], data[8:]
        reassembly = self._fragments.setdefault(depth, Reassembly())
        whole = reassembly.add((key, network), offset, payload, time_ns, is_last=is_last, header=header)
        if whole is None:
            return Fate.IP_FRAGMENT
        return _datagram(*whole, network)


def _datagram(header: bytes, payload: bytes, network: int) -> Peeled:
    """An IP datagram with this header (IPv4's first 20 bytes, or IPv6's 40) and payload; options are dropped."""
    if header[0] >> 4 == 4:
        length = (20 + len(payload)).to_bytes(3, "big")[1:]
        data = b"\x45" + header[1:2] + length + header[4:6] + b"\0\0" + header[8:] + payload
    else:
        data = header[:4] + len(payload).to_bytes(2, "big") + header[6:] + payload
    return Peeled(IP, data, len(data), network)


def _inflate(ip_header: bytes, data: bytes, network: int) -> Peeled | Fate:
    """Undo IPComp: a header of 4 bytes, the first of which is the protocol inside, and DEFLATE (RFC 3173, RFC 2394).

    Its index names the algorithm only where it was not negotiated, so DEFLATE is tried whatever it says.
    """
    if len(data) < 4:
        return Fate.MALFORMED
    try:
        payload = zlib.decompressobj(-15).decompress(data[4:], MAX_INFLATED - 20)
    except zlib.error:
        return Fate.NOT_TCP
    if ip_header[0] >> 4 == 4:
        header = ip_header[:9] + data[:1] + ip_header[10:20]
    else:
        header = ip_header[:6] + data[:1] + ip_header[7:40]
    return _datagram(header, payload, network)


def _folded(network: int, layer: str, number: int) -> int:
    """A number for a network inside another one: the same in every process, and below 2**63."""
    if not number:
        return network
    digest = blake2b(f"{network} {layer} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def dns_addresses(message: bytes) -> list[tuple[str, str]]:
    """The name that a DNS answer was asked for, with each address that it gives; none where it cannot be read."""
    from scapy.layers.dns import DNS, DNSRR

    try:
        dns = DNS(message)
        name = dns.qd[0].qname.decode("ascii", "replace")
        records = [record for record in dns.an if isinstance(record, DNSRR) and record.type in _ADDRESS_RECORDS]
        return [(name, str(record.rdata)) for record in records[:MAX_ADDRESSES]]
    except Exception:  # whatever a dissector raises on bytes that it does not understand
        return []


class _Scapy:
    """Scapy's dissectors, stopped at the first Ethernet or IP header."""

    def __init__(self) -> None:
        from importlib import import_module

        for name in SCAPY_MODULES:
            import_module(name)
        from scapy.config import conf
        from scapy.layers import inet
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Dot3, Ether
        from scapy.packet import Packet

        class Start(Packet):  # type: ignore[misc]
            """Nothing, followed by a layer of a given class."""

            fields_desc: tuple[()] = ()
            follows: type[Packet] | None

            def guess_payload_class(self, payload: bytes) -> type[Packet] | None:
                return self.follows

        self._start = Start
        self._link_types = conf.l2types
        self._unknown = (conf.raw_layer, conf.padding_layer)
        self._ip, self._ether = (inet.IP, IPv6), (Ether, Dot3)
        #: A layer in front of what is to be dissected, by which Scapy knows what it is.
        self._fronts = {
            ETHERTYPE: lambda number: Ether(type=number),
            PROTOCOL: lambda number: inet.IP(proto=number),
            # Both ports, for the default of the other one is that of DNS.
            UDP_PORT: lambda number: inet.UDP(sport=number, dport=number),
        }

    def peel(self, what: int, data: bytes, missing: int, network: int) -> Peeled | Fate:
        """Peel one row; see Fallback.peel."""
        start = self._start()
        start.follows = self._class_of(what, data)
        if start.follows is None:
            return Fate.UNSUPPORTED_LINK_TYPE
        start.stop_dissection_after = (*self._ip, *self._ether)
        # As a payload, and not by calling the layer's class, because then Scapy takes what a dissector raises on bad
        # bytes for raw bytes.
        start.do_dissect_payload(data)
        layer: Any = start.payload
        while layer:
            if isinstance(layer, start.stop_dissection_after):
                wire_length = max(len(layer.original) + missing, 0)
                next_header = IP if isinstance(layer, self._ip) else _ETHERNET
                return Peeled(next_header, bytes(layer.original)[:wire_length], wire_length, network)
            network = _folded(network, *self._network_of(layer))
            if type(layer).__name__ == "PPPoE" and layer.payload:
                # Its own length ends what it carries; behind that lies padding.
                missing = min(missing, layer.len - len(layer.payload.original))
            layer = layer.payload
        return Fate.NOT_IP

    def _network_of(self, layer: Packet) -> tuple[str, int]:
        name = type(layer).__name__
        field = _NETWORK_FIELDS.get(name)
        number = layer.fields.get(field) if field else None
        return name, number if isinstance(number, int) else 0

    def _class_of(self, what: int, data: bytes) -> type[Packet] | None:
        """The layer that Scapy takes this for; None for a link type that it does not know."""
        number = what & 0xFFFF
        if what & _NAMESPACE != LINK:
            follows: type[Packet] = self._fronts[what & _NAMESPACE](number).guess_payload_class(data)
            return follows
        layer: type[Packet] | None = self._link_types.get(number)
        return None if layer in self._unknown else layer
