"""A wire that delays, drops, holds back and forges frames by rule: the same recording every time, unlike random loss.

Started in the namespace between two hosts as `wire.py CLIENT_SIDE SERVER_SIDE RULES`; carries every Ethernet frame
from one interface to the other. RULES is a JSON object as `Rules` below.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from typing import TypedDict

_ETH_P_ALL = 0x0003
#: A frame of at least this many bytes is a data segment; ARP, handshakes and acknowledgments are shorter.
_DATA_FRAME = 600
#: And one of the client's, with a request: an acknowledgment with options is shorter.
_ASKING_FRAME = 90
_ETHERNET, _IP, _TCP = 14, 20, 20
#: What marks a forged segment for those who look: no host here begins with this time to live.
_FORGED_TTL, _FORGED_ID = 113, 0x5151


class Rules(TypedDict, total=False):
    """What happens to frames. Data segments are the server's, counted from 1, retransmissions too."""

    delay_ms: float
    """What each frame takes, either way."""
    drop: list[int]
    """Numbers of the data segments that never arrive."""
    drop_asked: list[int]
    """The same of the client's segments with a request, counted from 1."""
    reset_at: int
    """Behind so many data segments of a connection, both ends get a RST that neither sent."""
    hold_ms: dict[str, float]
    """How much longer some data segments take, by number: they arrive out of order."""


class Wire:
    """Two interfaces and the frames on their way between them."""

    def __init__(self, client_side: str, server_side: str, rules: Rules) -> None:
        self._client, self._server = _listen(client_side), _listen(server_side)
        self._delay_ms = rules.get("delay_ms", 0.0)
        self._dropped = set(rules.get("drop", ()))
        self._hold_ms = {int(number): ms for number, ms in rules.get("hold_ms", {}).items()}
        self._on_the_way: list[tuple[float, int, bytes, socket.socket]] = []
        self._carried = 0
        self._data_segments = self._asking_segments = 0
        self._dropped_asking = set(rules.get("drop_asked", ()))
        self._reset_at = rules.get("reset_at", 0)
        self._of_client_port: Counter[bytes] = Counter()

    def carry(self) -> None:
        """Carry frames until the process is ended."""
        while True:
            wait = max(0.0, self._on_the_way[0][0] - time.monotonic()) if self._on_the_way else None
            for source in select.select([self._client, self._server], [], [], wait)[0]:
                frame, address = source.recvfrom(65536)
                if address[2] != socket.PACKET_OUTGOING:
                    self._take(frame, source)
            while self._on_the_way and self._on_the_way[0][0] <= time.monotonic():
                _, _, frame, destination = heapq.heappop(self._on_the_way)
                destination.send(frame)

    def _take(self, frame: bytes, source: socket.socket) -> None:
        late_ms = self._delay_ms
        if source is self._server and len(frame) >= _DATA_FRAME:
            self._data_segments += 1
            if self._data_segments in self._dropped:
                return
            late_ms += self._hold_ms.get(self._data_segments, 0.0)
        if source is self._client and len(frame) >= _ASKING_FRAME:
            self._asking_segments += 1
            if self._asking_segments in self._dropped_asking:
                return
        self._send(frame, self._client if source is self._server else self._server, late_ms)
        if source is self._server and len(frame) >= _DATA_FRAME and self._reset_at:
            self._reset(frame, late_ms)

    def _send(self, frame: bytes, destination: socket.socket, late_ms: float) -> None:
        self._carried += 1
        # The running number keeps the order of frames that are due together.
        heapq.heappush(self._on_the_way, (time.monotonic() + late_ms / 1000, self._carried, frame, destination))

    def _reset(self, frame: bytes, late_ms: float) -> None:
        port = frame[_ETHERNET + _IP + 2 : _ETHERNET + _IP + 4]
        self._of_client_port[port] += 1
        if self._of_client_port[port] == self._reset_at:
            to_client, to_server = forged_resets(frame)
            self._send(to_client, self._client, late_ms)
            self._send(to_server, self._server, late_ms)


def forged_resets(frame: bytes) -> tuple[bytes, bytes]:
    """RST behind a data segment (Ethernet, IPv4 without options, TCP): as if from its sender, and from its receiver."""
    ip, tcp = frame[_ETHERNET : _ETHERNET + _IP], frame[_ETHERNET + _IP :]
    total = struct.unpack_from(">H", ip, 2)[0]
    seq, ack = struct.unpack_from(">II", tcp, 4)
    behind = (seq + total - _IP - (tcp[12] >> 4) * 4) & 0xFFFF_FFFF
    one_way = _forged(frame[:12], ip[12:16], ip[16:20], tcp[:4], behind)
    other_way = _forged(frame[6:12] + frame[:6], ip[16:20], ip[12:16], tcp[2:4] + tcp[:2], ack)
    return one_way, other_way


def _forged(hardware: bytes, source: bytes, destination: bytes, ports: bytes, seq: int) -> bytes:
    total = _IP + _TCP
    ip = struct.pack(">BBHHHBBH", 0x45, 0, total, _FORGED_ID, 0, _FORGED_TTL, 6, 0) + source + destination
    tcp = ports + struct.pack(">IIBBHHH", seq, 0, 5 << 4, 0x04, 0, 0, 0)
    pseudo = source + destination + struct.pack(">BBH", 0, 6, _TCP)
    ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
    tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp)) + tcp[18:]
    return hardware + b"\x08\x00" + ip + tcp


def _checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _listen(interface: str) -> socket.socket:
    listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listening.bind((interface, 0))
    return listening


if __name__ == "__main__":
    wire = Wire(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print("ready", flush=True)
    wire.carry()
