"""Exchanges of two legs in, pairs out."""

from __future__ import annotations

from typing import Any

from inspector.hops.pairing import Pair, pair_one, pair_two, passings
from inspector.records.connection import Connection, End
from tests.report import samples

MS = samples.MS
PROXY, SERVER = End("10.0.0.254", 8001), End("10.0.1.1", 8002)


def connection(number: int, server: End, *exchanges: tuple[int, int, dict[str, Any]], ahead_ms: int = 0) -> Connection:
    """A connection to `server` with exchanges (asked, answered, in milliseconds; what the request says)."""
    return samples.connection(
        id=number,
        server=server,
        exchanges=[
            samples.exchange(
                i,
                samples.request(i, (asked + ahead_ms) * MS, **says),
                samples.response(i, (answered + ahead_ms) * MS),
            )
            for i, (asked, answered, says) in enumerate(exchanges)
        ],
    )


def told(pairs: list[Pair]) -> list[tuple[tuple[int, int], tuple[int, int], str]]:
    """Pairs as ((connection, exchange), (connection, exchange), by what)."""
    return [((d.connection.id, d.exchange.index), (u.connection.id, u.exchange.index), by) for d, u, by in pairs]


def test_one_capture_with_both_legs() -> None:
    legs = [
        connection(0, PROXY, (0, 10, {"target": "/a"}), (20, 30, {"target": "/b"})),
        connection(1, SERVER, (2, 8, {"target": "/a"}), (22, 28, {"target": "/b"})),
    ]
    paired = pair_one(passings(legs))
    assert paired.offset is None
    assert told(paired.pairs) == [((0, 0), (1, 0), "method and target"), ((0, 1), (1, 1), "method and target")]


def test_what_was_answered_before_it_was_asked_behind_is_no_pair() -> None:
    legs = [connection(0, PROXY, (0, 10, {})), connection(1, SERVER, (11, 12, {})), connection(2, SERVER, (5, 11, {}))]
    assert pair_one(passings(legs)).pairs == []


def test_the_same_server_is_no_next_hop() -> None:
    legs = [connection(0, PROXY, (0, 10, {})), connection(1, PROXY, (2, 8, {}))]
    assert pair_one(passings(legs)).pairs == []


def test_each_exchange_is_paired_once() -> None:
    legs = [
        connection(0, PROXY, (0, 20, {})),
        connection(1, PROXY, (1, 21, {})),
        connection(2, SERVER, (3, 10, {}), (11, 19, {})),
    ]
    assert told(pair_one(passings(legs)).pairs) == [
        ((0, 0), (2, 0), "method and target"),
        ((1, 0), (2, 1), "method and target"),
    ]


def test_two_proxies_in_a_row() -> None:
    second = End("10.0.1.254", 8002)
    legs = [
        connection(0, PROXY, (0, 20, {})),
        connection(1, second, (2, 18, {})),
        connection(2, SERVER, (4, 16, {})),
    ]
    assert [pair[:2] for pair in told(pair_one(passings(legs)).pairs)] == [((0, 0), (1, 0)), ((1, 0), (2, 0))]


def test_a_request_id_beats_a_target_and_survives_another_target() -> None:
    legs = [
        connection(0, PROXY, (0, 20, {"x_request_id": "one"}), (1, 21, {"x_request_id": "two"})),
        connection(1, SERVER, (3, 9, {"x_request_id": "two", "target": "/inside"}), (4, 10, {"x_request_id": "one"})),
    ]
    assert told(pair_one(passings(legs)).pairs) == [
        ((0, 0), (1, 1), "x-request-id"),
        ((0, 1), (1, 0), "x-request-id"),
    ]


def test_a_trace_id_survives_the_parent_that_each_hop_sets() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c"
    legs = [
        connection(0, PROXY, (0, 9, {"traceparent": f"{trace}-b7ad6b7169203331-01", "target": "/x"})),
        connection(1, SERVER, (3, 8, {"traceparent": f"{trace}-00f067aa0ba902b7-01", "target": "/y"})),
    ]
    assert told(pair_one(passings(legs)).pairs) == [((0, 0), (1, 0), "traceparent")]


def test_a_proxy_that_is_asked_with_the_whole_url() -> None:
    legs = [
        connection(0, PROXY, (0, 9, {"target": "http://shop.test/a"})),
        connection(1, SERVER, (3, 8, {"target": "/a"})),
    ]
    assert len(pair_one(passings(legs)).pairs) == 1


def test_two_captures_whose_clocks_are_90_s_apart() -> None:
    asked = [(0, 10), (25, 33), (47, 80), (100, 109)]
    downstream = [connection(0, PROXY, *((start, end, {}) for start, end in asked))]
    upstream = [connection(0, SERVER, *((start + 2, end - 3, {}) for start, end in asked), ahead_ms=90_000)]
    paired = pair_two(passings(downstream), passings(upstream))
    assert len(paired.pairs) == 4
    assert paired.offset is not None
    assert abs(paired.offset.ns + 90_000 * MS) <= paired.offset.error_ns <= 3 * MS
    assert paired.offset.votes == 4


def test_two_captures_that_have_nothing_in_common() -> None:
    paired = pair_two(
        passings([connection(0, PROXY, (0, 9, {"target": "/a"}))]),
        passings([connection(0, SERVER, (3, 8, {"target": "/b"}))]),
    )
    assert (paired.pairs, paired.offset) == ([], None)
