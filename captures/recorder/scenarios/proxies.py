"""Proxies, both legs: what of a connection's header fields they pass on, strip and add, and how they use connections.

The proxy runs on the router, between client and server. One capture there has both legs; where there are two, each was
taken at an end, and the clock of the second is 90 s fast (stage.capture_behind).
"""

from __future__ import annotations

import time
from typing import Any

from .. import facts
from ..network import SERVER, Network, routed
from ..servers import Node
from ..servers_http2 import Envoy, program
from ..servers_varnish import Varnish
from ..stage import Program, Stage, scenario

PROXY, BEHIND = "10.0.0.254", ("10.0.1.1", 8002)
BEHIND_ENDPOINT = "10.0.1.1:8002"
HELLO = "response.end('hello\\n')"
#: Long enough that four requests are under way at once.
SLOW_HELLO = "setTimeout(() => response.end('hello\\n'), 150)"

#: A client that is healthy: one connection, sixteen requests. FIELDS are the header fields of each.
PACED = """
import time, requests

with requests.Session() as session:
    for number in range(16):
        session.get("http://ADDRESS/" + str(number), headers=FIELDS)
        time.sleep(0.4)
"""
WITH_ID = '{"X-Request-ID": f"shop-{number}"}'

#: Four clients at once, three requests each, which then stay for STAY seconds.
FOUR_AT_ONCE = """
import threading, time, requests

def fetch(client):
    with requests.Session() as session:
        for number in range(3):
            session.get(f"http://ADDRESS/{client}/{number}", headers=FIELDS)
            time.sleep(0.2)
        time.sleep(STAY)

threads = [threading.Thread(target=fetch, args=(client,)) for client in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def _with_proxy(network: Network) -> None:
    """client eth0 — client0 router server0 — eth0 server; the proxy runs on the router, 10.0.0.254 and 10.0.1.254."""
    routed(network)


def _behind(stage: Stage, handler: str = HELLO) -> Node:
    """Node as it comes: it says `Keep-Alive: timeout=5`."""
    return stage.node(handler, address=BEHIND[0], port=BEHIND[1])


def _code(text: str, address: str, fields: str = "{}", stay_s: float = 0) -> str:
    return text.replace("ADDRESS", address).replace("FIELDS", fields).replace("STAY", str(stay_s))


def _play(stage: Stage, code: str, stay_s: float = 0.2) -> Program:
    """Run the client and capture both legs on the proxy's host, until `stay_s` later."""
    with stage.capture(host="router", interfaces=["client0", "server0"]):
        client = stage.python_client(code, "requests")
        time.sleep(stay_s)
    stage.learn_sockets(client.accounts)
    return client


def _play_apart(stage: Stage, code: str, stay_s: float = 0.2) -> Program:
    """Run the client, and capture one leg at each end, until `stay_s` later."""
    with stage.capture_behind(), stage.capture():
        client = stage.python_client(code, "requests")
        time.sleep(stay_s)
    stage.learn_sockets(client.accounts)
    return client


def _nginx(stage: Stage, location: str, server: str = "") -> None:
    """nginx as the proxy; requests to the server behind go out on connections that may be kept (`http://behind`)."""
    upstream = f"upstream behind {{ server {BEHIND_ENDPOINT}; keepalive 4; keepalive_timeout 3s; }}"
    where: dict[str, Any] = {"host": "router", "name": "nginx proxy", "address": PROXY}
    stage.nginx(f"{server} location / {{ {location} }}", upstream, **where)


def _learn_behind(stage: Stage, node: Node, asked: str | None, opened: int, whole: bool = True) -> None:
    """What the server behind saw: its requests, their Connection field, and on how many connections they came.

    `whole` as facts.from_server_log.
    """
    requests = node.requests()
    assert {request.request_connection for request in requests} == {asked}
    assert len({request.client for request in requests}) == opened
    stage.learn_log("log of the server behind the proxy", requests, whole)


KEPT = 'proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";'


@scenario(
    "nginx-proxy-before",
    ran="a requests.Session with 16 GETs that carry X-Request-ID, through nginx `proxy_pass` as it comes, to Node",
    seen="one connection from the client, 16 to the server behind: HTTP/1.0 with `Connection: close`",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_before(stage: Stage) -> None:
    """The default before nginx 1.29.7."""
    node = _behind(stage)
    _nginx(stage, f"proxy_pass http://{BEHIND_ENDPOINT};")
    _play(stage, _code(PACED, f"{PROXY}:8001", WITH_ID))
    _learn_behind(stage, node, "close", 16)
    stage.say("proxy_http_version 1.0", facts.endpoint(BEHIND_ENDPOINT), protocols={"http/1.0": 16})


@scenario(
    "nginx-proxy-after",
    ran='four requests.Sessions at once through nginx `proxy_http_version 1.1`, `Connection ""`, `keepalive 4`',
    seen="four connections on each leg; nginx closes those to the server behind after 3 s idle (`keepalive_timeout`)",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_after(stage: Stage) -> None:
    """What has to be set for reuse behind the proxy, and the proxy's own timer there."""
    node = _behind(stage, SLOW_HELLO)
    _nginx(stage, KEPT)
    _play(stage, _code(FOUR_AT_ONCE, f"{PROXY}:8001", '{"X-Request-ID": f"shop-{client}-{number}"}'), 3.5)
    _learn_behind(stage, node, None, 4)
    for client in {request.client for request in node.requests()}:
        closed = {"by": "client", "how": "fin", "idle_ns": facts.about(3e9, 1e8)}
        stage.say("keepalive_timeout of the upstream", facts.connection(client, BEHIND_ENDPOINT), closed=closed)


@scenario(
    "nginx-proxy-leaks",
    ran="a requests.Session that says `Connection: close` on 16 GETs, through nginx that passes Connection on",
    seen="the client's close is passed on to the server behind, and ends the kept connection there each time",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_leaks(stage: Stage) -> None:
    """`proxy_set_header Connection $http_connection`: a field for one hop that is let through."""
    node = _behind(stage)
    _nginx(stage, "proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection $http_connection;")
    fields = '{"X-Request-ID": f"shop-{number}", "Connection": "close"}'
    _play(stage, _code(PACED, f"{PROXY}:8001", fields))
    _learn_behind(stage, node, "close", 16)
    stage.say("proxy_http_version 1.1", facts.endpoint(BEHIND_ENDPOINT), protocols={"http/1.1": 16})


@scenario(
    "nginx-proxy-adds",
    ran="a requests.Session with 16 GETs through nginx `keepalive_timeout 0` that keeps its connections to Node",
    seen="one connection behind the proxy; before it 16, because nginx adds `Connection: close` to every response",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_adds(stage: Stage) -> None:
    """The server behind said keep-alive."""
    node = _behind(stage)
    _nginx(stage, KEPT, "keepalive_timeout 0;")
    _play(stage, _code(PACED, f"{PROXY}:8001"), 3.5)
    _learn_behind(stage, node, None, 1)


@scenario(
    "nginx-proxy-strips",
    ran="a requests.Session with 16 GETs through nginx to Node that says `Connection: close` on every response",
    seen="16 connections behind the proxy; the client never hears of it: nginx replaces Connection by its own",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_strips(stage: Stage) -> None:
    """Seen from the client, all is well."""
    node = _behind(stage, f"response.setHeader('Connection', 'close'); {HELLO}")
    _nginx(stage, KEPT)
    _play(stage, _code(PACED, f"{PROXY}:8001"))
    _learn_behind(stage, node, None, 16)


@scenario(
    "nginx-proxy-apart",
    ran="as nginx-proxy-before, without ids, captured at the client and at the server behind, whose clock is 90 s fast",
    seen="one connection in client.pcapng, 16 in upstream.pcapng; only method, target and order join the requests",
    topology=_with_proxy,
    compress=True,
)
def nginx_proxy_apart(stage: Stage) -> None:
    """Two captures, one a leg."""
    node = _behind(stage)
    _nginx(stage, f"proxy_pass http://{BEHIND_ENDPOINT};")
    _play_apart(stage, _code(PACED, f"{PROXY}:8001"))
    assert {request.request_connection for request in node.requests()} == {"close"}
    stage.learn_log_behind("log of the server behind the proxy", node.requests())


@scenario(
    "varnish-apart",
    ran="four requests.Sessions at once through Varnish, captured at the client and at the server behind (90 s fast)",
    seen="X-Varnish and Via; four connections before the proxy, which it closes after 5 s idle; no hit behind it",
    topology=_with_proxy,
    compress=True,
    programs=("varnishd",),
)
def varnish_apart(stage: Stage) -> None:
    """Varnish as it comes (timeout_idle 5 s); the last request of each client is answered from the cache."""
    node = _behind(stage, SLOW_HELLO)
    varnish = Varnish(stage.network.hosts["router"], stage.scratch / "varnish", PROXY, BEHIND)
    stage.keep(varnish)
    code = FOUR_AT_ONCE.replace("time.sleep(STAY)", 'session.get("http://ADDRESS/0/0")\n        time.sleep(STAY)')
    _play_apart(stage, _code(code, f"{PROXY}:8001", stay_s=5.4))
    asked = varnish.requests()
    stage.learn_log("varnishncsa", asked)
    assert (len(asked), len(node.requests())) == (16, 12)
    stage.learn_log_behind("log of the server behind the proxy", node.requests(), whole=False)
    for client in {request.client for request in asked}:
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(5e9, 1e8)}
        stage.say("Varnish timeout_idle", facts.connection(client, f"{PROXY}:8001"), closed=closed)


#: Eight clients one after the other, two requests each.
EIGHT_SESSIONS = """
import time, requests

for client in range(8):
    with requests.Session() as session:
        for number in range(2):
            session.get(f"http://ADDRESS/{client}/{number}", headers=FIELDS)
            time.sleep(0.3)
"""


def _haproxy(stage: Stage, reuse: str, *lines: str) -> Node:
    """HAProxy in front of Node, with `http-reuse` and further lines of its frontend."""
    node = _behind(stage)
    frontend = [f"bind {PROXY}:8443", "option forwardfor", *lines]
    stage.haproxy(frontend, [f"http-reuse {reuse}", f"server node {BEHIND_ENDPOINT}"], "router", logs=False)
    return node


@scenario(
    "haproxy-reuse-never",
    ran="eight requests.Sessions in turn, two GETs with X-Request-ID each, through HAProxy `http-reuse never`",
    seen="a connection behind the proxy for each one before it",
    topology=_with_proxy,
    compress=True,
    programs=("haproxy",),
)
def haproxy_reuse_never(stage: Stage) -> None:
    """Connections that belong to their client's."""
    node = _haproxy(stage, "never")
    _play(stage, _code(EIGHT_SESSIONS, f"{PROXY}:8443", '{"X-Request-ID": f"shop-{client}-{number}"}'))
    _learn_behind(stage, node, None, 8)


@scenario(
    "haproxy-reuse-always",
    ran="the same through HAProxy `http-reuse always`, which gives every request an X-Request-ID of its own",
    seen="eight connections before the proxy, one behind it; Node's Keep-Alive passes through to the client",
    topology=_with_proxy,
    compress=True,
    programs=("haproxy",),
)
def haproxy_reuse_always(stage: Stage) -> None:
    """The clients' requests carry no id: only the second leg has one."""
    node = _haproxy(stage, "always", "unique-id-format %{+X}o-%cp-%Ts-%rt", "unique-id-header X-Request-ID")
    _play(stage, _code(EIGHT_SESSIONS, f"{PROXY}:8443"))
    # The one connection outlives the capture.
    _learn_behind(stage, node, None, 1, whole=False)
    stage.say("log of the server behind the proxy", facts.endpoint(BEHIND_ENDPOINT), opened=1, still_open=1)


def _envoy(stage: Stage, address: str, tls: bool) -> Node:
    """Envoy in front of Node, where its connections may be idle for 3 s; the response too has the X-Request-ID."""
    node = _behind(stage, SLOW_HELLO)
    behind = (BEHIND, {"common_http_protocol_options": {"idle_timeout": "3s"}})
    where = stage.network.hosts["router"], stage.scratch / "envoy", program(stage.python, "envoy")
    options = {"always_set_request_id_in_response": True}
    stage.keep(Envoy(*where, options, address=address, tls=tls, behind=behind))
    return node


def _learn_envoy_closes(stage: Stage, node: Node) -> None:
    for client in {request.client for request in node.requests()}:
        closed = {"by": "client", "how": "fin", "idle_ns": facts.about(3e9, 1e8)}
        stage.say("Envoy idle_timeout of the cluster", facts.connection(client, BEHIND_ENDPOINT), closed=closed)


@scenario(
    "envoy-proxy-h1",
    ran="four requests.Sessions at once through Envoy to Node; Envoy makes X-Request-ID and says it in responses",
    seen="four connections on each leg, no Connection field behind; Envoy closes those to Node after 3 s idle",
    topology=_with_proxy,
    compress=True,
)
def envoy_proxy_h1(stage: Stage) -> None:
    """HTTP/1.1 on both legs."""
    node = _envoy(stage, PROXY, tls=False)
    _play(stage, _code(FOUR_AT_ONCE, f"{PROXY}:8443"), 3.5)
    _learn_behind(stage, node, None, 4)
    _learn_envoy_closes(stage, node)


H2_FOUR_AT_ONCE = """
import concurrent.futures, httpx, ssl, time

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client, concurrent.futures.ThreadPoolExecutor(4) as threads:
    client.get("https://shop.test:8443/first")
    for turn in range(3):
        urls = [f"https://shop.test:8443/{number}/{turn}" for number in range(4)]
        list(threads.map(client.get, urls))
        time.sleep(0.2)
"""


@scenario(
    "envoy-proxy-h2",
    ran="an httpx.Client(http2=True) with four streams at once through Envoy to Node",
    seen="one HTTP/2 connection with TLS before the proxy; four with HTTP/1.1 in the clear behind it",
    topology=_with_proxy,
    compress=True,
)
def envoy_proxy_h2(stage: Stage) -> None:
    """HTTP/2 ends at the proxy, which also has the address that the certificate's name stands for."""
    stage.network.hosts["router"].ip("address", "add", f"{SERVER}/24", "dev", "client0")
    stage.certificate()
    node = _envoy(stage, SERVER, tls=True)
    with stage.capture(host="router", interfaces=["client0", "server0"]):
        client = stage.python_client(H2_FOUR_AT_ONCE, "httpx", "h2")
        time.sleep(3.5)
    stage.learn_sockets(client.accounts)
    _learn_behind(stage, node, None, 4)
    _learn_envoy_closes(stage, node)
