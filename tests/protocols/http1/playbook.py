"""A conversation as a list of sends and losses, and what a decoder says about it as lines that read like a transcript.

Every step is one packet, numbered from 1. A line says packet, exchange, who (`>` the client, `<` the server) and what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending, Piece, Pieces, StreamChunk
from inspector.events import (
    Anomaly,
    Event,
    ExchangeEvent,
    InterimReceived,
    MessageEnded,
    RequestReceived,
    ResponseReceived,
    Upgraded,
)
from inspector.protocols.decoder import Emit, StreamDecoder
from inspector.protocols.http1.decoder import Http1Decoder


@dataclass(frozen=True)
class Step:
    """What one packet brings."""

    direction: int
    data: bytes = b""
    lost: int = 0
    ending: Ending | None = None


def client(data: bytes) -> Step:
    return Step(FROM_CLIENT, data)


def server(data: bytes) -> Step:
    return Step(FROM_SERVER, data)


def client_lost(count: int) -> Step:
    return Step(FROM_CLIENT, lost=count)


def server_lost(count: int) -> Step:
    return Step(FROM_SERVER, lost=count)


def client_end(ending: Ending = Ending.FIN) -> Step:
    return Step(FROM_CLIENT, ending=ending)


def server_end(ending: Ending = Ending.FIN) -> Step:
    return Step(FROM_SERVER, ending=ending)


class Conversation:
    """A decoder, what it was told and what it said."""

    def __init__(self, make: Callable[[Emit], StreamDecoder] = Http1Decoder) -> None:
        self.events: list[Event] = []
        self.decoder = make(self.events.append)
        self.offsets = [0, 0]
        self.packet = 0

    def play(self, steps: Iterable[Step], cut: Callable[[bytes], Sequence[bytes]] = lambda data: [data]) -> None:
        """Take the steps in order, each one's data in the pieces that `cut` makes of it."""
        for step in steps:
            self.packet += 1
            if step.ending is not None:
                self.decoder.end(step.direction, step.ending, self.packet, self.packet * 1000)
            if step.lost:
                offset = self.offsets[step.direction]
                self.decoder.gap(step.direction, offset, step.lost, self.packet, self.packet * 1000)
                self.offsets[step.direction] += step.lost
            for data in cut(step.data) if step.data else ():
                self.decoder.data(self.piece(step.direction, data))

    def piece(self, direction: int, data: bytes) -> StreamChunk:
        offset = self.offsets[direction]
        self.offsets[direction] += len(data)
        return Piece(direction, offset, memoryview(data), self.packet, self.packet * 1000)

    def lines(self) -> list[str]:
        return [line(event) for event in self.events]


def together(direction: int, offset: int, parts: Sequence[tuple[bytes, int]]) -> Pieces:
    """Several packets' bytes as one chunk; `parts` are bytes and packet."""
    starts = [offset + sum(len(data) for data, _ in parts[:at]) for at in range(len(parts))]
    packets = [packet for _, packet in parts]
    return Pieces(direction, starts, [data for data, _ in parts], packets, [packet * 1000 for packet in packets])


def told(*steps: Step) -> list[str]:
    """What the HTTP/1 decoder says about a conversation."""
    conversation = Conversation()
    conversation.play(steps)
    return conversation.lines()


def line(event: Event) -> str:
    """An event in a line; times are the packet's, so they are checked and not shown."""
    assert event.time_ns == event.packet * 1000
    if isinstance(event, Anomaly):
        return f"{event.packet}: ! {event.code}" + (f" ({event.detail})" if event.detail else "")
    assert isinstance(event, ExchangeEvent)
    what = f"{event.packet}: #{event.exchange} "
    if isinstance(event, RequestReceived):
        return what + f"> {event.fields.method} {event.fields.target}"
    if isinstance(event, InterimReceived):
        return what + f"< {event.status} interim"
    if isinstance(event, ResponseReceived):
        return what + f"< {event.fields.status}" + (" unsolicited" if event.unsolicited else "")
    if isinstance(event, Upgraded):
        return what + f"= {event.to}" + (f" {event.target}" if event.target else "")
    assert isinstance(event, MessageEnded)
    who = "><"[event.direction]
    return what + f"{who} {'end' if event.whole else 'cut short'}, {event.body_bytes} bytes"
