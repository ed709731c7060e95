"""Clients of HTTP/2: how they come to it, how they use and end it, and captures that miss a part.

Where the server is nginx, its debug log tells each frame; else the client does, by the library h2 or by its own words.
"""

from __future__ import annotations

import json
import time
from typing import Any

from .. import facts, facts_tls, frames
from ..network import SERVER, Network, over_wire
from ..observed import Account
from ..peerlogs import Told, from_nghttp
from ..servers_http2 import Nghttpd, NodeHttp2
from ..stage import Stage, scenario
from .http2_servers import ENDPOINT, URL, nginx_h2

CLEAR_ENDPOINT = f"{SERVER}:8001"

HTTPX_GOAWAY = """
import ssl, httpx

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client:
    for _ in range(5):
        try:
            client.get("https://shop.test:8443/a")
        except httpx.LocalProtocolError as error:
            print(error)
"""

SLOW_READER = """
import time
from captures.recorder.http2_client import Client

client = Client()
client.reads_bodies = False
stream = client.request("/big")
client.wait(1.2)
client.reads_bodies = True
before = time.time_ns()
client.h2.acknowledge_received_data(65535, stream)
client.flush()
client.wait_for_end(stream)
client.close()
"""

CANCEL = """
from h2.errors import ErrorCodes
from captures.recorder.http2_client import Client

client = Client()
stream = client.request("/slow")
client.wait(0.3)
client.h2.reset_stream(stream, ErrorCodes.CANCEL)
client.flush()
client.get("/a")
client.h2.ping(b"01234567")
client.flush()
client.wait(0.2)
client.h2.close_connection()
client.flush()
client.close()
"""

TOO_MANY = """
from captures.recorder.http2_client import Client

client = Client()
# Before the server's SETTINGS have been read, which would hold h2 back.
streams = [client.request("/a") for _ in range(4)]
client.wait_for_end(*streams)
client.close()
"""

PUSHED = """
from captures.recorder.http2_client import Client

client = Client()
client.get("/a")
client.wait(0.3)
client.close()
"""

LATE = """
from captures.recorder.http2_client import Client

client = Client(8001, tls=False)
client.get("/a")
client.wait(2)
client.get("/b")
client.h2.ping(b"01234567")
client.flush()
client.wait(0.2)
client.get("/c")
client.close()
"""

WITH_A_BIG_ONE = """
from captures.recorder.http2_client import Client

client = Client()
for name in ("a", "medium", "b"):
    client.get("/" + name)
client.close()
"""

NODE_CLIENT = """
const http2 = require('http2'), fs = require('fs')
const tell = event => console.log(JSON.stringify(event))
const session = http2.connect('https://shop.test:8443', {ca: fs.readFileSync('shop.test.pem')})
session.on('connect', () => tell({event: 'connect', port: session.socket.localPort, alpn: session.alpnProtocol,
  tls: session.socket.getProtocol(), cipher: session.socket.getCipher().standardName}))
session.on('remoteSettings', settings => tell({event: 'settings', settings}))
session.on('goaway', (error, last) => tell({event: 'goaway', error, last}))
session.on('close', () => tell({event: 'close'}))
const get = path => new Promise(done => {
  const stream = session.request({':path': path})
  stream.on('response', headers => tell({event: 'response', stream: stream.id, status: headers[':status']}))
  stream.resume()
  stream.on('close', () => done())
})
async function main() {
  await Promise.all([get('/a'), get('/b')])
  await new Promise(done => session.ping(Buffer.from('pingpong'),
    (error, ms, payload) => { tell({event: 'pong', ms, payload: payload.toString()}); done() }))
  await get('/last')
}
main()
"""


def _only(accounts: list[Account]) -> tuple[Account, facts.Json]:
    (account,) = accounts
    return account, facts.connection(account.local, account.remote)


@scenario(
    "curl-h2",
    ran="curl with two URLs and a POST of 4,000 bytes, to nginx with HTTP/2 over TLS 1.3",
    seen="ALPN offers h2 and http/1.1, h2 is chosen; one connection",
)
def curl_h2(stage: Stage) -> None:
    """What a client is usually configured for. The recording of the live test."""
    # A proxy reads the body before it answers; else an answer and a reset may come first.
    behind = "server { listen 127.0.0.1:8002; access_log off; location / { return 200 hello; } }"
    post = "location = /post { proxy_pass http://127.0.0.1:8002; }"
    nginx = nginx_h2(stage, f"ssl_protocols TLSv1.3; {post}", http=behind)
    posted = ("--next", "--cacert", "shop.test.pem", "--data-binary", "x" * 4000, "https://shop.test:8443/post")
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", URL, URL, *posted)
    stage.learn_nginx(nginx)
    stage.learn_curl_tls(clients[:1], ENDPOINT)
    assert len(set(clients)) == 1
    stage.say("curl -w", facts.connection(clients[0], ENDPOINT), protocol="h2", requests=3, closed={"by": "client"})


@scenario(
    "httpx-h2-goaway",
    ran="an httpx.Client(http2=True) that fetches five times from nginx `keepalive_requests 3`",
    seen="the third request fails in the client: the library h2 takes GOAWAY for the end, the response is behind it",
)
def httpx_h2_goaway(stage: Stage) -> None:
    """A fault of a client, told by its exception; the response was sent nevertheless, as nginx's logs say."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3; keepalive_requests 3;")
    with stage.capture():
        client = stage.python_client(HTTPX_GOAWAY, "httpx", "h2")
    assert "in state ConnectionState.CLOSED" in client.output
    stage.learn_nginx(nginx)
    of = facts.connection(client.accounts[0].local, ENDPOINT)
    announced = {"by": "server", "how": "goaway"}
    stage.say("nginx keepalive_requests", of, requests=3, closed={"announced": announced})
    stage.say("program", facts.endpoint(ENDPOINT), opened=len(client.accounts), protocols={"h2": len(client.accounts)})


@scenario(
    "h2c-upgrade",
    ran="curl --http2 with a URL of Apache `Protocols h2c http/1.1`, in the clear",
    seen="an HTTP/1.1 request with `Upgrade: h2c`, 101, and its response on stream 1",
)
def h2c_upgrade(stage: Stage) -> None:
    """RFC 7540 section 3.2."""
    apache = stage.apache("Protocols h2c http/1.1", ("http2",))
    with stage.capture():
        clients = stage.curl("--http2", "http://shop.test:8001/a")
    log = (stage.scratch / "curl.log").read_text()
    assert log.count("< HTTP/1.1 101 ") == log.count("< HTTP/2 200") == 1
    assert sorted((request.client, request.status) for request in apache.requests()) == [
        (clients[0], 101),
        (clients[0], 200),
    ]
    of = facts.connection(clients[0], CLEAR_ENDPOINT)
    says = {"protocol": "h2c", "upgrade": {"to": "h2c"}, "exchanges": _upgraded("curl/7.88.1"), "tls": None}
    stage.say("curl -v and Apache access log", of, **says)


def _upgraded(user_agent: str) -> list[facts.Json]:
    """The exchange that asks for HTTP/2, and its answer on stream 1."""
    asked = {"method": "GET", "target": "/a", "connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}
    body = {"status": 200, "content_length": 6, "body_bytes": 6}
    switch = {"status": 101, "connection": "Upgrade"}
    return [
        {"stream": None, "request": asked | {"user_agent": user_agent}, "response": switch},
        {"stream": 1, "request": None, "response": body},
    ]


def _nghttp(stage: Stage, *arguments: str) -> tuple[str, Told]:
    """Run nghttp -v from a port; returns its address and what it told, which is every frame of its connection."""
    client = stage.only_port(40001)
    stage.packages.add("nghttp")
    command = ("nghttp", "-nv", *arguments)
    stage.configuration["nghttp"] = " ".join(command)
    with stage.capture():
        output = stage.client.run(*command, environment=stage.environment)
    (told,) = from_nghttp(output.splitlines(), "client")
    told.peer = SERVER
    return client, told


@scenario(
    "h2c-upgrade-streams",
    ran="nghttp with `Upgrade: h2c` and two URLs of Apache, in the clear",
    seen="PRIORITY frames, the response of the upgrade on stream 1, GOAWAY with debug data; stream 13 may be lost",
    programs=("nghttp",),
)
def h2c_upgrade_streams(stage: Stage) -> None:
    """An upgrade with more requests behind it."""
    stage.apache("Protocols h2c http/1.1", ("http2",))
    client, told = _nghttp(stage, "-u", *(f"http://shop.test:8001/{name}" for name in ("a", "none")))
    of = facts.connection(client, CLEAR_ENDPOINT)
    says = {"http2": frames.connection(told.frames), "upgrade": {"to": "h2c"}, "protocol": "h2c"}
    exchanges = _upgraded("nghttp2/1.52.0") + frames.exchanges(told.frames, told.sections)
    stage.say("nghttp -v", of, exchanges=exchanges, **says)


@scenario(
    "h2c-prior-knowledge",
    ran="nghttp with three URLs of nghttpd, in the clear",
    seen="the preface at once, PRIORITY, three streams in flight; one file is not there",
    programs=("nghttpd", "nghttp"),
)
def h2c_prior_knowledge(stage: Stage) -> None:
    """HTTP/2 without TLS and without asking."""
    nghttpd = Nghttpd(stage.server, stage.scratch / "nghttpd", "--no-tls")
    stage.keep(nghttpd)
    client, told = _nghttp(stage, *(f"http://shop.test:8443/{name}" for name in ("a", "b", "none")))
    by_client = facts_tls.from_peer_log([told], frames.SIDES, tls=False)
    by_server = facts_tls.from_peer_log(nghttpd.http2_connections(), frames.SIDES, tls=False)
    of = facts.connection(client, ENDPOINT)
    for source, ((_, says),) in (("nghttp -v", by_client), ("nghttpd -v", by_server)):
        stage.say(source, of, **says)
    stage.say("nghttp -v", of, protocol="h2c", requests=3, tls=None)


@scenario(
    "node-h2",
    ran="Node's http2 client and server: two requests at once, a PING, a request with which the server ends it",
    seen="two streams in flight, a PING and its answer, GOAWAY with the last response",
)
def node_h2(stage: Stage) -> None:
    """Both ends by their own events."""
    stage.certificate()
    stage.packages.add("node")
    answer = (
        "setTimeout(() => { stream.respond({':status': 200}); stream.end('hello\\n') }, 100)\n"
        "  if (headers[':path'] == '/last') setTimeout(() => stream.session.close(), 50)"
    )
    node = NodeHttp2(stage.server, stage.scratch / "node", answer)
    stage.keep(node)
    stage.configuration["client.js"] = NODE_CLIENT.strip()
    (stage.scratch / "client.js").write_text(NODE_CLIENT)
    command = ("node", f"--tls-keylog={stage.key_log}", "client.js")
    with stage.capture():
        output = stage.client.run(*command, folder=stage.scratch)
    told = [json.loads(line) for line in output.splitlines()]
    _say_node(stage, told, node.events())


def _say_node(stage: Stage, told: list[dict[str, Any]], by_server: list[dict[str, Any]]) -> None:
    def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
        return [event for event in events if event["event"] == kind]

    (connect,), (session,) = of_kind(told, "connect"), of_kind(by_server, "session")
    of = facts.connection(session["client"], ENDPOINT)
    assert session["client"].endswith(f":{connect['port']}")
    tls = {
        "version": facts_tls.VERSIONS[connect["tls"]],
        "cipher": connect["cipher"],
        "alpn": connect["alpn"],
        "sni": session["sni"],
        "resumed": session["resumed"],
        "decrypted": True,
    }
    asked = of_kind(by_server, "request")
    exchanges = [
        {
            "stream": event["stream"],
            "request": {key: event[key] for key in ("method", "target", "authority")},
            "response": {"status": 200, "body_bytes": 6},
            "complete": True,
        }
        for event in asked
    ]
    (pong,) = of_kind(told, "pong")
    # Node tells the first GOAWAY, and sends another when the session is over.
    assert [event["last"] for event in of_kind(told, "goaway")] == [5]
    ping = {"from": "client", "payload": pong["payload"].encode().hex(), "ack_ns": facts.about(pong["ms"] * 1e6)}
    http2 = {"streams": 3, "peak_streams": 2, "pings": [ping], "server": {"frames": {"GOAWAY": {"least": 1}}}}
    assert len(of_kind(told, "response")) == 3
    stage.say("Node client and server", of, protocol="h2", tls=tls, exchanges=exchanges, http2=http2)
    stage.say("Node client and server", of, closed={"announced": {"by": "server", "how": "goaway"}})


@scenario(
    "h2-push",
    ran="a client of HTTP/2 that fetches one file of nghttpd `--push=/a=/b`",
    seen="PUSH_PROMISE, and the response to a request that the server made up",
    programs=("nghttpd",),
)
def h2_push(stage: Stage) -> None:
    """Server push, which hardly anybody does any more."""
    stage.certificate()
    nghttpd = Nghttpd(stage.server, stage.scratch / "nghttpd", "--push=/a=/b")
    stage.keep(nghttpd)
    with stage.capture():
        client = stage.python_client(PUSHED, "h2")
    stage.learn_sockets(client.accounts)
    _, of = _only(client.accounts)
    stage.say("nghttpd --push", of, http2={"streams": 2, "server": {"frames": {"PUSH_PROMISE": 1}}})


@scenario(
    "h2-slow-reader",
    ran="a client of HTTP/2 that lets 1.2 s pass before it gives back the window of a response of 70 KB; nginx",
    seen="65,535 bytes, then nothing: the window of the connection and the stream is used up until WINDOW_UPDATE",
    compress=True,
)
def h2_slow_reader(stage: Stage) -> None:
    """Flow control at its limit, as slow-reader is for TCP."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    (nginx.folder / "files" / "big").write_bytes(bytes(70_000))
    with stage.capture():
        client = stage.python_client(SLOW_READER, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    account, of = _only(client.accounts)
    assert account.frames is not None
    full = 0
    for frame in account.frames:
        full += frame.body_bytes
        if full >= 65535:
            break
    opened = next(frame for frame in account.frames if frame.kind == "WINDOW_UPDATE" and frame.by == "client")
    assert full == 65535
    stalled_ns = (opened.time_ns or 0) - (frame.time_ns or 0)
    stage.say("client's clock", of, http2={"server": {"window_stalls_ns": facts.about(stalled_ns)}})


@scenario(
    "h2-cancel",
    ran="a client of HTTP/2 that gives up a slow request, fetches another, sends PING and GOAWAY, and closes; nginx",
    seen="RST_STREAM CANCEL, a PING that is answered, GOAWAY of the client",
)
def h2_cancel(stage: Stage) -> None:
    """A client's end of a stream, and of the connection."""
    stage.node("setTimeout(() => response.end('hello\\n'), 2000)")
    nginx = nginx_h2(stage, f"ssl_protocols TLSv1.3; location /slow {{ proxy_pass http://{CLEAR_ENDPOINT}; }}")
    with stage.capture():
        client = stage.python_client(CANCEL, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_frames("nginx debug log", ENDPOINT, nginx.http2_connections(), ("client",))
    _, of = _only(client.accounts)
    announced = {"by": "client", "how": "goaway"}
    stage.say("program", of, http2={"peak_streams": 1, "streams": 2}, closed={"announced": announced})


@scenario(
    "h2-refused",
    ran="a client of HTTP/2 that opens four streams before it knows that nginx allows two",
    seen="REFUSED_STREAM for what is beyond MAX_CONCURRENT_STREAMS",
)
def h2_refused(stage: Stage) -> None:
    """The limit on streams; the responses take their time, so that all are in flight."""
    stage.node("setTimeout(() => response.end('hello\\n'), 300)")
    server = (
        f"ssl_protocols TLSv1.3; http2_max_concurrent_streams 2; location / {{ proxy_pass http://{CLEAR_ENDPOINT}; }}"
    )
    nginx = nginx_h2(stage, server)
    with stage.capture():
        client = stage.python_client(TOO_MANY, "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_frames("nginx debug log", ENDPOINT, nginx.http2_connections(), ("client",))
    account, of = _only(client.accounts)
    assert sum(frame.error == "REFUSED_STREAM" for frame in account.frames or ()) == 2
    stage.say("nginx http2_max_concurrent_streams", of, http2={"stream_limit": 2, "refused_streams": 2})


@scenario(
    "h2-mid-stream",
    ran="a client of HTTP/2 in the clear with three requests and a PING; the capture begins after the first request",
    seen="no preface, no SETTINGS, and a header table that is not known: some header values cannot be told",
)
def h2_mid_stream(stage: Stage) -> None:
    """A capture that comes late."""
    nginx = stage.nginx(listen="http2")
    process = stage.start_python(LATE)
    time.sleep(1)
    with stage.capture():
        client = stage.finish_python(process, packages=("h2",))
    _, of = _only(client.accounts)
    stage.learn_sockets(client.accounts)
    stage.learn_log("nginx access log", nginx.requests()[1:], whole=False)
    ping = {"from": "client", "payload": b"01234567".hex()}
    http2 = {"pings": [ping], "headers_reliable": False, "streams": 2, "client": {"pings": 1}}
    statuses = [{"stream": stream, "response": {"status": 200, "body_bytes": 6}} for stream in (3, 5)]
    stage.say("program", of, protocol="h2c", opened={"syn_packet": None}, http2=http2, requests=2, exchanges=statuses)


@scenario(
    "h2-missing-packet",
    ran="a client of HTTP/2 with three requests, the second of 5,000 bytes; a packet of that is left out afterwards",
    seen="a hole in one body: everything else is known, also behind it",
    leave_out=(2, 1050),
)
def h2_missing_packet(stage: Stage) -> None:
    """What a capture that drops looks like: the hosts lost nothing."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3; ssl_buffer_size 1k;")
    (nginx.folder / "files" / "medium").write_bytes(bytes(5000))
    with stage.capture():
        client = stage.python_client(WITH_A_BIG_ONE, "h2")
    _, of = _only(client.accounts)
    exchanges = [
        {"stream": stream, "request": {"target": target}, "response": {"status": 200, "content_length": length}}
        for stream, target, length in ((1, "/a", 6), (3, "/medium", 5000), (5, "/b", 6))
    ]
    whole = {"complete": True}
    exchanges[0] |= whole
    exchanges[2] |= whole
    traffic = {"missing_bytes": {"least": 1}}
    stage.say("program", of, protocol="h2", exchanges=exchanges, server_traffic=traffic, closed={"by": "client"})


def _bad_wire(network: Network) -> None:
    """client eth0 — client0 wire server0 — eth0 server; the wire loses and reorders (recorder/wire.py)."""
    over_wire(network, {"delay_ms": 5, "drop": [2, 9, 10, 25], "hold_ms": {"15": 30}})


@scenario(
    "h2-lossy",
    ran="curl with two URLs of 25 KB, HTTP/2 over TLS 1.3, over a wire that loses four data segments and delays one",
    seen="holes that are filled later, inside records: everything is decrypted all the same",
    topology=_bad_wire,
    compress=True,
)
def h2_lossy(stage: Stage) -> None:
    """Nothing of this is seen by the programs."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    (nginx.folder / "files" / "big").write_bytes(bytes(25_000))
    url = "https://shop.test:8443/big"
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", url, url)
    stage.learn_nginx(nginx)
    stage.learn_curl_tls(clients, ENDPOINT)
    of = facts.connection(clients[0], ENDPOINT)
    stage.say("rules of the wire", of, server_traffic={"out_of_order": {"least": 1}, "missing_bytes": 0})
