"""`connspect live` as a process in a namespace, and clients that say themselves which connections they made."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captures.recorder.network import Host

ROOT = Path(__file__).parents[2]

#: Opens connections one after the other, a request on each (or `per` of them), and prints its own ports.
CLIENT = """
import http.client, sys
host, port, count, per = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for _ in range(count):
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.connect()
    print(connection.sock.getsockname()[1])
    for number in range(per):
        last = number == per - 1
        connection.request("GET", "/a", headers={"Connection": "close"} if last else {})
        connection.getresponse().read()
    connection.close()
"""


@dataclass(slots=True)
class Watched:
    """What `connspect live` said."""

    lines: list[dict[str, Any]]
    errors: str
    status: int

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]

    @property
    def capture(self) -> dict[str, Any]:
        (capture,) = self.of("capture")
        return capture

    def client_ports(self, port: int) -> list[int]:
        """Of all connections to a server's port, sorted."""
        return sorted(one["client"]["port"] for one in self.of("connection") if one["server"]["port"] == port)


class Watching:
    """A running capture."""

    def __init__(self, host: Host, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "inspector", "live", *arguments]
        # A file, not a pipe: who does not read a pipe stops the capture.
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115  # it stays open
        self.process = subprocess.Popen(
            host.command(command),
            stdout=self._output,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )
        assert self.process.stderr is not None
        self._said = ""
        while "capturing on" not in self._said:
            line = self.process.stderr.readline().decode()
            assert line, f"connspect ended: {self._said}"
            self._said += line

    def end(self, how: signal.Signals = signal.SIGINT) -> Watched:
        """Wait a little for what is on its way, end the capture, read its report."""
        time.sleep(0.2)
        self.process.send_signal(how)
        return self.ended()

    def ended(self) -> Watched:
        """Wait for its end, which comes by itself; read its report."""
        _, errors = self.process.communicate(timeout=60)
        return Watched(self.lines(), self._said + errors.decode(), self.process.returncode)

    def lines(self) -> list[dict[str, Any]]:
        """What it has written so far."""
        with open(self._output.name, "rb") as file:
            return [json.loads(line) for line in file]

    def next_word(self) -> str:
        """The next line on standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode()


@contextlib.contextmanager
def watching(host: Host, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Watching]:
    """A capture as ndjson, that does not outlive the test."""
    one = Watching(host, "-T", "ndjson", *arguments, environment=environment)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def requests(host: Host, address: str, port: int, count: int, per: int = 1) -> list[int]:
    """Make so many connections from this host, `per` requests on each; the client's own ports, sorted."""
    command = [sys.executable, "-c", CLIENT, address, str(port), str(count), str(per)]
    return sorted(map(int, host.run(*command, timeout=300).split()))
