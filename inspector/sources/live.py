"""Packets as they come, from one or more interfaces: by the ring where there is one, else by Scapy's own sockets.

All interfaces share one socket, so that their packets stay in the order in which the kernel saw them; which ones it
takes is part of its filter. While nothing comes, an idle batch tells the time from time to time: a little less than it
is, for packets may still be on their way. Interfaces are looked at as often: one that is down is waited for, one that
has gone is a problem of the capture, and when all have gone the capture ends.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inspector.errors import CaptureError, UsageError
from inspector.packets.batch import BATCH_BOUNDARY, Interface, RawBatch
from inspector.sources.bpf import DEFAULT_FILTER
from inspector.sources.reader import Rows
from inspector.sources.source import BATCH_ROWS, Dropped, Problem, SourceFile

#: Seconds between two looks at the clock and at the interfaces.
TICK = 0.25
#: Seconds between two looks at what has come, unless a quarter of the ring is full: larger batches cost less a packet.
PACE = 0.2
#: Idle batches are this many nanoseconds behind the clock: a packet is in the hands of the reader by then.
LATENESS_NS = 500_000_000

_SOL_PACKET, _PACKET_STATISTICS = 263, 6

#: Room that a socket of Scapy's asks for, in bytes; the system may give less.
SOCKET_BYTES = 8 << 20

#: The name that stands for all interfaces.
ANY = "any"

#: Where the kernel says what an interface itself has lost, as libpcap reads it.
_LOST = ("rx_missed_errors", "rx_fifo_errors")


class NotPermittedError(CaptureError):
    """This process may not capture."""


class Feed(Protocol):
    """Where the packets come from: the ring, or Scapy's sockets."""

    @property
    def interfaces(self) -> list[Interface]:
        """What Rows.interface counts in."""

    def look(self) -> None:
        """What comes after this may wait until the next look."""

    def take(self, max_rows: int) -> Rows | None:
        """The next packets; None: there are none now. Their bytes are valid until the next call."""

    def filenos(self) -> list[int]:
        """What to wait on."""

    def filling(self) -> bool:
        """Whether there is so much to take that nobody should wait."""

    def dropped(self) -> int | None:
        """Packets that the system had no room for, so far."""

    def listen_to(self, names: Sequence[str]) -> None:
        """Some of the interfaces have gone or are back: these are there."""

    def stop(self) -> None:
        """Take no more packets; those that have come may still be taken."""

    def close(self) -> None: ...


class LiveSource:
    """A Source that ends when it is told to; to be iterated once."""

    total_bytes = None

    def __init__(
        self,
        names: Sequence[str],
        feed: Feed,
        *,
        duration: float | None = None,
        count: int | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`duration`: seconds after which it ends. `count`: packets after which it ends. `warn` is told of interfaces
        that go down, come up or go away."""
        self.problems: list[Problem] = []
        self.names = list(names)
        self._feed = feed
        self._file = SourceFile(", ".join(names), "live", None, [])
        self._packets = 0
        self._count = count
        self._deadline = None if duration is None else time.monotonic() + duration
        self._warn = warn
        self._stopping = False
        self._looked_at = time.monotonic()
        self._tick_at = self._looked_at + TICK
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._state = {name: interface_state(name) for name in self.names if name != ANY}
        self._lost_before = {name: _lost(name) for name in self._state}
        for name, state in self._state.items():
            if state == DOWN:
                self._warn(f"{name} is down: there is nothing to see until it comes up")

    @property
    def files(self) -> list[SourceFile]:
        return [self._file]

    @property
    def position(self) -> int:
        return self._file.bytes

    @property
    def interfaces(self) -> list[Interface]:
        """Those that packets came from so far."""
        return self._feed.interfaces

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._feed.close()
        for end in (self._woken, self._waker):
            end.close()

    def stop(self) -> None:
        """End the capture: what has been captured is still handed out. May be called from a signal handler."""
        self._stopping = True
        with suppress(BlockingIOError):  # it is awake
            self._waker.send(b"\0")

    def __iter__(self) -> Iterator[RawBatch]:
        while not self._stopping:
            yield from self._taken()
            if self._count is not None and self._packets >= self._count:
                self._stopping = True
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                self._stopping = True
            if now >= self._tick_at and not self._stopping:
                self._tick_at = now + TICK
                self._look_at_interfaces()
                self.read_dropped()
                yield RawBatch.idle(time.time_ns() - LATENESS_NS, self._feed.interfaces, self._packets + 1)
            self._rest(min(self._tick_at, self._deadline or self._tick_at))
        self._feed.stop()
        # What came before has been handed over when the last block is as old as a block gets; the last look is behind
        # that, however long the batches take.
        until = time.monotonic() + LATENESS_NS / 2e9
        left = 1.0
        while left > 0:
            left = until - time.monotonic()
            if self._count is None or self._packets < self._count:
                yield from self._taken()
            self._wait(max(0.0, min(left, TICK / 4)))
        self.read_dropped()

    def _taken(self) -> Iterator[RawBatch]:
        """What is there. What comes meanwhile is a block or two: it waits, to be one batch with what comes behind."""
        self._looked_at = time.monotonic()
        self._feed.look()
        while (room := self._room()) and (rows := self._feed.take(room)) is not None:
            self._file.packets += len(rows)
            self._file.bytes += int(rows.captured.sum())
            first, self._packets = self._packets + 1, self._packets + len(rows)
            interfaces = self._feed.interfaces
            if len(self._file.link_types) < len(interfaces):
                self._file.link_types = list(dict.fromkeys(one.link_type for one in interfaces))
            yield RawBatch(
                rows.data, rows.position, rows.captured, rows.length, rows.time_ns, rows.interface, interfaces, first
            )

    def _room(self) -> int:
        """Rows that the next batch may have; 0: the capture is to end."""
        room = min(BATCH_ROWS, BATCH_BOUNDARY - self._packets % BATCH_BOUNDARY)
        return room if self._count is None else min(room, self._count - self._packets)

    def _rest(self, until: float) -> None:
        """Until there are packets and PACE has passed since the last look, or until that time (of the monotonic clock).

        Whoever needs longer than PACE for what was there has what came meanwhile in the ring, and no time to rest."""
        earliest = self._looked_at + PACE
        while not self._stopping and (now := time.monotonic()) < until:
            if now < earliest:
                if self._feed.filling():
                    return
                self._wait(min(PACE / 4, until - now), feed=False)
            elif self._wait(until - now):
                return

    def _wait(self, seconds: float, *, feed: bool = True) -> bool:
        """For so long, or until `stop`, or until there are packets, if those are waited for; whether there are."""
        descriptors = [woken := self._woken.fileno(), *(self._feed.filenos() if feed else ())]
        if hasattr(select, "poll"):
            poll = select.poll()
            for descriptor in descriptors:
                poll.register(descriptor, select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(max(0, round(seconds * 1000)))]
        else:
            ready = select.select(descriptors, [], [], max(0.0, seconds))[0]
        if woken in ready:
            self._woken.recv(64)
        return any(descriptor != woken for descriptor in ready)

    def read_dropped(self) -> Dropped:
        """What was lost so far, by the system and by the interfaces."""
        lost = [
            now - before
            for name, before in self._lost_before.items()
            if before is not None and (now := _lost(name)) is not None and now >= before
        ]
        dropped = Dropped(self._feed.dropped(), sum(lost) if lost else None)
        self._file.dropped = dropped
        return dropped

    def _look_at_interfaces(self) -> None:
        states = {name: interface_state(name) for name in self._state}
        for name, state in states.items():
            before = self._state[name]
            if state == before:
                continue
            if state == GONE:
                what = f"{name} has gone: its packets are missing from here on"
                self.problems.append(Problem(self._file.path, None, self._packets or None, what))
                self._warn(what)
            else:
                self._warn(f"{name} is {'up' if state == UP else 'down'}")
        changed = {name for name, state in states.items() if (state == GONE) != (self._state[name] == GONE)}
        self._state = states
        if not changed:
            return
        there = [name for name, state in states.items() if state != GONE]
        if not there:
            self._stopping = True
        elif len(states) > 1:
            self._feed.listen_to(there)


GONE, DOWN, UP = range(3)
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1


def interface_state(name: str) -> int:
    """GONE, DOWN or UP; UP where the system cannot be asked."""
    if not sys.platform.startswith("linux"):
        return UP
    import fcntl

    request = name.encode()[:15].ljust(40, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, _SIOCGIFFLAGS, request)
        except OSError:
            return GONE
    return UP if int.from_bytes(answer[16:18], sys.byteorder) & _IFF_UP else DOWN


def _lost(name: str) -> int | None:
    """Packets that the interface had to leave out since it is there; None: it does not say."""
    total = 0
    for counter in _LOST:
        try:
            with open(f"/sys/class/net/{name}/statistics/{counter}", encoding="ascii") as file:
                total += int(file.read())
        except (OSError, ValueError):
            return None
    return total


class RingFeed:
    """One ring for all interfaces."""

    def __init__(self, names: Sequence[str], filter: str, snap_length: int | None, promiscuous: bool) -> None:
        """Raises OSError and FilterError."""
        from inspector.sources.ring import WHOLE_PACKETS, RingSocket

        self._socket = RingSocket(
            None if ANY in names else list(names),
            promisc=promiscuous and ANY not in names,
            filter=filter,
            snap_length=snap_length or WHOLE_PACKETS,
        )
        self._ring = self._socket.ring

    @property
    def interfaces(self) -> list[Interface]:
        return self._ring.interfaces.known

    def look(self) -> None:
        self._ring.look()

    def take(self, max_rows: int) -> Rows | None:
        return self._ring.take(max_rows)

    def filenos(self) -> list[int]:
        # An interface that goes down leaves an error behind, which would end every wait at once.
        self._socket.ins.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return [self._socket.fileno()]

    def filling(self) -> bool:
        return self._ring.filling

    def dropped(self) -> int | None:
        return self._socket.statistics()[0]

    def listen_to(self, names: Sequence[str]) -> None:
        indices = []
        for name in names:
            try:
                indices.append(socket.if_nametoindex(name))
            except OSError:
                continue  # gone since it was looked at: the next look will tell
        if indices:
            self._socket.listen_to(indices)

    def stop(self) -> None:
        self._socket.stop()

    def close(self) -> None:
        self._socket.close()


class ScapyFeed:
    """Scapy's own listening sockets, one an interface, their packets as they are received: no dissection."""

    def __init__(self, names: Sequence[str], filter: str, snap_length: int | None, promiscuous: bool) -> None:
        """Raises OSError, FilterError, and whatever Scapy has for what it cannot do."""
        import scapy.layers.l2  # noqa: F401  # Scapy knows link types by what it has loaded
        from scapy.config import conf
        from scapy.interfaces import get_working_ifaces

        self.interfaces: list[Interface] = []
        self._snap_length = snap_length
        self._sockets = []
        conf.bufsize = max(conf.bufsize, SOCKET_BYTES)
        if ANY in names:
            names = [str(one.network_name) for one in get_working_ifaces()]
        try:
            for name in names:
                one = conf.L2listen(iface=name, promisc=promiscuous, filter=None if _is_linux() else filter)
                self._sockets.append(one)
                if _is_linux():
                    _attach_filter(one.ins, filter)
                layer = getattr(one, "LL", None) or getattr(one, "guessed_cls", None)
                self.interfaces.append(Interface(conf.l2types.layer2num.get(layer, 1), name))
        except BaseException:
            self.close()
            raise
        self._stopped = False
        self._lost = 0

    def look(self) -> None:
        """Nothing: a socket's buffer is small, so all of it is taken."""

    def take(self, max_rows: int) -> Rows | None:
        packets: list[tuple[bytes, int, int]] = []
        places = {one: place for place, one in enumerate(self._sockets)}
        while not self._stopped and len(packets) < max_rows:
            before = len(packets)
            # Scapy's own select knows of packets that a socket has received and not handed out.
            for one in type(self._sockets[0]).select(list(places), 0)[: max_rows - before]:
                try:
                    _, data, seconds = one.recv_raw(1 << 18)
                except OSError as error:
                    if error.errno not in (errno.ENETDOWN, errno.EAGAIN):
                        raise
                    del places[one]
                    continue
                if data:
                    time_ns = time.time_ns() if seconds is None else round(float(seconds) * 1e9)
                    packets.append((data, time_ns, places[one]))
            if len(packets) == before:
                break
        return _rows(packets, self._snap_length) if packets else None

    def filenos(self) -> list[int]:
        return [one.fileno() for one in self._sockets]

    def filling(self) -> bool:
        return True  # a socket's buffer is small

    def dropped(self) -> int | None:
        if not _is_linux():
            return None
        # The kernel counts from zero each time.
        self._lost += sum(
            struct.unpack("2I", one.ins.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1] for one in self._sockets
        )
        return self._lost

    def listen_to(self, names: Sequence[str]) -> None:
        """Nothing: each socket listens to its interface as long as it can."""

    def stop(self) -> None:
        if not _is_linux():
            self._stopped = True
            return
        from inspector.sources import bpf
        from inspector.sources.ring import attach

        for one in self._sockets:
            attach(one.ins, bpf.nothing())

    def close(self) -> None:
        for one in self._sockets:
            one.close()


def _is_linux() -> bool:
    return sys.platform.startswith("linux")


def _attach_filter(packet_socket: socket.socket, filter: str) -> None:
    """The same filter as in front of a ring: Scapy's would let loopback packets come in twice."""
    from inspector.sources import bpf
    from inspector.sources.ring import attach, compiled

    ethernet, others = compiled(filter)
    attach(packet_socket, bpf.socket_program(ethernet, others, snap_length=1 << 18))


def _rows(packets: list[tuple[bytes, int, int]], snap_length: int | None) -> Rows:
    length = np.array([len(data) for data, _, _ in packets], np.int64)
    captured = length if snap_length is None else np.minimum(length, snap_length)
    return Rows(
        data=np.frombuffer(b"".join(data for data, _, _ in packets), np.uint8),
        position=np.cumsum(length) - length,
        captured=captured,
        length=length,
        time_ns=np.array([time_ns for _, time_ns, _ in packets], np.int64),
        interface=np.array([place for _, _, place in packets], np.uint16),
    )


def open_live(
    names: Sequence[str],
    filter: str = DEFAULT_FILTER,
    *,
    snap_length: int | None = None,
    promiscuous: bool = True,
    duration: float | None = None,
    count: int | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> LiveSource:
    """Listen on interfaces; "any" for all.

    Raises NotPermittedError, CaptureError where an interface cannot be listened on, UsageError for names and filters.
    """
    names = [ANY] if ANY in names else list(dict.fromkeys(names))
    known = interface_names()
    for name in names:
        if name != ANY and name not in known:
            raise CaptureError(f"no interface {name}; there are {', '.join(known)}")
    feed = _open_feed(names, filter or DEFAULT_FILTER, snap_length, promiscuous, warn)
    return LiveSource(names, feed, duration=duration, count=count, warn=warn)


def interface_names() -> list[str]:
    """Interfaces by the names that `open_live` takes."""
    if _is_linux():
        return [name for _, name in socket.if_nameindex()]
    from scapy.interfaces import get_if_list

    return [str(name) for name in get_if_list()]


@dataclass(slots=True, frozen=True)
class Described:
    """An interface, for a person who has to choose one."""

    name: str
    state: str
    """"up" or "down"; empty where the system does not say."""
    addresses: list[str]
    description: str
    """What the system calls it, where that is not its name."""


def described_interfaces() -> list[Described]:
    """All interfaces, as Scapy knows them."""
    import scapy.layers.inet6  # noqa: F401  # without it there are no IPv6 addresses
    from scapy.config import conf

    found = []
    for one in conf.ifaces.values():
        name, description = str(one.network_name), str(one.description)
        addresses = [str(address) for family in sorted(one.ips) for address in one.ips[family] if address]
        state = ("up" if one.flags.UP else "down") if _is_linux() else ""
        found.append(Described(name, state, addresses, "" if description == name else description))
    return found


def _open_feed(
    names: Sequence[str], filter: str, snap_length: int | None, promiscuous: bool, warn: Callable[[str], None]
) -> Feed:
    from scapy.error import Scapy_Exception

    from inspector.sources.ring import FilterError

    try:
        if _is_linux():
            try:
                return RingFeed(names, filter, snap_length, promiscuous)
            except PermissionError:
                raise
            except OSError as error:
                warn(f"no packet ring here ({error.strerror or error}): capturing with sockets, which lose more")
        return ScapyFeed(names, filter, snap_length, promiscuous)
    except FilterError as error:
        raise UsageError(f"filter {filter!r}: {error}") from None
    except Scapy_Exception as error:
        if "ermission" in str(error):
            raise NotPermittedError(_not_permitted(names)) from None
        raise CaptureError(f"cannot capture on {', '.join(names)}: {error}") from None
    except PermissionError:
        raise NotPermittedError(
            f"capturing on {', '.join(names)} needs rights that this process does not have"
        ) from None
    except OSError as error:
        raise CaptureError(f"cannot capture on {', '.join(names)}: {error.strerror or error}") from None


def _not_permitted(names: Sequence[str]) -> str:
    return f"capturing on {', '.join(names)} needs rights that this process does not have"
