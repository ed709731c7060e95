"""Connections that carried exchanges as they mostly are, read at once when all of their payload is there.

Each request is a chunk of its own and only a header section; the chunk behind it is the whole response to it, whose
header section lies in the chunk's first piece and tells the length. Then there is no state to keep: what `Http1Decoder`
would say of it, in the same order, is said by a function. Anything else is left to the decoder. The laws over batch
sizes hold that both say the same, since a batch of one packet never has a whole connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival, StreamChunk
from inspector.events import PlainExchange
from inspector.protocols.detect import Detected, detect
from inspector.protocols.http1.framing import Body
from inspector.protocols.http1.head import (
    REMEMBERED_HEADS,
    RequestHead,
    ResponseHead,
    parse_request,
    parse_response,
)
from inspector.protocols.http1.resync import head_end

#: How much of a piece is looked at for a header section.
_HEAD_WINDOW = 4096


def read_plain(payload: Sequence[StreamChunk], emit: Callable[[PlainExchange], None]) -> tuple[str, Arrival] | None:
    """Tell all of a connection's exchanges, given its payload in order of arrival.

    The protocol, and how the last byte came. None, and nothing is told, where they are not as they mostly are.
    """
    heads = _heads(payload)
    if heads is None:
        return None
    protocol = "http/1.1"
    last: Arrival = (0, 0)
    for exchange, (request, response, head_length) in enumerate(heads):
        asked, answer = payload[2 * exchange], payload[2 * exchange + 1]
        if not exchange and "HTTP/1.0" in (request.fields.version, response.fields.version):
            protocol = "http/1.0"
        start, stop = asked.offset, asked.offset + asked.length
        arrived = asked.arrival(stop - 1)
        first = asked.arrival(start)[0]
        # The response's header section lies in the first piece, which came at once.
        answered, last = answer.arrival(answer.offset), answer.arrival(answer.offset + answer.length - 1)
        body_bytes = answer.length - head_length
        fields = response.fields
        emit(PlainExchange(exchange, request.fields, first, arrived, start, stop, fields, answered, last, body_bytes))
    return protocol, last


def _heads(payload: Sequence[StreamChunk]) -> list[tuple[RequestHead, ResponseHead, int]] | None:
    """Both header sections of each exchange, and the length of the response's; None where there is anything else."""
    if not payload or len(payload) % 2:
        return None
    heads = []
    for at in range(0, len(payload), 2):
        asked, answer = payload[at], payload[at + 1]
        if asked.direction != FROM_CLIENT or answer.direction != FROM_SERVER or asked.length > _HEAD_WINDOW:
            return None
        head = bytes(asked.view(asked.offset))
        request = _plain_request(head) if len(head) == asked.length else None
        if request is None:
            return None
        start = bytes(answer.view(answer.offset)[:_HEAD_WINDOW])
        length = head_end(start)
        response = parse_response(start[:length], request.fields.method) if length > 0 else None
        if response is None or not _is_plain(response, answer.length - length):
            return None
        heads.append((request, response, length))
    return heads


@lru_cache(maxsize=REMEMBERED_HEADS)
def _plain_request(head: bytes) -> RequestHead | None:
    """A request that is nothing but this header section; None where it is more, or odd."""
    detected = detect(head, False)
    if not isinstance(detected, Detected) or detected.sender != FROM_CLIENT or head[:1].isspace():
        return None
    request = parse_request(head) if head_end(head) == len(head) else None
    if request is None or request.anomaly is not None or request.http2_settings is not None:
        return None
    bodiless = request.body is Body.NONE or (request.body is Body.LENGTH and not request.fields.content_length)
    return request if bodiless else None


def _is_plain(response: ResponseHead, body_length: int) -> bool:
    """Whether a response is final, no more than HTTP, and has a body of just this many bytes."""
    if not response.final or response.switches or response.anomaly is not None:
        return False
    if response.body is Body.NONE:
        return not body_length
    return response.body is Body.LENGTH and (response.fields.content_length or 0) == body_length
