"""Connections whose decoder says what a test wants: events by packet, so that records are tested without protocols.

The talk begins with bytes that detection takes for HTTP/2 (`PREFACE`) or TLS (`HELLO`); the scripted decoder of that
protocol emits the events of the script when the packet's bytes come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

from inspector import engine
from inspector.bytestream import FROM_SERVER, Ending, StreamChunk
from inspector.events import (
    Event,
    MessageEnded,
    RequestFields,
    RequestReceived,
    ResponseFields,
    ResponseReceived,
)
from inspector.protocols.decoder import Emit
from inspector.protocols.detect import H2C, TLS
from tests.tcp.playbook import START_NS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: A TLS record with the beginning of a ClientHello.
HELLO = bytes.fromhex("160301000401000000")

_EventT = TypeVar("_EventT")


class Script:
    """What the decoder says."""

    def __init__(self, *events: Event, application: Iterable[int] = (), protocol: str = "h2c") -> None:
        """`application`: the packets with application bytes."""
        self.events = events
        self.application = frozenset(application)
        self.protocol = protocol


class ScriptedDecoder:
    """A StreamDecoder that reads nothing."""

    def __init__(self, emit: Emit, script: Script) -> None:
        self.protocol = script.protocol
        self.skip_until = [0, 0]
        self.application_packet: int | None = None
        self.application_ns: int | None = None
        self._emit = emit
        self._script = script
        self._said = 0

    def data(self, chunk: StreamChunk) -> None:
        last = 0
        for offset in range(chunk.offset, chunk.offset + chunk.length):
            last, time_ns = chunk.arrival(offset)
            if last in self._script.application:
                self.application_packet, self.application_ns = last, time_ns
        for event in self._script.events[self._said :]:
            if event.packet > last:
                break
            self._said += 1
            self._emit(event)

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        pass

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        pass


def play(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    """Let the script be what connections with PREFACE or HELLO say."""

    def scripted(emit: Emit) -> ScriptedDecoder:
        return ScriptedDecoder(emit, script)

    decoders: dict[str, Callable[[Emit], ScriptedDecoder]] = {H2C: scripted, TLS: scripted}
    monkeypatch.setattr(engine, "decoders", lambda keys: decoders)


def at(packet: int, kind: Callable[..., _EventT], *args: Any, **kwargs: Any) -> _EventT:
    """An event of a packet of a Talk without waits: packets come a millisecond apart."""
    return kind(packet, START_NS + (packet - 1) * 1_000_000, *args, **kwargs)


def request(packet: int, exchange: int, stream: int | None, authority: str = "a.example", path: str = "/") -> Event:
    """A request of HTTP/2 in one packet."""
    fields = RequestFields(
        "GET", path, authority, "HTTP/2", None, None, None, None, None, None, None, "curl/8", None, None, None
    )
    return at(packet, RequestReceived, exchange, stream, 24, packet, fields)


def response(packet: int, exchange: int, stream: int | None, status: int = 200) -> Event:
    """The header section of a response of HTTP/2."""
    fields = ResponseFields(status, None, "HTTP/2", None, None, None, None, None, None, "test", None, None, None, None)
    return at(packet, ResponseReceived, exchange, stream, False, packet, START_NS, fields)


def end(packet: int, exchange: int, stream: int | None, direction: int = FROM_SERVER, whole: bool = True) -> Event:
    """The end of a message of six bytes."""
    return at(packet, MessageEnded, exchange, stream, direction, 100, 6, whole)
