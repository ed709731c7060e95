"""The event log: who did what, also where only the content tells client and server, and however batches are cut."""

from __future__ import annotations

import pytest

from inspector.engine import Options
from inspector.records.event import EventRecord
from inspector.records.log import EVENTS_WAITING
from tests.tcp.playbook import REQUEST, RESPONSE, Talk, alike, inspect, opened

EVENTS = Options(events=True)


def _turning() -> Talk:
    """Joined in the middle. The port says that the server is who turns out to be the client."""
    return Talk("10.0.0.1:80", "10.0.0.2:40000")


def _lines(events: list[EventRecord]) -> list[tuple[int, str | None, str]]:
    return [(event.packet, event.by, event.event) for event in events]


def test_what_came_before_the_content_told_the_roles_is_told_by_them() -> None:
    talk = _turning().s("ACK", at=5, window=0).c("ACK", at=9).c(REQUEST, at=9)
    assert _lines(alike(talk, options=EVENTS).events) == [
        (1, "server", "zero-window"),
        (3, "client", "request"),
        (3, "client", "request-end"),
    ]


def test_what_waits_when_nothing_tells_the_roles_comes_at_the_end() -> None:
    talk = _turning().s("ACK", at=5, window=0).c("ACK", at=9).s("FIN ACK", at=5)
    assert _lines(alike(talk, options=EVENTS).events) == [(1, "client", "zero-window"), (3, "client", "fin")]


@pytest.mark.parametrize(("noted", "by"), [(EVENTS_WAITING, "server"), (EVENTS_WAITING + 1, "client")])
def test_a_bound_is_kept_on_what_waits(noted: int, by: str) -> None:
    """Beyond it, what waited goes out by the roles of the time."""
    talk = _turning()
    for _ in range(noted):
        talk.s("ACK", at=5, window=0).s("ACK", at=5)
    events = alike(talk.c(REQUEST, at=9).s("FIN ACK", RESPONSE, at=5), options=EVENTS).events
    closed_windows = [event.by for event in events if event.event == "zero-window"]
    assert closed_windows == [by] * noted
    assert [event.by for event in events if event.event in ("request", "fin")] == ["client", "server"]


def test_what_waits_keeps_nobody_else_waiting() -> None:
    handed: list[EventRecord] = []
    waiting = Talk("10.0.0.1:2", "10.0.0.2:3", start=0).s("ACK", at=5, window=0).wait(5).c(REQUEST, at=9)
    other = opened(start=1)
    inspect(waiting, other, options=Options(events=True, on_event=handed.append), batch_rows=1)
    assert [event.packet for event in handed] == [2, 3, 4, 1, 5, 5]
    assert [event.packet for event in alike(waiting, other, options=EVENTS).events] == [1, 2, 3, 4, 5, 5]
