"""Proxies of which a capture has both sides: who asks an endpoint only to answer somebody else.

A request that a proxy sends on lies, in time, inside the one that it answers, and has the same method and target, but
comes from another host. Where nearly all requests to an endpoint do, its client is the proxy, and what such a client
says of itself (User-Agent) is only passed on. `connspect hops` compares the two sides; here it matters who is blamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from inspector.findings.case import Case

#: Requests of an endpoint that are looked for on others, of each of which so many are looked at: the first ones.
LOOKED_FOR, LOOKED_AT = 64, 4096
#: So many of them at least have to be found, and this part of all.
LEAST, SHARE = 3, 0.9

#: Who asked, when, and until when there was no answer.
_Span = tuple[str, int, int]


def find_fronts(cases: Sequence[Case]) -> None:
    """Fill in each case's `front`."""
    if len(cases) < 2 or len({connection.client.ip for case in cases for connection in case.opened}) < 2:
        return  # one host asks them all: nothing is sent on
    asked: dict[tuple[str | None, str | None], list[tuple[Case, _Span]]] = {}
    for case in cases:
        for key, span in islice(_answered(case), LOOKED_AT):
            asked.setdefault(key, []).append((case, span))
    for case in cases:
        looked_for = list(islice(_answered(case), LOOKED_FOR))
        found = Counter(
            outer.where
            for key, inner in looked_for
            for outer in {outer for outer, span in asked[key] if outer is not case and _lies_in(inner, span)}
        )
        for where, times in found.most_common(1):
            if times >= max(LEAST, SHARE * len(looked_for)):
                case.front = where


def _answered(case: Case) -> Iterator[tuple[tuple[str | None, str | None], _Span]]:
    """The requests that were answered, by method and target."""
    for connection in case.connections:
        for exchange in connection.exchanges:
            request, response = exchange.request, exchange.response
            if request is not None and response is not None:
                yield (request.method, request.target), (connection.client.ip, request.time_ns, response.time_ns)


def _lies_in(inner: _Span, outer: _Span) -> bool:
    return inner[0] != outer[0] and outer[1] <= inner[1] and inner[2] <= outer[2]
