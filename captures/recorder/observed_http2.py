"""What the h2 library knew of its connections: every frame it made or was given, and the header sections in them.

For programs whose sockets are observed and that speak HTTP/2 by h2 (httpx, and the clients written out here). The
frames are h2's own objects, taken between its state machine and its bytes. A connection of h2 belongs to the socket
that was connected last: such programs connect one after the other. h2 joins CONTINUATION that it reads to HEADERS.
"""

from __future__ import annotations

import time
from typing import Any

from .frames import SETTINGS, Frame, Section
from .observed import ACCOUNTS

_TYPES = {
    "DataFrame": "DATA",
    "HeadersFrame": "HEADERS",
    "ContinuationFrame": "CONTINUATION",
    "PriorityFrame": "PRIORITY",
    "RstStreamFrame": "RST_STREAM",
    "SettingsFrame": "SETTINGS",
    "PushPromiseFrame": "PUSH_PROMISE",
    "PingFrame": "PING",
    "GoAwayFrame": "GOAWAY",
    "WindowUpdateFrame": "WINDOW_UPDATE",
    "AltSvcFrame": "ALTSVC",
}


def _frame(frame: Any, by: str) -> Frame:
    """One of hyperframe's frames in the recorder's words."""
    from h2.errors import ErrorCodes

    kind = _TYPES.get(type(frame).__name__) or f"{frame.type:#x}"
    noted = Frame(by, kind, frame.stream_id, time.time_ns())
    noted.ack = kind in ("SETTINGS", "PING") and "ACK" in frame.flags
    noted.end_stream = kind in ("DATA", "HEADERS") and "END_STREAM" in frame.flags
    if kind == "SETTINGS":
        noted.values = {SETTINGS.get(code, f"{code:#x}"): value for code, value in frame.settings.items()}
    elif kind in ("RST_STREAM", "GOAWAY"):
        noted.error = ErrorCodes(frame.error_code).name
    elif kind == "PING":
        noted.payload = frame.opaque_data.hex()
    elif kind == "WINDOW_UPDATE":
        noted.increment = frame.window_increment
    elif kind == "DATA":
        noted.body_bytes = len(frame.data)
    elif kind == "PUSH_PROMISE":
        noted.promised = frame.promised_stream_id
    if kind == "GOAWAY":
        noted.last_stream_id = frame.last_stream_id
        noted.debug = frame.additional_data.decode("latin-1")
    return noted


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def install() -> None:
    """Let every H2Connection made from now on keep an account beside that of its socket."""
    from h2 import connection, events

    # Its methods are put in the place of others, which types do not allow.
    kind: Any = connection.H2Connection
    make, send, take = kind.__init__, kind._prepare_for_sending, kind._receive_frame
    send_headers, receive_data = kind.send_headers, kind.receive_data
    initiate, hand_out = kind.initiate_connection, kind.data_to_send
    section_kinds: dict[Any, str] = {
        events.RequestReceived: "request",
        events.ResponseReceived: "response",
        events.InformationalResponseReceived: "interim",
        events.TrailersReceived: "trailers",
        events.PushedStreamReceived: "pushed",
    }

    def observed_init(self: Any, *arguments: Any, **named: Any) -> None:
        self.noted_frames, self.noted_sections, self.noted_unsent = [], [], []
        make(self, *arguments, **named)
        self.noted_side = "client" if self.config.client_side else "server"
        self.noted_peer = "server" if self.config.client_side else "client"
        if ACCOUNTS:
            ACCOUNTS[-1].frames, ACCOUNTS[-1].sections = self.noted_frames, self.noted_sections

    def initiate_connection(self: Any) -> None:
        # The one frame that does not go the way of the others.
        values = {SETTINGS.get(code, f"{code:#x}"): value for code, value in self.local_settings.items()}
        self.noted_unsent = [Frame(self.noted_side, "SETTINGS", 0, values=values)]
        initiate(self)

    def _prepare_for_sending(self: Any, frames: list[Any]) -> None:
        self.noted_unsent += [_frame(frame, self.noted_side) for frame in frames]
        send(self, frames)

    def data_to_send(self: Any, amount: int | None = None) -> bytes:
        # What is never asked for never goes out, such as the GOAWAY that httpx makes when it closes.
        for frame in self.noted_unsent:
            frame.time_ns = time.time_ns()
        self.noted_frames += self.noted_unsent
        self.noted_unsent = []
        data: bytes = hand_out(self, amount)
        return data

    def _receive_frame(self: Any, frame: Any) -> Any:
        self.noted_frames.append(_frame(frame, self.noted_peer))
        return take(self, frame)

    def observed_send_headers(self: Any, stream_id: int, headers: Any, *arguments: Any, **named: Any) -> None:
        headers = [tuple(field) for field in headers]
        send_headers(self, stream_id, headers, *arguments, **named)
        fields = [(_text(name), _text(value)) for name, value in headers]
        self.noted_sections.append(Section(self.noted_side, "request", stream_id, fields))

    def observed_receive_data(self: Any, data: bytes) -> Any:
        received = receive_data(self, data)
        for event in received:
            section = section_kinds.get(type(event))
            if section is not None:
                stream = event.pushed_stream_id if section == "pushed" else event.stream_id
                fields = [(_text(name), _text(value)) for name, value in event.headers]
                self.noted_sections.append(Section(self.noted_peer, section, stream, fields))
        return received

    kind.__init__ = observed_init
    kind.initiate_connection = initiate_connection
    kind.data_to_send = data_to_send
    kind._prepare_for_sending = _prepare_for_sending
    kind._receive_frame = _receive_frame
    kind.send_headers = observed_send_headers
    kind.receive_data = observed_receive_data
