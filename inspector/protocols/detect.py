"""Which protocol a connection speaks, and who is its client, told from the bytes and never from a port.

`detect` looks at bytes that may begin a message and answers with a protocol, NO, or MORE: a segment may hold only "GE".
`DetectingDecoder` stands in for the decoder until then. It looks at the beginning of every piece, since a capture may
start in the middle of a message, and holds copies only while the answer is MORE. Once told, the decoder chosen takes
its place: its `data` becomes this one's, so that detection costs nothing afterwards. A PROXY protocol header at the
very beginning is told, and detection goes on behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from inspector.bytestream import FOREVER, FROM_CLIENT, FROM_SERVER, Ending, Piece, Rest, StreamChunk
from inspector.events import ProxyHeaderReceived
from inspector.protocols.decoder import Emit, StreamDecoder
from inspector.protocols.frame_run import Run, run_at, sender_in
from inspector.protocols.proxy_header import ProxyHeader, may_be_proxy_header, proxy_header

#: Bytes of a direction that are held back while they may still become the beginning of a message.
MAX_HELD = 16 * 1024

#: The protocols that content tells, as `decoders` is keyed and, where nothing decodes them, `protocol` says.
HTTP1 = "http/1"
TLS = "tls"
H2C = "h2c"

#: Makes the decoder of a protocol, by the protocol's name.
Decoders = Mapping[str, Callable[[Emit], StreamDecoder]]

#: Longest method taken for one: methods in use have at most 17 characters.
_MAX_METHOD = 32
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(
    rb"%b{1,%d}[ \t][^\n\x00-\x08\x0e-\x1f]*[ \t]HTTP/1\.[0-9][ \t]*\r?\n" % (_TOKEN, _MAX_METHOD)
)
_UNFINISHED_REQUEST_LINE = re.compile(rb"%b{1,%d}(?:[ \t][^\n\x00-\x08\x0e-\x1f]*)?" % (_TOKEN, _MAX_METHOD))
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+[0-9]{3}[ \t\r\n]")
_UNFINISHED_STATUS_LINE = re.compile(rb"H(?:T(?:T(?:P(?:/(?:1(?:\.(?:[0-9](?:[ \t]+(?:[0-9]{1,3})?)?)?)?)?)?)?)?)?")

#: RFC 9113 section 3.4.
_H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: TLS records (RFC 8446 section 5.1): content types change_cipher_spec to application_data; versions up to 3.4 in the
#: field have been seen; the longest TLS 1.2 ciphertext (RFC 5246 section 6.2.3).
_TLS_TYPES = range(20, 24)
_TLS_MINORS = range(5)
_TLS_LONGEST = (1 << 14) + 2048
_TLS_HANDSHAKE = 22
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
#: An SSL 2.0 CLIENT-HELLO, which may offer later versions (RFC 5246 appendix E.2).
_SSL2_HELLO = re.compile(rb"[\x80-\xff].\x01(?:\x00\x02|\x03[\x00-\x03])", re.DOTALL)


@dataclass(slots=True, frozen=True)
class Detected:
    """A protocol told from content."""

    protocol: str
    sender: int | None
    """FROM_CLIENT or FROM_SERVER: who must have sent these bytes; None: either."""


_REQUEST = Detected(HTTP1, FROM_CLIENT)
_RESPONSE = Detected(HTTP1, FROM_SERVER)


class Undecided(Enum):
    """The answers other than a protocol."""

    NO = "no"
    MORE = "more"
    """It may be one, once more bytes have come."""


def detect(start: bytes, first: bool) -> Detected | Undecided:
    """What bytes (at least one) are, where a message may begin; `first`: nothing of their direction came before.

    HTTP/1 is told by a whole request line or the numbers of a status line, HTTP/2 by its preface or by
    frame headers in a row, TLS by a record's header, and an SSL 2.0 hello, which could be anything elsewhere, only at
    the very beginning.
    """
    if _H2_PREFACE.startswith(start[: len(_H2_PREFACE)]):
        return Detected(H2C, FROM_CLIENT) if len(start) >= len(_H2_PREFACE) else Undecided.MORE
    if start[0] in _TLS_TYPES:
        return _detect_tls(start)
    if start[0] >= 0x80:
        return Detected(TLS, FROM_CLIENT) if first and _SSL2_HELLO.match(start) else Undecided.NO
    if not start[0]:
        return _detect_frames(start)
    return _detect_http1(start.lstrip(b"\r\n"))


def _detect_frames(start: bytes) -> Detected | Undecided:
    """HTTP/2 without its preface, which the server's direction never has: no usual frame has 64 KiB."""
    run = run_at(start, 0)
    if run is Run.FRAMES:
        return Detected(H2C, sender_in(start))
    return Undecided.NO if run is Run.NO else Undecided.MORE


def _detect_tls(start: bytes) -> Detected | Undecided:
    if start[1:2] not in b"\x03" or (len(start) > 2 and start[2] not in _TLS_MINORS):
        return Undecided.NO
    if len(start) < 6:
        return Undecided.MORE
    if not 0 < int.from_bytes(start[3:5], "big") <= _TLS_LONGEST:
        return Undecided.NO
    senders = {_CLIENT_HELLO: FROM_CLIENT, _SERVER_HELLO: FROM_SERVER} if start[0] == _TLS_HANDSHAKE else {}
    sender = senders.get(start[5])
    if sender is None and not _are_records(start):
        return Undecided.NO
    return Detected(TLS, sender)


def _are_records(start: bytes) -> bool:
    """Whether, as far as can be seen, one record follows the other: in the middle of a connection a single header may
    be anything's."""
    at = 0
    while at + 5 <= len(start):
        if start[at] not in _TLS_TYPES or start[at + 1] != 3 or start[at + 2] not in _TLS_MINORS:
            return False
        length = int.from_bytes(start[at + 3 : at + 5], "big")
        if length > _TLS_LONGEST:
            return False
        at += 5 + length
    return True


def _detect_http1(start: bytes) -> Detected | Undecided:
    if not start:
        return Undecided.MORE
    if _REQUEST_LINE.match(start):
        return _REQUEST
    if _STATUS_LINE.match(start):
        return _RESPONSE
    if b"\n" not in start and (_UNFINISHED_REQUEST_LINE.fullmatch(start) or _UNFINISHED_STATUS_LINE.fullmatch(start)):
        return Undecided.MORE
    return Undecided.NO


def decoder_for(
    start: StreamChunk | None,
    emit: Emit,
    decoders: Decoders,
    on_roles: Callable[[int], bool],
    become: Callable[[StreamDecoder], None],
) -> StreamDecoder:
    """Who reads a connection whose first bytes are in `start` (None: they are missing), all of which comes later.

    The decoder itself where the first piece tells it and the roles are as they should be, which is nearly always so;
    else a DetectingDecoder, whose arguments the others are.
    """
    if start is not None:
        answer = detect(bytes(start.view(start.offset)[:MAX_HELD]), start.offset == 0)
        if isinstance(answer, Detected) and answer.sender == start.direction and answer.protocol in decoders:
            on_roles(FROM_CLIENT)
            return decoders[answer.protocol](emit)
    return DetectingDecoder(emit, decoders, on_roles, become)


class DetectingDecoder:
    """A StreamDecoder for a connection whose protocol is not known yet.

    `decoders` makes the decoder of a protocol; one that is not in it is named in `protocol`, and its bytes are counted
    for `application_*` only. Once there is a decoder, everything goes to it; `become` is told of it, so that the owner
    can put it in this one's place and spare the detour.

    `on_roles` is called once, when content tells which direction is the client's: with FROM_CLIENT where that is the
    one taken for the client's so far, else with FROM_SERVER. It answers whether the owner's directions are now as the
    content says, for all that it delivers afterwards; the chunk at hand is relabelled here. Where they are not, the
    decoder is put behind `Reversed`.
    """

    __slots__ = (
        *("_become", "_begins", "_decoders", "_emit", "_held", "_inner", "_ns", "_on_roles", "_packet", "_protocol"),
        "_skip",
    )

    def __init__(
        self,
        emit: Emit,
        decoders: Decoders,
        on_roles: Callable[[int], bool] | None = None,
        become: Callable[[StreamDecoder], None] | None = None,
    ) -> None:
        self._emit = emit
        self._decoders = decoders
        self._on_roles = on_roles
        self._become = become
        self._inner: StreamDecoder | None = None
        self._protocol: str | None = None
        self._packet: int | None = None
        self._ns: int | None = None
        self._held: list[Piece] = []
        self._skip = [0, 0]
        self._begins = [0, 0]
        """By direction, the stream offset at which the first protocol may begin: behind a PROXY header."""

    @property
    def protocol(self) -> str:
        return self._inner.protocol if self._inner is not None else self._protocol or "unknown"

    @property
    def application_packet(self) -> int | None:
        return self._packet if self._inner is None else self._inner.application_packet

    @property
    def application_ns(self) -> int | None:
        return self._ns if self._inner is None else self._inner.application_ns

    @property
    def skip_until(self) -> list[int]:
        return self._skip if self._inner is None else self._inner.skip_until

    def data(self, chunk: StreamChunk) -> None:
        offset, end = chunk.offset, chunk.offset + chunk.length
        begins = self._begins[chunk.direction]
        while self._protocol is None and offset < end:
            if offset < begins:
                offset = min(begins, end)
                continue
            piece = _piece_at(chunk, offset)
            self._look(piece)
            offset += piece.length
            chunk.direction = piece.direction
            begins = self._begins[chunk.direction]
        if self._inner is None:
            if end > begins:
                self._packet, self._ns = chunk.arrival(end - 1)
        elif offset < end:
            self._inner.data(chunk if offset == chunk.offset else Rest(chunk, offset))

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        if self._inner is not None:
            self._inner.gap(direction, offset, length, packet, time_ns)
        else:
            self._release(direction)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        if self._inner is not None:
            self._inner.end(direction, ending, packet, time_ns)
        else:
            self._release(direction)

    def _look(self, piece: Piece) -> None:
        """Look at the beginning of a piece, behind what is held of its direction."""
        before = [held for held in self._held if held.direction == piece.direction] if self._held else []
        pieces = [*before, piece]
        start = b"".join([bytes(each.view(each.offset)[:MAX_HELD]) for each in pieces])[:MAX_HELD]
        first = pieces[0].offset == self._begins[piece.direction]
        answer = detect(start, first)
        if isinstance(answer, Detected):
            self._choose(answer, piece)
        elif pieces[0].offset == 0 and may_be_proxy_header(start):
            header = proxy_header(start)
            if header is not None:
                self._step_over(header, pieces)
            else:
                self._held.append(_copy(piece))
        elif answer is Undecided.MORE and len(start) < MAX_HELD:
            self._held.append(_copy(piece))
        elif before:
            self._release(piece.direction)
            self._look(piece)

    def _step_over(self, header: ProxyHeader, pieces: list[Piece]) -> None:
        """`pieces`, all there is of a direction, begin with a PROXY header: look on behind it."""
        last = pieces[-1]
        self._release(last.direction)
        self._begins[last.direction] = header.length
        self._packet = self._ns = None
        # The last piece made the header known; bytes of it that are behind the header begin a protocol.
        self._emit(
            ProxyHeaderReceived(*last.arrival(header.read - 1), header.version, header.source, header.destination)
        )
        if last.offset + last.length > header.length:
            rest = Piece(last.direction, header.length, last.view(header.length), *last.arrival(header.length))
            self._look(rest)
            last.direction = rest.direction

    def _choose(self, detected: Detected, last: Piece) -> None:
        """The protocol is known: from here on, and from what is held, its decoder takes the bytes."""
        self._protocol = detected.protocol
        reverse = detected.sender is not None and detected.sender != last.direction
        turned = False
        if detected.sender is not None and self._on_roles is not None:
            turned = self._on_roles(FROM_SERVER if reverse else FROM_CLIENT)
        if reverse and turned:
            self._begins.reverse()
        held = [*self._held, last]
        self._held.clear()
        make = self._decoders.get(detected.protocol)
        if make is None:
            self._skip[:] = FOREVER, FOREVER
            return
        inner = make(self._emit)
        if reverse and turned:
            for piece in held:
                piece.direction = 1 - piece.direction
        elif reverse:
            inner = Reversed(inner)
        self._inner = inner
        if self._become is not None:
            self._become(inner)
        for piece in held:
            inner.data(piece)

    def _release(self, direction: int) -> None:
        """What is held of a direction is no beginning of a message."""
        if self._held:
            self._held = [piece for piece in self._held if piece.direction != direction]


class Reversed:
    """A decoder that sees the directions the other way round: of a connection whose opener is the protocol's server."""

    def __init__(self, inner: StreamDecoder) -> None:
        self._inner = inner
        self.skip_until = [0, 0]

    @property
    def protocol(self) -> str:
        return self._inner.protocol

    @property
    def application_packet(self) -> int | None:
        return self._inner.application_packet

    @property
    def application_ns(self) -> int | None:
        return self._inner.application_ns

    def data(self, chunk: StreamChunk) -> None:
        chunk.direction = 1 - chunk.direction
        self._inner.data(chunk)
        chunk.direction = 1 - chunk.direction
        self.skip_until[:] = reversed(self._inner.skip_until)

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        self._inner.gap(1 - direction, offset, length, packet, time_ns)

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self._inner.end(1 - direction, ending, packet, time_ns)


def _piece_at(chunk: StreamChunk, offset: int) -> Piece:
    """The piece of a chunk that begins at `offset`."""
    return Piece(chunk.direction, offset, chunk.view(offset), *chunk.arrival(offset))


def _copy(piece: Piece) -> Piece:
    """A piece that outlives the call that brought it."""
    offset = piece.offset
    return Piece(piece.direction, offset, bytes(piece.view(offset)), *piece.arrival(offset))
