"""What networks do to connections that ends would have kept: firewalls that forget, forged resets, loss; and what ends
do to each other in numbers: races, restarts, CLOSE_WAIT, ports used up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from .. import facts
from ..conversation import get, request, wait_for_close
from ..network import SERVER, Network, over_wire, routed
from ..observed import ObservedSocket
from ..stage import Stage, scenario
from .failures import see_reset, send_in_vain

ENDPOINT = f"{SERVER}:8001"
#: The server's address behind the router.
BEYOND = "10.0.1.1"

#: The firewall keeps no connection that was idle for a second, and takes none up in its middle.
FORGETFUL = ("net.netfilter.nf_conntrack_tcp_timeout_established=1", "net.netfilter.nf_conntrack_tcp_loose=0")
FIREWALL = """table ip firewall {
  chain forward {
    type filter hook forward priority 0;
    ct state invalid VERDICT
  }
}
"""


def _firewalled(network: Network) -> None:
    """client eth0 — client0 router server0 — eth0 server; the router is a firewall with connection tracking."""
    routed(network)


def _firewall(stage: Stage, verdict: str) -> None:
    router = stage.network.hosts["router"]
    rules = FIREWALL.replace("VERDICT", verdict)
    path = stage.scratch / "firewall.nft"
    path.write_text(rules)
    router.run("nft", "-f", str(path))
    router.run("sysctl", "-qw", *FORGETFUL)
    stage.packages.add("nft")
    stage.configuration["firewall"] = rules + "\n".join(FORGETFUL)


def _open(stage: Stage, count: int, server: str = SERVER) -> list[ObservedSocket]:
    """Connections with one GET each, answered."""
    connections = [stage.client.connect(server, 8001) for _ in range(count)]
    for connection in connections:
        get(connection, "/a")
    return connections


def _connections_of(stage: Stage) -> Iterator[facts.Json]:
    for account in stage.own_accounts():
        yield facts.connection(account.local, account.remote)


#: A request that no proxy or client may send twice unasked (RFC 9110 section 9.2.2), and one that it may.
POST = request("POST", "/b", "Content-Length: 4", body=b"sell")
GET = request("GET", "/b")


@scenario(
    "firewall-drops",
    ran="four connections, left alone for 2 s; a firewall that forgets after 1 s and drops what it does not know",
    seen="after 2 s idle a request, sent again and again, that nobody acknowledges; a new connection works",
    topology=_firewalled,
    compress=True,
    programs=("nft",),
)
def firewall_drops(stage: Stage) -> None:
    """Neither end is told."""
    stage.nginx(address=BEYOND)
    _firewall(stage, "drop")
    with stage.capture():
        connections = _open(stage, 4, BEYOND)
        time.sleep(2)
        for connection in connections:
            connection.sendall(GET)
        time.sleep(3.3)
        _open(stage, 1, BEYOND)[0].close()
    for connection, of in zip(connections, _connections_of(stage), strict=False):
        exchanges = [{"complete": True}, {"response": None, "complete": False}]
        traffic = {"retransmitted_bytes": {"least": 3 * len(GET)}}
        stage.say("program and firewall", of, requests=2, exchanges=exchanges, closed=None, client_traffic=traffic)
        connection.close()
    stage.say("program", facts.endpoint(f"{BEYOND}:8001"), opened=5, requests=9, still_open=4)


@scenario(
    "firewall-resets",
    ran="the same with a firewall that rejects what it does not know (`reject with tcp reset`)",
    seen="after 2 s idle a request that is answered by RST; its time to live is not the server's",
    topology=_firewalled,
    compress=True,
    programs=("nft",),
)
def firewall_resets(stage: Stage) -> None:
    """The router's RST has one hop less behind it."""
    stage.nginx(address=BEYOND)
    _firewall(stage, "reject with tcp reset")
    with stage.capture():
        connections = _open(stage, 4, BEYOND)
        time.sleep(2)
        for connection in connections:
            send_in_vain(connection, GET)
            connection.close()
        _open(stage, 1, BEYOND)[0].close()
    accounts = stage.own_accounts()
    stage.learn_sockets(accounts)
    for of in list(_connections_of(stage))[:4]:
        stage.say("hops", of, server_traffic={"ttl": {"usual": 63, "rst": 64}})


def _forging_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire resets connections (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 2, "reset_at": 6})


@scenario(
    "reset-injected",
    ran="three GETs of 60 KB over a wire that sends RST to both ends behind the sixth segment of each response",
    seen="RST in the middle of a response, with a time to live that no other packet has",
    topology=_forging_wire,
    compress=True,
)
def reset_injected(stage: Stage) -> None:
    """Somebody on the way who does not want it."""
    nginx = stage.nginx()
    (nginx.folder / "files" / "big").write_bytes(bytes(60_000))
    with stage.capture():
        for _ in range(3):
            connection = stage.client.connect(SERVER, 8001)
            connection.sendall(request("GET", "/big"))
            _read_until_reset(connection)
            connection.close()
    stage.learn_sockets(stage.own_accounts(), transcripts=False)
    for of in _connections_of(stage):
        exchanges = [{"response": {"status": 200, "content_length": 60_000}, "complete": False}]
        traffic = {"ttl": {"usual": 64, "rst": 113}}
        stage.say("rules of the wire", of, exchanges=exchanges, server_traffic=traffic)


def _read_until_reset(connection: ObservedSocket) -> None:
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return
    raise AssertionError("the connection was not reset")


RESTARTED = """
import threading, time, requests

def fetch():
    with requests.Session() as session:
        for _ in range(20):
            try:
                session.get("http://10.0.0.1:8001/a")
            except requests.ConnectionError:
                pass
            time.sleep(0.15)

threads = [threading.Thread(target=fetch) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@scenario(
    "server-restart-traffic",
    ran="four requests.Sessions that fetch every 0.15 s; nginx is ended meanwhile, and started again 0.8 s later",
    seen="nginx closes four connections; new ones are refused until it is back; then one for each client again",
    compress=True,
)
def server_restart_traffic(stage: Stage) -> None:
    """A restart as it is usually done."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.start_python(RESTARTED)
        time.sleep(1.5)
        nginx.process.terminate()
        nginx.process.wait()
        time.sleep(0.8)
        nginx.start()
        ended = stage.finish_python(client, packages=("requests",))
    stage.learn_sockets(ended.accounts)


@scenario(
    "close-wait-three",
    ran="three connections of a client that does not look at them any more; nginx `keepalive_timeout 1s`",
    seen="three FINs of the server, acknowledged; the client's never come: three times CLOSE_WAIT for 3.5 s, until a "
    "further connection shows that the capture still ran",
)
def close_wait_three(stage: Stage) -> None:
    """A pool that forgets its connections."""
    stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        connections = _open(stage, 3)
        for connection in connections:
            wait_for_close(connection)
        time.sleep(3.5)
        _open(stage, 1)[0].close()
    stage.learn_sockets(stage.own_accounts())
    for connection, of in zip(connections, _connections_of(stage), strict=False):
        closed = {"by": "server", "how": "fin", "reply": None, "idle_ns": facts.about(1e9, 1e8)}
        stage.say("nginx keepalive_timeout", of, closed=closed)
        connection.close()


@scenario(
    "races-after",
    ran="four connections whose client sees the FIN and sends all the same, two GET and two POST; nginx with 1 s",
    seen="four requests after the server's FIN, answered by RST",
)
def races_after(stage: Stage) -> None:
    """Races that a look at the socket would have spared."""
    stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        connections = _open(stage, 4)
        for connection in connections:
            wait_for_close(connection)
        _lose(connections)
    _learn_races(stage, "after")


def _slow_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire takes 100 ms each way (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 100})


@scenario(
    "races-crossed",
    ran="100 ms each way; four requests, two GET and two POST, 0.95 s after the last response; nginx with 1 s",
    seen="requests and FINs that cross on the way; all four are answered by RST",
    topology=_slow_wire,
)
def races_crossed(stage: Stage) -> None:
    """Races that no client can see coming."""
    stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        connections = [stage.client.connect(SERVER, 8001) for _ in range(4)]
        for connection in connections:
            connection.sendall(GET)
        for connection in connections:
            assert connection.recv(65536)
        time.sleep(0.95)
        _lose(connections)
        time.sleep(0.3)
    _learn_races(stage, "crossed")


def _lose(connections: Sequence[ObservedSocket]) -> None:
    """Send GET and POST in turn, in vain."""
    for number, connection in enumerate(connections):
        connection.sendall(POST if number % 2 else GET)
    for connection in connections:
        see_reset(connection)
        connection.close()


def _learn_races(stage: Stage, kind: str) -> None:
    accounts = stage.own_accounts()
    assert {account.sent_after_fin for account in accounts} == {1 if kind == "after" else 0}
    stage.learn_sockets(accounts)
    for number, of in enumerate(_connections_of(stage)):
        method = "POST" if number % 2 else "GET"
        lost = {"race": kind, "request": {"method": method}, "response": None, "complete": False}
        stage.say("client's TCP_INFO", of, exchanges=[{"race": None, "complete": True}, lost])


def _lossy_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire loses both ways (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 10, "drop": [3, 20, 21, 50], "drop_asked": [4, 11, 12], "hold_ms": {"30": 40}})


FETCH_TWENTY = """
import time, requests

with requests.Session() as session:
    for number in range(20):
        session.get("http://10.0.0.1:8001/page")
        time.sleep(0.1)
"""


@scenario(
    "lossy-session",
    ran="a requests.Session with twenty GETs of 4 KB over a wire that loses three requests, four segments of responses",
    seen="retransmissions both ways; one connection, every response whole",
    topology=_lossy_wire,
    compress=True,
)
def lossy_session(stage: Stage) -> None:
    """A bad network, and nothing else that is wrong."""
    nginx = stage.nginx()
    (nginx.folder / "files" / "page").write_bytes(bytes(4000))
    with stage.capture():
        client = stage.python_client(FETCH_TWENTY, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("rules of the wire", of, client_traffic={"retransmitted_bytes": {"least": 300}})


CHURN = """
import socket, threading, time

def fetch(thread):
    start = time.monotonic()
    for number in range(300):
        with socket.create_connection(("10.0.0.1", 8001)) as connection:
            connection.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
            connection.recv(4096)
        time.sleep(max(0, start + number / 150 - time.monotonic()))

threads = [threading.Thread(target=fetch, args=(thread,)) for thread in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@scenario(
    "port-churn",
    ran="1,200 connections in two seconds, one GET each, closed by the client; nginx",
    seen="600 connections a second, each of which leaves the client TIME_WAIT for a minute",
    compress=True,
)
def port_churn(stage: Stage) -> None:
    """At this rate 28,232 ports last for 47 seconds. TCP without timestamps: the packets compress better."""
    stage.client.run("sysctl", "-qw", "net.ipv4.tcp_timestamps=0")
    nginx = stage.nginx("server_tokens off; return 200 hello;")
    stage.configuration["client.py"] = CHURN.lstrip()
    stage.packages.add("python")
    with stage.capture():
        stage.client.run(sys.executable, "-c", CHURN)
    requests = nginx.requests()
    span_ns = requests[-1].time_ns - requests[0].time_ns
    assert 1.8e9 < span_ns < 2.4e9, span_ns
    says = {"opened": 1200, "requests": 1200, "closed": {"client_fin": 1200, "server_fin": 0}}
    stage.say("program and nginx access log", facts.endpoint(ENDPOINT), **says)
