"""HTTP/1.1 where HTTP/2 was within reach: who decided, and what is not known or not amiss."""

from __future__ import annotations

from typing import Any

from inspector.records.connection import Connection, Tunnel, Upgrade
from inspector.records.finding import Finding
from tests.findings.cases import conclude, opened
from tests.report.samples import http2, tls

CODE = "alpn-fallback"


def spoke(chosen: str | None, *offered: str, protocol: str = "http/1.1", **changes: Any) -> Connection:
    """A connection over TLS with one exchange."""
    shake = tls(alpn=chosen, alpn_offered=list(offered))
    return opened((0, 5), end_ms=6, protocol=protocol, tls=shake, **changes)


def spoke_h2(**changes: Any) -> Connection:
    return spoke("h2", "h2", "http/1.1", protocol="h2", http2=http2(), **changes)


def told(*connections: Connection) -> Finding | None:
    return conclude(*connections).get(CODE)


def test_server_that_has_no_h2() -> None:
    finding = told(spoke("http/1.1", "h2", "http/1.1"), spoke("http/1.1", "h2", "http/1.1"))
    assert finding is not None
    assert finding.severity == "notice"
    assert finding.measured == {"connections": 2, "offered": ["h2", "http/1.1"], "chosen": "http/1.1"}
    assert finding.title == (
        "shop.test 10.0.0.1:8001 speaks HTTP/1, though HTTP/2 was offered on 2 of 2 TLS connections"
    )
    assert finding.how == "ALPN: requests / urllib3 2.32 offered h2, http/1.1; nginx 1.22.1 chose http/1.1"
    assert finding.advice == (
        "if HTTP/2 is wanted: switch it on in nginx 1.22.1 (http2 on; before 1.25.1 listen ... ssl http2); "
        "requests / urllib3 2.32 would use it"
    )


def test_server_that_answers_nothing() -> None:
    finding = told(spoke(None, "h2"))
    assert finding is not None
    assert finding.measured["chosen"] is None
    assert finding.how.endswith("chose none")


def test_client_that_does_not_offer_what_others_have() -> None:
    finding = told(spoke_h2(), spoke("http/1.1", "http/1.1"), spoke(None))
    assert finding is not None
    assert finding.connections == [1, 2]
    assert finding.measured["connections"] == 2
    assert finding.title == (
        "shop.test 10.0.0.1:8001 could speak HTTP/2, which was not offered on 2 of 3 TLS connections"
    )
    assert finding.how.endswith("nginx 1.22.1 takes h2 from others")
    assert finding.advice == "if HTTP/2 is wanted: let requests / urllib3 2.32 offer it, if it can"


def test_advice_in_the_clients_words() -> None:
    asks = spoke(None)
    assert asks.exchanges[0].request is not None
    asks.exchanges[0].request.user_agent = "python-httpx/0.28.1"
    finding = told(spoke_h2(), asks)
    assert finding is not None
    assert finding.advice == (
        "if HTTP/2 is wanted: let httpx/httpcore 0.28.1 offer it: httpx.Client(http2=True), and the h2 package"
    )


def test_h2_is_no_fallback() -> None:
    assert told(spoke_h2(), spoke_h2()) is None


def test_h2_that_was_chosen_and_could_not_be_read() -> None:
    finding = told(spoke("h2", "h2", protocol="tls"), spoke(None, "http/1.1"))
    assert finding is not None
    assert finding.connections == [1]
    assert finding.evidence[0].what == "SYN: its ClientHello offers http/1.1"
    assert finding.filter == "tcp.stream in {1} && (tcp.flags.syn == 1 || tls.handshake.type in {1, 2})"


def test_nobody_was_seen_with_h2() -> None:
    assert told(spoke("http/1.1", "http/1.1"), spoke(None)) is None


def test_other_name_of_the_address_may_have_no_h2() -> None:
    assert told(spoke_h2(), spoke("http/1.1", "http/1.1", name="old.test")) is None


def test_ends_of_tunnels_are_told_apart_from_their_proxy() -> None:
    tunnelled = [spoke("http/1.1", "h2", tunnel=Tunnel(f"{name}:443"), name=name) for name in ("a.test", "a.test")]
    finding = told(spoke_h2(tunnel=Tunnel("b.test:443"), name="b.test"), *tunnelled)
    assert finding is not None
    assert finding.title == (
        "a.test:443 through 10.0.0.1:8001 speaks HTTP/1, though HTTP/2 was offered on 2 of 2 TLS connections"
    )


def test_several_names_of_an_address_are_one_finding() -> None:
    finding = told(*(spoke("http/1.1", "h2", name=name) for name in ("a.test", "b.test")))
    assert finding is not None
    assert finding.title.startswith("10.0.0.1:8001 speaks HTTP/1, though HTTP/2 was offered")


def test_websocket_has_to_be_http_1() -> None:
    assert told(spoke_h2(), spoke("http/1.1", "http/1.1", upgrade=Upgrade("websocket", 6))) is None


def test_what_cannot_be_read_may_be_a_websocket() -> None:
    assert told(spoke_h2(), spoke("http/1.1", "http/1.1", protocol="tls")) is None


def test_choice_that_tls_1_3_hides_is_not_known() -> None:
    hidden = spoke(None, "h2", "http/1.1", protocol="tls")
    assert told(hidden) is None
    assert hidden.tls is not None
    hidden.tls.version = "TLS 1.2"
    assert told(hidden) is not None, "TLS 1.2 says it in the clear"


def test_handshake_that_failed_chose_nothing() -> None:
    failed = spoke(None, "h2", "http/1.1")
    assert failed.tls is not None
    failed.tls.handshake_ns = None
    assert told(failed) is None
