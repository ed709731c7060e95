"""--metrics over HTTP: who asks is told what the capture's loop says next."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from inspector.cli import serving
from inspector.cli.serving import Serving, address, needs_rights
from inspector.engine import Inspector, Options
from inspector.errors import UsageError
from inspector.sources.memory import MemorySource
from inspector.sources.source import Dropped, SourceFile
from tests.cli.conftest import Run
from tests.tcp.playbook import Talk, merged


class Source:
    """What Serving sees of a capture."""

    def __init__(self) -> None:
        self.files = [SourceFile("lo", "live", None, [1], dropped=Dropped(7, None))]


def scrape(url: str, accept: str | None = None) -> tuple[str, str]:
    """Content type and text."""
    request = urllib.request.Request(url, headers={} if accept is None else {"Accept": accept})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def while_looping(one: Serving, inspector: Inspector, ask: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Ask while the loop goes on."""
    told: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: told.append(ask()))
    thread.start()
    while thread.is_alive():
        one.refresh(inspector, Source())  # type: ignore[arg-type]
        time.sleep(0.005)
    return told[0]


def inspected(one: Serving) -> Inspector:
    inspector = Inspector(one.counting(Options()))
    talks = [Talk(f"10.0.0.1:{n}", start=n).handshake().exchange().close() for n in range(1, 4)]
    for batch in MemorySource(merged(*talks, Talk("10.0.0.3:1", start=60).c("SYN"))):
        inspector.feed(batch)
    return inspector


def test_a_scrape() -> None:
    with Serving("0") as one:
        assert one.url.startswith("http://127.0.0.1:")
        one.start()
        inspector = inspected(one)
        kind, text = while_looping(one, inspector, lambda: scrape(one.url))
        assert kind.startswith("text/plain")
        values = {(s.name, s.labels.get("endpoint")): s.value for family in plain(text) for s in family.samples}
        assert values["connspect_connections_total", "10.0.0.2:80"] == 3
        assert values["connspect_packets_dropped_total", None] == 7
        accept = "application/openmetrics-text; version=1.0.0"
        kind, text = while_looping(one, inspector, lambda: scrape(one.url, accept))
        assert kind.startswith("application/openmetrics-text")
        assert "connspect_requests" in {family.name for family in openmetrics(text)}


def test_nobody_waits_for_a_loop_that_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.05)
    with Serving("0") as one:
        one.start()
        inspector = inspected(one)
        _, before = while_looping(one, inspector, lambda: scrape(one.url))
        _, after = scrape(one.url)
        assert "connspect_connections_total" in after
        assert before == after


def test_what_was_counted_before_is_handed_on() -> None:
    handed: list[int] = []
    with Serving("0") as one:
        options = one.counting(Options(on_connection=lambda connection: handed.append(connection.id)))
        inspector = Inspector(options)
        for batch in MemorySource(merged(Talk().handshake().close())):
            inspector.feed(batch)
        inspector.finish()
    assert handed == [0]


def test_it_ends_while_somebody_waits() -> None:
    one = Serving("0")
    one.start()
    told: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: told.append(scrape(one.url)))
    thread.start()
    while not one._wanted.is_set():
        time.sleep(0.005)
    one.close()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        scrape(one.url)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9090", ("127.0.0.1", 9090)),
        (":9090", ("127.0.0.1", 9090)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9090", ("::1", 9090)),
    ],
)
def test_where(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found
    assert needs_rights(text) == (0 < found[1] < 1024)


@pytest.mark.parametrize("text", ["", "x", "localhost", "::1:9090", "1:70000", "host:-1", "host:९"])
def test_nowhere(text: str) -> None:
    with pytest.raises(UsageError, match="write PORT or HOST:PORT"):
        address(text)


def test_ipv6() -> None:
    with Serving("[::1]:0") as one:
        assert one.url.startswith("http://[::1]:")
        one.start()
        _, text = while_looping(one, inspected(one), lambda: scrape(one.url))
        assert "connspect_packets_total" in text


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"^--metrics {port}: cannot listen there: Address already in use$"):
            Serving(str(port))


def test_a_host_that_is_not_this_one(run: Run) -> None:
    with pytest.raises(UsageError, match=r"^--metrics 192\.0\.2\.1:9090: cannot listen there: "):
        Serving("192.0.2.1:9090")
    ran = run("live", "-i", "lo", "--metrics", "nonsense")
    assert ran.status == 2
    assert ran.err == "connspect: --metrics nonsense: write PORT or HOST:PORT, such as 9090 or [::1]:9090\n"
