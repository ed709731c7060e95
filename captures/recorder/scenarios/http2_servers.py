"""Servers of HTTP/2 and how they end connections: GOAWAY after so many requests, after idle, at their own end.

The client is often `http2_client.Client`, which reads all the time and so knows when each frame came.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from .. import facts, facts_tls, frames
from ..network import SERVER
from ..observed import Account
from ..servers import Apache, Nginx
from ..servers_http2 import Caddy, Envoy, Hypercorn, Nghttpd, program
from ..stage import Program, Stage, scenario

ENDPOINT = f"{SERVER}:8443"
TLS = "ssl_certificate ../shop.test.pem; ssl_certificate_key ../shop.test.key;"
URL = "https://shop.test:8443/a"

#: Two requests, then nothing until the server closes, or five seconds.
TWO_AND_WAIT = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.get("/a")
client.wait(5)
client.close()
"""

#: Requests until the server does not want any more.
SIX = """
from captures.recorder.http2_client import Client

client = Client()
for _ in range(6):
    if client.went_away:
        break
    client.get("/a")
client.wait(5)
client.close()
"""

SIX_AT_ONCE = """
from captures.recorder.http2_client import Client

client = Client()
for stream in range(1, 13, 2):
    fields = [(":method", "GET"), (":path", "/a"), (":scheme", "https"), (":authority", "shop.test")]
    client.h2.send_headers(stream, fields, end_stream=True)
client.flush()
client.wait(3)
client.close()
"""

ONE_SLOW = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.get("/slow")
client.wait(5)
client.close()
"""

EVERY_200_MS = """
from captures.recorder.http2_client import Client

client = Client()
while not client.went_away:
    client.get("/a")
    client.wait(0.2)
client.wait(5)
client.close()
"""

DEAD = """
import time
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.wait(0.2)
time.sleep(3)
client.close()
"""

HTTPX = """
import ssl, httpx

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client:
    for _ in range(4):
        client.get("https://shop.test:8443/a")
"""

ASGI = """
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"hello\\n"})
"""


def nginx_h2(stage: Stage, server: str = "", **how: Any) -> Nginx:
    """nginx with TLS and HTTP/2 on port 8443."""
    stage.certificate()
    return stage.nginx(f"{TLS} {server}", port=8443, listen="ssl http2", **how)


def apache_h2(stage: Stage, directives: str = "") -> Apache:
    """Apache with TLS and mod_http2 on port 8443."""
    stage.certificate()
    tls = "SSLEngine on\nSSLCertificateFile ../shop.test.pem\nSSLCertificateKeyFile ../shop.test.key"
    return stage.apache(f"Protocols h2 http/1.1\n{tls}\n{directives}", ("ssl", "http2"), port=8443)


def say_server_closed(stage: Stage, accounts: list[Account], source: str = "", idle_ns: float = 0) -> None:
    """That the server announced its close by GOAWAY, and how long the client had been idle by its own clock.

    With `idle_ns`, also that this is what was configured, by `source`.
    """
    for account in accounts:
        of = facts.connection(account.local, account.remote)
        announced, last_ns = facts_tls.announced(account), facts_tls.last_data_ns(account)
        assert announced is not None
        assert last_ns is not None
        closed: facts.Json = {"by": "server", "how": "fin", "announced": {"by": "server", "how": "goaway"}}
        if announced.time_ns > last_ns:
            closed["idle_ns"] = facts.about(announced.time_ns - last_ns)
        stage.say("client's clock", of, closed=closed)
        if idle_ns:
            stage.say(source, of, closed={"idle_ns": facts.about(idle_ns, 1e8)})


@scenario(
    "nginx-h2-goaway",
    ran="curl with twelve URLs of nginx `keepalive_requests 5`, HTTP/2 over TLS 1.3",
    seen="nginx sends GOAWAY with every fifth response and closes: connections of 5, 5 and 2 requests",
)
def nginx_h2_goaway(stage: Stage) -> None:
    """What `Connection: close` is in HTTP/2."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3; keepalive_requests 5;")
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", *([URL] * 12))
    stage.learn_nginx(nginx)
    stage.learn_curl_tls(clients, ENDPOINT)
    for client in list(dict.fromkeys(clients))[:2]:
        of = facts.connection(client, ENDPOINT)
        announced = {"by": "server", "how": "goaway"}
        stage.say("nginx keepalive_requests", of, requests=5, closed={"announced": announced})


@scenario(
    "nginx-h2-goaway-lost",
    ran="a client of HTTP/2 that sends six requests at once to nginx `keepalive_requests 3`",
    seen="GOAWAY for stream 5, and three streams above it that nobody answers",
)
def nginx_h2_goaway_lost(stage: Stage) -> None:
    """What a client has to send again, elsewhere."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3; keepalive_requests 3;")
    with stage.capture():
        client = stage.python_client(SIX_AT_ONCE, "h2")
    stage.learn_sockets(client.accounts)
    assert len(nginx.requests()) == 3
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    answered = {"response": {"status": 200}, "complete": True}
    exchanges = [answered] * 3 + [{"response": None, "complete": False, "reset": None}] * 3
    http2 = {"peak_streams": 6, "streams_above_goaway": 3}
    stage.say("program and nginx keepalive_requests", of, requests=6, responses=3, http2=http2, exchanges=exchanges)
    announced = {"by": "server", "how": "goaway"}
    stage.say("program and nginx keepalive_requests", of, closed={"by": "server", "announced": announced})


@scenario(
    "nginx-h2-idle",
    ran="a client of HTTP/2 over TLS 1.2 with two requests, left alone; nginx `keepalive_timeout 2s`",
    seen="after 2 s idle nginx sends GOAWAY, close_notify and FIN",
    keys="block before",
)
def nginx_h2_idle(stage: Stage) -> None:
    """The idle timer, and what announces the close."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.2; keepalive_timeout 2s;")
    with stage.capture():
        client = stage.python_client(TWO_AND_WAIT, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    say_server_closed(stage, client.accounts, "nginx keepalive_timeout", 2e9)


@scenario(
    "nginx-h2-shutdown",
    ran="a client of HTTP/2 with two requests; nginx is told to end gracefully (SIGQUIT) meanwhile",
    seen="GOAWAY and close, long before the idle timeout",
)
def nginx_h2_shutdown(stage: Stage) -> None:
    """What a reload does to idle connections."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;", master=True)
    with stage.capture():
        client = stage.start_python(TWO_AND_WAIT)
        time.sleep(1.5)
        nginx.process.send_signal(signal.SIGQUIT)
        ended = stage.finish_python(client, packages=("h2",))
    stage.learn_sockets(ended.accounts)
    stage.learn_nginx(nginx)
    say_server_closed(stage, ended.accounts)


def envoy_h2(stage: Stage, options: dict[str, Any], *arguments: str) -> Envoy:
    stage.certificate()
    envoy = Envoy(stage.server, stage.scratch / "envoy", program(stage.python, "envoy"), options, arguments)
    stage.keep(envoy)
    return envoy


def learn_envoy(stage: Stage, envoy: Envoy, client: Program) -> None:
    envoy.stop()
    stage.learn_sockets(client.accounts)
    stage.learn_log("Envoy access log", envoy.requests())


@scenario(
    "envoy-h2-pings",
    ran="a client of HTTP/2 with two requests, left alone; Envoy with a PING a second and `idle_timeout` 3.5 s",
    seen="PINGs of the server and their answers, which do not end idleness; then GOAWAY twice, and the close",
)
def envoy_h2_pings(stage: Stage) -> None:
    """connection_keepalive, and a drain in two steps: 2^31-1 first, after drain_timeout the last stream."""
    keepalive = {"interval": "1s", "timeout": "0.5s", "interval_jitter": {"value": 0}}
    options = {
        "common_http_protocol_options": {"idle_timeout": "3.5s"},
        "drain_timeout": "0.4s",
        "http2_protocol_options": {"connection_keepalive": keepalive},
    }
    envoy = envoy_h2(stage, options)
    with stage.capture():
        client = stage.python_client(TWO_AND_WAIT, "h2")
    learn_envoy(stage, envoy, client)
    say_server_closed(stage, client.accounts, "Envoy idle_timeout", 3.5e9)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("Envoy connection_keepalive", of, http2={"server": {"pings": 3}, "client": {"pings": 0}})


@scenario(
    "envoy-h2-requests",
    ran="a client of HTTP/2; Envoy `max_requests_per_connection` 5",
    seen="with the fifth response Envoy begins to drain: GOAWAY for 2^31-1, 0.4 s later GOAWAY for the last stream",
)
def envoy_h2_requests(stage: Stage) -> None:
    """Envoy's limit on requests; the client goes on until it is told."""
    options = {"common_http_protocol_options": {"max_requests_per_connection": 5}, "drain_timeout": "0.4s"}
    envoy = envoy_h2(stage, options)
    with stage.capture():
        client = stage.python_client(SIX, "h2")
    learn_envoy(stage, envoy, client)
    say_server_closed(stage, client.accounts)


@scenario(
    "envoy-h2-drain",
    ran="a client of HTTP/2 that fetches every 0.2 s; Envoy is told to drain its listeners gracefully (2 s)",
    seen="GOAWAY with one of the next responses, somewhere within the two seconds",
)
def envoy_h2_drain(stage: Stage) -> None:
    """`POST /drain_listeners?graceful`: connections end with a response, each at a random moment."""
    envoy = envoy_h2(stage, {"drain_timeout": "0.3s"}, "--drain-time-s", "2", "--drain-strategy", "immediate")
    with stage.capture():
        client = stage.start_python(EVERY_200_MS)
        time.sleep(1.2)
        stage.server.run("curl", "-s", "-X", "POST", "http://127.0.0.1:9901/drain_listeners?graceful")
        ended = stage.finish_python(client, packages=("h2",))
    learn_envoy(stage, envoy, ended)
    say_server_closed(stage, ended.accounts)


@scenario(
    "envoy-h2-dead-client",
    ran="a client of HTTP/2 that does not read for three seconds; Envoy with a PING a second, `timeout` 0.5 s",
    seen="a PING that nobody answers; Envoy closes half a second later",
)
def envoy_h2_dead_client(stage: Stage) -> None:
    """What keep-alive PINGs are for."""
    keepalive = {"interval": "1s", "timeout": "0.5s", "interval_jitter": {"value": 0}}
    envoy = envoy_h2(stage, {"http2_protocol_options": {"connection_keepalive": keepalive}})
    with stage.capture():
        client = stage.python_client(DEAD, "h2")
    envoy.stop()
    stage.learn_log("Envoy access log", envoy.requests())
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    http2 = {"pings": [{"from": "server", "ack_ns": None}], "server": {"pings": 1}}
    stage.say("program and Envoy connection_keepalive", of, http2=http2, closed={"by": "server"})


@scenario(
    "caddy-h2-shutdown",
    ran="a client of HTTP/2 whose second request takes 1.5 s; Caddy is told to end (SIGTERM) meanwhile",
    seen="GOAWAY at once, the response half a second later, and the close another second later",
)
def caddy_h2_shutdown(stage: Stage) -> None:
    """A graceful shutdown of Go's server, with a request in flight."""
    stage.certificate()
    stage.node("setTimeout(() => response.end('hello\\n'), request.url == '/slow' ? 1500 : 0)")
    site = f"reverse_proxy {SERVER}:8001"
    caddy = Caddy(stage.server, stage.scratch / "caddy", program(stage.python, "caddy"), site, "grace_period 4s")
    stage.keep(caddy)
    with stage.capture():
        client = stage.start_python(ONE_SLOW)
        time.sleep(1.2)
        caddy.process.terminate()
        ended = stage.finish_python(client, packages=("h2",))
    stage.learn_sockets(ended.accounts)
    stage.learn_log("Caddy access log", caddy.requests())
    say_server_closed(stage, ended.accounts)
    (account,) = ended.accounts
    of = facts.connection(account.local, account.remote)
    # GOAWAY did not come while idle: the idle time lasts to the end.
    idle_ns = account.closes[0].time_ns - (facts_tls.last_data_ns(account) or 0)
    stage.say("client's clock", of, closed={"idle_ns": facts.about(idle_ns)})


@scenario(
    "haproxy-h2-idle",
    ran="a client of HTTP/2 with two requests, left alone; HAProxy `timeout http-keep-alive 2s` before nginx",
    seen="HAProxy closes after 2 s idle",
    programs=("haproxy",),
)
def haproxy_h2_idle(stage: Stage) -> None:
    """A proxy that ends HTTP/2 and speaks HTTP/1.1 behind."""
    stage.certificate()
    stage.nginx()
    frontend = [f"bind {ENDPOINT} ssl crt both.pem alpn h2,http/1.1", "timeout http-keep-alive 2s"]
    backend = [f"server nginx {SERVER}:8001"]
    haproxy = stage.haproxy(frontend, backend)
    with stage.capture():
        client = stage.python_client(TWO_AND_WAIT, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_log("HAProxy log", haproxy.requests())
    say_server_closed(stage, client.accounts, "HAProxy timeout http-keep-alive", 2e9)


@scenario(
    "apache-h2-idle",
    ran="a client of HTTP/2 with two requests, left alone; Apache mod_http2 `KeepAliveTimeout 2`",
    seen="after 2 s idle Apache sends GOAWAY and closes",
)
def apache_h2_idle(stage: Stage) -> None:
    """mod_http2's timer."""
    apache = apache_h2(stage, "KeepAliveTimeout 2")
    with stage.capture():
        client = stage.python_client(TWO_AND_WAIT, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_log("Apache access log", apache.requests())
    say_server_closed(stage, client.accounts, "Apache KeepAliveTimeout", 2e9)


@scenario(
    "nghttpd-h2load",
    ran="`h2load -n 12 -c 1 -m 4` against nghttpd, TLS 1.3",
    seen="four streams in flight at once, and GOAWAY of the client",
    programs=("nghttpd", "h2load"),
)
def nghttpd_h2load(stage: Stage) -> None:
    """A load generator, by the server's own account of frames; the client's port is the only one it may use."""
    stage.certificate()
    nghttpd = Nghttpd(stage.server, stage.scratch / "nghttpd")
    stage.keep(nghttpd)
    client = stage.only_port(40001)
    stage.packages.add("h2load")
    command = ("h2load", "-n", "12", "-c", "1", "-m", "4", URL)
    stage.configuration["h2load"] = " ".join(command)
    with stage.capture():
        output = stage.client.run(*command, environment=stage.environment)
    assert "12 succeeded" in output
    told = nghttpd.http2_connections()
    assert len(told) == 1
    told[0].peer = client
    stage.learn_frames("nghttpd -v", ENDPOINT, told, frames.SIDES)
    of = facts.connection(client, ENDPOINT)
    assert any(frame.kind == "GOAWAY" and frame.by == "client" for frame in told[0].frames)
    announced = {"by": "client", "how": "goaway"}
    stage.say(
        "h2load", of, requests=12, responses=12, http2={"peak_streams": {"most": 4}}, closed={"announced": announced}
    )
    stage.say("h2load", facts.endpoint(ENDPOINT), opened=1, requests=12, protocols={"h2": 1})


@scenario(
    "hypercorn-h2",
    ran="an httpx.Client(http2=True) that fetches four times from hypercorn",
    seen="a Python client and a Python server, both with the library h2; the client closes",
)
def hypercorn_h2(stage: Stage) -> None:
    """httpx by its own account."""
    stage.certificate()
    where = ("--certfile", "../shop.test.pem", "--keyfile", "../shop.test.key")
    hypercorn = Hypercorn(stage.server, stage.scratch / "hypercorn", stage.python, ASGI, *where)
    stage.keep(hypercorn)
    with stage.capture():
        client = stage.python_client(HTTPX, "httpx", "h2", "hypercorn")
    stage.learn_sockets(client.accounts)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, requests=4, http2={"streams": 4, "peak_streams": 1}, closed={"by": "client"})
