"""The page's data against the JSON report of the same recordings; and what a page has no room for, it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.cli.main import main
from inspector.report.html import budget
from inspector.report.layout import Screen
from inspector.report.story import story
from tests.recordings import CAPTURES, report_on
from tests.report import samples
from tests.report.html.reading import PageReader, finding, read, strings_of
from tests.report.samples import MS, START_NS

#: HTTP/1, pools, HTTP/2 with GOAWAY and PING, TLS that stays closed, a race, refusals, IPv6.
RECORDINGS = [
    *("nginx-idle", "urllib3-pool-threads", "envoy-h2-drain", "envoy-h2-pings", "tls-no-keys", "race-after"),
    *("refused", "unanswered", "ipv6", "websocket", "connect-tunnel", "mid-stream"),
]


def page_of(name: str, folder: Path) -> PageReader:
    """A recording's page, by the command line."""
    (capture,) = (CAPTURES / name).glob("client.pcapng*")
    keys = [argument for log in (CAPTURES / name).glob("keys.log") for argument in ("--keylog", str(log))]
    output = folder / "report.html"
    assert main(["read", "-q", "-T", "html", "-o", str(output), *keys, str(capture)]) == 0
    return PageReader(output.read_text("utf-8"))


def connections_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The page's connections, with the names and times of the JSON report."""
    columns, origin = data["connections"], int(data["origin"])
    names = data["strings"]
    return [
        {
            "id": row["id"],
            "client": {"ip": names[row["client"]], "port": row["port"]},
            "server": {
                "ip": names[data["servers"]["ip"][row["server"]]],
                "port": data["servers"]["port"][row["server"]],
            },
            "name": None if row["name"] is None else names[row["name"]],
            "protocol": names[row["protocol"]],
            "start_ns": origin + row["start"],
            "end_ns": origin + row["end"],
            "packets": (row["first"], row["last"]),
            "opened": (names[row["opened"]], row["handshake"]),
            "tls_ns": row["tls"],
            "requests": row["requests"],
            "state": names[row["state"]],
            "closed": None
            if row["by"] is None
            else {
                "by": ("client", "server")[row["by"]],
                "how": "rst" if row["reset"] else "fin",
                "packet": row["packet"],
                "time_ns": origin + row["at"],
                "idle_ns": row["idle"],
            },
        }
        for row in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    ]


def as_drawn(connection: dict[str, Any]) -> dict[str, Any]:
    """The same of a connection in the JSON report."""
    same = ("id", "client", "server", "name", "protocol", "start_ns", "end_ns", "requests", "state")
    closed, tls = connection["closed"], connection["tls"]
    return {
        **{name: connection[name] for name in same},
        "packets": (connection["first_packet"], connection["last_packet"]),
        "opened": (connection["opened"]["how"], connection["opened"]["handshake_ns"]),
        "tls_ns": None if tls is None else tls["handshake_ns"],
        "closed": closed and {name: closed[name] for name in ("by", "how", "packet", "time_ns", "idle_ns")},
    }


@pytest.mark.parametrize("name", RECORDINGS)
def test_connections_exchanges_and_findings_are_the_json_reports(name: str, tmp_path: Path) -> None:
    data, report = page_of(name, tmp_path).data, report_on(CAPTURES / name)
    assert connections_of(data) == [as_drawn(connection) for connection in report["connections"]]
    _check_exchanges(data, report["connections"])
    ids = data["connections"]["id"]
    for drawn, told in zip(data["findings"], report["findings"], strict=True):
        runs = zip(drawn["rows"][::2], drawn["rows"][1::2], strict=True)
        rows = [row for first, count in runs for row in range(first, first + count)]
        assert [ids[row] for row in rows] == sorted(told["connections"])
        assert data["strings"][drawn["code"]] == told["code"]


def _check_exchanges(data: dict[str, Any], connections: list[dict[str, Any]]) -> None:
    columns, origin = data["exchanges"], int(data["origin"])
    assert columns["told"] == [len(connection["exchanges"]) for connection in connections]
    expected = [(row, one) for row, connection in enumerate(connections) for one in connection["exchanges"]]
    assert len(columns["begin"]) == len(expected)
    labels, *_ = strings_of(data, columns["label"])
    for place, (row, exchange) in enumerate(expected):
        request, response = exchange["request"], exchange["response"]
        begin_ns = origin + data["connections"]["start"][row] + columns["begin"][place]
        assert begin_ns == min(one["time_ns"] for one in (request, response) if one)
        assert columns["asked"][place] == (request and request["packet"])
        assert columns["answered"][place] == (response and response["packet"])
        assert columns["status"][place] == (response and response["status"])
        assert (None, "after", "crossed")[columns["race"][place]] == exchange["race"]
        assert columns["stream"][place] == exchange["stream"]
        if response:
            assert begin_ns + columns["respond"][place] == response["time_ns"]
        if request:
            assert labels[place] == f"{request['method'] or '?'} {request['target'] or '?'}"
        ends = [one["end_ns"] for one in (request, response) if one and one["end_ns"]]
        if ends:
            assert begin_ns + columns["finish"][place] >= max(ends)


def test_goaway_and_ping_are_marked(tmp_path: Path) -> None:
    data, report = page_of("envoy-h2-pings", tmp_path).data, report_on(CAPTURES / "envoy-h2-pings")
    (connection,) = report["connections"]
    marks = data["marks"]
    whats, *_ = strings_of(data, marks["what"])
    found = sorted(
        (what, ("client", "server")[by], packet, int(data["origin"]) + at)
        for what, by, packet, at in zip(whats, marks["by"], marks["packet"], marks["at"], strict=True)
    )
    http2 = connection["http2"]
    expected = [("ping", ping["from"], ping["packet"], ping["sent_ns"]) for ping in http2["pings"]]
    for side in ("client", "server"):
        expected += [("goaway", side, frame["packet"], frame["time_ns"]) for frame in http2[side]["goaways"]]
    assert found == sorted(expected)
    assert {what for what, *_ in found} >= {"ping"}


def test_a_story_is_what_show_tells() -> None:
    connection = samples.connection()
    events = samples.nginx_events()
    data = read(samples.inspection(), lambda number: (events, 2)).data
    stories = data["stories"]
    lines = list(story(connection, events, Screen(), everything=False))
    whats, remarks = strings_of(data, stories["what"], stories["remarks"])
    assert stories["row"] == [0]
    assert whats[0] == "· 2 earlier events not kept ·"
    body = lines[2 : 2 + len(whats) - 1]
    for line, what, remark in zip(body, whats[1:], remarks[1:], strict=True):
        assert what is not None
        assert what in line
        assert remark is None or line.endswith(remark)
    (below,) = strings_of(data, *stories["below"])
    assert [f"  {line}" for line in below] == lines[-2:]
    assert stories["time"][1:4] == [0, 43_000, 310_000]


def test_servers_that_findings_are_about_come_first(tmp_path: Path) -> None:
    data = page_of("two-names", tmp_path).data
    (labels,) = strings_of(data, data["servers"]["label"])
    assert len(labels) == len(set(labels)) >= 1


# ---- what there is no room for


@given(st.lists(st.integers(0, 50)), st.integers(0, 300))
def test_shares_fill_the_room_and_no_more(wanted: list[int], room: int) -> None:
    most = budget.share(wanted, room)
    assert sum(min(count, most) for count in wanted) <= room
    if any(count > most for count in wanted):
        assert sum(min(count, most + 1) for count in wanted) > room


def test_those_that_findings_show_are_chosen_first() -> None:
    connections = [samples.connection(id=number) for number in range(10)]
    inspection = samples.inspection(connections=connections)
    shown = finding("it closes")
    shown.evidence[0].connection = 7
    assert [one.id for one in budget.chosen(connections, [shown], 3)] == [0, 1, 7]
    assert budget.chosen(inspection.connections, [shown], 10) == connections


def test_what_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(number: int, count: int) -> Any:
        exchanges = [
            samples.exchange(at, samples.request(4, at * MS), samples.response(6, at * MS + 1)) for at in range(count)
        ]
        return samples.connection(id=number, exchanges=exchanges, requests=count)

    for name, room in (("CONNECTIONS", 3), ("EXCHANGES", 7), ("LINES", 9), ("ENDPOINTS", 1)):
        monkeypatch.setattr(budget, name, room)
    inspection = samples.inspection(
        connections=[busy(0, 1), busy(1, 10), busy(2, 10), busy(3, 1)],
        endpoints=[samples.endpoint(), samples.endpoint(port=8002, connections=1)],
        unlisted=4,
    )
    reader = read(inspection, lambda number: (samples.nginx_events(), 0))
    data = reader.data
    assert data["connections"]["id"] == [0, 1, 2]
    assert data["exchanges"]["told"] == [1, 3, 3]
    assert data["exchanges"]["all"] == [1, 10, 10]
    assert len(data["stories"]["row"]) == 2
    for words in (
        "1 connection is not on this page",
        "14 exchanges are not drawn",
        "1 connection has no story here",
        "4 unanswered connections more",
        "1 server with fewer connections",
    ):
        assert words in reader.text, words


def test_whole_pages_say_nothing_about_that() -> None:
    reader = read(samples.inspection(), lambda number: (samples.nginx_events(), 0))
    assert "not on this page" not in reader.text
    assert "no story here" not in reader.text
    assert int(reader.data["origin"]) == START_NS
