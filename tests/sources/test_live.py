"""A live source over packets that are made up: numbers, limits, the clock, what was lost, how it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from inspector.packets.batch import BATCH_BOUNDARY, Interface
from inspector.packets.decode import PacketDecoder
from inspector.sources import live
from inspector.sources.live import DOWN, GONE, LATENESS_NS, UP, LiveSource
from inspector.sources.reader import Rows
from inspector.sources.source import BATCH_ROWS, Dropped


class Feed:
    """Gives so many packets of one byte, then nothing more."""

    def __init__(self, packets: int = 0) -> None:
        self.left = packets
        self.interfaces = [Interface(1, "eth0")]
        self.lost = 0
        self.listened_to: list[list[str]] = []
        self.stopped = self.closed = False

    def look(self) -> None: ...

    def take(self, max_rows: int) -> Rows | None:
        n = min(self.left, max_rows)
        if not n:
            return None
        self.left -= n
        ones = np.ones(n, np.int64)
        return Rows(np.zeros(n, np.uint8), np.arange(n), ones, ones * 99, ones, np.zeros(n, np.uint16))

    def filenos(self) -> list[int]:
        return []

    def filling(self) -> bool:
        return False

    def dropped(self) -> int | None:
        return self.lost

    def listen_to(self, names: list[str]) -> None:
        self.listened_to.append(list(names))

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True


class OnlyWhatWasSeen(Feed):
    """As the ring: what comes behind a look waits for the next."""

    seen = 0

    def look(self) -> None:
        self.seen = self.left

    def take(self, max_rows: int) -> Rows | None:
        n = min(self.seen, max_rows)
        self.seen -= n
        return super().take(n)


@contextmanager
def source(feed: Feed, names: tuple[str, ...] = ("any",), **options: object) -> Iterator[LiveSource]:
    with LiveSource(names, feed, **options) as made:  # type: ignore[arg-type]
        yield made
    assert feed.closed


def test_packets_are_numbered_and_batches_cut_at_the_boundary() -> None:
    feed = Feed(BATCH_BOUNDARY + 100)
    expected = 1
    with source(feed, duration=0) as one:
        for batch in one:
            if not len(batch):
                continue
            assert batch.first_packet == expected
            assert len(batch) <= BATCH_ROWS
            expected += len(batch)
            assert (batch.first_packet - 1) // BATCH_BOUNDARY == (expected - 2) // BATCH_BOUNDARY
        (file,) = one.files
        assert (file.path, file.format, file.packets, file.link_types) == ("any", "live", BATCH_BOUNDARY + 100, [1])
    assert expected == BATCH_BOUNDARY + 101


def test_no_more_packets_than_asked_for() -> None:
    feed = Feed(100)
    with source(feed, count=7) as one:
        assert sum(map(len, one)) == 7
    assert feed.stopped


def test_what_has_been_captured_is_handed_out_at_the_end() -> None:
    feed = Feed()
    with source(feed) as one:
        seen = 0
        for batch in one:
            seen += len(batch)
            if not feed.stopped and not seen:
                one.stop()
                feed.left = 5
        assert seen == 5


def test_what_comes_while_the_last_batches_are_worked_on_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LATENESS_NS", 20_000_000)
    feed = OnlyWhatWasSeen(3)
    with source(feed) as one:
        one.stop()
        seen = []
        for batch in one:
            seen.append(len(batch))
            feed.left = 2 if len(seen) == 1 else feed.left
            time.sleep(0.05)
    assert seen == [3, 2]


def test_idle_batches_tell_the_time_and_count_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TICK", 0.01)
    before = time.time_ns() - LATENESS_NS
    with source(Feed(3), duration=0.2) as one:
        idle = [batch for batch in one if not len(batch)]
    assert len(idle) >= 2
    times = [batch.idle_ns for batch in idle if batch.idle_ns is not None]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time_ns() - LATENESS_NS
    assert {batch.first_packet for batch in idle} <= {1, 4}
    decoded = PacketDecoder().decode(idle[-1])
    assert (len(decoded), decoded.end_packet, decoded.end_ns) == (0, 0, times[-1])


def test_losses_are_kept() -> None:
    feed = Feed()
    feed.lost = 5
    with source(feed, duration=0) as one:
        list(one)
        assert one.files[0].dropped == Dropped(5, None)


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the system says of interfaces; a look is taken at once."""
    told = {"eth0": UP, "eth1": UP}
    monkeypatch.setattr(live, "interface_state", told.__getitem__)
    monkeypatch.setattr(live, "TICK", 0.0)
    return told


def test_an_interface_that_goes_down_is_waited_for(states: dict[str, int]) -> None:
    feed, words = Feed(), list[str]()
    with source(feed, ("eth0",), warn=words.append) as one:
        for turn, _ in enumerate(one):
            states["eth0"] = (DOWN, UP)[turn] if turn < 2 else UP
            if turn == 3:
                one.stop()
        assert one.problems == []
    assert words == ["eth0 is down", "eth0 is up"]


def test_when_all_have_gone_the_capture_ends(states: dict[str, int]) -> None:
    feed, words = Feed(), list[str]()
    with source(feed, ("eth0",), warn=words.append) as one:
        for _ in one:
            states["eth0"] = GONE
        assert (
            [problem.what for problem in one.problems]
            == words
            == ["eth0 has gone: its packets are missing from here on"]
        )
    assert feed.stopped


def test_others_go_on_and_one_that_is_back_is_listened_to(states: dict[str, int]) -> None:
    feed, words = Feed(), list[str]()
    with source(feed, ("eth0", "eth1"), warn=words.append) as one:
        for turn, _ in enumerate(one):
            states["eth0"] = GONE if turn == 0 else UP
            if turn == 3:
                one.stop()
        assert len(one.problems) == 1
    assert feed.listened_to == [["eth1"], ["eth0", "eth1"]]
    assert words[1:] == ["eth0 is up"]


def test_one_that_is_down_from_the_start_is_told(states: dict[str, int]) -> None:
    states["eth0"] = DOWN
    words: list[str] = []
    with source(Feed(), ("eth0",), warn=words.append):
        pass
    assert words == ["eth0 is down: there is nothing to see until it comes up"]
