"""SETTINGS: what is told of them, and when a missing acknowledgment is a fault."""

from __future__ import annotations

import pytest

from inspector.records.capture import Dropped
from inspector.records.connection import Connection, Opened, Tunnel
from inspector.records.finding import Finding
from tests.findings.cases import conclude, conclude_all
from tests.findings.http2_cases import CURL, NGINX, h2, ping, settings
from tests.report.samples import traffic

WHERE = "10.0.0.1:8001"
CODE = "h2-settings"


def found(*connections: Connection) -> list[Finding]:
    return [finding for finding in conclude_all(*connections) if finding.code == CODE]


def test_connections_that_say_the_same_are_one_finding() -> None:
    (finding,) = found(*(h2((t, t + 1), end_ms=t + 10) for t in range(0, 200, 20)))
    assert finding.severity == "info"
    assert finding.connections == list(range(10))
    assert finding.measured == {"client": CURL, "server": NGINX, "ack_ns": 300_000}
    assert list(finding.measured["client"]) == list(CURL)
    assert finding.title == f"{WHERE} takes 128 streams at once, 64 KiB of a stream"
    assert finding.how == "the client takes 32 MiB of a stream on 10 of 10 connections; acknowledged within 0.30 ms"
    assert finding.filter == "tcp.stream in {0..9} && http2.type == 4"
    assert finding.advice is None


def test_nothing_announced_is_what_the_protocol_says() -> None:
    (finding,) = found(h2((0, 1), end_ms=10, server=[settings(0, {})], client=[settings(0, {})]))
    assert finding.title == f"{WHERE} takes any number of streams at once, 64 KiB of a stream"
    assert finding.measured == {"client": {}, "server": {}, "ack_ns": 300_000}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"MAX_HEADER_LIST_SIZE": 16_384}, "any number of streams at once, 64 KiB of a stream, 16 KiB of header"),
        ({"ENABLE_CONNECT_PROTOCOL": 1}, "any number of streams at once, 64 KiB of a stream, WebSocket"),
        ({"ENABLE_CONNECT_PROTOCOL": 0}, "any number of streams at once, 64 KiB of a stream"),
        ({"MAX_CONCURRENT_STREAMS": 1, "INITIAL_WINDOW_SIZE": 0}, "1 stream at once, 0 bytes of a stream"),
        ({"INITIAL_WINDOW_SIZE": 2**31 - 1}, "any number of streams at once, 2 GiB of a stream"),
    ],
)
def test_what_limits_the_client_is_in_the_title(values: dict[str, int], said: str) -> None:
    (finding,) = found(h2((0, 1), end_ms=10, server=[settings(0, values)]))
    assert finding.title == f"{WHERE} takes {said}"


def test_setting_in_no_registry_is_told_as_such() -> None:
    (finding,) = found(h2((0, 1), end_ms=10, server=[settings(0, {"0xfe03": 1})], client=[settings(0, {"0xfe03": 1})]))
    assert finding.how.endswith("; 0xfe03 is in no registry")
    assert finding.measured["server"] == {"0xfe03": 1}


def test_change_is_told() -> None:
    changing = h2((0, 1), end_ms=10, client=[settings(0, CURL), settings(5, {"HEADER_TABLE_SIZE": 0}), settings(6, {})])
    (finding,) = found(changing)
    assert finding.how.endswith("; the client changed them 1 time, last HEADER_TABLE_SIZE 0")
    assert finding.measured["client"] == CURL


def test_slow_acknowledgment_is_in_the_title() -> None:
    (finding,) = found(h2((0, 1), end_ms=2_000, server=[settings(0, NGINX, 999)]))
    assert "only after" not in finding.title
    (finding,) = found(h2((0, 1), end_ms=2_000, server=[settings(0, NGINX, 1_000)]))
    assert finding.title.endswith("; SETTINGS were acknowledged only after 1.00 s")


def test_three_ways_of_an_endpoint_are_told_the_most_frequent_first() -> None:
    ways = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]
    told = found(*(h2((0, 1), end_ms=10, client=[settings(0, {"MAX_CONCURRENT_STREAMS": n})]) for n in ways))
    assert [finding.connections for finding in told] == [[6, 7, 8, 9], [3, 4, 5], [1, 2]]
    assert told[0].how.startswith("the client takes 64 KiB of a stream on 4 of 10 connections")


def test_beginning_that_was_not_seen_says_nothing() -> None:
    assert found(h2((0, 1), end_ms=10, opened=Opened("mid-stream", None, 0, None, False))) == []
    assert found(h2((0, 1), end_ms=10, server=[])) == []


def test_order_of_a_frame_tells_software_apart() -> None:
    """The same values in another order are another way."""
    turned = dict(reversed(NGINX.items()))
    told = found(h2((0, 1), end_ms=10), h2((0, 1), end_ms=10, server=[settings(0, turned)]))
    assert [finding.connections for finding in told] == [[0], [1]]


def test_settings_inside_a_tunnel_are_not_the_proxy_s() -> None:
    (finding,) = found(h2((0, 1), end_ms=10, tunnel=Tunnel("shop.test:443")))
    assert finding.title.startswith(f"shop.test:443 through {WHERE} takes")


def test_facts_stand_behind_what_is_worth_reading() -> None:
    pings = [ping("client", 1_000 * i, payload=f"{i:016x}") for i in range(1, 7)]
    codes = [finding.code for finding in conclude_all(h2((0, 1), end_ms=9_000, pings=pings))]
    assert codes[-1] == CODE
    assert "h2-keepalive-ping" in codes


# ---- no acknowledgment


def waiting(end_ms: float | None, **changes: object) -> Connection:
    """A client that never acknowledges the server's SETTINGS."""
    connection = h2((0, 1), end_ms=end_ms, server=[settings(0, NGINX, None)])
    for name, value in changes.items():
        setattr(connection, name, value)
    return connection


def test_settings_that_nobody_acknowledged() -> None:
    finding = conclude(waiting(5_000))[CODE]
    assert finding.severity == "warning"
    assert finding.measured == {"client": CURL, "server": NGINX, "ack_ns": None}
    assert finding.title == f"the client never acknowledged SETTINGS of {WHERE}"
    assert finding.how == "1 frame on 1 connection, seen for up to 5.00 s without an acknowledgment"
    assert [evidence.what for evidence in finding.evidence] == ["server SETTINGS, not acknowledged"]
    assert finding.client == "10.0.0.2"


def test_settings_of_the_client_that_the_server_does_not_acknowledge() -> None:
    finding = conclude(h2((0, 1), end_ms=6_000, client=[settings(0, CURL, None)]))[CODE]
    assert finding.title == f"{WHERE} never acknowledged SETTINGS of the client"


def test_acknowledgment_needs_time() -> None:
    assert conclude(waiting(4_999))[CODE].severity == "info"


def test_end_of_the_capture_is_no_fault() -> None:
    assert conclude(waiting(None))[CODE].severity == "info"
    told = {finding.severity for finding in found(waiting(None), h2((0, 1), end_ms=6_000))}
    assert told == {"warning", "info"}


def test_acknowledgment_that_may_have_been_lost_is_not_missing() -> None:
    assert conclude(waiting(6_000, client_traffic=traffic(missing_bytes=9)))[CODE].severity == "info"
    assert conclude(waiting(6_000, server_traffic=traffic(captured_bytes=10)))[CODE].severity == "info"
    (finding,) = [f for f in conclude_all(waiting(6_000), dropped=Dropped(1, 0)) if f.code == CODE]
    assert finding.severity == "info"


def test_side_of_which_nothing_was_read_is_not_accused() -> None:
    mute = waiting(6_000)
    assert mute.http2 is not None
    mute.http2.client.frames = {}
    assert conclude(mute)[CODE].severity == "info"
