"""Varnish on port 8001, in front of a server or alone; its log in shared memory tells requests by the client's port."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .network import Host
from .servers import LoggedRequest, Server

PORT = 8001

_LOG = (
    '{"client":"%h:%{VSL:ReqStart[2]}x","time_us":%{usec}t,"method":"%m","target":"%U","status":%s,'
    '"request_connection":"%{Connection}i"}'
)


class Varnish(Server):
    """varnishd as it is by default, but for `arguments` and what `vcl` adds to its program."""

    def __init__(
        self,
        host: Host,
        folder: Path,
        address: str,
        behind: tuple[str, int],
        vcl: str = "",
        arguments: Sequence[str] = (),
    ) -> None:
        folder.mkdir()
        self._address = f"{address}:{PORT}"
        configuration = f'vcl 4.1;\nbackend behind {{ .host = "{behind[0]}"; .port = "{behind[1]}"; }}\n{vcl}'
        (folder / "shop.vcl").write_text(configuration)
        # Without a jail it needs no user of its own.
        fixed = ["-j", "none", "-F", "-n", str(folder / "state"), "-s", "malloc,16m"]
        command = ["varnishd", *fixed, "-a", self._address, "-f", str(folder / "shop.vcl"), *arguments]
        published = f"{' '.join(command)}\n{configuration}"
        super().__init__("varnishd", command, host, PORT, folder, published)

    def requests(self) -> list[LoggedRequest]:
        """The log, while Varnish still runs."""
        command = ["varnishncsa", "-d", "-n", str(self.folder / "state"), "-F", _LOG]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [
            LoggedRequest(
                client=line["client"],
                server=self._address,
                time_ns=line["time_us"] * 1000,
                method=line["method"],
                target=line["target"],
                status=line["status"],
                request_connection=None if line["request_connection"] == "-" else line["request_connection"],
            )
            for line in lines
        ]
