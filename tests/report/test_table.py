"""The first screen: inspections in, lines out."""

from __future__ import annotations

from statistics import mean, median
from typing import get_args

import pytest

from inspector.records.capture import Dropped, File, Problem
from inspector.records.connection import Announced, CloseHow, Connection, End, Estimate, Opened, Side
from inspector.records.endpoint import (
    AnnouncedCount,
    ClosedCounts,
    EndpointRecord,
    Handshakes,
    Headers,
    Idle,
    IdleBeforeClose,
    RequestHeaders,
    RequestsPerConnection,
    ResponseHeaders,
    TcpHandshakes,
    TlsHandshakes,
)
from inspector.records.finding import Finding
from inspector.report.endpoint_table import per_connection_words
from inspector.report.findings import findings
from inspector.report.layout import Screen
from inspector.report.table import View, reuse_text, table
from tests.report import samples
from tests.report.samples import MS, NO_IDLE, SECOND

PIPE = View(Screen())


def mixed(ip: str = "192.168.100.100") -> EndpointRecord:
    """An endpoint at which everything happened."""
    return samples.endpoint(
        name=None,
        names={},
        ip=ip,
        port=50100,
        connections=13,
        opened=2,
        already_open=1,
        refused=7,
        unanswered=2,
        half_open=1,
        still_open=1,
        closed=ClosedCounts(2, 1, 0, 3),
        requests_per_connection=RequestsPerConnection(1, 2.5, 8, 25, {"1": 1, "2": 1, "3": 1, "25": 1}, 2),
        idle_before_close=IdleBeforeClose(
            Idle(3, 3 * MS, 3_100_000, 20 * SECOND), Idle(1, 70 * SECOND, 70 * SECOND, 70 * SECOND)
        ),
        headers=Headers(RequestHeaders({"close": 3, "keep-alive, Upgrade": 2}), ResponseHeaders({}, {})),
    )


def drained() -> EndpointRecord:
    """An endpoint of HTTP/2 whose connections end with GOAWAY in every way; some are encrypted."""
    announced = [
        AnnouncedCount(by, "goaway", closed_by, how, 1)
        for by in get_args(Side)
        for closed_by in get_args(Side)
        for how in get_args(CloseHow)
    ]
    return samples.endpoint(
        protocols={"h2": 2, "h2c": 1, "tls": 3},
        announced=announced,
        estimate=Estimate(12, "records"),
        closed=ClosedCounts(2, 2, 2, 2),
        requests_per_connection=RequestsPerConnection(2, 5, 4, 5, {"2": 1, "5": 2}, 3),
        handshake=Handshakes(TcpHandshakes(6, 60_000), TlsHandshakes(6, 11_200_000, 4)),
    )


def refused(port: int) -> EndpointRecord:
    """An endpoint that nobody got into."""
    return samples.endpoint(
        name=None,
        names={},
        port=port,
        protocols={"none": 1},
        connections=1,
        opened=0,
        refused=1,
        closed=ClosedCounts(),
        requests=0,
        requests_per_connection=RequestsPerConnection(None, None, None, None, {}, 1),
        idle_before_close=IdleBeforeClose(NO_IDLE, NO_IDLE),
        headers=Headers(RequestHeaders({}), ResponseHeaders({}, {})),
    )


def test_the_first_screen_answers_the_first_questions() -> None:
    assert list(table(samples.inspection(), PIPE)) == [
        "captures/nginx-idle/client.pcapng    84 packets, all TCP    8.60 s    6 connections",
        "",
        " host:port                protocol  opened  open  requests  per connection  closed by      idle at close",
        " shop.test 10.0.0.1:8001  http/1.1       6     0        18               3  server FIN ×6  "
        "7.00 s (7.00 – 7.01)",
        "",
        " 10.0.0.1:8001   requests say   Connection: keep-alive ×18",
        " 10.0.0.1:8001   responses say  Connection: keep-alive ×18    Keep-Alive: timeout=7 ×18",
    ]


def test_at_80_columns_an_endpoint_has_a_line_of_its_own() -> None:
    assert list(table(samples.inspection(endpoints=[mixed()]), View(Screen(80))))[2:] == [
        "",
        " host:port",
        "   protocol opened open requests          per closed by      idle at close",
        "                                   connection",
        " 192.168.100.100:50100",
        "   already open ×1, refused ×7, unanswered ×2, half-open ×1",
        "   http/1.1      2    1       18   median 2.5 server RST ×3, client 3.10 ms",
        "                                    (1 – 25), client FIN ×2, (3.00 ms – 20.0 s),",
        "                                  2 not whole client RST ×1  server 1 min 10 s",
        "",
        " 192.168.100.100:50100   requests say   Connection: close ×3",
        "                                        Connection: keep-alive, Upgrade ×2",
        "                                        no Connection (HTTP/1.1 keeps it) ×13",
        "                         responses say  no Connection, no Keep-Alive",
        "",
        " --connections lists them, 'connspect show FILE ID' tells one,",
        " --format json has everything",
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    inspection = samples.inspection(
        endpoints=[
            samples.endpoint(),
            drained(),
            mixed(),
            refused(1),
            mixed(ip="2001:db8:1111:2222:3333:4444:5555:6666"),
        ],
        capture=samples.capture(problems=[Problem("a.pcap", 123_456, 56, "cut " * 50)], dropped=Dropped(5, 7)),
        events=samples.nginx_events(),
        anomalies={f"some_anomaly_{i}": i for i in range(20)},
    )
    lines = list(table(inspection, View(Screen(width), connections=True, events=True)))
    assert [line for line in lines if len(line) > width] == []


def test_in_a_pipe_every_endpoint_is_one_line() -> None:
    endpoints = [samples.endpoint(), mixed(), *map(refused, range(1, 201))]
    lines = list(table(samples.inspection(endpoints=endpoints), PIPE))
    assert sum(line.split()[:2] == ["192.168.100.100:50100", "http/1.1"] for line in lines) == 1
    assert sum("refused ×1" in line for line in lines) == 200
    assert not [line for line in lines if "more:" in line]


def test_a_terminal_shows_those_with_most_connections_and_counts_the_rest() -> None:
    endpoints = [*map(refused, range(1, 201)), mixed()]
    lines = list(table(samples.inspection(endpoints=endpoints), View(Screen(120))))
    assert "192.168.100.100:50100" in lines[4]
    assert " … and 181 more: -v lists them, --host and --port choose" in lines
    everything = list(table(samples.inspection(endpoints=endpoints), View(Screen(120), everything=True)))
    assert sum("refused ×1" in line for line in everything) == 200


def test_columns_that_would_say_nothing_are_left_out() -> None:
    lines = list(table(samples.inspection(endpoints=[refused(9)]), PIPE))
    assert lines[2:] == [
        " host:port   opened  open  requests  others",
        " 10.0.0.1:9       0     0         0  refused ×1",
    ]


@pytest.mark.parametrize(
    ("histogram", "partial", "words", "brief"),
    [
        ({3: 6}, 0, "3", "3"),
        ({3: 1}, 4, "3 ×1, 4 not whole", "3"),
        ({1: 30, 5: 2}, 0, "1 ×30, 5 ×2", "1 ×30, 5 ×2"),
        ({1: 1, 2: 1, 3: 5, 1000: 1}, 0, "median 3 (1 – 1,000)", "median 3 (1 – 1,000)"),
        ({1: 2, 2: 2, 3: 2, 4: 2}, 1, "median 2.5 (1 – 4), 1 not whole", "median 2.5 (1 – 4)"),
    ],
)
def test_requests_per_connection_are_no_average(
    histogram: dict[int, int], partial: int, words: str, brief: str
) -> None:
    each = [n for n, count in histogram.items() for _ in range(count)]
    named = {str(n): count for n, count in histogram.items()}
    figures = RequestsPerConnection(min(each), median(each), mean(each), max(each), named, partial)
    endpoint = samples.endpoint(requests_per_connection=figures)
    assert " ".join(per_connection_words(endpoint)) == words
    assert " ".join(per_connection_words(endpoint, brief=True)) == brief


def test_several_names_are_counted_and_told_when_nothing_is_to_be_left_out() -> None:
    inspection = samples.inspection(
        endpoints=[samples.endpoint(name="shop.test", names={"a.test": 1, "b\x1b.test": 2, "shop.test": 3})]
    )
    assert list(table(inspection, PIPE))[3].startswith(" shop.test +2 10.0.0.1:8001  ")
    everything = View(Screen(), everything=True)
    assert list(table(inspection, everything))[3].startswith(" shop.test, b\\x1b.test, a.test 10.0.0.1:8001  ")


def test_requests_of_http_1_0_without_connection_are_not_kept_anyway() -> None:
    headers = Headers(RequestHeaders({}), ResponseHeaders({}, {}))
    inspection = samples.inspection(
        endpoints=[samples.endpoint(headers=headers, protocols={"http/1.0": 1, "http/1.1": 5})]
    )
    assert list(table(inspection, PIPE))[5] == " 10.0.0.1:8001   requests say   no Connection ×18"


def test_what_was_not_tcp_lost_or_damaged_is_said() -> None:
    capture = samples.capture(
        tcp_segments=80,
        skipped={"not_tcp": 3, "not_ip": 1, "some_reason": 0},
        dropped=Dropped(1_234, None),
        problems=[Problem("client.pcapng", 123_456, 84, "cut in mid-packet")],
    )
    assert list(table(samples.inspection(capture=capture), PIPE))[:3] == [
        "captures/nginx-idle/client.pcapng    84 packets, 80 TCP, 1,234 lost by the system    8.60 s    6 connections",
        " skipped   not TCP 3, not IP 1",
        " ! client.pcapng: cut in mid-packet, at byte 123,456, after packet 84",
    ]


def test_nothing_is_said_to_be_lost_only_where_somebody_counted() -> None:
    unknown = next(table(samples.inspection(), PIPE))
    counted = next(table(samples.inspection(capture=samples.capture(dropped=Dropped(0, 0))), PIPE))
    assert "lost" not in unknown
    assert "all TCP, none lost" in counted


def test_several_captures_are_named_with_their_packets() -> None:
    files = [File("a.pcap", "pcap", None, [1], 40, 1), File("b.pcap", "pcap", "gzip", [1], 44, 1)]
    lines = list(table(samples.inspection(capture=samples.capture(files=files)), PIPE))
    assert lines[:3] == [
        "2 captures    84 packets, all TCP    8.60 s    6 connections",
        "  a.pcap    40 packets",
        "  b.pcap    44 packets",
    ]


def test_standard_input_is_called_by_its_name() -> None:
    capture = samples.capture(
        files=[File("-", "pcap", None, [1], 84, 1)], problems=[Problem("-", None, 84, "interrupted")]
    )
    lines = list(table(samples.inspection(capture=capture), PIPE))
    assert lines[0].startswith("standard input    84 packets")
    assert lines[1] == " ! standard input: interrupted, after packet 84"


def test_a_capture_without_tcp_is_one_line() -> None:
    capture = samples.capture(packets=2, tcp_segments=0, skipped={"not_ip": 2})
    assert list(table(samples.inspection(capture=capture, endpoints=[], connections=[]), PIPE)) == [
        "captures/nginx-idle/client.pcapng    2 packets, none of them TCP    8.60 s    0 connections",
        " skipped   not IP 2",
    ]


def test_a_countdown_in_keep_alive_is_one_value() -> None:
    counting = {f"timeout=5, max={n}": 1 for n in range(100, 75, -1)} | {"timeout=5": 2, "Timeout": 1}
    headers = Headers(RequestHeaders({}), ResponseHeaders({"Keep-Alive": 27}, counting))
    lines = list(table(samples.inspection(endpoints=[samples.endpoint(headers=headers)]), PIPE))
    assert lines[5:] == [
        " 10.0.0.1:8001   requests say   no Connection (HTTP/1.1 keeps it) ×18",
        " 10.0.0.1:8001   responses say  Connection: Keep-Alive ×27    Keep-Alive: timeout=5, max=100 … 76 ×25"
        "    Keep-Alive: timeout=5 ×2    Keep-Alive: Timeout ×1",
    ]


def test_a_flood_of_header_values_is_cut_and_counted() -> None:
    headers = Headers(RequestHeaders({f"v{n}": 1 for n in range(50)}), ResponseHeaders({}, {}))
    lines = list(table(samples.inspection(endpoints=[samples.endpoint(requests=50, headers=headers)]), PIPE))
    assert lines[5].endswith("Connection: v5 ×1    Connection: 44 further values ×44")


def test_text_from_the_wire_is_escaped() -> None:
    endpoint = samples.endpoint(
        name="shop\x1b]0;owned\x07.test",
        headers=Headers(RequestHeaders({"close\x1b[2J": 1}), ResponseHeaders({"\u202eesolc": 1}, {"\x9b1m": 1})),
    )
    events = [samples.event("anomaly", 1, 0, None, detail="\x1b[31m")]
    files = [File("a\x1b.pcap", "pcap", None, [1], 84, 1)]
    capture = samples.capture(files=files, problems=[Problem("b\x1b.pcap", None, None, "it says \x1b")])
    inspection = samples.inspection(endpoints=[endpoint], events=events, capture=capture)
    text = "".join(table(inspection, View(Screen(), connections=True, events=True)))
    assert text.isprintable()
    assert "shop\\x1b]0;owned\\x07.test" in text


def test_connections_are_listed_with_names_where_these_differ() -> None:
    both = [samples.connection(), samples.connection(id=1, name="www\x1b.test"), samples.connection(id=2, name=None)]
    lines = list(table(samples.inspection(connections=both), View(Screen(), connections=True)))
    assert [line.split()[3] for line in lines[8:]] == ["name", "shop.test", "www\\x1b.test", "–"]
    narrow = list(table(samples.inspection(connections=both), View(Screen(100), connections=True)))
    assert max(map(len, narrow[8:12])) <= 100
    assert "www\\x1b.test" in "".join(narrow)


def test_a_name_is_told_beside_another_server() -> None:
    one, other = samples.connection(), samples.connection(id=1, server=End("10.0.0.3", 8001), name=None)
    assert "name" in _titles([one, other])
    assert "name" not in _titles([one, samples.connection(id=1)])


def _titles(connections: list[Connection]) -> list[str]:
    lines = list(table(samples.inspection(connections=connections), View(Screen(), connections=True)))
    return next(line.split() for line in lines if line.startswith(" id  client"))


def test_connections_and_events_are_listed_on_demand() -> None:
    inspection = samples.inspection(events=samples.nginx_events()[:2], unlisted=3)
    lines = list(table(inspection, View(Screen(), connections=True, events=True)))
    assert lines[8:] == [
        " id  client          server         protocol  opened     requests  closed by     idle  duration  state",
        "  0  10.0.0.2:46184  10.0.0.1:8001  http/1.1  handshake         1  server FIN  7.00 s    7.00 s  SF",
        " 3 unanswered connections more: counted above, not listed",
        "",
        "      time  packet  id  by      event    detail",
        " 0.000 000       1   0  client  syn",
        " 0.000 043       2   0  server  syn-ack",
    ]
    assert not [line for line in table(inspection, PIPE) if "46184" in line or "syn" in line]


def test_connections_still_open_say_so() -> None:
    connection = samples.connection(closed=None, requests=None, state="S1")
    lines = list(table(samples.inspection(connections=[connection]), View(Screen(), connections=True)))
    assert lines[-1].split()[5:] == ["–", "still", "open", "–", "7.00", "s", "S1"]


def test_who_closed_after_a_goaway_says_so() -> None:
    """By itself, or because the other side had announced the close."""
    announced = [
        AnnouncedCount("server", "goaway", "server", "fin", 3),
        AnnouncedCount("server", "goaway", "client", "fin", 2),
        AnnouncedCount("server", "close-notify", "server", "rst", 1),
    ]
    drained = samples.endpoint(protocols={"h2": 8}, closed=ClosedCounts(4, 0, 3, 1), announced=announced)
    lines = list(table(samples.inspection(endpoints=[drained]), PIPE))
    assert "server FIN+GOAWAY ×3, client FIN ×2, client FIN on GOAWAY ×2, server RST ×1" in lines[3]
    closed = samples.connection().closed
    assert closed is not None
    closed.announced = Announced("server", "goaway", 24, samples.START_NS)
    by_itself = samples.connection(closed=closed, protocol="h2")
    lines = list(table(samples.inspection(connections=[by_itself]), View(Screen(), connections=True)))
    assert "h2" in lines[-1]
    assert "  server FIN+GOAWAY  " in lines[-1]


def test_what_is_encrypted_is_marked_and_estimated() -> None:
    secret = samples.endpoint(protocols={"tls": 6}, requests=None, estimate=Estimate(12, "records"))
    connection = samples.connection(protocol="tls", requests=None, estimate=Estimate(3, "records"))
    inspection = samples.inspection(endpoints=[secret], connections=[connection])
    lines = list(table(inspection, View(Screen(), connections=True)))
    assert lines[3].split()[2:6] == ["tls*", "6", "0", "~12"]
    assert lines[4] == " tls*: encrypted, requests behind ~ are estimates, --keylog FILE shows what is inside"
    assert lines[-1].split()[3:6] == ["tls*", "handshake", "~3"]
    assert not [line for line in lines if "say" in line]
    partly = samples.endpoint(protocols={"http/1.1": 2, "tls": 1}, estimate=Estimate(4, "records"))
    assert (
        "http/1.1 ×2, tls* ×1       6     0   18 + ~4" in list(table(samples.inspection(endpoints=[partly]), PIPE))[3]
    )
    unknown = samples.endpoint(protocols={"tls": 1}, requests=None)
    titles = list(table(samples.inspection(endpoints=[unknown]), PIPE))[2]
    assert "requests" not in titles
    assert not [line for line in table(samples.inspection(), PIPE) if "tls" in line]


def test_tls_handshakes_are_told_where_there_were_any() -> None:
    handshakes = Handshakes(TcpHandshakes(6, 60_000), TlsHandshakes(6, 11_200_000, 4))
    lines = list(table(samples.inspection(endpoints=[samples.endpoint(handshake=handshakes)]), PIPE))
    assert lines[-2:] == ["", " 10.0.0.1:8001   TLS handshakes  6, 4 resumed, 11.2 ms (median)"]


def test_an_endpoint_whose_messages_were_not_seen_says_nothing() -> None:
    headers = Headers(RequestHeaders({}), ResponseHeaders({}, {}))
    lines = list(table(samples.inspection(endpoints=[samples.endpoint(requests=0, headers=headers)]), PIPE))
    assert not [line for line in lines if "say" in line]
    headers.response.connection["close"] = 2
    lines = list(table(samples.inspection(endpoints=[samples.endpoint(requests=0, headers=headers)]), PIPE))
    assert [line.split("say")[1].strip(" s") for line in lines[5:]] == ["–", "Connection: close ×2"]


def test_a_narrow_list_of_connections_does_without_durations_and_states() -> None:
    connection = samples.connection(
        client=End("192.168.100.100", 50000),
        server=End("192.168.100.101", 50001),
        opened=Opened("mid-stream", None, 0, None, False),
    )
    inspection = samples.inspection(connections=[connection])
    narrow = list(table(inspection, View(Screen(80), connections=True)))[-4:]
    assert narrow == [
        " id client          server          protocol opened     requests closed     idle",
        "                                                                 by",
        "  0 192.168.100.100 192.168.100.101 http/1.1 mid-stream        1 server   7.00 s",
        "    :50000          :50001                                       FIN",
    ]
    assert max(map(len, narrow)) <= 80


def test_a_terminal_is_told_where_to_go_on() -> None:
    hint = " --connections lists them, 'connspect show FILE ID' tells one, --format json has everything"
    assert list(table(samples.inspection(), View(Screen(100))))[-2:] == ["", hint]
    assert hint not in table(samples.inspection(), PIPE)
    assert hint not in table(samples.inspection(), View(Screen(100), connections=True))


def told(*found: Finding) -> list[str]:
    return list(findings(found, Screen()))


def test_signs_are_explained_where_there_are_several() -> None:
    assert not any("good to know" in line for line in told(samples.finding(), samples.finding()))
    lines = told(samples.finding(severity="problem"), samples.finding(severity="info"))
    assert lines[-2:] == ["", " !! requests are lost   i good to know"]


def test_cause_and_cure_are_said_once_for_an_endpoint() -> None:
    do = "let clients be quicker"
    one = samples.finding(code="keepalive-race", severity="problem", advice=do)
    lines = told(one, samples.finding(advice=do))
    assert sum(line.startswith("    likely") for line in lines) == 1
    assert sum(line.startswith("    do ") for line in lines) == 1
    lines = told(one, samples.finding(endpoint="10.0.0.9:80", advice=do))
    assert sum(line.startswith("    do ") for line in lines) == 2


def test_what_servers_ended_is_not_said_to_be_no_loss() -> None:
    figures = {"opened": 9, "connections_needed": 9, "avoidable_opens": 0, "handshake_ns_saved": 0, "server_ended": 8}
    two = [samples.finding(code="reuse", endpoint=place, measured=figures) for place in ("10.0.0.1:80", "10.0.0.2:80")]
    assert reuse_text(two) == "18 connections opened to 2 endpoints, good pools need 18: 16 were ended from their side."
    kept = [samples.finding(code="reuse", measured={**figures, "server_ended": 0})] * 2
    assert reuse_text(kept) == "No reuse lost: 18 connections opened to 2 endpoints, good pools need 18."
