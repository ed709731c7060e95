"""What HTTP/1 hands on when the connection switches to another protocol."""

from __future__ import annotations

from inspector.bytestream import Ending, StreamChunk
from inspector.protocols.decoder import StreamDecoder, Switch
from inspector.protocols.http1.decoder import Http1Decoder
from tests.protocols.http1.playbook import Conversation, client, client_end, client_lost, server

GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASK = b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class Inner:
    """Notes what it is told; only bytes that begin with "a" are application bytes."""

    protocol = "inner"

    def __init__(self) -> None:
        self.told: list[tuple[str, int, object]] = []
        self.skip_until = [0, 0]
        self.application_packet: int | None = None
        self.application_ns: int | None = None

    def data(self, chunk: StreamChunk) -> None:
        data = bytes(chunk.view(chunk.offset))
        self.told.append(("data", chunk.direction, data))
        if data.startswith(b"a"):
            self.application_packet, self.application_ns = chunk.arrival(chunk.offset)

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        self.told.append(("gap", direction, length))

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self.told.append(("end", direction, ending))


def switching(inner: StreamDecoder | None) -> tuple[Conversation, list[Switch]]:
    asked: list[Switch] = []

    def inside(switch: Switch) -> StreamDecoder | None:
        asked.append(switch)
        return inner

    return Conversation(lambda emit: Http1Decoder(emit, inside)), asked


def test_whoever_reads_on_is_told_what_to_and_gets_both_directions() -> None:
    inner = Inner()
    conversation, asked = switching(inner)
    conversation.play(
        [client(GET), server(OK), client(ASK), server(SWITCHING + b"x1"), client(b"x2"), client_lost(3), client_end()]
    )
    assert asked == [Switch("h2c", 2, "AAMAAABk")]
    assert inner.told == [("data", 1, b"x1"), ("data", 0, b"x2"), ("gap", 0, 3), ("end", 0, Ending.FIN)]
    assert conversation.decoder.protocol == "inner"


def test_application_bytes_are_those_of_http_1_and_then_what_the_other_one_says() -> None:
    conversation, _ = switching(Inner())
    conversation.play([client(ASK), server(SWITCHING), server(b"x"), client(b"x")])
    assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (2, 2000)
    conversation.play([client(b"a"), server(b"x")])
    assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (5, 5000)


def test_what_nobody_reads_is_dated() -> None:
    conversation, asked = switching(None)
    conversation.play([client(b"CONNECT a:1 HTTP/1.1\r\n\r\n"), server(b"HTTP/1.1 200 OK\r\n\r\n"), client(b"x")])
    assert asked == [Switch("connect", 1, None)]
    assert conversation.decoder.application_packet == 3
