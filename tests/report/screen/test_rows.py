"""What changes from one inspection to the next, which rows are shown in what order, and what has room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.records.endpoint import RequestsPerConnection
from inspector.report.screen.board import KEPT_HAPPENINGS, RATE_SECONDS, Board, EndpointLine
from inspector.report.screen.columns import Fitted, ListColumn, aligned, endpoint_columns, fitted
from inspector.report.screen.rows import Rows
from inspector.sources.memory import MemorySource
from tests.report import samples
from tests.tcp.playbook import Talk, merged

Pair = tuple[str, int]


def _columns() -> list[ListColumn[Pair]]:
    return [
        ListColumn("name", lambda pair: pair[0], lambda pair: pair[0], 3, 9, 0),
        ListColumn("size", lambda pair: str(pair[1]), lambda pair: pair[1], 2, 5, 1, True, True),
    ]


def _names(rows: Rows[Pair]) -> list[str]:
    return [row.cells[0] for row in rows.shown]


def test_only_what_changed_is_made_anew() -> None:
    made: list[str] = []

    def name(pair: Pair) -> str:
        made.append(pair[0])
        return pair[0]

    rows = Rows([ListColumn("name", name, lambda pair: pair[1], 3, 9, 0, largest_first=True)], 0)
    first, second, third = ("one", 1), ("two", 2), ("three", 3)
    assert rows.update([(1, first), (2, second), (3, third)])
    assert _names(rows) == ["three", "two", "one"]
    assert not rows.update([(1, first), (2, second), (3, third)])
    made.clear()
    assert rows.update([(1, ("one", 9)), (2, second), (3, third)])
    assert made == ["one"]
    assert _names(rows) == ["one", "three", "two"]
    assert rows.update([(2, second), (3, third)])
    assert (_names(rows), len(rows)) == (["three", "two"], 2)
    assert rows.place_of(1) is None


def test_equal_rows_stay_in_the_order_of_their_appearance() -> None:
    rows = Rows(_columns(), 1)
    rows.update((name, (name, 7)) for name in ("c", "a", "b"))
    assert _names(rows) == ["c", "a", "b"]
    rows.sort_by(1)
    assert _names(rows) == ["c", "a", "b"]
    rows.sort_by(0)
    assert _names(rows) == ["a", "b", "c"]
    rows.filter("B")
    assert _names(rows) == ["b"]
    assert rows.place_of("b") == 0
    assert rows.place_of("a") is None


@pytest.mark.parametrize("room", range(20, 240, 7))
def test_columns_have_room(room: int) -> None:
    columns = endpoint_columns()
    widest = [60, 30, 6, 9, 6, 20, 50, 40, 30]
    found = fitted(columns, widest, room)
    cells = ["x" * width for width in widest]
    line = found.line(columns, cells)
    needed = sum(column.least for column in columns if not column.spare) + 5
    assert len(line) < room or room < needed
    assert all(width <= widest[at] for at, width in zip(found.shown, found.widths, strict=True))
    assert columns[found.shown[0]].title == "host:port"
    if room > 200:
        assert len(found.shown) == len(columns)


def test_requests_per_connection_are_their_median_where_there_is_no_room() -> None:
    figures = RequestsPerConnection(1, 2.0, 2.5, 30, {"1": 30, "2": 40, "30": 2}, 0)
    line = EndpointLine(samples.endpoint(requests_per_connection=figures), 0.0, "")
    columns = endpoint_columns()
    at = [column.title for column in columns].index("req/conn")
    cells = [column.text(line) for column in columns]
    assert Fitted([at], [19], 1).line(columns, cells, line) == "1 ×30, 2 ×40, 30 ×2".rjust(20)
    assert Fitted([at], [10], 1).line(columns, cells, line) == "   median 2"


def test_wide_letters_keep_columns_aligned() -> None:
    for text in ("例え.テスト", "a例", "plain", ""):
        for right in (False, True):
            assert cell_len(aligned(text, 6, right)) == 6
    assert aligned("例え.テスト", 6, False).endswith("…")
    assert aligned("例え", 6, True) == "  例え"


def _inspections(*talks: Talk) -> Iterator[Inspection]:
    inspector = Inspector(Options(events=True, on_event=lambda event: None))
    for batch in MemorySource(merged(*talks), batch_rows=1):
        inspector.feed(batch)
        yield inspector.snapshot()


def test_the_rate_is_that_of_the_last_seconds() -> None:
    board = Board()
    talks = [Talk(f"10.0.0.1:{number}", start=number / 10).handshake() for number in range(1, 21)]
    inspections = list(_inspections(*talks))
    for step, inspection in enumerate(inspections):
        board.take(inspection, 100 + step / 30)
    ((key, line),) = board.lines.items()
    assert line.rate == pytest.approx(20 / (len(inspections) / 30), rel=0.1)
    board.take(inspections[-1], 100 + RATE_SECONDS / 2)
    assert 0 < board.lines[key].rate < line.rate
    board.take(inspections[-1], 103 + 2 * RATE_SECONDS)
    board.take(inspections[-1], 103 + 4 * RATE_SECONDS)
    assert board.lines[key].rate == 0


def test_every_connection_is_told_once_to_be_opened_and_once_to_be_closed() -> None:
    talks = [
        Talk("10.0.0.1:1", start=0).handshake().exchange().close(),
        Talk("10.0.0.1:2", start=1).handshake().wait(9).c("RST ACK"),
        Talk("10.0.0.1:3", start=2).c("SYN").s("RST ACK", seq=0),
        Talk("10.0.0.1:4", start=3).handshake().exchange().wait(20).c("ACK"),
    ]
    board = Board()
    for inspection in _inspections(*talks):
        board.take(inspection, 0.0)
    told = [(one.connection, one.what.split("  ")[0].split(" ")[0], one.odd) for one in board.happenings]
    assert sorted(told) == [
        (0, "closed", False),
        (0, "opened", False),
        (1, "closed", True),
        (1, "opened", False),
        (2, "refused", True),
        (3, "opened", False),
    ]
    assert board.happenings.maxlen == KEPT_HAPPENINGS


def test_what_is_no_longer_kept_is_forgotten() -> None:
    inspections = list(_inspections(Talk().c("SYN"), Talk("10.0.0.7:7", "10.0.0.8:80", start=3).handshake()))
    board = Board()
    board.take(inspections[-1], 0.0)
    assert board.connection(0) is not None
    fewer = inspections[-1]
    fewer.connections, fewer.endpoints = fewer.connections[1:], fewer.endpoints[1:]
    board.take(fewer, 1.0)
    assert board.connection(0) is None
    assert len(board.lines) == 1
