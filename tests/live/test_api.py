"""The Python API on an interface: a request to a server of our own, seen while it happens."""

from __future__ import annotations

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import inspector
from inspector.records.connection import Connection

pytestmark = pytest.mark.live


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_an_interface_is_read_until_it_is_stopped() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    port = server.server_port
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    seen: list[Connection] = []
    with inspector.open_interfaces("lo", duration=30, select=lambda one: one.server.port == port) as session:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
        for connection in session.connections():
            seen.append(connection)
            session.stop()
        inspection = session.finish()
    server.shutdown()
    server.server_close()
    assert [one.id for one in seen] == [one.id for one in inspection.connections]
    (exchange,) = seen[0].exchanges
    assert exchange.response is not None
    assert exchange.response.status == 204
    assert inspection.capture.files[0].path == "lo"
