"""The capture behind the screen: what it keeps, when it makes news, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inspector.cli import screen
from inspector.cli.judging import Judging
from inspector.cli.kept import EVENTS_OF_ONE, KeptEvents
from inspector.cli.screen import WatchedCapture
from inspector.engine import Inspector
from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.records.event import EventRecord
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import Talk


def _event(connection: int, packet: int) -> EventRecord:
    return EventRecord(connection, packet, packet, "client", "request", None, "GET /")


def _watched() -> WatchedCapture:
    source: Any = MemorySource([])
    return WatchedCapture(source, "tcp", Judging(source))


def _inspector(*talks: Talk) -> Inspector:
    inspector = Inspector()
    for talk in talks:
        for batch in MemorySource(talk.packets):
            inspector.feed(batch)
    return inspector


def test_of_a_connection_with_many_events_the_last_ones_are_kept() -> None:
    kept = KeptEvents()
    for packet in range(EVENTS_OF_ONE + 5):
        kept.add(_event(1, packet))
    events, gone = kept.of(1)
    assert (len(events), events[0].packet, gone) == (EVENTS_OF_ONE, 5, 5)
    assert kept.of(2) == ([], 0)


def test_of_many_connections_the_events_of_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.cli.kept.EVENTS_OF_ALL", 10)
    kept = KeptEvents()
    for connection in range(6):
        for packet in range(3):
            kept.add(_event(connection, packet))
    assert [len(kept.of(connection)[0]) for connection in range(6)] == [0, 0, 0, 3, 3, 3]


def test_news_is_made_when_it_is_time_and_handed_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(screen, "time", SimpleNamespace(monotonic=lambda: now))
    watched, inspector = _watched(), _inspector(Talk().handshake().exchange())
    assert watched.news() is None
    watched.after_batch(inspector)
    first = watched.news()
    assert first is not None
    assert [connection.requests for connection in first.connections] == [1]
    assert watched.news() is None
    watched.after_batch(inspector)
    assert watched.news() is None, "too early"
    now += screen.PACE
    watched.look_away(True)
    watched.after_batch(inspector)
    assert watched.news() is None, "nobody looks"
    watched.look_away(False)
    watched.after_batch(inspector)
    assert watched.news() is not None


def test_a_report_is_written_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inspection = _inspector(Talk().handshake().exchange()).snapshot()
    watched = _watched()
    names = {watched.write(inspection) for _ in range(3)}
    assert len(names) == 3
    for name in names:
        assert os.path.dirname(name) == str(tmp_path)
        with open(name, encoding="utf-8") as file:
            report = json.load(file)
        assert [connection["requests"] for connection in report["connections"]] == [1]
        assert report["connections"][0]["closed"] is None


def test_a_report_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    with pytest.raises(UsageError, match=r"cannot write connspect-[-0-9]*\.json: No such file"):
        _watched().write(_inspector().snapshot())


def test_what_was_known_is_left_when_the_engine_fails() -> None:
    watched, inspector = _watched(), _inspector(Talk().handshake().exchange())

    def capture() -> Inspection:
        watched.after_batch(inspector)
        raise RuntimeError("a bug")

    watched.run(capture)
    assert watched.ended
    assert isinstance(watched.error, RuntimeError)
    assert watched.inspection is not None
    assert len(watched.inspection.connections) == 1


@pytest.mark.parametrize("term", ["dumb", ""])
def test_no_screen_without_a_terminal_that_can_show_it(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(sys, "__stdin__", terminal)
    monkeypatch.setattr(sys, "__stdout__", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert screen.has_screen()
    monkeypatch.setenv("TERM", term)
    assert not screen.has_screen()
    monkeypatch.setenv("TERM", "xterm")
    for stream in ("__stdin__", "__stdout__"):
        with monkeypatch.context() as changed:
            changed.setattr(sys, stream, SimpleNamespace(isatty=lambda: False))
            assert not screen.has_screen()
