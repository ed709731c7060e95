"""Exchanges from the bytes that a client's program wrote and read, as Python's own http.client reads them.

Nothing here comes from packets: retransmissions, holes and segment borders do not exist at this level. A message that
the standard library cannot read whole ends the transcript.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import cast

from .observed import Account


@dataclass(slots=True, frozen=True)
class Request:
    """A request as the client wrote it."""

    method: str
    target: str
    fields: Message


@dataclass(slots=True, frozen=True)
class Response:
    """A final response as the client read it."""

    status: int
    reason: str
    fields: Message
    body_bytes: int
    """Without chunk framing."""


class _Stream(io.BytesIO):
    """Stands for the socket of HTTPResponse, which closes its file at the end of a message."""

    def makefile(self, _mode: str) -> _Stream:
        return self

    def close(self) -> None:
        """The next message follows."""


def requests(account: Account) -> Iterator[Request]:
    """The requests that the client wrote, in order."""
    stream = _Stream(account.said)
    while line := stream.readline():
        method, target, _version = line.decode("ascii").split()
        fields = http.client.parse_headers(stream)
        yield Request(method, target, fields)
        assert "Transfer-Encoding" not in fields, "only bodies with a length are written here"
        stream.read(int(fields.get("Content-Length", 0)))


def responses(account: Account, methods: list[str]) -> Iterator[Response]:
    """The final responses to requests with these methods, in order, as far as they were read whole."""
    stream = _Stream(account.told)
    for method in methods:
        # HTTPResponse asks its socket for a file and nothing else.
        response = http.client.HTTPResponse(cast("http.client.socket.socket", stream), method=method)  # type: ignore[name-defined]
        try:
            response.begin()
            body = response.read()
        except (http.client.HTTPException, ValueError):
            return
        yield Response(response.status, response.reason, response.msg, len(body))
