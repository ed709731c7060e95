"""Real servers, each with a configuration of its own in a scratch folder, and what their logs say.

Each server is started inside a host, on an address of that host, and writes a log with a line a request that names
the client's port: that is how a request is known to belong to a connection.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .network import SERVER, Host
from .peerlogs import Told, from_nginx
from .tools import cipher_suite_name

#: A file that every web server here serves, and its size on the wire.
BODY = b"hello\n"
#: What stands for the scratch folder in what is published of a configuration.
_ROOT = "ROOT"


@dataclass(slots=True, frozen=True)
class LoggedRequest:
    """One request as a server's log has it. A header field that was not there is None."""

    client: str
    server: str
    time_ns: int
    """When the server was done with it."""
    method: str
    target: str
    status: int
    request_connection: str | None
    """Value of Connection."""
    request_bytes: int | None = None
    response_bytes: int | None = None
    connection_number: int | None = None
    """The server's own number for the connection."""
    ordinal: int = 0
    """Which request of its connection it was, where the server counts them."""
    tls: dict[str, Any] | None = None
    """The report's `tls`, as far as the server logs it."""
    proxied: tuple[str, str] | None = None
    """Source and destination that a PROXY protocol header told."""


class Server:
    """A running server program."""

    def __init__(
        self, name: str, command: Sequence[str], host: Host, port: int, folder: Path, configuration: str
    ) -> None:
        self.name = name
        self.folder = folder
        self.configuration = configuration.replace(str(folder), _ROOT)
        self._output, self._errors = (folder / "stdout").open("wb"), (folder / "stderr").open("wb")
        self._command = host.command(command)
        self._listens = functools.partial(host.listens, port)
        self.start()

    def start(self) -> None:
        """Start it (again); returns when it listens."""
        self.process = subprocess.Popen(
            self._command, cwd=self.folder, stdout=self._output, stderr=self._errors, start_new_session=True
        )
        deadline = time.monotonic() + 15
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = (self.folder / "stderr").read_text(errors="replace")
                raise RuntimeError(f"{self.name} does not listen: {message}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once (SIGKILL): its kernel closes its sockets."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it (SIGTERM)."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._output.close()
        self._errors.close()


_NGINX_LOG = " ".join(
    (
        """log_format account escape=json '{"client":"$remote_addr","client_port":"$remote_port",""",
        """"server":"$server_addr","server_port":"$server_port","connection":$connection,"time":"$msec",""",
        """"method":"$request_method","target":"$request_uri","status":$status,"request_bytes":$request_length,""",
        """"response_bytes":$bytes_sent,"request_connection":"$http_connection","http2":"$http2",""",
        """"ordinal":$connection_requests,"tls":"$ssl_protocol","cipher":"$ssl_cipher","reused":"$ssl_session_reused",""",
        """"sni":"$ssl_server_name","alpn":"$ssl_alpn_protocol","early_data":"$ssl_early_data",""",
        """"proxied":"$proxy_protocol_addr:$proxy_protocol_port",""",
        """"proxied_to":"$proxy_protocol_server_addr:$proxy_protocol_server_port"}';""",
    )
)


class Nginx(Server):
    """nginx: `http` and `server` are directives of these blocks, as in nginx.conf; `listen` is for `ssl http2`.

    One process does everything, unless `master` asks for a master: without, it cannot end gracefully.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        server: str = "",
        http: str = "",
        address: str = SERVER,
        port: int = 8001,
        listen: str = "",
        master: bool = False,
    ) -> None:
        folder.mkdir()
        files = folder / "files"
        files.mkdir()
        for name in "abc":
            (files / name).write_bytes(BODY)
        configuration = (
            f"http {{\n  default_type text/plain;\n  {http}\n"
            f"  server {{\n    listen {' '.join((f'{address}:{port}', *listen.split()))};\n"
            f"    root {files};\n    {server}\n  }}\n}}\n"
        )
        # Frames are told at this level only.
        level = "debug" if "http2" in listen else "info"
        temporary = "".join(
            f"  {kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        own = f"  {_NGINX_LOG}\n  access_log {folder}/access.log account;\n{temporary}"
        (folder / "nginx.conf").write_text(
            f"daemon off;\n{'user root' if master else 'master_process off'};\n"
            f"pid {folder}/pid;\nerror_log {folder}/error.log {level};\n"
            "events {}\n" + configuration.replace("http {\n", "http {\n" + own, 1)
        )
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        super().__init__("nginx", command, host, port, folder, configuration)

    def requests(self) -> list[LoggedRequest]:
        """The access log, in the order in which requests came on each connection."""
        lines = (self.folder / "access.log").read_text().splitlines()
        # HTTP/2 is logged in the order of the ends, and counted in the order of the beginnings.
        return sorted((_nginx_request(json.loads(line)) for line in lines), key=_place)

    def http2_connections(self) -> list[Told]:
        """What the debug log tells of connections with HTTP/2 (only written with `listen ... http2`)."""
        with (self.folder / "error.log").open(encoding="latin-1") as log:
            return from_nginx(log)

    def closed_by_client(self) -> dict[int, str]:
        """The idle connections, by nginx's number, that the client closed before nginx did: "fin" or "rst"."""
        found = re.findall(
            r"\*(\d+) client [\w.:]+ closed keepalive connection( \(104)?", (self.folder / "error.log").read_text()
        )
        return {int(number): "rst" if reset else "fin" for number, reset in found}


def _end(line: dict[str, str | int], which: str) -> str:
    """Address and port of one side of a log line."""
    address, port = str(line[which]), line[f"{which}_port"]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _place(request: LoggedRequest) -> tuple[int, int]:
    return request.connection_number or 0, request.ordinal


def _nginx_tls(line: dict[str, str | int]) -> dict[str, Any] | None:
    if not line["tls"]:
        return None
    return {
        "version": str(line["tls"]).replace("v", " "),
        "cipher": cipher_suite_name(str(line["cipher"])),
        "resumed": line["reused"] == "r",
        "sni": line["sni"] or None,
        "alpn": line["alpn"] or None,
    }


def _nginx_request(line: dict[str, str | int]) -> LoggedRequest:
    seconds, _, fraction = str(line["time"]).partition(".")
    # The bytes of requests and responses are the connection's where there is nothing around them.
    counted = not line["tls"] and not line["http2"] and line["proxied"] == ":"
    return LoggedRequest(
        client=_end(line, "client"),
        server=_end(line, "server"),
        time_ns=int(seconds) * 10**9 + int(fraction.ljust(9, "0")),
        method=str(line["method"]),
        target=str(line["target"]),
        status=int(line["status"]),
        request_connection=str(line["request_connection"]) or None,
        request_bytes=int(line["request_bytes"]) if counted else None,
        response_bytes=int(line["response_bytes"]) if counted else None,
        connection_number=int(line["connection"]),
        ordinal=int(line["ordinal"]),
        tls=_nginx_tls(line),
        proxied=None if line["proxied"] == ":" else (str(line["proxied"]), str(line["proxied_to"])),
    )


_APACHE_LOG = (
    'LogFormat "{\\"client\\":\\"%a\\",\\"client_port\\":%{remote}p,\\"server\\":\\"%A\\",\\"server_port\\":%{local}p,'
    '\\"time_us\\":%{end:usec}t,\\"method\\":\\"%m\\",\\"target\\":\\"%U\\",\\"status\\":%>s,'
    '\\"request_connection\\":\\"%{Connection}i\\",\\"request_bytes\\":%I,\\"response_bytes\\":%O}" account'
)
_APACHE_TLS_LOG = (
    '\\"tls\\":\\"%{SSL_PROTOCOL}x\\",\\"cipher\\":\\"%{SSL_CIPHER}x\\",'
    '\\"resumed\\":\\"%{SSL_SESSION_RESUMED}x\\",\\"sni\\":\\"%{SSL_TLS_SNI}x\\"'
)


class Apache(Server):
    """Apache httpd with a few modules and some directives."""

    def __init__(
        self, host: Host, folder: Path, directives: str, modules: Sequence[str] = (), port: int = 8001
    ) -> None:
        folder.mkdir()
        files = folder / "files"
        files.mkdir()
        (files / "a").write_bytes(BODY)
        loaded = ("mpm_event", "authz_core", *modules)
        modules_text = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in loaded)
        log = _APACHE_LOG
        if "ssl" in modules:
            log = log.replace('}" account', f',{_APACHE_TLS_LOG}}}" account')
        configuration = f"{modules_text}Listen {SERVER}:{port}\nDocumentRoot {files}\n{directives}\n"
        (folder / "apache2.conf").write_text(
            f"ServerName shop.test\nServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
            f"{log}\nCustomLog {folder}/access.log account\nUser www-data\nGroup www-data\n{configuration}"
        )
        folder.parent.chmod(0o755)
        command = ["apache2", "-D", "FOREGROUND", "-f", str(folder / "apache2.conf")]
        super().__init__("apache2", command, host, port, folder, configuration)

    def requests(self) -> list[LoggedRequest]:
        """The access log."""
        lines = (json.loads(line) for line in (self.folder / "access.log").read_text().splitlines())
        return [_timed_in_us(line) for line in lines]


def _timed_in_us(line: dict[str, str | int]) -> LoggedRequest:
    connection = str(line["request_connection"])
    tls = None
    if line.get("tls", "-") != "-":
        tls = {
            "version": str(line["tls"]).replace("v", " "),
            "cipher": cipher_suite_name(str(line["cipher"])),
            "resumed": line["resumed"] == "Resumed",
            "sni": line["sni"],
        }
    # The bytes of requests and responses are the connection's where there is no TLS around them.
    counted = tls is None
    return LoggedRequest(
        client=_end(line, "client"),
        server=_end(line, "server"),
        time_ns=int(line["time_us"]) * 1000,
        method=str(line["method"]),
        target=str(line["target"]),
        status=int(line["status"]),
        request_connection=None if connection == "-" else connection,
        request_bytes=int(line["request_bytes"]) if counted and "request_bytes" in line else None,
        response_bytes=int(line["response_bytes"]) if counted and "response_bytes" in line else None,
        tls=tls,
    )


_NODE = """
const http = require('http')
const server = http.createServer(OPTIONS, (request, response) => {
  response.on('finish', () => console.log(JSON.stringify({
    client: request.socket.remoteAddress, client_port: request.socket.remotePort,
    server: request.socket.localAddress, server_port: request.socket.localPort, time_us: Date.now() * 1000,
    method: request.method, target: request.url, status: response.statusCode,
    request_connection: request.headers.connection ?? '-' })))
  HANDLER
})
server.listen(PORT, 'ADDRESS')
"""


class Node(Server):
    """Node's http server; `handler` is the body of the request handler, `options` are the server's."""

    def __init__(
        self, host: Host, folder: Path, handler: str, address: str = SERVER, port: int = 8001, options: str = "{}"
    ) -> None:
        folder.mkdir()
        program = _NODE.replace("ADDRESS", address).replace("PORT", str(port)).replace("OPTIONS", options)
        program = program.replace("HANDLER", handler).lstrip()
        (folder / "server.js").write_text(program)
        super().__init__("node", ["node", str(folder / "server.js")], host, port, folder, program)

    def requests(self) -> list[LoggedRequest]:
        """What the program wrote, a line a response."""
        return [_timed_in_us(json.loads(line)) for line in (self.folder / "stdout").read_text().splitlines()]


class Lighttpd(Server):
    """lighttpd with some directives."""

    def __init__(self, host: Host, folder: Path, directives: str = "") -> None:
        folder.mkdir()
        (folder / "a").write_bytes(BODY)
        configuration = (
            f'server.bind = "{SERVER}"\nserver.port = 8001\nserver.document-root = "{folder}"\n'
            f'mimetype.assign = ( "" => "text/plain" )\n{directives}\n'
        )
        (folder / "lighttpd.conf").write_text(configuration)
        command = ["lighttpd", "-D", "-f", str(folder / "lighttpd.conf")]
        super().__init__("lighttpd", command, host, 8001, folder, configuration)


class PythonServer(Server):
    """A server program in Python; `application` is what a module `application` beside it says."""

    def __init__(
        self,
        host: Host,
        folder: Path,
        python: str,
        command: Sequence[str],
        published: str,
        port: int,
        application: str = "",
    ) -> None:
        folder.mkdir()
        (folder / "a").write_bytes(BODY)
        if application:
            (folder / "application.py").write_text(application)
        super().__init__("server.py", [python, *command], host, port, folder, published)
