"""Ways to damage a capture: blind ones on bytes, and ones that know records, IP, TCP and HTTP.

Each takes the random source, the container to change in place, and another container to take things from. The same
random source gives the same result.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random
from typing import Literal

import zstandard

from tests.fuzz.containers import Container

Mutation = Callable[[Random, Container, Container], None]

#: Fields as (offset, bytes) from the start of their header.
IPV4_FIELDS = ((0, 1), (2, 2), (4, 2), (6, 2), (8, 1), (9, 1), (12, 4), (16, 4))
IPV6_FIELDS = ((0, 4), (4, 2), (6, 1), (7, 1), (8, 8), (24, 8))
TCP_FIELDS = ((0, 2), (2, 2), (4, 4), (8, 4), (12, 1), (13, 1), (14, 2), (16, 2), (20, 2), (22, 4))
PCAP_RECORD_FIELDS = ((0, 4), (4, 4), (8, 4), (12, 4))
PCAPNG_BLOCK_FIELDS = ((0, 4), (4, 4), (8, 4), (12, 4), (16, 4), (20, 4), (24, 4))

#: A copy of an input grows to this many bytes at most.
MAX_BYTES = 1 << 20
MAX_MUTATIONS = 8
#: Packets that are looked at for a payload.
PAYLOAD_SEARCH = 12
#: Bytes in which a header section mostly lies.
HEAD_BYTES = 300

TOKENS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\0",
    b"\x1b[31m",
    b"\xff\xfe",
    b"GET / HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/9.9 999 \r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Keep-Alive: timeout=99999999999999999999, max=x\r\n",
    b"Host: \r\n",
    b"Host: a\x1b[31mb\xe2\x80\xae\x07\r\n",
    b"Connection: \x1b[2J\x9b\r\n",
    b"Keep-Alive: \x1b]0;x\x07\r\n",
    b"GET /\x1b[31m\xad HTTP/1.1\r\n",
    b" folded\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"fffffffffffffffffffffffffffffffff;a=b\r\n",
    b"A" * 300,
)


def mutate(random: Random, seed: Container, other: Container) -> bytes:
    """A damaged copy of `seed`: one to eight mutations, now and then compressed, or cut after that."""
    container = seed.copy()
    for _ in range(random.randint(1, MAX_MUTATIONS)):
        random.choice(MUTATIONS)(random, container, other)
        if not container.pieces:
            break
    content = container.encode()[:MAX_BYTES]
    kind = random.randrange(40)
    if kind == 0:
        return _damaged(random, gzip.compress(content, 1, mtime=0))
    if kind == 1:
        return _damaged(random, zstandard.ZstdCompressor(1).compress(content))
    return content


def odd_number(random: Random, old: int, size: int) -> int:
    """A value for a field of `size` bytes: at an edge, near the old one, near it by powers of two, or any."""
    top = (1 << 8 * size) - 1
    kind = random.randrange(4)
    if kind == 0:
        return random.choice((0, 1, top, top - 1, top >> 1, (top >> 1) + 1))
    if kind == 1:
        return (old + random.randint(-3, 3)) & top
    if kind == 2:
        return (old + random.choice((-1, 1)) * (1 << random.randrange(8 * size))) & top
    return random.randint(0, top)


def put_token(random: Random, data: bytearray, low: int) -> None:
    """Write a piece of HTTP over some bytes from `low` on: often in the header section, often where a line begins."""
    token = random.choice(TOKENS)
    at = random.randrange(low, len(data) if random.random() < 0.5 else min(len(data), low + HEAD_BYTES))
    line = data.find(b"\n", at) + 1
    if 0 < line < len(data) and random.random() < 0.5:
        at = line
    room = len(data) - at
    data[at : at + len(token)] = token[:room]


def flip_bytes(random: Random, data: bytearray) -> None:
    """Change up to eight bits or bytes."""
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(data))
        data[at] = data[at] ^ 1 << random.randrange(8) if random.random() < 0.5 else random.randrange(256)


def _damaged(random: Random, content: bytes) -> bytes:
    if random.random() < 0.3:
        return content
    data = bytearray(content)
    flip_bytes(random, data)
    return bytes(data[: random.randint(0, len(data))]) if random.random() < 0.5 else bytes(data)


def _pick(random: Random, container: Container) -> tuple[int, bytearray]:
    """A piece that is not empty, to be put back where it was."""
    index = random.randrange(len(container.pieces))
    return index, bytearray(container.pieces[index] or b"\0")


def _flip(random: Random, container: Container, other: Container) -> None:
    index, data = _pick(random, container)
    flip_bytes(random, data)
    container.pieces[index] = bytes(data)


def _flip_head(random: Random, container: Container, other: Container) -> None:
    if container.head and random.random() < 0.2:
        data = bytearray(container.head)
        flip_bytes(random, data)
        container.head = bytes(data)


def _truncate(random: Random, container: Container, other: Container) -> None:
    if random.random() < 0.3:
        index = random.randrange(len(container.pieces))
        piece = container.pieces[index]
        container.pieces[index:] = [piece[: random.randint(0, len(piece))]]


def _shorten(random: Random, container: Container, other: Container) -> None:
    """Take bytes out of a piece, or put some in, so that everything behind it is out of step."""
    index, data = _pick(random, container)
    at, size = random.randrange(len(data)), random.randint(1, 40)
    data[at : at + size] = random.choice((b"", random.randbytes(size)))
    container.pieces[index] = bytes(data)


def _duplicate(random: Random, container: Container, other: Container) -> None:
    index = random.randrange(len(container.pieces))
    to = random.choice((index, random.randrange(len(container.pieces) + 1)))
    container.pieces.insert(to, container.pieces[index])


def _repeat(random: Random, container: Container, other: Container) -> None:
    index = random.randrange(len(container.pieces))
    run = container.pieces[index : index + random.randint(1, 4)]
    if run and sum(map(len, run)) * 200 < MAX_BYTES:
        container.pieces[index:index] = run * random.randint(2, 200)


def _swap(random: Random, container: Container, other: Container) -> None:
    first, second = (random.randrange(len(container.pieces)) for _ in range(2))
    pieces = container.pieces
    pieces[first], pieces[second] = pieces[second], pieces[first]


def _shuffle(random: Random, container: Container, other: Container) -> None:
    index = random.randrange(len(container.pieces))
    window = container.pieces[index : index + 8]
    random.shuffle(window)
    container.pieces[index : index + 8] = window


def _delete(random: Random, container: Container, other: Container) -> None:
    index = random.randrange(len(container.pieces))
    del container.pieces[index : index + random.choice((1, 1, 1, 2, 5))]


def _splice(random: Random, container: Container, other: Container) -> None:
    """Put packets of another file in, or another file behind: what is cut differently is garbage in the middle."""
    if not other.pieces:
        return
    start, to = random.randrange(len(other.pieces)), random.randrange(len(container.pieces) + 1)
    taken = other.pieces[start : start + random.randint(1, 30)]
    container.pieces[to:to] = [other.head, *taken] if random.random() < 0.1 else taken


def _damage_length(random: Random, container: Container, other: Container) -> None:
    """Change a field of a record's or block's own header."""
    fields = PCAPNG_BLOCK_FIELDS if container.kind == "pcapng" else PCAP_RECORD_FIELDS
    index, data = _pick(random, container)
    _put_field(random, data, 0, random.choice(fields), container.order)
    container.pieces[index] = bytes(data)


def _edit_header(random: Random, container: Container, other: Container) -> None:
    """Change a field of an IP or TCP header, of several packets in the same way now and then."""
    for _ in range(random.choice((1, 1, 1, 4))):
        index, data = _pick(random, container)
        found = _headers(data, container.frame_at(bytes(data)))
        if found is not None:
            at, tcp_at, ip_fields = found
            start, fields = random.choice(((at, ip_fields), (tcp_at, TCP_FIELDS), (tcp_at, TCP_FIELDS)))
            _put_field(random, data, start, random.choice(fields), ">")
            container.pieces[index] = bytes(data)


def _edit_flags(random: Random, container: Container, other: Container) -> None:
    index, data = _pick(random, container)
    found = _headers(data, container.frame_at(bytes(data)))
    if found is not None and found[1] + 13 < len(data):
        data[found[1] + 13] ^= random.choice((0x01, 0x02, 0x04, 0x08, 0x10, 0x12, 0x14, 0x20))
        container.pieces[index] = bytes(data)


def _edit_payload(random: Random, container: Container, other: Container) -> None:
    """Write HTTP over a part of the first packet from some place on that has a payload."""
    start = random.randrange(len(container.pieces))
    for index in range(start, min(start + PAYLOAD_SEARCH, len(container.pieces))):
        data = bytearray(container.pieces[index])
        found = _headers(data, container.frame_at(bytes(data)))
        if found is not None and found[1] + 52 < len(data):
            put_token(random, data, found[1] + 32)
            container.pieces[index] = bytes(data)
            return


def _put_field(random: Random, data: bytearray, start: int, field: tuple[int, int], order: str) -> None:
    offset, size = field
    at = start + offset
    if at + size <= len(data):
        byteorder: Literal["little", "big"] = "little" if order == "<" else "big"
        old = int.from_bytes(data[at : at + size], byteorder)
        data[at : at + size] = odd_number(random, old, size).to_bytes(size, byteorder)


def _headers(data: bytearray, frame_at: int) -> tuple[int, int, tuple[tuple[int, int], ...]] | None:
    """Where IP and TCP start, whatever link layer is in front, and that IP's fields; None: nothing looks like it."""
    for at in range(frame_at, min(frame_at + 64, len(data) - 40)):
        version = data[at] >> 4
        if version == 4 and data[at + 9] == 6 and data[at] & 15 >= 5:
            return at, at + (data[at] & 15) * 4, IPV4_FIELDS
        if version == 6 and data[at + 6] == 6:
            return at, at + 40, IPV6_FIELDS
    return None


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _flip_head,
    _truncate,
    _shorten,
    _duplicate,
    _repeat,
    _swap,
    _shuffle,
    _delete,
    _splice,
    _damage_length,
    _edit_header,
    _edit_header,
    _edit_header,
    _edit_flags,
    _edit_flags,
    _edit_payload,
    _edit_payload,
    _edit_payload,
)
