"""What to do for TLS keys, by the runtime that made the connections: not all log keys when they are asked to.

The runtime is told by the command: its name, the interpreter line of a script, what is inside a program. Of a shell's
commands nothing is known.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

#: Bytes of a program that are searched for what only one language's compiler leaves there.
_SEARCHED = 256 << 20

#: Commands that only start another one, and what comes before it: options, variables, numbers and durations.
_WRAPPERS = {"env", "nice", "nohup", "time", "timeout", "stdbuf", "setsid", "strace", "xargs"}
_BEFORE = re.compile(r"-.*|[A-Za-z_]\w*=.*|[\d.]+[smhd]?")


@dataclass(slots=True, frozen=True)
class Runtime:
    """A family of programs that make TLS connections in one way."""

    names: re.Pattern[str]
    """What their commands are called."""
    advice: str
    """What to do so that keys are logged."""
    inside: bytes | None = None
    """Bytes that their programs contain."""
    runs_files: bool = False
    """An interpreter: what it runs is what people call the command."""


def _runtime(names: str, advice: str, inside: bytes | None = None, runs_files: bool = False) -> Runtime:
    return Runtime(re.compile(rf"(?:{names})(?:[-\d.]+)?(?:\.exe)?"), advice, inside, runs_files)


RUNTIMES: tuple[Runtime, ...] = (
    _runtime(
        "python|pypy|ipython|pytest|pip|uv|gunicorn|uvicorn|hypercorn|celery|ansible",
        "Python logs keys where ssl.create_default_context() made the context (requests, urllib3 do more); httpx and "
        "aiohttp with verify=False or ssl=False do not: give them a context of your own with "
        "context.keylog_filename = os.environ['SSLKEYLOGFILE']",
        runs_files=True,
    ),
    _runtime(
        "node|npm|npx|yarn|pnpm|tsx|ts-node",
        "Node logs keys by NODE_OPTIONS=--tls-keylog, which was set: something in between took it away, or the "
        "connections came from a worker or native module with TLS of its own",
        runs_files=True,
    ),
    _runtime(
        "java|javaw|mvn|gradle|kotlin|scala|sbt|clojure",
        "Java logs no keys by itself: start it with an agent that does, such as "
        "JAVA_TOOL_OPTIONS=-javaagent:extract-tls-secrets.jar=/path/keys.log, and give --keylog /path/keys.log",
        runs_files=True,
    ),
    _runtime(
        "dotnet|pwsh",
        ".NET logs keys from version 9 on, and only when it is told: "
        'AppContext.SetSwitch("System.Net.EnableSslKeyLogging", true)',
        runs_files=True,
    ),
    _runtime(
        "ruby|bundle|rails|rake|jruby",
        "Ruby logs no keys by itself: set keylog_cb of the OpenSSL::SSL::SSLContext to a block that appends to "
        "ENV['SSLKEYLOGFILE']",
        runs_files=True,
    ),
    _runtime(
        "php|php-fpm|composer",
        "PHP's curl logs keys when libcurl does; its streams (file_get_contents) do not: use curl",
        runs_files=True,
    ),
    _runtime("deno|bun", "it was built with TLS of its own: see whether this version knows SSLKEYLOGFILE", None, True),
    _runtime(
        "curl",
        "curl logs keys with OpenSSL, its forks, GnuTLS and wolfSSL, no others ('curl --version' says what it has)",
    ),
    _runtime("wget", "wget logs keys when it was built with GnuTLS ('wget --version' says); wget2 and curl do, too"),
    _runtime(
        "go",
        "Go logs no keys by itself: set tls.Config.KeyLogWriter to the file that SSLKEYLOGFILE names",
        b"\xff Go buildinf:",
        True,
    ),
    _runtime(
        "cargo|rustc",
        "rustls logs keys when it is told: config.key_log = Arc::new(rustls::KeyLogFile::new())",
        b"rustls",
    ),
)

_UNKNOWN = (
    "programs on OpenSSL, NSS, GnuTLS or BoringSSL log keys when they look at SSLKEYLOGFILE; Go, Java, .NET and Rust "
    "programs must be told in their own way (tls.Config.KeyLogWriter, an agent, an AppContext switch, KeyLogFile)"
)


def title(command: Sequence[str]) -> str:
    """What people call the command: the file that an interpreter runs, else the program."""
    inner = _inner(command)
    runtime = _by_name(os.path.basename(inner[0]))
    if runtime is not None and runtime.runs_files:
        for argument in inner[1:]:
            if argument.startswith("-"):
                # What follows may be a program's text, or a module's name.
                if argument in ("-c", "-e", "-m", "-p", "--eval", "-jar"):
                    break
                continue
            return os.path.basename(argument)
    return os.path.basename(inner[0])


def advice(command: Sequence[str]) -> str:
    """What to do so that the command's runtime logs its keys."""
    inner = _inner(command)
    runtime = _by_name(os.path.basename(inner[0])) or _by_content(inner[0])
    return _UNKNOWN if runtime is None else runtime.advice


def _inner(command: Sequence[str]) -> Sequence[str]:
    """The command without those that only start it."""
    rest = list(command)
    while len(rest) > 1 and os.path.basename(rest[0]) in _WRAPPERS:
        del rest[0]
        while len(rest) > 1 and _BEFORE.fullmatch(rest[0]):
            del rest[0]
    return rest


def _by_name(name: str) -> Runtime | None:
    return next((runtime for runtime in RUNTIMES if runtime.names.fullmatch(name)), None)


def _by_content(command: str) -> Runtime | None:
    """By a script's first line, or what is inside a program."""
    path = command if "/" in command else shutil.which(command)
    try:
        with open(path or command, "rb") as file:
            start = file.read(256)
            if start.startswith(b"#!"):
                line = start[2:].split(b"\n")[0].decode(errors="replace").split()
                return _by_name(os.path.basename(_inner(line)[0])) if line else None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = (r for r in RUNTIMES if r.inside is not None and content.find(r.inside, 0, _SEARCHED) >= 0)
                return next(found, None)
    except (OSError, ValueError):
        return None
