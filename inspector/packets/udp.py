"""What runs over IP and is not TCP: tunnels are left to the fallback, QUIC is told from the rest, the rest is decided.

Sources: RFC 7348 section 5 (VXLAN, its I flag); RFC 8999 and RFC 9000 section 17 (QUIC); IANA's port registry.
"""

from __future__ import annotations

import numpy as np

from .batch import U8
from .rows import PROTOCOL, UDP_PORT, Cursor, Fate, chosen, gather

#: IP protocols that lead to IP through headers that the fallback knows: GRE, EtherIP, IPComp, L2TPv3, MPLS.
PEELED = (47, 97, 108, 115, 137)

#: UDP ports of tunnels: VXLAN (IANA's, Linux's, GPE), Geneve, GTP-U, L2TP, MPLS. The answering side of a VXLAN or
#: Geneve tunnel sends to the same port, whatever it sends from.
VXLAN_PORTS = (4789, 8472, 4790)
TUNNEL_PORTS = (*VXLAN_PORTS, 6081, 2152, 1701, 6635)

_UDP = PROTOCOL | 17
_HEADER = np.dtype([("src_port", ">u2"), ("dst_port", ">u2"), ("length", ">u2"), ("checksum", ">u2")])
_FIRST = np.dtype([("first", "u1"), ("version", ">u4")])
_HTTPS = 443

#: QUIC versions 1 and 2 (RFC 9000, RFC 9369); drafts are 0xff0000xx.
_QUIC_VERSIONS = (1, 0x6B3343CF)


def read_other(data: U8, cursor: Cursor) -> None:
    """Decide the rows that are behind their IP headers and at no TCP header."""
    mask = cursor.fate == Fate.OPEN
    if not mask.any():
        return
    rows = chosen(mask)
    is_peeled = np.isin(cursor.next[rows], [PROTOCOL | number for number in PEELED])
    cursor.fate[rows] = np.where(is_peeled, Fate.PEEL, Fate.NOT_TCP)
    _read_udp(data, cursor, np.flatnonzero(mask & (cursor.next == _UDP)))


def _read_udp(data: U8, cursor: Cursor, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    at = cursor.at[rows]
    has_payload = at + 13 <= cursor.end[rows]
    rows, at = rows[has_payload], at[has_payload]
    if not len(rows):
        return
    ports = gather(data, at, _HEADER)
    payload = gather(data, at + 8, _FIRST)
    first = payload["first"]

    tunnel = np.where(np.isin(ports["dst_port"], TUNNEL_PORTS), ports["dst_port"], 0)
    tunnel = np.where((tunnel == 0) & np.isin(ports["src_port"], TUNNEL_PORTS), ports["src_port"], tunnel)
    # An ephemeral port may have such a number too; VXLAN has a flag that must be set.
    tunnel[np.isin(tunnel, VXLAN_PORTS) & (first & 0x08 == 0)] = 0

    is_long = first & 0xC0 == 0xC0
    is_known = np.isin(payload["version"], _QUIC_VERSIONS) | (payload["version"] >> 8 == 0xFF0000)
    on_https = (ports["src_port"] == _HTTPS) | (ports["dst_port"] == _HTTPS)
    # On port 443 the fixed bit is enough: after the handshake all headers are short.
    is_quic = (is_long & is_known) | (on_https & (first & 0x40 != 0))

    cursor.fate[rows] = np.where(tunnel > 0, Fate.PEEL, np.where(is_quic, Fate.QUIC, Fate.NOT_TCP))
    is_tunnel = tunnel > 0
    cursor.next[rows[is_tunnel]] = UDP_PORT | tunnel[is_tunnel].astype(np.int64)
    cursor.at[rows[is_tunnel]] += 8
