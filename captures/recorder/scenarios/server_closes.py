"""Servers that close first: after idle, after so many requests, after each response."""

from __future__ import annotations

from .. import facts
from ..conversation import get, read_to_end, request, wait_for_close
from ..network import SERVER
from ..observed import Account
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"

SIX_SESSIONS = """
import threading, time, requests

def visit():
    with requests.Session() as session:
        for _ in range(3):
            session.get("http://shop.test:8001/a")
        time.sleep(7.2)

visitors = [threading.Thread(target=visit) for _ in range(6)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.25)
for visitor in visitors:
    visitor.join()
"""

SESSION = """
import requests

with requests.Session() as session:
    for _ in range(COUNT):
        session.get("http://shop.test:8001/a")
"""


def say_idle(stage: Stage, source: str, accounts: list[Account], idle_ns: float) -> None:
    """That the server closed each of these connections after this idle time: what its timer was set to."""
    for account in accounts:
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(idle_ns, 1e8), "announced": None}
        stage.say(source, facts.connection(account.local, account.remote), closed=closed)
    idle = {"n": len(accounts), "median_ns": facts.about(idle_ns, 1e8)}
    stage.say(source, facts.endpoint(accounts[0].remote), idle_before_close={"server": idle})


@scenario(
    "nginx-idle",
    ran="six requests.Session that fetch three times and then do nothing for 7.2 s; nginx `keepalive_timeout 7s 7s`",
    seen="nginx closes each connection 7 s after its last response; the client answers when it closes its session",
)
def nginx_idle(stage: Stage) -> None:
    """The recording of `make demo`."""
    nginx = stage.nginx("keepalive_timeout 7s 7s;")
    with stage.capture():
        client = stage.python_client(SIX_SESSIONS, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    say_idle(stage, "nginx keepalive_timeout", client.accounts, 7e9)
    stage.say("program", facts.endpoint(ENDPOINT), name="shop.test", protocols={"http/1.1": 6})


@scenario(
    "nginx-requests",
    ran="a requests.Session that fetches 60 times from nginx `keepalive_requests 25`",
    seen="nginx says `Connection: close` on every 25th response and closes: connections of 25, 25 and 10 requests",
)
def nginx_requests(stage: Stage) -> None:
    """A limit on requests a connection."""
    nginx = stage.nginx("keepalive_requests 25;")
    with stage.capture():
        client = stage.python_client(SESSION.replace("COUNT", "60"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    for account in client.accounts[:2]:
        of = facts.connection(account.local, account.remote)
        announced = {"by": "server", "how": "connection-close"}
        stage.say("nginx keepalive_requests", of, requests=25, closed={"announced": announced})


@scenario(
    "nginx-close",
    ran="a requests.Session that fetches five times from nginx `keepalive_timeout 0`",
    seen="every response says `Connection: close`, so there are five connections",
)
def nginx_close(stage: Stage) -> None:
    """A server that never keeps a connection."""
    nginx = stage.nginx("keepalive_timeout 0;")
    with stage.capture():
        client = stage.python_client(SESSION.replace("COUNT", "5"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        stage.say("nginx keepalive_timeout 0", of, closed={"announced": {"by": "server", "how": "connection-close"}})
    stage.say("nginx keepalive_timeout 0", facts.endpoint(ENDPOINT), decided={"server": 5, "client": 0})


@scenario(
    "apache-idle",
    ran="two connections, one with two requests, left alone; Apache `KeepAliveTimeout 5`, `MaxKeepAliveRequests 100`",
    seen="Apache says `Keep-Alive: timeout=5, max=100`, then `max=99`, and closes after 5 s",
)
def apache_idle(stage: Stage) -> None:
    """Apache's defaults."""
    apache = stage.apache("KeepAlive On\nKeepAliveTimeout 5\nMaxKeepAliveRequests 100")
    with stage.capture():
        one, two = stage.client.connect(SERVER, 8001), stage.client.connect(SERVER, 8001)
        get(one, "/a")
        get(one, "/a", "Connection: keep-alive")
        get(two, "/a")
        for connection in (one, two):
            wait_for_close(connection)
            connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_log("Apache access log", apache.requests())
    say_idle(stage, "Apache KeepAliveTimeout", stage.own_accounts(), 5e9)


@scenario(
    "node-idle",
    ran="two connections, one with two requests, left alone; Node's http server as it comes",
    seen="Node says `Keep-Alive: timeout=5`; when it closes is the version's affair (5 s, newer ones 6 s)",
)
def node_idle(stage: Stage) -> None:
    """Node's keepAliveTimeout, which newer versions exceed by a second of grace."""
    node = stage.node("response.end('hello\\n')")
    with stage.capture():
        one, two = stage.client.connect(SERVER, 8001), stage.client.connect(SERVER, 8001)
        get(one, "/a")
        get(one, "/a")
        get(two, "/a")
        ends = {}
        for connection in (one, two):
            assert connection.account is not None
            ends[connection.account.local] = wait_for_close(connection) - (connection.account.last_data_ns or 0)
            connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_log("Node program", node.requests())
    for client, idle_ns in ends.items():
        of = facts.connection(client, ENDPOINT)
        stage.say("client's clock", of, closed={"idle_ns": facts.about(idle_ns), "announced": None})


@scenario(
    "http10-server",
    ran="a requests.Session that fetches three times from `python -m http.server`",
    seen="HTTP/1.0 responses: the server closes after each, although the client asked for keep-alive",
)
def http10_server(stage: Stage) -> None:
    """A server of HTTP/1.0, whose connections end with the response."""
    command = ["-m", "http.server", "--bind", SERVER, "8001"]
    stage.python_server(command, f"python {' '.join(command)}")
    with stage.capture():
        client = stage.python_client(SESSION.replace("COUNT", "3"), "requests")
    stage.learn_sockets(client.accounts)
    stage.say("http.server protocol_version", facts.endpoint(ENDPOINT), protocols={"http/1.0": 3}, requests=3)
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        stage.say("http.server protocol_version", of, protocol="http/1.0", closed={"announced": {"how": "http/1.0"}})


@scenario(
    "close-delimited",
    ran="an HTTP/1.0 request, answered by Node with a body that it writes in pieces",
    seen="no length, no chunks: the body ends at the server's FIN; the client announced the close by its version",
)
def close_delimited(stage: Stage) -> None:
    """Node would have chunked the body for a client of HTTP/1.1."""
    node = stage.node("response.write('hel'); setTimeout(() => response.end('lo\\n'), 200)")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        connection.sendall(request("GET", "/a", version="HTTP/1.0"))
        read_to_end(connection)
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_log("Node program", node.requests())
    (account,) = stage.own_accounts()
    response = {"content_length": None, "transfer_encoding": None, "body_bytes": 6, "persistent": False}
    of = facts.connection(account.local, account.remote)
    closed = {"by": "server", "how": "fin", "announced": {"by": "client", "how": "http/1.0"}}
    stage.say("client", of, protocol="http/1.0", closed=closed, exchanges=[{"response": response, "complete": True}])
