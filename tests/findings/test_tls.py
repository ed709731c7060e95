"""Sessions that were not resumed, and responses that may have been cut."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.records.connection import Connection, End, Upgrade
from inspector.records.exchange import Reset
from inspector.records.finding import Finding
from inspector.records.http2 import GoawayFrame
from tests.findings.cases import conclude, opened
from tests.report.samples import MS, START_NS, http2, http2_side, tls


def shook(at_ms: float, *, resumed: bool | None = False, **changes: Any) -> Connection:
    """A connection of one exchange whose server gave two tickets."""
    shake = tls(resumed=resumed, resumption="psk" if resumed else None, handshake_ns=10 * MS)
    return opened((at_ms + 10, at_ms + 15), end_ms=at_ms + 16, protocol="http/1.1", tls=shake, **changes)


def full(*connections: Connection) -> Finding | None:
    return conclude(*connections).get("tls-full-handshakes")


# ---- resumption


def test_tickets_that_nobody_uses() -> None:
    finding = full(*(shook(100 * i) for i in range(4)))
    assert finding is not None
    assert finding.severity == "notice"
    assert finding.measured == {"full": 3, "resumed": 0, "handshake_ns": 10 * MS}
    assert finding.connections == [1, 2, 3], "the first had no ticket yet"
    assert finding.title == (
        "shop.test 10.0.0.1:8001: 3 of 3 TLS handshakes were full, though tickets had been given, 10 ms each"
    )
    assert finding.how == (
        "to earlier connections of the same client (requests / urllib3 2.32); one program can resume them"
    )
    assert finding.filter == "tcp.stream in {1..3} && (tcp.flags.syn == 1 || tls.handshake.type in {1, 2, 4})"


def test_three_are_the_least() -> None:
    assert full(*(shook(100 * i) for i in range(3))) is None


def test_sessions_that_are_resumed() -> None:
    assert full(shook(0), *(shook(100 * i, resumed=True) for i in range(1, 5))) is None


@pytest.mark.parametrize(("resumed", "is_told"), [(3, True), (4, False)])
def test_most_have_to_be_full(resumed: int, is_told: bool) -> None:
    connections = [shook(100 * i, resumed=i > 3) for i in range(4 + resumed)]
    finding = full(*connections)
    assert (finding is not None) is is_told
    if finding is not None:
        assert finding.measured["resumed"] == 3
        assert "3 of 6 TLS handshakes" in finding.title


def test_connections_opened_before_the_ticket_came_cannot_resume() -> None:
    assert full(*(shook(i) for i in range(8))) is None


def test_server_that_gives_no_tickets() -> None:
    connections = [shook(100 * i) for i in range(5)]
    for connection in connections:
        assert connection.tls is not None
        connection.tls.tickets = 0
    assert full(*connections) is None


def test_handshake_that_was_not_seen_is_not_full() -> None:
    assert full(*(shook(100 * i, resumed=None) for i in range(5))) is None


def test_handshake_that_was_not_finished_or_whose_beginning_was_not_seen_counts_for_nothing() -> None:
    failed, before = [shook(100 * i) for i in range(5)], [shook(100 * i) for i in range(5)]
    for connection in failed[1:]:
        assert connection.tls is not None
        connection.tls.handshake_ns = None
    for connection in before[1:]:
        connection.opened.how = "mid-stream"
    assert full(*failed) is None
    assert full(*before) is None


def test_ticket_is_of_use_to_its_owner_alone() -> None:
    """To another client, name, version, cipher suite or program it is none."""
    others = [shook(100 * i) for i in range(6)]
    others[1].client = End("10.0.0.3", 40_000)
    others[2].name = "old.test"
    assert others[3].tls is not None
    others[3].tls.version = "TLS 1.2"
    assert others[4].exchanges[0].request is not None
    others[4].exchanges[0].request.user_agent = "curl/8.5"
    assert others[5].tls is not None
    others[5].tls.cipher = "TLS_AES_256_GCM_SHA384"
    assert full(*others) is None


# ---- truncation


def ended(*, by: str = "server", length: int | None = 1_000, whole: bool = False, **changes: Any) -> Connection:
    """A response of which 600 bytes came, then the close without close_notify."""
    shake = tls(client_closes=False, server_closes=False)
    connection = opened((0, 5), end_ms=10, by=by, protocol="http/1.1", tls=shake, **changes)
    response = connection.exchanges[0].response
    assert response is not None
    response.content_length, response.body_bytes = length, 600
    if not whole:
        response.end_ns = response.end_packet = None
    return connection


def truncated(*connections: Connection) -> Finding | None:
    return conclude(*connections).get("tls-truncated")


def test_response_that_was_cut() -> None:
    finding = truncated(ended())
    assert finding is not None
    assert finding.severity == "warning"
    assert finding.measured == {"n": 1}
    assert finding.title == ("1 response of shop.test 10.0.0.1:8001 may be cut: TLS ended without close_notify")
    assert finding.how == ("1 response had not come whole (600 of 1,000 bytes); the server closed without close_notify")
    assert finding.evidence[0].what == "server FIN without close_notify"


def test_response_that_ends_with_the_connection() -> None:
    finding = truncated(ended(length=None, whole=True), ended())
    assert finding is not None
    assert finding.measured == {"n": 2}
    assert finding.how.startswith(
        "1 response had not come whole and 1 response ended with the connection (600 of 1,000 bytes); "
    )


def test_whole_responses_need_no_close_notify() -> None:
    chunked = ended(length=None, whole=True)
    assert chunked.exchanges[0].response is not None
    chunked.exchanges[0].response.transfer_encoding = "chunked"
    assert truncated(ended(whole=True), chunked) is None


def test_responses_without_a_body_end_with_their_head() -> None:
    head, unchanged = ended(length=None, whole=True), ended(length=None, whole=True)
    assert head.exchanges[0].request is not None
    assert unchanged.exchanges[0].response is not None
    head.exchanges[0].request.method = "HEAD"
    unchanged.exchanges[0].response.status = 304
    assert truncated(head, unchanged) is None


@pytest.mark.parametrize("said", [True, None])
def test_close_notify_that_came_or_is_not_known(said: bool | None) -> None:
    connection = ended()
    assert connection.tls is not None
    connection.tls.server_closes = said
    assert truncated(connection) is None


def test_client_that_gave_up() -> None:
    assert truncated(ended(by="client")) is None
    said = ended()
    assert said.tls is not None
    said.tls.client_closes = True
    assert truncated(said) is None


def test_capture_that_lost_bytes_does_not_know() -> None:
    connection = ended()
    connection.server_traffic.missing_bytes = 1
    assert truncated(connection) is None


def test_what_became_another_protocol() -> None:
    assert truncated(ended(upgrade=Upgrade("websocket", 6))) is None


def test_stream_of_http2_that_was_open() -> None:
    bare = http2(server=http2_side())
    assert truncated(ended(http2=bare)) is not None
    reset = ended(http2=bare)
    reset.exchanges[0].reset = Reset("server", "INTERNAL_ERROR")
    assert truncated(reset) is None
    told = http2(server=http2_side(goaways=[GoawayFrame(12, START_NS, 1, "PROTOCOL_ERROR", "")]))
    assert truncated(ended(http2=told)) is None
