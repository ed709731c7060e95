"""A wire that delays, drops and holds back frames by rule: the same recording every time, unlike random loss.

Started in the namespace between two hosts as `wire.py CLIENT_SIDE SERVER_SIDE RULES`; carries every Ethernet frame
from one interface to the other. RULES is a JSON object as `Rules` below.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import sys
import time
from typing import TypedDict

_ETH_P_ALL = 0x0003
#: A frame of at least this many bytes is a data segment; ARP, handshakes and acknowledgments are shorter.
_DATA_FRAME = 600


class Rules(TypedDict, total=False):
    """What happens to frames. Data segments are the server's, counted from 1, retransmissions too."""

    delay_ms: float
    """What each frame takes, either way."""
    drop: list[int]
    """Numbers of the data segments that never arrive."""
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
        self._data_segments = 0

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
        self._carried += 1
        destination = self._client if source is self._server else self._server
        # The running number keeps the order of frames that are due together.
        heapq.heappush(self._on_the_way, (time.monotonic() + late_ms / 1000, self._carried, frame, destination))


def _listen(interface: str) -> socket.socket:
    listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listening.bind((interface, 0))
    return listening


if __name__ == "__main__":
    wire = Wire(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print("ready", flush=True)
    wire.carry()
