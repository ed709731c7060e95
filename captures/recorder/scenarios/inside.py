"""What comes around and inside: tunnels, WebSocket, gRPC, and PROXY protocol headers."""

from __future__ import annotations

import json

from .. import facts
from ..facts_tls import from_curl, from_peer_log
from ..network import SERVER
from ..stage import Stage, scenario
from .http2_servers import TLS, nginx_h2
from .paths import _with_proxy

CLEAR_ENDPOINT = f"{SERVER}:8001"

WEBSOCKET_SERVER = """
import asyncio, ssl, websockets

async def talk(connection):
    async for message in connection:
        if message == "beat":
            await (await connection.ping(b"server"))
            await connection.send("beaten")
        else:
            await connection.send(message.upper() if len(message) < 100 else str(len(message)))

async def main():
    context = None
    if PORT == 8443:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("../shop.test.pem", "../shop.test.key")
    async with websockets.serve(talk, "10.0.0.1", PORT, ssl=context, ping_interval=None, compression=None):
        await asyncio.Future()

asyncio.run(main())
"""

WEBSOCKET_CLIENT = """
import json, ssl, time
from websockets.sync.client import connect

context = ssl.create_default_context(cafile="shop.test.pem") if URL.startswith("wss") else None
with connect(URL, ssl=context, ping_interval=None, compression=None) as connection:
    connection.send("hello")
    assert connection.recv() == "HELLO"
    connection.send("x" * 70000)
    assert connection.recv() == "70000"
    for _ in range(3):
        assert connection.ping().wait(5)
        time.sleep(0.3)
    connection.send("beat")
    assert connection.recv() == "beaten"
    port = connection.local_address[1]
    connection.close(4001, "that is all")
    print(json.dumps([port, connection.close_code, connection.close_reason]))
"""

GRPC_SERVER = """
import concurrent.futures, grpc

def get(request, context):
    if request == b"none":
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")
    return request.upper()

def count(request, context):
    for number in range(3):
        yield b"%d" % number

handlers = {
    "Get": grpc.unary_unary_rpc_method_handler(get),
    "Count": grpc.unary_stream_rpc_method_handler(count),
}
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Shop", handlers),))
server.add_insecure_port("10.0.0.1:8001")
server.start()
server.wait_for_termination()
"""

GRPC_CLIENT = """
import grpc, json

statuses = []
with grpc.insecure_channel("10.0.0.1:8001") as channel:
    get, count = channel.unary_unary("/shop.Shop/Get"), channel.unary_stream("/shop.Shop/Count")
    for request in (b"one", b"two", b"none"):
        try:
            get(request)
            statuses.append(0)
        except grpc.RpcError as error:
            statuses.append(error.code().value[0])
    assert [bytes(number) for number in count(b"")] == [b"0", b"1", b"2"]
    statuses.append(0)
print(json.dumps(statuses))
"""


@scenario(
    "connect-tls",
    ran="curl through a CONNECT tunnel of Apache mod_proxy_connect to nginx with TLS and HTTP/2, two URLs",
    seen="CONNECT, 200, and inside the tunnel TLS 1.3 with HTTP/2",
)
def connect_tls(stage: Stage) -> None:
    """What a forward proxy carries."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    stage.apache("ProxyRequests On\nAllowCONNECT 8443", ("proxy", "proxy_connect"), port=3128)
    urls = [f"https://shop.test:8443/{name}" for name in "ab"]
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", "-p", "-x", f"http://{SERVER}:3128", *urls)
    assert len(set(clients)) == 1
    of = facts.connection(clients[0], f"{SERVER}:3128")
    (tls,) = from_curl((stage.scratch / "curl.log").read_text())
    asked = {"method": "CONNECT", "target": "shop.test:8443"}
    exchanges: list[facts.Json] = [{"inside": False, "stream": None, "request": asked, "response": {"status": 200}}]
    ((_, told),) = from_peer_log(nginx.http2_connections(), ("client",), tls=True)
    exchanges += [exchange | {"inside": True} for exchange in told["exchanges"]]
    says = {"tunnel": {"target": "shop.test:8443"}, "tls": tls | {"sni": "shop.test"}, "protocol": "h2"}
    stage.say("curl and nginx debug log", of, exchanges=exchanges, http2=told["http2"], **says)
    stage.say("curl -w", of, closed={"by": "client", "how": "fin"}, name="shop.test", name_from="sni")


def _websocket(stage: Stage, port: int, url: str) -> None:
    stage.certificate()
    code = WEBSOCKET_SERVER.replace("PORT", str(port))
    stage.python_server(["-c", code], code.lstrip(), "websockets", port=port)
    with stage.capture():
        client = stage.python_client(WEBSOCKET_CLIENT.replace("URL", repr(url)), "websockets")
    stage.learn_sockets(client.accounts, transcripts=False)
    local_port, code_of_close, reason = json.loads(client.output)
    (account,) = client.accounts
    assert account.local.endswith(f":{local_port}")
    of = facts.connection(account.local, account.remote)
    close = {"by": "client", "code": code_of_close, "reason": reason}
    exchange = {"request": {"method": "GET", "target": "/talk", "upgrade": "websocket"}, "response": {"status": 101}}
    says = {"protocol": "websocket", "upgrade": {"to": "websocket"}, "requests": 1, "exchanges": [exchange]}
    # Three pings of the client, one of the server, each answered.
    stage.say("client", of, websocket={"pings": 4, "pongs": 4, "close": close}, **says)


@scenario(
    "websocket",
    ran="the library websockets on both ends: messages of 5 and 70,000 bytes, pings both ways, close 4001",
    seen="101, then frames: masked from the client, a beat of pings, a close code with its reason",
    compress=True,
)
def websocket(stage: Stage) -> None:
    """RFC 6455 in the clear."""
    _websocket(stage, 8001, "ws://shop.test:8001/talk")


@scenario("websocket-tls", ran="as websocket, over TLS 1.3", seen="the same inside TLS", compress=True)
def websocket_tls(stage: Stage) -> None:
    """wss."""
    _websocket(stage, 8443, "wss://shop.test:8443/talk")


@scenario(
    "grpc",
    ran="grpcio on both ends, in the clear: two calls that succeed, one that finds nothing, one that streams",
    seen="`grpc-status` in trailers, and in the only header section of a response that has no body",
)
def grpc(stage: Stage) -> None:
    """gRPC's status is not HTTP's."""
    stage.python_server(["-c", GRPC_SERVER], GRPC_SERVER.lstrip(), "grpcio")
    client = stage.only_port(40001)
    with stage.capture():
        program = stage.python_client(GRPC_CLIENT, "grpcio")
    statuses = json.loads(program.output)
    assert statuses == [0, 0, 5, 0]
    calls = ("Get", "Get", "Get", "Count")
    exchanges = [
        {"stream": 2 * number + 1, "request": {"method": "POST", "target": f"/shop.Shop/{call}"}}
        | {"response": {"status": 200}, "complete": True}
        for number, call in enumerate(calls)
    ]
    of = facts.connection(client, CLEAR_ENDPOINT)
    says = {"protocol": "h2c", "requests": 4, "responses": 4, "exchanges": exchanges}
    stage.say("client", of, grpc={"statuses": {"exactly": {"0": 3, "5": 1}}}, **says)


GRPC_WAITING_SERVER = GRPC_SERVER.replace("yield b", "time.sleep(30)\n        yield b").replace(
    "import concurrent.futures, grpc", "import concurrent.futures, grpc, time"
)

GRPC_PINGING_CLIENT = """
import grpc

options = [("grpc.keepalive_time_ms", 500), ("grpc.http2.max_pings_without_data", 0)]
with grpc.insecure_channel("10.0.0.1:8001", options) as channel:
    try:
        list(channel.unary_stream("/shop.Shop/Count")(b"", timeout=20))
    except grpc.RpcError as error:
        print(error.code().name, error.details())
"""


@scenario(
    "grpc-too-many-pings",
    ran="grpcio with a keep-alive PING each half second on a call that waits; the server allows one in five minutes",
    seen="PINGs, then GOAWAY ENHANCE_YOUR_CALM with the debug data `too_many_pings`",
)
def grpc_too_many_pings(stage: Stage) -> None:
    """A keep-alive that kills."""
    stage.python_server(["-c", GRPC_WAITING_SERVER], GRPC_WAITING_SERVER.lstrip(), "grpcio")
    client = stage.only_port(40001)
    with stage.capture():
        program = stage.python_client(GRPC_PINGING_CLIENT, "grpcio")
    assert "Too many pings" in program.output or "too_many_pings" in program.output, program.output
    of = facts.connection(client, CLEAR_ENDPOINT)
    goaways = [{"error": "ENHANCE_YOUR_CALM", "debug": "too_many_pings"}]
    http2 = {"server": {"goaways": goaways}, "client": {"pings": {"least": 3}}}
    stage.say("client", of, protocol="h2c", requests=1, http2=http2)


@scenario(
    "proxy-protocol-1",
    ran="curl with two URLs through HAProxy (`mode tcp`, `send-proxy`) to nginx; captured behind the proxy",
    seen="a line of text that names the client, before the first request",
    topology=_with_proxy,
    programs=("haproxy",),
)
def proxy_protocol_1(stage: Stage) -> None:
    """PROXY protocol, version 1."""
    nginx = stage.nginx("set_real_ip_from 0.0.0.0/32;", address="10.0.1.1", listen="proxy_protocol")
    stage.haproxy(
        ["mode tcp", "bind 10.0.0.254:8443"], ["mode tcp", "server nginx 10.0.1.1:8001 send-proxy"], "router", False
    )
    with stage.capture(host="router", interfaces=["server0"]):
        clients = stage.curl("http://10.0.0.254:8443/a", "http://10.0.0.254:8443/b")
    stage.learn_nginx(nginx)
    (behind,) = {(request.client, request.proxied) for request in nginx.requests()}
    client, proxied = behind
    assert proxied == (clients[0], "10.0.0.254:8443")
    header = {"version": 1, "source": clients[0], "destination": "10.0.0.254:8443"}
    stage.say(
        "curl -w and nginx $proxy_protocol_addr", facts.connection(client, "10.0.1.1:8001"), proxy_protocol=header
    )


@scenario(
    "proxy-protocol-2",
    ran="curl with two URLs through HAProxy (`mode tcp`, `send-proxy-v2`) to nginx with TLS and HTTP/2",
    seen="a binary header that names the client, before the ClientHello",
    topology=_with_proxy,
    programs=("haproxy",),
)
def proxy_protocol_2(stage: Stage) -> None:
    """PROXY protocol, version 2, before TLS."""
    stage.certificate()
    server = f"{TLS} ssl_protocols TLSv1.3;"
    nginx = stage.nginx(server, address="10.0.1.1", port=8443, listen="ssl http2 proxy_protocol")
    backend = ["mode tcp", "server nginx 10.0.1.1:8443 send-proxy-v2"]
    stage.haproxy(["mode tcp", "bind 10.0.0.254:8443"], backend, "router", False)
    urls = [f"https://shop.test:8443/{name}" for name in "ab"]
    with stage.capture(host="router", interfaces=["server0"]):
        clients = stage.curl("--cacert", "shop.test.pem", "--resolve", "shop.test:8443:10.0.0.254", *urls)
    stage.learn_nginx(nginx)
    (behind,) = {(request.client, request.proxied) for request in nginx.requests()}
    client, proxied = behind
    assert proxied == (clients[0], "10.0.0.254:8443")
    stage.learn_curl_tls([client], "10.0.1.1:8443")
    of = facts.connection(client, "10.0.1.1:8443")
    header = {"version": 2, "source": clients[0], "destination": "10.0.0.254:8443"}
    stage.say("curl -w and nginx $proxy_protocol_addr", of, proxy_protocol=header, protocol="h2", requests=2)
