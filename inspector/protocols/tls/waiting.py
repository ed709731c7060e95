"""Key logs that are written after the packets: what follows a ClientHello waits until its keys are there.

Bytes wait as they came, both directions in one row, and then go to the decoder as if they came now, with the packets
and times that they had. So the decoder knows nothing of this, and holding back changes no event, only when it is told.
Whoever waits in vain goes on without keys: when it has too many bytes, or has waited too long in capture time, or when
somebody asks for what only the decoder knows, at the latest at the connection's end.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.bytestream import Ending, Pieces, StreamChunk
from inspector.protocols.tls.decoder import TlsDecoder
from inspector.protocols.tls.keylog import KeyLog

#: Bytes of one connection that wait.
MAX_WAITING = 256 * 1024
#: Bytes of all connections that wait; when there are more, nobody else begins to.
MAX_WAITING_IN_ALL = 64 << 20
#: Nanoseconds of capture time that a connection waits.
MAX_WAIT_NS = 5_000_000_000


class WaitingRoom:
    """What all connections of a capture that wait have in common."""

    def __init__(self) -> None:
        self.held = 0
        """Bytes."""


class PatientTlsDecoder:
    """A StreamDecoder for TLS that waits for keys, around one that does not."""

    def __init__(self, decoder: TlsDecoder, keys: KeyLog, room: WaitingRoom) -> None:
        self._decoder = decoder
        self._keys = keys
        self._room = room
        self._held: list[Callable[[], None]] = []
        self._bytes = 0
        self._since_ns: int | None = None
        self._settled = False
        """The keys are there, or are not waited for any longer."""

    @property
    def protocol(self) -> str:
        return self._decoder.protocol

    @property
    def application_packet(self) -> int | None:
        self._settle()
        return self._decoder.application_packet

    @property
    def application_ns(self) -> int | None:
        self._settle()
        return self._decoder.application_ns

    @property
    def skip_until(self) -> list[int]:
        return self._decoder.skip_until

    def data(self, chunk: StreamChunk) -> None:
        if self._settled or not self._must_wait(chunk.length, chunk.arrival(chunk.offset)[1]):
            self._decoder.data(chunk)
            return
        copy = _copied(chunk)
        self._held.append(lambda: self._decoder.data(copy))

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        if self._settled or not self._must_wait(0, time_ns):
            self._decoder.gap(direction, offset, length, packet, time_ns)
            return
        self._held.append(lambda: self._decoder.gap(direction, offset, length, packet, time_ns))

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self._settle()
        self._decoder.end(direction, ending, packet, time_ns)

    def _must_wait(self, length: int, time_ns: int) -> bool:
        """Whether what comes now waits; where it does not, all that waited has been told."""
        client_random = self._decoder.client_random
        if client_random is None:
            return False
        since_ns = self._since_ns = time_ns if self._since_ns is None else self._since_ns
        if (
            self._keys.complete(client_random)
            or self._bytes + length > MAX_WAITING
            or self._room.held + length > MAX_WAITING_IN_ALL
            or time_ns - since_ns > MAX_WAIT_NS
        ):
            self._settle()
            return False
        self._bytes += length
        self._room.held += length
        return True

    def _settle(self) -> None:
        if self._decoder.client_random is None and not self._held:
            return
        self._settled = True
        held, self._held = self._held, []
        self._room.held -= self._bytes
        self._bytes = 0
        for tell in held:
            tell()


def _copied(chunk: StreamChunk) -> Pieces:
    """The same chunk, its bytes its own."""
    starts: list[int] = []
    data: list[bytes] = []
    packets: list[int] = []
    times_ns: list[int] = []
    offset, end = chunk.offset, chunk.offset + chunk.length
    while offset < end:
        piece = bytes(chunk.view(offset))[: end - offset]
        packet, time_ns = chunk.arrival(offset)
        starts.append(offset)
        data.append(piece)
        packets.append(packet)
        times_ns.append(time_ns)
        offset += len(piece)
    return Pieces(chunk.direction, starts, data, packets, times_ns)
