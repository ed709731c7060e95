"""Laws of the HTTP/1 decoder: cutting is invisible, nothing raises, and after a loss messages are found again."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from inspector.events import MessageEnded, RequestReceived, ResponseReceived
from tests.protocols.http1.playbook import Conversation, Step, client, server

REQUESTS = [
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /2 HTTP/1.0\nHost: a\n\n",
    b"\r\nPOST /3 HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET / HTT",
    b"PUT /4 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"POST /5 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"odd /6 HTTP/1.1\r\nConnection:\r\n close\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n",
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n",
]
RARE = [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil close",
    b"\r",
    b"\n\xff",
    b"GE",
    b"T /",
    b"HTTP/1.",
    b"1 200 ",
    b"garbage\n",
    b"Content-Length: 3\r\n",
    b"0\r\n",
    b"\r\n\r\n",
]

directions = st.sampled_from([FROM_CLIENT, FROM_SERVER])


def steps_of(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds(Step, directions, data),
        st.builds(Step, directions, data),
        st.builds(Step, directions, st.just(b""), st.integers(1, 40)),
    )


likely = st.one_of(
    st.builds(Step, st.just(FROM_CLIENT), st.sampled_from(REQUESTS)),
    st.builds(Step, st.just(FROM_SERVER), st.sampled_from(RESPONSES)),
    steps_of(st.sampled_from(RARE)),
)
endings = st.builds(Step, directions, st.just(b""), st.just(0), st.sampled_from(Ending))


@settings(max_examples=300)
@given(st.lists(likely, max_size=12), endings, st.frozensets(st.integers(1, 80)))
def test_cutting_changes_nothing(steps: list[Step], ending: Step, cuts: frozenset[int]) -> None:
    def cut(data: bytes) -> list[bytes]:
        ends = [*sorted(at for at in cuts if at < len(data)), len(data)]
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    whole, pieces = Conversation(), Conversation()
    whole.play([*steps, ending])
    pieces.play([*steps, ending], cut)
    assert pieces.lines() == whole.lines()
    assert pieces.events == whole.events
    for attribute in ("protocol", "application_packet", "application_ns", "skip_until"):
        assert getattr(pieces.decoder, attribute) == getattr(whole.decoder, attribute)


@given(st.lists(steps_of(st.binary(min_size=1, max_size=300)), max_size=20), endings)
def test_random_bytes_never_raise(steps: list[Step], ending: Step) -> None:
    conversation = Conversation()
    conversation.play([*steps, ending])
    assert not [event for event in conversation.events if isinstance(event, RequestReceived | ResponseReceived)]


@given(st.lists(likely, max_size=30))
def test_every_message_ends_once_and_exchanges_are_numbered_in_order(steps: list[Step]) -> None:
    conversation = Conversation()
    conversation.play([*steps, Step(0, ending=Ending.CAPTURE), Step(1, ending=Ending.CAPTURE)])
    begun = [(0, e.exchange) for e in conversation.events if isinstance(e, RequestReceived)]
    begun += [(1, e.exchange) for e in conversation.events if isinstance(e, ResponseReceived)]
    ended = [(e.direction, e.exchange) for e in conversation.events if isinstance(e, MessageEnded)]
    assert sorted(begun) == sorted(ended)
    assert len(set(begun)) == len(begun)
    requests = [exchange for direction, exchange in begun if direction == FROM_CLIENT]
    assert requests == sorted(requests)


REQUEST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
RESPONSE = b"HTTP/1.1 2%02d OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfriend\r\n0\r\n\r\n"


@settings(max_examples=200)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 90), st.integers(1, 90)), min_size=1, max_size=4),
)
@example(2, [(0, 16, 1), (1, 0, 1), (2, 0, 1)])
def test_after_any_holes_the_next_exchange_is_found_and_paired(count: int, holes: list[tuple[int, int, int]]) -> None:
    """One request after the other, with holes anywhere in the first `count` exchanges."""
    sends = [message for at in range(count) for message in (REQUEST % at, RESPONSE % at)]
    conversation = Conversation()
    for at, data in enumerate(sends):
        step = client if at % 2 == 0 else server
        kept = bytearray(b"\1" * len(data))
        for where, start, length in holes:
            if where == at:
                kept[start : start + length] = b"\0" * len(kept[start : start + length])
        position = 0
        while position < len(data):
            end = position
            while end < len(data) and kept[end] == kept[position]:
                end += 1
            if kept[position]:
                conversation.play([step(data[position:end])])
            else:
                conversation.play([Step(at % 2, lost=end - position)])
            position = end
    conversation.play(
        [client(b"GET /last HTTP/1.1\r\n\r\n"), server(b"HTTP/1.1 299 Last\r\nContent-Length: 2\r\n\r\nok")]
    )
    lines = conversation.lines()
    last = conversation.events[-2]
    assert isinstance(last, ResponseReceived)
    assert lines[-1].endswith("< end, 2 bytes")
    assert any(
        isinstance(event, RequestReceived) and event.fields.target == "/last" and event.exchange == last.exchange
        for event in conversation.events
    ), lines
    for response in conversation.events:
        if isinstance(response, ResponseReceived) and not response.unsolicited and response is not last:
            status = response.fields.status
            assert f"#{response.exchange} > POST /{(status or 0) - 200}" in " ".join(lines), lines
