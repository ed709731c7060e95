"""HTTP/2 conversations: frames to send, real peers that build them, and what a decoder says as lines of a transcript.

Steps and packets are those of the HTTP/1 playbook. A line says packet, exchange and stream, who (`>` the client, `<`
the server) and what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import Encoder

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.events import (
    Anomaly,
    Event,
    GoawayReceived,
    Http2Account,
    Http2Started,
    InterimReceived,
    MessageEnded,
    PingReceived,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    StreamReset,
    TrailersReceived,
    WindowStalled,
)
from inspector.protocols.decoder import Emit
from inspector.protocols.http2.decoder import Http2Decoder
from inspector.protocols.http2.frames import PREFACE
from tests.protocols.http1 import playbook as http1
from tests.protocols.http1.playbook import Step, client, server

Headers = list[tuple[str, str]]

GET: Headers = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.com")]
OK: Headers = [(":status", "200"), ("server", "test")]


def get(path: str, *more: tuple[str, str]) -> Headers:
    return [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "example.com"), *more]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(0x0, flags, stream, payload)


def headers(stream: int, block: bytes, flags: int = 0x4) -> bytes:
    """HEADERS, END_HEADERS set unless told otherwise."""
    return frame(0x1, flags, stream, block)


def reset(stream: int, error: int = 0x8) -> bytes:
    return frame(0x3, 0, stream, error.to_bytes(4, "big"))


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(0x4, payload=b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in pairs))


def promise(stream: int, promised: int, block: bytes, flags: int = 0x4) -> bytes:
    return frame(0x5, flags, stream, promised.to_bytes(4, "big") + block)


def ping(payload: bytes = b"12345678", ack: bool = False) -> bytes:
    return frame(0x6, int(ack), payload=payload)


def goaway(last: int, error: int = 0, debug: bytes = b"") -> bytes:
    return frame(0x7, payload=last.to_bytes(4, "big") + error.to_bytes(4, "big") + debug)


def window_update(stream: int, increment: int) -> bytes:
    return frame(0x8, 0, stream, increment.to_bytes(4, "big"))


def continuation(stream: int, block: bytes, flags: int = 0x4) -> bytes:
    return frame(0x9, flags, stream, block)


SETTINGS, SETTINGS_ACK = settings(), frame(0x4, 0x1)
#: What both sides begin with.
OPENING = (client(PREFACE + SETTINGS), server(SETTINGS + SETTINGS_ACK), client(SETTINGS_ACK))


def plain(fields: Headers) -> bytes:
    """A block that neither needs a table nor changes it: literal fields, not indexed (RFC 7541 section 6.2.2)."""
    block = b""
    for name, value in fields:
        assert max(len(name), len(value)) < 127
        block += b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
    return block


class Blocks:
    """A side's encoder, whose blocks use and change its table."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def __call__(self, fields: Headers) -> bytes:
        return self._encoder.encode(fields)


class Peers:
    """Two real ends: what each has to send is taken as a step."""

    def __init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.steps: list[Step] = []
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.turn()

    def turn(self) -> None:
        """What the client has to say, then what the server has, until both are silent."""
        while True:
            from_client, from_server = self.client.data_to_send(), b""
            if from_client:
                self.steps.append(client(from_client))
                self.server.receive_data(from_client)
            from_server = self.server.data_to_send()
            if from_server:
                self.steps.append(server(from_server))
                self.client.receive_data(from_server)
            if not from_client and not from_server:
                return


def conversation(upgrade: str | None = None) -> http1.Conversation:
    return http1.Conversation(partial(_decoder, upgrade=upgrade))


def _decoder(emit: Emit, upgrade: str | None) -> Http2Decoder:
    return Http2Decoder(emit, upgrade)


def played(
    steps: Iterable[Step],
    cut: Callable[[bytes], Sequence[bytes]] = lambda data: [data],
    upgrade: str | None = None,
) -> http1.Conversation:
    result = conversation(upgrade)
    result.play(steps, cut)
    return result


def told(*steps: Step) -> list[str]:
    """What the decoder says, without the start and SETTINGS."""
    quiet = Http2Started | SettingsReceived
    return [line(event) for event in played(steps).events if not isinstance(event, quiet)]


def exchanged(*steps: Step) -> list[str]:
    """What it says behind the opening, whose three packets are counted."""
    return told(*OPENING, *steps)


def account(events: Iterable[Event]) -> Http2Account:
    (started,) = [event for event in events if isinstance(event, Http2Started)]
    return started.account


def line(event: Event) -> str:
    """An event in a line; times are the packet's, so they are checked and not shown."""
    assert event.time_ns == event.packet * 1000
    start = f"{event.packet}: "
    match event:
        case Anomaly(code=code, detail=detail):
            return start + f"! {code}" + (f" ({detail})" if detail else "")
        case Http2Started():
            return start + "HTTP/2"
        case SettingsReceived(direction=direction, settings=told):
            return start + f"{_who(direction)} SETTINGS {'ACK' if told.ack else told.values}"
        case GoawayReceived(direction=direction, goaway=told):
            return start + f"{_who(direction)} GOAWAY {told.error} above {told.last_stream_id} {told.debug}".rstrip()
        case PingReceived(direction=direction, ack=ack, round_trip_ns=round_trip):
            return start + f"{_who(direction)} PING" + (f" ACK after {round_trip}" if ack else "")
        case WindowStalled(direction=direction, stream=stream, stalled_ns=stalled):
            return start + f"{_who(direction)} window of {stream} closed for {stalled}"
        case StreamReset(exchange=exchange, stream=stream, direction=direction, error=error):
            return start + f"#{exchange}/{stream} {_who(direction)} reset {error}"
    assert isinstance(event, RequestReceived | ResponseReceived | InterimReceived | MessageEnded | TrailersReceived)
    start += f"#{event.exchange}/{event.stream} "
    match event:
        case RequestReceived(fields=fields):
            return start + f"> {fields.method} {fields.target}"
        case ResponseReceived(fields=fields, unsolicited=unsolicited):
            return start + f"< {fields.status}" + (" unsolicited" if unsolicited else "")
        case InterimReceived(status=status):
            return start + f"< {status} interim"
        case TrailersReceived(direction=direction, grpc_status=status):
            return start + f"{_who(direction)} trailers" + (f" grpc-status {status}" if status else "")
        case MessageEnded(direction=direction, whole=whole, body_bytes=body):
            return start + f"{_who(direction)} {'end' if whole else 'cut short'}, {body} bytes"


def _who(direction: int) -> str:
    return "><"[direction]


__all__ = ["FROM_CLIENT", "FROM_SERVER", "PREFACE"]
