"""What `live --metrics` says while it runs is what the client and the server's log know."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from captures.recorder import network as net
from captures.recorder.network import SERVER, Host, Network
from captures.recorder.servers import Nginx
from tests.live.watching import requests, watching

pytestmark = pytest.mark.live

PORT = 8001
METRICS = 9464

_SCRAPE = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Accept": "application/openmetrics-text; version=1.0.0"})
print(urllib.request.urlopen(request, timeout=20).read().decode(), end="")
"""


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [name for name in ("ip", "ethtool", "nginx") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"programs are missing: {', '.join(missing)}")
    made = Network()
    try:
        yield made
    finally:
        made.close()


def scrape(host: Host) -> dict[tuple[str, ...], float]:
    """Values by sample name and labels but for the endpoint, of the one server there is."""
    text = host.run(sys.executable, "-c", _SCRAPE, f"http://127.0.0.1:{METRICS}/metrics")
    return {
        (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "endpoint")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("endpoint") in (None, f"{SERVER}:{PORT}")
    }


def test_counts_are_the_clients_own(network: Network, tmp_path: Path) -> None:
    net.direct(network)
    client = network.hosts["client"]
    server = Nginx(network.hosts["server"], tmp_path / "nginx", address=SERVER)
    with watching(client, "-i", "eth0", "--metrics", str(METRICS)) as running:
        assert running.next_word() == f"connspect: metrics at http://127.0.0.1:{METRICS}/metrics\n"
        ports = requests(client, SERVER, PORT, 300) + requests(client, SERVER, PORT, 20, per=5)
        time.sleep(1)  # what was sent last is on its way
        at_once = scrape(client)
        time.sleep(3)  # an ended connection is over 2 s later
        later = scrape(client)
        for _ in range(40):  # findings are judged every 5 s
            if any(key[0] == "connspect_findings" for key in later):
                break
            time.sleep(0.5)
            later = scrape(client)
        watched = running.end()
    server.stop()
    assert len(server.requests()) == 400
    for said in (at_once, later):
        assert said["connspect_connections_total", "handshake"] == len(ports) == 320
        assert said["connspect_requests_total",] == 400
        assert said["connspect_connections_open",] == 0
        assert said["connspect_packets_dropped_total", "kernel"] == 0
    closed = {key: value for key, value in later.items() if key[0] == "connspect_connections_closed_total"}
    assert sum(closed.values()) == 320
    assert {how for _, _, how in closed} == {"fin"}
    assert later["connspect_tcp_handshake_seconds_count",] == 320
    assert sum(value for key, value in later.items() if key[0] == "connspect_idle_at_close_seconds_count") == 320
    assert later["connspect_findings", "reuse", "info"] == 1
    assert later["connspect_packets_total",] <= watched.capture["packets"]
    assert len(watched.of("connection")) == 320
    assert watched.status == 0


def test_a_port_that_is_taken_is_told_in_a_line(network: Network) -> None:
    net.direct(network)
    host = network.hosts["client"]
    with watching(host, "-i", "lo", "--metrics", str(METRICS)):
        command = [sys.executable, "-m", "inspector", "live", "-i", "lo", "--metrics", str(METRICS)]
        said = host.run("sh", "-c", f"{' '.join(command)} 2>&1; echo $?")
    line, status = said.splitlines()
    assert line == f"connspect: --metrics {METRICS}: cannot listen there: Address already in use"
    assert status == "2"
