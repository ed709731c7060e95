"""The book of a connection that may never end: the last exchanges as they are, those before them in the counts only.

Exchanges keep their numbers; events about those that are gone say nothing any more. A client that never closes, a
health check or a gRPC channel, would otherwise take more and more room.
"""

from __future__ import annotations

from msgspec.structs import replace

from inspector.bounds import Bounds
from inspector.events import Event, RequestFields, ResponseReceived, TrailersReceived, Upgraded
from inspector.records.exchange import Exchange, Request
from inspector.records.exchanges import ExchangeBook, LeftOut
from inspector.records.tally import fewer


class LongBook(ExchangeBook):
    """An ExchangeBook in bounded room."""

    __slots__ = ("_bounds", "_gone", "_left_out")

    def __init__(self, show_secrets: bool, bounds: Bounds) -> None:
        super().__init__(show_secrets)
        self._bounds = bounds
        self._gone = 0
        """Exchanges that are no longer listed: the first ones."""
        self._left_out = LeftOut()

    @property
    def left_out(self) -> LeftOut:
        return self._left_out

    def take(self, event: Event) -> None:
        """The next event of the connection."""
        exchange = getattr(event, "exchange", None) if self._gone else None
        if exchange is None or isinstance(event, Upgraded | TrailersReceived):
            super().take(event)
        elif exchange >= self._gone:
            super().take(replace(event, exchange=exchange - self._gone))
        elif isinstance(event, ResponseReceived):
            self.response_count += 1
        if len(self.exchanges) > self._bounds.exchanges:
            self._leave_out(self.exchanges.pop(0))
            del self._progress[0]
            self._gone += 1

    def _add(self, index: int, stream: int | None, request: Request | None) -> None:
        super()._add(index, stream, request)
        self.exchanges[-1].index = index + self._gone

    def _leave_out(self, exchange: Exchange) -> None:
        for say, message in (
            (self.left_out.requests_say, exchange.request),
            (self.left_out.responses_say, exchange.response),
        ):
            if message is not None and message.connection is not None:
                say[message.connection] = say.get(message.connection, 0) + 1
        self._cut()

    def _cut(self) -> None:
        """Keep what headers said in bounded room; twice of it, so that it is seldom done."""
        most, left_out = self._bounds.listed, self.left_out
        if len(left_out.requests_say) > 2 * most:
            left_out.requests_say = fewer(left_out.requests_say, most)
        if len(left_out.responses_say) > 2 * most:
            left_out.responses_say = fewer(left_out.responses_say, most)
        if self.responses_say_keep_alive is not None and len(self.responses_say_keep_alive) > 2 * most:
            self.responses_say_keep_alive = fewer(self.responses_say_keep_alive, most)

    def _name(self, fields: RequestFields) -> None:
        if len(self.names) < self._bounds.listed:
            super()._name(fields)
