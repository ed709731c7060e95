"""TLS below HTTP/1.1: resumption, early data, HelloRetryRequest, KeyUpdate, client certificates, and no keys at all.

What openssl s_client does is told by itself (`-msg`: each handshake message; `-bind`: its port), what Python's ssl
module does by its callbacks (observed_tls.py).
"""

from __future__ import annotations

import subprocess
import time

from .. import facts
from ..conversation import request
from ..network import CLIENT, SERVER
from ..servers import Nginx
from ..stage import Stage, scenario
from .http2_servers import TLS, URL, nginx_h2

ENDPOINT = f"{SERVER}:8443"

TWICE = """
import socket, ssl

context = ssl.create_default_context(cafile="shop.test.pem")
context.minimum_version = context.maximum_version = ssl.TLSVersion.VERSION
session = None
for _ in range(2):
    with socket.create_connection(("shop.test", 8443)) as plain:
        connection = context.wrap_socket(plain, server_hostname="shop.test", session=session)
        connection.sendall(b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
        response = b""
        while not response.endswith(b"hello\\n"):
            response += connection.recv(65536)
        session = connection.session
        try:
            connection.unwrap()
        except ssl.SSLEOFError:
            pass
        connection.close()
"""

HTTPX_FALLBACK = """
import ssl, httpx

context = ssl.create_default_context(cafile="shop.test.pem")
with httpx.Client(http2=True, verify=context) as client:
    for _ in range(3):
        client.get("https://shop.test:8443/a")
"""

AIOHTTP = """
import asyncio, ssl, aiohttp

async def main():
    context = ssl.create_default_context(cafile="shop.test.pem")
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get("https://shop.test:8443/a", ssl=context) as response:
                await response.read()

asyncio.run(main())
"""

WAIT_FOR_CLOSE = """
import socket, ssl, time

context = ssl.create_default_context(cafile="shop.test.pem")
context.minimum_version = context.maximum_version = ssl.TLSVersion.VERSION
with socket.create_connection(("shop.test", 8443)) as plain:
    connection = context.wrap_socket(plain, server_hostname="shop.test")
    for _ in range(4):
        connection.sendall(b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
        response = b""
        while not response.endswith(b"hello\\n"):
            response += connection.recv(65536)
        time.sleep(0.1)
    assert connection.recv(1) == b""
    time.sleep(0.1)
    connection.close()
"""


WITHOUT_REUSE = """
import requests

for _ in range(4):
    requests.get("https://shop.test:8443/a", verify="shop.test.pem")
"""

TRUNCATED = """
import socket, ssl

context = ssl.create_default_context(cafile="shop.test.pem")
with socket.create_connection(("shop.test", 8443)) as plain:
    connection = context.wrap_socket(plain, server_hostname="shop.test", suppress_ragged_eofs=False)
    connection.sendall(b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
    try:
        while connection.recv(65536):
            pass
    except ssl.SSLEOFError as error:
        print(error.reason)
    connection.close()
"""

TRUNCATING_SERVER = """
import socket, ssl, time

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("../shop.test.pem", "../shop.test.key")
with socket.create_server(("10.0.0.1", 8443)) as listening:
    while True:
        plain, _ = listening.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\n" + bytes(600))
            time.sleep(0.2)
"""

LATE = """
import socket, ssl, time

context = ssl.create_default_context(cafile="shop.test.pem")
with socket.create_connection(("shop.test", 8443)) as plain:
    connection = context.wrap_socket(plain, server_hostname="shop.test")
    for wait in (2, 0.1, 0.1):
        connection.sendall(b"GET /a HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
        response = b""
        while not response.endswith(b"hello\\n"):
            response += connection.recv(65536)
        time.sleep(wait)
    connection.close()
"""


def nginx_tls(stage: Stage, server: str = "") -> Nginx:
    """nginx with TLS and HTTP/1.1 on port 8443."""
    stage.certificate()
    return stage.nginx(f"{TLS} {server}", port=8443, listen="ssl")


def _twice(stage: Stage, version: str, server: str, resumption: str) -> None:
    nginx = nginx_tls(stage, server)
    with stage.capture():
        client = stage.python_client(TWICE.replace("VERSION", version))
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    for account, how in zip(client.accounts, (None, resumption), strict=True):
        of = facts.connection(account.local, account.remote)
        # unwrap() sends close_notify and waits: the server closes first, but because the client asked.
        closed = {"by": "server", "announced": {"by": "client", "how": "close-notify"}}
        says = {"tls": {"resumption": how, "client_closes": True}, "closed": closed, "protocol": "http/1.1"}
        stage.say("nginx ssl_session_* and program", of, **says)
    handshake = {"tls": {"n": 2, "resumed": 1}}
    stage.say("program", facts.endpoint(ENDPOINT), handshake=handshake, protocols={"http/1.1": 2}, name="shop.test")


@scenario(
    "tls12-ticket",
    ran="a Python ssl socket, twice, the second time with the session of the first; nginx `ssl_protocols TLSv1.2`",
    seen="a full handshake with a session ticket, then one that is abbreviated by it; the server obeys close_notify",
)
def tls12_ticket(stage: Stage) -> None:
    """RFC 5077."""
    _twice(stage, "TLSv1_2", "ssl_protocols TLSv1.2;", "ticket")


@scenario(
    "tls12-session-id",
    ran="as tls12-ticket, with `ssl_session_tickets off` and a session cache",
    seen="the second handshake is abbreviated by the id of the session",
    keys="block after",
)
def tls12_session_id(stage: Stage) -> None:
    """RFC 5246 section 7.3."""
    server = "ssl_protocols TLSv1.2; ssl_session_tickets off; ssl_session_cache shared:sessions:1m;"
    _twice(stage, "TLSv1_2", server, "session-id")


@scenario(
    "tls13-psk",
    ran="as tls12-ticket, with TLS 1.3",
    seen="the second handshake has no certificate: it is by a pre-shared key",
)
def tls13_psk(stage: Stage) -> None:
    """RFC 8446 section 2.2."""
    _twice(stage, "TLSv1_3", "ssl_protocols TLSv1.3;", "psk")


def _s_client(stage: Stage, port: int, *arguments: str) -> subprocess.Popen[str]:
    """Start openssl s_client, from a port; what it gets on standard input it sends."""
    stage.packages.add("openssl")
    told = ("-connect", ENDPOINT, "-servername", "shop.test", "-CAfile", "shop.test.pem", *arguments)
    stage.configuration[f"openssl {port}"] = " ".join(("openssl", "s_client", *told))
    own = ("-bind", f"{CLIENT}:{port}", "-keylogfile", str(stage.key_log))
    command = stage.client.command(["openssl", "s_client", *own, *told])
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=stage.scratch
    )


def _say(process: subprocess.Popen[str], text: str, seconds: float = 0.4) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()
    time.sleep(seconds)


def _messages(output: str) -> list[str]:
    """What -msg tells, such as ">>> ClientHello" (written) and "<<< KeyUpdate" (read)."""
    lines = (line for line in output.splitlines() if line[:3] in (">>>", "<<<") and ", Handshake " in line)
    return [f"{line[:3]} {line.rpartition(', ')[2]}" for line in lines]


_GET = request("GET", "/a").decode()
_LAST_GET = request("GET", "/b", "Connection: close").decode()


@scenario(
    "tls13-early-data",
    ran="openssl s_client twice, the second time with a request as `-early_data`; nginx `ssl_early_data on`",
    seen="the request comes before the handshake is over, under the early traffic secret",
)
def tls13_early_data(stage: Stage) -> None:
    """0-RTT (RFC 8446 section 2.3)."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3; ssl_early_data on;")
    (stage.scratch / "request").write_text(_LAST_GET)
    outputs = []
    with stage.capture():
        for port, arguments in (
            (40001, ("-sess_out", "session")),
            (40002, ("-sess_in", "session", "-early_data", "request")),
        ):
            process = _s_client(stage, port, "-ign_eof", *arguments)
            outputs.append(process.communicate(_LAST_GET if port == 40001 else "", timeout=20)[0])
    assert "Early data was accepted" in outputs[1]
    stage.learn_nginx(nginx)
    for port, output in zip((40001, 40002), outputs, strict=True):
        of = facts.connection(f"{CLIENT}:{port}", ENDPOINT)
        early = "Early data was accepted" in output
        reused = "Reused, TLSv1.3" in output
        tls = {"early_data": early, "resumed": reused, "resumption": "psk" if reused else None, "decrypted": True}
        stage.say("openssl s_client", of, tls=tls | {"alpn_offered": [], "alpn": None, "why_not": None})


@scenario(
    "tls13-retry",
    ran="openssl s_client `-groups P-384:P-256`; nginx `ssl_ecdh_curve prime256v1`",
    seen="HelloRetryRequest, and a second ClientHello",
)
def tls13_retry(stage: Stage) -> None:
    """The client guessed a group that the server does not have."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3; ssl_ecdh_curve prime256v1;")
    with stage.capture():
        output = _s_client(stage, 40001, "-ign_eof", "-msg", "-groups", "P-384:P-256").communicate(
            _LAST_GET, timeout=20
        )[0]
    assert _messages(output).count(">>> ClientHello") == 2
    stage.learn_nginx(nginx)
    of = facts.connection(f"{CLIENT}:40001", ENDPOINT)
    tls = {"retry": True, "resumed": False, "early_data": False, "decrypted": True, "why_not": None}
    stage.say("openssl s_client -msg", of, tls=tls, protocol="http/1.1")


@scenario(
    "tls13-key-update",
    ran="openssl s_client that sends a KeyUpdate (`k`), then one that asks for another (`K`), between requests",
    seen="the secrets of both directions change twice and once, and all three exchanges are there",
)
def tls13_key_update(stage: Stage) -> None:
    """RFC 8446 section 4.6.3."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        process = _s_client(stage, 40001, "-msg")
        time.sleep(0.5)
        for text in (_GET, "k\n", _GET, "K\n", _GET):
            _say(process, text)
        output = process.communicate("Q\n", timeout=20)[0]
    messages = _messages(output)
    assert messages.count(">>> KeyUpdate") == 2
    assert messages.count("<<< KeyUpdate") == 1
    stage.learn_nginx(nginx)
    of = facts.connection(f"{CLIENT}:40001", ENDPOINT)
    tls = {"retry": False, "resumed": False, "decrypted": True, "why_not": None, "client_closes": True}
    # nginx closes when it reads close_notify, s_client when it has written it: whose FIN comes first is open.
    closed = {"how": "fin", "announced": {"by": "client", "how": "close-notify"}}
    exchange = {"response": {"status": 200, "body_bytes": 6}, "complete": True}
    stage.say("openssl s_client -msg", of, tls=tls, closed=closed, exchanges=[exchange] * 3)


@scenario(
    "tls-client-certificate",
    ran="curl over TLS 1.2 and over TLS 1.3; nginx `ssl_verify_client optional`",
    seen="CertificateRequest, which TLS 1.3 encrypts",
)
def tls_client_certificate(stage: Stage) -> None:
    """The server asks, the client has none."""
    asks = "ssl_protocols TLSv1.2 TLSv1.3; ssl_verify_client optional; ssl_client_certificate ../shop.test.pem;"
    nginx = nginx_tls(stage, asks)
    with stage.capture():
        for version in ("1.2", "1.3"):
            clients = stage.curl("--cacert", "shop.test.pem", "--tls-max", version, URL)
            stage.learn_curl_tls(clients, ENDPOINT)
            of = facts.connection(clients[0], ENDPOINT)
            stage.say("nginx ssl_verify_client", of, tls={"client_certificate": True, "version": f"TLS {version}"})
    stage.learn_nginx(nginx)


@scenario(
    "httpx-fallback",
    ran="an httpx.Client(http2=True) that fetches three times from nginx without HTTP/2",
    seen="the client offers h2, the server chooses http/1.1",
)
def httpx_fallback(stage: Stage) -> None:
    """Asked for HTTP/2, got HTTP/1.1."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        client = stage.python_client(HTTPX_FALLBACK, "httpx", "h2")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    stage.say("program", of, protocol="http/1.1", requests=3, http2=None)


@scenario(
    "aiohttp-tls",
    ran="an aiohttp.ClientSession that fetches three times over TLS 1.2",
    seen="one connection of HTTP/1.1",
)
def aiohttp_tls(stage: Stage) -> None:
    """TLS by asyncio, beside the socket."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.2;")
    with stage.capture():
        client = stage.python_client(AIOHTTP, "aiohttp")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)


@scenario(
    "tls-alerts",
    ran="curl that does not know the certificate, and curl `--tls-max 1.2` to a server of TLS 1.3 alone; nginx",
    seen="a fatal alert of the client, unknown_ca, and one of the server, protocol_version",
)
def tls_alerts(stage: Stage) -> None:
    """Handshakes that fail."""
    nginx_tls(stage, "ssl_protocols TLSv1.3;")
    stage.packages.add("curl")
    with stage.capture():
        distrusts = _failing_curl(stage, 40001, 60)
        refused = _failing_curl(stage, 40002, 35, "--tls-max", "1.2", "--cacert", "shop.test.pem")
    assert "(OUT), TLS alert, unknown CA" in distrusts
    assert "(IN), TLS alert, protocol version" in refused
    for port, by, description in ((40001, "client", "unknown_ca"), (40002, "server", "protocol_version")):
        alert = {"by": by, "level": "fatal", "description": description, "inferred": False}
        stage.say("curl -v", facts.connection(f"{CLIENT}:{port}", ENDPOINT), tls={"alerts": [alert]}, exchanges=[])


def _failing_curl(stage: Stage, port: int, status: int, *arguments: str) -> str:
    """Run a curl that has to fail with this status; returns what -v told."""
    command = ("curl", "-v", "--local-port", str(port), *arguments, URL)
    stage.configuration[f"curl {port}"] = " ".join(command)
    whole = stage.client.command(command)
    done = subprocess.run(whole, capture_output=True, text=True, cwd=stage.scratch, env=stage.environment)
    assert done.returncode == status, done.stderr
    return done.stderr


@scenario(
    "tls-full-handshakes",
    ran="requests.get four times, over TLS 1.3",
    seen="four full handshakes, although the server gives tickets",
)
def tls_full_handshakes(stage: Stage) -> None:
    """What requests-get-loop costs with TLS."""
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        client = stage.python_client(WITHOUT_REUSE, "requests")
    stage.learn_sockets(client.accounts)
    stage.learn_nginx(nginx)
    handshake = {"tls": {"n": 4, "resumed": 0}}
    stage.say("program", facts.endpoint(ENDPOINT), handshake=handshake, opened=4, closed={"client_fin": 4})


@scenario(
    "tls-truncated",
    ran="a Python server that closes within a body without close_notify",
    seen="FIN without close_notify, and a response that is not complete",
)
def tls_truncated(stage: Stage) -> None:
    """The truncation that close_notify is there to tell from an end."""
    stage.certificate()
    stage.python_server(["-c", TRUNCATING_SERVER], TRUNCATING_SERVER.lstrip(), port=8443)
    with stage.capture():
        client = stage.python_client(TRUNCATED)
    assert "UNEXPECTED_EOF_WHILE_READING" in client.output
    stage.learn_sockets(client.accounts)
    (account,) = client.accounts
    of = facts.connection(account.local, account.remote)
    response = {"status": 200, "content_length": 1000, "body_bytes": 600}
    closed = {"by": "server", "how": "fin", "announced": None}
    # OpenSSL complains of the missing close_notify to a peer that does not listen any more.
    assert account.tls is not None
    assert account.tls.messages[-1].name == "alert decode_error"
    tls = {"server_closes": False, "alerts": [{"by": "client", "level": "fatal", "description": "decode_error"}]}
    stage.say("program", of, closed=closed, tls=tls, exchanges=[{"response": response, "complete": False}])


@scenario(
    "tls-mid-stream",
    ran="three requests over TLS 1.3; the capture begins after the first",
    seen="records of a connection whose handshake was not seen: its keys are there, but nothing says which they are",
)
def tls_mid_stream(stage: Stage) -> None:
    """A capture that comes late."""
    nginx_tls(stage, "ssl_protocols TLSv1.3;")
    process = stage.start_python(LATE)
    time.sleep(1)
    with stage.capture():
        client = stage.finish_python(process)
    (account,) = client.accounts
    assert account.start_ns < stage.capture_times[0]
    of = facts.connection(account.local, account.remote)
    estimate = {"exchanges": {"about": 2, "within": 1}, "basis": "records"}
    says: facts.Json = {
        "requests": None,
        "exchanges": [],
        "estimate": estimate,
        "tls": {"decrypted": False, "sni": None},
    }
    closed = {"by": "client", "how": "fin"}
    stage.say("program", of, protocol="tls", opened={"how": "mid-stream"}, closed=closed, **says)


@scenario(
    "tls-idle",
    ran="four requests and waiting, over TLS 1.2 and over TLS 1.3; nginx `keepalive_timeout 2s`",
    seen="close_notify and FIN of the server after 2 s idle",
)
def tls_idle(stage: Stage) -> None:
    """The idle timer of HTTP/1.1, inside TLS."""
    _wait_for_close(stage)


@scenario(
    "tls-no-keys",
    ran="as tls-idle, and the keys are thrown away",
    seen="records: their lengths and times give an estimate of the exchanges, and the server's close_notify",
    keys="none",
)
def tls_no_keys(stage: Stage) -> None:
    """What an observer without keys can say."""
    for client in _wait_for_close(stage):
        of = facts.connection(client, ENDPOINT)
        estimate = {"exchanges": {"about": 4, "within": 1}, "basis": "records"}
        says: facts.Json = {
            "protocol": "tls",
            "requests": None,
            "responses": None,
            "exchanges": [],
            "estimate": estimate,
        }
        stage.say("program; there are no keys", of, **says)


def _wait_for_close(stage: Stage) -> list[str]:
    nginx = nginx_tls(stage, "ssl_protocols TLSv1.2 TLSv1.3; keepalive_timeout 2s;")
    accounts = []
    with stage.capture():
        for version in ("TLSv1_2", "TLSv1_3"):
            accounts += stage.python_client(WAIT_FOR_CLOSE.replace("VERSION", version)).accounts
    stage.learn_sockets(accounts)
    if stage.has_keys:
        stage.learn_nginx(nginx)
    for account in accounts:
        of = facts.connection(account.local, account.remote)
        closed = {"by": "server", "how": "fin", "announced": {"by": "server", "how": "close-notify"}}
        stage.say("nginx keepalive_timeout", of, closed=closed | {"idle_ns": facts.about(2e9, 1e8)})
        if stage.has_keys:
            stage.say("client's TLS library", of, tls={"server_closes": True})
    return [account.local for account in accounts]


@scenario(
    "h2-no-keys",
    ran="curl with four URLs of nginx, HTTP/2 over TLS 1.3, and the keys are thrown away",
    seen="records only: neither ALPN nor HTTP/2 can be told",
    keys="none",
)
def h2_no_keys(stage: Stage) -> None:
    """The same of HTTP/2."""
    nginx = nginx_h2(stage, "ssl_protocols TLSv1.3;")
    with stage.capture():
        clients = stage.curl("--cacert", "shop.test.pem", *([URL] * 4))
    (client,) = set(clients)
    assert len(nginx.requests()) == 4
    of = facts.connection(client, ENDPOINT)
    tls = {
        "version": "TLS 1.3",
        "sni": "shop.test",
        "alpn_offered": ["h2", "http/1.1"],
        "alpn": None,
        "decrypted": False,
    }
    # SETTINGS may look like one more.
    estimate = {"exchanges": {"about": 4, "within": 1}, "basis": "records"}
    says: facts.Json = {"protocol": "tls", "requests": None, "exchanges": [], "estimate": estimate, "http2": None}
    stage.say("curl; there are no keys", of, tls=tls, **says)
