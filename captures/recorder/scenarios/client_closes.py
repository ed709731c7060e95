"""Clients and their pools: who reuses, who closes, who forgets to."""

from __future__ import annotations

import socket
import struct
import time

from .. import facts
from ..conversation import get, read_to_end, request, wait_for_close
from ..network import SERVER
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"

GET_LOOP = """
import requests

for _ in range(20):
    requests.get("http://shop.test:8001/a")
"""

ONE_SESSION = """
import requests

with requests.Session() as session:
    for _ in range(20):
        session.get("http://shop.test:8001/a")
"""

ASK_TO_CLOSE = """
import requests

for _ in range(3):
    requests.get("http://shop.test:8001/a", headers={"Connection": "close"})
"""

IDLE_SESSION = """
import requests, time

with requests.Session() as session:
    session.get("http://shop.test:8001/a")
    time.sleep(3.5)
    session.get("http://shop.test:8001/b")
"""

HTTPX = """
import httpx

with httpx.Client() as client:
    for name in "abca":
        client.get(f"http://shop.test:8001/{name}")
"""

AIOHTTP = """
import asyncio, aiohttp

async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
        async def fetch():
            async with session.get("http://shop.test:8001/a") as response:
                await response.read()
        await asyncio.gather(*(fetch() for _ in range(6)))

asyncio.run(main())
"""

POOL_OF_ONE = """
import threading, urllib3

pool = urllib3.PoolManager(maxsize=1, block=False)
fetches = [threading.Thread(target=pool.request, args=("GET", "http://shop.test:8001/a")) for _ in range(3)]
for fetch in fetches:
    fetch.start()
for fetch in fetches:
    fetch.join()
pool.request("GET", "http://shop.test:8001/a")
pool.clear()
"""

FETCH = """
async function main() {
  for (let n = 0; n < 3; n++) await (await fetch('http://shop.test:8001/a')).text()
  await new Promise(done => setTimeout(done, 6000))
}
main()
"""


def _python_against_nginx(stage: Stage, code: str, library: str, server: str = "") -> list[str]:
    """Record a Python client against nginx; returns the client's addresses."""
    nginx = stage.nginx(server)
    with stage.capture():
        client = stage.python_client(code, library)
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    return [account.local for account in client.accounts]


@scenario(
    "requests-get-loop",
    ran="requests.get twenty times, against nginx with its defaults",
    seen="twenty connections of one request, each closed by the client though both sides said keep-alive",
)
def requests_get_loop(stage: Stage) -> None:
    """The classic: a new connection for each request."""
    clients = _python_against_nginx(stage, GET_LOOP, "requests")
    assert len(clients) == 20
    stage.say("program", facts.endpoint(ENDPOINT), max_open_at_once=1, closed={"client_fin": 20})


@scenario(
    "requests-session",
    ran="a requests.Session that fetches twenty times, against nginx with its defaults",
    seen="one connection of twenty requests, closed by the client",
)
def requests_session(stage: Stage) -> None:
    """The same requests, reused."""
    clients = _python_against_nginx(stage, ONE_SESSION, "requests")
    assert len(clients) == 1


@scenario(
    "client-asks-close",
    ran="requests.get with `Connection: close`, three times, against nginx with its defaults",
    seen="the server closes first, but because the client asked: the decision was the client's",
)
def client_asks_close(stage: Stage) -> None:
    """Who closes is not who decides."""
    for client in _python_against_nginx(stage, ASK_TO_CLOSE, "requests"):
        announced = {"by": "client", "how": "connection-close"}
        stage.say("program", facts.connection(client, ENDPOINT), closed={"announced": announced})
    stage.say("program", facts.endpoint(ENDPOINT), decided={"client": 3, "server": 0})


@scenario(
    "requests-session-idle",
    ran="a requests.Session that fetches, waits 3.5 s and fetches again; nginx `keepalive_timeout 3s`",
    seen="the server's FIN stays unanswered for half a second: the pool notices at its next use, and opens anew",
)
def requests_session_idle(stage: Stage) -> None:
    """A lazy pool."""
    first, second = _python_against_nginx(stage, IDLE_SESSION, "requests", "keepalive_timeout 3s;")
    closed = {"by": "server", "idle_ns": facts.about(3e9, 1e8), "half_closed_ns": facts.about(5e8, 1.5e8)}
    stage.say("nginx keepalive_timeout and program", facts.connection(first, ENDPOINT), closed=closed)
    stage.say("program", facts.connection(second, ENDPOINT), closed={"by": "client"})


@scenario("httpx-client", ran="an httpx.Client that fetches four times", seen="one connection, closed by the client")
def httpx_client(stage: Stage) -> None:
    """httpx pools by itself."""
    clients = _python_against_nginx(stage, HTTPX, "httpx")
    assert len(clients) == 1


@scenario(
    "aiohttp-session",
    ran="an aiohttp.ClientSession with limit=2 that fetches six times at once",
    seen="two connections side by side, each with several requests, closed by the client; no Connection header",
)
def aiohttp_session(stage: Stage) -> None:
    """A bounded pool of an asynchronous client."""
    clients = _python_against_nginx(stage, AIOHTTP, "aiohttp")
    assert len(clients) == 2
    stage.say("aiohttp limit=2", facts.endpoint(ENDPOINT), max_open_at_once=2, requests=6)


@scenario(
    "urllib3-pool",
    ran="a urllib3.PoolManager(maxsize=1) used by three threads at once, then once more; Node answers after 0.3 s",
    seen="three connections; two are dropped right after their response, the third serves the last request too",
)
def urllib3_pool(stage: Stage) -> None:
    """A pool that overflows."""
    node = stage.node("setTimeout(() => response.end('hello\\n'), 300)")
    with stage.capture():
        client = stage.python_client(POOL_OF_ONE, "urllib3")
    assert len(client.accounts) == 3
    stage.learn_sockets(client.accounts)
    stage.learn_log("Node program", node.requests())
    stage.say("program", facts.endpoint(ENDPOINT), max_open_at_once=3, requests=4, closed={"client_fin": 3})


@scenario(
    "node-fetch",
    ran="Node's fetch three times, then 6 s of nothing; nginx with its defaults",
    seen="two connections, the second opened before the first is free again; the client closes each after 4 s idle",
)
def node_fetch(stage: Stage) -> None:
    """A client whose pool has a timer."""
    nginx = stage.nginx()
    stage.packages.add("node")
    stage.configuration["client.js"] = FETCH.strip()
    with stage.capture():
        stage.client.run("node", "-e", FETCH)
    stage.learn_nginx(nginx)
    closed = {"by": "client", "how": "fin", "idle_ns": facts.about(4e9, 1.1e9), "announced": None}
    for client in sorted({logged.client for logged in nginx.requests()}):
        stage.say("undici keepAliveTimeout", facts.connection(client, ENDPOINT), closed=closed)


@scenario(
    "curl-urls",
    ran="curl with three URLs of one server",
    seen="one connection, three requests without Connection header, closed by the client",
)
def curl_urls(stage: Stage) -> None:
    """curl reuses within one run."""
    nginx = stage.nginx()
    with stage.capture():
        clients = stage.curl(*(f"http://shop.test:8001/{name}" for name in "abc"))
    stage.learn_nginx(nginx)
    assert len(clients) == 3
    assert len(set(clients)) == 1
    stage.say("curl -w", facts.connection(clients[0], ENDPOINT), requests=3, closed={"by": "client", "how": "fin"})


@scenario(
    "ab-keepalive",
    ran="`ab -k -n 10 -c 2`: HTTP/1.0 requests with `Connection: keep-alive`",
    seen="HTTP/1.0 that persists, because both sides say so",
)
def ab_keepalive(stage: Stage) -> None:
    """Persistence by header instead of version."""
    nginx = stage.nginx()
    stage.packages.add("ab")
    stage.configuration["ab"] = "ab -k -n 10 -c 2 http://shop.test:8001/a"
    with stage.capture():
        output = stage.client.run("ab", "-k", "-n", "10", "-c", "2", "http://shop.test:8001/a")
    assert "Keep-Alive requests:    10" in output
    stage.learn_nginx(nginx)
    headers = {
        "request": {"connection": {"exactly": {"Keep-Alive": 10}}},
        "response": {"connection": {"exactly": {"keep-alive": 10}}},
    }
    stage.say("ab: Keep-Alive requests: 10", facts.endpoint(ENDPOINT), headers=headers, protocols={"http/1.0": 2})


@scenario(
    "close-wait",
    ran="a client that never closes after the server's FIN; nginx `keepalive_timeout 1s`",
    seen="the server's FIN is acknowledged, the client's never comes: CLOSE_WAIT, still so when the capture ends",
)
def close_wait(stage: Stage) -> None:
    """A leak, as applications have it that forget to read the end."""
    nginx = stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        connections = [stage.client.connect(SERVER, 8001) for _ in range(3)]
        for connection in connections:
            get(connection, "/a")
        ends = [wait_for_close(connection) for connection in connections]
        time.sleep(2)
    for connection in connections:
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    for account, end_ns in zip(stage.own_accounts(), ends, strict=True):
        # The capture ends with its last packet, which may be a FIN: at least nothing answered before that.
        closed = {"by": "server", "idle_ns": facts.about(1e9, 1e8), "reply": None, "reply_packet": None}
        closed["time_ns"] = facts.about(end_ns)
        stage.say("client", facts.connection(account.local, account.remote), closed=closed)


@scenario(
    "keepalive-probes",
    ran="a client with TCP keep-alive every second, on a connection that nginx closes after 4 s idle",
    seen="keep-alive probes and their answers, which are no data, do not end idleness and are no retransmissions",
)
def keepalive_probes(stage: Stage) -> None:
    """TCP's keep-alive has nothing to do with HTTP's."""
    nginx = stage.nginx("keepalive_timeout 4s;")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        get(connection, "/a")
        wait_for_close(connection)
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    (account,) = stage.own_accounts()
    of = facts.connection(account.local, account.remote)
    stage.say("nginx keepalive_timeout", of, closed={"by": "server", "idle_ns": facts.about(4e9, 1e8)})
    stage.say("client's TCP_KEEPIDLE and TCP_KEEPINTVL", of, client_traffic={"keepalives": {"least": 2}})


@scenario(
    "slow-reader",
    ran="a client with a receive buffer of 4 KiB that reads nothing of a response of 200 KB for 1.5 s",
    seen="a zero window and its probes, then the rest of the response",
    compress=True,
)
def slow_reader(stage: Stage) -> None:
    """Flow control at its limit."""
    nginx = stage.nginx("keepalive_timeout 0;")
    (nginx.folder / "files" / "a").write_bytes(bytes(200_000))
    with stage.capture():
        connection = stage.client.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((SERVER, 8001))
        connection.sendall(request("GET", "/a"))
        time.sleep(1.5)
        read_to_end(connection)
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    (account,) = stage.own_accounts()
    of = facts.connection(account.local, account.remote)
    stage.say("client that did not read", of, client_traffic={"zero_windows": {"least": 1}})


@scenario(
    "half-close",
    ran="a client that sends its request, shuts down its sending side and reads the response; the server takes 0.5 s",
    seen="the client's FIN comes before the response, which is complete nevertheless; the server closes second",
)
def half_close(stage: Stage) -> None:
    """Half-closed is not closed."""
    code = (
        "import http.server, time\n"
        "class Slow(http.server.BaseHTTPRequestHandler):\n"
        "    protocol_version = 'HTTP/1.1'\n"
        "    def do_GET(self):\n"
        "        time.sleep(0.5)\n"
        "        self.send_response(200)\n"
        "        self.send_header('Content-Length', '6')\n"
        "        self.end_headers()\n"
        "        self.wfile.write(b'hello\\n')\n"
        f"http.server.ThreadingHTTPServer(('{SERVER}', 8001), Slow).serve_forever()\n"
    )
    stage.python_server(["-c", code], code)
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        connection.sendall(request("GET", "/slow"))
        connection.shutdown(socket.SHUT_WR)
        read_to_end(connection)
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    (account,) = stage.own_accounts()
    closed = {"by": "client", "how": "fin", "reply": "fin", "half_closed_ns": facts.about(5e8, 1e8)}
    of = facts.connection(account.local, account.remote)
    stage.say("client and server program", of, closed=closed, exchanges=[{"complete": True}])


@scenario(
    "port-reuse",
    ran="a client that aborts (RST) and connects again from the same port",
    seen="two connections with the same addresses and ports: the first reset by the client, the second closed by FIN",
)
def port_reuse(stage: Stage) -> None:
    """The same 4-tuple twice."""
    stage.nginx()
    with stage.capture():
        first = stage.client.connect(SERVER, 8001, from_port=40001)
        get(first, "/a")
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.close()
        time.sleep(0.5)
        second = stage.client.connect(SERVER, 8001, from_port=40001)
        get(second, "/b")
        second.close()
    stage.learn_sockets(stage.own_accounts())
