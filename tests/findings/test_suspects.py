"""Connections in, suspects out: who told who it is, and of those who did not, whose default fits."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.findings.advice import before_limit, earlier, server_setting, way
from inspector.findings.suspects import forgetters, is_default, keepers, recognised, suspects
from inspector.records.connection import Announced, Connection
from inspector.records.exchange import KeepAlive
from inspector.records.finding import Suspect
from inspector.records.http2 import GoawayFrame, SettingsFrame
from tests.report import samples
from tests.report.samples import MS, START_NS

NGINX = {"connection": "keep-alive", "keep_alive": None, "server": "nginx/1.22.1"}
NODE = {"connection": "keep-alive", "keep_alive": KeepAlive(5, None), "server": None}
PLAIN = {"connection": None, "keep_alive": None, "server": None}
_NAMES = {3: "MAX_CONCURRENT_STREAMS", 4: "INITIAL_WINDOW_SIZE", 5: "MAX_FRAME_SIZE", 6: "MAX_HEADER_LIST_SIZE"}


def talk(answer: dict[str, Any], **asked: Any) -> Connection:
    """One exchange of HTTP/1.1; the request says nothing unless told."""
    request = {"connection": None, "user_agent": None, **asked}
    exchange = samples.exchange(0, samples.request(4, 0, **request), samples.response(6, 1 * MS, **answer))
    return samples.connection(exchanges=[exchange])


def h2(settings: dict[int, int], update: int | None, server: str | None = None) -> Connection:
    """HTTP/2 with these SETTINGS of the server, by id, and its first WINDOW_UPDATE."""
    names = {**_NAMES, 1: "HEADER_TABLE_SIZE", 8: "ENABLE_CONNECT_PROTOCOL", 9: "NO_RFC7540_PRIORITIES"}
    values = {names[number]: value for number, value in settings.items()}
    frame = SettingsFrame(5, START_NS, False, values, list(values), None)
    side = samples.http2_side(settings=[frame], first_window_update=update)
    exchange = samples.exchange(
        0,
        samples.request(4, 0, connection=None, version="HTTP/2", user_agent=None),
        samples.response(6, 1 * MS, **{**PLAIN, "server": server}, version="HTTP/2", persistent=None),
    )
    record = samples.http2(client=samples.http2_side(), server=side)
    return samples.connection(protocol="h2", http2=record, exchanges=[exchange])


def names(found: list[Suspect]) -> list[str]:
    return [suspect.product for suspect in found]


def test_software_that_names_itself_is_named_with_the_value_that_somebody_set() -> None:
    assert suspects([talk(NGINX)], "server", "idle", 7.003) == [
        Suspect("nginx 1.22.1", "keepalive_timeout", "7s", "Server header; its default is 75 s, so someone set it")
    ]


def test_software_that_names_itself_with_its_default() -> None:
    assert suspects([talk(NGINX)], "server", "idle", 75.1)[0].why == "Server header; its default"


def test_node_says_five_and_waits_six() -> None:
    (node,) = suspects([talk(NODE)], "server", "idle", 6.002)
    assert (node.product, node.setting, node.value) == ("Node.js http", "keepAliveTimeout", "5000")
    assert node.why == "says Keep-Alive: timeout and no Server; it says 5 s and waits 1 s longer"


def test_node_with_another_timeout_is_told_by_its_extra_second() -> None:
    (node,) = suspects([talk({**NODE, "keep_alive": KeepAlive(11, None)})], "server", "idle", 12.01)
    assert (node.product, node.value) == ("Node.js http", "11000")


def test_apache_is_told_by_its_keep_alive() -> None:
    answer = {"connection": "Keep-Alive", "keep_alive": KeepAlive(5, 99), "server": "Apache/2.4.71 (Debian)"}
    assert names(suspects([talk(answer, connection="keep-alive")], "server", "idle", 5.0)) == ["Apache httpd 2.4.71"]


def test_equal_ones_are_named_together_and_those_who_would_have_named_themselves_are_not() -> None:
    found = suspects([talk(PLAIN)], "server", "idle", 30.01)
    assert names(found) == ["hyper (Rust)"]  # Jetty and granian send Server
    unread = samples.connection(protocol="tls", exchanges=[], requests=None)
    assert names(suspects([unread], "server", "idle", 30.01)) == ["Jetty", "granian", "hyper (Rust)"]


def test_close_notify_separates_equal_timers() -> None:
    encrypted = samples.connection(protocol="tls", exchanges=[], tls=samples.tls(server_closes=True))
    found = names(suspects([encrypted], "server", "idle", 5.003))
    assert found == ["Apache httpd", "uvicorn", "hypercorn"]
    silent = samples.connection(protocol="tls", exchanges=[], tls=samples.tls(server_closes=False))
    found = names(suspects([silent], "server", "idle", 6.003))
    assert found == ["Node.js http"]


def test_a_value_that_fits_nothing_is_a_configured_one() -> None:
    encrypted = samples.connection(protocol="tls", exchanges=[])
    assert suspects([encrypted], "server", "idle", 7.0) == [
        Suspect("unknown software,", None, "7 s", "no default known here fits, so someone set it")
    ]


def test_unknown_software_is_repeated_and_nobody_is_guessed() -> None:
    found = suspects([talk({**PLAIN, "server": "MyServer/3"})], "server", "idle", 75.0)
    assert names(found) == ["MyServer/3"]


def test_http2_settings_outdo_the_server_header_of_somebody_behind() -> None:
    envoy = h2({1: 4096, 8: 0, 3: 1024, 4: 16777216}, 25100289, server="gunicorn")
    (suspect,) = suspects([envoy], "server", "idle", 3600.0)
    assert (suspect.product, suspect.why) == ("Envoy", "HTTP/2 SETTINGS; its default")


def test_settings_that_people_change_are_still_those_of_nginx() -> None:
    assert [one.named for one in recognised([h2({3: 2, 4: 65536, 5: 16777215}, 2147418112)], "server")] == [
        "nginx",
        "OpenResty",
    ]


def test_a_proxy_in_front_is_named_where_its_default_fits_and_the_servers_does_not() -> None:
    answer = {**PLAIN, "connection": "keep-alive", "server": "gunicorn"}
    assert names(suspects([talk(answer)], "server", "idle", 60.0)) == ["gunicorn", "AWS ALB"]


def test_varnish_names_itself_in_pages_of_its_own() -> None:
    (suspect,) = suspects([talk({**PLAIN, "connection": "keep-alive", "server": "Varnish"})], "server", "idle", 3.0)
    assert (suspect.product, suspect.setting, suspect.value) == ("Varnish", "timeout_idle", "3")
    assert "Varnish" not in names(suspects([talk({**PLAIN, "connection": "keep-alive"})], "server", "idle", 5.0))


def test_a_count_has_its_own_setting() -> None:
    (suspect,) = suspects([talk(NGINX)], "server", "requests", 25)
    assert (suspect.setting, suspect.value) == ("keepalive_requests", "25")
    assert suspect.why == "Server header; its default is 1000, so someone set it"
    assert suspects([talk(NGINX)], "server", "requests", 100)[0].why.endswith("the default of some versions")


def test_a_close_behind_the_timer_is_told_with_the_value_that_was_set() -> None:
    """Envoy drains for 5 s after its limit, and waits another; HTTP/1 shows nothing of it."""
    (envoy,) = suspects([talk({**PLAIN, "server": "envoy"})], "server", "idle", 9.004)
    assert (envoy.setting, envoy.value) == ("idle_timeout", "3s")
    assert envoy.why == "Server header; its default is 3600 s, so someone set it; it waits 6 s more"


def test_node_that_says_nothing_adds_its_second_all_the_same() -> None:
    silent = {**NODE, "keep_alive": KeepAlive(None, None)}
    assert suspects([talk(silent)], "server", "idle", 9.0)[0].value == "8000"


def test_apache_takes_one_request_more_than_is_set() -> None:
    apache = talk({"connection": "Keep-Alive", "keep_alive": KeepAlive(5, 99), "server": "Apache/2.4.71"})
    (suspect,) = suspects([apache], "server", "requests", 101)
    assert (suspect.value, suspect.why) == ("100", "Server header; its default")
    (suspect,) = suspects([apache], "server", "requests", 6)
    assert (suspect.value, suspect.why) == (
        "5",
        "Server header; its default is 100, so someone set it; it takes 1 more",
    )


def test_software_that_may_be_late_is_not_guessed_by_a_late_close() -> None:
    unread = samples.connection(protocol="tls", exchanges=[])
    assert "gunicorn" in names(suspects([unread], "server", "idle", 2.1))
    assert "gunicorn" not in names(suspects([unread], "server", "idle", 2.6))
    told = talk({**PLAIN, "connection": "keep-alive", "server": "gunicorn"})
    assert suspects([told], "server", "idle", 2.6)[0].why == "Server header; its default"


def test_limit_that_many_late_closes_agree_on_is_not_late_itself() -> None:
    told = talk({**PLAIN, "connection": "keep-alive", "server": "gunicorn"})
    (suspect,) = suspects([told], "server", "idle", 3.0, on_time=True)
    assert (suspect.value, suspect.why) == ("3", "Server header; its default is 2 s, so someone set it")
    assert suspects([told], "server", "idle", 3.0)[0].value == "2"


@pytest.mark.parametrize(("count", "is_one"), [(1000, True), (100, True), (25, False)])
def test_what_software_does_by_itself(count: int, is_one: bool) -> None:
    assert is_default([talk(NGINX)], "server", "requests", count) is is_one
    assert not is_default([talk({**NGINX, "server": "mine/1"})], "server", "requests", count)


# ---- clients


def test_lazy_pools_never_close_by_a_timer() -> None:
    httpx = talk(NGINX, connection="keep-alive", user_agent="python-httpx/0.28.1")
    (suspect,) = suspects([httpx], "client", "idle", 5.0)
    assert (suspect.product, suspect.setting, suspect.value) == ("httpx/httpcore 0.28.1", None, None)
    assert "the program did, or ended" in suspect.why


def test_a_clients_fin_at_five_seconds_is_an_agent_and_not_httpx() -> None:
    found = names(suspects([talk(NGINX)], "client", "idle", 5.01))
    assert "Node.js http.Agent" in found
    assert not {"httpx/httpcore", "curl"} & set(found)


def test_undici_goes_by_what_the_server_says() -> None:
    fetch = talk(NODE, connection="keep-alive", user_agent="node")
    (suspect,) = suspects([fetch], "client", "idle", 3.04)
    assert (suspect.product, suspect.value) == ("undici / Node fetch", None)
    assert suspect.why == "User-Agent; the server's Keep-Alive: timeout=5 less 2 s"


def test_nginx_as_a_client_is_told_by_its_old_fashioned_requests() -> None:
    upstream = talk(NGINX, version="HTTP/1.0", connection="close", user_agent="python-requests/2.34.2")
    (suspect,) = suspects([upstream], "client", "asks-close")
    assert (suspect.product, suspect.setting, suspect.value) == ("nginx", "proxy_http_version", "1.0")


def test_a_user_agent_that_a_proxy_sent_on_is_not_the_client() -> None:
    direct = talk(NGINX, connection="keep-alive", user_agent="python-requests/2.34.2")
    sent_on = talk(NGINX, user_agent="python-requests/2.34.2")
    assert [one.named for one in recognised([direct], "client")] == ["requests / urllib3 2.34.2"]
    assert recognised([sent_on], "client") == []


def test_proxy_whose_limit_is_nobodys_default_is_a_proxy_at_least() -> None:
    sent_on = talk(NGINX, user_agent="python-requests/2.34.2")
    why = "it sends User-Agent on; no default known here fits, so someone set it"
    assert suspects([sent_on], "client", "idle", 3.0) == [Suspect("unknown proxy,", None, "3 s", why)]
    assert names(suspects([talk(NGINX)], "client", "idle", 3.0)) == ["unknown software,"]


@pytest.mark.parametrize(
    ("user_agent", "found"),
    [
        ("python-requests/2.34.2", ("no idle limit", None, "User-Agent; it keeps them until they are used")),
        ("Go-http-client/1.1", ("Transport.IdleConnTimeout", "= 90 * time.Second", "User-Agent; its default")),
        ("node", ("keepAliveTimeout", None, "User-Agent; its default is 4 s, so someone set it")),
    ],
)
def test_who_keeps_connections_so_long(user_agent: str, found: tuple[str, str | None, str]) -> None:
    (keeper,) = keepers([talk(NGINX, connection="keep-alive", user_agent=user_agent)], 10.0)
    assert (keeper.setting, keeper.value, keeper.why) == found


def test_nobody_keeps_them_who_is_not_known() -> None:
    assert keepers([talk(NGINX, user_agent="mine/1")], 10.0) == []


# ---- advice


@pytest.mark.parametrize(("timeout", "limit"), [(75.0, 74.0), (5.0, 4.0), (2.0, 1.6), (0.5, 0.4)])
def test_clients_give_up_a_second_or_a_fifth_earlier(timeout: float, limit: float) -> None:
    assert earlier(timeout) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        ("python-httpx/0.28.1", "httpx.Limits(keepalive_expiry=4)"),
        ("python-requests/2.34", "HTTPAdapter(max_retries=3)"),
        ("Java-http-client/21", "-Djdk.httpclient.keepalive.timeout=4"),
        ("Go-http-client/1.1", "http.Transport{IdleConnTimeout: 4 * time.Second}"),
        ("Mozilla/5.0", "before 4 s"),
    ],
)
def test_advice_speaks_the_clients_language(user_agent: str, said: str) -> None:
    connection = talk(NGINX, connection="keep-alive", user_agent=user_agent)
    assert said in before_limit([connection], 5.0)
    assert "raise nginx keepalive_timeout" in before_limit([connection], 5.0)


def test_settings_of_servers_by_what_they_end_connections_for() -> None:
    assert server_setting([talk(NGINX)], "requests") == "nginx keepalive_requests"
    assert server_setting([talk(NGINX)], "age") == "nginx keepalive_time"
    assert server_setting([talk(PLAIN)], "age") is None


def test_no_way_is_known_for_software_that_is_not() -> None:
    assert way([talk(NGINX, user_agent="whatever/1")], "client", "reuse") is None


# ---- what forgets connections


@pytest.mark.parametrize(
    ("idle", "found"),
    [
        (100.0, []),
        (250.0, ["Azure load balancer or NAT gateway"]),
        (351.0, ["Azure load balancer or NAT gateway", "AWS NLB", "AWS NAT gateway"]),
    ],
)
def test_who_forgets(idle: float, found: list[str]) -> None:
    assert names(forgetters(idle)) == found


# ---- how GOAWAY and FIN follow each other


@pytest.mark.parametrize(("gap_ns", "found"), [(300_000, True), (1_000 * MS, False)])
def test_goaway_and_fin_together_or_a_second_apart(gap_ns: int, found: bool) -> None:
    connection = h2({3: 8, 4: 65536, 6: 65535, 8: 1, 9: 1}, None)
    assert connection.http2 is not None
    assert connection.closed is not None
    end = connection.closed.time_ns
    connection.http2.server.goaways = [GoawayFrame(20, end - gap_ns, 3, "NO_ERROR", "")]
    connection.closed.announced = Announced("server", "goaway", 20, end - gap_ns)
    connection.exchanges = []
    assert ("lighttpd" in names(suspects([connection], "server", "idle", 5.0))) is found
