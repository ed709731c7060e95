"""The same request on both legs: paired by what names it, within the time that it took.

What names a request is its X-Request-Id, or the trace id of its traceparent (W3C Trace Context), else method and
target. A pair has to nest: the proxy asks after it was asked, and answers after it was answered. Every exchange is
paired at most once as the downstream one and once as the upstream one, in the order of time; of several upstream ones
that nest, the first is the next hop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from inspector.hops.clocks import Offset, offset
from inspector.records.connection import Connection
from inspector.records.exchange import Exchange

By = Literal["x-request-id", "traceparent", "method and target"]

#: Candidates that are looked at for one name; further ones of the same name vote on no offset.
MAX_CANDIDATES = 64


class Passing(NamedTuple):
    """An exchange as it passed one place."""

    connection: Connection
    exchange: Exchange
    start_ns: int
    """Its request had come."""
    end_ns: int
    """Its response had begun; the start where there was none."""


class Pair(NamedTuple):
    """One request, before and behind the proxy."""

    downstream: Passing
    upstream: Passing
    by: By


@dataclass(slots=True, frozen=True)
class Paired:
    """All pairs of two captures."""

    pairs: list[Pair]
    offset: Offset | None
    """None where both sides are in one capture."""


def passings(connections: Iterable[Connection]) -> list[Passing]:
    """All exchanges with a request, by the time of the request."""
    found = []
    for connection in connections:
        for exchange in connection.exchanges:
            request, response = exchange.request, exchange.response
            if request is not None:
                end_ns = request.time_ns if response is None else response.time_ns
                found.append(Passing(connection, exchange, request.time_ns, max(end_ns, request.time_ns)))
    return sorted(found, key=lambda passing: (passing.start_ns, passing.connection.id, passing.exchange.index))


def pair_two(downstream: Sequence[Passing], upstream: Sequence[Passing]) -> Paired:
    """The exchanges of two captures, whose clocks may differ."""
    by_name = _by_name(upstream)
    intervals = []
    for passing in downstream:
        for by, name in _names(passing):
            candidates = by_name.get((by, name), [])
            intervals += [
                (passing.start_ns - other.start_ns, passing.end_ns - other.end_ns)
                for other in candidates[:MAX_CANDIDATES]
            ]
            if candidates:
                break
    found = offset(intervals)
    if found is None:
        return Paired([], None)
    # Pairs that just touch the offset's interval must not fail for its rounding.
    return Paired(_nested(downstream, by_name, found.ns, found.error_ns), found)


def pair_one(seen: Sequence[Passing]) -> Paired:
    """The exchanges of one capture that has both legs."""
    return Paired(_nested(seen, _by_name(seen), 0, 0), None)


def _nested(
    downstream: Sequence[Passing],
    by_name: dict[tuple[By, str], list[Passing]],
    shift_ns: int,
    tolerance_ns: int,
) -> list[Pair]:
    """Pairs whose upstream exchange lies within the downstream one; `downstream` in order of time."""
    pairs = []
    taken: set[tuple[int, int]] = set()
    for passing in downstream:
        for by, name in _names(passing):
            candidates = by_name.get((by, name), ())
            first = bisect_left(candidates, passing.start_ns - shift_ns - tolerance_ns, key=lambda one: one.start_ns)
            other = _first_inside(passing, candidates[first:], taken, shift_ns, tolerance_ns)
            if other is not None:
                taken.add((other.connection.id, other.exchange.index))
                pairs.append(Pair(passing, other, by))
                break
    return pairs


def _first_inside(
    passing: Passing, candidates: Sequence[Passing], taken: set[tuple[int, int]], shift_ns: int, tolerance_ns: int
) -> Passing | None:
    """The first candidate that was asked and answered while this one waited, to another server."""
    for other in candidates:
        if other.start_ns + shift_ns > passing.end_ns + tolerance_ns:
            return None
        if (
            other.end_ns + shift_ns <= passing.end_ns + tolerance_ns
            and (other.connection.id, other.exchange.index) not in taken
            and other.connection is not passing.connection
            and other.connection.server != passing.connection.server
        ):
            return other
    return None


def _by_name(seen: Sequence[Passing]) -> dict[tuple[By, str], list[Passing]]:
    """By each of their names, in order of time."""
    named: dict[tuple[By, str], list[Passing]] = {}
    for passing in seen:
        for name in _names(passing):
            named.setdefault(name, []).append(passing)
    return named


def _names(passing: Passing) -> list[tuple[By, str]]:
    """What names the request, the surest first."""
    request, response = passing.exchange.request, passing.exchange.response
    assert request is not None
    names: list[tuple[By, str]] = []
    told = request.x_request_id or (response.x_request_id if response is not None else None)
    if told:
        names.append(("x-request-id", told))
    if request.traceparent and request.traceparent.count("-") >= 3:
        names.append(("traceparent", request.traceparent.split("-")[1]))
    if request.method and request.target:
        names.append(("method and target", f"{request.method} {_path(request.target)}"))
    return names


def _path(target: str) -> str:
    """The target as an origin server is asked for it: a proxy is asked with the whole URL (RFC 9112 section 3.2.2)."""
    if not target.startswith(("http://", "https://")):
        return target
    parts = urlsplit(target)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
