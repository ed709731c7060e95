"""The same packets as Scapy dissects them: what the columns are held against."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from scapy.config import conf
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from tests.packets.decoding import Segment

_LOOPBACK, _RAW = (0, 108), 12


def segment_of(number: int, packet: bytes, link_type: int, network: int) -> Segment | None:
    """The first TCP layer and the IP layer in front of it, None where there is none."""
    if link_type in _LOOPBACK:
        # Scapy reads the family in this machine's byte order only: the tests of the link layer have the others.
        link_type, packet = _RAW, packet[4:]
    layer: Any = conf.l2types[link_type](packet)
    ip: Any = None
    while layer and not isinstance(layer, TCP):
        if isinstance(layer, IP | IPv6):
            ip = layer
        layer = layer.payload
    if not layer or ip is None:
        return None
    tcp, is_v4 = layer, isinstance(ip, IP)
    payload = bytes(tcp.original)[tcp.dataofs * 4 :]
    return Segment(
        packet=number,
        src=_canonical(ip.src),
        dst=_canonical(ip.dst),
        src_port=tcp.sport,
        dst_port=tcp.dport,
        seq=tcp.seq,
        ack=tcp.ack,
        flags=int(tcp.flags) & 0xFF,
        window=tcp.window,
        ttl=ip.ttl if is_v4 else ip.hlim,
        ip_id=ip.id if is_v4 else 0,
        checksum=tcp.chksum,
        payload_length=len(payload),
        payload=payload,
        options=bytes(tcp.original)[20 : tcp.dataofs * 4],
        network=network,
    )


def _canonical(address: str) -> str:
    return str(ip_address(address))
