"""Proxies of which a capture has both sides: who asks an endpoint only to answer somebody else.

A request that a proxy sends on lies, in time, inside the one that it answers, and has the same method and target, but
comes from another host. Where nearly all requests to an endpoint do, its client is the proxy, and what such a client
says of itself (User-Agent) is only passed on. `connspect hops` compares the two sides; here it matters who is blamed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from inspector.findings.case import Case

#: Requests of an endpoint that are looked for on others, of each of which so many are looked at: the first ones.
LOOKED_FOR, LOOKED_AT = 64, 4096
#: So many of them at least have to be found, and this part of all.
LEAST, SHARE = 3, 0.9
#: Requests alike that are looked at for one: those that began last before it. More do not wait at once for an answer.
LOOKED_BACK = 256

#: When somebody asked, until when there was no answer, and who that was.
_Span = tuple[int, int, str]


def find_fronts(cases: Sequence[Case]) -> None:
    """Fill in each case's `front`."""
    if len(cases) < 2 or len({connection.client.ip for case in cases for connection in case.opened}) < 2:
        return  # one host asks them all: nothing is sent on
    asked: dict[tuple[str | None, str | None], list[tuple[_Span, str]]] = {}
    for case in cases:
        for key, span in islice(_answered(case), LOOKED_AT):
            asked.setdefault(key, []).append((span, case.where))
    for alike in asked.values():
        alike.sort()
    for case in cases:
        looked_for = list(islice(_answered(case), LOOKED_FOR))
        found = Counter(where for key, inner in looked_for for where in _around(inner, asked[key]) - {case.where})
        for where, times in found.most_common(1):
            if times >= max(LEAST, SHARE * len(looked_for)):
                case.front = where


def _answered(case: Case) -> Iterator[tuple[tuple[str | None, str | None], _Span]]:
    """The requests that were answered, by method and target."""
    for connection in case.connections:
        for exchange in connection.exchanges:
            request, response = exchange.request, exchange.response
            if request is not None and response is not None:
                yield (request.method, request.target), (request.time_ns, response.time_ns, connection.client.ip)


def _around(inner: _Span, alike: Sequence[tuple[_Span, str]]) -> set[str]:
    """Where others asked before, and were answered after; `alike` are sorted."""
    start_ns, end_ns, client = inner
    before = bisect_right(alike, start_ns, key=lambda one: one[0][0])
    near = alike[max(0, before - LOOKED_BACK) : before]
    return {where for (_, answered_ns, other), where in near if other != client and end_ns <= answered_ns}
