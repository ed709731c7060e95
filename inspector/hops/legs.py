"""What a proxy makes of connections: both legs side by side, field by field.

A leg is one server socket's side: downstream the proxy's own, upstream that of the server behind it. For each pair of
sockets that requests were passed between, the fields that concern the connection (RFC 9110 section 7.6.1) are counted
as they came and as they went on: stripped, added, changed, or passed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from inspector.endpoints import Endpoint
from inspector.hops.pairing import Pair, Paired, pair_one, pair_two, passings
from inspector.inspection import Inspection
from inspector.records.connection import Closed, Connection, End, Side
from inspector.records.exchange import Exchange
from inspector.records.field import says
from inspector.records.finding import Finding

Message = Literal["request", "response"]
Verdict = Literal["passed on", "changed", "stripped", "added"]

#: A pair of sockets is believed without a request id when the proxy's address shows, or when so much of what the
#: upstream socket was asked is found inside what the downstream one was asked.
NESTED_SHARE = 0.8


class Field(Struct):
    """One field of messages, on both legs."""

    message: Annotated[Message, says("request or response.")]
    field: Annotated[str, says("Its name; version is the HTTP version.")]
    verdicts: Annotated[dict[Verdict, int], says("What the proxy did with it, and how often, the most first.")]
    downstream: Annotated[dict[str, int], says("Values between client and proxy; messages without it are not counted.")]
    upstream: Annotated[dict[str, int], says("Values between proxy and server.")]


class Reuse(Struct):
    """How a leg used its connections."""

    connections: Annotated[int, says("Connections that carried these requests.")]
    opened: Annotated[int, says("Of them opened in the capture.")]
    requests: Annotated[int, says("Requests on them.")]
    per_connection: Annotated[float, says("Requests a connection, on average.")]
    closed: Annotated[dict[str, int], says("Connections by who closed them (client, proxy, server), how, and why.")]


class Sample(Struct):
    """Where to look: one request on both legs."""

    connection: Annotated[int, says("Id of the connection between client and proxy.")]
    time_ns: Annotated[int, says("Time of the request there, since the Unix epoch.")]
    downstream: Annotated[int, says("Packet of the request between client and proxy.")]
    upstream: Annotated[int, says("Packet of the request between proxy and server, in its own capture.")]


class Legs(Struct):
    """Two sockets that requests are passed between."""

    downstream: Annotated[str, says("ip:port of the proxy, as its clients see it.")]
    upstream: Annotated[str, says("ip:port of the server behind it.")]
    paired_by: Annotated[dict[str, int], says("Pairs by what named the request.")]
    pairs: Annotated[int, says("Requests found on both legs.")]
    only_downstream: Annotated[int, says("Requests to the proxy that were not found behind it: answered by itself.")]
    only_upstream: Annotated[int, says("Requests to the server that were not found before the proxy.")]
    fields: Annotated[list[Field], says("What concerns the connection, field by field.")]
    downstream_reuse: Annotated[Reuse, says("Connections between client and proxy.")]
    upstream_reuse: Annotated[Reuse, says("Connections between proxy and server.")]
    samples: Annotated[list[Sample], says("The first pairs.")]


class Hops(Struct):
    """What two sides of a proxy show."""

    offset_ns: Annotated[int | None, says("Added to the upstream capture's clock; null with one capture.")]
    offset_error_ns: Annotated[int | None, says("It may be so much more or less.")]
    turned: Annotated[bool, says("Whether the captures were given upstream first.")]
    legs: Annotated[list[Legs], says("Pairs of sockets, those with most requests first.")]
    unreadable: Annotated[list[str], says("Sockets whose messages could not be read, being encrypted.")]
    findings: Annotated[list[Finding], says("What that means.")]


#: Who the ends of a leg's connections are.
_DOWNSTREAM: dict[Side, str] = {"client": "client", "server": "proxy"}
_UPSTREAM: dict[Side, str] = {"client": "proxy", "server": "server"}
#: Pairs that are named.
_SAMPLES = 6

_Get = Callable[[Exchange], str | None]


def _of_request(name: str) -> _Get:
    return lambda exchange: getattr(exchange.request, name, None)


def _of_response(name: str) -> _Get:
    return lambda exchange: getattr(exchange.response, name, None)


def _keep_alive(exchange: Exchange) -> str | None:
    value = exchange.response.keep_alive if exchange.response is not None else None
    if value is None:
        return None
    parts = (("timeout", value.timeout), ("max", value.max))
    return ", ".join(f"{name}={number}" for name, number in parts if number is not None) or "(empty)"


_FIELDS: tuple[tuple[Message, str, _Get], ...] = (
    ("request", "version", _of_request("version")),
    ("request", "Connection", _of_request("connection")),
    ("request", "Keep-Alive", _of_request("keep_alive")),
    ("request", "Proxy-Connection", _of_request("proxy_connection")),
    ("request", "TE", _of_request("te")),
    ("request", "Transfer-Encoding", _of_request("transfer_encoding")),
    ("request", "Upgrade", _of_request("upgrade")),
    ("response", "version", _of_response("version")),
    ("response", "Connection", _of_response("connection")),
    ("response", "Keep-Alive", _keep_alive),
    ("response", "Transfer-Encoding", _of_response("transfer_encoding")),
    ("response", "Via", _of_response("via")),
    ("response", "Server", _of_response("server")),
)
#: Counted by number: a proxy that counts down makes a value of its own for each message.
_COUNTING = frozenset({"Keep-Alive"})


def compare(first: Inspection, second: Inspection | None) -> Hops:
    """Both legs in one capture, or the capture of each, in either order."""
    turned = False
    if second is None:
        paired = pair_one(passings(first.connections))
        downstream = upstream = first
    else:
        sides = passings(first.connections), passings(second.connections)
        paired, other = pair_two(*sides), pair_two(*sides[::-1])
        downstream, upstream = first, second
        if len(other.pairs) > len(paired.pairs):
            turned, paired, downstream, upstream = True, other, second, first
    secret = {_socket(c.server) for c in (*downstream.connections, *upstream.connections) if c.protocol == "tls"}
    return Hops(
        offset_ns=paired.offset.ns if paired.offset is not None else None,
        offset_error_ns=paired.offset.error_ns if paired.offset is not None else None,
        turned=turned,
        legs=_legs(paired, downstream, upstream, same_capture=second is None),
        unreadable=sorted(secret),
        findings=[],
    )


def _legs(paired: Paired, downstream: Inspection, upstream: Inspection, *, same_capture: bool) -> list[Legs]:
    groups: dict[tuple[End, End], list[Pair]] = {}
    for pair in paired.pairs:
        groups.setdefault((pair.downstream.connection.server, pair.upstream.connection.server), []).append(pair)
    requests = _requests_by_server(downstream), _requests_by_server(upstream)
    found = []
    for (proxy, server), pairs in groups.items():
        if same_capture and not _is_believed(pairs, requests[1][server]):
            continue
        passed = sum(len(others) for (other, _), others in groups.items() if other == proxy)
        found.append(
            Legs(
                downstream=_socket(proxy),
                upstream=_socket(server),
                paired_by=dict(Counter(pair.by for pair in pairs)),
                pairs=len(pairs),
                only_downstream=requests[0][proxy] - passed,
                only_upstream=requests[1][server] - len(pairs),
                fields=_fields(pairs),
                downstream_reuse=_reuse([pair.downstream.connection for pair in pairs], _DOWNSTREAM),
                upstream_reuse=_reuse([pair.upstream.connection for pair in pairs], _UPSTREAM),
                samples=[_sample(pair) for pair in pairs[:_SAMPLES]],
            )
        )
    return sorted(found, key=lambda legs: -legs.pairs)


def _is_believed(pairs: Sequence[Pair], asked: int) -> bool:
    """Whether one asks the other, or they were only asked the same at the same time."""
    if any(pair.by != "method and target" for pair in pairs):
        return True
    if any(pair.upstream.connection.client.ip == pair.downstream.connection.server.ip for pair in pairs):
        return True
    return len(pairs) >= NESTED_SHARE * asked


def _requests_by_server(inspection: Inspection) -> Counter[End]:
    counts: Counter[End] = Counter()
    for connection in inspection.connections:
        counts[connection.server] += sum(exchange.request is not None for exchange in connection.exchanges)
    return counts


def _fields(pairs: Sequence[Pair]) -> list[Field]:
    fields = []
    for message, name, get in _FIELDS:
        values = [(get(pair.downstream.exchange), get(pair.upstream.exchange)) for pair in pairs]
        if not any(down or up for down, up in values):
            continue
        verdicts = Counter(_verdict(message, name, down, up) for down, up in values if down or up)
        sides = _counted(down for down, _ in values), _counted(up for _, up in values)
        fields.append(Field(message, name, dict(verdicts.most_common()), *sides))
    return fields


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(value for value in values if value).most_common())


def _verdict(message: Message, name: str, down: str | None, up: str | None) -> Verdict:
    came, went = (down, up) if message == "request" else (up, down)
    if came is None:
        return "added"
    if went is None:
        return "stripped"
    if name in _COUNTING or came.lower() == went.lower():
        return "passed on"
    return "changed"


def _reuse(carriers: Sequence[Connection], ends: dict[Side, str]) -> Reuse:
    """How these connections were used; `ends` names who is their client and their server here."""
    connections = {connection.id: connection for connection in carriers}.values()
    requests = sum(sum(e.request is not None for e in connection.exchanges) for connection in connections)
    return Reuse(
        connections=len(connections),
        opened=sum(connection.opened.how == "handshake" for connection in connections),
        requests=requests,
        per_connection=requests / len(connections),
        closed=dict(Counter(_why(connection.closed, ends) for connection in connections).most_common()),
    )


def _why(closed: Closed | None, ends: dict[Side, str]) -> str:
    """Who closed a connection how, and what had announced it."""
    if closed is None:
        return "still open"
    what = f"{ends[closed.by]} {closed.how.upper()}"
    if closed.announced is None:
        return what
    said = {"connection-close": "said close", "http/1.0": "spoke HTTP/1.0", "goaway": "sent GOAWAY"}
    why = said.get(closed.announced.how)
    return what if why is None else f"{what} ({ends[closed.announced.by]} {why})"


def _sample(pair: Pair) -> Sample:
    down, up = pair.downstream.exchange.request, pair.upstream.exchange.request
    assert down is not None
    assert up is not None
    return Sample(pair.downstream.connection.id, down.time_ns, down.packet, up.packet)


def _socket(end: End) -> str:
    return str(Endpoint(end.ip, end.port))
