"""Servers whose close has a form of its own: announced long before, said in an odd place, or not said where it should.

Three or four connections each, so that their timers can be measured.
"""

from __future__ import annotations

import time
from typing import Any

from .. import facts
from ..conversation import read_to_end
from ..network import SERVER
from ..servers_http2 import CERTIFICATE, KEY, PORT, Caddy, Envoy, program
from ..stage import Program, Stage, scenario
from .http2_servers import say_server_closed
from .server_timers import OVER_TLS, WSGI

THREE_OF_HTTP2 = """
import threading, time
from captures.recorder.http2_client import Client

def visit():
    client = Client()
    client.get("/a")
    client.get("/a")
    client.wait(9)
    client.close()

visitors = [threading.Thread(target=visit) for _ in range(3)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.3)
for visitor in visitors:
    visitor.join()
"""


def _caddy_h2(stage: Stage) -> Program:
    stage.certificate()
    options = "servers {\n    timeouts {\n      idle 3s\n    }\n  }"
    caddy = Caddy(stage.server, stage.scratch / "caddy", program(stage.python, "caddy"), 'respond "hello"', options)
    stage.keep(caddy)
    with stage.capture():
        client = stage.python_client(THREE_OF_HTTP2, "h2")
    stage.learn_sockets(client.accounts)
    if stage.has_keys:
        stage.learn_log("Caddy access log", caddy.requests())
    return client


@scenario(
    "caddy-h2-idle",
    ran="three clients of HTTP/2 left alone; Caddy `timeouts idle 3s`",
    seen="GOAWAY after 3 s idle; the close comes another second later",
    compress=True,
)
def caddy_h2_idle(stage: Stage) -> None:
    """Go's server says it, and gives a second to those who have not heard."""
    client = _caddy_h2(stage)
    say_server_closed(stage, client.accounts, "Caddy timeouts idle", 3e9)


@scenario(
    "caddy-h2-idle-no-keys",
    ran="as caddy-h2-idle, and the keys are thrown away",
    seen="a small record of the server after 3 s of silence, and the close another second later",
    keys="none",
    compress=True,
)
def caddy_h2_idle_no_keys(stage: Stage) -> None:
    """What is left of GOAWAY for an observer without keys."""
    for account in _caddy_h2(stage).accounts:
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(3e9, 1e8)}
        stage.say("Caddy timeouts idle; there are no keys", of, closed=closed, protocol="tls", requests=None)


@scenario(
    "envoy-h2-idle",
    ran="three clients of HTTP/2 left alone; Envoy `idle_timeout` 3 s, else as it comes",
    seen="GOAWAY for 2^31-1 after 3 s idle, GOAWAY for the last stream 5 s later, and the close",
    compress=True,
)
def envoy_h2_idle(stage: Stage) -> None:
    """The same timers as in envoy-idle; HTTP/2 has words for them."""
    stage.certificate()
    options: dict[str, Any] = {"common_http_protocol_options": {"idle_timeout": "3s"}}
    envoy = Envoy(stage.server, stage.scratch / "envoy", program(stage.python, "envoy"), options)
    stage.keep(envoy)
    with stage.capture():
        client = stage.python_client(THREE_OF_HTTP2, "h2")
    envoy.stop()
    stage.learn_sockets(client.accounts)
    stage.learn_log("Envoy access log", envoy.requests())
    say_server_closed(stage, client.accounts, "Envoy idle_timeout", 3e9)


@scenario(
    "haproxy-408",
    ran="four connections on which nothing is ever said; HAProxy `timeout http-request 2s`",
    seen="a response 408 to no request after 2 s, and the close",
    programs=("haproxy",),
)
def haproxy_408(stage: Stage) -> None:
    """What connections get that a browser opens in advance."""
    answer = "http-request return status 200 content-type text/plain string hello"
    stage.haproxy([f"bind {SERVER}:{PORT}", "timeout http-request 2s", answer], [], logs=False)
    with stage.capture():
        connections = []
        for _ in range(4):
            connections.append(stage.client.connect(SERVER, PORT))
            time.sleep(0.2)
        for connection in connections:
            assert read_to_end(connection) > 0
            connection.close()
    stage.learn_sockets(stage.own_accounts(), transcripts=False)
    for account in stage.own_accounts():
        assert account.read.startswith(b"HTTP/1.0 408 ") or account.read.startswith(b"HTTP/1.1 408 ")
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(2e9, 1e8)}
        unasked = {"request": None, "response": {"status": 408, "connection": "close"}}
        stage.say("HAProxy timeout http-request", of, closed=closed, requests=0, exchanges=[unasked])


@scenario(
    "gunicorn-tls-idle",
    ran="four connections of HTTP/1.1 over TLS 1.3, left alone; gunicorn `--worker-class gthread --keep-alive 3`",
    seen="FIN of gunicorn after 3 s to 4 s idle, without close_notify; every response was whole",
    compress=True,
)
def gunicorn_tls_idle(stage: Stage) -> None:
    """No truncation: nothing was missing when it closed."""
    stage.certificate()
    command = ["-m", "gunicorn", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "3"]
    command += ["--certfile", CERTIFICATE, "--keyfile", KEY, "--bind", f"{SERVER}:{PORT}", "application:application"]
    stage.python_server(command, f"python {' '.join(command)}\n", "gunicorn", port=PORT, application=WSGI)
    with stage.capture():
        client = stage.python_client(OVER_TLS)
    stage.learn_sockets(client.accounts)
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(3.5e9, 6e8), "announced": None}
        stage.say("gunicorn --keep-alive", of, closed=closed, tls={"server_closes": False})
