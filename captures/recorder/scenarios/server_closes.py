"""Servers that close first: after idle, after so many requests, after each response."""

from __future__ import annotations

from .. import facts
from ..stage import Stage, scenario

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


@scenario(
    "nginx-idle",
    ran="six requests.Session that fetch three times and then do nothing for 7.2 s, from nginx `keepalive_timeout 7s 7s`",
    seen="nginx closes each connection 7 s after its last response; the client answers when it closes its session",
)
def nginx_idle(stage: Stage) -> None:
    """The recording of `make demo`."""
    nginx = stage.nginx("keepalive_timeout 7s 7s;")
    with stage.capture():
        client = stage.python_client(SIX_SESSIONS, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_log("nginx access log", nginx.requests())
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        stage.say("nginx keepalive_timeout", of, closed={"by": "server", "idle_ns": facts.about(7e9, 1e8)})
    stage.say("one host name, one program", facts.endpoint("10.0.0.1:8001"), name="shop.test", protocols={"http/1.1": 6})
