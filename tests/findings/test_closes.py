"""One request a connection: whose doing it is, and when nothing is to be said."""

from __future__ import annotations

from inspector.records.connection import Connection, End, Estimate
from inspector.records.finding import Suspect
from tests.findings.cases import asking, conclude, opened

ONE_REQUEST = ("server-closes-each-response", "client-asked-close", "client-never-reuses")


def each(n: int, *, by: str, said: str | None = None) -> list[Connection]:
    """Connections of one request, one after another."""
    return [opened((10 * i, 10 * i + 5), end_ms=10 * i + 6, by=by, said=said) for i in range(n)]


def blamed(*connections: Connection) -> list[str]:
    return sorted(set(conclude(*connections)) & set(ONE_REQUEST))


# ---- the server


def test_server_that_says_close_each_time() -> None:
    finding = conclude(*each(5, by="server", said="server connection-close"))["server-closes-each-response"]
    assert finding.severity == "warning"
    assert finding.measured == {"connections": 5, "said_close": 5}
    assert (
        finding.title
        == "shop.test 10.0.0.1:8001 closes connections after each response: 5 of 5, 4 could have been saved"
    )
    assert finding.how == "5 of 5 responses announced it (Connection: close); no request had asked for it"
    assert finding.connections == [0, 1, 2, 3, 4]
    assert finding.suspects == [Suspect("nginx 1.22.1", "keepalive_timeout", "0", "Server header")]
    assert finding.advice == (
        "let the server keep connections alive (nginx 1.22.1 keepalive_timeout); a client can do nothing about it"
    )
    assert finding.filter == "tcp.stream in {0..4} && (tcp.flags.syn == 1 || tcp.flags.fin == 1)"


def test_server_that_closes_without_a_word() -> None:
    finding = conclude(*each(5, by="server"))["server-closes-each-response"]
    assert finding.measured == {"connections": 5, "said_close": 0}
    assert finding.how.startswith("the server's close came right after the response, unannounced")


def test_server_of_http_1_0() -> None:
    finding = conclude(*each(5, by="server", said="server http/1.0"))["server-closes-each-response"]
    assert "(HTTP/1.0)" in finding.how


def test_responses_that_were_cut_off_are_no_policy() -> None:
    cut = each(5, by="server")
    for connection in cut:
        connection.exchanges[0].complete = False
    assert blamed(*cut) == []


def test_server_closing_in_a_short_run_is_no_complaint() -> None:
    assert conclude(*each(3, by="server"))["server-closes-each-response"].severity == "info"
    assert conclude(*each(4, by="server"))["server-closes-each-response"].severity == "warning"


def test_server_closing_connections_that_ran_at_once_costs_nothing() -> None:
    at_once = [opened((0, 50 + i), end_ms=60 + i, by="server", said="server connection-close") for i in range(5)]
    finding = conclude(*at_once)["server-closes-each-response"]
    assert finding.severity == "info"
    assert finding.title.endswith("after each response: 5 of 5")


def test_one_close_is_no_habit() -> None:
    assert blamed(*each(1, by="server")) == []


def test_server_that_keeps_others_does_not_close_each() -> None:
    kept = opened((100, 105), (110, 115), end_ms=120)
    assert blamed(*each(5, by="server"), kept) == []
    assert blamed(*each(9, by="server"), kept) == ["server-closes-each-response"]


def test_server_that_closes_after_idle_keeps_connections() -> None:
    assert blamed(*(opened((t, t + 5), end_ms=t + 5_005, by="server") for t in range(0, 100, 10))) == []


# ---- the client asks


def test_timer_that_answers_408_to_nothing_is_a_timer() -> None:
    """haproxy with `timeout http-request`: its Connection: close is no response to anybody."""
    waited = [opened((t, t + 5), end_ms=t + 2005, by="server", said="server connection-close") for t in (0, 200, 400)]
    for connection in waited:
        (told,) = connection.exchanges
        assert told.response is not None
        told.request, told.response.status = None, 408
    findings = conclude(*waited)
    assert findings["server-idle-timeout"].measured["timeout_ns"] == 2_000_000_000
    assert "server-closes-each-response" not in findings


def test_client_that_asks_for_the_close_decides_though_the_server_closes() -> None:
    findings = conclude(*each(5, by="server", said="client connection-close"))
    finding = findings["client-asked-close"]
    assert finding.severity == "notice"
    assert finding.measured == {"connections": 5, "requests": 5}
    assert finding.title == "the client asks shop.test 10.0.0.1:8001 to close after each request: 5 of 5 connections"
    assert finding.how == "5 requests said close; the server obeyed, and closed first on 5 of 5"
    assert finding.client == "10.0.0.2"
    assert [suspect.product for suspect in finding.suspects] == ["requests / urllib3 2.32"]
    assert finding.advice is not None
    assert finding.advice == (
        "the client decides this, not the server: let it leave Connection: close out, and keep one requests.Session() "
        "for all requests"
    )
    assert "server-closes-each-response" not in findings
    assert "client-never-reuses" not in findings


def test_client_of_http_1_0_asks_by_its_version() -> None:
    connections = each(5, by="server", said="client http/1.0")
    for connection in connections:
        request = connection.exchanges[0].request
        assert request is not None
        request.version, request.connection = "HTTP/1.0", None
    assert "spoke HTTP/1.0 without keep-alive" in conclude(*connections)["client-asked-close"].how


def test_proxy_that_asks_is_advised_in_its_own_language() -> None:
    asked = [
        asking(one, version="HTTP/1.0", connection="close") for one in each(5, by="client", said="client http/1.0")
    ]
    finding = conclude(*asked)["client-asked-close"]
    assert finding.how == "5 requests said close; it closed first itself"
    assert [(one.product, one.setting, one.value) for one in finding.suspects] == [
        ("nginx", "proxy_http_version", "1.0")
    ]
    assert finding.advice is not None
    assert finding.advice.startswith("nginx: proxy_http_version 1.1")


def test_client_that_asks_in_a_short_run_is_no_complaint() -> None:
    assert conclude(*each(3, by="server", said="client connection-close"))["client-asked-close"].severity == "info"


def test_close_with_the_last_of_several_requests_is_good_manners() -> None:
    polite = [opened((t, t + 5), (t + 10, t + 15), end_ms=t + 16, said="client connection-close") for t in (0, 20, 40)]
    assert blamed(*polite) == []


def test_single_request_that_says_close_is_no_news() -> None:
    assert blamed(*each(1, by="server", said="client connection-close")) == []


# ---- the client closes


def test_client_without_a_pool() -> None:
    finding = conclude(*each(20, by="client"))["client-never-reuses"]
    assert finding.severity == "warning"
    assert finding.measured == {"connections": 20, "avoidable_opens": 19, "handshake_ns_saved": 19 * 60_000}
    assert finding.title == (
        "shop.test 10.0.0.1:8001 is opened anew for each request: "
        "19 of 20 connections were avoidable, 1.14 ms of handshakes"
    )
    assert finding.client == "10.0.0.2"
    assert finding.suspects == [Suspect("requests / urllib3 2.32", None, None, "User-Agent")]
    assert finding.advice == "keep one requests.Session() for all requests"


def test_client_that_is_not_known_is_advised_in_general() -> None:
    finding = conclude(*(asking(one, user_agent="mine/1") for one in each(20, by="client")))["client-never-reuses"]
    assert finding.suspects == []
    assert finding.advice == "let the client keep one session or pool for all its requests"


def test_three_avoidable_opens_are_the_least() -> None:
    assert blamed(*each(3, by="client")) == []
    assert blamed(*each(4, by="client")) == ["client-never-reuses"]


def test_requests_at_once_need_their_connections() -> None:
    assert blamed(*(opened((0, 50 + i), end_ms=60 + i) for i in range(20))) == []


def test_response_that_forbids_reuse_is_no_fault_of_the_client() -> None:
    assert blamed(*each(20, by="client", said="server connection-close")) == ["server-closes-each-response"]


def test_clients_of_one_request_each_need_their_connections() -> None:
    connections = each(20, by="client")
    for i, connection in enumerate(connections):
        connection.client = End(f"10.0.1.{i}", 40_000)
    assert blamed(*connections) == []


def test_several_clients_are_one_finding() -> None:
    connections = each(20, by="client")
    for i, connection in enumerate(connections):
        connection.client = End(f"10.0.1.{i % 2}", 40_000)
    finding = conclude(*connections)["client-never-reuses"]
    assert finding.client is None
    assert finding.measured["avoidable_opens"] == 18


def test_pool_with_a_timer_is_a_pool() -> None:
    lonely = [asking(opened((t, t + 5), end_ms=t + 4_005), user_agent="node") for t in range(0, 50_000, 5_000)]
    findings = conclude(*lonely)
    assert "client-idle-timeout" in findings
    assert "client-never-reuses" not in findings


def test_programs_that_end_after_equal_times_have_no_timer() -> None:
    """A script that rests before it ends, run again and again; requests closes nothing by itself."""
    assert blamed(*(opened((t, t + 5), end_ms=t + 1_005) for t in range(0, 50_000, 5_000))) == ["client-never-reuses"]


def test_closes_after_idle_without_a_timer_are_those_of_no_pool() -> None:
    idle_ms = (300, 900, 2_000, 450, 1_500)
    lonely = [opened((5_000 * i, 5_000 * i + 5), end_ms=5_000 * i + 5 + idle) for i, idle in enumerate(idle_ms)]
    assert blamed(*lonely) == ["client-never-reuses"]


def test_most_of_the_connections_have_to_look_so() -> None:
    busy = [opened((200 + 30 * i, 205 + 30 * i), (210 + 30 * i, 215 + 30 * i), end_ms=220 + 30 * i) for i in range(5)]
    assert blamed(*each(4, by="client"), *busy) == []


def test_encrypted_connections_of_one_exchange_are_told_with_care() -> None:
    connections = [opened(end_ms=10 * i + 6, protocol="tls", requests=None) for i in range(20)]
    for connection in connections:
        connection.estimate = Estimate(1, "records")
    finding = conclude(*connections)["client-never-reuses"]
    assert finding.qualifiers == ["encrypted"]
    assert "at least 19 of 20" in finding.title
    assert "allowed reuse" not in finding.how
