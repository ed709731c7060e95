"""`connspect live` on a terminal, driven as a person would: what is seen, and that the terminal is as it was.

nginx and the clients are real, in namespaces of their own. Skipped without root or without the programs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from captures.recorder import network as net
from captures.recorder.network import SERVER, Network
from captures.recorder.servers import Nginx
from tests.live.terminal import ENTERS_ALTERNATE, Terminal, terminal
from tests.live.watching import requests

pytestmark = pytest.mark.live

PORT = 8001
LIVE = ("-i", "eth0")
#: What the report says of the server to which `_load` opened six connections.
REPORTED = re.compile(r"10\.0\.0\.1:8001\s+http/1\.1 +6 +0 +6 +1 ")
#: Runs the command line with an engine, or a screen, that fails once it has seen some connections.
BROKEN_ENGINE = """
from inspector import engine
feed = engine.Inspector.feed
def fail(self, batch):
    feed(self, batch)
    if self.connections >= 8:
        raise RuntimeError("a bug of ours")
engine.Inspector.feed = fail
from inspector.__main__ import main
main()
"""
BROKEN_SCREEN = """
from inspector.report.screen import board
take = board.Board.take
def fail(self, inspection, now):
    take(self, inspection, now)
    if len(inspection.connections) >= 8:
        raise RuntimeError("a bug of ours")
board.Board.take = fail
from inspector.__main__ import main
main()
"""


def _in(folder: Path) -> list[str]:
    """The program, in another working directory."""
    return ["-c", f"import os; os.chdir({str(folder)!r})\nfrom inspector.__main__ import main\nmain()"]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [name for name in ("ip", "ethtool", "nginx") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"programs are missing: {', '.join(missing)}")
    made = Network()
    try:
        net.direct(made)
        Nginx(made.hosts["server"], tmp_path / "one", "keepalive_timeout 2s;")
        Nginx(made.hosts["server"], tmp_path / "other", port=PORT + 1)
        yield made
    finally:
        made.close()


def _load(network: Network, count: int = 6) -> None:
    """A connection a request to one server, a connection for three requests to the other."""
    client = network.hosts["client"]
    requests(client, SERVER, PORT, count)
    requests(client, SERVER, PORT + 1, 2, per=3)


def _row(text: str, what: str) -> list[str]:
    return next(line for line in text.split("\n")[3:] if what in line).split()


def _closed(screen: Terminal, server: str, connections: int) -> str:
    """Wait until so many connections of a server were opened, and none is open; what is seen then."""
    return screen.wait_for(re.compile(rf"^ {re.escape(server)} +http/1\.1 +0 +{connections} ", re.MULTILINE))


def test_a_session(network: Network) -> None:
    with terminal(network.hosts["client"], *LIVE) as screen:
        screen.wait_for("no connection so far", "0 dropped  ? help  q quit")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        text = _closed(screen, "10.0.0.1:8002", 2)
        assert text.index("10.0.0.1:8001 ") < text.index("10.0.0.1:8002 ")

        screen.press("r")
        text = screen.wait_for("sorted by opened ▲")
        assert text.index("10.0.0.1:8002 ") < text.index("10.0.0.1:8001 ")
        screen.press("s")
        screen.wait_for("sorted by /s ▼")
        screen.press("s")
        text = screen.wait_for("sorted by req/conn ▼")
        assert text.index("10.0.0.1:8002 ") < text.index("10.0.0.1:8001 ")

        screen.press("/8002")
        screen.wait_for("1 of 2 endpoints", without="10.0.0.1:8001  http")
        screen.press("\r")
        screen.wait_for("1 of 2 endpoints", "Enter open")
        screen.press("\r")
        text = screen.wait_for("10.0.0.1:8002   2 connections", "sorted by id ▼", "handshake")
        assert _row(text, "10.0.0.2:")[4:6] == ["handshake", "3"]
        screen.press("\r")
        text = screen.wait_for("› connection 7", "handshake ", "GET /a")
        assert text.count("GET /a") == 3
        assert "closed first" in screen.wait_for("closed first")
        screen.press("\x1b")
        screen.wait_for("2 connections", without="›")
        screen.press("\x1b")
        screen.wait_for("1 of 2 endpoints")
        screen.press("\x1b")
        screen.wait_for("\n 2 endpoints   sorted by req/conn ▼")

        screen.press(" ")
        screen.wait_for("DISPLAY HELD, capturing goes on")
        _load(network, 3)
        held = screen.text
        time.sleep(1.2)
        screen.read()
        assert _row(held, "10.0.0.1:8001")[:4] == _row(screen.text, "10.0.0.1:8001")[:4]
        screen.press(" ")
        _closed(screen, "10.0.0.1:8001", 9)
        assert "HELD" not in screen.text

        screen.resize(70, 20)
        text = screen.wait_for("10.0.0.1:8001", without=" last")
        assert len(text.split("\n")[0]) <= 70
        screen.resize(40, 8)
        screen.wait_for("terminal too small: 40x8", without="8001")
        screen.resize(120, 40)
        screen.wait_for("10.0.0.1:8001", " last", without="too small")

        screen.press("?")
        screen.wait_for("end the capture; the report stays on the terminal")
        screen.press("q")
        report = screen.end()
        assert screen.process.returncode == 0
        assert screen.is_restored
        assert re.search(r"eth0 +\d+ packets, all TCP, none lost +.* 13 connections", report)
        assert re.search(r"10\.0\.0\.1:8001 +http/1\.1 +9 +0 +9 +1 ", report)
        assert "events ───" not in report
        assert "Traceback" not in report


def test_the_report_so_far(network: Network, tmp_path: Path) -> None:
    there = tmp_path / "hers"
    there.mkdir()
    with terminal(network.hosts["client"], *LIVE, program=_in(there)) as screen:
        screen.wait_for("no connection so far")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        screen.press("w")
        screen.wait_for(f" written to {there}/connspect-")
        (written,) = there.iterdir()
        assert '"opened":6' in written.read_text()
        assert os.stat(written).st_uid == 0
        screen.press("q")
        screen.end()


@pytest.mark.parametrize("how", ["q", "\x03", signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "duration"])
def test_whatever_ends_it(network: Network, how: str | signal.Signals) -> None:
    limit = ["--duration", "4"] if how == "duration" else []
    with terminal(network.hosts["client"], *LIVE, *limit, columns=80, rows=24) as screen:
        screen.wait_for("no connection so far")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        if isinstance(how, signal.Signals):
            screen.process.send_signal(how)
        elif how != "duration":
            screen.press(how)
        report = screen.end()
        assert screen.is_restored
        assert screen.process.returncode == 0
        assert REPORTED.search(report)
        assert "Traceback" not in report


def test_the_window_is_closed(network: Network, tmp_path: Path) -> None:
    report = tmp_path / "report"
    with terminal(network.hosts["client"], *LIVE, "-o", str(report)) as screen:
        screen.wait_for("no connection so far")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        screen.hang_up()
        screen.process.wait(30)
        assert REPORTED.search(report.read_text())


@pytest.mark.parametrize(("program", "reported"), [(BROKEN_ENGINE, 7), (BROKEN_SCREEN, 8)])
def test_an_error_of_ours(network: Network, program: str, reported: int) -> None:
    with terminal(network.hosts["client"], *LIVE, program=["-c", program]) as screen:
        screen.wait_for("no connection so far")
        requests(network.hosts["client"], SERVER, PORT, 7)
        _closed(screen, "10.0.0.1:8001", 7)
        requests(network.hosts["client"], SERVER, PORT, 1)
        report = screen.end()
        assert screen.is_restored
        assert screen.process.returncode == 1
        assert re.search(rf"10\.0\.0\.1:8001 +http/1\.1 +{reported} +0 +{reported} +1 ", report)
        assert report.count("RuntimeError: a bug of ours") == 1
        assert "locals" not in report


def test_without_colour(network: Network) -> None:
    with terminal(network.hosts["client"], *LIVE, environment={"NO_COLOR": "1"}) as screen:
        screen.wait_for("no connection so far")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        screen.press("q")
        screen.end()
        _check_colours(screen)


def _check_colours(screen: Terminal) -> None:
    """No colour was set: 39 and 49 are the terminal's own."""
    codes = {code for match in re.findall(rb"\x1b\[([\d;]*)m", screen.output) for code in match.split(b";")}
    colours = {str(code).encode() for code in (*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108))}
    assert not codes & colours


def test_started_through_sudo_the_screen_is_the_callers(network: Network, tmp_path: Path) -> None:
    as_caller = {"SUDO_UID": "4321", "SUDO_GID": "4321", "SUDO_USER": "nobody-here"}
    tmp_path.chmod(0o777)
    with terminal(network.hosts["client"], *LIVE, environment=as_caller, program=_in(tmp_path)) as screen:
        screen.wait_for("no connection so far")
        _load(network)
        _closed(screen, "10.0.0.1:8001", 6)
        status = Path(f"/proc/{screen.process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+4321\s+4321\s+4321\s+4321$", status, re.MULTILINE)
        screen.press("\r")
        screen.press("\r")
        screen.wait_for("GET /a")
        screen.press("?")
        screen.wait_for("Ctrl-C")
        screen.press("w")
        screen.wait_for(" written to ")
        (written,) = tmp_path.glob("connspect-*.json")
        assert os.stat(written).st_uid == 4321
        screen.press("q")
        report = screen.end()
        assert screen.is_restored
        assert "Traceback" not in report


@pytest.mark.parametrize("arguments", [["--no-screen"], ["-q"], ["-T", "json"]])
def test_no_screen_where_none_is_wanted(network: Network, arguments: list[str]) -> None:
    with terminal(network.hosts["client"], *LIVE, "--duration", "1", *arguments) as screen:
        screen.end()
        assert ENTERS_ALTERNATE not in screen.output
        assert screen.process.returncode == 0
