"""Who closed a connection first and how, what the other side did, and after how long idle."""

from __future__ import annotations

import pytest

from inspector.records.connection import Closed
from tests.tcp.playbook import MILLISECOND, REQUEST, RESPONSE, SECOND, Talk, alike, codes, inspect, opened, story, the

TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CLOSE_REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
CLOSE_RESPONSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def _closed(talk: Talk) -> Closed:
    closed = the(talk).closed
    assert closed is not None
    return closed


def _reply(closed: Closed) -> tuple[str | None, int | None, int | None]:
    return closed.reply, closed.reply_packet, closed.reply_ns


# ---- who, how, and the other side


@pytest.mark.parametrize(("side", "history"), [("client", "ShADadFf"), ("server", "ShADadfF")])
def test_fin_against_fin(side: str, history: str) -> None:
    talk = opened().exchange().close(side)
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.how, closed.packet, closed.simultaneous) == (side, "fin", 8, False)
    assert _reply(closed) == ("fin", 9, MILLISECOND)
    assert closed.half_closed_ns == MILLISECOND
    assert (connection.state, connection.history) == ("SF", history)
    assert connection.client_traffic.fin_acknowledged
    assert connection.server_traffic.fin_acknowledged
    assert connection.anomalies == []


def test_a_fin_with_data() -> None:
    talk = opened().c(REQUEST).s("FIN PSH ACK", RESPONSE).c("FIN ACK").s("ACK")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.packet) == ("server", 5)
    assert connection.responses == 1
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert closed.idle_ns == 0


def test_a_half_close() -> None:
    """RFC 9293 section 3.6: the side that has closed still receives."""
    talk = opened().c(REQUEST).c("FIN ACK").s("ACK").wait(2).s(RESPONSE).c("ACK").wait(1).s("FIN ACK").c("ACK")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.how, closed.reply) == ("client", "fin", "fin")
    assert closed.half_closed_ns == 3 * SECOND + 4 * MILLISECOND
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.responses == 1
    assert connection.state == "SF"
    assert codes(connection) == []


def test_a_fin_that_is_never_answered_is_half_closed_to_the_end_of_the_capture() -> None:
    talk = opened().exchange().wait(5).s("FIN ACK").c("ACK")
    later = Talk(client="10.0.0.1:41000", start=60).c("SYN")
    connection, _ = inspect(talk, later).connections
    assert connection.closed is not None
    assert _reply(connection.closed) == (None, None, None)
    assert connection.closed.half_closed_ns == later.packets[0].time_ns - talk.packets[7].time_ns
    assert connection.server_traffic.fin_acknowledged is True
    assert connection.client_traffic.fin_acknowledged is None
    assert connection.state == "S3"


def test_a_fin_that_is_never_answered_is_half_closed_until_the_tuple_is_used_again() -> None:
    first, second = opened().exchange().c("FIN ACK").s("ACK"), Talk(isn=(5, 6), start=4).handshake()
    later = Talk("10.0.0.1:41000", start=60).c("SYN")
    connection = alike(first, second, later).connections[0]
    assert connection.closed is not None
    assert connection.closed.half_closed_ns == second.packets[0].time_ns - first.packets[7].time_ns
    assert connection.end_ns == first.packets[-1].time_ns


def test_its_own_reset_ends_the_time_that_only_one_side_had_closed() -> None:
    talk = opened().exchange().c("FIN ACK").s(RESPONSE).c("RST")
    later = Talk(client="10.0.0.1:41000", start=60).handshake()
    inspection = inspect(talk, later)
    assert inspection == inspect(talk, later, batch_rows=1)
    closed = inspection.connections[0].closed
    assert closed is not None
    assert (closed.by, closed.how, closed.reply, closed.half_closed_ns) == ("client", "fin", None, 2 * MILLISECOND)


def test_a_fin_that_is_not_even_acknowledged() -> None:
    connection = the(opened().exchange().s("FIN ACK"))
    assert connection.server_traffic.fin_acknowledged is False


def test_a_simultaneous_close() -> None:
    """RFC 9293 section 3.6, figure 13: neither FIN acknowledges the other."""
    talk = opened().exchange()
    acked = talk.wire(0)
    talk.c("FIN ACK").s("FIN ACK", ack=acked).c("ACK").s("ACK")
    closed = _closed(talk)
    assert (closed.by, closed.simultaneous, closed.reply) == ("client", True, "fin")


def test_captured_the_wrong_way_round_the_fin_that_acknowledges_is_the_answer() -> None:
    talk = opened().exchange().s("FIN ACK").c("FIN ACK").s("ACK")
    closed = _closed(talk.swap(8, 9))
    assert (closed.by, closed.packet, closed.simultaneous) == ("server", 9, False)
    assert _reply(closed) == ("fin", 8, 0)


def test_a_fin_sent_again_is_one_close() -> None:
    talk = opened().exchange().s("FIN ACK").wait(0.2).s("FIN ACK", at=len(RESPONSE)).c("FIN ACK").s("ACK")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.packet) == ("server", 8)
    assert connection.server_traffic.retransmitted_bytes == 0
    assert [event.event for event in story(talk)].count("fin") == 2
    assert codes(connection) == []


def test_a_reset_by_the_server() -> None:
    talk = opened().exchange().wait(3).s("RST ACK", ttl=60)
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.how, closed.reply, closed.half_closed_ns) == ("server", "rst", None, None)
    assert closed.idle_ns == 3 * SECOND + 2 * MILLISECOND
    assert (connection.state, connection.history) == ("RSTR", "ShADadr")
    assert connection.server_traffic.ttl.rst == 60
    assert connection.server_traffic.ttl.usual == 64


def test_a_fin_met_by_a_reset() -> None:
    talk = opened().exchange().s("FIN ACK").c("RST ACK")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.how) == ("server", "fin")
    assert _reply(closed) == ("rst", 9, MILLISECOND)
    assert connection.state == "RSTO"


def test_a_reset_that_acknowledges_a_fin_captured_behind_it_is_its_answer() -> None:
    talk = opened().exchange().s("FIN ACK").c("RST ACK")
    closed = _closed(talk.swap(8, 9))
    assert (closed.by, closed.how, closed.packet) == ("server", "fin", 9)
    assert _reply(closed) == ("rst", 8, 0)


def test_both_reset() -> None:
    talk = opened().exchange().c("RST ACK").s("RST")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.how, closed.reply) == ("client", "rst", "rst")
    assert connection.state == "RSTR"


@pytest.mark.parametrize("at", [-5000, 0x50000000])
def test_a_reset_outside_the_window_is_told_and_not_believed(at: int) -> None:
    """RFC 9293 section 3.10.7.4: its receiver drops it; the connection goes on."""
    talk = opened().exchange().s("RST", at=at).exchange().close()
    connection = the(talk)
    assert codes(connection) == ["rst_out_of_window", "segment_after_rst", "segment_after_rst", "segment_after_rst"]
    assert connection.requests == connection.responses == 2


def test_payload_of_a_reset_is_no_data() -> None:
    connection = the(opened().exchange().s("RST ACK", b"go away"))
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert codes(connection) == []


def test_odd_flags_are_letters() -> None:
    assert the(opened().s("FIN RST ACK")).history == "ShAri"
    assert the(Talk().c("SYN FIN")).history == "SQF"


def test_a_side_that_goes_on_after_its_reset() -> None:
    assert codes(the(opened().s("RST ACK").s(RESPONSE))) == ["segment_after_rst"]


def test_whether_a_reset_is_in_the_window_goes_by_all_that_was_acknowledged() -> None:
    talk = opened()
    for _ in range(4):
        talk.s(b"a" * 10).c("ACK")
    assert codes(the(talk.s("RST", at=0))) == ["rst_out_of_window"]


def test_acknowledgments_that_spread_round_half_the_circle_count_one_after_the_other() -> None:
    """Each is ahead of the one before; which of all is the highest has no answer."""
    talk = Talk()
    for ack in (0, 0x50000000, 0xA0000000):
        talk.s("ACK", ack=ack)
    assert the(talk.c("FIN ACK", seq=0x6FFFFFFF)).client_traffic.fin_acknowledged is True


# ---- after the end


@pytest.mark.parametrize(("pause", "late"), [(1.9, False), (2.1, True), (60.0, True)])
def test_segments_after_the_end(pause: float, late: bool) -> None:
    """For 2 s what comes belongs to the connection; after that it is an anomaly, and counts nowhere else."""
    talk = opened().exchange().close().wait(pause).s("ACK").s("ACK")
    inspection = inspect(talk)
    (connection,) = inspection.connections
    assert inspection == inspect(talk, batch_rows=1) == inspect(talk, batch_rows=3)
    assert codes(connection) == (["after_close"] if late else [])
    assert inspection.anomalies == ({"after_close": 1} if late else {})
    assert connection.last_packet == (10 if late else 12)
    assert connection.server_traffic.packets == (4 if late else 6)
    assert connection.server_traffic.ttl.usual == 64
    assert inspection.capture.tcp_segments == 12
    if late:
        assert connection.anomalies[0].packet == 11


def test_each_segment_within_the_linger_prolongs_it() -> None:
    talk = opened().exchange().close()
    for _ in range(4):
        talk.wait(1.5).s("ACK")
    assert codes(the(talk)) == []


def test_an_old_syn_after_late_segments_is_late_as_well() -> None:
    talk = opened().c(REQUEST).close().wait(3).c("SYN", at=-1).wait(1).c("SYN", at=-1)
    assert alike(talk).anomalies == {"after_close": 1}


def test_late_segments_leave_no_time_to_live() -> None:
    assert the(Talk().c("RST", at=9).wait(3).s("ACK", at=5)).server_traffic.ttl.usual is None


def test_late_segments_acknowledge_nothing() -> None:
    connection = the(Talk().s("RST ACK", at=5).c("FIN ACK", at=9).wait(4).s("ACK", at=6))
    assert connection.client_traffic.fin_acknowledged is False


def test_other_networks_are_told_where_segments_behind_are_late() -> None:
    talk = Talk(vlan=5).handshake()
    talk.vlan = 6
    connection = the(talk.close().wait(3).s("ACK"))
    assert [(odd.code, odd.packet) for odd in connection.anomalies] == [
        ("overlapping_networks", 4),
        ("after_close", 7),
    ]


def test_after_a_reset_as_well() -> None:
    assert codes(the(opened().s("RST ACK").wait(3).c(REQUEST))) == ["after_close"]


def test_a_connection_that_is_silent_is_open() -> None:
    talk = opened().exchange().wait(15 * 60).exchange()
    connection = the(talk)
    assert connection.closed is None
    assert connection.requests == 2


# ---- idle


def test_idle_counts_from_the_last_application_byte_not_from_acknowledgments() -> None:
    talk = opened().exchange().wait(1).c("ACK").wait(4).s("FIN ACK").c("FIN ACK").s("ACK")
    assert _closed(talk).idle_ns == 5 * SECOND + 3 * MILLISECOND


def test_keep_alive_probes_are_no_application_bytes() -> None:
    talk = opened().exchange()
    for _ in range(3):
        talk.wait(10).c("ACK", at=len(REQUEST) - 1).s("ACK")
        talk.wait(10).s("ACK", b"\0", at=len(RESPONSE) - 1).c("ACK")
    connection, closed = the(talk.close("server")), _closed(talk)
    assert closed.idle_ns == 60 * SECOND + 14 * MILLISECOND
    assert (connection.client_traffic.keepalives, connection.server_traffic.keepalives) == (3, 3)


def test_retransmitted_bytes_do_not_end_idleness() -> None:
    talk = opened().exchange().wait(1).s(RESPONSE, at=0).wait(1).c("FIN ACK").s("FIN ACK").c("ACK")
    connection, closed = the(talk), _closed(talk)
    assert closed.idle_ns == 2 * SECOND + 3 * MILLISECOND
    assert connection.server_traffic.retransmitted_bytes == len(RESPONSE)
    assert connection.server_traffic.bytes == len(RESPONSE)


def test_without_an_application_byte_idle_counts_from_the_handshake() -> None:
    talk = opened().wait(30).s("FIN ACK").c("FIN ACK").s("ACK")
    assert _closed(talk).idle_ns == 30 * SECOND + MILLISECOND


def test_in_the_middle_and_without_a_byte_idleness_is_unknown() -> None:
    assert _closed(Talk().s("ACK", at=5).wait(3).s("FIN ACK").c("FIN ACK")).idle_ns is None


def test_an_unsolicited_408_ends_idleness() -> None:
    talk = opened().exchange().wait(10).s(TIMEOUT).c("ACK").wait(1).s("FIN ACK").c("FIN ACK").s("ACK")
    closed = _closed(talk)
    assert closed.idle_ns == 10 * SECOND + 2 * MILLISECOND
    assert closed.announced is not None
    assert (closed.announced.by, closed.announced.how, closed.announced.packet) == ("server", "connection-close", 8)


def test_an_unsolicited_408_without_anything_before() -> None:
    talk = opened().wait(10).s("FIN PSH ACK", TIMEOUT).c("FIN ACK").s("ACK")
    assert _closed(talk).idle_ns == 10 * SECOND + MILLISECOND


def test_a_408_that_answers_a_request_is_application_data() -> None:
    talk = opened().c(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").s("ACK").wait(10).s(TIMEOUT)
    assert _closed(talk.wait(1).s("FIN ACK").c("FIN ACK").s("ACK")).idle_ns == SECOND + MILLISECOND


def test_idle_is_fixed_by_the_first_close() -> None:
    talk = opened().exchange().wait(5).c("FIN ACK").s(b"late bytes").s("FIN ACK").c("ACK")
    assert _closed(talk).idle_ns == 5 * SECOND + 2 * MILLISECOND


# ---- announced, and who decided


def test_announced_by_the_client_who_then_decided() -> None:
    talk = opened().exchange(CLOSE_REQUEST, CLOSE_RESPONSE).close("server")
    connection, closed = the(talk), _closed(talk)
    assert (closed.by, closed.announced.by if closed.announced else None) == ("server", "client")
    assert closed.announced is not None
    assert (closed.announced.how, closed.announced.packet) == ("connection-close", 4)
    (endpoint,) = inspect(talk).endpoints
    assert (endpoint.closed.server_fin, endpoint.decided.client, endpoint.decided.server) == (1, 1, 0)
    assert connection.exchanges[0].response is not None


def test_announced_by_the_server() -> None:
    closed = _closed(opened().exchange(REQUEST, CLOSE_RESPONSE).close("client"))
    assert closed.announced is not None
    assert (closed.by, closed.announced.by, closed.announced.packet) == ("client", "server", 6)
    assert closed.idle_ns == 2 * MILLISECOND, "an answer ends no idleness"


def test_http_1_0_announces_by_itself() -> None:
    talk = opened().exchange(b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    closed = _closed(talk.close("server"))
    assert closed.announced is not None
    assert (closed.announced.by, closed.announced.how) == ("client", "http/1.0")


def test_what_is_said_after_the_close_announces_nothing() -> None:
    talk = opened().c(REQUEST).c("FIN ACK").s(CLOSE_RESPONSE).s("FIN ACK").c("ACK")
    assert _closed(talk).announced is None


def test_not_announced() -> None:
    closed = _closed(opened().exchange().close("server"))
    assert closed.announced is None
