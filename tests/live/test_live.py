"""What `live` counts is what the client's own sockets and the server's log know, however it listens.

nginx and the client are real, in namespaces of their own. Skipped without root or without the programs.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.sendrecv import sniff

from captures.recorder import network as net
from captures.recorder.network import CLIENT6, SERVER, SERVER6, Network
from captures.recorder.servers import Nginx
from captures.recorder.tools import make_certificate
from inspector.engine import Inspector, Options
from inspector.sources import live
from inspector.sources.open import open_capture
from inspector.sources.ring import RingSocket
from tests.live.watching import requests, watching
from tests.report.html.reading import PageReader
from tests.sources.forge import seen

pytestmark = pytest.mark.live

PORT = 8001
MANY = 2_000


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [name for name in ("ip", "ethtool", "nginx", "curl", "openssl", "tshark") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"programs are missing: {', '.join(missing)}")
    made = Network()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("build", "address", "host", "interfaces"),
    [
        (net.direct, SERVER, "client", ["-i", "eth0"]),
        (net.direct, SERVER, "server", ["-i", "any"]),
        (net.direct, SERVER, "server", ["-i", "lo", "-i", "eth0"]),
        (net.direct_ipv6, SERVER6, "client", ["-i", "eth0"]),
        (net.direct_ipv6, SERVER6, "client", ["-i", "any", "tcp", "port", str(PORT)]),
    ],
)
def test_many_short_connections(
    network: Network,
    tmp_path: Path,
    build: Callable[[Network], None],
    address: str,
    host: str,
    interfaces: list[str],
) -> None:
    build(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx", address=f"[{address}]" if ":" in address else address)
    with watching(network.hosts[host], *interfaces) as running:
        ports = requests(network.hosts["client"], address, PORT, MANY)
        watched = running.end()
    server.stop()
    assert len(ports) == MANY
    assert watched.client_ports(PORT) == ports
    logged = sorted(int(request.client.rpartition(":")[2]) for request in server.requests())
    assert logged == ports
    for one in watched.of("connection"):
        assert (one["opened"]["how"], one["requests"], one["responses"]) == ("handshake", 1, 1)
        assert one["state"] == "SF"
        assert one["anomalies"] == []
    assert watched.capture["dropped"]["kernel"] == 0
    assert watched.capture["skipped"].get("duplicate", 0) == 0
    assert watched.status == 0


@pytest.mark.parametrize(("address", "interface"), [("127.0.0.1", "lo"), ("::1", "lo"), ("127.0.0.1", "any")])
def test_loopback_shows_each_packet_once(network: Network, tmp_path: Path, address: str, interface: str) -> None:
    host = network.host("alone")
    if ":" in address:
        host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.lo.disable_ipv6=0")
    server = Nginx(host, tmp_path / "nginx", address=f"[{address}]" if ":" in address else address)
    with watching(host, "-i", interface) as running:
        ports = requests(host, address, PORT, MANY)
        watched = running.end()
    server.stop()
    assert watched.client_ports(PORT) == ports
    for one in watched.of("connection"):
        # SYN, ACK, request, ACK of the response, FIN or its ACK: and none of it twice.
        assert one["client_traffic"]["packets"] <= 6
        assert one["client_traffic"]["retransmitted_bytes"] == 0
        assert one["opened"]["syn_retransmissions"] == 0
        assert one["anomalies"] == []
    assert watched.capture["skipped"] == {}


def test_connections_that_are_kept(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx")
    with watching(network.hosts["client"], "-i", "eth0") as running:
        ports = requests(network.hosts["client"], SERVER, PORT, 20, per=50)
        watched = running.end()
    server.stop()
    assert watched.client_ports(PORT) == ports
    assert [one["requests"] for one in watched.of("connection")] == [50] * 20


def test_a_page_at_the_end(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx")
    report = tmp_path / "report.html"
    with watching(network.hosts["client"], "-i", "eth0", "-T", "html", "-o", str(report)) as running:
        ports = requests(network.hosts["client"], SERVER, PORT, 20, per=3)
        assert not report.exists()
        assert running.end().status == 0
    server.stop()
    data = PageReader(report.read_text("utf-8")).data
    assert sorted(data["connections"]["port"]) == ports
    assert data["exchanges"]["told"] == [3] * 20
    assert len(data["stories"]["row"]) == 20


def test_any_on_a_bridge_counts_copies_apart(network: Network, tmp_path: Path) -> None:
    net.bridged(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx")
    with watching(network.hosts["bridge"], "-i", "any") as running:
        ports = requests(network.hosts["client"], SERVER, PORT, 200)
        watched = running.end()
    server.stop()
    assert watched.client_ports(PORT) == ports
    assert watched.capture["skipped"]["duplicate"] > 200
    assert sum(one["client_traffic"]["retransmitted_bytes"] for one in watched.of("connection")) == 0


def test_http2_over_tls_with_a_key_log_that_grows(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    certificate = make_certificate(tmp_path, "shop.test")
    key = certificate.with_suffix(".key")
    server = Nginx(
        network.hosts["server"],
        tmp_path / "nginx",
        f"ssl_certificate {certificate}; ssl_certificate_key {key};",
        port=8443,
        listen="ssl http2",
    )
    keys = tmp_path / "keys"
    with watching(network.hosts["client"], "-i", "eth0", "--keylog", str(keys)) as running:
        assert not keys.exists()
        for _ in range(10):
            urls = [f"https://shop.test:8443/{name}" for name in "abc"]
            command = ["curl", "-s", "--http2", "--cacert", str(certificate), *urls]
            network.hosts["client"].run(*command, environment={**os.environ, "SSLKEYLOGFILE": str(keys)})
        watched = running.end()
    server.stop()
    connections = watched.of("connection")
    assert len(connections) == 10
    for one in connections:
        assert (one["protocol"], one["requests"], one["responses"]) == ("h2", 3, 3)
        assert one["tls"]["decrypted"] is True
        assert one["tls"]["why_not"] is None
        assert [exchange["request"]["target"] for exchange in one["exchanges"]] == ["/a", "/b", "/c"]


LATE_KEYS = """
import http.client, pathlib, ssl, sys, time
certificate, hidden, keys = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
context.keylog_filename = hidden
connection = http.client.HTTPSConnection("shop.test", 8443, context=context)
for _ in range(2):
    connection.request("GET", "/a")
    connection.getresponse().read()
    time.sleep(0.7)
    pathlib.Path(keys).write_bytes(pathlib.Path(hidden).read_bytes())
connection.close()
"""


def test_keys_that_come_after_their_packets(network: Network, tmp_path: Path) -> None:
    """And tshark reads what was kept, with the keys in it."""
    net.direct(network)
    certificate = make_certificate(tmp_path, "shop.test")
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate.with_suffix('.key')};"
    server = Nginx(network.hosts["server"], tmp_path / "nginx", tls, port=8443, listen="ssl")
    keys, kept = tmp_path / "keys", tmp_path / "kept.pcapng"
    arguments = ["-i", "eth0", "--keylog", str(keys), "-w", str(kept), "--embed-keys"]
    with watching(network.hosts["client"], *arguments) as running:
        hidden = tmp_path / "hidden"
        network.hosts["client"].run(sys.executable, "-c", LATE_KEYS, str(certificate), str(hidden), str(keys))
        watched = running.end()
    server.stop()
    (one,) = watched.of("connection")
    assert (one["requests"], one["responses"], one["tls"]["decrypted"]) == (2, 2, True)
    told = subprocess.run(
        ["tshark", "-r", str(kept), "-Y", "http.request", "-T", "fields", "-e", "tcp.stream", "-e", "http.request.uri"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == ["0\t/a"] * 2


TAGGED = """
import socket, sys
frames = bytes.fromhex(sys.argv[1])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("eth0", 0))
    for _ in range(5):
        raw.send(frames)
"""


def test_vlan_tags_are_seen(network: Network, tmp_path: Path) -> None:
    """The kernel takes them out on arrival; in what is kept they are where they were."""
    net.direct(network)
    tagged = bytes(Ether(dst="02:00:00:00:00:01") / Dot1Q(vlan=7, prio=3) / IP(dst=SERVER) / TCP(dport=80) / bytes(40))
    kept = tmp_path / "kept.pcapng"
    with watching(network.hosts["server"], "-i", "eth0", "-w", str(kept)) as running:
        network.hosts["client"].run(sys.executable, "-c", TAGGED, tagged.hex())
        watched = running.end()
    assert watched.capture["tcp_segments"] == watched.capture["packets"] == 5
    with open_capture([str(kept)]) as source:
        assert [packet.data for packet in seen(source)] == [tagged] * 5


def test_a_snap_length(network: Network, tmp_path: Path) -> None:
    """The heads are read, lengths are whole, what was cut is not taken for lost."""
    host = network.host("alone")
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    (tmp_path / "nginx" / "files" / "a").write_bytes(bytes(100_000))
    with watching(host, "-i", "lo", "-s", "400") as running:
        requests(host, "127.0.0.1", PORT, 3)
        watched = running.end()
    server.stop()
    for one in watched.of("connection"):
        assert one["server_traffic"]["bytes"] > 100_000 > one["server_traffic"]["captured_bytes"]
        assert one["exchanges"][0]["response"]["body_bytes"] == 100_000
        assert one["exchanges"][0]["complete"] is True


def test_super_packets(network: Network, tmp_path: Path) -> None:
    """Segmentation offload makes packets of 64 KB, which no frame of the ring was made for."""
    host = network.host("alone")
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    (tmp_path / "nginx" / "files" / "a").write_bytes(bytes(3_000_000))
    with watching(host, "-i", "lo") as running:
        requests(host, "127.0.0.1", PORT, 3)
        watched = running.end()
    server.stop()
    for one in watched.of("connection"):
        assert one["exchanges"][0]["response"]["body_bytes"] == 3_000_000
        assert one["server_traffic"]["missing_bytes"] == 0
        assert one["server_traffic"]["captured_bytes"] > 3_000_000
        assert one["server_traffic"]["packets"] < 1000


def test_an_interface_that_goes_down_and_away(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    client, server_host = network.hosts["client"], network.hosts["server"]
    server = Nginx(server_host, tmp_path / "nginx")
    with watching(client, "-i", "eth0") as running:
        ports = requests(client, SERVER, PORT, 3)
        client.ip("link", "set", "eth0", "down")
        assert "eth0 is down" in running.next_word()
        client.ip("link", "set", "eth0", "up")
        assert "eth0 is up" in running.next_word()
        ports += requests(client, SERVER, PORT, 3)
        client.ip("link", "delete", "eth0")
        watched = running.ended()
    server.stop()
    assert "eth0 has gone" in watched.errors
    assert watched.status == 4
    assert watched.client_ports(PORT) == sorted(ports)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_with_the_report(network: Network, how: signal.Signals) -> None:
    with watching(network.host("alone"), "-i", "lo") as running:
        watched = running.end(how)
    assert watched.status == 0
    assert watched.capture["packets"] == 0


def test_a_connection_is_told_while_the_capture_goes_on(network: Network, tmp_path: Path) -> None:
    """Nothing comes behind it: the clock alone has to end its 2 seconds."""
    net.direct(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx")
    with watching(network.hosts["client"], "-i", "eth0") as running:
        requests(network.hosts["client"], SERVER, PORT, 1)
        for _ in range(200):
            if lines := running.lines():
                break
            time.sleep(0.1)
        assert [line["type"] for line in lines] == ["connection"], "and it is too early for a finding"
        assert len(running.end().of("connection")) == 1
    server.stop()


def test_a_finding_is_told_while_the_capture_goes_on(network: Network, tmp_path: Path) -> None:
    """Once, as it was known then; and at the end as it is."""
    net.direct(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx")
    with watching(network.hosts["client"], "-i", "eth0") as running:
        for _ in range(200):
            requests(network.hosts["client"], SERVER, PORT, 5)
            early = [line for line in running.lines() if line["type"] == "finding"]
            if any(line["code"] == "client-asked-close" for line in early):
                break
            time.sleep(0.1)
        requests(network.hosts["client"], SERVER, PORT, 5)
        watched = running.end()
    server.stop()
    told = [line for line in watched.of("finding") if line["code"] == "client-asked-close"]
    assert [line["final"] for line in told] == [False, True]
    assert told[0]["measured"]["connections"] < told[1]["measured"]["connections"]
    assert told[0] in watched.lines[: watched.lines.index(watched.of("connection")[-1])]
    assert [line["final"] for line in watched.of("finding")].count(True) == len(
        {(line["code"], line["severity"]) for line in watched.of("finding") if line["final"]}
    )


def test_limits(network: Network, tmp_path: Path) -> None:
    host = network.host("alone")
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    with watching(host, "-i", "lo", "-c", "15") as running:
        requests(host, "127.0.0.1", PORT, 5)
        assert running.ended().capture["packets"] == 15
    server.stop()
    with watching(host, "-i", "lo", "--duration", "0.5") as running:
        assert running.ended().capture["packets"] == 0


def test_started_through_sudo_it_is_the_callers(network: Network, tmp_path: Path) -> None:
    host = network.host("alone")
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    as_caller = {"SUDO_UID": "4321", "SUDO_GID": "4321", "SUDO_USER": "nobody-here"}
    arguments = ["-i", "lo", "-w", str(folder / "kept.pcapng"), "-o", str(folder / "report")]
    with watching(host, *arguments, environment=as_caller) as running:
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        ports = requests(host, "127.0.0.1", PORT, 20)
        ended = running.end()
    server.stop()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == ["4321"] * 4
    assert fields["Groups"].split() == ["4321"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"
    assert ended.status == 0, ended.errors
    assert {path.name for path in folder.iterdir()} == {"kept.pcapng", "report"}
    assert (folder / "report").read_text().count('"type":"connection"') == len(ports)
    assert {path.stat().st_uid for path in folder.iterdir()} == {4321}


def test_without_a_ring_scapys_sockets_do(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: the ring is refused, the packets of a loopback still come once each."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(live, "RingFeed", refused)
    host = network.host("alone")
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    words: list[str] = []
    with net._inside(host.namespace):
        source = live.open_live(["lo"], warn=words.append, duration=20)
    inspector = Inspector(Options())
    with source:
        ports = requests(host, "127.0.0.1", PORT, 50)
        for batch in source:
            inspector.feed(batch)
            if batch.first_packet > 50 * 8:
                source.stop()
    server.stop()
    inspection = inspector.finish()
    assert words == ["no packet ring here (Protocol not available): capturing with sockets, which lose more"]
    assert sorted(one.client.port for one in inspection.connections) == ports
    assert inspection.capture.skipped == {}
    assert {one.requests for one in inspection.connections} == {1}


def test_scapy_sniffs_on_the_ring(network: Network, tmp_path: Path) -> None:
    host = network.host("alone")
    server = Nginx(host, tmp_path / "nginx", address="127.0.0.1")
    with net._inside(host.namespace), RingSocket("lo", filter=f"tcp port {PORT}") as ring:
        requests(host, "127.0.0.1", PORT, 3)
        packets = sniff(opened_socket=ring, timeout=1)
    server.stop()
    assert len([one for one in packets if one[TCP].flags == "S"]) == 3
    assert len([one for one in packets if one[TCP].flags == "SA"]) == 3
    assert ring.closed


def test_names_from_dns(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    answer = DNS(qr=1, qd=DNSQR(qname="asked.test"), an=[DNSRR(rrname="asked.test", rdata=SERVER)])
    with watching(network.hosts["client"], "-i", "eth0") as running:
        program = "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 53)); "
        program += f"s.sendto(bytes.fromhex('{bytes(answer).hex()}'), ('{net.CLIENT}', 4000))"
        network.hosts["server"].run(sys.executable, "-c", program)
        refused = "import socket; socket.socket().connect_ex(('10.0.0.1', 81))"
        network.hosts["client"].run(sys.executable, "-c", refused)
        watched = running.end()
    (one,) = watched.of("connection")
    assert (one["name"], one["name_from"]) == ("asked.test", "dns")


def test_ipv6_address_is_told(network: Network, tmp_path: Path) -> None:
    net.direct_ipv6(network)
    server = Nginx(network.hosts["server"], tmp_path / "nginx", address=f"[{SERVER6}]")
    with watching(network.hosts["client"], "-i", "eth0") as running:
        requests(network.hosts["client"], SERVER6, PORT, 1)
        watched = running.end()
    server.stop()
    (one,) = watched.of("connection")
    assert (one["client"]["ip"], one["server"]["ip"]) == (CLIENT6, SERVER6)
