"""A connection's story: a record and its events in, a transcript out."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.records.connection import Announced, Closed, Connection, Opened, Tunnel
from inspector.records.event import EventRecord
from inspector.records.exchange import KeepAlive
from inspector.report.layout import Screen
from inspector.report.story import story
from tests.report import samples
from tests.report.samples import MS, SECOND, event, exchange, request, response


def told(
    connection: Connection, events: list[EventRecord], width: int | None = None, everything: bool = False
) -> list[str]:
    return list(story(connection, events, Screen(width), everything))


def closed(**changes: Any) -> Closed:
    record = samples.connection().closed
    assert record is not None
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def conversation(count: int, gap_ns: int = 10 * MS) -> tuple[Connection, list[EventRecord]]:
    """A connection with so many exchanges, and its events."""
    exchanges, events = [], []
    for i in range(count):
        asked, answered = i * gap_ns, i * gap_ns + MS
        exchanges.append(exchange(i, request(2 * i, asked, target=f"/{i}"), response(2 * i + 1, answered)))
        events += [
            event("request", 2 * i, asked, "client", i),
            event("request-end", 2 * i, asked, "client", i),
            event("response", 2 * i + 1, answered, "server", i),
            event("response-end", 2 * i + 1, answered, "server", i),
        ]
    return samples.connection(exchanges=exchanges, requests=count, responses=count), events


def test_one_connection_from_handshake_to_end() -> None:
    assert told(samples.connection(), samples.nginx_events()) == [
        "connection 0   10.0.0.2:46184 → 10.0.0.1:8001   shop.test   http/1.1   SF  ShADadFf",
        "",
        "  0.000 000   1  client  SYN",
        "  0.000 043   2  server  SYN, ACK                 handshake 0.06 ms",
        "  0.000 310   4  client  GET /a                   Connection: keep-alive",
        "  0.000 520   6  server  200, 6 bytes in 0.21 ms  Connection: keep-alive, Keep-Alive: timeout=7",
        "                         · idle 7.00 s ·",
        "  7.003 000  25  server  FIN                      closed first, idle 7.00 s",
        "  7.003 200  27  client  FIN                      answered in 0.20 ms",
        "",
        "  client   7 packets, 360 bytes",
        "  server   7 packets, 1,500 bytes",
    ]


def test_at_80_columns_remarks_go_on_below() -> None:
    lines = told(samples.connection(), samples.nginx_events(), width=80)
    assert lines[6:8] == [
        "  0.000 520   6  server  200, 6 bytes in 0.21 ms  Connection: keep-alive,",
        "                                                  Keep-Alive: timeout=7",
    ]
    assert max(map(len, lines)) <= 80


def test_a_long_target_keeps_its_remarks_and_is_whole_in_a_pipe() -> None:
    asked = request(4, 310_000, target="/" + "x" * 200)
    connection = samples.connection(exchanges=[exchange(0, asked, response(6, 520_000))])
    piped = told(connection, samples.nginx_events())
    assert any("/" + "x" * 200 + "  Connection: keep-alive" in line for line in piped)
    narrow = told(connection, samples.nginx_events(), width=80)
    assert max(map(len, narrow)) == 80
    target = next(i for i, line in enumerate(narrow) if "GET" in line)
    assert narrow[target].endswith("xxx…")
    assert narrow[target + 1].split() == ["Connection:", "keep-alive"]


def test_many_alike_exchanges_are_summed_up() -> None:
    lines = told(*conversation(20))
    assert [line.split()[5] for line in lines if "GET" in line] == ["/0", "/1", "/2", "/19"]
    assert "· 16 more like these, packets 6 to 37 ·" in "\n".join(lines)


def test_few_or_different_exchanges_are_all_told() -> None:
    assert sum("GET" in line for line in told(*conversation(6))) == 6
    assert sum("GET" in line for line in told(*conversation(20), everything=True)) == 20
    connection, events = conversation(20)
    for other in connection.exchanges[::2]:
        assert other.response is not None
        other.response.status = 404
    assert sum("GET" in line for line in told(connection, events)) == 20


def test_silence_is_told_between_exchanges_only() -> None:
    assert sum("· idle 998 ms ·" in line or "· idle 999 ms ·" in line for line in told(*conversation(3, SECOND))) == 2
    slow = samples.connection(exchanges=[exchange(0, request(1, 0), response(2, 5 * SECOND))])
    events = [
        event("request", 1, 0, "client", 0),
        event("response", 2, 5 * SECOND, "server", 0),
        event("response-end", 2, 5 * SECOND, "server", 0),
    ]
    lines = told(slow, events)
    assert not [line for line in lines if "idle" in line]
    assert any("200, 6 bytes in 5.00 s" in line for line in lines)


def test_a_body_that_takes_time_has_a_line_for_its_end() -> None:
    answered = response(6, 2 * MS, end_packet=90, end_ns=samples.START_NS + 902 * MS, body_bytes=20_000_000)
    connection = samples.connection(exchanges=[exchange(0, request(4, 0), answered)])
    events = [
        event("request", 4, 0, "client", 0),
        event("response", 6, 2 * MS, "server", 0),
        event("response-end", 90, 902 * MS, "server", 0),
    ]
    assert told(connection, events)[2:5] == [
        "  0.000 000   4  client  GET /a                    Connection: keep-alive",
        "  0.002 000   6  server  200 in 2.00 ms            Connection: keep-alive, Keep-Alive: timeout=7",
        "  0.902 000  90  server  end of response, 20.0 MB  900 ms after its header",
    ]


def test_a_body_that_comes_at_once_has_no_line_for_its_end() -> None:
    answered = response(6, 2 * MS, end_packet=9, end_ns=samples.START_NS + 2 * MS + 999_999, body_bytes=2_000)
    connection = samples.connection(exchanges=[exchange(0, request(4, 0), answered)])
    events = [event("response", 6, 2 * MS, "server", 0), event("response-end", 9, 3 * MS, "server", 0)]
    assert told(connection, events)[2:4] == [
        "  0.002 000  6  server  200, 2,000 bytes in 2.00 ms  Connection: keep-alive, Keep-Alive: timeout=7",
        "",
    ]


def test_what_went_wrong_with_an_exchange_is_said() -> None:
    raced = exchange(0, request(4, 0, version="HTTP/1.0"), None, race="after", complete=False)
    lost = exchange(1, request(5, 1, connection=None), None, complete=False)
    cut = exchange(2, request(6, 2), response(7, 3, end_packet=None, end_ns=None, keep_alive=KeepAlive(None, None)))
    connection = samples.connection(exchanges=[raced, lost, cut])
    events = [event("request", 4 + i, i, "client", i) for i in range(3)] + [event("response", 7, 3, "server", 2)]
    remarks = [line.partition("GET /a")[2].strip() for line in told(connection, events)[2:4]]
    assert remarks == ["HTTP/1.0, Connection: keep-alive, sent after the close had arrived", "no response"]
    assert told(connection, events)[5].endswith("Keep-Alive: without a number, not complete")


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"closed": None}, "still open when the capture ended"),
        ({"closed": None, "opened": Opened("unanswered", 1, 2, None, True)}, "nobody answered"),
        ({"closed": None, "opened": Opened("half-open", 1, 2, None, False)}, "the handshake was never completed"),
        (
            {"closed": closed(reply=None, reply_packet=None, reply_ns=None, half_closed_ns=3 * SECOND)},
            "the client had not closed when the capture ended, for 3.00 s",
        ),
    ],
)
def test_what_did_not_happen_is_said_at_the_end(changes: dict[str, Any], ending: str) -> None:
    assert told(samples.connection(**changes), [])[3] == f"  {ending}"


def test_a_close_says_who_announced_it() -> None:
    announced = Announced("client", "connection-close", 4, samples.START_NS)
    connection = samples.connection(closed=closed(announced=announced, simultaneous=True))
    assert told(connection, samples.nginx_events())[7].endswith(
        "closed by both at once, idle 7.00 s, announced by the client (connection-close, packet 4)"
    )


def test_repeated_syns_say_so() -> None:
    events = [event("syn", 1, 0, "client"), event("syn", 2, SECOND, "client")]
    lines = told(samples.connection(exchanges=[]), events)
    assert lines[2:4] == ["  0.000 000  1  client  SYN", "  1.000 000  2  client  SYN  sent again"]


def test_runs_of_small_events_are_one_line() -> None:
    events = [event("retransmission", i, i * MS, "server", detail="1448 bytes") for i in range(1, 11)]
    connection = samples.connection(exchanges=[])
    assert told(connection, events)[2] == "  0.001 000  1  server  retransmission ×10  packets 1 to 10"
    assert sum("retransmission" in line for line in told(connection, events, everything=True)) == 10
    assert sum("retransmission" in line for line in told(connection, events[:3])) == 3


def test_traffic_that_was_not_smooth_is_told() -> None:
    rough = samples.traffic(
        packets=1, bytes=1, missing_bytes=20_000, retransmitted_bytes=2, out_of_order=3, zero_windows=4, keepalives=1
    )
    assert told(samples.connection(client_traffic=rough), [])[-2] == (
        "  client   1 packet, 1 byte, 20.0 kB missing from the capture, 2 bytes retransmitted, 3 out of order, "
        "1 keep-alive probe, zero window ×4"
    )


def test_text_from_the_wire_is_escaped() -> None:
    connection = samples.connection(
        name="\x1b]0;x\x07",
        exchanges=[exchange(0, request(4, 0, method="\x1b", target="\u202e", connection="\x9b"), None)],
    )
    events = [event("request", 4, 0, "client", 0), event("anomaly", 4, 0, None, detail="\x1b[2J")]
    assert "".join(told(connection, events)).isprintable()


def test_a_capture_that_began_too_late_says_so() -> None:
    connection = samples.connection(opened=Opened("mid-stream", None, 0, None, False))
    assert told(connection, [])[2] == "  already open when the capture began"
    assert "began" not in "".join(told(samples.connection(), []))


def test_interim_responses_tunnels_and_probes() -> None:
    tunnel = samples.connection(tunnel=Tunnel("shop.test:8001"), exchanges=[])
    events = [
        event("interim", 6, 0, "server", 0, "100"),
        event("upgrade", 7, MS, "server", 0, "to shop.test:8001"),
        event("keep-alive-probe", 8, 2 * MS, "client"),
    ]
    assert told(tunnel, events)[2:5] == [
        "  0.000 000  6  server  100  interim response",
        "  0.001 000  7  server  tunnel to shop.test:8001",
        "  0.002 000  8  client  keep-alive probe",
    ]
    assert "upgrade to websocket" in "".join(
        told(samples.connection(), [event("upgrade", 7, MS, "server", 0, "to websocket")])
    )
