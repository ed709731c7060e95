"""`python -m bench live`: the same packets past connspect live, tcpdump -w and Scapy's sniff: seen, lost, CPU time.

A generated workload is sent again at a steady rate through a pair of veth interfaces, from one namespace to another,
where one tool at a time listens. What the sender could not send in time it sends late; how many a second it really was
is told. Needs root. A machine that does other things as well loses packets for it: the tools take turns, several times.
Processor time is counted while a tool listens, and by itself when it has been told to end: connspect then judges the
connections that it keeps (10,000 at most) and writes its report, which takes as long after a second as after a day.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from statistics import median

from bench import captures

CONNSPECT, CONNSPECT_NDJSON, CONNSPECT_WRITE = "connspect live", "connspect live -T ndjson", "connspect live -w"
TCPDUMP, SCAPY = "tcpdump -w", "Scapy sniff"
#: connspect's processor time a packet, in tcpdump's, at most.
CPU_TIMES = 4.0

_HOSTS = tuple(f"bench{os.getpid()}-{name}" for name in ("sender", "listener"))
#: Frames that are sent between two looks at the clock.
_BURST = 64
#: A tool that takes less of a core than this is at rest; so many half seconds are waited for that.
_IDLE, _PATIENCE = 0.04, 20
#: Seconds between a tool's word that it listens and the first packet: starting up is not what is measured.
_WARM_UP = 2

_SNIFF = """
import signal, sys
from scapy.all import AsyncSniffer
seen = 0
def count(packet):
    global seen
    seen += 1
def tell():
    print("listening", file=sys.stderr, flush=True)
sniffer = AsyncSniffer(iface="eth0", store=0, prn=count, started_callback=tell)
sniffer.start()
signal.sigwait({signal.SIGINT})
sniffer.stop()
print(seen)
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """One run of one tool."""

    sent: int
    seen: int
    dropped: int | None
    """As the tool says; None: it does not."""
    cpu_seconds: float
    """Processor time from the first packet on, until it was told to end."""
    ending_seconds: float
    """Processor time from there on."""
    packets_per_second: float
    """Of the sender."""

    @property
    def lost(self) -> float:
        """Part of what was sent that was not seen."""
        return 1 - self.seen / self.sent

    @property
    def cpu_us(self) -> float:
        """Processor time for each packet that was seen, in microseconds, without its ending."""
        return self.cpu_seconds / max(self.seen, 1) * 1e6

    @property
    def whole_us(self) -> float:
        """The same with its ending."""
        return (self.cpu_seconds + self.ending_seconds) / max(self.seen, 1) * 1e6


def commands(folder: Path) -> dict[str, list[str]]:
    """What each tool is started with, in the listener's namespace."""
    connspect = [sys.executable, "-m", "inspector", "live", "-i", "eth0", "-o", str(folder / "report")]
    return {
        CONNSPECT: [*connspect, "-T", "table"],
        CONNSPECT_NDJSON: [*connspect, "-T", "ndjson"],
        CONNSPECT_WRITE: [*connspect, "-T", "table", "-w", str(folder / "kept")],
        TCPDUMP: ["tcpdump", "-i", "eth0", "-n", "-B", "32768", "-w", str(folder / "kept"), "tcp or udp port 53"],
        SCAPY: [sys.executable, "-c", _SNIFF],
    }


def understood(tool: str, output: str, errors: str, report: str) -> tuple[int, int | None]:
    """Packets that a tool saw, and those that it says it lost. Raises ValueError where it does not say."""
    if tool == SCAPY:
        return int(output), None
    if tool == CONNSPECT_NDJSON:
        capture = json.loads(report.splitlines()[-1])
        return capture["packets"], capture["dropped"]["kernel"]
    if tool in (CONNSPECT, CONNSPECT_WRITE):
        seen, lost = re.search(r"([\d,]+) packets", report), re.search(r"([\d,]+) lost by the system", report)
        if seen is None:
            raise ValueError(report)
        return int(seen[1].replace(",", "")), int(lost[1].replace(",", "")) if lost else 0
    seen, lost = re.search(r"(\d+) packets? captured", errors), re.search(r"(\d+) packets? dropped by kernel", errors)
    if seen is None or lost is None:
        raise ValueError(errors)
    return int(seen[1]), int(lost[1])


def send(capture: Path, rate: int, seconds: float) -> None:
    """Send the capture's frames again and again, and print how many, and in how many seconds."""
    from inspector.sources.open import open_capture

    frames = []
    with open_capture([str(capture)]) as source:
        for batch in source:
            data = batch.data.tobytes()
            for at, size in zip(batch.position.tolist(), batch.captured.tolist(), strict=True):
                frames.append(data[at : at + size])  # a line would be too long
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        frames = frames[: round(rate * seconds)]
        began = time.perf_counter()
        for start in range(0, len(frames), _BURST):
            ahead = start / rate - (time.perf_counter() - began)
            if ahead > 0:
                time.sleep(ahead)
            for frame in frames[start : start + _BURST]:
                raw.send(frame)
        print(len(frames), time.perf_counter() - began)


def cpu_seconds(process: int) -> float:
    """Processor time of a running process, all its threads."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def at_rest(process: int) -> float:
    """Processor time of a running process once it has worked off what came, or has had time enough for it."""
    before = cpu_seconds(process)
    for _ in range(_PATIENCE):
        time.sleep(0.5)
        now = cpu_seconds(process)
        if now - before < _IDLE * 0.5:
            break
        before = now
    return now


def hear(tool: str, capture: Path, rate: int, seconds: float) -> Heard:
    """One tool, one load."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["ip", "netns", "exec", _HOSTS[1], *commands(Path(folder))[tool]]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert process.stdout is not None
        words = ""
        while not re.search("listening|capturing", words):
            line = process.stderr.readline()
            if not line:
                raise ValueError(f"{tool}: {words}")
            words += line
        time.sleep(_WARM_UP)
        before = cpu_seconds(process.pid)
        sender = [sys.executable, "-m", "bench.live", str(capture), "--rate", str(rate), "--seconds", str(seconds)]
        told = subprocess.run(
            ["ip", "netns", "exec", _HOSTS[0], *sender, "--send"], check=True, capture_output=True, text=True
        )
        sent, took = told.stdout.split()
        listened = at_rest(process.pid)
        process.send_signal(signal.SIGINT)
        output, errors = process.stdout.read(), words + process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        report = Path(folder) / "report"
        seen, dropped = understood(tool, output, errors, report.read_text() if report.exists() else "")
    ending = usage.ru_utime + usage.ru_stime - listened
    return Heard(int(sent), seen, dropped, listened - before, ending, int(sent) / float(took))


@contextlib.contextmanager
def network() -> Iterator[None]:
    """Two namespaces, eth0 in each, and nothing that sends by itself."""
    try:
        for host in _HOSTS:
            subprocess.run(["ip", "netns", "add", host], check=True)
            for what in ("all", "default"):
                setting = f"net.ipv6.conf.{what}.disable_ipv6=1"
                subprocess.run(["ip", "netns", "exec", host, "sysctl", "-qw", setting], check=True)
        pair = ["type", "veth", "peer", "name", "eth0", "netns", _HOSTS[1]]
        subprocess.run(["ip", "-n", _HOSTS[0], "link", "add", "eth0", *pair], check=True)
        for host in _HOSTS:
            subprocess.run(["ip", "-n", host, "link", "set", "eth0", "up"], check=True)
        yield
    finally:
        for host in _HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)


def table(heard: dict[str, list[Heard]]) -> Iterator[str]:
    """A line a tool, medians; and what has to hold."""
    yield (
        f"{'':26}{'sent/s':>10}{'sent':>10}{'seen':>10}{'lost':>8}{'says lost':>11}{'CPU s':>8}{'µs/packet':>11}"
        f"{'ending s':>10}"
    )
    for tool, runs in heard.items():
        middle = sorted(runs, key=lambda run: run.lost)[len(runs) // 2]
        says = "" if middle.dropped is None else f"{middle.dropped:,}"
        cpu_seconds, cpu_us = median(run.cpu_seconds for run in runs), median(run.cpu_us for run in runs)
        yield (
            f"{tool:26}{middle.packets_per_second:10,.0f}{middle.sent:10,}{middle.seen:10,}{middle.lost:8.1%}"
            f"{says:>11}{cpu_seconds:8.2f}{cpu_us:11.2f}{median(run.ending_seconds for run in runs):10.2f}"
        )
    if CONNSPECT in heard and TCPDUMP in heard:
        listening, whole = (
            median(per_packet(run) for run in heard[CONNSPECT]) / median(per_packet(run) for run in heard[TCPDUMP])
            for per_packet in (attrgetter("cpu_us"), attrgetter("whole_us"))
        )
        yield (
            f"{CONNSPECT} takes {listening:.1f} times tcpdump's CPU time a packet, {whole:.1f} times with its report; "
            f"the aim is {CPU_TIMES:g}"
        )


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench live", description=__doc__)
    parser.add_argument("capture", type=Path, nargs="?", help="what is sent; default: the generated workload short")
    parser.add_argument("--rate", type=int, default=40_000, metavar="N", help="packets a second (40000)")
    parser.add_argument("--seconds", type=float, default=5, help="how long (5)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool (3)")
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    capture = options.capture or captures.generated("short")
    if options.send:
        send(capture, options.rate, options.seconds)
        return 0
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    heard: dict[str, list[Heard]] = {tool: [] for tool in commands(Path())}
    with network():
        for _ in range(options.rounds):
            for tool, runs in heard.items():
                runs.append(hear(tool, capture, options.rate, options.seconds))
    print("\n".join(table(heard)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
