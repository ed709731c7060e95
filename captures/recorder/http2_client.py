"""A client of HTTP/2 for programs of scenarios, step by step: the library h2 over a socket, with or without TLS.

Runs in the clients' environment. What it sees is written down by observed_http2.py.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection, H2ConnectionStateMachine
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded, StreamReset

# h2 takes GOAWAY for the end, and fails on the responses behind it; RFC 9113 section 6.8 lets streams end.
H2ConnectionStateMachine._transitions[(ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY)] = (
    None,
    ConnectionState.CLIENT_OPEN,
)


class Client:
    """One connection to shop.test; frames go out at once."""

    def __init__(self, port: int = 8443, tls: bool = True, offered: Sequence[str] = ("h2",)) -> None:
        self.socket = socket.create_connection(("shop.test", port))
        if tls:
            context = ssl.create_default_context(cafile="shop.test.pem")
            context.set_alpn_protocols(list(offered))
            self.socket = context.wrap_socket(self.socket, server_hostname="shop.test")
        self.reads_bodies = True
        """Whether the server is told that the bytes of bodies were read (WINDOW_UPDATE)."""
        self.went_away = False
        """Whether GOAWAY came."""
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send what h2 has to send."""
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def request(self, path: str, method: str = "GET", end: bool = True, *fields: tuple[str, str]) -> int:
        """Send the header section of a request; returns its stream."""
        stream: int = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "shop.test")]
        self.h2.send_headers(stream, [*pseudo, *fields], end_stream=end)
        self.flush()
        return stream

    def read(self, seconds: float) -> list[Event] | None:
        """What came in the next `seconds`, at least one read; None at the server's end."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return []
        if not data:
            return None
        events: list[Any] = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, DataReceived) and self.reads_bodies and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.went_away |= isinstance(event, ConnectionTerminated)
        self.flush()
        return events

    def wait(self, seconds: float) -> bool:
        """Read for so long; returns whether the connection is still open."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.read(left) is None:
                return False
        return True

    def wait_for_end(self, *streams: int) -> None:
        """Read until the server has ended or reset these streams."""
        open_streams = set(streams)
        while open_streams:
            events = self.read(20)
            assert events is not None, "the server closed before it answered"
            for event in events:
                if isinstance(event, StreamEnded | StreamReset):
                    open_streams.discard(event.stream_id)

    def get(self, path: str) -> None:
        """A GET and its whole response."""
        self.wait_for_end(self.request(path))

    def close(self) -> None:
        """Close the socket, once what belongs to the server's end has surely arrived."""
        time.sleep(0.1)
        self.socket.close()
