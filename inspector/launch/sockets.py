"""Where the kernel does not tell: the sockets of the command's process tree, asked for again and again.

A connection that begins and ends between two questions is missed, and so are those of a process that does. Descendants
are known by having been seen below the command once; after that they count as long as they live, whoever their parent
is then.

What a process has open is read in microseconds; which of it are connections, psutil finds by reading every socket of
the system, which takes longest when strangers leave thousands in TIME_WAIT. So it is asked only about sockets that are
new, about those that were not connected when it was asked, and about the others once a second.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import psutil

from inspector.endpoints import Endpoint
from inspector.launch.claims import Claim, Moment

#: Seconds between two looks. One takes about 0.1 ms a process; psutil about 0.3 ms, but 30 ms where the system has
#: 7,000 sockets in TIME_WAIT.
INTERVAL_S = 0.01
#: Seconds after which a socket that was not connected is asked about again: twice as many each time, up to the second.
_AGAIN_LEAST_S, _AGAIN_MOST_S = INTERVAL_S, 0.16
#: Seconds after which a connection is asked about again: it may be over, though its socket is still open.
_STILL_S = 1.0

_Ends = tuple[Endpoint, Endpoint]


@dataclass(slots=True)
class _Socket:
    """What is known of one open socket."""

    ends: _Ends | None
    """Local and remote; None while it is not connected, and for what is no TCP socket at all."""
    again_s: float
    """When to ask about it next."""
    wait_s: float


class ProcessSockets:
    """The TCP sockets of a process and of what it started."""

    def __init__(self, process: int) -> None:
        self._known: dict[int, psutil.Process] = {}
        self._sockets: dict[int, dict[int, _Socket]] = {}
        """By process and inode."""
        self._meet(process)

    def look(self) -> list[Claim]:
        """The connected sockets that there are now."""
        self._find_children()
        claims: list[Claim] = []
        for number, process in self._known.items():
            found = self._of(number, process)
            now_ns = time.time_ns()
            claims += [Claim(Moment.SEEN, local, remote, now_ns) for local, remote in found]
        return claims

    def processes(self) -> list[int]:
        """Those that live."""
        return [number for number, process in self._known.items() if _lives(process)]

    def _of(self, number: int, process: psutil.Process) -> list[_Ends]:
        """The connections of one process."""
        inodes = _inodes(number)
        if inodes is None:
            return [ends for _, ends in _connected(process)]
        before = self._sockets.get(number, {})
        known = {inode: before[inode] for inode in inodes.values() if inode in before}
        now_s = time.monotonic()
        if any(inode not in known or known[inode].again_s <= now_s for inode in inodes.values()):
            self._ask(number, process, inodes, known)
        self._sockets[number] = known
        return [socket.ends for socket in known.values() if socket.ends is not None]

    def _ask(self, number: int, process: psutil.Process, inodes: dict[int, int], known: dict[int, _Socket]) -> None:
        """Ask psutil about all sockets of a process, and note in `known` what it says."""
        told = dict(_connected(process))
        after = _inodes(number) or {}
        now_s = time.monotonic()
        for descriptor, inode in inodes.items():
            # Between the readings a descriptor may have become another socket's.
            ends = told.get(descriptor) if after.get(descriptor) == inode else None
            if ends is not None:
                known[inode] = _Socket(ends, now_s + _STILL_S, _AGAIN_LEAST_S)
                continue
            wait_s = min(known[inode].wait_s * 2, _AGAIN_MOST_S) if inode in known else _AGAIN_LEAST_S
            known[inode] = _Socket(None, now_s + wait_s, wait_s)

    def _find_children(self) -> None:
        self._known = {number: process for number, process in self._known.items() if _lives(process)}
        self._sockets = {number: sockets for number, sockets in self._sockets.items() if number in self._known}
        unasked = list(self._known)
        while unasked:
            children = _children(unasked.pop())
            unasked += [child for child in children if child not in self._known and self._meet(child)]

    def _meet(self, process: int) -> bool:
        try:
            self._known[process] = psutil.Process(process)
        except psutil.Error:
            return False
        return True


def _inodes(process: int) -> dict[int, int] | None:
    """The sockets that a process has open, by descriptor; None where the system does not say so."""
    folder = f"/proc/{process}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    inodes = {}
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            inodes[int(name)] = int(target[len("socket:[") : -1])
    return inodes


def _connected(process: psutil.Process) -> list[tuple[int, _Ends]]:
    """The connected TCP sockets of a process, each with its descriptor."""
    try:
        sockets = process.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return [(socket.fd, (_endpoint(socket.laddr), _endpoint(socket.raddr))) for socket in sockets if socket.raddr]


def _children(process: int) -> list[int]:
    """Linux has them in a file; where it does not, psutil looks at every process that there is."""
    tasks = Path(f"/proc/{process}/task")
    try:
        return [int(child) for task in os.listdir(tasks) for child in (tasks / task / "children").read_text().split()]
    except OSError:
        pass
    try:
        return [child.pid for child in psutil.Process(process).children()]
    except psutil.Error:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _endpoint(address: Any) -> Endpoint:
    """psutil's (ip, port); an IPv6 socket may speak IPv4."""
    ip = ip_address(address.ip.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    return Endpoint(str(ip), address.port)
