"""What goes wrong: refused, unanswered, raced, reset."""

from __future__ import annotations

import contextlib
import time

from .. import facts
from ..conversation import get, request, wait_for_close
from ..network import SERVER, Network, bridged, over_wire
from ..observed import ObservedSocket
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"


def _fetch_in_vain(connection: ObservedSocket, target: str) -> None:
    """Send a GET that gets no answer, and see the connection reset."""
    send_in_vain(connection, request("GET", target))


def send_in_vain(connection: ObservedSocket, message: bytes) -> None:
    """Send a request that gets no answer, and see the connection reset."""
    try:
        connection.sendall(message)
    except ConnectionResetError:
        return
    see_reset(connection)


def see_reset(connection: ObservedSocket) -> None:
    """Wait for the connection to be reset."""
    try:
        answer = connection.recv(1)
    except ConnectionResetError:
        return
    # What the server sent before its RST may be its end.
    assert answer == b"", "the request was answered"


def _own_connection(stage: Stage) -> facts.Json:
    (account,) = stage.own_accounts()
    return facts.connection(account.local, account.remote)


@scenario("refused", ran="connect to a port on which nothing listens, twice", seen="SYN, answered by RST: a refusal")
def refused(stage: Stage) -> None:
    """Nobody at home."""
    with stage.capture():
        for _ in range(2):
            with contextlib.suppress(ConnectionRefusedError):
                stage.client.connect(SERVER, 8001)
    stage.learn_sockets(stage.own_accounts())
    stage.say("program", facts.endpoint(ENDPOINT), refused=2, requests=0)


@scenario(
    "unanswered",
    ran="connect to an address that nobody has, with a timeout of 3.5 s",
    seen="SYN, sent again and again, never answered",
)
def unanswered(stage: Stage) -> None:
    """A black hole: the neighbour table says who has the address, but nobody has."""
    stage.client.ip("neighbour", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "permanent")
    with stage.capture(), contextlib.suppress(TimeoutError):
        stage.client.connect("10.0.0.9", 8001, timeout=3.5)
    stage.learn_sockets(stage.own_accounts())
    stage.say("program", facts.endpoint("10.0.0.9:8001"), unanswered=1, opened=0, requests=0)


@scenario(
    "race-after",
    ran="a client that waits for the server's FIN and then sends a request all the same; nginx `keepalive_timeout 1s`",
    seen="a request after the server's FIN, answered by RST: it is lost",
)
def race_after(stage: Stage) -> None:
    """The keep-alive race, lost after the FIN was there."""
    stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/a")
        wait_for_close(connection)
        _fetch_in_vain(connection, "/b")
        connection.close()
    (account,) = stage.own_accounts()
    assert account.sent_after_fin == 1
    stage.learn_sockets([account])
    exchanges = [{"race": None, "complete": True}, {"race": "after", "response": None, "complete": False}]
    closed = {"by": "server", "how": "fin", "idle_ns": facts.about(1e9, 1e8)}
    stage.say("client's TCP_INFO: CLOSE_WAIT before the write", _own_connection(stage), exchanges=exchanges)
    stage.say("nginx keepalive_timeout", _own_connection(stage), closed=closed)


def _slow_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire takes 200 ms each way (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 200})


@scenario(
    "race-crossed",
    ran="200 ms each way; a request 1.9 s after the response was read; nginx `keepalive_timeout 2s`",
    seen="request and FIN cross on the way: the request leaves before the FIN arrives, and is answered by RST",
    topology=_slow_wire,
)
def race_crossed(stage: Stage) -> None:
    """The race lost on the way: the server closed 2 s after it sent the response, which took 0.2 s to be read."""
    stage.nginx("keepalive_timeout 2s;")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/a")
        time.sleep(1.9)
        _fetch_in_vain(connection, "/b")
        time.sleep(0.5)
        connection.close()
    (account,) = stage.own_accounts()
    assert account.sent_after_fin == 0
    stage.learn_sockets([account])
    # The kernel knew of no FIN when the request was written, and nginx has logged one request only.
    exchanges = [{"race": None, "complete": True}, {"race": "crossed", "response": None, "complete": False}]
    stage.say("client's TCP_INFO: ESTABLISHED before the write", _own_connection(stage), exchanges=exchanges)
    handshake = {"handshake_ns": facts.about(4e8, 5e7)}
    stage.say("delay of the wire", _own_connection(stage), opened=handshake)


@scenario(
    "server-reset",
    ran="a request that nginx answers with RST (`return 444`, `reset_timedout_connection on`)",
    seen="a second request, acknowledged and then reset by the server without an answer",
)
def server_reset(stage: Stage) -> None:
    """A server that hangs up."""
    stage.nginx("reset_timedout_connection on; location = /drop { return 444; }")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/a")
        _fetch_in_vain(connection, "/drop")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    exchanges = [{"complete": True}, {"request": {"target": "/drop"}, "response": None, "complete": False}]
    closed = {"by": "server", "how": "rst", "reply": None}
    stage.say("client and nginx return 444", _own_connection(stage), exchanges=exchanges, closed=closed)


@scenario(
    "server-restart",
    ran="a server host that loses power and comes back between two requests of one connection",
    seen="the second request meets a server that knows nothing of the connection: RST",
    topology=bridged,
)
def server_restart(stage: Stage) -> None:
    """The first server's link is cut before its processes end, so that no FIN gets out."""
    stage.nginx(name="nginx")
    hardware = stage.server.ip("-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/a")
        stage.network.hosts["bridge"].ip("link", "delete", "server0")
        _restart_host(stage, hardware)
        stage.nginx(host="server-again", name="nginx after the restart")
        _fetch_in_vain(connection, "/b")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    exchanges = [{"complete": True}, {"response": None, "complete": False}]
    stage.say("program", _own_connection(stage), exchanges=exchanges, closed={"by": "server", "how": "rst"})


def _restart_host(stage: Stage, hardware: str) -> None:
    """Another host with the address and the hardware address of the first."""
    bridge, again = stage.network.hosts["bridge"], stage.network.host("server-again")
    stage.network.link(again, "eth0", bridge, "server0")
    again.ip("link", "set", "eth0", "address", hardware)
    again.ip("address", "add", f"{SERVER}/24", "dev", "eth0")
    bridge.ip("link", "set", "server0", "master", "br0")


@scenario(
    "close-crossed",
    ran="200 ms each way; the client closes 1.9 s after the response was read; nginx `keepalive_timeout 2s`",
    seen="two FINs that cross on the way: a simultaneous close, the client's first in this capture",
    topology=_slow_wire,
)
def close_crossed(stage: Stage) -> None:
    """Both sides close before they know of the other."""
    nginx = stage.nginx("keepalive_timeout 2s;")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/a")
        time.sleep(1.9)
        connection.close()
        time.sleep(0.8)
    assert nginx.closed_by_client() == {}
    stage.learn_sockets(stage.own_accounts())
    stage.learn_log("nginx access log", nginx.requests())
    closed = {"by": "client", "how": "fin", "simultaneous": True, "reply": "fin"}
    stage.say("client's TCP_INFO, and nginx error log", _own_connection(stage), closed=closed)
