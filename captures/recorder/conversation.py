"""The client of a scenario that is written out step by step: requests as bytes, responses by http.client."""

from __future__ import annotations

import http.client
import socket
import time


def request(method: str, target: str, *fields: str, version: str = "HTTP/1.1", body: bytes = b"") -> bytes:
    """A request to shop.test; `fields` are further header lines."""
    lines = (f"{method} {target} {version}", "Host: shop.test", *fields, "", "")
    return "\r\n".join(lines).encode("ascii") + body


def get(connection: socket.socket, target: str, *fields: str) -> http.client.HTTPResponse:
    """Send a GET and read its response whole."""
    connection.sendall(request("GET", target, *fields))
    return read_response(connection)


def read_response(connection: socket.socket, method: str = "GET") -> http.client.HTTPResponse:
    """Read one response whole."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    response.read()
    response.close()
    return response


def read_to_end(connection: socket.socket) -> int:
    """Read until the server has closed; returns how many bytes came."""
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    return count


def wait_for_close(connection: socket.socket) -> int:
    """Wait for the server's FIN; returns when it came, real time in ns."""
    assert connection.recv(1) == b"", "the server sent something instead of closing"
    return time.time_ns()
