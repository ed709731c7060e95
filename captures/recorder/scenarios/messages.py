"""HTTP messages whose framing has to be right: pipelining, trailers, no bodies, interim responses, tunnels."""

from __future__ import annotations

from .. import facts
from ..conversation import get, read_response, read_to_end, request
from ..network import SERVER
from ..observed import Account
from ..stage import Stage, scenario

ENDPOINT = f"{SERVER}:8001"


def _only(stage: Stage) -> Account:
    (account,) = stage.own_accounts()
    return account


@scenario(
    "pipelining",
    ran="three GETs written at once, the last with `Connection: close`; nginx",
    seen="three requests in one segment, three responses in order; the client announced the close, the server does it",
)
def pipelining(stage: Stage) -> None:
    """A queue of requests on one connection."""
    nginx = stage.nginx()
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        last = request("GET", "/c", "Connection: close")
        connection.sendall(request("GET", "/a") + request("GET", "/b") + last)
        read_to_end(connection)
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    account = _only(stage)
    closed = {"by": "server", "announced": {"by": "client", "how": "connection-close"}}
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, closed=closed, exchanges=[{"index": 0}, {"index": 1}, {"index": 2}])


@scenario(
    "trailers",
    ran="two chunked responses of Node with a trailer section, on one connection",
    seen="`Transfer-Encoding: chunked`, several chunks, and a field after the last one; the second response is found",
)
def trailers(stage: Stage) -> None:
    """The end of a chunked body is a section, not four bytes."""
    node = stage.node(
        "response.writeHead(200, {Trailer: 'Digest'}); response.write('hel'); response.write('lo\\r\\n0\\r\\n');"
        " response.addTrailers({Digest: 'md5=x'}); response.end()"
    )
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        get(connection, "/one")
        get(connection, "/two")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_log("Node program", node.requests())


@scenario(
    "no-bodies",
    ran="HEAD, a 204, a 304 and a GET on one connection to nginx",
    seen="responses that have no body whatever their Content-Length says, and the one after them",
)
def no_bodies(stage: Stage) -> None:
    """RFC 9112 section 6.3, number 1."""
    nginx = stage.nginx("location = /none { return 204; }")
    with stage.capture():
        connection = stage.client.connect(SERVER, 8001)
        connection.sendall(request("HEAD", "/a"))
        modified = read_response(connection, "HEAD").headers["Last-Modified"]
        get(connection, "/none")
        get(connection, "/a", f"If-Modified-Since: {modified}")
        get(connection, "/a")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx)
    account = _only(stage)
    bodies = [{"response": {"status": status, "body_bytes": size}} for status, size in ((200, 0), (204, 0), (304, 0))]
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, exchanges=[*bodies, {"response": {"status": 200, "body_bytes": 6}}])


@scenario(
    "expect-continue",
    ran="curl posts 4,000 bytes with `Expect: 100-continue` to Node, twice on one connection",
    seen="`100 Continue` before the body, then the final response",
)
def expect_continue(stage: Stage) -> None:
    """An interim response is no response."""
    node = stage.node("request.resume(); request.on('end', () => response.end('hello\\n'))")
    body = "x" * 4000
    url = "http://shop.test:8001/a"
    with stage.capture():
        clients = stage.curl("-H", "Expect: 100-continue", "--data-binary", body, url, url)
    log = (stage.scratch / "curl.log").read_text()
    assert log.count("< HTTP/1.1 100 Continue") == 2
    stage.learn_log("Node program", node.requests())
    exchange = {"interim": [{"status": 100}], "request": {"content_length": 4000, "body_bytes": 4000}}
    says = {"requests": 2, "responses": 2, "exchanges": [exchange, exchange]}
    stage.say("curl -v", facts.connection(clients[0], ENDPOINT), **says)


@scenario(
    "connect-tunnel",
    ran="curl through a CONNECT tunnel of Apache mod_proxy_connect to nginx",
    seen="CONNECT, 200, and inside the tunnel plain HTTP",
)
def connect_tunnel(stage: Stage) -> None:
    """What is said inside belongs to the same TCP connection."""
    stage.nginx()
    proxy = "ProxyRequests On\nAllowCONNECT 8001"
    stage.apache(proxy, ("proxy", "proxy_connect"), port=3128)
    with stage.capture():
        clients = stage.curl("-p", "-x", f"http://{SERVER}:3128", "http://shop.test:8001/a", "http://shop.test:8001/b")
    of = facts.connection(clients[0], f"{SERVER}:3128")
    exchanges = [
        {"inside": False, "request": {"method": "CONNECT", "target": "shop.test:8001"}, "response": {"status": 200}},
        {"inside": True, "request": {"method": "GET", "target": "/a"}, "response": {"status": 200, "body_bytes": 6}},
        {"inside": True, "request": {"method": "GET", "target": "/b"}, "response": {"status": 200, "body_bytes": 6}},
    ]
    closed = {"by": "client", "how": "fin"}
    stage.say("curl", of, tunnel={"target": "shop.test:8001"}, exchanges=exchanges, name=None, closed=closed)


@scenario(
    "mid-stream",
    ran="a connection with three requests; the capture begins after the first",
    seen="no SYN: the connection was already open, and the client is known by what it says",
)
def mid_stream(stage: Stage) -> None:
    """A capture that comes late."""
    nginx = stage.nginx()
    connection = stage.client.connect(SERVER, 8001)
    get(connection, "/a")
    with stage.capture():
        get(connection, "/b")
        get(connection, "/c")
        connection.close()
    stage.learn_sockets(stage.own_accounts())
    stage.learn_nginx(nginx, whole=False)
    account = _only(stage)
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, requests=2, opened={"syn_packet": None}, closed={"by": "client", "how": "fin"})
    stage.say("program", facts.endpoint(ENDPOINT), already_open=1, opened=0, requests_per_connection={"partial": 1})
