"""TCP conversations written as transcripts, and what connspect makes of them.

A Talk is one conversation: `c` and `s` send a segment from the client or the server, a millisecond after the one
before. Sequence numbers, acknowledgment numbers and IP ids are kept as the two hosts would keep them; every one can be
said otherwise. A segment that is lost was sent, and counts for the hosts, but is not in the capture.

`inspect` plays talks, merged by time, to an Inspector, and checks the laws that hold for every inspection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import TypedDict, Unpack

from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.packets.batch import Interface, PacketBatch
from inspector.packets.decode import PacketDecoder
from inspector.records.connection import Connection
from inspector.records.event import EventRecord
from inspector.sources.memory import MemorySource, Packet

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
ETHERNET = 1
#: Times in captures are long after the epoch.
START_NS = 1_700_000_000 * SECOND

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
CLIENT, SERVER = 0, 1

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


PLAIN = Options()


class How(TypedDict, total=False):
    """What a segment has otherwise than the hosts would have it."""

    at: int
    """Stream offset of its first byte; the SYN is at -1. Else what comes next."""
    seq: int
    ack: int
    window: int
    ttl: int
    lose: bool
    """It was sent, but is not in the capture."""


class Talk:
    """One conversation. Addresses are "ip:port", IPv6 as "[ip]:port"; times are seconds from the capture's start."""

    def __init__(
        self,
        client: str = "10.0.0.1:40000",
        server: str = "10.0.0.2:80",
        *,
        isn: tuple[int, int] = (1000, 9000),
        start: float = 0.0,
        ttl: tuple[int, int] = (64, 64),
        vlan: int | None = None,
        snaplen: int | None = None,
    ) -> None:
        self.ends = (_end(client), _end(server))
        self.isn = isn
        self.time_ns = START_NS + round(start * SECOND)
        self.packets: list[Packet] = []
        self.ttl = list(ttl)
        self.vlan = vlan
        self.snaplen = snaplen
        self._next = [-1, -1]
        """Stream offset behind what each side has sent; the SYN is at -1."""
        self._ip_id = [100, 5000]

    def c(self, *what: str | bytes, **how: Unpack[How]) -> Talk:
        """The client sends flags ("SYN ACK") or payload (with PSH and ACK), or both."""
        return self._send(CLIENT, what, **how)

    def s(self, *what: str | bytes, **how: Unpack[How]) -> Talk:
        """The server sends."""
        return self._send(SERVER, what, **how)

    def wait(self, seconds: float) -> Talk:
        """Nothing happens for a while, beyond the millisecond between two packets."""
        self.time_ns += round(seconds * SECOND)
        return self

    def handshake(self) -> Talk:
        """SYN, SYN-ACK, ACK."""
        return self.c("SYN").s("SYN ACK").c("ACK")

    def exchange(self, request: bytes = REQUEST, response: bytes = RESPONSE) -> Talk:
        """A request and its response, each acknowledged."""
        return self.c(request).s("ACK").s(response).c("ACK")

    def close(self, first: str = "client") -> Talk:
        """Both sides end with FIN, and both FINs are acknowledged."""
        one, other = (self.c, self.s) if first == "client" else (self.s, self.c)
        one("FIN ACK")
        other("FIN ACK")
        return one("ACK")

    def copy(self, interface: int = 0) -> Talk:
        """The capture has the last packet once more, perhaps from another interface."""
        self.packets.append(replace(self.packets[-1], time_ns=self._tick(), interface=interface))
        return self

    def swap(self, first: int, second: int) -> Talk:
        """The capture has two packets, given by their numbers, the wrong way round."""
        one, other = self.packets[first - 1], self.packets[second - 1]
        self.packets[first - 1] = replace(other, time_ns=one.time_ns)
        self.packets[second - 1] = replace(one, time_ns=other.time_ns)
        return self

    def icmp(self, kind: int = 3, code: int = 1) -> Talk:
        """A router says that the last packet did not get through (IPv4)."""
        quoted = self.packets[-1].data[14:][:28]
        source, target = quoted[12:16], quoted[16:20]
        self._append(_ipv4(1, target, source, struct.pack("!BBHI", kind, code, 0, 0) + quoted, 1, 64))
        return self

    def sent(self, side: int) -> int:
        """Stream offset behind what a side has sent."""
        return self._next[side]

    def wire(self, side: int) -> int:
        """The same as a sequence number."""
        return (self.isn[side] + 1 + self._next[side]) % (1 << 32)

    @property
    def last(self) -> int:
        """Number of the last packet, in a capture of this talk alone."""
        return len(self.packets)

    def _send(
        self,
        side: int,
        what: Iterable[str | bytes],
        *,
        at: int | None = None,
        seq: int | None = None,
        ack: int | None = None,
        window: int = 512,
        ttl: int | None = None,
        lose: bool = False,
    ) -> Talk:
        names, payload = "", b""
        for one in what:
            if isinstance(one, bytes):
                payload = one
            else:
                names = one
        flags = sum(FLAGS[name] for name in (names or "PSH ACK").split())
        offset = at if at is not None else self._next[side]
        seq = (self.isn[side] + 1 + offset if seq is None else seq) % (1 << 32)
        if ack is None:
            ack = self.wire(1 - side) if flags & FLAGS["ACK"] else 0
        if not flags & FLAGS["RST"]:
            end = offset + len(payload) + bool(flags & FLAGS["SYN"]) + bool(flags & FLAGS["FIN"])
            self._next[side] = max(self._next[side], end)
        self._ip_id[side] += 1
        header = struct.pack(
            "!HHIIBBHHH", self.ends[side][1], self.ends[1 - side][1], seq, ack % (1 << 32), 5 << 4, flags, window, 0, 0
        )
        datagram = self._datagram(side, header + payload, self.ttl[side] if ttl is None else ttl)
        if lose:
            self._tick()
        else:
            self._append(datagram)
        return self

    def _datagram(self, side: int, segment: bytes, ttl: int) -> bytes:
        source, target = self.ends[side][0], self.ends[1 - side][0]
        if len(source) == 4:
            return _ipv4(6, source, target, segment, self._ip_id[side], ttl)
        return struct.pack("!IHBB", 6 << 28, len(segment), 6, ttl) + source + target + segment

    def _append(self, datagram: bytes) -> None:
        ether_type = b"\x08\x00" if datagram[0] >> 4 == 4 else b"\x86\xdd"
        tag = b"" if self.vlan is None else struct.pack("!HH", 0x8100, self.vlan)
        frame = bytes(12) + tag + ether_type + datagram
        self.packets.append(Packet(self._tick(), frame[: self.snaplen], len(frame)))

    def _tick(self) -> int:
        now = self.time_ns
        self.time_ns += MILLISECOND
        return now


def opened(server: str = "10.0.0.2:80", **how: object) -> Talk:
    """A talk whose handshake is done."""
    return Talk(server=server, **how).handshake()  # type: ignore[arg-type]


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return ip_address(address.strip("[]")).packed, int(port)


def _ipv4(protocol: int, source: bytes, target: bytes, payload: bytes, ip_id: int, ttl: int) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id & 0xFFFF, 0, ttl, protocol, 0)
    return header + source + target + payload


def merged(*talks: Talk) -> list[Packet]:
    """The packets of some talks as one capture, by time."""
    return sorted((packet for talk in talks for packet in talk.packets), key=lambda packet: packet.time_ns)


def inspect(*talks: Talk, options: Options = PLAIN, batch_rows: int = 4096) -> Inspection:
    """What connspect makes of some talks in one capture."""
    return inspect_packets(merged(*talks), options, batch_rows)


def inspect_packets(packets: list[Packet], options: Options = PLAIN, batch_rows: int = 4096) -> Inspection:
    """The same for packets as they are."""
    interfaces = [Interface(ETHERNET, name) for name in ("eth0", "eth1")]
    inspector = Inspector(options)
    for batch in MemorySource(packets, interfaces=interfaces, batch_rows=batch_rows):
        inspector.feed(batch)
    inspection = inspector.finish()
    check_laws(inspection)
    return inspection


def check_laws(inspection: Inspection) -> None:
    """What adds up in every inspection of everything."""
    capture, connections = inspection.capture, inspection.connections
    assert capture.packets == capture.tcp_segments + sum(capture.skipped.values())
    firsts = [connection.first_packet for connection in connections]
    assert firsts == sorted(firsts)
    ids = [connection.id for connection in connections]
    assert ids == sorted(set(ids))
    for endpoint in inspection.endpoints:
        lived = endpoint.opened + endpoint.already_open + endpoint.half_open
        closed = endpoint.closed
        closes = closed.client_fin + closed.client_rst + closed.server_fin + closed.server_rst
        assert endpoint.connections == lived + endpoint.refused + endpoint.unanswered
        assert lived == closes + endpoint.still_open
        assert closes == endpoint.decided.client + endpoint.decided.server
    assert sum(endpoint.connections for endpoint in inspection.endpoints) == len(connections) + inspection.unlisted


def alike(*talks: Talk, options: Options = PLAIN) -> Inspection:
    """What connspect makes of some talks in one capture, however that is cut into batches."""
    inspection = inspect(*talks, options=options)
    assert inspection == inspect(*talks, options=options, batch_rows=1)
    return inspection


def the(talk: Talk, options: Options = PLAIN) -> Connection:
    """The one connection of a talk; that batches do not show is checked by the way."""
    (connection,) = alike(talk, options=options).connections
    assert connection.id == 0
    return connection


def codes(connection: Connection) -> list[str]:
    """Its anomalies, in capture order."""
    return [anomaly.code for anomaly in connection.anomalies]


def story(talk: Talk) -> list[EventRecord]:
    """The event log of a talk."""
    return inspect(talk, options=Options(events=True)).events


def columns(*talks: Talk) -> PacketBatch:
    """The segments of some talks as one batch of columns."""
    return PacketDecoder().decode(next(iter(MemorySource(merged(*talks)))))
