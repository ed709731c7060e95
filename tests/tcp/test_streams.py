"""From segments to two byte streams: order, holes, overlaps, repetitions, probes, windows, the wrap, forged numbers.

Most tests look at the streams themselves, as they are handed to whoever reads them; the rest at the sums in the record.
"""

from __future__ import annotations

import tracemalloc

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending, StreamChunk
from inspector.engine import Options
from inspector.tcp import reassembly
from inspector.tcp.connection import KEPT_ANOMALIES, Connection
from inspector.tcp.tracker import Tracker
from tests.tcp.playbook import REQUEST, RESPONSE, SECOND, START_NS, Talk, alike, codes, columns, opened, story, the

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"
BODY = b"0123456789abcdefghijABCDEFGHIJ"


class Reader:
    """A StreamSink that writes down what it is told; gaps as their length."""

    def __init__(self) -> None:
        self.protocol = "unknown"
        self.skip_until = [0, 0]
        self.told: list[tuple[int, int, bytes | int, int]] = []
        """(direction, offset, bytes or length of a gap, packet)"""
        self.ends: list[tuple[int, Ending, int]] = []
        self.application_packet: int | None = None
        self.application_ns: int | None = None

    def data(self, chunk: StreamChunk) -> None:
        assert chunk.length > 0
        self.follows(chunk.direction, chunk.offset)
        offset, end = chunk.offset, chunk.offset + chunk.length
        while offset < end:
            view = bytes(chunk.view(offset))
            packet, time_ns = chunk.arrival(offset)
            assert chunk.view(offset + len(view) - 1) == view[-1:]
            assert time_ns >= START_NS
            self.told.append((chunk.direction, offset, view, packet))
            offset += len(view)

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        assert length > 0
        self.follows(direction, offset)
        self.told.append((direction, offset, length, packet))

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        self.follows(direction, None)
        self.ends.append((direction, ending, packet))

    def follows(self, direction: int, offset: int | None) -> None:
        """Nothing overlaps, nothing is left out, nothing follows the end."""
        assert all(ended != direction for ended, _, _ in self.ends)
        before = [(at, what) for towards, at, what, _ in self.told if towards == direction]
        if before and offset is not None:
            at, what = before[-1]
            assert offset == at + (what if isinstance(what, int) else len(what))

    def of(self, direction: int) -> list[bytes | int]:
        """What was told of one direction, bytes that follow one another joined."""
        joined: list[bytes | int] = []
        for towards, _, what, _ in self.told:
            if towards != direction:
                continue
            if joined and isinstance(joined[-1], bytes) and isinstance(what, bytes):
                joined[-1] += what
            else:
                joined.append(what)
        return joined


def read(talk: Talk, reader: Reader | None = None) -> Reader:
    """What a reader of the one connection of a talk is told."""
    reader = reader or Reader()

    def open_sink(connection: Connection, start: StreamChunk | None) -> Reader:
        return reader

    tracker = Tracker(open_sink)
    retired = tracker.feed(columns(talk))
    assert len([*retired, *tracker.finish()]) == 1
    return reader


# ---- order and holes


def test_in_order() -> None:
    reader = read(opened().c(REQUEST).s(HEAD).s(BODY).c("ACK").close())
    assert reader.told == [
        (FROM_CLIENT, 0, REQUEST, 4),
        (FROM_SERVER, 0, HEAD, 5),
        (FROM_SERVER, len(HEAD), BODY, 6),
    ]
    assert reader.ends == [(FROM_CLIENT, Ending.FIN, 8), (FROM_SERVER, Ending.FIN, 9)]


def test_a_hole_that_is_filled_is_none() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:20], lose=True).s(BODY[20:]).wait(0.5).s(BODY[10:20], at=10).c("ACK")
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [BODY]
    assert [packet for _, _, _, packet in reader.told] == [4, 6, 6], "by packet 6 all had arrived"
    connection = the(talk)
    assert connection.server_traffic.out_of_order == 1
    assert (connection.server_traffic.missing_bytes, connection.server_traffic.retransmitted_bytes) == (0, 0)
    assert "g" not in connection.history
    assert "t" not in connection.history


def test_two_segments_swapped() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:20]).s(BODY[20:]).c("ACK").swap(5, 6)
    assert read(talk).of(FROM_SERVER) == [BODY]
    assert the(talk).server_traffic.out_of_order == 1


def test_a_hole_waits_until_the_peer_has_acknowledged_past_it() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:20], lose=True).s(BODY[20:])
    talk.c("ACK", ack=talk.isn[1] + 11)  # not past the hole
    assert [packet for _, _, what, packet in read(talk).told if isinstance(what, int)] == [6], "at the end only"
    talk.wait(3).c("ACK")
    reader = read(talk)
    assert reader.told == [
        (FROM_SERVER, 0, BODY[:10], 4),
        (FROM_SERVER, 10, 10, 7),
        (FROM_SERVER, 20, BODY[20:], 7),
    ]
    connection = the(talk)
    assert connection.history == "ShAdg"
    assert connection.server_traffic.missing_bytes == 10
    assert connection.server_traffic.bytes == 20
    gaps = [event for event in story(talk) if event.event == "gap"]
    assert [(gap.packet, gap.by) for gap in gaps] == [(7, "server")]


def test_a_hole_that_was_acknowledged_before_it_opened() -> None:
    """The capture lost the segment, and has the acknowledgment before the next one."""
    talk = opened().s(BODY[:10]).s(BODY[10:20], lose=True).c("ACK").s(BODY[20:])
    assert read(talk).told[1:] == [(FROM_SERVER, 10, 10, 6), (FROM_SERVER, 20, BODY[20:], 6)]


def test_a_hole_before_the_fin_is_known_with_the_acknowledgment_of_the_fin() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:], lose=True).s("FIN ACK").c("ACK")
    reader = read(talk)
    assert reader.told[1:] == [(FROM_SERVER, 10, 20, 6)]
    assert reader.ends == [(FROM_SERVER, Ending.FIN, 6), (FROM_CLIENT, Ending.CAPTURE, 6)]
    assert the(talk).server_traffic.missing_bytes == 20


def test_a_hole_before_a_fin_that_nobody_acknowledged() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:], lose=True).s("FIN ACK")
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [BODY[:10], 20]
    assert (FROM_SERVER, Ending.FIN, 5) in reader.ends


def test_an_acknowledgment_that_reaches_just_behind_the_hole_gives_it_up() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:20], lose=True).s(BODY[20:])
    talk.c("ACK", ack=talk.isn[1] + 1 + 20).c("ACK")
    assert read(talk).told[1] == (FROM_SERVER, 10, 10, 6)


def test_data_that_is_acknowledged_is_no_acknowledgment_of_the_fin() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:], lose=True).s("FIN ACK").c("ACK", ack=9000 + 1 + 30).c("ACK")
    assert read(talk).told[1:] == [(FROM_SERVER, 10, 20, 7)]
    assert (FROM_SERVER, Ending.FIN, 7) in read(talk).ends


def test_an_acknowledgment_between_two_segments_that_join_up_gives_a_hole_up() -> None:
    talk = opened().s(b"a" * 10).c("ACK").s(b"b" * 10, lose=True).s(b"c" * 10).c("ACK").s(b"d" * 10)
    events = alike(talk, options=Options(events=True)).events
    assert [event.packet for event in events if event.event == "gap"] == [7]


def test_several_holes() -> None:
    talk = opened()
    for start in range(0, 30, 3):
        talk.s(BODY[start : start + 3], lose=start % 6 == 3)
    talk.c("ACK")
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [b"012", 3, b"678", 3, b"cde", 3, b"ijA", 3, b"EFG"]
    assert the(talk).server_traffic.missing_bytes == 12
    assert the(talk).history.count("g") == 1


def test_bytes_for_a_hole_that_was_given_up_are_told_not_delivered() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:20], lose=True).s(BODY[20:]).c("ACK").s(BODY[10:20], at=10)
    assert read(talk).of(FROM_SERVER) == [BODY[:10], 10, BODY[20:]]
    connection = the(talk)
    assert codes(connection) == ["hole_filled_late"]
    assert connection.server_traffic.bytes == 30
    assert connection.server_traffic.missing_bytes == 0


def test_of_overlapping_bytes_the_first_captured_count() -> None:
    talk = opened().s(b"0123456789").s(b"xxxxxabcde", at=5)
    assert read(talk).of(FROM_SERVER) == [b"0123456789abcde"]
    assert the(talk).server_traffic.retransmitted_bytes == 5


def test_of_bytes_that_overlap_behind_a_hole_too() -> None:
    talk = opened().s(b"45678", at=4).s(b"XXXX9", at=5).s(b"0123ZZZZZ", at=0)
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [b"0123456789"]
    assert the(talk).server_traffic.retransmitted_bytes == 9


def test_retransmission() -> None:
    talk = opened().c(REQUEST).s(RESPONSE).wait(0.2).s(RESPONSE, at=0).c("ACK")
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [RESPONSE]
    connection = the(talk)
    assert connection.history == "ShADdt"
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.server_traffic.captured_bytes == 2 * len(RESPONSE)
    assert connection.server_traffic.retransmitted_bytes == len(RESPONSE)
    assert [event.detail for event in story(talk) if event.event == "retransmission"] == [f"{len(RESPONSE)} bytes"]


def test_retransmissions_are_letters_at_1_10_100() -> None:
    talk = opened().s(BODY)
    for _ in range(100):
        talk.s(BODY, at=0)
    assert the(talk).history == "ShAdttt"


def test_a_segment_that_repeats_and_goes_on() -> None:
    talk = opened().s(BODY[:10]).s(BODY, at=0)
    assert read(talk).told[1:] == [(FROM_SERVER, 10, BODY[10:], 5)]
    assert the(talk).server_traffic.retransmitted_bytes == 10


def test_the_last_byte_again_with_new_ones_is_no_probe() -> None:
    talk = opened().s(BODY[:10]).s(BODY[9:], at=9)
    assert read(talk).of(FROM_SERVER) == [BODY]
    traffic = the(talk).server_traffic
    assert (traffic.keepalives, traffic.bytes, traffic.retransmitted_bytes) == (0, 30, 1)


def test_the_last_bytes_captured_behind_the_acknowledged_fin_came_late() -> None:
    talk = opened().s(BODY[:10]).s(BODY[10:], lose=True).s("FIN ACK").c("ACK").s(BODY[10:], at=10)
    connection = the(talk)
    traffic = connection.server_traffic
    assert (traffic.out_of_order, traffic.bytes, traffic.missing_bytes, traffic.retransmitted_bytes) == (1, 30, 0, 0)
    assert codes(connection) == ["hole_filled_late"]


def test_data_in_a_syn() -> None:
    """TCP Fast Open (RFC 7413): the SYN's data are the stream's first bytes."""
    talk = Talk().c("SYN", REQUEST[:10]).s("SYN ACK").c(REQUEST[10:]).s(RESPONSE)
    assert read(talk).of(FROM_CLIENT) == [REQUEST]
    connection = the(talk)
    assert connection.client_traffic.bytes == len(REQUEST)
    assert connection.opened.how == "handshake"


# ---- what is not all there


def test_a_snap_length_cuts_bytes_which_are_a_hole() -> None:
    talk = Talk(snaplen=54 + 40).handshake().c(REQUEST[:30]).s(HEAD + BODY).s(BODY).c("ACK")
    reader = read(talk)
    everything = HEAD + BODY
    assert reader.of(FROM_SERVER) == [everything[:40], len(everything) - 40, BODY]
    connection = the(talk)
    assert connection.server_traffic.bytes == len(everything) + 30
    assert connection.server_traffic.captured_bytes == 70
    assert connection.server_traffic.missing_bytes == 0, "they are in the headers"
    assert connection.history == "ShADd"


def test_a_snap_length_that_leaves_headers_only() -> None:
    talk = Talk(snaplen=54).handshake().c(REQUEST).s(RESPONSE).c("ACK").close()
    connection = the(talk)
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.server_traffic.captured_bytes == 0
    assert (connection.protocol, connection.requests, connection.state) == ("unknown", 0, "SF")
    assert read(talk).of(FROM_SERVER) == [len(RESPONSE)]


def test_what_the_snap_length_cut_behind_a_hole_is_a_hole_too() -> None:
    talk = Talk(snaplen=54 + 10).handshake().s(BODY[:10]).s(BODY[10:20], lose=True).s(BODY).s(BODY[10:20], at=10)
    assert read(talk).of(FROM_SERVER) == [BODY[:20], 30]


def test_a_capture_that_begins_in_the_middle_and_out_of_order() -> None:
    """The first byte seen is offset 0; what comes before it later is counted, but no longer told."""
    talk = Talk().s(BODY[10:20], at=10).s(BODY[:10], at=0).s(BODY[20:], at=20)
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [BODY[10:]]
    connection = the(talk)
    assert connection.server_traffic.bytes == 30
    assert connection.server_traffic.missing_bytes == 0
    assert connection.server_traffic.retransmitted_bytes == 0


def test_what_is_missing_between_an_early_byte_and_the_first_one_seen() -> None:
    traffic = the(Talk().s(BODY[20:], at=20).s(BODY[:5], at=0)).server_traffic
    assert (traffic.bytes, traffic.missing_bytes) == (15, 15)


def test_only_one_side_was_captured() -> None:
    talk = Talk().c("SYN").s("SYN ACK", lose=True).c("ACK").c(REQUEST).s(RESPONSE, lose=True).c("ACK").c("FIN ACK")
    connection = the(talk)
    assert connection.opened.one_sided
    assert connection.requests == 1
    assert connection.server_traffic.packets == 0
    assert connection.closed is not None
    assert connection.closed.by == "client"


# ---- sequence numbers


@pytest.mark.parametrize("isn", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF])
def test_around_the_wrap(isn: int) -> None:
    """Wherever sequence numbers begin, the record is the same."""

    def talk(client_isn: int, server_isn: int) -> Talk:
        talk = Talk(isn=(client_isn, server_isn)).handshake().c(REQUEST).s(HEAD).s(BODY[:10]).s(BODY[10:20], lose=True)
        talk.s(BODY[20:]).c("ACK").wait(1).c("ACK", at=len(REQUEST) - 1).s("ACK").s(BODY[20:], at=len(HEAD) + 20)
        return talk.c(REQUEST).s(HEAD + BODY).close("server")

    assert the(talk(isn, isn)) == the(talk(1000, 9000)) == the(talk(1000, isn))
    assert read(talk(isn, isn)).told == read(talk(1000, 9000)).told


@pytest.mark.parametrize("ahead", [0x40000001, 0x7FFFFFFF, -0x40000001])
def test_a_number_that_no_window_reaches_is_not_believed(ahead: int) -> None:
    talk = opened().s(BODY[:10]).s(b"forged", at=10 + ahead)
    talk.s(BODY[10:], at=10).c("ACK", ack=talk.isn[1] + 31)
    reader = read(talk)
    assert reader.of(FROM_SERVER) == [BODY]
    connection = the(talk)
    assert codes(connection) == ["sequence_far_away"]
    assert connection.server_traffic.bytes == 30
    assert connection.server_traffic.missing_bytes == 0


def test_a_number_far_ahead_allocates_nothing() -> None:
    talk = opened().s(BODY[:10]).s(b"x", at=0x3FFFFFFF).s(BODY[10:20], at=10)
    batch = columns(talk)
    read(talk)
    tracemalloc.start()
    try:
        tracker = Tracker(lambda connection, start: Reader())
        tracker.feed(batch)
        (connection,) = tracker.finish()
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert connection.sides[FROM_SERVER].unique == 21
    assert read(talk).of(FROM_SERVER) == [BODY[:20], 0x3FFFFFFF - 20, b"x"]


def test_what_waits_behind_a_hole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reassembly, "HELD_BYTES", 50)
    talk = opened().s(BODY, lose=True).s(BODY).s(BODY).s(BODY)
    reader = read(talk)
    assert reader.told == [
        (FROM_SERVER, 0, 30, 5),
        (FROM_SERVER, 30, BODY, 5),
        (FROM_SERVER, 60, BODY, 5),
        (FROM_SERVER, 90, BODY, 6),
    ]
    assert codes(the(talk)) == ["hole_too_large"]


def test_bytes_that_nobody_reads_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reassembly, "HELD_BYTES", 50)
    reader = Reader()
    reader.skip_until = [0, 1 << 40]
    talk = opened().s(BODY, lose=True).s(BODY).s(BODY).s(BODY).s(BODY, at=0)
    assert read(talk, reader).of(FROM_SERVER) == [30, 30, 30, 30]


def test_anomalies_are_bounded_and_the_others_counted() -> None:
    talk = opened()
    for number in range(KEPT_ANOMALIES + 7):
        talk.s(b"x", at=0x40000001 + number)
    connection = the(talk)
    assert codes(connection).count("sequence_far_away") == KEPT_ANOMALIES
    assert connection.anomalies[-1].code == "anomalies_omitted"
    assert connection.anomalies[-1].detail == "7 more"


# ---- probes and windows


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_keep_alive_probes(payload: bytes) -> None:
    """RFC 9293 section 3.8.4: a segment at SND.NXT - 1, with a byte or without."""
    talk = opened().exchange()
    for _ in range(3):
        talk.wait(5).c("ACK", payload, at=len(REQUEST) - 1).s("ACK")
    connection = the(talk)
    assert connection.client_traffic.keepalives == 3
    assert connection.client_traffic.bytes == len(REQUEST)
    assert connection.client_traffic.retransmitted_bytes == 0
    assert connection.client_traffic.missing_bytes == 0
    assert "T" not in connection.history
    assert [event.event for event in story(talk)].count("keep-alive-probe") == 3
    assert codes(connection) == []


def test_a_keep_alive_probe_before_any_data() -> None:
    assert the(opened().wait(5).c("ACK", at=-1).s("ACK")).client_traffic.keepalives == 1


def test_two_bytes_again_are_a_retransmission() -> None:
    connection = the(opened().exchange().c(REQUEST[-2:], at=len(REQUEST) - 2))
    assert connection.client_traffic.keepalives == 0
    assert connection.client_traffic.retransmitted_bytes == 2


def test_zero_windows_and_their_probes() -> None:
    """RFC 9293 section 3.8.6.1: probes of a closed window are no keep-alives and no data."""
    talk = opened().c(REQUEST).s(RESPONSE[:20]).c("ACK", window=0)
    for _ in range(3):
        talk.wait(1).s("ACK", RESPONSE[19:20], at=19).c("ACK", window=0)
    talk.wait(1).c("ACK").s(RESPONSE[20:]).c("ACK")
    connection = the(talk)
    assert connection.client_traffic.zero_windows == 4
    assert connection.server_traffic.zero_windows == 0
    assert connection.server_traffic.keepalives == 0
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.server_traffic.retransmitted_bytes == 0
    assert connection.history == "ShADdW"
    assert [event.event for event in story(talk)].count("zero-window") == 1, "it closed once"
    assert connection.responses == 1


def test_a_zero_window_probe_with_a_new_byte_is_data_when_it_is_new() -> None:
    talk = opened().c(REQUEST).s(RESPONSE[:20]).c("ACK", window=0).wait(1).s(RESPONSE[20:21]).c("ACK", window=0)
    talk.wait(1).c("ACK").s(RESPONSE[21:])
    connection = the(talk)
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.responses == 1


def test_a_reset_with_a_zero_window_closes_no_window() -> None:
    assert the(opened().s("RST ACK", window=0)).server_traffic.zero_windows == 0


def test_ends_without_a_fin() -> None:
    assert read(opened().c(REQUEST).s("RST ACK")).ends == [
        (FROM_CLIENT, Ending.RST, 5),
        (FROM_SERVER, Ending.RST, 5),
    ]
    assert read(opened().c(REQUEST)).ends == [(FROM_CLIENT, Ending.CAPTURE, 4), (FROM_SERVER, Ending.CAPTURE, 4)]


def test_runs_keep_the_packet_and_time_of_every_byte() -> None:
    talk = opened()
    for start in range(0, 30, 3):
        talk.s(BODY[start : start + 3])
    chunks: list[tuple[int, int, int]] = []

    class Times(Reader):
        def data(self, chunk: StreamChunk) -> None:
            chunks.extend(
                (offset, *chunk.arrival(offset)) for offset in range(chunk.offset, chunk.offset + chunk.length)
            )

    read(talk, Times())
    millisecond = SECOND // 1000
    assert chunks == [(at, 4 + at // 3, START_NS + (3 + at // 3) * millisecond) for at in range(30)]
