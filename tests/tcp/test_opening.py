"""Who opened a connection, how far that got, and which packets belong to which connection."""

from __future__ import annotations

import pytest

from inspector.engine import Options
from inspector.inspection import Inspection
from tests.tcp.playbook import MILLISECOND, REQUEST, RESPONSE, Talk, alike, codes, inspect, opened, story, the


def _hows(inspection: Inspection) -> list[str]:
    return [connection.opened.how for connection in inspection.connections]


def test_a_handshake() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").wait(0.02).c("ACK"))
    assert str(connection.client) == "End(ip='10.0.0.1', port=40000)"
    assert (connection.opened.how, connection.opened.syn_packet) == ("handshake", 1)
    assert connection.opened.handshake_ns == 22 * MILLISECOND
    assert connection.opened.syn_retransmissions == 0
    assert not connection.opened.one_sided
    assert connection.role_from == "syn"
    assert (connection.state, connection.history) == ("S1", "ShA")
    assert connection.closed is None
    assert connection.protocol == "none"


def test_data_completes_a_handshake_as_well() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").c(REQUEST))
    assert connection.opened.how == "handshake"
    assert connection.opened.handshake_ns == 2 * MILLISECOND
    assert connection.history == "ShD"


def test_a_syn_that_nobody_answers() -> None:
    connection = the(Talk().c("SYN").wait(1).c("SYN", at=-1).wait(2).c("SYN", at=-1))
    assert (connection.opened.how, connection.opened.syn_retransmissions) == ("unanswered", 2)
    assert connection.opened.one_sided
    assert connection.opened.handshake_ns is None
    assert (connection.state, connection.history, connection.closed) == ("S0", "S", None)
    assert (connection.first_packet, connection.last_packet) == (1, 3)
    assert connection.client_traffic.packets == 3
    assert connection.client_traffic.ttl.usual == 64
    assert connection.anomalies == []


def test_a_syn_ack_that_nobody_answers() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").wait(1).s("SYN ACK", at=-1))
    assert connection.opened.how == "half-open"
    assert connection.opened.handshake_ns is None
    assert connection.closed is None
    assert connection.anomalies == []


def test_the_servers_own_acknowledgments_complete_nothing() -> None:
    assert the(Talk().c("SYN").s("SYN ACK").s("ACK")).opened.how == "half-open"


def test_the_client_resets_what_it_did_not_want() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").c("RST"))
    assert connection.opened.how == "half-open"
    assert connection.closed is not None
    assert (connection.closed.by, connection.closed.how) == ("client", "rst")


def test_refused() -> None:
    connection = the(Talk().c("SYN").s("RST ACK", seq=0))
    assert connection.opened.how == "refused"
    closed = connection.closed
    assert closed is not None
    assert (closed.by, closed.how, closed.packet, closed.reply) == ("server", "rst", 2, None)
    assert closed.idle_ns is None
    assert closed.half_closed_ns is None
    assert (connection.state, connection.history) == ("REJ", "Sr")
    assert codes(connection) == []


def test_refused_where_only_the_answer_was_captured() -> None:
    """RFC 9293 section 3.5.2: the answer to a SYN for a closed port is <SEQ=0><CTL=RST,ACK>."""
    talk = Talk(server="10.0.0.2:50000").c("SYN", lose=True).s("RST ACK", seq=0)
    connection = the(talk)
    assert connection.opened.how == "refused"
    assert connection.role_from == "first-packet"
    assert (connection.client.port, connection.server.port) == (40000, 50000)
    assert connection.opened.one_sided
    assert connection.closed is not None
    assert (connection.closed.by, connection.closed.idle_ns) == ("server", None)


def test_a_reset_in_the_middle_is_no_refusal() -> None:
    connection = the(Talk().s("RST ACK", at=500))
    assert connection.opened.how == "mid-stream"
    assert connection.closed is not None
    assert connection.closed.by == "server"


def test_the_handshake_counts_from_the_last_syn_before_the_answer() -> None:
    connection = the(Talk().c("SYN").wait(1).c("SYN", at=-1).s("SYN ACK").c("ACK").c("SYN", at=-1))
    assert connection.opened.handshake_ns == 2 * MILLISECOND
    assert connection.opened.syn_packet == 1
    assert connection.opened.syn_retransmissions == 2


def test_a_syn_ack_sent_again_opens_nothing() -> None:
    talk = Talk().handshake().s("SYN ACK", at=-1).c("ACK").exchange()
    connection = the(talk)
    assert (connection.opened.how, connection.state) == ("handshake", "S1")
    assert connection.anomalies == []
    assert [event.event for event in story(talk)].count("syn-ack") == 2


def test_a_simultaneous_open() -> None:
    """RFC 9293 section 3.5, figure 7: the first SYN seen is taken for the client's."""
    talk = Talk().c("SYN").s("SYN").c("SYN ACK", at=-1).s("SYN ACK", at=-1).c("ACK")
    connection = the(talk)
    assert (connection.client.port, connection.role_from) == (40000, "syn")
    assert (connection.opened.how, connection.state) == ("handshake", "S1")
    assert connection.history == "SsHhA"


def test_without_its_syn_the_syn_ack_tells_the_client() -> None:
    connection = the(Talk(server="10.0.0.2:50000").c("SYN", lose=True).s("SYN ACK").c("ACK"))
    assert (connection.role_from, connection.client.port) == ("syn-ack", 40000)
    assert connection.opened.how == "handshake"
    assert connection.opened.syn_packet is None
    assert connection.opened.handshake_ns is None


def test_a_syn_captured_behind_its_syn_ack() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").swap(1, 2).c("ACK").exchange())
    assert connection.client.port == 40000
    assert connection.opened.how == "handshake"
    assert connection.requests == 1
    assert codes(connection) == []


@pytest.mark.parametrize(
    ("client", "server", "first", "role_from"),
    [
        ("10.0.0.9:40000", "10.0.0.2:80", "s", "port"),
        ("10.0.0.9:40000", "10.0.0.2:8080", "s", "port"),
        ("10.0.0.9:40000", "10.0.0.2:50000", "c", "first-packet"),
    ],
)
def test_in_the_middle_without_content_ports_tell_and_else_who_was_first(
    client: str, server: str, first: str, role_from: str
) -> None:
    talk = Talk(client, server)
    (talk.c if first == "c" else talk.s)("ACK", at=100)
    connection = the(talk)
    assert (connection.role_from, connection.opened.how) == (role_from, "mid-stream")
    assert connection.client.port == 40000
    assert connection.state == "OTH"


def test_in_the_middle_content_tells() -> None:
    """The port would say that 80 is the server's; the bytes say that it sends requests."""
    talk = Talk(client="10.0.0.1:80", server="10.0.0.2:40000")
    connection = the(talk.c(REQUEST, at=500).s(RESPONSE, at=700).c("ACK").s("FIN ACK").c("FIN ACK").s("ACK"))
    assert (connection.role_from, connection.client.port) == ("content", 80)
    assert connection.history.startswith("^")
    assert connection.requests == connection.responses == 1
    assert connection.client_traffic.bytes == len(REQUEST)
    assert connection.server_traffic.bytes == len(RESPONSE)
    assert connection.closed is not None
    assert connection.closed.by == "server"


def test_content_does_not_turn_what_a_handshake_told() -> None:
    talk = Talk().handshake().s(REQUEST).c(RESPONSE)
    connection = the(talk)
    assert (connection.role_from, connection.client.port) == ("syn", 40000)


@pytest.mark.parametrize("pause", [0.0, 1.0, 5.0])
def test_another_isn_on_a_used_tuple_is_another_connection(pause: float) -> None:
    first = Talk().handshake().exchange().close()
    second = Talk(isn=(77_000, 88_000), start=0.1 + pause).handshake().exchange().close("server")
    inspection = inspect(first, second)
    assert inspection == inspect(first, second, batch_rows=1)
    one, two = inspection.connections
    assert (one.requests, two.requests) == (1, 1)
    assert (one.last_packet, two.first_packet) == (10, 11)
    assert (one.closed.by, two.closed.by) == ("client", "server")  # type: ignore[union-attr]
    assert inspection.anomalies == {}


def test_another_isn_while_the_first_is_open() -> None:
    first = Talk().handshake().exchange()
    second = Talk(isn=(77_000, 88_000), start=1).handshake()
    one, two = inspect(first, second).connections
    assert one.closed is None
    assert (one.state, two.state) == ("S1", "S1")
    assert inspect(first, second).endpoints[0].still_open == 2


def test_a_tuple_used_again_from_the_other_side() -> None:
    first = Talk().handshake().exchange().close()
    second = Talk("10.0.0.2:80", "10.0.0.1:40000", isn=(5, 6), start=1).handshake().close()
    one, two = inspect(first, second).connections
    assert (one.client.port, two.client.port) == (40000, 80)
    assert one.opened.how == two.opened.how == "handshake"


@pytest.mark.parametrize("pause", [0.5, 5.0])
def test_the_same_isn_again_is_an_old_syn(pause: float) -> None:
    talk = Talk().handshake().exchange().close().wait(pause).c("SYN", at=-1)
    connection = the(talk)
    assert connection.opened.how == "handshake"
    assert connection.opened.syn_retransmissions == (1 if pause < 2 else 0)
    assert codes(connection) == (["syn_inside_connection"] if pause < 2 else ["after_close"])


@pytest.mark.parametrize(("pause", "syn_packets"), [(1.5, [3]), (2.5, [None, 3])])
def test_a_syn_after_a_reset_that_came_alone(pause: float, syn_packets: list[int | None]) -> None:
    """A RST does not say where its side began: the SYN is another connection's once that one is over."""
    reset, other = Talk().c("RST", at=5), Talk("10.0.0.1:2", start=pause - 0.01).c("SYN")
    syn = Talk(isn=(7, 8), start=pause).c("SYN").s("SYN ACK").c("ACK")
    ours = [connection for connection in alike(reset, other, syn).connections if connection.client.port == 40000]
    assert [connection.opened.syn_packet for connection in ours] == syn_packets


def test_a_connection_that_has_ended_sees_all_that_comes_behind_an_old_syn() -> None:
    connection = the(Talk().s("RST ACK", seq=0).c("SYN").s("ACK").s("ACK"))
    assert codes(connection) == ["segment_after_rst", "segment_after_rst"]


def test_unanswered_syns_with_other_isns_are_other_connections() -> None:
    talk = Talk().c("SYN").wait(1).c("SYN", seq=555).wait(1).c("SYN", seq=555)
    inspection = inspect(talk)
    assert _hows(inspection) == ["unanswered", "unanswered"]
    assert [c.opened.syn_retransmissions for c in inspection.connections] == [0, 1]
    assert inspection == inspect(talk, batch_rows=1)


def test_a_second_isn_in_a_syn_ack_is_an_anomaly() -> None:
    connection = the(Talk().c("SYN").s("SYN ACK").s("SYN ACK", seq=123456).c("ACK"))
    assert codes(connection) == ["second_isn"]


def test_vlans_do_not_part_a_connection_but_are_told() -> None:
    """Wireshark's streams go by the 4-tuple alone."""
    talk = Talk(vlan=5).handshake()
    talk.vlan = 6
    connection = the(talk.exchange())
    assert codes(connection) == ["overlapping_networks"]
    assert connection.requests == 1


@pytest.mark.parametrize("first", ["client", "server"])
def test_another_network_is_told_by_its_first_packet(first: str) -> None:
    talk = Talk(vlan=5).handshake()
    talk.vlan = 6
    (odd,) = the(talk.close(first)).anomalies
    assert (odd.code, odd.packet) == ("overlapping_networks", 4)


def test_ipv6() -> None:
    connection = the(Talk("[2001:db8::1]:40000", "[2001:db8::2]:80").handshake().exchange().close())
    assert (connection.client.ip, connection.server.ip) == ("2001:db8::1", "2001:db8::2")
    assert (connection.state, connection.requests) == ("SF", 1)


def test_an_unreachable_on_a_syn_alone() -> None:
    talk = Talk().c("SYN").icmp()
    inspection = inspect(talk)
    (connection,) = inspection.connections
    assert inspection == inspect(talk, batch_rows=1)
    assert connection.opened.how == "unanswered"
    assert [(odd.code, odd.packet) for odd in connection.anomalies] == [("icmp_unreachable", 2)]
    assert "host unreachable" in connection.anomalies[0].detail
    assert inspection.capture.tcp_segments == 1
    assert inspection.anomalies == {"icmp_unreachable": 1}


def test_an_unreachable_on_a_connection() -> None:
    connection = the(Talk().handshake().c(REQUEST).icmp(3, 13).s(RESPONSE))
    assert [(odd.code, odd.packet) for odd in connection.anomalies] == [("icmp_unreachable", 5)]
    assert connection.closed is None
    assert connection.responses == 1


def test_an_unreachable_on_a_tuple_used_again_is_about_the_later_connection() -> None:
    first, second = opened().exchange(), Talk(isn=(5, 6), start=1).c("SYN").icmp()
    one, two = alike(first, second).connections
    assert (codes(one), codes(two)) == ([], ["icmp_unreachable"])


def test_an_unreachable_about_a_connection_that_is_over_is_no_news() -> None:
    talk = opened().close().icmp()
    assert alike(talk).anomalies == {}


def test_an_unreachable_about_nothing_that_was_seen() -> None:
    talk = Talk().c("SYN").icmp()
    del talk.packets[0]
    inspection = inspect(talk)
    assert inspection.connections == []
    assert inspection.anomalies == {}
    assert sum(inspection.capture.skipped.values()) == 1


def test_copies_that_the_capture_made_are_one_packet() -> None:
    talk = Talk().c("SYN").copy(1).s("SYN ACK").copy(1).c("ACK").copy(1).c(REQUEST).copy(1)
    inspection = inspect(talk)
    (connection,) = inspection.connections
    assert inspection.capture.skipped == {"duplicate": 4}
    assert connection.opened.syn_retransmissions == 0
    assert connection.client_traffic.retransmitted_bytes == 0
    assert connection.client_traffic.packets == 3
    assert connection.history == "ShAD"


@pytest.mark.parametrize(
    ("ttl", "to_server", "to_client", "vantage"),
    [
        ((64, 64), 0.0, 0.0, None),
        ((64, 64), 0.002, 0.0, None),
        ((64, 64), 0.0, 0.002, None),
        ((64, 64), 0.05, 0.0, "client"),
        ((64, 64), 0.0, 0.05, "server"),
        ((64, 57), 0.0, 0.0, "client"),
        ((60, 64), 0.0, 0.0, "server"),
        ((60, 57), 0.05, 0.0, "between"),
        ((128, 251), 0.0, 0.05, "client"),
    ],
)
def test_where_the_capture_stood(ttl: tuple[int, int], to_server: float, to_client: float, vantage: str | None) -> None:
    talk = Talk(ttl=ttl).c("SYN").wait(to_server).s("SYN ACK").wait(to_client).c("ACK")
    assert the(talk).vantage == vantage


def test_ids_are_by_first_packet_also_of_connections_of_syns_alone() -> None:
    talks = [
        Talk(client="10.0.0.1:40002", start=0.0).c("SYN"),
        Talk(client="10.0.0.1:40001", start=0.0001).handshake().exchange(),
        Talk(client="10.0.0.1:40003", start=0.0002).c("SYN"),
        Talk(client="10.0.0.1:40000", start=0.0003).handshake(),
    ]
    for options in (Options(), Options(events=True)):
        for batch_rows in (1, 3, 4096):
            connections = inspect(*talks, options=options, batch_rows=batch_rows).connections
            assert [(c.id, c.client.port) for c in connections] == [(0, 40002), (1, 40001), (2, 40003), (3, 40000)]
            assert _hows(inspect(*talks)) == ["unanswered", "handshake", "unanswered", "handshake"]


def test_a_talk_that_is_open_already() -> None:
    assert the(opened(snaplen=54)).opened.how == "handshake"
