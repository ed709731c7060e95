"""HTTP/2 frames out of the logs of programs that tell them: nginx's debug log, nghttp -v and nghttpd -v.

Each yields the frames and header sections of frames.py, by connection. nginx names every frame that it read, with
flags and settings, and of what it sent everything but the contents of SETTINGS; nghttp and nghttpd name everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .frames import SETTINGS, Frame, Section

_TYPES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
_ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)


@dataclass(slots=True)
class Told:
    """What a log tells of one connection."""

    peer: str = ""
    """The other end's address, "ip:port"; empty where the log does not say."""
    frames: list[Frame] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def _section(self, by: str, kind: str, stream: int) -> Section:
        """The newest section if it is this one, else a new one."""
        last = self.sections[-1] if self.sections else None
        if last is None or (last.by, last.stream) != (by, stream):
            last = Section(by, kind, stream, [])
            self.sections.append(last)
        return last


_NGINX_LINE = re.compile(r"^.*?: \*(\d+) (.*)$")
_NGINX_READ = re.compile(r"http2 frame type:(\d+) f:([0-9A-F]+) l:(\d+) sid:(\d+)$")
_NGINX_SENT = re.compile(r"http2(?::(\d+) create| send) ([A-Z_]+) frame(.*)$")
_NGINX_FIELD = re.compile(r'http2 (output )?header: "(:?[^:]+): (.*)"$')


def from_nginx(lines: Iterable[str]) -> list[Told]:
    """The connections of nginx's debug log that spoke HTTP/2, in the order in which they were accepted."""
    connections: dict[str, _NginxConnection] = {}
    for line in lines:
        match = _NGINX_LINE.match(line)
        if match is None:
            continue
        number, message = match.groups()
        accepted = re.match(r"accept: (\S+) fd", message)
        if accepted:
            connections[number] = _NginxConnection(Told(accepted.group(1)))
        elif number in connections and message.startswith("http2"):
            connections[number].take(message)
    return [connection.told for connection in connections.values() if connection.told.frames]


@dataclass(slots=True)
class _NginxConnection:
    """The reader of one connection's lines."""

    told: Told
    _asked: Section | None = None
    """The header section that is being read."""
    _answered: list[tuple[str, str]] = field(default_factory=list)
    """Fields of the response whose HEADERS frame is made next."""

    def take(self, message: str) -> None:
        """One line."""
        if match := _NGINX_READ.match(message):
            self._read(*(int(number, 16 if index == 1 else 10) for index, number in enumerate(match.groups())))
        elif match := _NGINX_SENT.match(message):
            self._sent(match.group(2), int(match.group(1) or 0), match.group(3))
        elif match := _NGINX_FIELD.match(message):
            output, name, value = match.groups()
            into = self._answered if output else self._asked.fields if self._asked else []
            into.append((name, value))
        elif match := re.match(r"http2 setting (\d+):(\d+)", message):
            code, value = map(int, match.groups())
            self.told.frames[-1].values[SETTINGS.get(code, f"{code:#x}")] = value
        elif match := re.match(r"http2 WINDOW_UPDATE frame sid:\d+ window:(\d+)", message):
            self.told.frames[-1].increment = int(match.group(1))
        elif match := re.match(r"http2 RST_STREAM frame, sid:\d+ status:(\d+)", message):
            self.told.frames[-1].error = _ERRORS[int(match.group(1))]

    def _read(self, kind: int, flags: int, length: int, stream: int) -> None:
        name = _TYPES[kind] if kind < len(_TYPES) else f"{kind:#x}"
        frame = Frame("client", name, stream)
        frame.ack = name in ("SETTINGS", "PING") and bool(flags & 1)
        frame.end_stream = name in ("DATA", "HEADERS") and bool(flags & 1)
        assert name != "HEADERS" or flags & 4, "nginx does not log CONTINUATION"
        if name == "DATA":
            assert not flags & 8, "nginx does not log the length of padding"
            frame.body_bytes = length
        elif name == "HEADERS" and all(section.stream != stream for section in self.told.sections):
            self._asked = Section("client", "request", stream, [])
            self.told.sections.append(self._asked)
        self.told.frames.append(frame)

    def _sent(self, kind: str, stream: int, rest: str) -> None:
        frame = Frame("server", kind, stream)
        if kind == "HEADERS":
            frame.end_stream = "fin:1" in rest
            self.told.sections.append(Section("server", "response", stream, self._answered))
            self._answered = []
        elif kind == "DATA":
            length, flags = re.findall(r"len:(\d+) flags:(\d+)", rest)[0]
            frame.body_bytes, frame.end_stream = int(length), bool(int(flags) & 1)
        elif kind == "GOAWAY":
            last, error = re.findall(r"last sid (\d+), error (\d+)", rest)[0]
            frame.last_stream_id, frame.error = int(last), _ERRORS[int(error)]
        elif kind == "RST_STREAM":
            number, error = re.findall(r"sid:(\d+), status:(\d+)", rest)[0]
            frame.stream, frame.error = int(number), _ERRORS[int(error)]
        self.told.frames.append(frame)


_NGHTTP_FRAME = re.compile(r"(send|recv) (\S+) frame <length=(\d+), flags=0x(..), stream_id=(\d+)>")
_NGHTTP_FIELD = re.compile(r"recv \(stream_id=(\d+)(?:, sensitive)?\) (:?[^:]+): (.*)$")


def from_nghttp(lines: Iterable[str], side: str) -> list[Told]:
    """The connections that nghttp -v (`side` "client") or nghttpd -v ("server") told, by their order.

    Both announce a frame in one line and its contents in lines behind, each beginning with blanks.
    """
    connections: dict[str, Told] = {}
    peer = "server" if side == "client" else "client"
    told = Told()
    for line in lines:
        number = re.match(r"\[id=(\d+)\]", line)
        if not line.startswith(" "):
            told = connections.setdefault(number.group(1) if number else "", Told())
        if match := _NGHTTP_FRAME.search(line):
            direction, kind, length, flags_text, stream = match.groups()
            by, flags = (side if direction == "send" else peer), int(flags_text, 16)
            frame = Frame(by, kind if kind in _TYPES else "ALTSVC", int(stream))
            frame.ack = kind in ("SETTINGS", "PING") and bool(flags & 1)
            frame.end_stream = kind in ("DATA", "HEADERS") and bool(flags & 1)
            frame.body_bytes = int(length) if kind == "DATA" else 0
            told.frames.append(frame)
        elif match := _NGHTTP_FIELD.search(line):
            kind = "response" if peer == "server" else "request"
            told._section(peer, kind, int(match.group(1))).fields.append((match.group(2), match.group(3)))
        elif line.startswith("          ") and told.frames:
            _nghttp_detail(told, line.strip(), side)
    return [one for one in connections.values() if one.frames]


def _nghttp_detail(told: Told, text: str, side: str) -> None:
    frame = told.frames[-1]
    if match := re.match(r"\[SETTINGS_(\w+)\(0x..\):(\d+)\]", text):
        frame.values[match.group(1)] = int(match.group(2))
    elif match := re.match(r"\(window_size_increment=(\d+)\)", text):
        frame.increment = int(match.group(1))
    elif match := re.match(r"\(last_stream_id=(\d+), error_code=(\w+)\(0x..\), opaque_data\(\d+\)=\[(.*)\]\)", text):
        frame.last_stream_id, frame.error, frame.debug = int(match.group(1)), match.group(2), match.group(3)
    elif match := re.match(r"\(error_code=(\w+)\(0x..\)\)", text):
        frame.error = match.group(1)
    elif match := re.match(r"\(opaque_data=([0-9a-f]{16})\)", text):
        frame.payload = match.group(1)
    elif match := re.match(r"\(.*promised_stream_id=(\d+)\)", text):
        frame.promised = int(match.group(1))
    elif frame.by == side and frame.kind == "HEADERS" and (match := re.match(r"(:?[\w-]+): (.*)$", text)):
        kind = "request" if side == "client" else "response"
        told._section(side, kind, frame.stream).fields.append((match.group(1), match.group(2)))
