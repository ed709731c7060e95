"""Captures without end: what is kept stays within its bounds, what is counted stays right."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench import day
from inspector import engine
from inspector.bounds import Bounds
from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.sources import memory
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import Talk, inspect, merged

SMALL = Bounds(
    history=50, exchanges=4, events=60, following=40, unanswered=20, remembered=30, endpoints=12, listed=5, measured=8
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the bounds every 64 packets."""
    monkeypatch.setattr(engine, "BATCH_BOUNDARY", 64)
    monkeypatch.setattr(memory, "BATCH_BOUNDARY", 64)
    monkeypatch.setattr(day, "BATCH_BOUNDARY", 64)
    monkeypatch.setattr(engine, "FOLDED_AFTER", 16)


def run(*talks: Talk, bounds: Bounds = SMALL, batch_rows: int = 4096, **options: Any) -> Inspection:
    inspector = Inspector(Options(bounds=bounds, **options))
    for batch in MemorySource(merged(*talks), batch_rows=batch_rows):
        inspector.feed(batch)
    return inspector.finish()


def short(number: int, **how: Any) -> Talk:
    return Talk(f"10.0.{number >> 8}.{number & 255}:{2000 + number}", start=number * 0.05, **how)


def items(inspector: Inspector) -> dict[str, int]:
    """How many entries there are in everything that an inspector holds, by type."""
    seen, waiting, count = set[int](), list[Any]([inspector]), dict[str, int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "function"):
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | array | np.ndarray) and not isinstance(one, np.generic):
            size = one.size if isinstance(one, np.ndarray) else len(one)
            count[type(one).__name__] = count.get(type(one).__name__, 0) + size
        waiting += gc.get_referents(one)
        # Records are unknown to the collector, and so is what only they hold.
        waiting += [getattr(one, name) for name in getattr(one, "__struct_fields__", ())]
    return count


def long_day(connections: int) -> Iterator[tuple[int, Inspector]]:
    """A day's connections, and the inspector from time to time."""
    inspector = Inspector(Options(bounds=SMALL))
    for batch in day.batches(day.Day(connections, scans_every=5)):
        inspector.feed(batch)
        yield inspector.connections, inspector


def test_nothing_grows_with_the_number_of_connections() -> None:
    most: list[dict[str, int]] = [{}, {}, {}]
    looked_at = 0
    for connections, inspector in long_day(6_000):
        if connections < looked_at:
            continue
        looked_at += 250
        third = most[min(connections // 2_000, 2)]
        for kind, count in items(inspector).items():
            third[kind] = max(third.get(kind, 0), count)
    _, second, last = most
    assert last.keys() == second.keys() >= {"dict", "list", "ndarray", "array"}
    for kind, count in last.items():
        assert count <= 1.1 * second[kind] + 100, kind


def test_what_is_kept_of_a_day() -> None:
    for _, inspector in long_day(4_000):
        assert len(inspector._connections) <= SMALL.history
        assert len(inspector._told_late) <= 2 * SMALL.remembered
        assert len(inspector._tracker._registry.live) <= SMALL.following + 64
        assert inspector._tracker._registry.table.count <= 2 * SMALL.remembered + SMALL.following + 64 + 64
        assert len(inspector._endpoints._sums) <= SMALL.endpoints + 16 + 64
    connections, inspection = inspector.connections, inspector.finish()
    history = inspection.capture.history
    assert history is not None
    listed = sum(endpoint.connections for endpoint in inspection.endpoints)
    assert listed + history.endpoint_connections == connections
    assert history.connections + len(inspection.connections) == connections
    assert history.kept == SMALL.history
    assert len(inspection.connections) <= SMALL.history + SMALL.following + 64
    servers = [endpoint for endpoint in inspection.endpoints if endpoint.port == 80]
    assert len(servers) == SMALL.endpoints, "a scanned port goes before one that answers"
    for server in servers:
        assert len(server.clients) <= SMALL.listed + 1 + 16 + 64
        assert sum(client.opened for client in server.clients) == server.opened
        assert sum(server.headers.response.keep_alive.values()) == server.requests


def test_the_last_ended_connections_are_kept() -> None:
    talks = [short(number).handshake().exchange().close() for number in range(30)]
    late = Talk("10.9.9.9:1", start=60).c("SYN")
    inspection = run(*talks, late, bounds=replace(SMALL, history=7))
    assert [connection.id for connection in inspection.connections] == [*range(23, 30), 30]
    (endpoint,) = inspection.endpoints
    assert (endpoint.connections, endpoint.requests) == (31, 30)
    assert inspection.capture.history is not None
    assert inspection.capture.history.connections == 23


@pytest.mark.parametrize("batch_rows", [1, 16, 4096])
def test_bounds_that_are_not_reached_change_nothing(batch_rows: int) -> None:
    talks = [short(number).handshake().exchange().wait(number % 7).close() for number in range(40)]
    open_ones = [Talk(f"10.1.0.1:{n}", start=n).handshake().exchange().wait(20 - n).c("ACK") for n in range(1, 9)]
    exact = inspect(*talks, *open_ones)
    bounded = run(*talks, *open_ones, bounds=Bounds(), batch_rows=batch_rows)
    assert bounded.connections == exact.connections
    assert bounded.endpoints == exact.endpoints
    assert bounded.anomalies == exact.anomalies
    assert exact.capture.history is None
    assert bounded.capture.history is not None
    assert bounded.capture.history.connections == 0


@pytest.mark.parametrize("batch_rows", [1, 16, 64])
def test_it_makes_no_difference_how_a_capture_is_cut(batch_rows: int) -> None:
    talks = [short(number).handshake().exchange().wait(number % 7).close() for number in range(200)]
    assert run(*talks, batch_rows=batch_rows) == run(*talks)


def test_folding_changes_only_medians_and_these_by_half_a_percent() -> None:
    talks = [
        short(number).handshake().exchange().wait(number % 11 + number / 7).close("server" if number % 3 else "client")
        for number in range(150)
    ]
    (exact,) = inspect(*talks).endpoints
    (folded,) = run(*talks, bounds=replace(Bounds(), measured=8, listed=200)).endpoints
    before, before_exact = folded.idle_before_close, exact.idle_before_close
    for mine, theirs in (
        (before.client, before_exact.client),
        (before.server, before_exact.server),
        (folded.handshake.tcp, exact.handshake.tcp),
    ):
        assert mine.median_ns == pytest.approx(theirs.median_ns, rel=0.005)
        mine.median_ns = theirs.median_ns
    assert folded == exact


@pytest.mark.parametrize("seed", range(8))
def test_the_most_at_one_time_is_exact(seed: int) -> None:
    """Also of connections that are open while others are folded, and of those that one side has closed."""
    random = np.random.default_rng(seed)
    talks = []
    for number in range(120):
        talk = Talk(f"10.0.0.1:{2000 + number}", start=float(random.uniform(0, 40))).handshake()
        talk.wait(float(random.exponential(6))).c("FIN ACK")
        if number % 4:
            talk.wait(float(random.exponential(6))).s("FIN ACK").c("ACK")
        talks.append(talk)
    (exact,), (folded,) = inspect(*talks).endpoints, run(*talks, bounds=Bounds()).endpoints
    assert folded.max_open_at_once == exact.max_open_at_once


def test_what_is_cut_from_a_list_is_counted_together() -> None:
    talks = []
    for number in range(60):
        name = b"h%d" % (number % 3 and number)
        said = b"GET / HTTP/1.1\r\nHost: %b\r\nUser-Agent: a%d\r\nConnection: c%d\r\n\r\n" % (name, number, number)
        talks.append(short(number).handshake().exchange(said).close())
    (endpoint,) = run(*talks, bounds=replace(SMALL, listed=3)).endpoints
    assert endpoint.name == "h0"
    assert sum(endpoint.names.values()) == 60
    assert endpoint.names["h0"] == 20
    assert endpoint.names["…"] >= 10
    others = [client for client in endpoint.clients if client.ip == "…"]
    assert [(client.user_agent, client.opened == client.requests) for client in others] == [(None, True)]
    assert sum(client.requests or 0 for client in endpoint.clients) == 60
    assert sum(endpoint.headers.request.connection.values()) == 60
    assert len(endpoint.headers.request.connection) < 60, "what came since the last time is there as it is"


def test_many_different_numbers_of_requests() -> None:
    talks = []
    for number in range(40):
        talk = short(number).handshake()
        for _ in range(number):
            talk.exchange()
        talks.append(talk.close())
    (exact,) = inspect(*talks).endpoints
    (endpoint,) = run(*talks, bounds=replace(Bounds(), counted=5)).endpoints
    assert endpoint.requests_per_connection == exact.requests_per_connection, "below a thousand nothing is rounded"


def test_connections_that_nobody_hears_of_are_given_up() -> None:
    quiet = [Talk(f"10.2.0.1:{number}", start=number * 0.01).handshake().exchange() for number in range(1, 61)]
    goes_on = Talk("10.3.0.1:1").handshake().exchange().wait(90)
    busy = [Talk(f"10.6.0.1:{n}", start=5 + n).handshake().wait(9).exchange().close() for n in range(100, 115)]
    goes_on.exchange()
    handed: list[int] = []
    inspection = run(*quiet, goes_on, *busy, on_connection=lambda connection: handed.append(connection.client.port))
    (endpoint,) = inspection.endpoints
    assert endpoint.still_open == 61 + 1, "the one that went on is there twice"
    assert endpoint.already_open == 1
    assert set(range(1, 61)) <= set(handed)
    assert inspection.anomalies == {}


def test_syns_that_nobody_answers() -> None:
    scan = [Talk(f"10.4.0.1:{2000 + number}", start=number * 0.01).c("SYN") for number in range(200)]
    answered = Talk("10.4.0.2:1", start=1.95).c("SYN").wait(0.01).s("SYN ACK").c("ACK")
    handed: list[str] = []
    inspection = run(*scan, answered, on_connection=lambda connection: handed.append(connection.opened.how))
    (endpoint,) = inspection.endpoints
    assert (endpoint.unanswered, endpoint.opened) == (200, 1)
    assert (handed.count("unanswered"), handed.count("handshake")) == (200, 1)
    assert len(inspection.connections) < 200


def test_late_segments_are_known_for_a_while() -> None:
    """Of what ended long ago nothing is remembered: its late segments begin a connection that was already open."""
    first = Talk("10.5.0.1:40001").handshake().exchange().close()
    others = [short(number).handshake().exchange().close() for number in range(1, 300)]
    last = Talk("10.5.0.2:40002", start=14).handshake().exchange().close()
    first.wait(17).s("ACK")
    last.wait(4).s("ACK")
    (endpoint,) = run(first, *others, last).endpoints
    assert (endpoint.opened, endpoint.already_open) == (301, 1)
    assert run(first, *others, last).anomalies == {"after_close": 1}


def test_a_log_of_events_keeps_the_last_ones() -> None:
    talks = [short(number).handshake().exchange().close() for number in range(30)]
    whole, bounded = inspect(*talks, options=Options(events=True)), run(*talks, events=True)
    assert whole.events[-60:] == bounded.events
    assert bounded.capture.history is not None
    assert bounded.capture.history.events == len(whole.events) - 60


def test_an_endpoint_that_is_quiet_goes_before_a_busy_one() -> None:
    def to(port: int, number: int, start: float) -> Talk:
        client = f"10.{number >> 8}.{number & 255}.1:{2000 + port}"
        return Talk(client, f"10.0.0.2:{port}", start=start).handshake().exchange().close()

    quiet = [to(port, port, port * 0.1) for port in range(1, 40)]
    busy = [to(80, number, 5 + number * 0.05) for number in range(100, 200)]
    inspection = run(*quiet, *busy)
    ports = [endpoint.port for endpoint in inspection.endpoints]
    assert 80 in ports
    assert len(ports) == SMALL.endpoints
    history = inspection.capture.history
    assert history is not None
    assert (history.endpoints, history.endpoint_connections) == (28, 28)


def test_a_snapshot_of_a_long_run_says_what_its_end_says() -> None:
    talks = [short(number).handshake().exchange().close() for number in range(150)]
    inspector = Inspector(Options(bounds=SMALL))
    for batch in MemorySource([*merged(*talks), *Talk("10.9.9.9:1", start=30).c("SYN").packets], batch_rows=64):
        inspector.feed(batch)
    snapshot = inspector.snapshot()
    (now,), (end,) = snapshot.endpoints, inspector.finish().endpoints
    assert now.connections == end.connections - 1 == 150
    assert now.idle_before_close == end.idle_before_close
    assert now.idle_before_close.client.n == 150
