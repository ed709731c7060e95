"""The programs that are compared, and how each is asked for the same thing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

TABLE, JSON, TSHARK, TCPTRACE = "connspect", "connspect json", "tshark", "tcptrace"

_TSHARK_FILTER = "tcp.flags.syn==1||tcp.flags.fin==1||tcp.flags.reset==1||http"
_TSHARK_FIELDS = ("frame.number", "tcp.stream", "tcp.flags", "http.connection")


def connspect() -> str:
    """The command that is installed beside this Python."""
    return str(Path(sys.executable).with_name("connspect"))


def missing() -> list[str]:
    """The other programs that are not installed."""
    return [tool for tool in (TSHARK, TCPTRACE) if shutil.which(tool) is None]


def commands(capture: Path, http2_port: int | None = None, keys: Path | None = None) -> dict[str, list[str]]:
    """Each installed tool's command for reading `capture`; connspect's two reports come first.

    `http2_port`: what comes from or goes to it is HTTP/2 without TLS, which tshark has to be told. `keys`: a key log.
    """
    read = [connspect(), "read", "-o", os.devnull]
    names: tuple[str, ...] = _TSHARK_FIELDS
    wanted, more = _TSHARK_FILTER, list[str]()
    if keys is not None:
        read += ["--keylog", str(keys)]
        more += ["-o", f"tls.keylog_file:{keys}"]
    if http2_port is not None:
        more += ["-d", f"tcp.port=={http2_port},http2"]
    if more:
        names, wanted = (*names, "http2.type"), wanted + "||http2"
    fields = [argument for name in names for argument in ("-e", name)]
    every = {
        TABLE: [*read, str(capture)],
        JSON: [*read, "--format", "json", str(capture)],
        TSHARK: ["tshark", "-n", "-r", str(capture), *more, "-Y", wanted, "-T", "fields", *fields],
        TCPTRACE: ["tcptrace", "-n", "-l", str(capture)],
    }
    absent = missing()
    return {tool: command for tool, command in every.items() if tool not in absent}
