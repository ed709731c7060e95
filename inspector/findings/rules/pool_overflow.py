"""pool-overflow: a client opens more connections than its pool keeps, and throws the surplus away after one request.

The pattern: one request, closed by the client as soon as the response was there, while a connection of the same pool
lives on. A client without a pool looks different: there none lives on. Nor is it a pool where another program does
that, such as curl beside a session: programs are told apart by what they call themselves (User-Agent).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Annotated

from msgspec import Struct

from inspector.findings.advice import way
from inspector.findings.case import IDLE_LEAST_NS, Case
from inspector.findings.pool import PoolUse
from inspector.findings.rule import Rule, closes, closing, conclude
from inspector.findings.suspects import suspects
from inspector.findings.words import count, of_all
from inspector.records.connection import Connection
from inspector.records.field import says
from inspector.records.finding import Finding


class PoolOverflow(Struct):
    """What was measured."""

    kept: Annotated[int, says("Connections that lived on, and were used again or waited to be.")]
    surplus: Annotated[int, says("Connections that the client closed right after their one request.")]
    max_open_at_once: Annotated[int, says("Most connections that the client had open at one time.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    least: Annotated[int, says("So many surplus connections at least.")] = 2


LIMITS = Thresholds()


def surplus(case: Case, use: PoolUse) -> Sequence[Connection]:
    """The connections that a pool had no room for; none where it is another pattern."""
    if use.kind != "http/1" or use.opened < LIMITS.least + 1:
        return ()
    ended = {connection.id for connection in case.client_ended}
    thrown = [connection for connection in use.connections if connection.id in ended and _is_thrown_away(connection)]
    if len(thrown) < LIMITS.least:
        return ()
    numbers = {connection.id for connection in thrown}
    kept = [connection for connection in use.connections if connection.id not in numbers and _is_kept(connection)]
    found = [connection for agent in _agents(kept) for connection in _surplus(_of(agent, thrown), _of(agent, kept))]
    return sorted(found, key=lambda connection: connection.id) if len(found) >= LIMITS.least else ()


def _surplus(thrown: list[Connection], kept: Sequence[Connection]) -> list[Connection]:
    """Of one program: all that it threw away where most of it was beside one that lived on, else only those."""
    beside = list(_beside(thrown, kept))
    return thrown if 2 * len(beside) >= len(thrown) else beside


def _beside(thrown: Iterable[Connection], kept: Iterable[Connection]) -> Iterator[Connection]:
    """Those that were thrown away while one of the others lived on."""
    lives = sorted(_life(connection) for connection in kept)
    firsts = [first for first, _ in lives]
    latest = list(accumulate((last for _, last in lives), max))
    for connection in thrown:
        _, closed_ns = _life(connection)
        before = bisect_right(firsts, closed_ns)
        if before and latest[before - 1] > closed_ns:
            yield connection


def _agents(connections: Iterable[Connection]) -> set[str | None]:
    return {_agent(connection) for connection in connections}


def _of(agent: str | None, connections: Iterable[Connection]) -> list[Connection]:
    return [connection for connection in connections if _agent(connection) == agent]


def _agent(connection: Connection) -> str | None:
    """What the program calls itself: another program of the same address has a pool of its own."""
    request = connection.exchanges[0].request
    return None if request is None else request.user_agent


def _is_thrown_away(connection: Connection) -> bool:
    """Whether a connection that the client ended had carried one request, and might have gone on."""
    closed = connection.closed
    if closed is None or len(connection.exchanges) != 1:
        return False
    exchange = connection.exchanges[0]
    if not exchange.complete or exchange.response is None or exchange.response.persistent is False:
        return False
    asked = exchange.request is not None and exchange.request.persistent is False
    return not asked and closed.idle_ns is not None and closed.idle_ns < IDLE_LEAST_NS


def _is_kept(connection: Connection) -> bool:
    """Used again, or left waiting for that."""
    closed = connection.closed
    if len(connection.exchanges) > 1:
        return True
    return bool(connection.exchanges) and (closed is None or (closed.idle_ns or 0) >= IDLE_LEAST_NS)


def _life(connection: Connection) -> tuple[int, int]:
    """From its SYN to its close; a connection that is still open outlives all others."""
    return connection.start_ns, 1 << 63 if connection.closed is None else connection.closed.time_ns


def _judge(case: Case) -> Iterator[Finding]:
    if len(case.client_ended) < LIMITS.least:
        return
    for use in case.uses:
        thrown = surplus(case, use)
        if not thrown:
            continue
        numbers = {connection.id for connection in thrown}
        kept = sum(connection.id not in numbers and _is_kept(connection) for connection in use.connections)
        most = _most_at_once(use.connections)
        yield conclude(
            "pool-overflow",
            "warning",
            case,
            thrown,
            title=f"the client's pool for {case.place} is too small: {of_all(len(thrown), use.opened)} connections "
            "were thrown away after one request",
            how=f"up to {most:,} connections were open at once; {_lived(kept)}, the others were "
            "closed by the client right after their response",
            measured=PoolOverflow(kept, len(thrown), most),
            evidence=(closing(connection) for connection in thrown),
            clause=f"tcp.flags.syn == 1 || {closes(thrown)}",
            client=use.client,
            suspects=suspects(thrown, "client", "each"),
            advice=_advice(thrown, most),
        )


def _lived(kept: int) -> str:
    return f"{count(kept, 'connection')} lived on{', which seems to be its size' if kept else ''}"


def _advice(connections: Sequence[Connection], most: int) -> str:
    """How the client's pool is made so large, where one knows it."""
    setting = way(connections, "client", "pool", most)
    return f"let the pool keep {most:,} connections{', or let requests wait' if setting is None else f': {setting}'}"


def _most_at_once(connections: Sequence[Connection]) -> int:
    changes = sorted(change for c in connections for change in ((c.start_ns, 1), (_life(c)[1], -1)))
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


RULES = (
    Rule(
        code="pool-overflow",
        when="a client opens connections side by side, closes some of them right after one request, and keeps others",
        severity="warning",
        measured=PoolOverflow,
        thresholds=LIMITS,
        meaning="More requests run at once than the client's pool keeps connections. The pool opens further ones and "
        "throws them away when they come back, so that the next burst opens them anew.",
        example="urllib3's PoolManager(maxsize=1) under three threads: three connections, two of them closed after one "
        'request, and in the log "Connection pool is full, discarding connection".',
        advice="Make the pool as large as the number of requests that run at once, or let requests wait for a "
        "connection: in requests, HTTPAdapter(pool_maxsize=N, pool_block=True) for N threads.",
        judge=_judge,
    ),
)
