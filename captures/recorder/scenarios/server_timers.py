"""Servers whose timers and limits were set to something else than their defaults, and short defaults of others.

Connections are opened a little apart, so that a timer of the connection is not taken for an event of the server.
"""

from __future__ import annotations

import time
from collections import Counter

from .. import facts
from ..conversation import get, wait_for_close
from ..network import SERVER
from ..observed import Account
from ..servers_http2 import PORT, Caddy, Envoy, program
from ..servers_varnish import Varnish
from ..stage import Program, Stage, scenario
from .server_closes import say_idle

ENDPOINT = f"{SERVER}:8001"

#: Sessions of which each fetches twice and leaves its connection alone until the server has surely closed it.
SESSIONS = """
import threading, time, requests

def visit():
    with requests.Session() as session:
        for _ in range(2):
            session.get("http://shop.test:8001/a")
        time.sleep(IDLE)

visitors = [threading.Thread(target=visit) for _ in range(4)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.2)
for visitor in visitors:
    visitor.join()
"""

OVER_TLS = """
import http.client, ssl, threading, time

context = ssl.create_default_context(cafile="shop.test.pem")

def visit():
    connection = http.client.HTTPSConnection("shop.test", 8443, context=context)
    for _ in range(2):
        connection.request("GET", "/a")
        connection.getresponse().read()
    assert connection.sock.recv(1) == b""
    time.sleep(0.1)
    connection.close()

visitors = [threading.Thread(target=visit) for _ in range(4)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.2)
for visitor in visitors:
    visitor.join()
"""

SIXTY = """
import requests

with requests.Session() as session:
    for _ in range(60):
        session.get("http://shop.test:PORT/a")
"""

#: Connections that fetch at beats of their own until the server has had enough.
BEATS = """
import threading, time, requests

def visit(beat):
    with requests.Session() as session:
        while session.get("http://shop.test:PORT/a").headers.get("Connection", "").lower() != "close":
            time.sleep(beat)

visitors = [threading.Thread(target=visit, args=(beat,)) for beat in (0.12, 0.15, 0.18, 0.22)]
for visitor in visitors:
    visitor.start()
    time.sleep(0.4)
for visitor in visitors:
    visitor.join()
"""

ASGI = """
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"hello\\n"})
"""

WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return [b"hello\\n"]
"""

AIOHTTP = """
from aiohttp import web

async def answer(request):
    return web.Response(text="hello\\n")

application = web.Application()
application.router.add_get("/a", answer)
web.run_app(application, host="10.0.0.1", port=8001, keepalive_timeout=3)
"""


def _leave_alone(stage: Stage, port: int = 8001, apart: float = 0.2, count: int = 4) -> list[Account]:
    """Record connections, opened so many seconds apart, left alone after a request or two until the server closes.

    The second request of every other one asks for keep-alive, which some servers only then talk about.
    """
    with stage.capture():
        connections = []
        for number in range(count):
            connection = stage.client.connect(SERVER, port)
            get(connection, "/a")
            if number % 2:
                get(connection, "/a", "Connection: keep-alive")
            connections.append(connection)
            time.sleep(apart)
        for connection in connections:
            wait_for_close(connection)
            connection.close()
    stage.learn_sockets(stage.own_accounts())
    return stage.own_accounts()


def _sessions_against_nginx(stage: Stage, server: str, idle_ns: float) -> None:
    nginx = stage.nginx(server)
    with stage.capture():
        client = stage.python_client(SESSIONS.replace("IDLE", str(idle_ns / 1e9 + 0.3)), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    say_idle(stage, "nginx keepalive_timeout", client.accounts, idle_ns)


@scenario(
    "nginx-idle-3s",
    ran="four requests.Session that fetch twice and then do nothing for 3.3 s; nginx `keepalive_timeout 3s`",
    seen="nginx closes each connection 3 s after its last response, and says nothing of it before",
)
def nginx_idle_3s(stage: Stage) -> None:
    """A timer far from the default of 75 s."""
    _sessions_against_nginx(stage, "keepalive_timeout 3s;", 3e9)


@scenario(
    "nginx-idle-11s",
    ran="four requests.Session that fetch twice and then do nothing for 11.3 s; nginx `keepalive_timeout 11s`",
    seen="nginx closes each connection 11 s after its last response, and says nothing of it before",
)
def nginx_idle_11s(stage: Stage) -> None:
    """A timer that is nobody's default."""
    _sessions_against_nginx(stage, "keepalive_timeout 11s;", 11e9)


@scenario(
    "nginx-advertises",
    ran="four requests.Session that fetch twice and then do nothing for 3.3 s; nginx `keepalive_timeout 3s 30s`",
    seen="every response says `Keep-Alive: timeout=30`, and nginx closes after 3 s",
)
def nginx_advertises(stage: Stage) -> None:
    """A header that promises ten times as much."""
    _sessions_against_nginx(stage, "keepalive_timeout 3s 30s;", 3e9)
    stage.say(
        "nginx keepalive_timeout",
        facts.endpoint(ENDPOINT),
        headers={"response": {"keep_alive": {"exactly": {"timeout=30": 8}}}},
    )


@scenario(
    "apache-idle-3s",
    ran="four connections left alone; Apache `KeepAliveTimeout 3`",
    seen="Apache says `Keep-Alive: timeout=3` where it is asked for keep-alive, and closes after 3 s",
)
def apache_idle_3s(stage: Stage) -> None:
    """Apache's timer, changed."""
    apache = stage.apache("KeepAlive On\nKeepAliveTimeout 3")
    accounts = _leave_alone(stage)
    stage.learn_log("Apache access log", apache.requests())
    say_idle(stage, "Apache KeepAliveTimeout", accounts, 3e9)


@scenario(
    "apache-requests",
    ran="a requests.Session that fetches 60 times from Apache `MaxKeepAliveRequests 25`",
    seen="`Keep-Alive: max=` counts from 25 to 1, then comes `Connection: close`: 26, 26 and 8 requests",
    compress=True,
)
def apache_requests(stage: Stage) -> None:
    """Apache's limit on requests, changed: it counts what comes after the first."""
    apache = stage.apache("KeepAlive On\nMaxKeepAliveRequests 25")
    with stage.capture():
        client = stage.python_client(SIXTY.replace("PORT", "8001"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_log("Apache access log", apache.requests())
    _say_limit(stage, "Apache MaxKeepAliveRequests and access log", client, 26)


def _say_limit(stage: Stage, source: str, client: Program, limit: int) -> None:
    """That the server announced the end of the first two connections with this response of each."""
    assert len(client.accounts) == 3
    for account in client.accounts[:2]:
        announced = {"by": "server", "how": "connection-close"}
        of = facts.connection(account.local, account.remote)
        stage.say(source, of, requests=limit, closed={"announced": announced})


@scenario(
    "haproxy-idle",
    ran="four connections left alone; HAProxy `timeout http-keep-alive 3s`",
    seen="HAProxy closes after 3 s idle",
    programs=("haproxy",),
)
def haproxy_idle(stage: Stage) -> None:
    """A proxy that answers by itself."""
    answer = "http-request return status 200 content-type text/plain string hello"
    stage.haproxy([f"bind {SERVER}:{PORT}", "timeout http-keep-alive 3s", answer], [], logs=False)
    say_idle(stage, "HAProxy timeout http-keep-alive", _leave_alone(stage, PORT), 3e9)


@scenario(
    "varnish-idle",
    ran="four connections left alone; Varnish `timeout_idle` 3 s",
    seen="Varnish closes after 3 s idle",
    programs=("varnishd",),
)
def varnish_idle(stage: Stage) -> None:
    """A cache that answers by itself."""
    answer = 'sub vcl_recv { return (synth(200, "OK")); }\n'
    nobody, arguments = (SERVER, 8002), ("-p", "timeout_idle=3")
    varnish = Varnish(stage.server, stage.scratch / "varnish", SERVER, nobody, answer, arguments)
    stage.keep(varnish)
    accounts = _leave_alone(stage)
    stage.learn_log("Varnish log", varnish.requests())
    say_idle(stage, "Varnish timeout_idle", accounts, 3e9)


@scenario(
    "caddy-idle",
    ran="four connections of HTTP/1.1 over TLS 1.3, left alone; Caddy `timeouts idle 3s`",
    seen="close_notify and FIN of Caddy after 3 s idle",
    compress=True,
)
def caddy_idle(stage: Stage) -> None:
    """Go's server, which closes in order."""
    stage.certificate()
    options = "servers {\n    timeouts {\n      idle 3s\n    }\n  }"
    site = 'respond "hello"'
    caddy = Caddy(stage.server, stage.scratch / "caddy", program(stage.python, "caddy"), site, options)
    stage.keep(caddy)
    with stage.capture():
        client = stage.python_client(OVER_TLS)
    stage.learn_sockets(client.accounts)
    stage.learn_log("Caddy access log", caddy.requests())
    for account in client.accounts:
        of = facts.connection(account.local, account.remote)
        announced = {"by": "server", "how": "close-notify"}
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(3e9, 1e8), "announced": announced}
        stage.say("Caddy timeouts idle", of, closed=closed)


def _envoy(stage: Stage, options: facts.Json) -> Envoy:
    folder, envoy = stage.scratch / "envoy", program(stage.python, "envoy")
    started = Envoy(stage.server, folder, envoy, options, tls=False)
    stage.keep(started)
    return started


def _learn_envoy(stage: Stage, envoy: Envoy) -> None:
    """Take over how many requests Envoy has logged for each connection: it logs no field of a connection."""
    envoy.stop()
    counts = Counter((request.client, request.server) for request in envoy.requests())
    for (client, server), count in counts.items():
        stage.say("Envoy access log", facts.connection(client, server), requests=count, responses=count)


@scenario(
    "envoy-idle",
    ran="four connections of HTTP/1.1 left alone; Envoy `idle_timeout` 3 s, else as it comes",
    seen="Envoy closes after 9 s idle: 3 s, then `drain_timeout` (5 s), then `delayed_close_timeout` (1 s)",
)
def envoy_idle(stage: Stage) -> None:
    """Envoy's timer of a connection, which begins a drain. In HTTP/1.1 nothing tells of it but the next response."""
    envoy = _envoy(stage, {"common_http_protocol_options": {"idle_timeout": "3s"}})
    accounts = _leave_alone(stage, PORT)
    _learn_envoy(stage, envoy)
    say_idle(stage, "Envoy idle_timeout, drain_timeout and delayed_close_timeout", accounts, 9e9)


@scenario(
    "envoy-requests",
    ran="a requests.Session that fetches 60 times from Envoy `max_requests_per_connection` 25",
    seen="the 25th response says `Connection: close`: 25, 25 and 10 requests",
    compress=True,
)
def envoy_requests(stage: Stage) -> None:
    """Envoy's limit on requests, in HTTP/1.1."""
    envoy = _envoy(stage, {"common_http_protocol_options": {"max_requests_per_connection": 25}})
    with stage.capture():
        client = stage.python_client(SIXTY.replace("PORT", str(PORT)), "requests")
    stage.learn_sockets(client.accounts)
    _learn_envoy(stage, envoy)
    _say_limit(stage, "Envoy max_requests_per_connection", client, 25)


def _say_age(stage: Stage, source: str, client: Program, age_ns: float) -> None:
    """That the server announced the end of each connection with the first response after this age."""
    assert len(client.accounts) == 4
    for account in client.accounts:
        announced = {"by": "server", "how": "connection-close", "time_ns": facts.about(account.start_ns + age_ns, 3e8)}
        stage.say(source, facts.connection(account.local, account.remote), closed={"announced": announced})


@scenario(
    "envoy-max-age",
    ran="four requests.Session that fetch at beats of their own; Envoy `max_connection_duration` 3 s",
    seen="the first response after 3 s says `Connection: close`, however many there were before",
    compress=True,
)
def envoy_max_age(stage: Stage) -> None:
    """A limit on the age of connections."""
    envoy = _envoy(stage, {"common_http_protocol_options": {"max_connection_duration": "3s"}})
    with stage.capture():
        client = stage.python_client(BEATS.replace("PORT", str(PORT)), "requests")
    stage.learn_sockets(client.accounts)
    _learn_envoy(stage, envoy)
    _say_age(stage, "Envoy max_connection_duration", client, 3e9)


@scenario(
    "nginx-max-age",
    ran="four requests.Session that fetch at beats of their own; nginx `keepalive_time 3s`",
    seen="the first response after 3 s says `Connection: close`, however many there were before",
    compress=True,
)
def nginx_max_age(stage: Stage) -> None:
    """The same of nginx, whose default is an hour."""
    nginx = stage.nginx("keepalive_time 3s;")
    with stage.capture():
        client = stage.python_client(BEATS.replace("PORT", "8001"), "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    _say_age(stage, "nginx keepalive_time", client, 3e9)


@scenario(
    "lighttpd-idle",
    ran="six connections, begun 0.3 s apart and left alone; lighttpd as it comes (`server.max-keep-alive-idle` 5)",
    seen="lighttpd looks once a second, and closes what is then idle for more than 5 whole seconds: after 5 s to 7 s",
    programs=("lighttpd",),
)
def lighttpd_idle(stage: Stage) -> None:
    """A timer that ticks."""
    stage.lighttpd()
    for account in _leave_alone(stage, apart=0.3, count=6):
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(6e9, 1e9), "announced": None}
        stage.say("lighttpd server.max-keep-alive-idle", of, closed=closed)


def _python_server(stage: Stage, library: str, command: list[str], application: str, idle_ns: float) -> None:
    """Record connections left alone by a Python server."""
    published = f"python {' '.join(command)}\n" if application else command[-1].lstrip()
    stage.python_server(command, published, library, application=application)
    say_idle(stage, f"{library}'s timer", _leave_alone(stage), idle_ns)


@scenario(
    "uvicorn-idle",
    ran="four connections left alone; uvicorn as it comes (`--timeout-keep-alive` 5)",
    seen="uvicorn closes after 5 s idle",
)
def uvicorn_idle(stage: Stage) -> None:
    """A default that many share."""
    command = ["-m", "uvicorn", "--host", SERVER, "--port", "8001", "application:application"]
    _python_server(stage, "uvicorn", command, ASGI, 5e9)


@scenario(
    "hypercorn-idle",
    ran="four connections left alone; hypercorn as it comes (`keep_alive_timeout` 5)",
    seen="hypercorn closes after 5 s idle; its responses have no reason phrase",
)
def hypercorn_idle(stage: Stage) -> None:
    """The same default, told apart by the status line."""
    _python_server(stage, "hypercorn", ["-m", "hypercorn", "--bind", ENDPOINT, "application:application"], ASGI, 5e9)


@scenario(
    "gunicorn-idle",
    ran="four connections left alone; gunicorn `--worker-class gthread`, else as it comes (`--keep-alive` 2)",
    seen="gunicorn, when nothing else happens, looks once a second, and closes what is then idle for more than 2 s",
)
def gunicorn_idle(stage: Stage) -> None:
    """The shortest default of all, and a timer that ticks."""
    command = ["-m", "gunicorn", "--worker-class", "gthread", "--threads", "4", "--bind", ENDPOINT]
    command.append("application:application")
    published = f"python {' '.join(command)}\n"
    stage.python_server(command, published, "gunicorn", application=WSGI)
    for account in _leave_alone(stage):
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "idle_ns": facts.about(2.5e9, 6e8), "announced": None}
        stage.say("gunicorn --keep-alive", of, closed=closed)


@scenario(
    "granian-idle",
    ran="four connections left alone; granian `--http1-header-read-timeout 3000`",
    seen="granian closes 3 s after the last response: it has waited for the head of a request for so long",
)
def granian_idle(stage: Stage) -> None:
    """hyper's only timer."""
    command = ["-m", "granian", "--host", SERVER, "--port", "8001", "--interface", "asgi"]
    command += ["--http1-header-read-timeout", "3000", "application:application"]
    _python_server(stage, "granian", command, ASGI, 3e9)


@scenario(
    "aiohttp-server-idle",
    ran="four connections left alone; aiohttp's server with `keepalive_timeout=3`",
    seen="aiohttp closes after 3 s idle",
)
def aiohttp_server_idle(stage: Stage) -> None:
    """A server whose default is an hour."""
    _python_server(stage, "aiohttp", ["-c", AIOHTTP], "", 3e9)


@scenario(
    "node-idle-3s",
    ran="four connections left alone; Node's http server with `keepAliveTimeout: 3000`",
    seen="Node says `Keep-Alive: timeout=3`, and closes after 4 s: newer versions add a second of grace",
)
def node_idle_3s(stage: Stage) -> None:
    """Node's timer, changed."""
    node = stage.node("response.end('hello\\n')", options="{keepAliveTimeout: 3000}")
    accounts = _leave_alone(stage)
    stage.learn_log("Node program", node.requests())
    say_idle(stage, "Node keepAliveTimeout and its second of grace", accounts, 4e9)
