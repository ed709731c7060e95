"""Between the keeper, which has the rights, and the sniffer, which has the packets: two pipes.

The keeper tells in single bytes how far the command has come; where the kernel does not tell of its sockets, also
which ones were seen, as lines. The sniffer says once that it is ready. When the keeper is gone, its pipe ends: then
there is nothing to wait for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from inspector.endpoints import Endpoint
from inspector.launch.claims import Claim, Claims, Moment

ENDED, ALONE, STOP, ABANDON = b"E", b"A", b"S", b"X"
READY = b"R"

#: Bytes that are read at once.
_PIECE = 1 << 16
#: Lines of a write, below PIPE_BUF (4096), so that none is cut.
_LINES = 20


class Channel:
    """The sniffer's end."""

    def __init__(self, orders: int, ready: int, claims: Claims, exact: bool, keys: str) -> None:
        self.claims = claims
        self.exact = exact
        """Whether the kernel tells of all sockets, or they are looked for."""
        self.keys = keys
        """Path of the key log that the command writes."""
        self.ended = False
        """The command has ended."""
        self.alone = False
        """No process of it is left."""
        self.stop = False
        """Report now."""
        self.abandon = False
        """Report nothing: the command could not be started."""
        self.orphaned = False
        """The keeper is gone."""
        self._orders, self._ready = orders, ready
        os.set_blocking(orders, False)

    def ready(self) -> None:
        """Packets are being taken: the command may start."""
        os.write(self._ready, READY)

    def listen(self) -> None:
        """Take what the keeper has told since the last time."""
        told = _read(self._orders)
        if told is None:
            self.orphaned = self.stop = self.ended = True
            return
        self.ended |= ENDED in told
        self.alone |= ALONE in told
        self.stop |= STOP in told
        self.abandon |= ABANDON in told
        # Whatever comes next, the end has come first.
        self.ended |= self.stop


class PipedClaims:
    """Sockets that the keeper has seen: it writes to one end of a pipe, the sniffer takes from the other."""

    lost = 0
    """What was not seen cannot be counted."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)
        self._rest = b""

    def release(self) -> None:
        """In the sniffer: nothing is sent from here."""
        os.close(self._in)

    def close(self) -> None:
        """In the keeper: nothing more will be sent."""
        with suppress(OSError):
            os.close(self._in)
            os.close(self._out)

    def send(self, claims: Sequence[Claim]) -> int:
        """Tell of claims; of how many. Those that the pipe has no room for are to be told again."""
        for first in range(0, len(claims), _LINES):
            lines = b"".join(map(_line, claims[first : first + _LINES]))
            try:
                os.write(self._in, lines)
            except OSError:
                return first
        return len(claims)

    def take(self) -> list[Claim]:
        """The claims since the last time."""
        lines = (self._rest + (_read(self._out) or b"")).split(b"\n")
        self._rest = lines.pop()
        return [_claim(line) for line in lines]


def _read(descriptor: int) -> bytes | None:
    """What is there to read; None at the end."""
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return b"".join(pieces)
        if not piece:
            return b"".join(pieces) if pieces else None
        pieces.append(piece)


def _line(claim: Claim) -> bytes:
    local, remote = claim.local, claim.remote
    return f"{local.ip} {local.port} {remote.ip} {remote.port} {claim.time_ns}\n".encode()


def _claim(line: bytes) -> Claim:
    local, local_port, remote, remote_port, time_ns = line.decode().split(" ")
    return Claim(Moment.SEEN, Endpoint(local, int(local_port)), Endpoint(remote, int(remote_port)), int(time_ns))
