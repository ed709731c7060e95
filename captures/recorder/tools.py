"""The programs that a recording needs, their versions, and the virtual environment of the Python clients."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

#: Program: the Debian package that has it.
PROGRAMS = {
    "ip": "iproute2",
    "ethtool": "ethtool",
    "sysctl": "procps",
    "dumpcap": "wireshark-common",
    "nginx": "nginx-light",
    "apache2": "apache2",
    "ab": "apache2-utils",
    "curl": "curl",
    "node": "nodejs",
}
REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"

_VERSION_COMMANDS = {
    "nginx": ("nginx", "-v"),
    "apache2": ("apache2", "-v"),
    "ab": ("ab", "-V"),
    "curl": ("curl", "--version"),
    "node": ("node", "--version"),
    "dumpcap": ("dumpcap", "--version"),
}


def missing() -> str | None:
    """What to run to install what is missing, or None."""
    packages = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else None


def versions(packages: set[str], python: Path) -> dict[str, str]:
    """The versions of some software, by name; Python libraries are asked of the clients' environment."""
    found = {"Linux": re.match(r"\d+\.\d+", platform.release()).group()}  # type: ignore[union-attr]
    for name in sorted(packages | {"dumpcap"}):
        found[name] = _version(name, python)
    return found


def _version(name: str, python: Path) -> str:
    if name == "python":
        command: tuple[str, ...] = (str(python), "-c", "import platform; print(platform.python_version())")
    else:
        ask = f"import importlib.metadata as m; print(m.version({name!r}))"
        command = _VERSION_COMMANDS.get(name, (str(python), "-c", ask))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    number = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    if number is None:
        raise RuntimeError(f"{name} does not tell its version")
    return number.group()


def environment(folder: Path) -> Path:
    """Make a virtual environment with requirements.txt in it (unless it is there); return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)], check=True)
    return python
