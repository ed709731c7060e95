"""Laws of the HTTP/2 decoder: cutting is invisible, nothing raises, holes cost what depends on them, bounds hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from inspector.events import Event, MessageEnded, RequestReceived, ResponseReceived
from tests.protocols.http1.playbook import Conversation, Step, client, server
from tests.protocols.http2 import playbook
from tests.protocols.http2.playbook import (
    GET,
    OK,
    OPENING,
    PREFACE,
    SETTINGS,
    SETTINGS_ACK,
    Headers,
    Peers,
    conversation,
    get,
    played,
)

# ---- what may be sent

streams = st.sampled_from([0, 1, 2, 3, 5, 7, 0x7FFF_FFFF])
flags = st.sampled_from([0x0, 0x1, 0x4, 0x5, 0x8, 0x9, 0x24, 0x2D, 0xFF])
block_bytes = st.one_of(
    st.sampled_from([playbook.plain(GET), playbook.plain(OK), b"\x82\x87\x84", b"\x88\xbe", b"\x40\x01a\x01b\xbe"]),
    st.sampled_from([b"\x88\x40\x0agrpc-status\x010"[:9], b"\x20", b"\x3f\xe1\xff\x03\x88", b"\xff"]),
    st.binary(max_size=20),
)
frames = st.one_of(
    st.builds(playbook.frame, st.just(0x1), st.sampled_from([0x4, 0x5]), st.sampled_from([1, 3, 5]), block_bytes),
    st.builds(playbook.frame, st.just(0x0), st.sampled_from([0x0, 0x1]), st.sampled_from([1, 3, 5]), st.binary()),
    st.builds(playbook.frame, st.sampled_from([0x1, 0x5, 0x9]), flags, streams, block_bytes),
    st.builds(playbook.frame, st.sampled_from([0x0, 0x2, 0x3, 0x2F]), flags, streams, st.binary(max_size=12)),
    st.builds(playbook.frame, st.sampled_from([0x4, 0x6, 0x7, 0x8]), flags, streams, st.binary(max_size=18)),
    st.builds(playbook.reset, streams, st.sampled_from([0, 7, 8, 99])),
    st.builds(playbook.window_update, streams, st.integers(1, 99)),
    st.builds(playbook.goaway, streams),
    st.builds(playbook.ping, st.just(b"12345678"), st.booleans()),
    st.sampled_from([SETTINGS, SETTINGS_ACK, playbook.settings((1, 0), (4, 10), (5, 1 << 20))]),
    st.just(b"\xff\xff\xff\x2f" + b"\0" * 5),
)
directions = st.sampled_from([FROM_CLIENT, FROM_SERVER])
steps = st.one_of(
    st.builds(Step, directions, st.lists(frames, min_size=1, max_size=4).map(b"".join)),
    st.builds(Step, directions, st.lists(frames, min_size=1, max_size=4).map(b"".join)),
    st.builds(Step, directions, frames.map(lambda one: one[:7])),
    st.builds(Step, directions, st.just(b""), st.integers(1, 60)),
)
endings = st.builds(Step, directions, st.just(b""), st.just(0), st.sampled_from(Ending))
openings = st.sampled_from([OPENING, (client(PREFACE),), ()])


@settings(max_examples=400, deadline=None)
@given(openings, st.lists(steps, max_size=14), endings, st.frozensets(st.integers(1, 90)), st.booleans())
def test_cutting_changes_nothing(
    opening: tuple[Step, ...], sent: list[Step], ending: Step, cuts: frozenset[int], upgraded: bool
) -> None:
    def cut(data: bytes) -> list[bytes]:
        ends = [*sorted(at for at in cuts if at < len(data)), len(data)]
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    everything = [*opening, *sent, ending]
    upgrade = "AAMAAABk" if upgraded else None
    whole, pieces = played(everything, upgrade=upgrade), played(everything, cut, upgrade)
    assert [playbook.line(event) for event in pieces.events] == [playbook.line(event) for event in whole.events]
    assert pieces.events == whole.events
    for attribute in ("protocol", "application_packet", "application_ns", "skip_until"):
        assert getattr(pieces.decoder, attribute) == getattr(whole.decoder, attribute)


@settings(deadline=None)
@given(openings, st.lists(steps, max_size=30))
def test_every_message_ends_once_and_exchanges_are_numbered_in_order(
    opening: tuple[Step, ...], sent: list[Step]
) -> None:
    everything = [*opening, *sent, Step(0, ending=Ending.CAPTURE), Step(1, ending=Ending.CAPTURE)]
    events = played(everything).events
    begun = [(FROM_CLIENT, e.exchange) for e in events if isinstance(e, RequestReceived)]
    begun += [(FROM_SERVER, e.exchange) for e in events if isinstance(e, ResponseReceived)]
    ended = [(e.direction, e.exchange) for e in events if isinstance(e, MessageEnded)]
    assert sorted(begun) == sorted(ended)
    assert len(set(begun)) == len(begun)
    first: list[int] = []
    for event in events:
        exchange = getattr(event, "exchange", None)
        if exchange is not None and exchange not in first:
            first.append(exchange)
    assert first == list(range(len(first)))


@given(st.lists(st.tuples(directions, st.binary(min_size=1, max_size=300)), max_size=20), endings)
def test_random_bytes_never_raise(sent: list[tuple[int, bytes]], ending: Step) -> None:
    events = played([*[Step(direction, data) for direction, data in sent], ending]).events
    assert not [event for event in events if isinstance(event, RequestReceived | ResponseReceived)]


# ---- real peers, and what is lost of them


def exchange(peers: Peers, stream: int, body: int) -> None:
    """A request and a response with bodies, said as real peers say it."""
    request: Headers = [(":method", "POST"), *get(f"/{stream}", ("x-request-id", f"id-{stream}"))[1:]]
    peers.client.send_headers(stream, request)
    peers.client.send_data(stream, b"q" * body, end_stream=True)
    peers.turn()
    peers.server.send_headers(stream, [(":status", str(200 + stream)), ("server", "s"), ("via", f"1.1 v{stream}")])
    peers.server.send_data(stream, b"a" * body, end_stream=True)
    peers.turn()


def with_holes(sent: list[Step], holes: list[tuple[int, int, int]]) -> list[Step]:
    """The steps, less (step, start, length) of their bytes."""
    result: list[Step] = []
    for at, step in enumerate(sent):
        kept = bytearray(b"\1" * len(step.data))
        for where, start, length in holes:
            if where == at:
                kept[start : start + length] = b"\0" * len(kept[start : start + length])
        position = 0
        while position < len(kept):
            end = position
            while end < len(kept) and kept[end] == kept[position]:
                end += 1
            lost = end - position
            data = step.data[position:end]
            result.append(Step(step.direction, data) if kept[position] else Step(step.direction, lost=lost))
            position = end
    return result


def messages(events: list[Event]) -> dict[tuple[int, int], object]:
    """What each message says, by stream and direction."""
    return {
        (event.stream or 0, int(isinstance(event, ResponseReceived))): event.fields
        for event in events
        if isinstance(event, RequestReceived | ResponseReceived)
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=5),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 450)), min_size=1, max_size=3),
)
def test_what_is_told_in_spite_of_holes_is_true(bodies: list[int], cuts: list[tuple[int, int]]) -> None:
    """Packets are lost to their ends."""
    peers = Peers()
    for at, body in enumerate(bodies):
        exchange(peers, 2 * at + 1, body)
    holes = [(where % len(peers.steps), start, 1 << 20) for where, start in cuts]
    for payload in (b"1" * 8, b"2" * 8, b"3" * 8):
        peers.client.ping(payload)
        peers.turn()
    ends = [Step(FROM_CLIENT, ending=Ending.FIN), Step(FROM_SERVER, ending=Ending.FIN)]
    holed = played([*with_holes(peers.steps, holes), *ends])
    truth, told = messages(played(peers.steps).events), messages(holed.events)
    for key, fields in told.items():
        assert key in truth, "no message was made up"
        for name in type(fields).__struct_fields__:  # type: ignore[attr-defined]
            assert getattr(fields, name) in (None, getattr(truth[key], name))
    answered = [ping.ack_ns is not None for ping in playbook.account(holed.events).pings]
    assert answered == [True] * 3, "frames behind the holes are found"


@settings(deadline=None)
@given(st.integers(0, 1), st.integers(1, 3000))
def test_a_hole_inside_data_costs_nothing_but_its_bytes(start: int, length: int) -> None:
    peers = Peers()
    exchange(peers, 1, 4000)
    at = next(at for at, step in enumerate(peers.steps) if step.direction == FROM_SERVER and len(step.data) > 4000)
    hole = (at, len(peers.steps[at].data) - 3990 + start, length)
    whole, holed = played(peers.steps), played(with_holes(peers.steps, [hole]))
    assert messages(holed.events) == messages(whole.events)
    ends = [(event.body_bytes, event.whole) for event in holed.events if isinstance(event, MessageEnded)]
    assert ends == [(4000, True), (4000, True)]
    assert not [event for event in holed.events if playbook.line(event).find("!") >= 0]


# ---- bad input


def flooded(one: bytes, count: int, by: int = FROM_CLIENT) -> Conversation:
    result = conversation()
    result.play(OPENING)
    result.play([Step(by, one * count)])
    return result


def codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if hasattr(event, "code")]


class TestBounds:
    def test_settings(self) -> None:
        flood = flooded(playbook.settings((3, 1)), 1000)
        assert len(playbook.account(flood.events).sides[0].settings) == 256
        assert codes(flood.events) == ["too_many_frames"]
        many = flooded(playbook.settings(*[(1000 + at, 1) for at in range(2000)]), 1)
        assert codes(many.events) == ["too_many_settings"]
        assert len(playbook.account(many.events).sides[0].settings[-1].values) == 64

    def test_pings(self) -> None:
        flood = flooded(playbook.ping(), 5000)
        seen = playbook.account(flood.events)
        assert (len(seen.pings), seen.sides[0].pings) == (1024, 5000)

    def test_goaways_and_their_debug_data(self) -> None:
        flood = flooded(playbook.goaway(0, 0, b"x" * 5000), 300, FROM_SERVER)
        kept = playbook.account(flood.events).sides[1].goaways
        assert (len(kept), len(kept[0].debug)) == (256, 1024)

    def test_errors_that_nobody_knows(self) -> None:
        resets = b"".join(playbook.reset(1, 1000 + at) for at in range(500))
        assert len(playbook.account(flooded(resets, 1).events).sides[0].rst_streams) == 65

    def test_streams(self) -> None:
        block = playbook.plain(GET)
        opened = b"".join(playbook.headers(2 * at + 1, block) for at in range(5000))
        flood = flooded(opened, 1)
        assert codes(flood.events) == ["too_many_streams"]
        seen = playbook.account(flood.events)
        assert (seen.streams, seen.peak_streams) == (5000, 4096)
        ended = [event for event in flood.events if isinstance(event, MessageEnded)]
        assert [event.exchange for event in ended] == list(range(5000 - 4096))

    def test_a_header_block_without_end(self) -> None:
        block = playbook.plain([("x", "y" * 100)]) * 100
        endless = playbook.headers(1, playbook.plain(GET), 0x0) + playbook.continuation(1, block, 0x0) * 40
        flood = flooded(endless + playbook.continuation(1, b"", 0x4), 1)
        assert codes(flood.events) == ["header_too_long"]
        assert [playbook.line(event) for event in flood.events][-1] == "4: #0/1 > GET /"
        assert not playbook.account(flood.events).headers_reliable

    def test_a_bomb(self) -> None:
        bomb = playbook.headers(1, b"\x82\x40\x0aconnection\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 10_000, 0x5)
        flood = flooded(bomb, 1)
        assert codes(flood.events) == ["header_list_too_large"]
        (request,) = [event for event in flood.events if isinstance(event, RequestReceived)]
        assert len(request.fields.connection or "") < 1_100_000

    def test_frames_beyond_what_was_announced(self) -> None:
        large = playbook.headers(1, playbook.plain([*GET, ("x", "y" * 100)]) + playbook.plain(GET) * 300, 0x5)
        assert codes(flooded(large, 1).events) == ["frame_too_large"]
        huge = (0xFFFFFF).to_bytes(3, "big") + b"\x01\x05" + (1).to_bytes(4, "big")
        flood = flooded(huge + b"z" * 0xFFFFFF + playbook.ping(), 1)
        assert codes(flood.events) == ["frame_too_large", "header_too_long"]
        assert [playbook.line(event) for event in flood.events][-1] == "4: > PING"
        data = playbook.data(1, b"x" * 20_000)
        allowed = [*OPENING, server(playbook.settings((5, 20_000))), client(playbook.headers(1, b"\x82") + data)]
        assert codes(played(allowed).events) == []
        assert codes(played([*OPENING, client(playbook.headers(1, b"\x82") + data)]).events) == ["frame_too_large"]

    def test_anomalies(self) -> None:
        flood = flooded(playbook.data(0, b""), 1000)
        assert codes(flood.events) == [*["unexpected_frame"] * 255, "anomalies_omitted"]
