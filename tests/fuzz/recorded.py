"""What the decoders of TLS, HTTP/2 and WebSocket were told of the recordings, as dialogues to start from.

Each recording that ships is read with its key log, and at every layer somebody listens. A step is one unit of its
protocol (a record, a frame), so that mutations can take whole ones out, repeat them and change their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending, StreamChunk
from inspector.packets.decode import PacketDecoder
from inspector.protocols.decoder import Emit, StreamDecoder, Switch
from inspector.protocols.detect import H2C, HTTP1, TLS, DetectingDecoder
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.http2.decoder import Http2Decoder
from inspector.protocols.tls.decoder import TlsDecoder
from inspector.protocols.tls.keylog import KeyLog
from inspector.protocols.websocket import WebSocketDecoder, frame_at
from inspector.sources.open import open_capture
from inspector.tcp.tracker import Tracker
from tests.fuzz.streams import DATA, END, GAP, KEYS, MAX_STEPS, Step
from tests.recordings import CAPTURES

#: Recordings above are left out: their dialogues would be mostly bodies.
MAX_FILE = 100_000
#: Of a longer dialogue the beginning is taken.
MAX_DIALOGUE = 100_000

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class _Listener:
    """A StreamDecoder that notes what it is told, and tells another one."""

    def __init__(self, steps: list[Step], inner: StreamDecoder) -> None:
        self._steps = steps
        self._inner = inner
        self.protocol = "unknown"
        self.application_packet: int | None = None
        self.application_ns: int | None = None
        self.skip_until = inner.skip_until

    def data(self, chunk: StreamChunk) -> None:
        offset, end = chunk.offset, chunk.offset + chunk.length
        while offset < end:
            view = bytes(chunk.view(offset))
            self._steps.append(Step(DATA, chunk.direction, view))
            offset += len(view)
        self._inner.data(chunk)

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        self._steps.append(Step(GAP, direction, length=length))
        self._inner.gap(direction, offset, length, packet, time_ns)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self._steps.append(Step(END, direction, ending=ending.value))
        self._inner.end(direction, ending, packet, time_ns)


class Recorded:
    """The dialogues of each protocol in all recordings."""

    def __init__(self) -> None:
        self.dialogues: dict[str, list[list[Step]]] = {TLS: [], H2C: [], "websocket": [_fragments()]}
        self.captures: dict[str, list[Path]] = {name: [] for name in self.dialogues}
        """Recordings in which a protocol is spoken."""
        for path in sorted(CAPTURES.glob("*/client.pcapng*")):
            if path.stat().st_size <= MAX_FILE:
                self._read(path)

    def _read(self, path: Path) -> None:
        log = path.with_name("keys.log")
        text = log.read_bytes() if log.exists() else b""
        keys = KeyLog()
        keys.add_whole(text)
        before = {name: len(found) for name, found in self.dialogues.items()}
        table: dict[str, Callable[[Emit], StreamDecoder]] = {}

        def inside(emit: Emit, switch: Switch) -> StreamDecoder | None:
            if switch.to == "websocket":
                return self._listen("websocket", WebSocketDecoder(emit))
            return table[H2C](emit) if switch.to == "h2c" else DetectingDecoder(emit, table)

        def inside_tls(emit: Emit, alpn: str | None) -> StreamDecoder:
            return table[H2C](emit) if alpn == "h2" else DetectingDecoder(emit, table)

        table[HTTP1] = lambda emit: Http1Decoder(emit, partial(inside, emit))
        table[H2C] = lambda emit: self._listen(H2C, Http2Decoder(emit))
        table[TLS] = lambda emit: self._listen(TLS, TlsDecoder(emit, keys, inside_tls), text)
        tracker, decoder = Tracker(lambda connection, start: DetectingDecoder(_deaf, table)), PacketDecoder()
        with open_capture([str(path)]) as source:
            for batch in source:
                tracker.feed(decoder.decode(batch))
            list(tracker.finish())
        for name, found in self.dialogues.items():
            found[before[name] :] = [_in_units(name, steps) for steps in found[before[name] :]]
            if len(found) > before[name]:
                self.captures[name].append(path)

    def _listen(self, name: str, inner: StreamDecoder, keys: bytes = b"") -> StreamDecoder:
        steps = [Step(KEYS, FROM_CLIENT, keys)] if keys else []
        self.dialogues[name].append(steps)
        return _Listener(steps, inner)


def _fragments() -> list[Step]:
    """What no recording has: messages in fragments with control frames between them, and a server that closes."""
    key = bytes(4)
    sent = [
        (FROM_CLIENT, b"\x01\x83" + key + b"abc"),
        (FROM_CLIENT, b"\x89\x84" + key + b"beat"),
        (FROM_SERVER, b"\x8a\x04beat"),
        (FROM_CLIENT, b"\x00\x81" + key + b"d"),
        (FROM_CLIENT, b"\x80\x80" + key),
        (FROM_SERVER, b"\x02\x7e\x01\x00" + bytes(256)),
        (FROM_SERVER, b"\x89\x00"),
        (FROM_SERVER, b"\x80\x7f" + (70_000).to_bytes(8, "big") + bytes(70_000)),
        (FROM_CLIENT, b"\x8a\x80" + key),
        (FROM_SERVER, b"\xc1\x03\xf2\x48\xcd"),
        (FROM_SERVER, b"\x88\x0c\x03\xe9going away"),
        (FROM_CLIENT, b"\x88\x82" + key + b"\x03\xe9"),
    ]
    ends = [Step(END, direction, ending=Ending.FIN.value) for direction in (FROM_SERVER, FROM_CLIENT)]
    return [*(Step(DATA, direction, data) for direction, data in sent), *ends]


def _deaf(event: object) -> None:
    """Nobody listens to events."""


def _in_units(name: str, steps: list[Step]) -> list[Step]:
    """The same dialogue, a unit a step; what is no whole unit is a step, too."""
    joined: list[Step] = []
    size = 0
    for step in steps:
        size += len(step.data)
        if size > MAX_DIALOGUE:
            break
        if joined and step.what == joined[-1].what == DATA and step.direction == joined[-1].direction:
            joined[-1] = joined[-1]._replace(data=joined[-1].data + step.data)
        else:
            joined.append(step)
    cut = [
        step._replace(data=unit)
        for step in joined
        for unit in (units(name, step.data) if step.what == DATA else [step.data])
    ]
    return cut[:MAX_STEPS]


def units(name: str, data: bytes) -> list[bytes]:
    """Bytes cut into records or frames, as far as they are such."""
    found, at = [], 0
    while at < len(data):
        if name == TLS:
            size = 5 + int.from_bytes(data[at + 3 : at + 5], "big")
        elif name == H2C:
            size = len(_PREFACE) if data.startswith(_PREFACE, at) else 9 + int.from_bytes(data[at : at + 3], "big")
        else:
            frame = frame_at(data, at)
            size = len(data) if frame is None else frame.header + frame.payload
        found.append(data[at : at + size])
        at += size
    return found
