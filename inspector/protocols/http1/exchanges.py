"""Which request a response answers: a queue, and a rule for what to believe after something was lost.

Without loss responses come in the order of the requests (RFC 9112 section 9.3.2): the oldest one waiting is answered.

A hole where a message might have begun makes every request that waits doubtful: its answer may have been in the hole.
A lost stretch of requests is remembered as one request that nobody saw. What the next response then answers depends on
the client. Hardly any client sends a request before the last one was answered; such a client has had its older answers,
so the newest request is meant and the doubtful ones before it stay unanswered. A client that was seen to pipeline (a
response without any doubt while two requests waited) gets the queue's order, as long as it lasts.
Either way one loss costs at most the exchanges that it touched, with a client that does not pipeline.
"""

from __future__ import annotations

from collections import deque

from inspector.events import RequestFields

#: Requests that may wait for an answer; beyond it (a capture without the server's direction) the oldest is forgotten.
MAX_WAITING = 1024


class Waiting:
    """A request that waits for its answer, or the place of one that was not seen."""

    __slots__ = ("fields", "index")

    def __init__(self, index: int | None, fields: RequestFields | None) -> None:
        self.index = index
        self.fields = fields


class Exchanges:
    """A connection's exchanges: their numbers, and the requests that wait."""

    __slots__ = ("_doubtful", "_pipelining", "count", "waiting")

    def __init__(self) -> None:
        self.count = 0
        """Exchanges so far: the next one's index."""
        self.waiting: deque[Waiting] = deque()
        self._doubtful = 0
        self._pipelining = False

    def ask(self, fields: RequestFields) -> int:
        """A request came; the index of its exchange."""
        index = self.count
        self.count += 1
        self._wait(Waiting(index, fields))
        return index

    def lost_request(self) -> None:
        """Bytes were lost in which at least one request began."""
        self._wait(Waiting(None, None))
        self._doubtful = len(self.waiting)

    def lost_response(self, begun: bool) -> None:
        """Bytes were lost in which responses may have been; `begun`: the oldest request's was, for certain."""
        if begun and self.waiting:
            self.waiting.popleft()
        self._doubtful = len(self.waiting)

    def next(self) -> Waiting | None:
        """The request that the response at hand answers; None where none waits."""
        waiting = self.waiting
        if self._doubtful:
            self._settle()
        elif len(waiting) > 1:
            self._pipelining = True
        return waiting[0] if waiting else None

    def unseen(self) -> int:
        """The response at hand answers no request that was seen: the index of its exchange."""
        if not self.waiting:
            self.waiting.append(Waiting(None, None))
        oldest = self.waiting[0]
        if oldest.index is None:
            oldest.index = self.count
            self.count += 1
        return oldest.index

    def answered(self) -> None:
        """The response at hand is the final one to `next`."""
        self.waiting.popleft()
        if self._doubtful:
            self._doubtful -= 1

    def tunnel_asked_for(self) -> bool:
        """Whether a CONNECT waits for its answer."""
        return any(request.fields is not None and request.fields.method == "CONNECT" for request in self.waiting)

    def _settle(self) -> None:
        """Decide which of the doubtful requests can still be answered."""
        if self._pipelining:
            return
        while len(self.waiting) > 1:
            self.waiting.popleft()
        self._doubtful = 0

    def _wait(self, request: Waiting) -> None:
        self.waiting.append(request)
        if len(self.waiting) > MAX_WAITING:
            self.waiting.popleft()
            self._doubtful = min(self._doubtful, MAX_WAITING)
