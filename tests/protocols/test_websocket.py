"""WebSocket on a connection: frames in, transcripts out (RFC 6455)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from inspector.engine import decoders
from inspector.events import WebSocketClose, WebSocketClosed, WebSocketStarted
from inspector.protocols.detect import HTTP1
from inspector.protocols.websocket import MAX_SEARCH
from tests.protocols.http1.playbook import (
    Conversation,
    Step,
    client,
    client_end,
    client_lost,
    server,
    server_end,
    server_lost,
    together,
)
from tests.protocols.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    closing,
    frame,
    masked,
    played,
)


class TestFrames:
    def test_the_examples_of_the_rfc(self) -> None:
        """Section 5.7."""
        conversation = played(
            server(bytes.fromhex("810548656c6c6f")),
            client(bytes.fromhex("818537fa213d7f9f4d5158")),
            server(bytes.fromhex("010348656c80026c6f")),
            server(bytes.fromhex("890548656c6c6f")),
            client(bytes.fromhex("8a8537fa213d7f9f4d5158")),
            server(bytes.fromhex("827e0100") + bytes(256)),
            server(bytes.fromhex("827f0000000000010000") + bytes(65536)),
        )
        assert conversation.lines() == ["1: started"]
        account = conversation.account
        assert (account.messages, account.pings, account.pongs, account.close) == ([1, 4], 1, 1, None)
        assert conversation.decoder.protocol == "websocket"

    def test_control_frames_between_fragments(self) -> None:
        conversation = played(
            client(masked(TEXT, b"Hel", fin=False) + masked(PING, b"beat") + masked(CONTINUATION, b"lo", fin=False)),
            server(frame(PONG, b"beat")),
            client(masked(PING) + masked(CONTINUATION, b"!")),
        )
        account = conversation.account
        assert (account.messages, account.pings, account.pongs) == ([1, 0], 2, 1)

    def test_who_closed_with_what(self) -> None:
        conversation = played(
            server(frame(CLOSE, closing(1001, b"going away"))), client(masked(CLOSE, closing(1001))), server_end()
        )
        assert conversation.lines() == ["1: started", "1: < close 1001 'going away'", "2: > close 1001 ''"]
        assert conversation.account.close == WebSocketClose(FROM_SERVER, 1001, "going away")

    def test_a_close_needs_no_code(self) -> None:
        assert played(client(masked(CLOSE))).lines() == ["1: started", "1: > close None ''"]
        assert played(server(frame(CLOSE, b"\x03"))).lines() == ["1: started", "1: < close None ''"]

    def test_a_reason_is_kept_as_it_was_sent(self) -> None:
        lines = played(client(masked(CLOSE, closing(4999, b"\xc3\xa9\x1b[31m")))).lines()
        assert lines[-1] == "1: > close 4999 'Ã©\\x1b[31m'"

    def test_a_close_in_pieces_is_dated_by_the_last_one(self) -> None:
        data = masked(CLOSE, closing(1000, b"bye"))
        conversation = played(client(data[:1]), client(data[1:3]), client(data[3:9]), client(data[9:]))
        assert conversation.lines() == ["3: started", "4: > close 1000 'bye'"]

    def test_a_close_cut_short_says_what_is_there(self) -> None:
        data = frame(CLOSE, closing(1000, b"going away"))
        assert played(server(data[:9]), server_end()).lines()[-1] == "1: < close 1000 'going'"
        assert played(server(data[:3]), server_end(Ending.RST)).lines()[-1] == "1: < close None ''"
        lines = played(server(data[:9]), server_lost(5), server(frame(CLOSE, closing(1011)))).lines()
        assert lines == ["1: started", "1: < close 1000 'going'", "3: < close 1011 ''"]

    def test_extensions_do_not_matter(self) -> None:
        conversation = played(server(frame(TEXT, b"\xf2\x48\xcd", rsv=4) + frame(PING)))
        assert conversation.lines() == ["1: started"]
        assert (conversation.account.messages, conversation.account.pings) == ([0, 1], 1)

    def test_masking_the_wrong_way_is_told_once_a_side(self) -> None:
        conversation = played(client(frame(TEXT, b"a") * 2), server(masked(TEXT, b"b") + frame(TEXT, b"c")))
        assert conversation.lines() == [
            "1: started",
            "1: ! websocket_masking (not masked by the client)",
            "2: ! websocket_masking (masked by the server)",
        ]
        assert conversation.account.messages == [2, 2]

    def test_payloads_are_stepped_over(self) -> None:
        head = frame(BINARY, bytes(1000))[:4]
        conversation = played(server(head))
        assert conversation.decoder.skip_until == [0, 1004]
        conversation.play([server_lost(700), server(bytes(300) + frame(PING))])
        assert conversation.lines() == ["1: started"]
        assert conversation.account.pings == 1

    def test_a_length_without_bounds_costs_nothing(self) -> None:
        conversation = played(server(b"\x82\x7f\x7f" + b"\xff" * 7), server(bytes(100)), server_lost(1 << 40))
        conversation.play([server(frame(PING)), server_end()])
        assert conversation.lines() == ["1: started"]
        assert conversation.account.pings == 0
        assert conversation.decoder.skip_until[1] == 10 + (1 << 63) - 1

    @pytest.mark.parametrize(
        ("head", "what"),
        [
            (b"\x83\x00", "opcode 3, 0 bytes"),
            (b"\x8f\x05", "opcode 15, 5 bytes"),
            (b"\x08\x00", "opcode 8, 0 bytes"),
            (b"\x89\x7e\x00\xfe", "opcode 9, 254 bytes"),
            (b"\x82\x7f\x80" + bytes(7), f"opcode 2, {1 << 63} bytes"),
        ],
    )
    def test_what_is_no_frame(self, head: bytes, what: str) -> None:
        rest = frame(PING) * 3
        conversation = played(server(frame(TEXT, b"a")), server(head), server(rest))
        assert conversation.lines()[:2] == ["1: started", f"2: ! websocket_bad_frame ({what})"]
        assert conversation.lines()[2:] == [f"3: ! resynchronised ({len(head)} bytes skipped)"]
        assert conversation.account.pings == 3


class TestApplicationBytes:
    def test_messages_count_and_control_frames_do_not(self) -> None:
        conversation = played(client(masked(TEXT, b"hello")), server(frame(PING)), client(masked(PONG)))
        assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (1, 1000)
        conversation.play([server(frame(CLOSE, closing(1000)))])
        assert conversation.decoder.application_packet == 1
        assert played(server(frame(PING))).decoder.application_packet is None

    def test_the_last_byte_of_a_message_counts(self) -> None:
        data = frame(TEXT, b"hello") + frame(PING)
        assert played(server(data[:4]), server(data[4:7]), server(data[7:])).decoder.application_packet == 2
        parts = [(data[:4], 3), (data[4:7], 5), (data[7:], 9)]
        conversation = played()
        conversation.decoder.data(together(FROM_SERVER, 0, parts))
        assert conversation.decoder.application_packet == 5

    def test_what_is_not_recognised_counts(self) -> None:
        conversation = played(client(masked(TEXT, b"a")), client_lost(5), client(b"\xff" * 9))
        assert conversation.decoder.application_packet == 3
        conversation.play([client(masked(PING) * 3)])
        assert conversation.decoder.application_packet == 3
        conversation.play([client_lost(1), client(masked(PING)), client_lost(1)])
        assert conversation.decoder.application_packet == 6


class TestLoss:
    BEAT = frame(PING, b"beat")

    def test_frames_behind_a_hole_are_found_when_three_follow_one_another(self) -> None:
        conversation = played(server(self.BEAT), server_lost(20), server(self.BEAT), server(self.BEAT))
        assert conversation.account.pings == 1
        conversation.play([server(self.BEAT[:2])])
        assert conversation.account.pings == 4
        assert conversation.lines() == ["1: started"]

    def test_frames_behind_what_a_hole_left_of_a_payload(self) -> None:
        head = frame(BINARY, bytes(1000))[:4]
        rest = b"\x81\x02not a frame" + b"\xff" * 90
        conversation = played(server(head), server_lost(1500), server(rest), server(self.BEAT * 2), server(self.BEAT))
        assert conversation.lines() == ["1: started", f"4: ! resynchronised ({len(rest)} bytes skipped)"]
        assert conversation.account.pings == 3

    def test_frames_that_begin_inside_a_packet_are_not_looked_for(self) -> None:
        conversation = played(server_lost(1), server(b"\xff" + self.BEAT * 9), server(self.BEAT * 2))
        assert conversation.events == []
        conversation.play([server(self.BEAT)])
        assert conversation.lines() == ["3: ! resynchronised (55 bytes skipped)", "3: started"]

    def test_few_frames_behind_a_hole_are_told_when_they_end_with_the_direction(self) -> None:
        frames = client(masked(PING, b"a") + masked(CLOSE, closing(1000)))
        lost = played(client(masked(TEXT, b"a")), client_lost(30), frames)
        assert lost.lines() == ["1: started"]
        lost.play([client_end()])
        assert lost.lines() == ["1: started", "3: > close 1000 ''"]
        assert lost.account.pings == 1
        more = played(client(masked(TEXT, b"a")), client_lost(30), frames, client(b"\x82"), client_end())
        assert (more.lines(), more.account.pings) == (["1: started"], 0)

    def test_a_close_frame_is_found_at_the_end(self) -> None:
        conversation = played(server_lost(9), server(b"\xff" * 50), server(frame(CLOSE, closing(1006))), server_end())
        assert conversation.lines() == [
            "3: ! resynchronised (50 bytes skipped)",
            "3: started",
            "3: < close 1006 ''",
        ]

    def test_a_hole_in_one_direction_does_not_touch_the_other(self) -> None:
        conversation = played(client(masked(TEXT)), server_lost(4), client(masked(PING)), server(self.BEAT * 3))
        assert (conversation.account.messages, conversation.account.pings) == ([1, 0], 4)

    def test_a_hole_up_to_the_end_of_a_frame(self) -> None:
        head = frame(BINARY, bytes(10))[:2]
        conversation = played(server(head), server_lost(10), server(self.BEAT))
        assert conversation.account.pings == 1
        conversation = played(server(head), server_lost(11), server(self.BEAT))
        assert conversation.account.pings == 0

    def test_a_search_holds_a_bounded_part(self) -> None:
        """Frames that lie farther apart are not found, nor is more held for them."""
        near = frame(BINARY, bytes(MAX_SEARCH - 4 - len(self.BEAT) - 2)) + self.BEAT * 2
        assert played(server_lost(1), server(near)).account.pings == 2
        far = frame(BINARY, bytes(MAX_SEARCH - 4 - len(self.BEAT) - 1)) + self.BEAT * 2
        lost = played(server_lost(1), server(far))
        assert lost.events == []
        huge = played(server_lost(1), *[server(b"\x82\x7f\x00\x00\x00\x7f\x00\x00\x00\x00" + bytes(990))] * 40)
        held = huge.decoder._sides[FROM_SERVER].held
        assert held is not None
        assert MAX_SEARCH - 1000 <= len(held.data) < MAX_SEARCH

    def test_sight_may_be_lost_and_found_in_every_packet(self) -> None:
        row = self.BEAT * 3 + b"\xff\x00"
        conversation = played(*[server(row)] * 200)
        assert conversation.account.pings == 600
        assert conversation.lines()[-2:] == [
            "200: ! resynchronised (2 bytes skipped)",
            "200: ! websocket_bad_frame (opcode 15, 0 bytes)",
        ]


def test_after_an_upgrade_of_http_1() -> None:
    conversation = Conversation(decoders()[HTTP1])
    conversation.play(
        [
            client(b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n" + frame(PING)),
            client(masked(TEXT, b"hello")),
            client(masked(CLOSE, closing(1000))),
        ]
    )
    started, closed = conversation.events[-2:]
    assert isinstance(started, WebSocketStarted)
    assert isinstance(closed, WebSocketClosed)
    assert (started.packet, started.account.messages, started.account.pings) == (2, [1, 0], 1)
    assert (closed.packet, closed.close) == (4, WebSocketClose(FROM_CLIENT, 1000, ""))
    assert conversation.decoder.protocol == "websocket"
    assert conversation.decoder.application_packet == 3
    assert conversation.decoder.skip_until[FROM_SERVER] < 1000, "the frames behind are needed"


def test_no_byte_is_skipped_before_the_first_frame() -> None:
    conversation = Conversation(decoders()[HTTP1])
    conversation.play(
        [
            client(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        ]
    )
    assert conversation.decoder.skip_until == [0, 0]


PARTS = [
    frame(TEXT, b"hello"),
    masked(TEXT, b"hello"),
    frame(PING),
    masked(PING, b"beat"),
    frame(PONG, b"\x81\x00" * 20),
    frame(BINARY, bytes(300)),
    frame(TEXT, b"He", fin=False),
    frame(CLOSE, closing(1000, b"bye")),
    masked(CLOSE, closing(1001)),
    frame(BINARY, bytes(65536))[:200],
    b"\x83\x00",
    b"\x88\x7e\xff\xff",
    b"\x81",
    KEY,
    b"\xff" * 20,
    b"\x82\x7f\x7f" + b"\xff" * 7,
]
directions = st.sampled_from([FROM_CLIENT, FROM_SERVER])
steps = st.one_of(
    st.builds(Step, directions, st.sampled_from(PARTS)),
    st.builds(Step, directions, st.sampled_from(PARTS)),
    st.builds(Step, directions, st.binary(min_size=1, max_size=60)),
    st.builds(Step, directions, st.just(b""), st.sampled_from([1, 2, 5, 60, 300, 70_000])),
)
endings = st.builds(Step, directions, st.just(b""), st.just(0), st.sampled_from(Ending))


@settings(max_examples=300)
@given(st.lists(steps, max_size=14), endings, st.frozensets(st.integers(1, 80)))
def test_cutting_changes_nothing(some: list[Step], ending: Step, cuts: frozenset[int]) -> None:
    def cut(data: bytes) -> list[bytes]:
        ends = [*sorted(at for at in cuts if at < len(data)), len(data)]
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    whole, pieces = played(*some, ending), played(*some, ending, cut=cut)
    assert pieces.events == whole.events
    for attribute in ("application_packet", "application_ns", "skip_until"):
        assert getattr(pieces.decoder, attribute) == getattr(whole.decoder, attribute)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=30), st.booleans())
def test_a_chunk_of_many_packets_is_told_as_packet_by_packet(parts: list[bytes], lost: bool) -> None:
    one, many = played(), played()
    packets = [(data, packet) for packet, data in enumerate(parts, 1)]
    for decoder in (one.decoder, many.decoder):
        if lost:
            decoder.gap(FROM_SERVER, 0, 1, 1, 1000)
    one.decoder.data(together(FROM_SERVER, 1, packets))
    many.offsets[FROM_SERVER] = 1
    many.play(server(data) for data in parts)
    assert one.lines() == many.lines()
    assert one.decoder.application_packet == many.decoder.application_packet


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PARTS[:1] + PARTS[2:3] + PARTS[4:6]), min_size=1, max_size=10), st.data())
def test_a_hole_anywhere_costs_no_frame_that_is_three_before_the_end(frames: list[bytes], data: st.DataObject) -> None:
    """Without other bytes behind the hole than frames, all frames that are whole behind it are counted."""
    lost = data.draw(st.integers(0, len(frames) - 1))
    tail = [frame(PING, b"tail")] * 3
    whole = played(*(server(one) for one in frames), *(server(one) for one in tail))
    holed = played(
        *(server_lost(len(one)) if at == lost else server(one) for at, one in enumerate(frames)),
        *(server(one) for one in tail),
    )
    missing = played(server(frames[lost]))
    for count in ("pings", "pongs"):
        expected = getattr(whole.account, count) - getattr(missing.account, count)
        assert getattr(holed.account, count) == expected
    assert holed.account.messages[FROM_SERVER] == whole.account.messages[1] - missing.account.messages[1]
    assert not [text for text in holed.lines() if "!" in text]


@pytest.mark.parametrize(
    "payload",
    [
        bytes(9000),
        b"A" * 9000,
        b"\x00\x00\x00\x02" * 3000,
        b"\x80" * 9000,
        bytes(range(256)) * 40,
        b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" * 2000,
    ],
    ids=lambda payload: repr(payload[:4]),
)
def test_a_search_takes_no_bytes_for_frames_that_are_none(payload: bytes) -> None:
    for step, lost in ((client, client_lost), (server, server_lost)):
        assert played(lost(1), step(payload)).events == []


def test_fragments_are_found_where_one_of_them_is_the_last() -> None:
    fragments = [frame(TEXT, b"a", fin=False), *[frame(CONTINUATION, b"b", fin=False)] * 3]
    assert played(server_lost(1), *map(server, fragments)).events == []
    conversation = played(server_lost(1), *map(server, fragments), server(frame(CONTINUATION, b"c")))
    assert conversation.lines() == ["4: ! resynchronised (6 bytes skipped)", "4: started"]
