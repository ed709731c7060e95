"""A header section as sent becomes the fields that are kept: one expression reads the start line, one all the rest.

This is the hot path of HTTP/1. Only the fields named in `KEPT` are looked at; the expression built from them steps over
all other lines. Clients and servers say the same again and again, so small heads are remembered, and the same bytes
give the same object. An observer takes what it can: bare LF, white space before the colon, obsolete folding, spaces in
a target, any token for a method.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from inspector.events import RequestFields, ResponseFields
from inspector.protocols.http1.framing import Body, frame, length_of, number_of

#: The header fields that are looked at, in either direction.
KEPT = (
    "alt-svc",
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "server",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-request-id",
)

#: Heads that are remembered (of each direction), and the size of the largest: at most 4 MiB of heads each.
REMEMBERED_HEADS = 1024
REMEMBERED_SIZE = 4096

#: A method (RFC 9110 section 9.1) is a token (section 5.6.2).
TOKEN_CHARACTER = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = f"{TOKEN_CHARACTER}++"

#: Possessive where a run of blanks could otherwise be split in many ways: a hostile line costs no more than its length.
REQUEST_LINE = rf"({TOKEN})[ \t]++([^\n]*[^ \t\n])[ \t]++(HTTP/1\.[0-9])[ \t]*+\r?\n"
STATUS_LINE = r"(HTTP/1\.[0-9])[ \t]++([0-9]{3})(?![0-9])([^\n]*)\n"

_REQUEST_LINE = re.compile(REQUEST_LINE)
_STATUS_LINE = re.compile(STATUS_LINE)
#: A kept field's name and its value, obsolete folding included (RFC 9112 section 5.2).
_FIELD = re.compile(
    rf"\n(?=[{''.join(sorted({name[0] for name in KEPT}))}])({'|'.join(KEPT)})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*+)",
    re.IGNORECASE | re.ASCII,
)
#: White space around a value (RFC 9110 section 5.6.3), and the CR of the line's end.
_BLANK = " \t\r"
#: What nearly every `Connection` field says that is not "close".
_PERSISTENT = frozenset(("keep-alive", "Keep-Alive"))
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#]*@)?([^/?#]+)")


@dataclass(slots=True)
class RequestHead:
    """A request's header section, and what it means for the bytes that follow. Shared: nobody changes it."""

    fields: RequestFields
    body: Body
    http2_settings: str | None
    """Value of HTTP2-Settings."""
    anomaly: str | None
    """Code of what is odd about its framing."""


@dataclass(slots=True)
class ResponseHead:
    """A response's header section, and what it means for the bytes that follow. Shared: nobody changes it."""

    fields: ResponseFields
    status: int
    final: bool
    """Not 1xx, but 101 (RFC 9110 section 15.2)."""
    switches: bool
    """What follows is another protocol: 101, or a CONNECT that was accepted."""
    body: Body
    upgrade: str | None
    """The first protocol that Upgrade names, in lower case."""
    anomaly: str | None
    """Code of what is odd about its framing."""


def parse_request(head: bytes) -> RequestHead | None:
    """A header section from its start line to the empty line; None where the start line is no request line."""
    return _remembered_request(head) if len(head) <= REMEMBERED_SIZE else _parse_request(head)


def parse_response(head: bytes, method: str | None) -> ResponseHead | None:
    """A header section from its start line to the empty line; None where the start line is no status line.

    `method` is the request's (None: not known), which decides about the body.
    """
    return _remembered_response(head, method) if len(head) <= REMEMBERED_SIZE else _parse_response(head, method)


def _parse_request(head: bytes) -> RequestHead | None:
    text = head.decode("latin-1")
    start_line = _REQUEST_LINE.match(text)
    if start_line is None:
        return None
    method, target, version = start_line.groups()
    fields = _fields(text)
    get = fields.get
    connection, coding, length = get("connection"), get("transfer-encoding"), get("content-length")
    kept = RequestFields(
        method,
        target,
        _authority(method, target, get("host")),
        version,
        connection,
        get("keep-alive"),
        get("proxy-connection"),
        get("upgrade"),
        get("te"),
        coding,
        None if length is None else length_of(length),
        get("user-agent"),
        get("x-request-id"),
        get("traceparent"),
        _persistent(version, connection),
    )
    body = frame(method, None, coding, length)
    return RequestHead(kept, body, get("http2-settings"), _framing_anomaly(body, coding, length))


def _parse_response(head: bytes, method: str | None) -> ResponseHead | None:
    text = head.decode("latin-1")
    start_line = _STATUS_LINE.match(text)
    if start_line is None:
        return None
    version, digits, reason = start_line.groups()
    status = int(digits)
    fields = _fields(text)
    get = fields.get
    connection, coding, length = get("connection"), get("transfer-encoding"), get("content-length")
    keep_alive, upgrade = get("keep-alive"), get("upgrade")
    parameters = {} if keep_alive is None else _parameters(keep_alive)
    body = frame(method, status, coding, length)
    kept = ResponseFields(
        status,
        reason.strip(_BLANK),
        version,
        connection,
        keep_alive,
        parameters.get("timeout"),
        parameters.get("max"),
        coding,
        None if length is None else length_of(length),
        get("server"),
        get("via"),
        get("alt-svc"),
        get("x-request-id"),
        body is not Body.UNTIL_CLOSE and _persistent(version, connection),
    )
    protocol = None if upgrade is None else upgrade.partition(",")[0].strip().lower() or None
    final = status >= 200 or status == 101
    switches = status == 101 or body is Body.TUNNEL
    return ResponseHead(kept, status, final, switches, body, protocol, _framing_anomaly(body, coding, length))


_remembered_request = lru_cache(maxsize=REMEMBERED_HEADS)(_parse_request)
_remembered_response = lru_cache(maxsize=REMEMBERED_HEADS)(_parse_response)


def _fields(text: str) -> dict[str, str]:
    """The kept fields by name in lower case, values unfolded, several of a name joined by ", "."""
    fields: dict[str, str] = {}
    for sent_name, sent_value in _FIELD.findall(text):
        name = sent_name.lower()
        value = sent_value.strip(_BLANK)
        if "\n" in value:
            value = " ".join(line.strip(_BLANK) for line in value.split("\n")).strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _authority(method: str, target: str, host: str | None) -> str | None:
    """Whom a request addresses (RFC 9110 section 7.2), without user information: that may be a secret."""
    if target.startswith("/"):
        return host
    if method == "CONNECT":  # authority-form; some clients send more behind a space
        return target.split(None, 1)[0]
    absolute = _AUTHORITY.match(target)
    return host if absolute is None else absolute.group(1)


def _persistent(version: str, connection: str | None) -> bool:
    """Whether the connection persists after this message (RFC 9112 section 9.3)."""
    if connection is None:
        return version != "HTTP/1.0"
    if connection in _PERSISTENT:
        return True
    options = {option.strip().lower() for option in connection.split(",")}
    return "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)


def _parameters(keep_alive: str) -> dict[str, int | None]:
    """Keep-Alive's parameters (RFC 2068 section 19.7.1.1); None for a value that is no number."""
    pairs = (part.partition("=") for part in keep_alive.split(","))
    return {name.strip().lower(): number_of(value.strip()) for name, _, value in pairs}


def _framing_anomaly(body: Body, transfer_encoding: str | None, content_length: str | None) -> str | None:
    """The code of what a recipient would refuse about a message's framing (RFC 9112 sections 6.1 and 6.3)."""
    if body is Body.UNKNOWN:
        return "unknown_transfer_encoding" if transfer_encoding is not None else "bad_content_length"
    if transfer_encoding is not None and content_length is not None:
        return "length_and_transfer_encoding"
    return None
