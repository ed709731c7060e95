"""Accounts of sockets, on loopback: who closed first, and how, as the kernel told the program."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest

from captures.recorder.observed import Account, ObservedSocket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for TCP_INFO")


class Pair:
    """An observed client and a plain server socket, connected."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.client = ObservedSocket(socket.AF_INET, socket.SOCK_STREAM)
            self.client.settimeout(5)
            self.client.connect(listening.getsockname())
            self.server, _ = listening.accept()

    @property
    def account(self) -> Account:
        assert self.client.account is not None
        return self.client.account

    def closes(self) -> list[tuple[bool, str]]:
        return [(close.by_peer, close.how) for close in self.account.closes]


@pytest.fixture
def pair() -> Iterator[Pair]:
    connected = Pair()
    yield connected
    connected.client.close()
    connected.server.close()


def wait_for_state(pair: Pair, state: int) -> None:
    """Until the client's kernel has the server's packet."""
    deadline = time.monotonic() + 5
    while pair.client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != state:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def close_with_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


CLOSE, CLOSE_WAIT = 7, 8


def test_bytes_are_counted(pair: Pair) -> None:
    pair.client.sendall(b"ask")
    pair.server.sendall(b"answer")
    assert pair.client.recv(100) == b"answer"
    assert (pair.account.written, pair.account.read, pair.account.received) == (b"ask", b"answer", 6)
    assert pair.closes() == []


def test_the_client_closes_first(pair: Pair) -> None:
    pair.client.close()
    assert pair.closes() == [(False, "fin")]


def test_the_server_closes_first_and_the_client_reads_the_end(pair: Pair) -> None:
    pair.server.close()
    assert pair.client.recv(1) == b""
    pair.client.close()
    assert pair.closes() == [(True, "fin"), (False, "fin")]


def test_the_server_closes_first_and_the_client_never_looks(pair: Pair) -> None:
    pair.server.close()
    wait_for_state(pair, CLOSE_WAIT)
    pair.client.close()
    assert pair.closes() == [(True, "fin"), (False, "fin")]


def test_a_client_that_aborts(pair: Pair) -> None:
    close_with_reset(pair.client)
    assert pair.closes() == [(False, "rst")]


def test_a_client_that_leaves_bytes_unread_aborts(pair: Pair) -> None:
    pair.server.sendall(b"answer")
    while not pair.client.recv(1, socket.MSG_PEEK):
        continue
    pair.client.close()
    assert pair.closes() == [(False, "rst")]
    assert pair.account.unread == 6
    assert pair.account.received == 0


def test_the_server_aborts(pair: Pair) -> None:
    close_with_reset(pair.server)
    wait_for_state(pair, CLOSE)
    pair.client.close()
    assert pair.closes() == [(True, "rst")]


def test_half_closed_is_the_first_close(pair: Pair) -> None:
    pair.client.shutdown(socket.SHUT_WR)
    pair.server.close()
    assert pair.client.recv(1) == b""
    pair.client.close()
    assert pair.closes() == [(False, "fin"), (True, "fin")]


def test_a_write_after_the_servers_fin_is_known_as_such(pair: Pair) -> None:
    pair.client.sendall(b"before")
    assert pair.server.recv(100) == b"before"
    assert pair.account.sent_after_fin == 0
    pair.server.close()
    wait_for_state(pair, CLOSE_WAIT)
    pair.client.sendall(b"after")
    assert pair.account.sent_after_fin == 1


def test_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = listening.getsockname()
    client = ObservedSocket(socket.AF_INET, socket.SOCK_STREAM)
    with pytest.raises(ConnectionRefusedError):
        client.connect(nobody)
    client.close()
    assert client.account is not None
    assert client.account.outcome == "refused"
    assert client.account.closes == []


def test_a_socket_that_is_forgotten_is_closed_too(pair: Pair) -> None:
    account = pair.account
    pair.client = ObservedSocket(socket.AF_INET, socket.SOCK_STREAM)
    assert [(close.by_peer, close.how) for close in account.closes] == [(False, "fin")]
