"""The tracker by itself: when connections are handed out, and what it says about late segments and new connections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inspector.bytestream import FROM_SERVER
from inspector.packets.batch import PacketBatch
from inspector.packets.decode import PacketDecoder
from inspector.sources.memory import MemorySource
from inspector.tcp.connection import Connection
from inspector.tcp.tracker import Tracker
from tests.tcp.playbook import REQUEST, Talk, columns, merged, opened
from tests.tcp.test_streams import Reader


def _tracker(begun: list[Connection] | None = None) -> Tracker:
    return Tracker(lambda connection, start: Reader(), begun.append if begun is not None else None)


def _batches(*talks: Talk, rows: int) -> list[PacketBatch]:
    decoder = PacketDecoder()
    return [decoder.decode(raw) for raw in MemorySource(merged(*talks), batch_rows=rows)]


def _no_segment(end_ns: int) -> PacketBatch:
    """A batch of one packet, at `end_ns`, that is no segment."""
    batch = PacketDecoder().decode(next(iter(MemorySource([(end_ns, b"\xff" * 60)]))))
    assert (len(batch), batch.end_ns) == (0, end_ns)
    return batch


def _tick(end_ns: int) -> PacketBatch:
    """A live source saw nothing until `end_ns`."""
    return replace(_no_segment(end_ns), skipped={}, end_packet=0)


def test_a_connection_is_handed_out_two_seconds_after_its_end() -> None:
    talk = opened().c(REQUEST).close()
    ended_ns = talk.packets[-1].time_ns
    for later_ns, handed_out in ((2_000_000_000, []), (2_000_000_001, [0])):
        other = Talk("10.0.0.1:1").c("SYN")
        other.packets[0] = replace(other.packets[0], time_ns=ended_ns + later_ns)
        tracker = _tracker()
        assert tracker.feed(columns(talk)) == []
        assert [connection.id for connection in tracker.feed(columns(other))] == handed_out
        assert len(list(tracker.finish())) == 2 - len(handed_out)


def test_an_idle_tick_hands_out_what_ended_two_seconds_before() -> None:
    talk = opened().c(REQUEST).close()
    tracker = _tracker()
    ended_ns = talk.packets[-1].time_ns
    assert tracker.feed(columns(talk)) == []
    assert tracker.feed(_tick(ended_ns + 2_000_000_000)) == []
    (connection,) = tracker.feed(_tick(ended_ns + 2_000_000_001))
    assert connection.id == 0
    assert list(tracker.finish()) == []


def test_a_packet_that_is_no_segment_moves_no_clock() -> None:
    """Else it would depend on where a batch ends which segments are late."""
    talk = opened().c(REQUEST).close()
    tracker = _tracker()
    assert tracker.feed(columns(talk)) == []
    assert tracker.feed(_no_segment(talk.time_ns + 10**15)) == []


def test_time_that_runs_backwards_hands_out_nothing() -> None:
    talk, earlier = opened().c(REQUEST).close(), Talk("10.0.0.3:1", start=-(10**6)).c("SYN")
    tracker = _tracker()
    assert tracker.feed(columns(talk)) == []
    assert tracker.feed(_tick(0)) == []
    assert tracker.feed(columns(earlier)) == []


def test_who_has_more_to_say_after_its_end_keeps_nobody_waiting() -> None:
    first, second = opened().close().wait(1.5).s("ACK"), opened("10.0.0.3:80", start=0.1).close()
    tracker = _tracker()
    ended_ns = second.packets[-1].time_ns
    assert tracker.feed(columns(first, second)) == []
    assert [connection.id for connection in tracker.feed(_tick(ended_ns + 2_000_000_001))] == [1]
    assert tracker.feed(_tick(first.packets[-1].time_ns + 2_000_000_000)) == []
    assert [connection.id for connection in tracker.feed(_tick(first.packets[-1].time_ns + 2_000_000_001))] == [0]


def test_silence_ends_no_connection() -> None:
    talk = opened().c(REQUEST)
    tracker = _tracker()
    tracker.feed(columns(talk))
    assert tracker.feed(_tick(talk.time_ns + 10**15)) == []
    (connection,) = tracker.finish()
    assert not connection.ended


def test_a_tuple_used_again_hands_out_the_first_at_once() -> None:
    first, second = opened().close(), Talk(isn=(5, 6), start=0.5).handshake()
    tracker = _tracker()
    assert tracker.feed(columns(first)) == []
    (batch,) = _batches(second, rows=100)
    assert [connection.id for connection in tracker.feed(batch)] == [0]
    assert [connection.id for connection in tracker.finish()] == [1]


def test_late_segments_are_told_by_the_number_of_their_connection() -> None:
    talk = opened().close().wait(5).s("ACK").c("ACK")
    other = Talk("10.0.0.1:1", start=-1).c("SYN")
    tracker = _tracker()
    retired, told = list[Connection](), list[tuple[int, int]]()
    for batch in _batches(other, talk, rows=1):
        retired += tracker.feed(batch)
        told += [(late.connection, late.packet) for late in tracker.take_late()]
    (connection,) = retired
    assert [packet for packet, _ in connection.late] == [8], "by this one it was over"
    assert told == [(1, 9)]
    assert tracker.take_late() == []
    assert tracker.connections == 2


def test_finish_hands_out_everything_by_number() -> None:
    talks = [
        Talk("10.0.0.1:1", start=0.0).c("SYN"),
        Talk("10.0.0.1:2", start=0.1).handshake(),
        Talk("10.0.0.1:3", start=0.2).c("SYN").wait(1).c("SYN", at=-1),
        Talk("10.0.0.1:4", start=0.3).s("ACK", at=9),
    ]
    tracker = _tracker()
    tracker.feed(columns(*talks))
    finished = [(connection.id, connection.syns) for connection in tracker.finish()]
    assert finished == [(0, 1), (1, 1), (2, 2), (3, 0)]


def test_finish_hands_out_many_syns_alone_by_number() -> None:
    tracker = _tracker()
    tracker.feed(columns(*[Talk(f"10.0.0.{n}:1", start=n * 0.1).c("SYN") for n in range(1, 20)]))
    assert [connection.id for connection in tracker.finish()] == list(range(19))


def test_who_wants_to_know_is_told_of_each_new_connection_once() -> None:
    begun: list[Connection] = []
    tracker = _tracker(begun)
    for batch in _batches(opened().c(REQUEST), Talk("10.0.0.1:9").c("SYN").c("SYN", at=-1), rows=2):
        tracker.feed(batch)
    assert sorted(connection.client[2] for connection in begun) == [9, 40000]
    assert sorted(connection.id for connection in tracker.finish()) == [0, 1]


def test_bytes_are_copied_only_by_whoever_keeps_them() -> None:
    """What waits behind a hole outlives the batch that brought it."""
    reader = Reader()
    tracker = Tracker(lambda connection, start: reader)
    talk = opened().s(b"lost", lose=True).s(b"waits").s(b"lost", at=0)
    for batch in _batches(talk, rows=1):
        tracker.feed(batch)
        batch.data = np.frombuffer(bytes(len(batch.data)), np.uint8)
    list(tracker.finish())
    assert reader.of(FROM_SERVER) == [b"lostwaits"]
