"""Hosts made of network namespaces and the links between them, so that a recording disturbs nothing and nobody.

A `Host` is a namespace; programs are started in it, and sockets can be made in it by this process, for clients and
servers that a scenario writes out step by step. Links are veth pairs with an MTU of 1500 and all offloads off: packets
look as they would on a wire. The middle of a network is nothing, a bridge, a router or the program wire.py, which
delays, drops and reorders frames by rule. Everything that was made is taken down again, whatever happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .observed import ObservedSocket
from .wire import Rules

_CLONE_NEWNET = 0x4000_0000
_OFFLOADS = ("tx", "rx", "sg", "tso", "gso", "gro")
_WIRE = Path(__file__).with_name("wire.py")

#: Addresses of the client and the server, by address family and link.
CLIENT, SERVER = "10.0.0.2", "10.0.0.1"
CLIENT6, SERVER6 = "fd00::2", "fd00::1"
#: The name that the hosts know the server by (a reserved name: RFC 6761 section 6.2).
SERVER_NAME = "shop.test"


def run(*command: str) -> str:
    """Run a command to its end and return what it wrote.

    Raises:
        subprocess.CalledProcessError: it failed; its standard error is in the exception.
    """
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """Put the calling thread into a network namespace; sockets made meanwhile stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as here, open(f"/run/netns/{namespace}", "rb") as there:
        for_entry, for_return = there.fileno(), here.fileno()
        if libc.setns(for_entry, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter network namespace {namespace}")
        try:
            yield
        finally:
            libc.setns(for_return, _CLONE_NEWNET)


class Host:
    """One network namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def ip(self, *arguments: str) -> str:
        """Run `ip` in this host."""
        return run("ip", "-n", self.namespace, *arguments)

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in this host."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def run(
        self,
        *command: str,
        timeout: float = 120,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> str:
        """Run a command in this host to its end and return what it wrote to standard output."""
        done = subprocess.run(
            self.command(command),
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=folder,
        )
        return done.stdout

    def socket(self, family: int = socket.AF_INET) -> ObservedSocket:
        """A new TCP socket in this host."""
        with _inside(self.namespace):
            return ObservedSocket(family, socket.SOCK_STREAM)

    def connect(self, address: str, port: int, from_port: int = 0, timeout: float = 20) -> ObservedSocket:
        """A connection from this host, the client, with a timeout in seconds on everything."""
        connection = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        connection.settimeout(timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound before it connects: a refused socket forgets the port that the kernel chose for it.
        connection.bind((CLIENT6 if ":" in address else CLIENT, from_port))
        connection.connect((address, port))
        return connection

    def listen(self, address: str, port: int) -> ObservedSocket:
        """A listening socket in this host, with a timeout of 20 s on accept."""
        listening = self.socket()
        listening.settimeout(20)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(16)
        return listening

    def listens(self, port: int) -> bool:
        """Whether anything listens on a port of this host: asked of the kernel, not with a connection."""
        with _inside(self.namespace):
            tables = [Path(f"/proc/thread-self/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
        listening = "0A"
        columns = (line.split() for table in tables for line in table)
        return any(row[3] == listening and int(row[1].rsplit(":", 1)[1], 16) == port for row in columns)

    def retransmitted_segments(self) -> int:
        """The kernel's count of TCP segments that this host sent again (RetransSegs of RFC 4022)."""
        names, values = (
            line.split() for line in self.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Tcp:")
        )
        return int(values[names.index("RetransSegs")])


class Network:
    """Hosts and links of one recording; close() ends every process in them and removes them."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.hosts: dict[str, Host] = {}

    def host(self, name: str) -> Host:
        """A new host."""
        host = Host(f"cap{os.getpid()}-{name}")
        run("ip", "netns", "add", host.namespace)
        self._stack.callback(_remove, host)
        self.hosts[name] = host
        _know_names(host.namespace)
        host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        host.ip("link", "set", "lo", "up")
        return host

    def link(self, one: Host, one_name: str, other: Host, other_name: str) -> None:
        """Join two hosts with a veth pair that behaves like a wire."""
        one.ip("link", "add", one_name, "type", "veth", "peer", "name", other_name, "netns", other.namespace)
        for host, name in ((one, one_name), (other, other_name)):
            offloads = [word for offload in _OFFLOADS for word in (offload, "off")]
            host.run("ethtool", "-K", name, *offloads)
            host.ip("link", "set", name, "mtu", "1500", "up")

    def before_close(self, end: Callable[[], None]) -> None:
        """Call this before what was made so far is taken down."""
        self._stack.callback(end)

    def close(self) -> None:
        """Take everything down."""
        self._stack.close()


def _know_names(namespace: str) -> None:
    folder = Path("/etc/netns") / namespace
    folder.mkdir(parents=True)
    (folder / "hosts").write_text(
        f"127.0.0.1 localhost\n{SERVER} {SERVER_NAME} www.{SERVER_NAME}\n{SERVER6} six.{SERVER_NAME}\n",
        encoding="ascii",
    )


def _remove(host: Host) -> None:
    for process in run("ip", "netns", "pids", host.namespace).split():
        if int(process) != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
    run("ip", "netns", "delete", host.namespace)
    shutil.rmtree(Path("/etc/netns") / host.namespace, ignore_errors=True)


def direct(network: Network) -> None:
    """client eth0 — eth0 server."""
    client, server = network.host("client"), network.host("server")
    network.link(client, "eth0", server, "eth0")
    client.ip("address", "add", f"{CLIENT}/24", "dev", "eth0")
    server.ip("address", "add", f"{SERVER}/24", "dev", "eth0")


def direct_ipv6(network: Network) -> None:
    """client eth0 — eth0 server, IPv6 only."""
    client, server = network.host("client"), network.host("server")
    network.link(client, "eth0", server, "eth0")
    for host, address in ((client, CLIENT6), (server, SERVER6)):
        host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.eth0.disable_ipv6=0")
        host.ip("address", "add", f"{address}/64", "dev", "eth0", "nodad")


def _in_the_middle(network: Network, name: str) -> Host:
    client, middle, server = network.host("client"), network.host(name), network.host("server")
    network.link(client, "eth0", middle, "client0")
    network.link(server, "eth0", middle, "server0")
    client.ip("address", "add", f"{CLIENT}/24", "dev", "eth0")
    return middle


def bridged(network: Network) -> None:
    """client eth0 — client0 bridge server0 — eth0 server."""
    middle = _in_the_middle(network, "bridge")
    network.hosts["server"].ip("address", "add", f"{SERVER}/24", "dev", "eth0")
    middle.ip("link", "add", "br0", "type", "bridge")
    for port in ("client0", "server0"):
        middle.ip("link", "set", port, "master", "br0")
    middle.ip("link", "set", "br0", "up")


def routed(network: Network) -> None:
    """client eth0 — client0 router server0 — eth0 server; the server's network is 10.0.1.0/24."""
    middle = _in_the_middle(network, "router")
    client, server = network.hosts["client"], network.hosts["server"]
    server.ip("address", "add", "10.0.1.1/24", "dev", "eth0")
    middle.ip("address", "add", "10.0.0.254/24", "dev", "client0")
    middle.ip("address", "add", "10.0.1.254/24", "dev", "server0")
    middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    client.ip("route", "add", "default", "via", "10.0.0.254")
    server.ip("route", "add", "default", "via", "10.0.1.254")


def over_wire(network: Network, rules: Rules) -> None:
    """client eth0 — client0 wire server0 — eth0 server; what lies between is wire.py with these rules."""
    middle = _in_the_middle(network, "wire")
    network.hosts["server"].ip("address", "add", f"{SERVER}/24", "dev", "eth0")
    wire = subprocess.Popen(
        middle.command([sys.executable, str(_WIRE), "client0", "server0", json.dumps(rules)]),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert wire.stdout is not None
    # Its first line says that it listens. It has to end before its links do.
    wire.stdout.readline()
    network.before_close(wire.kill)
