"""TLS conversations and their transcripts: as those of HTTP/1, with the lines that TLS adds.

A step is a packet, and packets are a microsecond apart; `quiet` leaves numbers out.
"""

from __future__ import annotations

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, StreamChunk
from inspector.events import (
    AlertReceived,
    ClientHelloReceived,
    Event,
    GoawayInferred,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
)
from inspector.protocols.decoder import Emit, Ending, StreamDecoder
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.tls.decoder import TlsDecoder
from inspector.protocols.tls.keylog import KeyLog
from tests.protocols.http1 import playbook as http1
from tests.protocols.http1.playbook import Step, client, server
from tests.protocols.tls.forge import (
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    FINISHED_12,
    FINISHED_13,
    HANDSHAKE,
    TLS_1_2,
    Keys12,
    Keys13,
    client_hello,
    encrypted_extensions,
    message,
    record,
    server_hello,
)

#: Packets in a second.
SECOND = 1_000_000


class Inner:
    """Notes what it is told, as lines."""

    def __init__(self) -> None:
        self.protocol = "inner"
        self.told: list[str] = []
        self.text = [b"", b""]
        self.skip_until = [0, 0]
        self.application_packet: int | None = None
        self.application_ns: int | None = None

    def data(self, chunk: StreamChunk) -> None:
        data = bytes(chunk.view(chunk.offset))
        assert len(data) == chunk.length
        self.text[chunk.direction] += data
        self.application_packet, self.application_ns = chunk.arrival(chunk.offset)
        said = data.decode() if len(data) < 20 else f"{len(data)} bytes"
        self.told.append(f"{self.application_packet}: {'><'[chunk.direction]} {chunk.offset} {said}")

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        assert time_ns == packet * 1000
        self.text[direction] += b"?" * min(length, 1 << 20)
        self.told.append(f"{packet}: {'><'[direction]} {offset} hole of {length}")

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self.told.append(f"{packet}: {'><'[direction]} {ending.value}")


class Conversation(http1.Conversation):
    """A TLS decoder, what it was told and what it said."""

    decoder: TlsDecoder

    def __init__(self, keylog: bytes | None = None, inner: StreamDecoder | None = None) -> None:
        self.alpn: list[str | None] = []
        self.keys = KeyLog()
        if keylog is not None:
            self.keys.add_whole(keylog)

        def inside(emit: Emit, alpn: str | None) -> StreamDecoder:
            self.alpn.append(alpn)
            return Http1Decoder(emit) if inner is None else inner

        super().__init__(lambda emit: TlsDecoder(emit, self.keys if keylog is not None else None, inside))

    @property
    def account(self) -> TlsAccount:
        return self.decoder.account

    def quiet(self, seconds: float) -> None:
        self.packet += round(seconds * SECOND)

    def lines(self) -> list[str]:
        return [line(event) for event in self.events]


def played(*steps: Step, keylog: bytes | None = None, inner: StreamDecoder | None = None) -> Conversation:
    conversation = Conversation(keylog, inner)
    conversation.play(steps)
    return conversation


def line(event: Event) -> str:
    assert event.time_ns == event.packet * 1000
    what = f"{event.packet}: "
    match event:
        case TlsStarted():
            return what + "TLS"
        case ClientHelloReceived():
            return what + f"> ClientHello {event.sni} {' '.join(event.alpn_offered)}".rstrip()
        case TlsEstablished():
            after = "" if event.handshake_ns is None else f" after {event.handshake_ns // 1000}"
            return what + f"established{after}"
        case AlertReceived():
            alert = event.alert
            assert (alert.packet, alert.time_ns) == (event.packet, event.time_ns)
            words = [word for word in (alert.level, alert.description) if word is not None] or ["unread"]
            return what + f"{'><'[alert.direction]} {' '.join(words)}" + (" inferred" if alert.inferred else "")
        case GoawayInferred():
            return what + f"{'><'[event.direction]} GOAWAY inferred"
    return http1.line(event)


def handshake_13(keys: Keys13, alpn: str | None = "http/1.1", *, tickets: int = 1) -> list[Step]:
    """A full handshake of TLS 1.3 in five packets: hello, hello and the server's flight, its rest, Finished, ticket."""
    sealer = keys.handshake[FROM_SERVER]
    flight = encrypted_extensions(alpn) + message(11, b"\0" + bytes(3)) + message(15, bytes(70)) + FINISHED_13
    steps = [
        client(record(HANDSHAKE, client_hello(), version=0x0301)),
        server(record(HANDSHAKE, server_hello()) + record(CHANGE_CIPHER_SPEC, b"\1")),
        server(sealer.seal(HANDSHAKE, flight[:40]) + sealer.seal(HANDSHAKE, flight[40:])),
        client(record(CHANGE_CIPHER_SPEC, b"\1") + keys.handshake[FROM_CLIENT].seal(HANDSHAKE, FINISHED_13)),
    ]
    ticket = message(4, bytes(180))
    return [*steps, *(server(keys.server.seal(HANDSHAKE, ticket)) for _ in range(tickets))]


def handshake_12(keys: Keys12, alpn: str | None = "http/1.1") -> list[Step]:
    """A full handshake of TLS 1.2 in four packets."""
    flight = server_hello(TLS_1_2, alpn=alpn) + message(11, bytes(3)) + message(14)
    return [
        client(record(HANDSHAKE, client_hello(versions=()), version=0x0301)),
        server(record(HANDSHAKE, flight)),
        client(record(HANDSHAKE, message(16, bytes(33))) + changed(keys.client.seal(HANDSHAKE, FINISHED_12))),
        server(record(HANDSHAKE, message(4, bytes(100))) + changed(keys.server.seal(HANDSHAKE, FINISHED_12))),
    ]


def changed(sealed: bytes) -> bytes:
    """Behind a ChangeCipherSpec."""
    return record(CHANGE_CIPHER_SPEC, b"\1") + sealed


def opaque(length: int, content_type: int = APPLICATION_DATA) -> bytes:
    """A record that nobody can open, with a body of this length."""
    return record(content_type, bytes(length * [0x5A]))


class Cutter:
    """Cuts bytes into pieces of one size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, data: bytes) -> list[bytes]:
        return [data[at : at + self.size] for at in range(0, len(data), self.size)]
