"""Messages of HTTP/2 that have to be read right: split header blocks, tables that change, interim responses, tunnels.

The client is `http2_client.Client`, whose library tells every frame and header section.
"""

from __future__ import annotations

from .. import facts, facts_tls
from ..network import SERVER
from ..servers_http2 import NodeHttp2
from ..stage import Stage, scenario
from .http2_servers import nginx_h2

LONG_FIELD = """
from captures.recorder.http2_client import Client

long = ("x-long", "0123456789" * 4000)
client = Client()
# The first time before the server's SETTINGS were read, which allow larger frames.
for path in "ab":
    client.wait_for_end(client.request("/" + path, "GET", True, long))
client.get("/c")
client.close()
"""

OTHER_TABLES = """
from h2.settings import SettingCodes
from captures.recorder.http2_client import Client

client = Client()
for size in (4096, 0, 65536):
    client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
    client.flush()
    client.wait(0.2)
    for _ in range(2):
        client.get("/a")
client.close()
"""

ONE = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.wait(0.2)
client.close()
"""

TUNNEL = """
from captures.recorder.http2_client import Client

client = Client()
stream = client.h2.get_next_available_stream_id()
client.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", "shop.test:8001")])
client.h2.send_data(stream, b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\nConnection: close\\r\\n\\r\\n")
client.flush()
client.wait(0.5)
client.h2.end_stream(stream)
client.flush()
client.wait(0.3)
client.close()
"""


def _against_node(stage: Stage, stream: str, code: str) -> tuple[NodeHttp2, facts.Json]:
    """Record the client against Node; returns the server, and what the fact about the connection is about."""
    stage.certificate()
    stage.packages.add("node")
    node = NodeHttp2(stage.server, stage.scratch / "node", stream)
    stage.keep(node)
    with stage.capture():
        client = stage.python_client(code, "h2")
    stage.learn_sockets(client.accounts)
    (account,) = client.accounts
    (session,) = (event for event in node.events() if event["event"] == "session")
    of = facts.connection(account.local, account.remote)
    assert session["client"] == account.local
    tls = {"version": facts_tls.VERSIONS[session["tls"]], "cipher": session["cipher"], "alpn": session["alpn"]}
    stage.say("Node program", of, tls=tls | {"sni": session["sni"], "resumed": session["resumed"]})
    return node, of


@scenario(
    "h2-continuation",
    ran="a client of HTTP/2 with a field of 40,000 bytes in two requests; nginx that allows it",
    seen="a header block in HEADERS and CONTINUATION, then one in a frame larger than the default allows",
)
def h2_continuation(stage: Stage) -> None:
    """A header block longer than a frame."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3; large_client_header_buffers 4 64k;")
    with stage.capture():
        client = stage.python_client(LONG_FIELD, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_log("nginx access log", nginx.requests())
    (account,) = client.accounts
    assert sum(frame.kind == "CONTINUATION" for frame in account.frames or ()) == 1


@scenario(
    "h2-table-size",
    ran="a client of HTTP/2 that announces header tables of 4,096, 0 and 65,536 bytes in turn; Node",
    seen="the server's encoder follows: updates of the table's size at the beginning of header blocks",
)
def h2_table_size(stage: Stage) -> None:
    """RFC 7541 section 4.2."""
    answer = (
        "stream.respond({':status': 200, server: 'a server with a name', 'content-length': 6}); stream.end('hello\\n')"
    )
    _, of = _against_node(stage, answer, OTHER_TABLES)
    stage.say("program", of, requests=6, http2={"headers_reliable": True})


@scenario(
    "h2-interim",
    ran="a client of HTTP/2; Node answers with 103, 200 and trailers",
    seen="two header sections of one response, and a third behind its body",
)
def h2_interim(stage: Stage) -> None:
    """Which of the sections is the response."""
    answer = (
        "stream.additionalHeaders({':status': 103, link: '</b>; rel=preload'})\n"
        "  stream.respond({':status': 200}, {waitForTrailers: true})\n"
        "  stream.on('wantTrailers', () => stream.sendTrailers({digest: 'md5=x'}))\n"
        "  stream.end('hello\\n')"
    )
    _against_node(stage, answer, ONE)


@scenario(
    "h2-connect",
    ran="a client of HTTP/2 that asks Node for a tunnel (CONNECT) to nginx, and says HTTP/1.1 in it",
    seen="a stream that is a tunnel: its bytes are counted, and not looked at",
)
def h2_connect(stage: Stage) -> None:
    """RFC 9113 section 8.5."""
    stage.nginx()
    answer = (
        f"const there = require('net').connect(8001, '{SERVER}', () => {{\n"
        "    stream.respond({':status': 200}); stream.pipe(there); there.pipe(stream) })"
    )
    _, of = _against_node(stage, answer, TUNNEL)
    asked = {"method": "CONNECT", "target": None, "authority": "shop.test:8001"}
    stage.say("program", of, protocol="h2", exchanges=[{"request": asked}], requests=1)


@scenario(
    "connect-tls-in-tls",
    ran="curl through a CONNECT tunnel of Apache, itself over TLS, to nginx with TLS and HTTP/2",
    seen="TLS to the proxy, CONNECT in it, and in the tunnel another TLS with HTTP/2",
)
def connect_tls_in_tls(stage: Stage) -> None:
    """An HTTPS proxy: what is inside is described, not the outer TLS."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    tls = "SSLEngine on\nSSLCertificateFile ../shop.test.pem\nSSLCertificateKeyFile ../shop.test.key"
    modules = ("ssl", "proxy", "proxy_connect")
    stage.apache(f"{tls}\nProxyRequests On\nAllowCONNECT 8443", modules, port=3128)
    proxy = ("-p", "-x", "https://shop.test:3128", "--proxy-cacert", "shop.test.pem")
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", *proxy, "https://shop.test:8443/a")
    of = facts.connection(clients[0], f"{SERVER}:3128")
    ((_, told),) = facts_tls.from_peer_log(nginx.http2_connections(), ("client",), tls=True)
    asked = {"method": "CONNECT", "target": "shop.test:8443"}
    exchanges: list[facts.Json] = [{"inside": False, "request": asked, "response": {"status": 200}}]
    exchanges += [exchange | {"inside": True} for exchange in told["exchanges"]]
    says = {"tunnel": {"target": "shop.test:8443"}, "protocol": "h2", "http2": told["http2"]}
    inner = {"version": "TLS 1.3", "sni": "shop.test", "alpn_offered": ["h2", "http/1.1"], "alpn": "h2"}
    stage.say("curl and nginx debug log", of, tls=inner, exchanges=exchanges, **says)
