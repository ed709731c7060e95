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
        self.waiting: list[Waiting] = []
        self._doubtful = 0
        self._pipelining = False

    def ask(self, fields: RequestFields) -> int:
        """A request came; the index of its exchange."""
        index = self.count
        self.count += 1
        self.waiting.append(Waiting(index, fields))
        if len(self.waiting) > MAX_WAITING:
            self._forget_oldest()
        return index

    def lost_request(self) -> None:
        """Bytes were lost in which at least one request began."""
        self.waiting.append(Waiting(None, None))
        if len(self.waiting) > MAX_WAITING:
            self._forget_oldest()
        self._doubtful = len(self.waiting)

    def lost_response(self) -> None:
        """Bytes were lost in which responses may have been."""
        self._doubtful = len(self.waiting)

    def next(self) -> Waiting | None:
        """The request that the next response answers; None where none waits."""
        if not self.waiting:
            return None
        return self.waiting[-1] if self._newest_is_meant() else self.waiting[0]

    def answer(self, final: bool) -> int:
        """A response to `next` came, the final one or an interim one; the index of its exchange."""
        waiting = self.waiting
        if final and not self._doubtful and len(waiting) == 1:
            index = waiting.pop().index
            if index is not None:
                return index
            self.count += 1
            return self.count - 1
        if not self._doubtful and len(waiting) > 1:
            self._pipelining = True
        request = self.next() or Waiting(None, None)
        if request.index is None:
            request.index = self.count
            self.count += 1
        if self._newest_is_meant():
            waiting.clear()
            self._doubtful = 0
        elif waiting:
            waiting.pop(0)
            self._doubtful -= bool(self._doubtful and final)
        if not final:
            waiting.insert(0, request)
        return request.index

    def tunnel_asked_for(self) -> bool:
        """Whether a CONNECT waits for its answer."""
        return any(request.fields is not None and request.fields.method == "CONNECT" for request in self.waiting)

    def _newest_is_meant(self) -> bool:
        return self._doubtful > 0 and not self._pipelining

    def _forget_oldest(self) -> None:
        self.waiting.pop(0)
        self._doubtful = min(self._doubtful, MAX_WAITING)
