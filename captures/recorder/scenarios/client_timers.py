"""Clients whose pools have timers, clients that have none to speak of, and programs that are over soon.

Node's programs and the tools do not tell their ports: nginx's log knows their connections.
"""

from __future__ import annotations

import time

from .. import facts
from ..network import SERVER
from ..servers import Nginx
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"
URL = "http://shop.test:8001/a"

AIOHTTP_TWO = """
import asyncio, aiohttp

async def main():
    async with aiohttp.ClientSession(CONNECTOR) as session:
        async def fetch():
            async with session.get("http://shop.test:8001/a") as response:
                await response.read()
        for _ in range(2):
            await asyncio.gather(fetch(), fetch(), fetch())
        await asyncio.sleep(IDLE)

asyncio.run(main())
"""

#: Two batches of three requests at once, then nothing.
NODE_AGENT = """
const http = require('http')
const agent = new http.Agent(OPTIONS)
const get = () => new Promise(done =>
  http.get('http://shop.test:8001/a', {agent}, response => response.resume().on('end', done)))
async function main() {
  for (let n = 0; n < 4; n++) {
    await Promise.all([get(), get(), get()])
    await new Promise(done => setTimeout(done, 100))
  }
  await new Promise(done => setTimeout(done, IDLE_MS))
  agent.destroy()
}
main()
"""

NODE_FETCH = """
async function main() {
  const get = async () => (await fetch('http://shop.test:8001/a')).text()
  for (const pause of [200, 5000]) {
    await Promise.all([get(), get(), get()])
    await new Promise(done => setTimeout(done, pause))
  }
}
main()
"""

TWICE = """
import requests

for _ in range(2):
    requests.get("http://shop.test:8001/a")
"""

BESIDE = """
import time, requests

with requests.Session() as session:
    for _ in range(15):
        session.get("http://shop.test:8001/a")
        time.sleep(0.3)
"""

PACED = """
import time, requests

with requests.Session() as session:
    for _ in range(30):
        session.get("http://shop.test:8001/a")
        time.sleep(0.15)
"""


def _aiohttp(stage: Stage, connector: str, idle_s: float, timeout_ns: float) -> None:
    nginx = stage.nginx()
    with stage.capture():
        code = AIOHTTP_TWO.replace("CONNECTOR", connector).replace("IDLE", str(idle_s))
        client = stage.python_client(code, "aiohttp")
    assert len(client.accounts) == 3
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    _say_idle(stage, "aiohttp keepalive_timeout", [account.local for account in client.accounts], timeout_ns, 6e8)


def _say_idle(stage: Stage, source: str, clients: list[str], idle_ns: float, within_ns: float) -> None:
    """That the client closed each of these connections after this idle time."""
    closed = {"by": "client", "how": "fin", "idle_ns": facts.about(idle_ns, within_ns), "announced": None}
    for client in clients:
        stage.say(source, facts.connection(client, ENDPOINT), closed=closed)


@scenario(
    "aiohttp-idle",
    ran="an aiohttp.ClientSession as it comes that fetches three at once, twice, then 17 s of nothing; nginx",
    seen="three connections, which the client closes after 15 s idle",
)
def aiohttp_idle(stage: Stage) -> None:
    """keepalive_timeout of a connector: 15 s; it looks at times of whole seconds."""
    _aiohttp(stage, "", 17, 15.5e9)


@scenario(
    "aiohttp-idle-3s",
    ran="as aiohttp-idle, with `TCPConnector(keepalive_timeout=3)` and 4 s of nothing",
    seen="three connections, which the client closes after 3 s idle",
)
def aiohttp_idle_3s(stage: Stage) -> None:
    """The same timer, changed."""
    _aiohttp(stage, "connector=aiohttp.TCPConnector(keepalive_timeout=3)", 4, 3e9)


def _node(stage: Stage, code: str, server: str = "") -> tuple[Nginx, list[str]]:
    """Record a Node program against nginx; returns the client's addresses, too."""
    nginx = stage.nginx(server)
    stage.packages.add("node")
    stage.configuration["client.js"] = code.strip()
    with stage.capture():
        stage.client.run("node", "-e", code)
    stage.learn_nginx(nginx)
    return nginx, sorted({logged.client for logged in nginx.requests()})


@scenario(
    "node-agent-idle",
    ran="Node's http.Agent with `keepAlive: true`, four times three requests, then 6.5 s of nothing; nginx",
    seen="three connections, which the client closes after 5 s idle",
)
def node_agent_idle(stage: Stage) -> None:
    """The agent's timeout, which is 5 s since Node 20."""
    options = "{keepAlive: true, timeout: 5000}"
    _, clients = _node(stage, NODE_AGENT.replace("OPTIONS", options).replace("IDLE_MS", "6500"))
    assert len(clients) == 3
    _say_idle(stage, "Node http.Agent timeout", clients, 5e9, 1e8)


@scenario(
    "node-agent",
    ran="Node's http.Agent with `keepAlive: true`, four times three requests; nginx",
    seen="three connections of four requests, closed by the client when it ends",
)
def node_agent(stage: Stage) -> None:
    """A pool that does what it should."""
    _, clients = _node(stage, NODE_AGENT.replace("OPTIONS", "{keepAlive: true}").replace("IDLE_MS", "0"))
    assert len(clients) == 3
    stage.say("program", facts.endpoint(ENDPOINT), opened=3, requests=12, max_open_at_once=3)


@scenario(
    "node-agent-no-keepalive",
    ran="Node's http.Agent with `keepAlive: false`, four times three requests; nginx",
    seen="twelve connections: each request says `Connection: close`, and nginx obeys",
)
def node_agent_no_keepalive(stage: Stage) -> None:
    """What Node's agent did before Node 19."""
    _, clients = _node(stage, NODE_AGENT.replace("OPTIONS", "{keepAlive: false}").replace("IDLE_MS", "0"))
    assert len(clients) == 12
    for client in clients:
        announced = {"by": "client", "how": "connection-close"}
        stage.say("Node http.Agent keepAlive", facts.connection(client, ENDPOINT), closed={"announced": announced})
    stage.say("Node http.Agent keepAlive", facts.endpoint(ENDPOINT), decided={"client": 12, "server": 0})


@scenario(
    "node-fetch-advertised",
    ran="Node's fetch, twice three requests at once, then 5 s of nothing; nginx `keepalive_timeout 5s 5s`",
    seen="three connections; the server says `timeout=5`, and the client closes 2 s before that",
)
def node_fetch_advertised(stage: Stage) -> None:
    """A client that believes the header: undici takes two seconds from what it says."""
    _, clients = _node(stage, NODE_FETCH, "keepalive_timeout 5s 5s;")
    assert len(clients) == 3
    _say_idle(stage, "undici keepAliveTimeoutThreshold", clients, 3.3e9, 6e8)


@scenario(
    "requests-get-twice",
    ran="requests.get twice, and the program is over; nginx",
    seen="two connections of one request, closed by the client",
)
def requests_get_twice(stage: Stage) -> None:
    """Too little to complain about."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.python_client(TWICE, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    stage.say("program", facts.endpoint(ENDPOINT), opened=2, closed={"client_fin": 2})


@scenario(
    "curl-thrice",
    ran="curl with one URL, three times; nginx",
    seen="three connections of one request, closed by the client: no process can use another's",
)
def curl_thrice(stage: Stage) -> None:
    """A shell script."""
    nginx = stage.nginx()
    with stage.capture():
        clients = [client for _ in range(3) for client in stage.curl(URL)]
    stage.learn_nginx(nginx)
    for client in clients:
        stage.say("curl -w", facts.connection(client, ENDPOINT), requests=1, closed={"by": "client", "how": "fin"})


@scenario(
    "curl-beside-session",
    ran="a requests.Session that fetches 15 times in 4.5 s, and curl eight times meanwhile; nginx",
    seen="one connection that stays, and eight of one request that come and go: two programs, not one pool",
    compress=True,
)
def curl_beside_session(stage: Stage) -> None:
    """Two programs of one address; only what they call themselves tells them apart."""
    nginx = stage.nginx()
    with stage.capture():
        session = stage.start_python(BESIDE)
        time.sleep(1)
        clients = []
        for _ in range(8):
            clients += stage.curl(URL)
            time.sleep(0.2)
        told = stage.finish_python(session, packages=("requests",))
    stage.learn_sockets(told.accounts, transcripts=False)
    stage.facts = [fact for fact in stage.facts if "endpoint" not in fact["of"]]
    stage.learn_nginx(nginx)
    (account,) = told.accounts
    stage.say("program", facts.connection(account.local, account.remote), requests=15, closed={"by": "client"})
    for client in clients:
        stage.say("curl -w", facts.connection(client, ENDPOINT), requests=1, closed={"by": "client", "how": "fin"})


@scenario(
    "wget",
    ran="wget with four URLs of one server; nginx",
    seen="one connection of four requests, each with `Connection: Keep-Alive`, closed by the client",
    programs=("wget",),
)
def wget(stage: Stage) -> None:
    """wget reuses within one run."""
    nginx = stage.nginx()
    command = ("wget", "-q", "-O", "/dev/null", *(f"http://shop.test:8001/{name}" for name in "abca"))
    stage.packages.add("wget")
    stage.configuration["wget"] = " ".join(command)
    with stage.capture():
        stage.client.run(*command, folder=stage.scratch)
    stage.learn_nginx(nginx)
    (client,) = {logged.client for logged in nginx.requests()}
    stage.say("nginx access log", facts.connection(client, ENDPOINT), requests=4, closed={"by": "client", "how": "fin"})


@scenario(
    "requests-session-paced",
    ran="a requests.Session that fetches 30 times in 5 s; nginx with its defaults",
    seen="one connection of thirty requests, closed by the client",
    compress=True,
)
def requests_session_paced(stage: Stage) -> None:
    """Traffic with which all is well."""
    nginx = stage.nginx()
    with stage.capture():
        client = stage.python_client(PACED, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    assert len(client.accounts) == 1
