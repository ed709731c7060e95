"""Who asks an endpoint only to answer somebody else, and what is no proxy."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.endpoints import Endpoint
from inspector.findings.case import Case, Scene
from inspector.findings.fronts import find_fronts
from inspector.findings.judge import judge
from inspector.records.connection import Connection, End
from inspector.records.exchange import Request
from tests.findings.cases import opened
from tests.report.samples import capture, endpoint

CLIENT, PROXY_OUT = End("10.0.0.2", 40_000), End("10.0.1.254", 50_000)
SCENE = Scene(0, 0, True)


def asked(count: int, *, by: End, early_ms: float = 0, late_ms: float = 0, target: str = "/a") -> list[Connection]:
    """Requests of 10 ms, one a connection, every 100 ms; begun and answered so much earlier and later."""
    connections = [
        opened((100 * i + 10 - early_ms, 100 * i + 20 + late_ms), end_ms=100 * i + 50, client=by) for i in range(count)
    ]
    for connection in connections:
        request(connection).target = target
    return connections


def request(connection: Connection) -> Request:
    found = connection.exchanges[0].request
    assert found is not None
    return found


def fronts(outer: Sequence[Connection], inner: Sequence[Connection]) -> list[str | None]:
    """Whose proxy asks each of two endpoints."""
    cases = [
        Case(endpoint(ip=ip, port=8001), connections, SCENE)
        for ip, connections in (("10.0.0.254", outer), ("10.0.1.1", inner))
    ]
    find_fronts(cases)
    return [case.front for case in cases]


FRONT = str(Endpoint("10.0.0.254", 8001))


def test_requests_inside_those_of_another_host_are_sent_on() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1)
    assert fronts(outer, asked(5, by=PROXY_OUT)) == [None, FRONT]


def test_what_the_proxy_answers_by_itself_does_not_matter() -> None:
    outer = asked(9, by=CLIENT, early_ms=1, late_ms=1)
    assert fronts(outer, asked(3, by=PROXY_OUT)) == [None, FRONT]


def test_two_requests_may_be_chance() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1)
    assert fronts(outer, asked(2, by=PROXY_OUT)) == [None, None]


def test_one_host_asks_both() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1)
    assert fronts(outer, asked(5, by=CLIENT)) == [None, None]


def test_one_host_asks_both_beside_another() -> None:
    outer = [*asked(5, by=CLIENT, early_ms=1, late_ms=1), *asked(1, by=End("10.0.0.3", 40_000), target="/b")]
    assert fronts(outer, asked(5, by=CLIENT)) == [None, None]


def test_requests_to_one_server_lie_in_one_another_without_a_proxy() -> None:
    both = [*asked(1, by=CLIENT, early_ms=1, late_ms=5_000), *asked(20, by=PROXY_OUT)]
    assert fronts(both, asked(3, by=CLIENT, target="/b")) == [None, None]


def test_answers_that_come_later_are_no_answers_to_these() -> None:
    assert fronts(asked(5, by=CLIENT, early_ms=1, late_ms=-1), asked(5, by=PROXY_OUT)) == [None, None]


def test_other_targets_are_other_requests() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1, target="/b")
    assert fronts(outer, asked(5, by=PROXY_OUT)) == [None, None]


def test_one_of_five_with_another_origin_is_too_many() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1)
    inner = asked(5, by=PROXY_OUT)
    request(inner[0]).target = "/health"
    assert fronts(outer, inner) == [None, None]


def test_a_proxy_that_asks_for_closes_is_blamed_by_its_address() -> None:
    outer = asked(5, by=CLIENT, early_ms=1, late_ms=1)
    inner = [
        opened((100 * i + 10, 100 * i + 20), end_ms=100 * i + 21, by="server", said="client connection-close")
        for i in range(5)
    ]
    for connection in inner:
        connection.client, connection.server = PROXY_OUT, End("10.0.1.1", 8002)
    for connection in outer:
        connection.server = End("10.0.0.254", 8001)
    for i, connection in enumerate((*outer, *inner)):
        connection.id = i
    places = [endpoint(ip="10.0.0.254", port=8001), endpoint(ip="10.0.1.1", port=8002)]
    told = {finding.code: finding for finding in judge(capture(files=[]), places, [*outer, *inner])}
    finding = told["client-asked-close"]
    assert finding.title.startswith(
        "the proxy 10.0.0.254:8001 asks shop.test 10.0.1.1:8002 to close after each request"
    )
    assert finding.suspects == [], "User-Agent is its client's"
    assert finding.advice is not None
    assert "'connspect hops' shows both" in finding.advice
