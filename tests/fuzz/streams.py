"""What a protocol decoder may be told, as data: dialogues to start from, ways to damage them, and their file format.

A step is bytes of one direction, a hole, or an end; its place in the list is its packet number. After mutation a
direction still ends once at most and nothing follows its end, because that is what the waist promises decoders.
"""

from __future__ import annotations

import json
from random import Random
from typing import NamedTuple

from bench.messages import Request, Response
from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from tests.fuzz.mutations import flip_bytes, odd_number, put_token

DATA, GAP, END = "data", "gap", "end"
#: Lines of a TLS key log, which a decoder does not see but finds.
KEYS = "keys"
MAX_STEPS = 400
MAX_GAP = 1 << 40


class Step(NamedTuple):
    """One thing that a decoder is told."""

    what: str
    """DATA, GAP, END or KEYS."""
    direction: int
    data: bytes = b""
    length: int = 0
    """Of the hole."""
    ending: str = ""
    """Value of an Ending."""


def encode(steps: list[Step]) -> bytes:
    """The steps as JSON, bytes as latin-1 text."""
    return json.dumps([[*step[:2], step.data.decode("latin-1"), *step[3:]] for step in steps]).encode()


def decode(content: bytes) -> list[Step]:
    """What `encode` wrote."""
    return [
        Step(what, direction, data.encode("latin-1"), length, ending)
        for what, direction, data, length, ending in json.loads(content)
    ]


def dialogues() -> list[list[Step]]:
    """Connections that nothing is wrong with, of each kind that a decoder treats differently."""
    plain = Request(target="/a?b=c"), Response(body_bytes=300, connection="keep-alive", keep_alive="timeout=5, max=9")
    chunked = Request(), Response(body_bytes=9000, framing="chunked")
    posted = Request(method="POST", body_bytes=700), Response(status=204, interim=100)
    head = Request(method="HEAD"), Response(body_bytes=5000, head_only=True)
    cached = Request(), Response(status=304)
    old = Request(version="1.0"), Response(version="1.0", body_bytes=4000, framing="close")
    alternating = [_alternate(kind) for kind in ([plain] * 4, [chunked, plain], [posted, head, cached], [plain, old])]
    pipelined = [Step(DATA, FROM_CLIENT, plain[0].encode() * 3), Step(DATA, FROM_SERVER, plain[1].encode() * 3)]
    trailers = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nabcd\r\n0\r\nETag: a\r\n\r\n"
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    late = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
    others = [
        [Step(DATA, FROM_CLIENT, plain[0].encode()), Step(DATA, FROM_SERVER, answer)] for answer in (trailers, switched)
    ]
    others.append([Step(DATA, FROM_CLIENT, b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n")])
    others[-1].append(Step(DATA, FROM_SERVER, b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"))
    others.append([Step(DATA, FROM_SERVER, late)])
    others.append(
        [Step(DATA, FROM_CLIENT, b"\x16\x03\x01\x02\0\x01\0\x01\xfc"), Step(DATA, FROM_SERVER, b"SSH-2.0-x\r\n")]
    )
    return [_closed(steps) for steps in (*alternating, pipelined, *others)]


def mutate(random: Random, seed: list[Step], other: list[Step]) -> list[Step]:
    """A damaged copy that still keeps the waist's promises."""
    steps = list(seed)
    for _ in range(random.randint(1, 8)):
        _mutate_once(random, steps, other)
    return lawful(steps[:MAX_STEPS])


def _alternate(exchanges: list[tuple[Request, Response]]) -> list[Step]:
    return [
        step
        for request, response in exchanges
        for step in (Step(DATA, FROM_CLIENT, request.encode()), Step(DATA, FROM_SERVER, response.encode()))
    ]


def _closed(steps: list[Step]) -> list[Step]:
    return [*steps, Step(END, FROM_SERVER, ending=Ending.FIN.value), Step(END, FROM_CLIENT, ending=Ending.FIN.value)]


def _mutate_once(random: Random, steps: list[Step], other: list[Step]) -> None:
    at = random.randrange(len(steps) + 1)
    kind = random.randrange(9)
    if kind == 0:
        steps.insert(at, Step(GAP, random.randrange(2), length=odd_number(random, 100, random.choice((1, 2, 4))) or 1))
    elif kind == 1:
        steps.insert(at, Step(END, random.randrange(2), ending=random.choice(list(Ending)).value))
    elif kind == 2:
        steps.insert(at, random.choice(other))
    elif kind == 3:
        del steps[at : at + random.randint(1, 2)]
    elif kind == 4:
        window = steps[at : at + 4]
        random.shuffle(window)
        steps[at : at + 4] = window
    elif at < len(steps) and steps[at].data:
        steps[at : at + 1] = _damaged(random, steps[at], kind)


def _damaged(random: Random, step: Step, kind: int) -> list[Step]:
    data = bytearray(step.data)
    cut = random.randrange(len(data))
    if kind == 5:
        flip_bytes(random, data)
    elif kind == 6:
        put_token(random, data, 0)
    elif kind == 7:
        data[cut : cut + random.randint(0, 20)] = random.choice((b"", bytes(data[: random.randint(0, 200)])))
    else:
        hole = Step(GAP, step.direction, length=random.randint(1, 2000))
        return [step._replace(data=step.data[:cut]), hole, step._replace(data=step.data[cut + random.randint(0, 50) :])]
    return [step._replace(data=bytes(data))]


def lawful(steps: list[Step]) -> list[Step]:
    """The steps without those that the waist promises never to tell."""
    over: set[int] = set()
    kept = []
    for step in steps:
        if (step.direction in over and step.what != KEYS) or (step.what == DATA and not step.data):
            continue
        if step.what == END:
            over.add(step.direction)
        kept.append(step)
    return kept
