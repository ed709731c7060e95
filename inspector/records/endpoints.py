"""From connections to endpoints: what all connections to one server ip and port add up to.

Each connection is added once it has ended: counted with those of its kind, and what cannot be added up (medians, the
most at one time) is kept as packed numbers, eight bytes each, and worked out at the end. Of a capture without end it is
folded from time to time: kinds become a tally, many numbers a spread, and the most at one time is worked out so far.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from operator import is_
from typing import NamedTuple

import numpy as np

from inspector.bounds import Bounds
from inspector.records.connection import Connection
from inspector.records.endpoint import (
    EndpointRecord,
    Handshakes,
    Headers,
    Idle,
    IdleBeforeClose,
    RequestHeaders,
    ResponseHeaders,
    TcpHandshakes,
    TlsHandshakes,
)
from inspector.records.exchange import Exchange
from inspector.records.exchanges import ExchangeBook
from inspector.records.spread import Spread
from inspector.records.tally import OPEN, OTHERS, Kind, Tally, by_count, fewer

#: Unanswered connections of an endpoint that are listed; further ones are only counted.
LISTED_UNANSWERED = 100_000
#: Connections that are added before everything is folded again.
FOLDED_AFTER = 16_384

#: By host and port.
Key = tuple[str, int]
#: When connections were opened, and closed; None: they are open.
Lives = Sequence[tuple[int, int | None]]
_FOREVER_NS = 1 << 62


class _Past(NamedTuple):
    """What was folded of one endpoint."""

    tally: Tally
    idle: Mapping[str, Spread]
    """Idle times before a close, by who closed."""
    handshakes: Spread
    tls_handshakes: Spread
    most_at_once: int


_NO_PAST = _Past(Tally(), {"client": Spread(), "server": Spread()}, Spread(), Spread(), 0)


class _Sums:
    """What is known of one endpoint so far."""

    __slots__ = (
        *(
            "active",
            "added",
            "ends",
            "first_packet",
            "handshakes",
            "idle",
            "ip",
            "kinds",
            "past",
            "port",
            "requests_say",
        ),
        *("responses_say", "responses_say_keep_alive", "starts", "tls_handshakes", "tls_resumed", "unanswered"),
    )

    def __init__(self, ip: str, port: int, first_packet: int) -> None:
        self.ip, self.port, self.first_packet = ip, port, first_packet
        self.added = 0
        """Connections that were added."""
        self.active = 0
        """How often everything had been folded when it was last seen that this endpoint has traffic."""
        self.past = _NO_PAST
        self.kinds: dict[Kind, int] = {}
        """Connections by kind, in the order of first appearance, as everything below: those that were not folded."""
        self.unanswered = 0
        self.starts, self.ends = array("q"), array("q")
        """When each connection was opened and closed."""
        self.idle = {"client": array("q"), "server": array("q")}
        self.handshakes = array("q")
        self.tls_handshakes = array("q")
        self.tls_resumed = 0
        self.requests_say: dict[str, int] = {}
        self.responses_say: dict[str, int] = {}
        self.responses_say_keep_alive: dict[str, int] = {}

    def copy(self) -> _Sums:
        """The same, to be added to."""
        other = _Sums(self.ip, self.port, self.first_packet)
        for name in self.__slots__:
            setattr(other, name, copy(getattr(self, name)))
        other.idle = {side: values[:] for side, values in self.idle.items()}
        return other


class Unfinished(NamedTuple):
    """A connection that is not over, as it is now."""

    record: Connection
    book: ExchangeBook | None


class _Recorded(NamedTuple):
    """An endpoint's record, and what it was made of."""

    added: int
    unfinished: list[Connection]
    record: EndpointRecord


class EndpointBook:
    """All endpoints of an inspection."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sums] = {}
        self._recorded: dict[tuple[str, int], _Recorded] = {}
        """What `so_far` said last."""
        self.unlisted = 0
        """Unanswered connections that are counted here and listed nowhere."""
        self.since_folded = 0
        """Connections that were added."""
        self._folded = 0
        """How often."""

    def add(self, connection: Connection, book: ExchangeBook | None) -> bool:
        """Count a connection; False when it is one too many of an endpoint's unanswered ones to be listed."""
        server = connection.server
        sums = self._sums.get((server.ip, server.port))
        if sums is None:
            sums = self._sums[server.ip, server.port] = _Sums(server.ip, server.port, connection.first_packet)
        _add(sums, connection, book)
        self.since_folded += 1
        if connection.opened.how == "unanswered":
            sums.unanswered += 1
            if sums.unanswered > LISTED_UNANSWERED:
                self.unlisted += 1
                return False
        return True

    def records(self) -> list[EndpointRecord]:
        """The endpoints, in order of their first packets."""
        return [_record(sums) for sums in sorted(self._sums.values(), key=lambda sums: sums.first_packet)]

    def so_far(self, unfinished: Iterable[Unfinished]) -> list[EndpointRecord]:
        """The endpoints with connections that are not over, in no order; the same record as last time where nothing
        has changed. The records of `unfinished` must be the same objects, too, while they say the same."""
        more: dict[tuple[str, int], list[Unfinished]] = {key: [] for key in self._sums}
        for one in unfinished:
            more.setdefault((one.record.server.ip, one.record.server.port), []).append(one)
        self._recorded = {key: self._so_far(key, unfinished) for key, unfinished in more.items()}
        return [recorded.record for recorded in self._recorded.values()]

    def fold(self, bounds: Bounds, going_on: Mapping[Key, Lives]) -> list[int]:
        """Keep no more than `bounds` of what was added. `going_on`: connections that were not added yet.

        Returns the connections of each endpoint that is let go."""
        self.since_folded = 0
        self._folded += 1
        for key, sums in self._sums.items():
            lives = going_on.get(key, ())
            if sums.kinds or lives:
                sums.active = self._folded
            if sums.kinds:
                _fold(sums, bounds, lives)
        if len(self._sums) <= bounds.endpoints:
            return []
        ranked = sorted(self._sums.items(), key=lambda item: (item[1].past.tally.answered, item[1].active))
        gone = ranked[: len(ranked) - bounds.endpoints]
        for key, _ in gone:
            del self._sums[key]
        return [sums.added for _, sums in gone]

    def _so_far(self, key: tuple[str, int], unfinished: list[Unfinished]) -> _Recorded:
        sums, before = self._sums.get(key), self._recorded.get(key)
        added, records = 0 if sums is None else sums.added, [one.record for one in unfinished]
        if before is not None and before.added == added and _same(before.unfinished, records):
            return before
        if unfinished:
            sums = _Sums(*key, records[0].first_packet) if sums is None else sums.copy()
            for one in unfinished:
                _add(sums, one.record, one.book)
        assert sums is not None
        return _Recorded(added, records, _record(sums))


def _same(before: list[Connection], now: list[Connection]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))


def _add(sums: _Sums, connection: Connection, book: ExchangeBook | None) -> None:
    """Count a connection."""
    how, closed = connection.opened.how, connection.closed
    sums.added += 1
    if connection.first_packet < sums.first_packet:
        sums.first_packet = connection.first_packet
    announced, estimate = closed.announced if closed is not None else None, connection.estimate
    kind = Kind(
        how,
        connection.protocol,
        connection.name,
        # A flood of SYNs from everywhere makes no list of clients.
        connection.client.ip if how == "handshake" or connection.requests else "",
        _agent(connection.exchanges),
        f"{closed.by}_{closed.how}" if closed is not None else None,
        (announced or closed).by if closed is not None else None,
        (announced.by, announced.how, closed.by, closed.how) if closed is not None and announced else None,
        connection.requests,
        estimate.exchanges if estimate is not None else None,
    )
    sums.kinds[kind] = sums.kinds.get(kind, 0) + 1
    if how in OPEN:
        _add_life(sums, connection)
    for exchange in connection.exchanges:
        request, response = exchange.request, exchange.response
        if request is not None and request.connection is not None:
            _count(sums.requests_say, request.connection, 1)
        if response is not None and response.connection is not None:
            _count(sums.responses_say, response.connection, 1)
    if book is not None:
        _add_said(sums, book)


def _add_said(sums: _Sums, book: ExchangeBook) -> None:
    """What messages said that is in no exchange."""
    if book.responses_say_keep_alive is not None:
        for value, times in book.responses_say_keep_alive.items():
            _count(sums.responses_say_keep_alive, value, times)
    left_out = book.left_out
    if left_out is not None:
        for value, times in left_out.requests_say.items():
            _count(sums.requests_say, value, times)
        for value, times in left_out.responses_say.items():
            _count(sums.responses_say, value, times)


def _agent(exchanges: list[Exchange]) -> str | None:
    """The User-Agent of a connection: of its first request."""
    for exchange in exchanges:
        if exchange.request is not None:
            return exchange.request.user_agent
    return None


def _add_life(sums: _Sums, connection: Connection) -> None:
    """From opening to close, and after how long idle."""
    closed = connection.closed
    sums.starts.append(connection.start_ns)
    sums.ends.append(closed.time_ns if closed is not None else connection.end_ns + 1)
    if connection.opened.handshake_ns is not None:
        sums.handshakes.append(connection.opened.handshake_ns)
    tls = connection.tls
    if tls is not None and tls.handshake_ns is not None:
        sums.tls_handshakes.append(tls.handshake_ns)
        sums.tls_resumed += tls.resumed is True
    if closed is not None and closed.idle_ns is not None:
        sums.idle[closed.by].append(closed.idle_ns)


def _count(counts: dict[str, int], what: str, times: int) -> None:
    counts[what] = counts.get(what, 0) + times


def _fold(sums: _Sums, bounds: Bounds, lives: Lives) -> None:
    """Add up what can be added up, in bounded room."""
    past = sums.past
    most = max(past.most_at_once, _most_at_once(sums.starts, sums.ends, lives))
    sums.past = _Past(
        past.tally.with_kinds(sums.kinds).cut(bounds),
        {side: _folded(spread, sums.idle[side], bounds.measured) for side, spread in past.idle.items()},
        _folded(past.handshakes, sums.handshakes, bounds.measured),
        _folded(past.tls_handshakes, sums.tls_handshakes, bounds.measured),
        most,
    )
    sums.kinds = {}
    sums.starts, sums.ends = array("q"), array("q")
    sums.requests_say = fewer(sums.requests_say, bounds.listed)
    sums.responses_say = fewer(sums.responses_say, bounds.listed)
    sums.responses_say_keep_alive = fewer(sums.responses_say_keep_alive, bounds.listed)


def _folded(spread: Spread, values: array[int], most: int) -> Spread:
    """The spread with these values, which are gone then, if they are more than may stay as they are."""
    if len(values) <= most:
        return spread
    spread = spread.with_values(values)
    del values[:]
    return spread


def _record(sums: _Sums) -> EndpointRecord:
    past = sums.past
    tally = past.tally.with_kinds(sums.kinds)
    hows, names = tally.hows, by_count(tally.names)
    return EndpointRecord(
        ip=sums.ip,
        port=sums.port,
        name=next((name for name in names if name != OTHERS), None),
        names=names,
        protocols=by_count(tally.protocols),
        clients=tally.client_list(),
        connections=sum(hows.values()),
        opened=hows.get("handshake", 0),
        already_open=hows.get("mid-stream", 0),
        refused=hows.get("refused", 0),
        unanswered=hows.get("unanswered", 0),
        half_open=hows.get("half-open", 0),
        closed=tally.closed_counts(),
        decided=tally.decided_counts(),
        announced=tally.announced_counts(),
        still_open=tally.opened - sum(tally.closed.values()),
        max_open_at_once=max(past.most_at_once, _most_at_once(sums.starts, sums.ends)),
        requests=tally.known_requests(),
        estimate=tally.estimate(),
        requests_per_connection=tally.per_connection(),
        idle_before_close=IdleBeforeClose(
            client=_idle(past.idle["client"], sums.idle["client"]),
            server=_idle(past.idle["server"], sums.idle["server"]),
        ),
        handshake=Handshakes(
            tcp=TcpHandshakes(
                past.handshakes.n + len(sums.handshakes),
                _median(past.handshakes, sums.handshakes),
            ),
            tls=TlsHandshakes(
                past.tls_handshakes.n + len(sums.tls_handshakes),
                _median(past.tls_handshakes, sums.tls_handshakes),
                sums.tls_resumed,
            ),
        ),
        headers=Headers(
            request=RequestHeaders(by_count(sums.requests_say)),
            response=ResponseHeaders(by_count(sums.responses_say), by_count(sums.responses_say_keep_alive)),
        ),
        pool=None,
    )


def median_ns(values: Iterable[int]) -> int:
    """The median, in whole nanoseconds; there must be one value at least."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def _median(spread: Spread, values: array[int]) -> int | None:
    """Of all, exact as long as nothing was folded."""
    if not spread.n:
        return median_ns(values) if values else None
    return spread.with_values(values).median()


def _idle(spread: Spread, values: array[int]) -> Idle:
    if not spread.n:
        return Idle(len(values), min(values, default=None), _median(spread, values), max(values, default=None))
    every = spread.with_values(values)
    return Idle(every.n, every.min, every.median(), every.max)


def _most_at_once(starts: array[int], ends: array[int], lives: Lives = ()) -> int:
    """The most connections open at one time; one that closes as another opens is not counted with it."""
    if not starts and not lives:
        return 0
    opened = [start_ns for start_ns, _ in lives]
    closed = [_FOREVER_NS if end_ns is None else end_ns for _, end_ns in lives]
    times = np.concatenate(
        [
            np.frombuffer(starts, np.int64),
            np.array(opened, np.int64),
            np.frombuffer(ends, np.int64),
            np.array(closed, np.int64),
        ]
    )
    change = np.repeat(np.array([1, -1]), len(starts) + len(opened))
    return int(np.cumsum(change[np.lexsort((change, times))]).max())
