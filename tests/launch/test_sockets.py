"""Sockets of a process tree: new ones at once, others when it is worth asking."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from inspector.endpoints import Endpoint
from inspector.launch import sockets
from inspector.launch.sockets import ProcessSockets

CHILD = "import socket, sys; s = socket.create_connection(('127.0.0.1', {port})); print(flush=True); sys.stdin.read()"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Processes that psutil was asked about."""
    processes: list[int] = []
    ask = psutil.Process.net_connections

    def noted(process: Any, kind: str) -> Any:
        processes.append(process.pid)
        return ask(process, kind)

    monkeypatch.setattr(psutil.Process, "net_connections", noted)
    return processes


def remotes(watched: ProcessSockets) -> set[Endpoint]:
    return {claim.remote for claim in watched.look()}


def connected(server: socket.socket) -> tuple[socket.socket, Endpoint]:
    return socket.create_connection(server.getsockname()), Endpoint(*server.getsockname())


def test_a_connection_is_seen_as_long_as_it_lasts_and_asked_about_once(
    server: socket.socket, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_STILL_S", 1000)
    monkeypatch.setattr(sockets, "_AGAIN_LEAST_S", 1000)
    monkeypatch.setattr(sockets, "_AGAIN_MOST_S", 1000)
    watched = ProcessSockets(os.getpid())
    client, place = connected(server)
    with client:
        assert place in remotes(watched)
        times = len(asked)
        assert times == 1
        assert place in remotes(watched)
        assert place in remotes(watched)
        assert len(asked) == times
    assert place not in remotes(watched)


def test_a_new_connection_is_asked_about_at_once(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_AGAIN_LEAST_S", 1000)
    monkeypatch.setattr(sockets, "_AGAIN_MOST_S", 1000)
    watched = ProcessSockets(os.getpid())
    assert Endpoint(*server.getsockname()) not in remotes(watched)
    client, place = connected(server)
    with client:
        assert place in remotes(watched)


def test_a_socket_that_connects_late_is_seen(server: socket.socket) -> None:
    watched = ProcessSockets(os.getpid())
    with socket.socket() as late:
        place = Endpoint(*server.getsockname())
        assert place not in remotes(watched)
        late.connect(server.getsockname())
        time.sleep(sockets._AGAIN_LEAST_S)
        assert place in remotes(watched)


def test_a_connection_that_is_over_is_not_seen_for_ever(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is still open, but nothing is at its other end."""
    monkeypatch.setattr(sockets, "_STILL_S", 0)
    watched = ProcessSockets(os.getpid())
    client, place = connected(server)
    with client:
        assert place in remotes(watched)
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        accepted.close()
        assert place not in remotes(watched)


def test_where_descriptors_cannot_be_read_psutil_is_asked_each_time(
    server: socket.socket, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_inodes", lambda process: None)
    watched = ProcessSockets(os.getpid())
    client, place = connected(server)
    with client:
        assert place in remotes(watched)
        assert place in remotes(watched)
        assert len(asked) == 2


def test_a_descriptor_that_became_another_socket_names_nobody(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([{9: 1}, {9: 2}])
    monkeypatch.setattr(sockets, "_inodes", lambda process: next(readings))
    ends = (Endpoint("10.0.0.2", 40_000), Endpoint("10.0.0.1", 80))
    monkeypatch.setattr(sockets, "_connected", lambda process: [(9, ends)])
    assert ProcessSockets(os.getpid()).look() == []


def test_children_are_met(server: socket.socket) -> None:
    place = Endpoint(*server.getsockname())
    watched = ProcessSockets(os.getpid())
    code = CHILD.format(port=place.port)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert place in remotes(watched)
        assert child.pid in watched.processes()
        child.communicate(b"")
    assert place not in remotes(watched)
