"""`run` reports a command's own connections, all of them and no others, while strangers use the same server.

nginx and the clients are real, in namespaces of their own. Skipped without root or without the programs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from captures.recorder import network as net
from captures.recorder.network import SERVER, Host, Network
from captures.recorder.servers import Nginx
from captures.recorder.tools import REQUIREMENTS, make_certificate
from inspector.launch.cgroup import own_cgroup
from inspector.launch.keeper import ByCgroup
from inspector.sources.open import open_capture
from tests.report.html.reading import PageReader

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
PORT, TLS_PORT = 8001, 8443

#: Makes connections to the server all the time, so that 4-tuples of others are everywhere; with pauses, so that a
#: machine that is busy with other things loses no packets.
STRANGER = f"""
import http.client, sys, time
print("begins", flush=True)
while True:
    connection = http.client.HTTPConnection("{SERVER}", {PORT}, timeout=20)
    connection.request("GET", "/b")
    connection.getresponse().read()
    connection.close()
    time.sleep(0.001)
"""


@dataclass(slots=True)
class Shop:
    """A client's host, with a server that it can reach, and somebody else there who uses it."""

    host: Host
    folder: Path
    python: Path
    """With requests and httpx."""
    certificate: Path


@dataclass(slots=True)
class Ran:
    """What `connspect run` came to."""

    status: int
    out: str
    errors: str
    report: dict[str, Any]

    @property
    def connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.report["connections"]
        return found

    def requests(self) -> list[int]:
        return [one["requests"] for one in self.connections]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the clients in it: the one that CONNSPECT_CLIENTS names, or a new one."""
    if named := os.environ.get("CONNSPECT_CLIENTS"):
        return Path(named)
    wanted = [line for line in REQUIREMENTS.read_text().splitlines() if line.startswith(("h2=", "httpx=", "requests="))]
    folder = tmp_path_factory.mktemp("clients")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *wanted], capture_output=True)
    if installed.returncode:
        pytest.skip("requests and httpx cannot be installed")
    return folder / "bin" / "python"


@pytest.fixture
def shop(tmp_path: Path, python: Path) -> Iterator[Shop]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [
        name for name in ("ip", "ethtool", "nginx", "curl", "node", "openssl", "setpriv") if shutil.which(name) is None
    ]
    if missing:
        pytest.skip(f"programs are missing: {', '.join(missing)}")
    network = Network()
    try:
        net.direct(network)
        certificate = make_certificate(tmp_path, "shop.test")
        key = certificate.with_suffix(".key")
        server, client = network.hosts["server"], network.hosts["client"]
        Nginx(server, tmp_path / "plain")
        secret = f"ssl_certificate {certificate}; ssl_certificate_key {key};"
        Nginx(server, tmp_path / "tls", secret, port=TLS_PORT, listen="ssl http2")
        stranger = subprocess.Popen(
            client.command([sys.executable, "-c", STRANGER]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert stranger.stdout is not None
        stranger.stdout.readline()
        yield Shop(client, tmp_path, python, certificate)
    finally:
        network.close()


@pytest.fixture
def _exact() -> None:
    try:
        ByCgroup().close()
    except OSError as error:
        pytest.skip(f"the kernel does not tell of a cgroup's sockets: {error}")


def begin(
    shop: Shop,
    *command: str,
    options: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
    through: tuple[str, ...] = (),
    format: str = "json",
) -> Any:
    """`options` of `run`; `variables` of its environment; `through` which command it is started.

    JSON goes to a file, other formats where they go by themselves.
    """
    to = ["-o", str(shop.folder / "report.json")] if format == "json" else []
    line = [*through, sys.executable, "-m", "inspector", "run", "-T", format, *to, *options, "--", *command]
    given = {"REQUESTS_CA_BUNDLE": str(shop.certificate), "SSL_CERT_FILE": str(shop.certificate)}
    given |= {"CURL_CA_BUNDLE": str(shop.certificate), "NODE_EXTRA_CA_CERTS": str(shop.certificate)}
    given |= {"TMPDIR": str(shop.folder)}
    environment = {**os.environ, **given, **(variables or {})}
    environment.pop("SSLKEYLOGFILE", None)
    return subprocess.Popen(
        shop.host.command(line), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def end(shop: Shop, process: Any) -> Ran:
    """Wait for the end; neither keys nor a cgroup are left then."""
    out, errors = process.communicate(timeout=120)
    assert list(shop.folder.glob("connspect-*")) == []
    with suppress(OSError):
        assert not (own_cgroup() / f"connspect-{process.pid}").exists()
    path = shop.folder / "report.json"
    return Ran(process.returncode, out, errors, json.loads(path.read_text()) if path.exists() else {})


def run(shop: Shop, *command: str, **others: Any) -> Ran:
    return end(shop, begin(shop, *command, **others))


def script(shop: Shop, text: str) -> list[str]:
    return [str(shop.python), "-c", text]


FETCH_200 = f"""
import requests
for _ in range(200):
    assert requests.get("http://{SERVER}:{PORT}/a").ok
"""
FETCH_SESSION = f"""
import requests
with requests.Session() as session:
    for _ in range(200):
        assert session.get("http://{SERVER}:{PORT}/a").ok
"""
FETCH_HTTP2 = f"""
import httpx
with httpx.Client(http2=True) as client:
    for name in "abc":
        assert client.get("https://shop.test:{TLS_PORT}/" + name).http_version == "HTTP/2"
"""
#: trust_env=False, for httpx takes SSLKEYLOGFILE with it where it verifies.
FETCH_BLINDLY = f"""
import httpx
with httpx.Client(verify=False, trust_env=False) as client:
    client.get("https://shop.test:{TLS_PORT}/a")
"""
FETCH_NODE = f"""
const https = require("https");
const agent = new https.Agent({{keepAlive: true}});
const get = (name, then) => https.get("https://shop.test:{TLS_PORT}/" + name, {{agent}}, answer => {{
  answer.resume(); answer.on("end", then);
}});
get("a", () => setImmediate(() => get("b", () => agent.destroy())));
"""


#: Root, but for what attaching a program to a cgroup needs: as in a container that may capture.
WITHOUT_BPF = ("setpriv", "--bounding-set", "-sys_admin,-bpf")


@pytest.mark.usefixtures("_exact")
class TestExact:
    """The kernel tells."""

    def test_requests_get_200_times(self, shop: Shop) -> None:
        ran = run(shop, *script(shop, FETCH_200))
        assert ran.status == 0
        assert len(ran.connections) == 200
        assert set(ran.requests()) == {1}
        assert {one["exchanges"][0]["request"]["target"] for one in ran.connections} == {"/a"}
        assert [endpoint["opened"] for endpoint in ran.report["endpoints"]] == [200]
        assert "python: 200 connections to 1 endpoint, all its own (cgroup)\n" in ran.errors
        own = sum(one[side]["packets"] for one in ran.connections for side in ("client_traffic", "server_traffic"))
        assert ran.report["capture"]["tcp_segments"] > own

    def test_a_session(self, shop: Shop) -> None:
        ran = run(shop, *script(shop, FETCH_SESSION))
        assert ran.requests() == [200]

    def test_httpx_with_http2(self, shop: Shop) -> None:
        ran = run(shop, *script(shop, FETCH_HTTP2))
        assert (ran.status, ran.errors) == (0, "connspect: python: 1 connection to 1 endpoint, all its own (cgroup)\n")
        (one,) = ran.connections
        assert (one["protocol"], one["requests"], one["tls"]["decrypted"]) == ("h2", 3, True)
        assert [exchange["request"]["target"] for exchange in one["exchanges"]] == ["/a", "/b", "/c"]

    def test_curl(self, shop: Shop) -> None:
        ran = run(shop, "curl", "-s", f"https://shop.test:{TLS_PORT}/a", f"http://{SERVER}:{PORT}/a")
        assert sorted(one["protocol"] for one in ran.connections) == ["h2", "http/1.1"]
        assert len(ran.out) > 0

    def test_a_table_on_standard_error(self, shop: Shop) -> None:
        ran = run(shop, "curl", "-s", f"http://{SERVER}:{PORT}/a", f"http://{SERVER}:{PORT}/b", format="table")
        assert (ran.status, ran.report) == (0, {})
        assert ran.errors.startswith("curl: 1 connection to 1 endpoint, all its own (cgroup)\n\nany    ")
        (row,) = [line.split() for line in ran.errors.splitlines() if line.startswith(f" {SERVER}:{PORT}  http/1.1")]
        assert row[:5] == [f"{SERVER}:{PORT}", "http/1.1", "1", "0", "2"]
        assert "opened" not in ran.out

    def test_a_page(self, shop: Shop) -> None:
        """Its head says whose connections these are."""
        to, url = shop.folder / "report.html", f"http://{SERVER}:{PORT}/a"
        ran = run(shop, "curl", "-s", url, url, format="html", options=("-o", str(to)))
        whose = "curl: 1 connection to 1 endpoint, all its own (cgroup)"
        assert (ran.status, ran.errors) == (0, f"connspect: {whose}\n")
        page = PageReader(to.read_text("utf-8"))
        assert whose in page.text
        assert page.data["exchanges"]["told"] == [2]
        assert page.data["stories"]["row"] == [0]

    def test_lines_while_it_runs(self, shop: Shop) -> None:
        """A connection is told of 2 s after its end, the command's own only."""
        again = f"curl -s http://{SERVER}:{PORT}/a; sleep 4; echo ending >&2; curl -s http://{SERVER}:{PORT}/b"
        ran = run(shop, "sh", "-c", again, format="ndjson", options=("--events",))
        before, _, after = ran.errors.partition("ending\n")
        for text, target in ((before, "/a"), (after, "/b")):
            lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
            told = [line["exchanges"][0]["request"]["target"] for line in lines if line["type"] == "connection"]
            assert told == [target]
            requests = [line for line in lines if line["type"] == "event" and line["event"] == "request"]
            assert [line["detail"] for line in requests] == [f"GET {target}"]
        assert after.endswith("connspect: sh: 2 connections to 1 endpoint, all its own (cgroup)\n")

    def test_node(self, shop: Shop) -> None:
        ran = run(shop, "node", "-e", FETCH_NODE)
        (one,) = ran.connections
        assert (one["protocol"], one["requests"], one["tls"]["decrypted"]) == ("http/1.1", 2, True)

    def test_a_script_that_starts_all_three(self, shop: Shop) -> None:
        texts = {"fetch.py": FETCH_SESSION, "http2.py": FETCH_HTTP2, "fetch.js": FETCH_NODE}
        for name, text in texts.items():
            (shop.folder / name).write_text(text)
        shell = shop.folder / "all.sh"
        shell.write_text(
            f"#!/bin/sh\ncd {shop.folder}\n{shop.python} fetch.py\n{shop.python} http2.py & node fetch.js & wait\n"
            f"curl -s http://{SERVER}:{PORT}/a\nexit 3\n"
        )
        shell.chmod(0o755)
        ran = run(shop, str(shell))
        assert ran.status == 3
        assert sorted((one["protocol"], one["requests"]) for one in ran.connections) == [
            ("h2", 3),
            ("http/1.1", 1),
            ("http/1.1", 2),
            ("http/1.1", 200),
        ]
        assert "all.sh: 4 connections to 2 endpoints, all its own (cgroup)" in ran.errors

    def test_a_server_and_what_it_accepts(self, shop: Shop) -> None:
        text = "import http.server as h; h.HTTPServer(('127.0.0.1', 8080), h.SimpleHTTPRequestHandler).handle_request()"
        process = begin(shop, *script(shop, text))
        shop.host.run(
            "curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "http://127.0.0.1:8080/"
        )
        ran = end(shop, process)
        assert [one["server"]["port"] for one in ran.connections] == [8080]

    def test_what_is_refused_is_its_own_too(self, shop: Shop) -> None:
        ran = run(shop, "curl", "-s", f"http://{SERVER}:9/")
        assert ran.status == 7
        assert [one["opened"]["how"] for one in ran.connections] == ["refused"]

    def test_what_is_not_seen_on_the_interface_is_said(self, shop: Shop) -> None:
        ran = run(shop, "curl", "-s", f"http://{SERVER}:{PORT}/a", options=("-i", "lo"))
        assert ran.connections == []
        assert "curl: 0 connections to 0 endpoints, all its own (cgroup), 1 more not seen on lo" in ran.errors

    def test_without_keys_it_says_what_to_do(self, shop: Shop) -> None:
        ran = run(shop, *script(shop, FETCH_BLINDLY))
        (one,) = ran.connections
        assert one["tls"]["decrypted"] is False
        assert "1 TLS connection without keys: Python logs keys where" in ran.errors

    def test_a_child_that_goes_on_is_waited_for(self, shop: Shop) -> None:
        (shop.folder / "fetch.py").write_text(FETCH_SESSION.replace("assert", "import time; time.sleep(0.01); assert"))
        ran = run(shop, "sh", "-c", f"{shop.python} {shop.folder}/fetch.py >/dev/null 2>&1 & exit 5")
        assert ran.status == 5
        assert ran.requests() == [200]
        assert ran.connections[0]["closed"]["by"] == "client"

    def test_the_command_is_killed(self, shop: Shop) -> None:
        text = f"import requests; s = requests.Session(); s.get('http://{SERVER}:{PORT}/a'); print('got', flush=True);"
        process = begin(shop, *script(shop, text + "import time; time.sleep(60)"))
        assert process.stdout.readline() == "got\n"
        # `ip netns exec` became what it runs.
        process.send_signal(signal.SIGTERM)
        ran = end(shop, process)
        assert ran.requests() == [1]
        assert ran.connections[0]["closed"]["by"] == "client"

    def test_what_is_kept(self, shop: Shop) -> None:
        kept = shop.folder / "kept"
        ran = run(shop, "curl", "-s", f"https://shop.test:{TLS_PORT}/a", options=("--keep", str(kept)))
        assert ran.status == 0
        assert {path.name for path in kept.iterdir()} == {"capture.pcapng", "keys.log"}
        assert (kept / "keys.log").stat().st_mode & 0o777 == 0o600
        with open_capture([str(kept / "capture.pcapng")]) as source:
            assert sum(len(batch) for batch in source) >= ran.connections[0]["client_traffic"]["packets"]
        line = [sys.executable, "-m", "inspector", "read", "-T", "json", "--keylog", str(kept / "keys.log")]
        line += ["--port", str(TLS_PORT), str(kept / "capture.pcapng")]
        again = json.loads(subprocess.run(line, capture_output=True, check=True, cwd=ROOT).stdout)
        assert [one["requests"] for one in again["connections"]] == [1]


def for_everybody() -> tuple[str, ...]:
    """How a command is started so that other users may read this Python and this project, wherever they lie.

    Folders on the way that are closed to others (root's home, mostly) are laid over with open ones that hold only what
    is needed, for this command alone: mounts of a namespace of its own.
    """
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT.resolve()}
    closed = {
        parent
        for path in needed
        for parent in path.parents
        if not parent.stat().st_mode & 0o001 and parent != Path("/")
    }
    outermost = {folder for folder in closed if not closed & set(folder.parents)}
    lines = ["set -e", "aside=$(mktemp -d)"]
    for folder in sorted(outermost):
        inside = sorted(path for path in needed if folder in path.parents)
        for number, path in enumerate(inside):
            lines += [f"mkdir $aside/{number}", f"mount --bind '{path}' $aside/{number}"]
        lines.append(f"mount -t tmpfs -o mode=0755 none '{folder}'")
        for number, path in enumerate(inside):
            lines += [f"mkdir -p '{path}'", f"mount --bind $aside/{number} '{path}'", f"umount $aside/{number}"]
    lines += ["rm -r $aside", 'exec "$@"']
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines), "sh") if outermost else ()


@pytest.mark.parametrize("through", [(), for_everybody()], ids=["where it lies", "for everybody"])
def test_through_sudo_only_the_keeper_has_rights(shop: Shop, through: tuple[str, ...]) -> None:
    """Started as sudo starts it: the command is the caller's, and so is the process that reads packets.

    Python itself may lie where only root can read.
    """
    status = "grep -hE '^(Uid|Gid|Groups|CapEff|CapPrm)' /proc/self/status; id -un; echo $HOME; sleep 1"
    # Where nobody may write: pytest's folders are root's alone.
    shop.folder = Path(tempfile.mkdtemp())
    shop.folder.chmod(0o777)
    process = begin(
        shop,
        "sh",
        "-c",
        status,
        variables={"SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"},
        through=through,
    )
    time.sleep(0.2)
    sniffer: dict[str, str] = {}
    until = time.monotonic() + 20
    while time.monotonic() < until and not sniffer:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            fields = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines() if ":\t" in line
            )
            if "inspector" in Path(f"/proc/{child}/cmdline").read_text() and fields["Uid"].split()[0] == "65534":
                sniffer = fields
        time.sleep(0.02)
    ran = end(shop, process)
    assert set(sniffer["Uid"].split()) == {"65534"}
    assert {int(sniffer[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert ran.out.splitlines() == [
        "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534",
        "Groups:\t65534 ",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "nobody",
        "/nonexistent",
    ]
    assert (shop.folder / "report.json").stat().st_uid == 65534
    shutil.rmtree(shop.folder)


def test_the_fallback_finds_what_lasts(shop: Shop) -> None:
    """By the sockets seen: connections that live longer than the time between two looks; and it says that it may miss
    others."""
    text = f"""
import subprocess, sys, time, requests
session = requests.Session()
session.get("http://{SERVER}:{PORT}/a")
time.sleep(0.5)
session.get("http://{SERVER}:{PORT}/a")
child = "import socket, time; s = socket.create_connection(('{SERVER}', {PORT})); time.sleep(0.5)"
subprocess.run([sys.executable, "-c", child])
"""
    ran = run(shop, *script(shop, text), through=WITHOUT_BPF)
    assert sorted(ran.requests()) == [0, 2]
    assert "python: 2 connections to 1 endpoint, by the sockets seen (may miss short ones)\n" in ran.errors


def test_no_such_command_no_report(shop: Shop) -> None:
    ran = run(shop, "connspect-has-none")
    assert (ran.status, ran.errors, ran.report) == (127, "connspect: connspect-has-none: command not found\n", {})


def test_no_such_interface_no_command(shop: Shop) -> None:
    ran = run(shop, "touch", f"{shop.folder}/ran", options=("-i", "eth9"))
    assert ran.status == 3
    assert ran.errors.startswith("connspect: no interface eth9; there are ")
    assert not (shop.folder / "ran").exists()


def test_a_full_disk_is_said_once(shop: Shop) -> None:
    process = begin(shop, "curl", "-s", f"http://{SERVER}:{PORT}/a", options=("-o", "/dev/full"))
    ran = end(shop, process)
    assert ran.status == 0
    assert ran.errors == "connspect: cannot write /dev/full: No space left on device\n"
