"""Ways to damage dialogues of TLS, HTTP/2 and WebSocket: blind ones, and ones that know records, frames and keys."""

from __future__ import annotations

from random import Random

from inspector.bytestream import Ending
from inspector.protocols.detect import H2C, TLS
from tests.fuzz.mutations import flip_bytes, odd_number
from tests.fuzz.streams import DATA, END, GAP, KEYS, MAX_STEPS, Step, lawful

MAX_MUTATIONS = 8
#: What a dialogue may grow to by repetition.
MAX_BYTES = 1 << 19

#: Fields as (offset, bytes) from the start of a unit.
_FIELDS = {
    TLS: ((0, 1), (1, 1), (1, 2), (3, 2), (5, 1), (6, 3), (9, 2), (43, 1)),
    H2C: ((0, 3), (0, 3), (3, 1), (4, 1), (5, 4), (5, 4), (9, 1), (9, 2), (11, 4), (9, 4), (13, 4)),
    "websocket": ((0, 1), (1, 1), (2, 2), (2, 8)),
}
_TOKENS = {
    TLS: (
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x16\x03\x03\x00\x04\x02\xff\xff\xff",
        b"\x16\x03\x03\x00\x01\x0b",
        b"\x16\x03\x03\x00\x00",
        b"\x16\x03\x03\x00\x08\x04\x00\x00\x04abcd",
        b"\x14\x03\x03\x00\x01\x01",
        b"\x15\x03\x03\x00\x02\x01\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x15\x03\x03\x00\x1a" + b"\xaa" * 26,
        b"\x17\x03\x03\x00\x13" + b"\x55" * 19,
        b"\x17\x03\x03\x48\x00",
        b"\x17\x03\x03\x00\x00",
        b"\x18\x03\x03\x00\x03\x01\x40\x00",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2"
        b"\xc8\xa8\x33\x9c",
        b"\x00\x2b\x00\x02\x03\x04",
        b"\x00\x00\xff\xff",
        b"\x00" * 40,
    ),
    H2C: (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x04\x01\x00\x00\x00\x00",
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff",
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\xff\xff\xff",
        b"\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh",
        b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00",
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff",
        b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x07",
        b"\x00\x00\x01\x01\x05\x00\x00\x00\x05\x88",
        b"\x00\x00\x03\x01\x00\x00\x00\x00\x07\x82\x86\x84",
        b"\x00\x00\x01\x09\x00\x00\x00\x00\x07\x41",
        b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82",
        b"\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x00\xff",
        b"\x00\x40\x00\x00\x08\x00\x00\x00\x01\xff",
        b"\x00\x00\x00\x2f\x00\x00\x00\x00\x00",
        b"\x3f\xe1\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f",
        b"\x7f\xff\xff\xff\xff\x0f",
        b"\x40\x0aconnection\x05close",
        b"\x00\x0bgrpc-status\x019",
        b"\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\xff\xff",
        b"\x20",
        b"\xbe\xbf\xc0",
    ),
    "websocket": (
        b"\x81\x00",
        b"\x89\x04beat",
        b"\x8a\x84\x00\x00\x00\x00beat",
        b"\x88\x02\x03\xe8",
        b"\x88\x82\x00\x00\x00\x00\x03\xe9",
        b"\x88\x7d\x0f\xa1" + b"\x1b[2J" * 9,
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x82\x7e\xff\xff",
        b"\x00\x00",
        b"\x83\x00",
        b"\x08\x00",
    ),
}


def mutate(random: Random, name: str, seed: list[Step], other: list[Step]) -> list[Step]:
    """A damaged copy that still keeps the waist's promises."""
    steps = list(seed)
    for _ in range(random.randint(1, MAX_MUTATIONS)):
        if name == TLS and random.random() < 0.15:
            _damage_keys(random, steps)
        else:
            _mutate_once(random, name, steps, other)
    size, kept = 0, []
    for step in steps[:MAX_STEPS]:
        size += len(step.data)
        if size <= MAX_BYTES:
            kept.append(step)
    return lawful(kept)


def _mutate_once(random: Random, name: str, steps: list[Step], other: list[Step]) -> None:
    at = random.randrange(len(steps) + 1)
    kind = random.randrange(14)
    if kind == 0:
        steps.insert(at, Step(GAP, random.randrange(2), length=odd_number(random, 100, random.choice((1, 2, 4))) or 1))
    elif kind == 1 and random.random() < 0.3:
        steps.insert(at, Step(END, random.randrange(2), ending=random.choice(list(Ending)).value))
    elif kind == 2 and other:
        start = random.randrange(len(other))
        steps[at:at] = other[start : start + random.randint(1, 6)]
    elif kind == 3:
        del steps[at : at + random.choice((1, 1, 2, 10))]
    elif kind == 4:
        window = steps[at : at + 6]
        random.shuffle(window)
        steps[at : at + 6] = window
    elif kind == 5:
        steps[at : at + 1] = steps[at : at + 1] * random.choice((2, 3, 200))
    elif at < len(steps) and steps[at].what == DATA and steps[at].data:
        steps[at : at + 1] = _damaged(random, name, steps, at, kind)


def _damaged(random: Random, name: str, steps: list[Step], at: int, kind: int) -> list[Step]:
    """What takes the place of a unit."""
    step = steps[at]
    data = bytearray(step.data)
    cut = random.randrange(len(data))
    if kind == 6:
        return [Step(GAP, step.direction, length=len(data))]
    if kind == 7:
        hole = Step(GAP, step.direction, length=random.choice((1, 3, 20)))
        return [step._replace(data=step.data[:cut]), hole, step._replace(data=step.data[cut + hole.length :])]
    if kind == 8:  # one packet brings it together with the next one
        following = steps[at + 1] if at + 1 < len(steps) else step
        return [step._replace(data=step.data + following.data)] if following.what == DATA else [step]
    if kind == 9:
        return [step._replace(data=step.data[:cut]), step._replace(data=step.data[cut:])]
    if kind == 10:
        flip_bytes(random, data)
    elif kind == 11:
        token = random.choice(_TOKENS[name])
        put = random.choice((0, cut, len(data)))
        data[put : put + random.choice((0, len(token)))] = token * random.choice((1, 1, 1, 50))
    elif kind == 12:
        offset, size = random.choice(_FIELDS[name])
        field = data[offset : offset + size]
        if len(field) == size:
            data[offset : offset + size] = odd_number(random, int.from_bytes(field, "big"), size).to_bytes(size, "big")
    else:
        data[cut : cut + random.randint(0, 20)] = random.choice((b"", bytes(data[: random.randint(0, 200)])))
    return [step._replace(data=bytes(data))]


def _damage_keys(random: Random, steps: list[Step]) -> None:
    """Wrong keys, half of them, half a line, or keys that come later."""
    places = [at for at, step in enumerate(steps) if step.what == KEYS and step.data]
    if not places:
        return
    at = random.choice(places)
    step = steps.pop(at)
    lines = step.data.splitlines(keepends=True)
    kind = random.randrange(5)
    if kind == 0:
        data = bytearray(step.data)
        flip_bytes(random, data)
        steps.insert(at, step._replace(data=bytes(data)))
    elif kind == 1:
        steps.insert(at, step._replace(data=b"".join(line for line in lines if random.random() < 0.5)))
    elif kind == 2:
        cut = random.randrange(len(step.data) + 1)
        later = random.randint(at, len(steps))
        steps.insert(later, step._replace(data=step.data[cut:]))
        steps.insert(at, step._replace(data=step.data[:cut]))
    elif kind == 3:
        steps.insert(random.randint(at, len(steps)), step)
