"""What the packets travelled over, and where the capture stood: IPv6, loopback, bridges, routers, proxies, loss."""

from __future__ import annotations

import time

from .. import facts
from ..conversation import get, read_to_end, request
from ..network import SERVER, SERVER6, Network, bridged, direct_ipv6, over_wire, routed
from ..servers import Nginx
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"

FETCH_THREE = """
import requests

with requests.Session() as session:
    for _ in range(3):
        session.get("http://ADDRESS/a")
"""


def _write_big_file(nginx: Nginx, size: int) -> None:
    with (nginx.folder / "files" / "big").open("wb") as big:
        big.truncate(size)


def _download(stage: Stage, size: int, snaplen: int | None) -> facts.Json:
    """Fetch a file of `size` zero bytes; returns what the fact about the connection is about."""
    nginx = stage.nginx()
    _write_big_file(nginx, size)
    with stage.capture(snaplen=snaplen):
        connection = stage.client.connect(SERVER, 8001)
        connection.sendall(request("GET", "/big", "Connection: close"))
        read_to_end(connection)
        connection.close()
    (account,) = stage.own_accounts()
    assert account.received > size
    return facts.connection(account.local, account.remote)


@scenario(
    "download",
    ran="one GET of 20 MiB from nginx, captured with a snap length of 400 bytes",
    seen="one response of 20,971,520 body bytes, whose heads are captured whole and whose body is cut",
    compress=True,
)
def download(stage: Stage) -> None:
    """A long body that has to be counted, not read."""
    of = _download(stage, 20 << 20, 400)
    stage.facts += facts.from_client_sockets(stage.own_accounts(), *stage.capture_times)
    response = {"status": 200, "content_length": 20 << 20, "body_bytes": 20 << 20, "connection": "close"}
    stage.say("client", of, exchanges=[{"response": response, "complete": True}])


@scenario(
    "download-snaplen",
    ran="one GET of 2 MiB from nginx, captured with a snap length of 96 bytes",
    seen="heads that are cut in the middle; what TCP says is known all the same",
    compress=True,
)
def download_snaplen(stage: Stage) -> None:
    """What `-s 96` leaves: 30 bytes of each segment, holes between them."""
    of = _download(stage, 2 << 20, 96)
    (account,) = stage.own_accounts()
    closed = {"by": "server", "how": "fin", "reply": "fin"}
    traffic = {"bytes": account.received, "captured_bytes": {"most": account.received // 10}}
    stage.say("client's sockets", of, opened={"how": "handshake"}, closed=closed, server_traffic=traffic)
    stage.say("client's sockets", of, client_traffic={"bytes": len(account.written)})


def _bad_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire loses and reorders (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 5, "drop": [1, 20, 21, 60, 100], "hold_ms": {"35": 30, "80": 12}})


@scenario(
    "lossy",
    ran="two GETs of 150 KiB over a wire that loses five data segments (the first among them) and delays two",
    seen="holes that are filled later, segments out of order; both responses whole",
    topology=_bad_wire,
    compress=True,
)
def lossy(stage: Stage) -> None:
    """Nothing of this is seen by the programs."""
    nginx = stage.nginx()
    _write_big_file(nginx, 150 << 10)
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/big")
        get(connection, "/big")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    (account,) = stage.own_accounts()
    of = facts.connection(account.local, account.remote)
    stage.say("rules of the wire", of, server_traffic={"out_of_order": {"least": 1}, "missing_bytes": 0})


@scenario(
    "ipv6",
    ran="a requests.Session that fetches three times from nginx over IPv6",
    seen="the same as over IPv4, with addresses as RFC 5952 writes them",
    topology=direct_ipv6,
)
def ipv6(stage: Stage) -> None:
    """IPv6, by name."""
    nginx = stage.nginx(address=f"[{SERVER6}]")
    with stage.capture():
        client = stage.python_client(FETCH_THREE.replace("ADDRESS", "six.shop.test:8001"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    stage.say("program", facts.endpoint(f"[{SERVER6}]:8001"), name="six.shop.test", ip=SERVER6, port=8001)


@scenario(
    "loopback",
    ran="a requests.Session that fetches 200 KiB three times from nginx on the same host, captured on lo",
    seen="packets of up to 64 KiB, each once",
    compress=True,
)
def loopback(stage: Stage) -> None:
    """An MTU of 65,536, and segmentation left to nobody."""
    nginx = stage.nginx(address="127.0.0.1")
    (nginx.folder / "files" / "a").write_bytes(bytes(200 << 10))
    stage.packages.update(("python", "requests"))
    code = FETCH_THREE.replace("ADDRESS", "127.0.0.1:8001")
    with stage.capture(host="server", interfaces=["lo"]):
        client = stage.finish_python(stage.start_python(code, host="server"))
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)


def _fetch_across(stage: Stage, server: str, middle: str) -> None:
    """Fetch three times past a host that captures on all its interfaces."""
    nginx = stage.nginx(address=server)
    with stage.capture(host=middle, interfaces=["any"]):
        client = stage.python_client(FETCH_THREE.replace("ADDRESS", f"{server}:8001"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    stage.say("the way of each packet", {"report": "capture"}, skipped={"duplicate": {"least": 10}})


@scenario(
    "any-bridge",
    ran="a requests.Session through a Linux bridge, captured on the bridge with `-i any`",
    seen="each packet on two interfaces: one connection, nothing retransmitted",
    topology=bridged,
    compress=True,
)
def any_bridge(stage: Stage) -> None:
    """Copies that differ in nothing but the interface."""
    _fetch_across(stage, SERVER, "bridge")


@scenario(
    "any-router",
    ran="a requests.Session through a Linux router, captured on the router with `-i any`",
    seen="each packet on two interfaces, the second time with one hop less to live: one connection",
    topology=routed,
    compress=True,
)
def any_router(stage: Stage) -> None:
    """Copies that differ in their time to live."""
    _fetch_across(stage, "10.0.1.1", "router")


def _with_proxy(network: Network) -> None:
    """client eth0 — client0 router server0 — eth0 server; the proxy runs on the router, 10.0.0.254 and 10.0.1.254."""
    routed(network)


PROXY_ENDPOINT, UPSTREAM_ENDPOINT = "10.0.0.254:8001", "10.0.1.1:8002"


def _fetch_through_proxy(stage: Stage, location: str, http: str, upstream_server: str, stay_s: float) -> Nginx:
    """Fetch three times on one connection through a proxy, both legs captured there until `stay_s` seconds later.

    Returns the server behind the proxy.
    """
    upstream = stage.nginx(upstream_server, address="10.0.1.1", port=8002, name="nginx upstream")
    proxy = stage.nginx(
        f"location / {{ {location} }}", http, host="router", name="nginx proxy", address="10.0.0.254", port=8001
    )
    with stage.capture(host="router", interfaces=["client0", "server0"]):
        client = stage.python_client(FETCH_THREE.replace("ADDRESS", PROXY_ENDPOINT), "requests")
        time.sleep(stay_s)
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(proxy, "access log of the proxy")
    stage.learn_log("access log of the server behind the proxy", upstream.requests())
    return upstream


@scenario(
    "proxy-close",
    ran="a requests.Session that fetches three times through nginx `proxy_pass` as it comes; both legs captured",
    seen="one connection from the client, three to the server behind: HTTP/1.0 with `Connection: close`",
    topology=_with_proxy,
)
def proxy_close(stage: Stage) -> None:
    """The default that surprises: a keep-alive client, and a connection a request behind the proxy."""
    upstream = _fetch_through_proxy(stage, f"proxy_pass http://{UPSTREAM_ENDPOINT};", "", "", 0.2)
    assert {request.request_connection for request in upstream.requests()} == {"close"}
    headers = {"request": {"connection": {"exactly": {"close": 3}}}}
    stage.say("access log of the server behind the proxy", facts.endpoint(UPSTREAM_ENDPOINT), headers=headers)
    stage.say("proxy_http_version 1.0", facts.endpoint(UPSTREAM_ENDPOINT), protocols={"http/1.0": 3}, opened=3)


@scenario(
    "proxy-keepalive",
    ran="as proxy-close with `proxy_http_version 1.1` and `keepalive 4`; the server behind has `keepalive_timeout 2s`",
    seen="one connection on each leg; the server behind closes its own after 2 s idle",
    topology=_with_proxy,
)
def proxy_keepalive(stage: Stage) -> None:
    """What has to be set for reuse behind the proxy."""
    location = 'proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";'
    http = f"upstream behind {{ server {UPSTREAM_ENDPOINT}; keepalive 4; }}"
    upstream = _fetch_through_proxy(stage, location, http, "keepalive_timeout 2s;", 2.3)
    (client,) = {request.client for request in upstream.requests()}
    of = facts.connection(client, UPSTREAM_ENDPOINT)
    closed = {"by": "server", "how": "fin", "idle_ns": facts.about(2e9, 1e8)}
    stage.say("keepalive_timeout of the server behind the proxy", of, closed=closed, protocol="http/1.1")
    says = {"opened": 1, "requests": 3, "headers": {"request": {"connection": {"exactly": {}}}}}
    stage.say("access log of the server behind the proxy", facts.endpoint(UPSTREAM_ENDPOINT), **says)
