"""Pools under threads: too small, large enough, shared and not, by name, and idle for too long."""

from __future__ import annotations

from collections.abc import Sequence

from .. import facts
from ..network import SERVER, Network, over_wire
from ..observed import Account
from ..servers import Node
from ..stage import Program, Stage, scenario
from .http2_servers import nginx_h2

ENDPOINT = f"{SERVER}:8001"

#: Eight threads with five requests each, begun together, and with other things to do after each.
EIGHT_THREADS = """
import threading, time
SETUP
URL = "http://shop.test:8001/a"

def work():
    ready.wait()
    for _ in range(5):
        FETCH
        time.sleep(0.02)

ready = threading.Barrier(8)
workers = [threading.Thread(target=work) for _ in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
END
"""

TWO_NAMES = """
import requests

with requests.Session() as session:
    for _ in range(6):
        session.get("http://shop.test:8001/a")
        session.get("http://www.shop.test:8001/a")
"""

NEARLY_TOO_LONG = """
import threading, time, requests

def visit():
    with requests.Session() as session:
        for pause in (2.8, 2.8, 3.3):
            session.get("http://shop.test:8001/a")
            time.sleep(pause)

visitors = [threading.Thread(target=visit) for _ in range(3)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.2)
for visitor in visitors:
    visitor.join()
"""

#: The third request leaves 50 ms before the server's FIN comes in.
TOO_LONG = """
import threading, time, requests

def visit():
    with requests.Session() as session:
        for pause in (1, 2.95):
            session.get("http://shop.test:8001/a")
            time.sleep(pause)
        try:
            session.get("http://shop.test:8001/a")
        except requests.ConnectionError as error:
            print("lost")

visitors = [threading.Thread(target=visit) for _ in range(3)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.3)
for visitor in visitors:
    visitor.join()
"""

LAZY = """
import threading, time, httpx

def visit(pause):
    with httpx.Client() as client:
        for _ in range(3):
            client.get("http://shop.test:8001/a")
        time.sleep(pause)
        for _ in range(3):
            client.get("http://shop.test:8001/a")

visitors = [threading.Thread(target=visit, args=(pause,)) for pause in (5.4, 6.2, 7)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.2)
for visitor in visitors:
    visitor.join()
"""

POLLS = """
import time, requests

with requests.Session() as session:
    for _ in range(6):
        session.get("http://shop.test:8001/a")
        time.sleep(1.6)
"""

GET_POLLS = """
import time, requests

for _ in range(8):
    requests.get("http://shop.test:8001/a")
    time.sleep(0.7)
"""

HTTPX_MULTIPLEX = """
import asyncio, ssl, httpx

async def main():
    context = ssl.create_default_context(cafile="shop.test.pem")
    async with httpx.AsyncClient(http2=True, verify=context) as client:
        # One connection for all: a pool that has none yet opens one for each request that comes at once.
        await client.get("https://shop.test:8443/a")
        await asyncio.gather(*(client.get("https://shop.test:8443/a") for _ in range(20)))

asyncio.run(main())
"""


def _eight_threads(stage: Stage, library: str, setup: str, fetch: str, end: str = "") -> list[Account]:
    """Record forty requests of eight threads, which do `fetch`, against Node, which takes 30 ms for each."""
    node = stage.node("setTimeout(() => response.end('hello\\n'), 30)")
    code = EIGHT_THREADS.replace("SETUP", setup).replace("FETCH", fetch).replace("END", end)
    with stage.capture():
        client = stage.python_client(code.rstrip() + "\n", library)
    _learn_node(stage, node, client)
    stage.say("program", facts.endpoint(ENDPOINT), requests=40, opened=len(client.accounts))
    return client.accounts


def _learn_node(stage: Stage, node: Node, client: Program) -> None:
    stage.learn_sockets(client.accounts)
    stage.learn_log("Node program", node.requests())


@scenario(
    "urllib3-pool-threads",
    ran="a urllib3.PoolManager(maxsize=2) with forty requests of eight threads; Node answers after 30 ms",
    seen="two connections are kept, the others closed by the client after one request each",
    compress=True,
)
def urllib3_pool_threads(stage: Stage) -> None:
    """A pool too small for its threads: it opens what it needs, and throws away what it cannot keep."""
    setup = "import urllib3\n\npool = urllib3.PoolManager(maxsize=2)"
    accounts = _eight_threads(stage, "urllib3", setup, 'pool.request("GET", URL)', "pool.clear()")
    assert len(accounts) > 16
    stage.say("program", facts.endpoint(ENDPOINT), max_open_at_once=_most_open(accounts))


def _most_open(accounts: Sequence[Account]) -> facts.Json:
    """Eight threads cannot have more than eight connections at work; two more may just be closing."""
    assert all(account.closes for account in accounts)
    return {"about": 8, "within": 2}


@scenario(
    "urllib3-pool-block",
    ran="as urllib3-pool-threads, with `block=True`",
    seen="two connections for forty requests: the threads wait for one another",
    compress=True,
)
def urllib3_pool_block(stage: Stage) -> None:
    """A limit that holds."""
    setup = "import urllib3\n\npool = urllib3.PoolManager(maxsize=2, block=True)"
    accounts = _eight_threads(stage, "urllib3", setup, 'pool.request("GET", URL)', "pool.clear()")
    assert len(accounts) == 2


@scenario(
    "httpx-pool-threads",
    ran="an httpx.Client(limits=Limits(max_keepalive_connections=2)), forty requests of eight threads; Node",
    seen="two connections are kept, the others closed by the client after one request or a few",
    compress=True,
)
def httpx_pool_threads(stage: Stage) -> None:
    """The same of httpx, which keeps what another thread waits for."""
    setup = "import httpx\n\nclient = httpx.Client(limits=httpx.Limits(max_keepalive_connections=2))"
    _eight_threads(stage, "httpx", setup, "client.get(URL)", "client.close()")


@scenario(
    "requests-session-threads",
    ran="one requests.Session for eight threads with forty requests; Node answers after 30 ms",
    seen="eight connections of five requests",
    compress=True,
)
def requests_session_threads(stage: Stage) -> None:
    """A pool large enough."""
    setup = "import requests\n\nsession = requests.Session()"
    accounts = _eight_threads(stage, "requests", setup, "session.get(URL)", "session.close()")
    assert len(accounts) <= 8


@scenario(
    "requests-get-threads",
    ran="requests.get in eight threads, forty times in all; Node answers after 30 ms",
    seen="forty connections of one request, eight at once, each closed by the client",
    compress=True,
)
def requests_get_threads(stage: Stage) -> None:
    """No pool at all, under threads."""
    accounts = _eight_threads(stage, "requests", "import requests", "requests.get(URL)")
    assert len(accounts) == 40


@scenario(
    "two-names",
    ran="a requests.Session that fetches six times each from two names of one address; nginx",
    seen="two connections side by side, one a name: pools know names, not addresses",
)
def two_names(stage: Stage) -> None:
    """Two pools, rightly."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.python_client(TWO_NAMES, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    for account, name in zip(client.accounts, ("shop.test", "www.shop.test"), strict=True):
        stage.say("program", facts.connection(account.local, account.remote), name=name, requests=6)


@scenario(
    "pool-nearly-too-long",
    ran="three requests.Session that come back after 2.8 s, twice, then do nothing; nginx `keepalive_timeout 3s`",
    seen="connections reused 0.2 s before nginx would have closed them; in the end it does",
)
def pool_nearly_too_long(stage: Stage) -> None:
    """No request is lost yet."""
    nginx = stage.nginx("keepalive_timeout 3s;")
    with stage.capture():
        client = stage.python_client(NEARLY_TOO_LONG, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    assert len(client.accounts) == 3
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        stage.say("nginx keepalive_timeout", of, closed={"by": "server", "idle_ns": facts.about(3e9, 1e8)})


@scenario(
    "httpx-lazy-expiry",
    ran="three httpx.Client as they come that fetch three times, and again after 5.4 s, 6.2 s and 7 s; nginx",
    seen="the old connection is closed by the client when it comes back, and not when it expired: at 5 s",
)
def httpx_lazy_expiry(stage: Stage) -> None:
    """A limit that is looked at when the pool is used: nothing on the wire shows it."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.python_client(LAZY, "httpx")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    assert len(client.accounts) == 6


@scenario(
    "session-polls-slowly",
    ran="a requests.Session that fetches every 1.6 s, six times; nginx `keepalive_timeout 1s`",
    seen="a connection for each request, because the server has closed the last one each time",
)
def session_polls_slowly(stage: Stage) -> None:
    """A pool cannot keep what the server does not."""
    nginx = stage.nginx("keepalive_timeout 1s;")
    with stage.capture():
        client = stage.python_client(POLLS, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    assert len(client.accounts) == 6
    for account in client.accounts[:5]:
        of = facts.connection(account.local, account.remote)
        stage.say("nginx keepalive_timeout", of, closed={"by": "server", "idle_ns": facts.about(1e9, 1e8)})


@scenario(
    "requests-get-polls",
    ran="requests.get every 0.7 s, eight times; nginx with its defaults",
    seen="a connection for each request, closed by the client, although nginx would have kept it",
)
def requests_get_polls(stage: Stage) -> None:
    """The same to the eye, and another's fault."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.python_client(GET_POLLS, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    stage.say("program", facts.endpoint(ENDPOINT), opened=8, closed={"client_fin": 8})


def _long_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire takes 100 ms each way (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 100})


@scenario(
    "pool-too-long",
    ran="three requests.Session, 100 ms away, that come back after 2.95 s; nginx `keepalive_timeout 3s`",
    seen="the request leaves just before the FIN comes in: RST, and three requests are lost",
    topology=_long_wire,
)
def pool_too_long(stage: Stage) -> None:
    """What becomes of pool-nearly-too-long on another day."""
    nginx = stage.nginx("keepalive_timeout 3s;")
    with stage.capture():
        client = stage.python_client(TOO_LONG, "requests")
    assert client.output.count("lost") == 3
    assert len(client.accounts) == 3
    assert len(nginx.requests()) == 6
    stage.learn_sockets(client.accounts)
    whole = {"race": None, "complete": True}
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        exchanges = [whole, whole, {"race": "crossed", "response": None, "complete": False}]
        stage.say("program and nginx access log", of, requests=3, responses=2, exchanges=exchanges)


@scenario(
    "httpx-h2-multiplex",
    ran="an httpx.AsyncClient(http2=True) that fetches once, then twenty times at once; nginx",
    seen="one connection, twenty streams in flight together",
    compress=True,
)
def httpx_h2_multiplex(stage: Stage) -> None:
    """What HTTP/2 is for."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        client = stage.python_client(HTTPX_MULTIPLEX, "httpx", "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, requests=21, http2={"streams": 21}, closed={"by": "client"})
