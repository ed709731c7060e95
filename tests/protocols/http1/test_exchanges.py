"""Which request a response answers."""

from __future__ import annotations

from inspector.protocols.http1.exchanges import MAX_WAITING, Exchanges
from inspector.protocols.http1.head import parse_request


def ask(exchanges: Exchanges, count: int = 1) -> None:
    parsed = parse_request(b"GET / HTTP/1.1\r\n\r\n")
    assert parsed is not None
    for _ in range(count):
        exchanges.ask(parsed.fields)


def answer(exchanges: Exchanges) -> tuple[int, bool]:
    """The exchange that the next response belongs to, and whether its request was seen."""
    request = exchanges.next()
    return exchanges.answer(True), request is not None and request.fields is not None


def test_in_order() -> None:
    exchanges = Exchanges()
    ask(exchanges, 3)
    assert [answer(exchanges) for _ in range(4)] == [(0, True), (1, True), (2, True), (3, False)]


def test_after_a_hole_the_newest_request_of_a_client_that_does_not_pipeline_is_answered() -> None:
    exchanges = Exchanges()
    ask(exchanges)
    exchanges.lost_response()
    ask(exchanges)
    assert answer(exchanges) == (1, True)
    ask(exchanges)
    assert answer(exchanges) == (2, True)


def test_a_request_nobody_saw_has_a_place_in_the_queue_of_a_client_that_pipelines() -> None:
    exchanges = Exchanges()
    ask(exchanges, 2)
    assert [answer(exchanges), answer(exchanges)] == [(0, True), (1, True)]
    exchanges.lost_request()
    ask(exchanges)
    assert [answer(exchanges), answer(exchanges)] == [(3, False), (2, True)]


def test_waiting_requests_are_bounded() -> None:
    exchanges = Exchanges()
    ask(exchanges, MAX_WAITING + 5)
    assert len(exchanges.waiting) == MAX_WAITING
    assert answer(exchanges) == (5, True)
    exchanges.lost_request()
    exchanges.lost_request()
    assert len(exchanges.waiting) == MAX_WAITING
