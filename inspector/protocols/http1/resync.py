"""Finding messages in bytes that come in pieces: the end of a header section, and the next start line after a loss.

What cannot be decided yet is held, in one buffer that remembers which packet brought what. A start line is searched for
at any position, not only where a segment begins, so that it does not matter how a stream was cut; what counts as one is
strict in return: `method SP target SP HTTP/1.x` and the line's end, with a method of the registry unless a line begins
there; or `HTTP/1.x SP 3DIGIT` and a space or the line's end.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from operator import itemgetter

from inspector.bytestream import FROM_SERVER
from inspector.protocols.http1.head import REQUEST_LINE, STATUS_LINE, TOKEN, TOKEN_CHARACTER

#: Longest start line that is found again, and so the most that a search holds back.
MAX_FOUND_LINE = 8 * 1024

#: Methods of the IANA registry (https://www.iana.org/assignments/http-methods) and of UPnP, as a request line starts.
_METHODS = (
    "ACL|BASELINE-CONTROL|BIND|CHECKIN|CHECKOUT|CONNECT|COPY|DELETE|GET|HEAD|LABEL|LINK|LOCK|M-SEARCH|MERGE|MKACTIVITY"
    "|MKCALENDAR|MKCOL|MKREDIRECTREF|MKWORKSPACE|MOVE|NOTIFY|OPTIONS|ORDERPATCH|PATCH|POST|PROPFIND|PROPPATCH|PUT|QUERY"
    "|REBIND|REPORT|SEARCH|SUBSCRIBE|TRACE|UNBIND|UNCHECKOUT|UNLINK|UNLOCK|UNSUBSCRIBE|UPDATE|UPDATEREDIRECTREF"
    "|VERSION-CONTROL"
)

# Indexed by direction: a client sends request lines, a server status lines.
_START_LINE = (re.compile(REQUEST_LINE.encode()), re.compile(STATUS_LINE.encode()))
_UNFINISHED_LINE = (
    re.compile(rf"{TOKEN}(?:[ \t][^\n]*)?".encode()),
    re.compile(rb"H(?:T(?:T(?:P(?:/(?:1(?:\.(?:[0-9](?:[ \t]++(?:[0-9]{1,2}|[0-9]{3}(?![0-9])[^\n]*)?)?)?)?)?)?)?)?)?"),
)


_first_offset = itemgetter(0)

#: How bytes came: the packet that completed them, and its time.
Arrival = tuple[int, int]


class Held:
    """Bytes of one direction that wait for more, from `start` on, and where they came from."""

    __slots__ = ("_pieces", "_seen", "before", "data", "start")

    def __init__(self, start: int, before: Arrival | None) -> None:
        self.before = before
        """How the direction's last application byte before `start` came."""
        self.start = start
        """Stream offset of the first byte."""
        self.data = bytearray()
        self._pieces: list[tuple[int, int, int]] = []
        self._seen = 0

    def add(self, data: bytes, packet: int, time_ns: int) -> None:
        """The next bytes, all brought by one packet."""
        self._pieces.append((self.start + len(self.data), packet, time_ns))
        self.data += data

    def drop_before(self, offset: int) -> None:
        """Forget what lies before a stream offset."""
        at = bisect_right(self._pieces, offset - 1, key=_first_offset) - 1
        if at >= 0:
            self.before = self._pieces[at][1:]
        del self._pieces[: bisect_right(self._pieces, offset, key=_first_offset) - 1]
        del self.data[: offset - self.start]
        self.start = offset
        self._seen = 0

    def origin(self) -> Arrival:
        """Packet and time of the first byte."""
        return self._pieces[0][1:]

    def newest(self) -> Arrival:
        """How the last bytes came."""
        return self._pieces[-1][1:]

    def cut_head(self) -> bytes:
        """The lines that are complete, or all of an unfinished start line, ended as a header section ends."""
        lines = bytes(self.data[: self.data.rfind(b"\n") + 1])
        return (lines or bytes(self.data) + b"\r\n") + b"\r\n"

    def head_end(self) -> int:
        """Bytes up to the end of the header section that starts here; -1: not complete."""
        end = head_end(self.data, self._seen)
        self._seen = max(len(self.data) - 3, 0)
        return end

    def may_be_message(self, direction: int) -> bool:
        """Whether what is there begins with a start line, or may once more has come."""
        whole = b"\n" in self.data
        pattern = _START_LINE[direction] if whole else _UNFINISHED_LINE[direction]
        return (pattern.match(self.data) if whole else pattern.fullmatch(self.data)) is not None

    def find_message(self, direction: int, after: int) -> int | None:
        """Stream offset of the first start line from `after` on; None: not there yet.

        Without one, bytes in which none can begin any more are dropped.
        """
        found = _found_line(direction).search(self.data, max(after - self.start, 0))
        if found is not None:
            return self.start + found.start(found.lastindex or 0)
        keep = max(self.data.rfind(b"\n"), len(self.data) - MAX_FOUND_LINE, 0)
        self.drop_before(self.start + keep)
        return None


@cache
def _found_line(direction: int) -> re.Pattern[bytes]:
    """What a search takes for a start line; the group that matched is where the message starts.

    A body without a line end may stand right before a known method. Made when something was lost: most captures never
    ask, and it takes as long to compile as to read a thousand packets.
    """
    if direction == FROM_SERVER:
        return re.compile(rb"(HTTP/1\.[0-9] [0-9]{3})[ \r\n]")
    return re.compile(
        rf"(?:(?<=\n)(?:{TOKEN_CHARACTER}*?({_METHODS})|({TOKEN}))|({_METHODS}))".encode()
        + rb" [!-~\x80-\xff]{1,8000} HTTP/1\.[0-9]\r?\n"
    )


def head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Where a header section ends, behind its empty line; lines may end with a bare LF (RFC 9112 section 2.2).

    -1 where there is no empty line from `start` on.
    """
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, end + 1 if end >= 0 else len(data))  # it may share its second line end
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1
