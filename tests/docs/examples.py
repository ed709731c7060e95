"""The examples of a page: run as a reader would, in a folder that holds nothing but the recordings.

`console` comes first: each line behind `$ ` is a command for a shell (it goes on where it ends with a backslash), and
what follows it is what the command prints, errors included. Then `pycon`: a session with Python; all of a page are one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.pages import ROOT, Block, blocks

#: A network of its own, with the server in it; $1 is what a reader types.
_BESIDE_A_SERVER = f"""
ip link set lo up
{sys.executable} {Path(__file__).with_name("server.py")} &
until (exec 3<>/dev/tcp/127.0.0.1/8001) 2>/dev/null; do sleep 0.05; done
eval "$1"
kill %1
"""

_COMMAND = re.compile(r"^\$ (?P<command>(?:[^\n]*\\\n)*[^\n]*)\n", re.MULTILINE)
_STATEMENT = re.compile(r"^>>> (?P<first>[^\n]*)\n(?P<more>(?:^\.\.\. ?[^\n]*\n)*)", re.MULTILINE)


def refreshed(text: str, *, root: bool = False) -> str:
    """The page with the outputs that its examples have now; `root`: only of those that need it, else of the others."""
    run = [block for block in blocks(text) if is_run(block) and block.root == root]
    with scratch() as folder:
        for block in blocks(text):
            if block.file is not None:
                (folder / block.file).write_text(block.body, "utf-8")
        fresh = {block.start: _console(block, folder) for block in run if block.language == "console"}
        sessions = [block for block in run if block.language == "pycon"]
        bodies = _sessions([block.body for block in sessions], folder)
        fresh |= {block.start: body for block, body in zip(sessions, bodies, strict=True)}
    for block in reversed(run):
        text = text[: block.start] + fresh[block.start] + text[block.start + len(block.body) :]
    return text


def masked(text: str) -> str:
    """A page without what differs from run to run: figures with their units, ranges, and the blanks that they move."""
    text = re.sub(r"\d[\d,.]*( (ms|s|µs|bytes))?", "N", text)
    return re.sub(r"[ ─]+", " ", re.sub(r" \(N – N\)", "", text))


def is_run(block: Block) -> bool:
    """Whether it is an example, and all that it needs is here."""
    return block.language in ("console", "pycon") and block.reason is None and all(map(shutil.which, block.needs))


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder with the recordings in it."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "captures").symlink_to(ROOT / "captures")
        yield Path(name)


def _console(block: Block, folder: Path) -> str:
    """The commands with what they print now."""
    typed = [match["command"] for match in _COMMAND.finditer(block.body)]
    return "".join(f"$ {command}\n{_output(command, folder, root=block.root)}" for command in typed)


def _output(command: str, folder: Path, *, root: bool) -> str:
    """What a shell prints for a command line, errors included."""
    ran = subprocess.run(
        ["unshare", "--net", "bash", "-c", _BESIDE_A_SERVER, "bash", command] if root else ["bash", "-c", command],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return _ended(ran.stdout.decode())


def _sessions(bodies: list[str], folder: Path) -> list[str]:
    """The sessions with what Python prints now; all in one process."""
    if not bodies:
        return []
    typed = [list(map(_statement, _STATEMENT.finditer(body))) for body in bodies]
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("session.py"))],
        cwd=folder,
        env={**_environment(), "PYTHONPATH": str(ROOT)},
        input=json.dumps(typed).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    printed: list[list[str]] = json.loads(ran.stdout)
    return ["".join(map(_shown, *both)) for both in zip(typed, printed, strict=True)]


def _statement(match: re.Match[str]) -> str:
    more = [line[4:] for line in match["more"].splitlines()]
    return "\n".join([match["first"], *more]) + "\n"


def _shown(statement: str, printed: str) -> str:
    first, *more = statement.splitlines()
    lines = [f">>> {first}", *(f"... {line}".rstrip() for line in more)]
    return "".join(f"{line}\n" for line in lines) + _ended(printed)


def _ended(text: str) -> str:
    """Text without blanks at the ends of lines, and with an end of its last one."""
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    named = {"PATH": path, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1"}
    return {**{name: value for name, value in os.environ.items() if name != "SSLKEYLOGFILE"}, **named}
