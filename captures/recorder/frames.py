"""HTTP/2 as one of its ends told it, by frames and header sections, and the report's words for it.

The frames come from a library's objects (observed_http2.py) or from a program's own log (peerlogs.py). An end knows
its frames in the order in which it made and read them; what depends on how both orders interleave on the wire, such as
how many streams were in flight, is left to the scenario.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Any
SIDES = ("client", "server")
#: Names of settings by id (RFC 9113 section 6.5.2, RFC 8441, RFC 9218).
SETTINGS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
    8: "ENABLE_CONNECT_PROTOCOL",
    9: "NO_RFC7540_PRIORITIES",
}


@dataclass(slots=True)
class Frame:
    """One frame."""

    by: str
    """"client" or "server": who sent it."""
    kind: str
    stream: int
    time_ns: int | None = None
    """Real time at the end that told it; None where its log has none."""
    ack: bool = False
    end_stream: bool = False
    values: dict[str, int] = field(default_factory=dict)
    """Of SETTINGS."""
    error: str | None = None
    last_stream_id: int | None = None
    debug: str = ""
    payload: str = ""
    """Of PING, hexadecimal."""
    increment: int | None = None
    body_bytes: int = 0
    """Of DATA, without padding."""
    promised: int | None = None


@dataclass(slots=True)
class Section:
    """One header section."""

    by: str
    kind: str
    """"request", "response", "interim", "trailers", or "pushed" (the request of a push)."""
    stream: int
    fields: list[tuple[str, str]]

    def value(self, name: str) -> str | None:
        """A field's value, several joined as HTTP joins them."""
        values = [value for field_name, value in self.fields if field_name == name]
        return ", ".join(values) if values else None


#: Fields that belong to one connection of HTTP/1.1, and may not be in HTTP/2 (RFC 9113 section 8.2.2).
_CONNECTION_FIELDS = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}


def connection(
    frames: Sequence[Frame], whole: Sequence[str] = SIDES, sections: Sequence[Section] | None = None
) -> Json:
    """What these frames and header sections of one connection make of the report's `http2`.

    `whole` names the sides of which they are all that was on the wire. A client's library tells the fields that it was
    given, and may send fewer: `sections` are of logs.
    """
    says: Json = {side: _side([frame for frame in frames if frame.by == side], side in whole) for side in SIDES}
    if len(whole) < len(SIDES):
        return says
    says["streams"] = len({frame.stream for frame in frames if frame.kind in ("HEADERS", "PUSH_PROMISE")})
    limits = [frame.values.get("MAX_CONCURRENT_STREAMS") for frame in frames if frame.by == "server"]
    says["stream_limit"] = next((limit for limit in reversed(limits) if limit is not None), None)
    last_ones = [frame.last_stream_id or 0 for frame in frames if frame.by == "server" and frame.kind == "GOAWAY"]
    asked = {frame.stream for frame in frames if frame.by == "client" and frame.kind == "HEADERS"}
    says["streams_above_goaway"] = sum(stream > min(last_ones) for stream in asked) if last_ones else 0
    says["headers_reliable"] = True
    says["refused_streams"] = sum(frame.error == "REFUSED_STREAM" for frame in frames if frame.kind == "RST_STREAM")
    says["pings"] = [
        {"from": frame.by, "payload": frame.payload} for frame in frames if frame.kind == "PING" and not frame.ack
    ]
    if sections is not None:
        says["forbidden_headers"] = [
            {"name": name} for section in sections for name, _ in section.fields if name in _CONNECTION_FIELDS
        ]
    return says


def _side(frames: Sequence[Frame], whole: bool) -> Json:
    goaways = [frame for frame in frames if frame.kind == "GOAWAY"]
    says: Json = {}
    # nginx tells what it sends, and of what it reads only that it came.
    if all(frame.error is not None for frame in goaways):
        says["goaways"] = [
            {"last_stream_id": frame.last_stream_id, "error": frame.error, "debug": frame.debug} for frame in goaways
        ]
    if whole:
        says["settings"] = [
            {"ack": frame.ack, "values": {"exactly": frame.values}, "order": list(frame.values)}
            for frame in frames
            if frame.kind == "SETTINGS"
        ]
        resets = Counter(frame.error for frame in frames if frame.kind == "RST_STREAM")
        on_connection = [frame for frame in frames if frame.kind == "WINDOW_UPDATE" and frame.stream == 0]
        says["rst_streams"] = {"exactly": dict(resets)}
        says["window_updates"] = sum(frame.kind == "WINDOW_UPDATE" for frame in frames)
        says["first_window_update"] = on_connection[0].increment if on_connection else None
        says["pings"] = sum(frame.kind == "PING" and not frame.ack for frame in frames)
        says["frames"] = {"exactly": dict(Counter(frame.kind for frame in frames))}
    return says


def exchanges(frames: Sequence[Frame], sections: Sequence[Section]) -> list[Json]:
    """The report's exchanges, in the order of the requests, as far as header sections tell them."""
    said = []
    asked = [section for section in sections if section.kind in ("request", "pushed")]
    for request in sorted(asked, key=lambda section: section.stream):
        stream = request.stream
        of_stream = [section for section in sections if section.stream == stream and section.by == "server"]
        response = next((section for section in of_stream if section.kind == "response"), None)
        ended = {frame.by for frame in frames if frame.stream == stream and frame.end_stream}
        # The request of a push is whole with its promise.
        complete = ended >= ({"server"} if request.kind == "pushed" else set(SIDES))
        # What resets a stream that is over, since a server did not read the body for its answer, resets no exchange.
        resets = [] if complete else [one for one in frames if one.stream == stream and one.kind == "RST_STREAM"]
        # A refused request may be told without its fields.
        asked_for = {"request": _request(request, frames)} if request.fields else {}
        said.append(
            {
                "stream": stream,
                "inside": False,
                **asked_for,
                "interim": [{"status": int(one.value(":status") or 0)} for one in of_stream if one.kind == "interim"],
                "response": None if response is None else _response(response, frames),
                "complete": complete,
                "reset": {"by": resets[0].by, "error": resets[0].error} if resets else None,
            }
        )
    return said


def _request(request: Section, frames: Sequence[Frame]) -> Json:
    return {
        "method": request.value(":method"),
        "target": request.value(":path"),
        "authority": request.value(":authority"),
        "user_agent": request.value("user-agent"),
        "content_length": _number(request.value("content-length")),
        "body_bytes": _body_bytes(frames, request.stream, "client"),
        "persistent": None,
    }


def _response(response: Section, frames: Sequence[Frame]) -> Json:
    return {
        "status": int(response.value(":status") or 0),
        "reason": None,
        "connection": response.value("connection"),
        "content_length": _number(response.value("content-length")),
        "body_bytes": _body_bytes(frames, response.stream, "server"),
        "server": response.value("server"),
        "persistent": None,
    }


def _number(value: str | None) -> int | None:
    return None if value is None else int(value)


def _body_bytes(frames: Sequence[Frame], stream: int, by: str) -> int:
    return sum(frame.body_bytes for frame in frames if frame.stream == stream and frame.by == by)


def last_of_exchange_ns(frames: Sequence[Frame]) -> int | None:
    """When the last frame of an exchange was sent or read."""
    times = [frame.time_ns for frame in frames if frame.kind in ("HEADERS", "DATA") and frame.time_ns is not None]
    return max(times, default=None)
