"""The pytest fixture, against a server that runs in this process: what it says is what the client's sockets did."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inspector.pytest_plugin import Connspect

pytestmark = pytest.mark.live


class Hello(BaseHTTPRequestHandler):
    """Says hello, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(port: int, connections: int, requests: int) -> None:
    for _ in range(connections):
        client = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(requests):
            client.request("GET", "/")
            client.getresponse().read()
        client.close()


def test_one_connection(connspect: Connspect, port: int) -> None:
    with connspect.watch(port) as watch:
        fetch(port, connections=1, requests=20)
    assert watch[f"127.0.0.1:{port}"].opened == 1
    assert watch[f"127.0.0.1:{port}"].requests == 20
    assert not watch.findings("keepalive-race")


def test_many_connections(connspect: Connspect, port: int) -> None:
    with connspect.watch(port) as watch:
        fetch(port, connections=12, requests=1)
    assert watch[f"127.0.0.1:{port}"].opened == 12
    assert [connection.requests for connection in watch.connections] == [1] * 12


def test_other_ports_are_not_watched(connspect: Connspect, port: int) -> None:
    with connspect.watch(port + 1) as watch:
        fetch(port, connections=1, requests=1)
    with pytest.raises(KeyError, match="there are none"):
        watch[f"127.0.0.1:{port}"]


def test_it_can_be_looked_at_afterwards_only(connspect: Connspect, port: int) -> None:
    with connspect.watch(port) as watch, pytest.raises(RuntimeError, match="behind the `with` block"):
        watch[f"127.0.0.1:{port}"]
