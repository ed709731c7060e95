"""WebSocket frames as bytes, and what the decoder says of a conversation in lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.events import Anomaly, Event, WebSocketAccount, WebSocketClosed, WebSocketStarted
from inspector.protocols.websocket import WebSocketDecoder
from tests.protocols.http1.playbook import Conversation, Step

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes = b"") -> bytes:
    """One frame; masked where there is a key."""
    length = len(payload)
    if length < 126:
        size, extended = length, b""
    elif length < 1 << 16:
        size, extended = 126, length.to_bytes(2, "big")
    else:
        size, extended = 127, length.to_bytes(8, "big")
    first = fin << 7 | rsv << 4 | opcode
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if key else payload
    return bytes([first, bool(key) << 7 | size]) + extended + key + masked


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame."""
    return frame(opcode, payload, fin=fin, key=KEY)


def closing(code: int, reason: bytes = b"") -> bytes:
    """Payload of a Close frame."""
    return code.to_bytes(2, "big") + reason


class Beating(Conversation):
    """A WebSocketDecoder, what it was told and what it said."""

    decoder: WebSocketDecoder

    def __init__(self) -> None:
        super().__init__(WebSocketDecoder)

    @property
    def account(self) -> WebSocketAccount:
        (started,) = (event for event in self.events if isinstance(event, WebSocketStarted))
        return started.account

    def lines(self) -> list[str]:
        return [line(event) for event in self.events]


def played(*steps: Step, cut: Callable[[bytes], Sequence[bytes]] = lambda data: [data]) -> Beating:
    conversation = Beating()
    conversation.play(steps, cut)
    return conversation


def line(event: Event) -> str:
    """An event in a line; times are the packet's, so they are checked and not shown."""
    assert event.time_ns == event.packet * 1000
    if isinstance(event, Anomaly):
        return f"{event.packet}: ! {event.code} ({event.detail})"
    if isinstance(event, WebSocketStarted):
        return f"{event.packet}: started"
    assert isinstance(event, WebSocketClosed)
    close = event.close
    return f"{event.packet}: {'><'[close.direction]} close {close.code} {close.reason!r}"
