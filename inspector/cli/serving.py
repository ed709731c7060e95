"""`live --metrics`: counts over HTTP, for Prometheus. The loop of the capture makes them, threads only hand them out.

Who asks is told what the loop says next, which is a tick away at the most; so the engine stays with one thread, and
what is handed out fits together. Where it listens: on this host only, unless a host is given.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.registry import Collector

from inspector.endpoints import Endpoint
from inspector.errors import UsageError
from inspector.report.metrics import Metrics

if TYPE_CHECKING:
    from inspector.engine import Inspector, Options
    from inspector.records.connection import Connection
    from inspector.records.finding import Finding
    from inspector.sources.live import LiveSource

#: Where it listens unless told otherwise.
_THIS_HOST = "127.0.0.1"
#: Seconds that somebody who asks waits for the loop before he gets what was said last.
PATIENCE = 2.0
#: Ports below need rights to be opened (Linux: net.ipv4.ip_unprivileged_port_start).
FIRST_FREE_PORT = 1024
#: Seconds that a client may take for its request.
_TIMEOUT = 10


def address(text: str) -> tuple[str, int]:
    """Host and port of --metrics: "9090", ":9090", "host:9090", "[::1]:9090". Raises UsageError."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535) or (":" in host and not host.startswith("[")):
        raise UsageError(f"--metrics {text}: write PORT or HOST:PORT, such as 9090 or [::1]:9090")
    return host.removeprefix("[").removesuffix("]") or _THIS_HOST, int(port)


def needs_rights(text: str) -> bool:
    """Whether the port can only be opened with rights."""
    return 0 < address(text)[1] < FIRST_FREE_PORT


class Serving(Collector):
    """The metrics of one capture, and the server that has them."""

    def __init__(self, text: str) -> None:
        """Opens the port; nobody is answered before `start`. Raises UsageError."""
        self.metrics = Metrics()
        self._families: list[Metric] = []
        self._wanted, self._fresh = threading.Event(), threading.Condition()
        self._round = 0
        self._over = False
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        host, port = address(text)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._server: WSGIServer = make_server(host, port, make_wsgi_app(registry), _SERVERS[family], _Handler)
        except OSError as error:
            raise UsageError(f"--metrics {text}: cannot listen there: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{Endpoint(self._server.server_name, self._server.server_port)}/metrics"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def counting(self, options: Options) -> Options:
        """The same options, with connections counted as they end."""
        tell, count = options.on_connection, self.metrics.connection

        def both(connection: Connection) -> None:
            count(connection)
            if tell is not None:
                tell(connection)

        return replace(options, on_connection=both)

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for `refresh`."""
        return self._wanted.is_set()

    def refresh(self, inspector: Inspector, source: LiveSource, findings: Sequence[Finding] = ()) -> None:
        """After each batch: say what is known, if somebody has asked. `findings`: those of the last judgement."""
        if not self._wanted.is_set():
            return
        self._wanted.clear()
        lost = source.files[0].dropped
        dropped = {} if lost is None else {"kernel": lost.kernel, "interface": lost.interface}
        families = self.metrics.families(
            inspector.capture, dropped, inspector.going_on(), inspector.anomalies, findings
        )
        with self._fresh:
            self._families = families
            self._round += 1
            self._fresh.notify_all()

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is changes."""
        return []

    def collect(self) -> Iterable[Metric]:
        """What the loop says next; called by the server's threads."""
        with self._fresh:
            before = self._round
            self._wanted.set()
            self._fresh.wait_for(lambda: self._round > before or self._over, PATIENCE)
            return self._families

    def close(self) -> None:
        """Answer nobody any more."""
        with self._fresh:
            self._over = True
            self._fresh.notify_all()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        # WSGIServer's own asks the resolver for the host's name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()


class _ServerV6(_Server):
    address_family = socket.AF_INET6


_SERVERS: dict[int, type[WSGIServer]] = {socket.AF_INET: _Server, socket.AF_INET6: _ServerV6}


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: standard error is the report's."""
