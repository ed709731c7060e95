"""Per host:port: how its connections began and ended, how much they were used, what both sides said about reuse.

A row an endpoint, those with most connections first. Where the rows do not fit the screen, host:port stands on a line
of its own above its figures. Below the rows: the Connection and Keep-Alive values of requests and responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from inspector.endpoints import Endpoint
from inspector.records.endpoint import EndpointRecord, Headers, Idle
from inspector.report import units
from inspector.report.layout import Cell, Column, Screen, blocks, fits, grid, hanging
from inspector.report.text import printable

#: The protocol of what could not be decrypted.
ENCRYPTED = "tls"
#: So many different numbers of requests on a connection are told one by one.
SHOWN_COUNTS = 3
#: Values of one header shown for an endpoint; JSON has all.
SHOWN_VALUES = 6
#: Characters of a value shown on a terminal.
_SHOWN_LENGTH = 30
#: The widest host:port that stands beside what its messages say; a wider one stands above it.
_LABEL = 22

_HOST = Column("host:port", breaks=True)
_OTHERS = Column("others", joint=", ", breaks=True)
_FIGURES = (
    Column("protocol", joint=", ", breaks=True),
    Column("opened", right=True),
    Column("open", right=True),
    Column("requests", right=True),
    Column("per connection", right=True, breaks=True),
    Column("closed by", breaks=True),
    Column("idle at close", breaks=True),
)
_NOTHING = [units.UNKNOWN]
#: Nothing is amiss where requests of HTTP/1.1 have no Connection: the connection is kept anyway.
_KEPT = " (HTTP/1.1 keeps it)"
_KEEP_ALIVE = re.compile(r"timeout=(\d{1,18}), *max=(\d{1,18})", re.IGNORECASE)


def endpoint_table(
    endpoints: Sequence[EndpointRecord], screen: Screen, most: int | None, all_names: bool = False
) -> Iterator[str]:
    """The rows and the header values of at most `most` endpoints (None: all), and how many were left out."""
    ranked = sorted(endpoints, key=lambda endpoint: -endpoint.connections)
    shown = ranked[:most]
    yield from _rows(shown, screen, all_names)
    if any(ENCRYPTED in endpoint.protocols for endpoint in shown):
        yield from hanging(
            " ",
            ["tls*: encrypted,", "requests behind ~ are estimates,", "--keylog FILE shows what is inside"],
            " ",
            screen,
        )
    if len(ranked) > len(shown):
        yield f" … and {len(ranked) - len(shown):,} more: -v lists them, --host and --port choose"
    talking = [endpoint for endpoint in shown if _talked_http1(endpoint)]
    width = max((len(_address(endpoint)) for endpoint in talking), default=0)
    for endpoint in talking:
        if screen.width is not None or endpoint is talking[0]:
            yield ""
        yield from _said(endpoint, width, screen)
    secured = [endpoint for endpoint in shown if endpoint.handshake.tls.n]
    if secured:
        yield ""
    for endpoint in secured:
        yield from hanging(f" {_address(endpoint)}   TLS handshakes  ", _handshakes(endpoint), ", ", screen)


def _rows(endpoints: Sequence[EndpointRecord], screen: Screen, all_names: bool) -> Iterator[str]:
    columns = [_HOST, *_FIGURES, _OTHERS]
    rows = [[host_words(endpoint, all_names), *_figures(endpoint), other_words(endpoint)] for endpoint in endpoints]
    telling = [i for i in range(len(columns)) if any(row[i] not in ([], _NOTHING) for row in rows)]
    columns, rows = [columns[i] for i in telling], [[row[i] for i in telling] for row in rows]
    yield from grid(columns, rows, screen) if fits(columns, rows, screen) else _two_storeys(columns, rows, screen)


def _two_storeys(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen) -> Iterator[str]:
    """host:port and how connections began otherwise on a line of its own, the figures below it."""
    figures = slice(1, -1 if columns[-1] is _OTHERS else None)
    titles, *lines = blocks(columns[figures], [row[figures] for row in rows], screen, indent=3)
    yield screen.dim(f" {_HOST.title}")
    yield from titles
    for row, below in zip(rows, lines, strict=True):
        others = row[-1] if columns[-1] is _OTHERS else []
        yield from hanging(" ", [*row[0], *(others and [f"  {', '.join(others)}"])], " ", screen)
        yield from below


def host_words(endpoint: EndpointRecord, all_names: bool = False) -> list[str]:
    """Its name, where it has one, and its address; of several names the most frequent and how many more, or all."""
    if endpoint.name is None or endpoint.name.strip("[]") == endpoint.ip:
        return [_address(endpoint)]
    further = len(endpoint.names) - 1
    if all_names and further > 0:
        *others, last = sorted(endpoint.names, key=lambda name: (name != endpoint.name, -endpoint.names[name]))
        return [*(f"{printable(name)}," for name in others), printable(last), _address(endpoint)]
    return [printable(endpoint.name) + (f" +{further}" if further > 0 else ""), _address(endpoint)]


def _address(endpoint: EndpointRecord) -> str:
    return str(Endpoint(endpoint.ip, endpoint.port))


def _figures(endpoint: EndpointRecord) -> list[list[str]]:
    return [
        protocol_words(endpoint.protocols),
        [f"{endpoint.opened:,}"],
        [f"{endpoint.still_open:,}"],
        [requests_text(endpoint)],
        per_connection_words(endpoint),
        closer_words(endpoint),
        idle_at_close_words(endpoint),
    ]


def _handshakes(endpoint: EndpointRecord) -> list[str]:
    tls = endpoint.handshake.tls
    return [f"{tls.n:,}", f"{tls.resumed:,} resumed", f"{units.duration(tls.median_ns)} (median)"]


def protocol_words(protocols: dict[str, int]) -> list[str]:
    """What was spoken, and how often where it is not always the same."""
    spoken = {"tls*" if name == ENCRYPTED else name: n for name, n in protocols.items() if name != "none"}
    if len(spoken) == 1:
        return list(spoken)
    return [units.times(name, n) for name, n in spoken.items()] or _NOTHING


def requests_text(endpoint: EndpointRecord) -> str:
    """Those seen, and behind ~ what encrypted connections may have had."""
    parts = [] if endpoint.requests is None else [f"{endpoint.requests:,}"]
    parts += [] if endpoint.estimate is None else [f"~{endpoint.estimate.exchanges:,}"]
    return " + ".join(parts) or units.UNKNOWN


def per_connection_words(endpoint: EndpointRecord, brief: bool = False) -> list[str]:
    """Requests per connection: each number with its connections, of many numbers the median and the range; unless
    `brief`, also how many connections are not among them."""
    figures = endpoint.requests_per_connection
    if figures.median is None or not endpoint.requests:
        return _NOTHING
    partial = 0 if brief else figures.partial
    rest = [f"{partial:,} not whole"] if partial else []
    if len(figures.histogram) > SHOWN_COUNTS:
        return [median_text(endpoint), f"({figures.min:,} – {figures.max:,}){',' if rest else ''}", *rest]
    if figures.min == figures.max and not rest:
        return [f"{figures.min:,}"]
    *words, last = [*(units.times(f"{int(n):,}", count) for n, count in figures.histogram.items()), *rest]
    return [*(f"{word}," for word in words), last]


def median_text(endpoint: EndpointRecord) -> str:
    """The median of requests per connection, as such."""
    median = endpoint.requests_per_connection.median
    return units.UNKNOWN if median is None else f"median {median:,.1f}".removesuffix(".0")


def closer_words(endpoint: EndpointRecord) -> list[str]:
    """Who closed and how, those apart that GOAWAY announced; the most first."""
    closed = endpoint.closed
    counts: dict[tuple[str, ...], int] = {
        ("server FIN",): closed.server_fin,
        ("server RST",): closed.server_rst,
        ("client FIN",): closed.client_fin,
        ("client RST",): closed.client_rst,
    }
    for said in endpoint.announced:
        if said.how == "goaway":
            counts[tuple(closer(said.closed_by, said.closed_how, None))] -= said.connections
            counts[tuple(closer(said.closed_by, said.closed_how, said.by))] = said.connections
    most_first = sorted(((who, n) for who, n in counts.items() if n), key=lambda item: -item[1])
    words = [word for who, n in most_first for word in (*who[:-1], units.times(who[-1], n) + ",")]
    return [*words[:-1], words[-1].removesuffix(",")] if words else _NOTHING


def closer(by: str, how: str, goaway_by: str | None) -> list[str]:
    """Who closed a connection and how, and whether after a GOAWAY of its own or of the other side."""
    if goaway_by is None:
        return [f"{by} {how.upper()}"]
    return [by, f"{how.upper()}+GOAWAY"] if by == goaway_by else [f"{by} {how.upper()}", "on GOAWAY"]


def idle_at_close_words(endpoint: EndpointRecord) -> list[str]:
    """How long connections were idle before their close, by who closed where both did."""
    before = endpoint.idle_before_close
    sides = [(side, idle) for side, idle in (("server", before.server), ("client", before.client)) if idle.n]
    sides.sort(key=lambda item: -item[1].n)
    if len(sides) < 2:
        return _idle_words(sides[0][1]) if sides else _NOTHING
    (first, longer), (second, shorter) = sides
    *words, last = _idle_words(longer)
    return _named(first, [*words, last + ","]) + _named(second, _idle_words(shorter))


def _idle_words(idle: Idle) -> list[str]:
    return units.spread(idle.median_ns, idle.min_ns, idle.max_ns)


def _named(side: str, words: list[str]) -> list[str]:
    return [f"{side} {words[0]}", *words[1:]]


def other_words(endpoint: EndpointRecord) -> list[str]:
    """How its other connections began."""
    counts = {
        "already open": endpoint.already_open,
        "refused": endpoint.refused,
        "unanswered": endpoint.unanswered,
        "half-open": endpoint.half_open,
    }
    return [units.times(what, n) for what, n in counts.items() if n]


def _talked_http1(endpoint: EndpointRecord) -> bool:
    """Whether messages were seen in which Connection means something."""
    answered = endpoint.headers.response.connection or endpoint.headers.response.keep_alive
    messages = bool(endpoint.requests or answered)
    return messages and any(protocol.startswith("http/1") for protocol in endpoint.protocols)


def _said(endpoint: EndpointRecord, width: int, screen: Screen) -> Iterator[str]:
    """What its requests and responses say; in a pipe each line names the endpoint."""
    address = _address(endpoint)
    label = address.ljust(min(width, _LABEL))
    again = " " * len(label) if screen.width is not None else label
    if screen.width is not None and len(address) > _LABEL:
        yield f" {address}"
        label = again = " " * 3
    yield from hanging(f" {label}   requests say   ", request_words(endpoint, screen), "    ", screen)
    yield from hanging(f" {again}   responses say  ", response_words(endpoint.headers, screen), "    ", screen)


def request_words(endpoint: EndpointRecord, screen: Screen) -> list[str]:
    """What requests say about the connection."""
    values = endpoint.headers.request.connection
    absent = (endpoint.requests or 0) - sum(values.values())
    words = _values("Connection", values, screen)
    if absent > 0:
        spoken = {name for name in endpoint.protocols if name != "none"}
        words.append(units.times(f"no Connection{_KEPT if spoken == {'http/1.1'} else ''}", absent))
    return words or [units.UNKNOWN]


def response_words(headers: Headers, screen: Screen) -> list[str]:
    """What responses say about the connection."""
    said = headers.response
    words = _values("Connection", said.connection, screen)
    words += _values("Keep-Alive", _merged(said.keep_alive), screen)
    return words or ["no Connection, no Keep-Alive"]


def _values(name: str, counts: dict[str, int], screen: Screen) -> list[str]:
    most_first = sorted(counts.items(), key=lambda item: -item[1])
    words = [units.times(f"{name}: {_short(value, screen)}", n) for value, n in most_first[:SHOWN_VALUES]]
    rest = most_first[SHOWN_VALUES:]
    if rest:
        words.append(f"{name}: {units.plural(len(rest), 'further value')} ×{sum(n for _, n in rest):,}")
    return words


def _short(value: str, screen: Screen) -> str:
    """The value; on a terminal no more of it than finds room there."""
    shown = printable(value)
    return shown if screen.width is None or len(shown) <= _SHOWN_LENGTH else shown[: _SHOWN_LENGTH - 1] + "…"


def _merged(keep_alive: dict[str, int]) -> dict[str, int]:
    """Values that differ only in a `max` that counts down (Apache's) taken together: "timeout=5, max=100 … 76"."""
    ranges: dict[str, list[int]] = {}
    merged: dict[str, int] = {}
    for value, n in keep_alive.items():
        match = _KEEP_ALIVE.fullmatch(value)
        if match is None:
            merged[value] = merged.get(value, 0) + n
            continue
        timeout, most = match[1], int(match[2])
        low, high, count = ranges.get(timeout, (most, most, 0))
        ranges[timeout] = [min(low, most), max(high, most), count + n]
    for timeout, (low, high, count) in ranges.items():
        value = f"timeout={timeout}, max={high}" + (f" … {low}" if low < high else "")
        merged[value] = merged.get(value, 0) + count
    return merged
