"""HTTP/1 messages as well-known software writes them, each with what is true of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SERVER = "nginx/1.22.1"
DATE = "Sun, 22 Nov 2026 15:37:38 GMT"
_FILLER = (b"<p>connspect bench: the quick brown fox jumps over the lazy dog, 0123456789.</p>\n" * 1024)[:65_536]

_REASONS = {200: "OK", 204: "No Content", 304: "Not Modified", 404: "Not Found", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request and the facts that a reader of the capture should find."""

    method: str = "GET"
    target: str = "/"
    version: str = "1.1"
    host: str = "bench.example"
    connection: str | None = None
    user_agent: str = "curl/7.88.1"
    body_bytes: int = 0

    def encode(self) -> bytes:
        """The message's bytes."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}", f"Host: {self.host}"]
        if self.connection is not None:
            lines.append(f"Connection: {self.connection}")
        lines += [f"User-Agent: {self.user_agent}", "Accept: */*"]
        if self.body_bytes:
            lines.append(f"Content-Length: {self.body_bytes}")
        return _head(lines) + filler(self.body_bytes)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `framing` says what ends its body: "length", "chunked" or "close"."""

    status: int = 200
    version: str = "1.1"
    connection: str | None = None
    keep_alive: str | None = None
    body_bytes: int = 0
    framing: str = "length"
    head_only: bool = False
    """No body follows, whatever the header says (an answer to HEAD)."""
    interim: int | None = None
    """Status of a 1xx response in front of it."""

    def encode(self) -> bytes:
        """The message's bytes, with the interim response before it where there is one."""
        lines = [f"HTTP/{self.version} {self.status} {_REASONS[self.status]}", f"Server: {SERVER}", f"Date: {DATE}"]
        lines.append("Content-Type: text/html")
        if self.status not in (204, 304):
            lines += self._framing_lines()
        if self.connection is not None:
            lines.append(f"Connection: {self.connection}")
        if self.keep_alive is not None:
            lines.append(f"Keep-Alive: {self.keep_alive}")
        interim = b"" if self.interim is None else b"HTTP/1.1 %d Continue\r\n\r\n" % self.interim
        return interim + _head(lines) + self._body()

    def _framing_lines(self) -> list[str]:
        if self.framing == "length":
            return [f"Content-Length: {self.body_bytes}"]
        return ["Transfer-Encoding: chunked"] if self.framing == "chunked" else []

    def _body(self) -> bytes:
        if self.head_only or self.status in (204, 304):
            return b""
        if self.framing != "chunked":
            return filler(self.body_bytes)
        pieces = []
        for start in range(0, self.body_bytes, 4096):
            size = min(4096, self.body_bytes - start)
            pieces.append(b"%x\r\n%b\r\n" % (size, filler(size)))
        return b"".join((*pieces, b"0\r\n\r\n"))

    @property
    def seen_body_bytes(self) -> int:
        """Body bytes on the wire, without chunk framing."""
        return 0 if self.head_only or self.status in (204, 304) else self.body_bytes


def filler(length: int) -> bytes:
    """`length` bytes that look like text."""
    return (_FILLER * (length // len(_FILLER) + 1))[:length] if length else b""


def facts(request: Request, response: Response | None) -> dict[str, Any]:
    """What the report should say about this exchange, in the contract's words."""
    asked = asdict(request)
    del asked["host"]
    answered = None
    if response is not None:
        answered = {
            "status": response.status,
            "version": response.version,
            "connection": response.connection,
            "body_bytes": response.seen_body_bytes,
        }
    return {"request": asked, "response": answered}


def _head(lines: list[str]) -> bytes:
    return "\r\n".join((*lines, "\r\n")).encode("latin-1")
