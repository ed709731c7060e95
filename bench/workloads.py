"""The workloads: which connections there are, between whom, and what happens on each.

A workload is a list of *workers*; each plays its scripts one after the other, as a client with a pool of that size
does, and the workers run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from bench.conversation import Close, Exchange, Script
from bench.endpoint import Stack
from bench.messages import Request, Response
from bench.network import MILLISECOND, NANOSECONDS, Path

#: What a working network does to packets; the workloads take it unless told otherwise.
REAL = Path(loss_before=0.0005, loss_behind=0.0005, reorder=0.001, duplicate=0.0002)
CONCURRENCY = 20

Scripts = Iterator[Script]


@dataclass(frozen=True, slots=True)
class Workload:
    """What the generator plays."""

    workers: list[Scripts]
    client_hosts: int = 1
    ipv6: bool = False
    """Every fourth worker uses IPv6."""
    scatter_start_ns: int = 5 * MILLISECOND
    """Workers start within this time of one another."""


def _get(target: str, size: int, random: Random, version: str = "1.1", connection: str | None = None) -> Exchange:
    request = Request(target=target, version=version, connection=connection)
    keep = "close" if connection == "close" or (version == "1.0" and connection is None) else "keep-alive"
    response = Response(body_bytes=size, connection=keep)
    return Exchange(request, response, think_ns=int(random.expovariate(1 / MILLISECOND)))


def _share(count: int, workers: int) -> list[int]:
    return [count // workers + (1 if worker < count % workers else 0) for worker in range(workers)]


def short(count: int, random: Random) -> Workload:
    """`count` connections with one HTTP/1.0 request each, as ApacheBench makes them; the server closes."""

    def scripts(connections: int) -> Scripts:
        for number in range(connections):
            exchange = _get(f"/small-{number % 50}.html", 1376, random, version="1.0")
            yield Script((exchange,), Close(answer_ns=int(random.expovariate(1 / MILLISECOND))))

    return Workload([scripts(share) for share in _share(count, CONCURRENCY)])


def keep(count: int, random: Random) -> Workload:
    """`count` requests, a hundred to a connection, which the client then closes."""

    def scripts(requests: int) -> Scripts:
        while requests > 0:
            size = min(100, requests)
            requests -= size
            exchanges = tuple(_get(f"/item/{n}", 900 + 17 * n, random) for n in range(size))
            yield Script(exchanges, Close(by="client", idle_ns=int(random.uniform(0, 50 * MILLISECOND))))

    return Workload([scripts(share) for share in _share(count, CONCURRENCY)])


def bulk(count: int, random: Random) -> Workload:
    """`count` downloads of 10 MB over four connections; one client reads slower than the network is."""

    def scripts(downloads: int, stack: Stack) -> Scripts:
        exchanges = tuple(_get(f"/{n}.iso", 10_000_000, random) for n in range(downloads))
        if exchanges:
            yield Script(exchanges, Close(by="client"), client_stack=stack)

    fast, slow = Stack(), Stack(receive_buffer=262_144, read_bytes_per_second=20_000_000)
    shares = _share(count, 4)
    return Workload([scripts(share, slow if worker == 0 else fast) for worker, share in enumerate(shares)])


def idle(count: int, random: Random) -> Workload:
    """`count` keep-alive connections: two requests, then silence until the server's 75 s, the client's 15 s, or never;
    half of them with keep-alive probes, a third with a client that leaves the FIN unanswered."""

    def script(number: int) -> Script:
        exchanges = tuple(
            replace(_get(f"/page/{n}", 2000, random), pause_ns=int(random.uniform(0, 2 * NANOSECONDS))) for n in (1, 2)
        )
        closes = (
            Close("server", "fin", 75 * NANOSECONDS, answer_ns=None),
            Close("client", "fin", 15 * NANOSECONDS),
            Close("server", "fin", 75 * NANOSECONDS, answer_ns=3 * NANOSECONDS),
            None,
        )
        return Script(exchanges, closes[number % 4], probe_every_ns=10 * NANOSECONDS if number % 2 else None)

    return Workload(
        [iter([script(number)]) for number in range(count)], client_hosts=4, scatter_start_ns=30 * NANOSECONDS
    )


def mixed(count: int, random: Random) -> Workload:
    """`count` connections of every kind that the other workloads have, and of the kinds that go wrong."""

    def scripts(connections: int, worker: int) -> Scripts:
        for number in range(connections):
            yield _KINDS[(number * CONCURRENCY + worker) % len(_KINDS)](random)

    shares = _share(count, CONCURRENCY)
    workers = [scripts(share, worker) for worker, share in enumerate(shares)]
    return Workload(workers, client_hosts=5, ipv6=True)


def _one_request(random: Random) -> Script:
    return Script((_get("/", random.randrange(20_000), random, connection="close"),))


def _kept_alive(random: Random) -> Script:
    exchanges = tuple(_get(f"/{n}", random.randrange(6000), random) for n in range(random.randrange(2, 20)))
    return Script(exchanges, Close(by=random.choice(("client", "server")), idle_ns=NANOSECONDS))


def _pipelined(random: Random) -> Script:
    return Script(tuple(_get(f"/pipe/{n}", 700, random) for n in range(5)), Close(by="client"), pipelined=True)


def _chunked(random: Random) -> Script:
    response = Response(body_bytes=random.randrange(1, 30_000), framing="chunked", connection="keep-alive")
    return Script((Exchange(Request(target="/chunked"), response),) * 3, Close(by="client"))


def _ends_with_connection(random: Random) -> Script:
    response = Response(version="1.0", body_bytes=random.randrange(50_000), framing="close")
    return Script((Exchange(Request(target="/old", version="1.0"), response),))


def _head_and_empty(random: Random) -> Script:
    exchanges = (
        Exchange(Request(method="HEAD"), Response(body_bytes=5000, head_only=True)),
        Exchange(Request(method="DELETE", target="/1"), Response(status=204)),
        Exchange(Request(target="/cached"), Response(status=304)),
    )
    return Script(exchanges, Close(by="server", idle_ns=5 * NANOSECONDS, answer_ns=random.choice((0, None))))


def _upload(random: Random) -> Script:
    request = Request(method="POST", target="/upload", body_bytes=random.randrange(1, 60_000), connection="keep-alive")
    response = Response(body_bytes=20, connection="keep-alive", keep_alive="timeout=5, max=99", interim=100)
    return Script((Exchange(request, response),), Close(by="server", idle_ns=5 * NANOSECONDS))


def _reset(random: Random) -> Script:
    return Script((_get("/reset", 3000, random),), Close(by=random.choice(("client", "server")), how="rst"))


def _unanswered_request(random: Random) -> Script:
    return Script((_get("/first", 100, random), Exchange(Request(target="/lost"), None)), Close(by="server"))


def _still_open(random: Random) -> Script:
    return Script((_get("/open", 100, random),), None)


def _never_used(random: Random) -> Script:
    return Script((), Close(by=random.choice(("client", "server")), idle_ns=2 * NANOSECONDS))


def _not_opened(random: Random) -> Script:
    return Script(opening=random.choice(("refused", "unanswered", "half-open")), client_stack=Stack(syn_retries=2))


_KINDS: tuple[Callable[[Random], Script], ...] = (
    _one_request,
    _kept_alive,
    _pipelined,
    _chunked,
    _ends_with_connection,
    _head_and_empty,
    _upload,
    _reset,
    _unanswered_request,
    _still_open,
    _never_used,
    _not_opened,
)

#: Name of each workload, and what it is made by from a count and a random source.
WORKLOADS: dict[str, Callable[[int, Random], Workload]] = {
    "short": short,
    "keep": keep,
    "bulk": bulk,
    "mixed": mixed,
    "idle": idle,
}
