"""Where the kernel does not tell: the sockets of the command's process tree, asked for again and again.

A connection that begins and ends between two questions is missed, and so are those of a process that does. Descendants
are known by having been seen below the command once; after that they count as long as they live, whoever their parent
is then.
"""

from __future__ import annotations

import os
import time
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import psutil

from inspector.endpoints import Endpoint
from inspector.launch.claims import Claim, Moment

#: Seconds between two questions. One takes about 0.3 ms a process, but 30 ms where the system has 7,000 sockets in
#: TIME_WAIT: psutil reads them all.
INTERVAL_S = 0.01


class ProcessSockets:
    """The TCP sockets of a process and of what it started."""

    def __init__(self, process: int) -> None:
        self._known: dict[int, psutil.Process] = {}
        self._meet(process)

    def look(self) -> list[Claim]:
        """The connected sockets that there are now."""
        self._find_children()
        claims: list[Claim] = []
        for process in self._known.values():
            try:
                sockets = process.net_connections("tcp")
            except (psutil.Error, OSError):
                continue
            now_ns = time.time_ns()
            claims += [
                Claim(Moment.SEEN, _endpoint(socket.laddr), _endpoint(socket.raddr), now_ns)
                for socket in sockets
                if socket.raddr
            ]
        return claims

    def processes(self) -> list[int]:
        """Those that live."""
        return [number for number, process in self._known.items() if _lives(process)]

    def _find_children(self) -> None:
        self._known = {number: process for number, process in self._known.items() if _lives(process)}
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
