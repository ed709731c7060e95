"""How HTTP/2 is used and misused: beats of PING, errors, streams after GOAWAY, streams not shared, limits, ALPN.

The client is often `http2_client.Client`, which reads all the time and so knows when each frame came.
"""

from __future__ import annotations

from .. import facts
from ..stage import Stage, scenario
from .http2_servers import ENDPOINT, URL, envoy_h2, learn_envoy, nginx_h2, say_server_closed
from .inside import CLEAR_ENDPOINT, GRPC_WAITING_SERVER
from .tls import nginx_tls

GRPC_ALLOWING_SERVER = GRPC_WAITING_SERVER.replace(
    "ThreadPoolExecutor(2))",
    """ThreadPoolExecutor(2), options=[
    ("grpc.http2.min_ping_interval_without_data_ms", 100), ("grpc.http2.bdp_probe", 0)])""",
)

GRPC_BEAT = """
import grpc

options = [
    ("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_timeout_ms", 500),
    ("grpc.http2.max_pings_without_data", 0), ("grpc.http2.bdp_probe", 0),
]
with grpc.insecure_channel("10.0.0.1:8001", options) as channel:
    try:
        list(channel.unary_stream("/shop.Shop/Count")(b"", timeout=5.8))
    except grpc.RpcError as error:
        print(error.code().name)
"""


@scenario(
    "grpc-pings",
    ran="grpcio with a keep-alive PING a second on a call that waits; the server allows ten a second",
    seen="PINGs of the client at a steady beat, each answered; no GOAWAY",
)
def grpc_pings(stage: Stage) -> None:
    """A keep-alive that is allowed."""
    stage.python_server(["-c", GRPC_ALLOWING_SERVER], GRPC_ALLOWING_SERVER.lstrip(), "grpcio")
    client = stage.only_port(40001)
    with stage.capture():
        program = stage.python_client(GRPC_BEAT, "grpcio")
    assert program.output.strip() == "DEADLINE_EXCEEDED"
    http2 = {"server": {"goaways": [], "pings": 0}, "client": {"pings": {"least": 5}}}
    stage.say("client", facts.connection(client, CLEAR_ENDPOINT), protocol="h2c", requests=1, http2=http2)


TWO_AND_WAIT = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.get("/a")
client.wait(6)
client.close()
"""


@scenario(
    "envoy-h2-steady-pings",
    ran="a client of HTTP/2 with two requests, left alone; Envoy with a PING each half second, `idle_timeout` 3.8 s",
    seen="seven PINGs of the server, all answered, at a steady beat; then GOAWAY twice, and the close",
)
def envoy_h2_steady_pings(stage: Stage) -> None:
    """Enough of them to be called a beat."""
    keepalive = {"interval": "0.5s", "timeout": "0.4s", "interval_jitter": {"value": 0}}
    options = {
        "common_http_protocol_options": {"idle_timeout": "3.8s"},
        "drain_timeout": "0.4s",
        "http2_protocol_options": {"connection_keepalive": keepalive},
    }
    envoy = envoy_h2(stage, options)
    with stage.capture():
        client = stage.python_client(TWO_AND_WAIT, "h2")
    learn_envoy(stage, envoy, client)
    say_server_closed(stage, client.accounts, "Envoy idle_timeout", 3.8e9)


#: FRAME is a frame that is forbidden, sent while a request is under way.
VIOLATING = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.request("/slow")
client.wait(0.2)
client.socket.sendall(bytes.fromhex("FRAME"))
client.wait(3)
client.close()
"""


def _violate(stage: Stage, frame: str, error: str) -> None:
    stage.node("setTimeout(() => response.end('hello\\n'), 2500)")
    nginx = nginx_h2(stage, f"ssl_protocols TLSv1.3; location /slow {{ proxy_pass http://{CLEAR_ENDPOINT}; }}")
    with stage.capture():
        client = stage.python_client(VIOLATING.replace("FRAME", frame), "h2")
    # nginx also tells of RST_STREAM frames that it never sent.
    (told,) = nginx.http2_connections()
    assert [one.error for one in told.frames if one.kind == "GOAWAY"] == [error]
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    exchanges = [{"complete": True}, {"response": None, "complete": False}]
    http2 = {"server": {"goaways": [{"error": error}]}}
    announced = {"by": "server", "how": "goaway"}
    stage.say("program", of, exchanges=exchanges, http2=http2, closed={"by": "server", "announced": announced})


@scenario(
    "h2-protocol-error",
    ran="a client of HTTP/2 that sends WINDOW_UPDATE with an increment of 0 while a request is under way; nginx",
    seen="GOAWAY PROTOCOL_ERROR, and a request that is not answered any more",
)
def h2_protocol_error(stage: Stage) -> None:
    """RFC 9113 section 6.9."""
    _violate(stage, "000004 08 00 00000000 00000000", "PROTOCOL_ERROR")


@scenario(
    "h2-frame-size-error",
    ran="a client of HTTP/2 that sends a PING of seven bytes while a request is under way; nginx",
    seen="GOAWAY FRAME_SIZE_ERROR, and a request that is not answered any more",
)
def h2_frame_size_error(stage: Stage) -> None:
    """RFC 9113 section 6.7."""
    _violate(stage, "000007 06 00 00000000 00000000000000", "FRAME_SIZE_ERROR")


REGARDLESS = """
from captures.recorder.http2_client import Client

client = Client()
is_open = True
while is_open:
    client.request("/a")
    is_open = client.wait(0.15)
client.close()
"""


@scenario(
    "h2-regardless",
    ran="a client of HTTP/2 that ignores GOAWAY; Envoy `max_requests_per_connection` 3, `drain_timeout` 0.7 s",
    seen="streams opened after the first GOAWAY, until Envoy has sent the second and closes",
)
def h2_regardless(stage: Stage) -> None:
    """RFC 9113 section 6.8: a receiver of GOAWAY must not open streams."""
    options = {"common_http_protocol_options": {"max_requests_per_connection": 3}, "drain_timeout": "0.7s"}
    envoy = envoy_h2(stage, options)
    with stage.capture():
        client = stage.python_client(REGARDLESS, "h2")
    envoy.stop()
    stage.learn_sockets(client.accounts)
    (account,) = client.accounts
    frames = account.frames or []
    first = next(position for position, frame in enumerate(frames) if frame.kind == "GOAWAY")
    after = sum(frame.kind == "HEADERS" and frame.by == "client" for frame in frames[first:])
    assert after >= 3, after


FOUR_GETS = """
import httpx, ssl, time

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client:
    for _ in range(4):
        client.get("https://shop.test:8443/a")
        time.sleep(0.6)
"""


@scenario(
    "h2-four-clients",
    ran="four programs at once, each with an httpx.Client(http2=True) and four GETs 0.6 s apart; nginx",
    seen="four HTTP/2 connections to one name, each with one stream at a time, where 128 are allowed",
    compress=True,
)
def h2_four_clients(stage: Stage) -> None:
    """What one client would have done on one connection."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    names = [f"client-{number}.py" for number in range(4)]
    with stage.capture():
        processes = [stage.start_python(FOUR_GETS, name) for name in names]
        ended = [
            stage.finish_python(process, name, ("httpx", "h2")) for process, name in zip(processes, names, strict=True)
        ]
    accounts = [account for client in ended for account in client.accounts]
    stage.learn_sockets(accounts)
    stage.learn_nginx(nginx)
    for account in accounts:
        of = facts.connection(account.local, account.remote)
        stage.say("program", of, http2={"streams": 4, "peak_streams": 1, "stream_limit": 128})


LIMITED = """
import concurrent.futures, httpx, ssl

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client, concurrent.futures.ThreadPoolExecutor(8) as threads:
    client.get("https://shop.test:8443/first")
    list(threads.map(client.get, [f"https://shop.test:8443/{number}" for number in range(8)]))
"""


@scenario(
    "h2-limited",
    ran="an httpx.Client(http2=True) with eight GETs at once, 0.2 s each; nginx `http2_max_concurrent_streams 2`",
    seen="never more than two streams in flight: six requests wait in the client",
    compress=True,
)
def h2_limited(stage: Stage) -> None:
    """A limit that is kept, and felt."""
    stage.node("setTimeout(() => response.end('hello\\n'), 200)")
    server = (
        f"ssl_protocols TLSv1.3; http2_max_concurrent_streams 2; location / {{ proxy_pass http://{CLEAR_ENDPOINT}; }}"
    )
    nginx = nginx_h2(stage, server)
    with stage.capture():
        client = stage.python_client(LIMITED, "httpx", "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, requests=9, http2={"peak_streams": 2, "stream_limit": 2, "refused_streams": 0})


FORBIDDEN = """
from captures.recorder.http2_client import Client

client = Client()
client.h2.config.validate_outbound_headers = False
client.h2.config.normalize_outbound_headers = False
for _ in range(3):
    client.wait_for_end(client.request("/a", "GET", True, ("connection", "keep-alive")))
client.close()
"""


@scenario(
    "h2-forbidden-header",
    ran="a client of HTTP/2 that says `connection: keep-alive` in three requests; nginx",
    seen="a header field that HTTP/2 does not allow; nginx answers all the same",
)
def h2_forbidden_header(stage: Stage) -> None:
    """RFC 9113 section 8.2.2."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        client = stage.python_client(FORBIDDEN, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, requests=3, http2={"forbidden_headers": [{"name": "connection"}] * 3})


@scenario(
    "alpn-not-offered",
    ran="curl once with HTTP/2 and three times with --http1.1, two URLs each; nginx with HTTP/2 over TLS 1.3",
    seen="one connection of HTTP/2, and three whose client did not offer it",
)
def alpn_not_offered(stage: Stage) -> None:
    """A server that could, and a client that does not ask."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        for options in ((), ("--http1.1",), ("--http1.1",), ("--http1.1",)):
            clients = stage.curl("--cacert", "shop.test.pem", *options, URL, URL)
            stage.learn_curl_tls(clients[:1], ENDPOINT)
    stage.learn_log("nginx access log", nginx.requests())
    stage.say("curl -v", facts.endpoint(ENDPOINT), opened=4, protocols={"h2": 1, "http/1.1": 3})


@scenario(
    "alpn-http1-server",
    ran="curl three times with two URLs each, offering h2; nginx without `http2`",
    seen="ALPN offers h2 and http/1.1, the server chooses http/1.1; keep-alive works",
)
def alpn_http1_server(stage: Stage) -> None:
    """A client that could, and a server that does not."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        for _ in range(3):
            clients = stage.curl("--cacert", "shop.test.pem", URL, URL)
            stage.learn_curl_tls(clients[:1], ENDPOINT)
    stage.learn_log("nginx access log", nginx.requests())
    stage.say("curl -v", facts.endpoint(ENDPOINT), opened=3, protocols={"http/1.1": 3})


RESUMED = """
import socket, ssl, time

context = ssl.create_default_context(cafile="shop.test.pem")
session = None
for _ in range(4):
    with socket.create_connection(("shop.test", 8443)) as plain:
        connection = context.wrap_socket(plain, server_hostname="shop.test", session=session)
        for _ in range(3):
            connection.sendall(b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
            while not connection.recv(4096).endswith(b"hello\\n"):
                pass
        session = connection.session
        connection.close()
    time.sleep(0.3)
"""


@scenario(
    "tls-resumed",
    ran="a Python client with four connections one after the other, three GETs each, over TLS 1.3, that resumes",
    seen="one full handshake and three resumed ones",
)
def tls_resumed(stage: Stage) -> None:
    """What tls-full-handshakes would be if the client kept its tickets."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        client = stage.python_client(RESUMED)
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    stage.say("program", facts.endpoint(ENDPOINT), handshake={"tls": {"n": 4, "resumed": 3}}, opened=4, requests=12)
