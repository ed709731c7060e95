"""The programs that a recording needs, their versions, and the virtual environment of the Python clients."""

from __future__ import annotations

import functools
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

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
    "openssl": "openssl",
}
#: The same of programs that only some scenarios need: they name them.
FURTHER_PROGRAMS = {
    "haproxy": "haproxy",
    "lighttpd": "lighttpd",
    "wget": "wget",
    "nghttpd": "nghttp2-server",
    "nghttp": "nghttp2-client",
    "h2load": "nghttp2-client",
    "varnishd": "varnish",
    "nft": "nftables",
}
REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"

_VERSION_COMMANDS = {
    "nginx": ("nginx", "-v"),
    "apache2": ("apache2", "-v"),
    "ab": ("ab", "-V"),
    "curl": ("curl", "--version"),
    "node": ("node", "--version"),
    "dumpcap": ("dumpcap", "--version"),
    "openssl": ("openssl", "version"),
    "haproxy": ("haproxy", "-v"),
    "lighttpd": ("lighttpd", "-v"),
    "wget": ("wget", "--version"),
    "nghttpd": ("nghttpd", "--version"),
    "nghttp": ("nghttp", "--version"),
    "h2load": ("h2load", "--version"),
    "varnishd": ("varnishd", "-V"),
    "nft": ("nft", "--version"),
}


def missing(further: Iterable[str] = ()) -> str | None:
    """What to run to install what is missing of the programs that all recordings need and of further ones, or None."""
    needed = PROGRAMS | {program: FURTHER_PROGRAMS[program] for program in further}
    packages = sorted({package for program, package in needed.items() if shutil.which(program) is None})
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


def make_certificate(folder: Path, name: str, kind: Literal["ec", "rsa"] = "ec") -> Path:
    """A certificate for `name`, signed by itself, and its key beside it: NAME.pem and NAME.key in `folder`.

    One with an RSA key is NAME-rsa.pem.
    """
    certificate = folder / (f"{name}.pem" if kind == "ec" else f"{name}-{kind}.pem")
    new_key = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), "rsa": ("rsa:2048",)}[kind]
    command = ["openssl", "req", "-x509", "-newkey", *new_key, "-nodes"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "30"]
    command += ["-keyout", str(certificate.with_suffix(".key")), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    # Servers that change their user read it, too.
    certificate.with_suffix(".key").chmod(0o644)
    return certificate


@functools.cache
def _cipher_suites() -> dict[str, str]:
    listed = subprocess.run(
        ["openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL@SECLEVEL=0"], check=True, capture_output=True, text=True
    )
    names = (line.split(" - ", 1) for line in listed.stdout.splitlines())
    return {theirs.split()[0]: standard.strip() for standard, theirs in names}


def cipher_suite_name(openssl_name: str) -> str:
    """IANA's name of a cipher suite by OpenSSL's, as OpenSSL itself knows it; those of TLS 1.3 are the same."""
    return openssl_name if openssl_name.startswith("TLS_") else _cipher_suites()[openssl_name]
