"""The command's environment and status."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping

import pytest

from inspector.launch.command import Caller, CannotStart, caller, environment, exit_status

KEYS = "/run/keys.log"


@pytest.mark.parametrize(
    ("base", "ssl", "node"),
    [
        ({}, KEYS, f"--tls-keylog={KEYS}"),
        ({"NODE_OPTIONS": "--no-warnings"}, KEYS, f"--no-warnings --tls-keylog={KEYS}"),
        ({"SSLKEYLOGFILE": "/home/me/k"}, "/home/me/k", "--tls-keylog=/home/me/k"),
        ({"SSLKEYLOGFILE": '/my "keys"/k'}, '/my "keys"/k', '"--tls-keylog=/my \\"keys\\"/k"'),
    ],
)
def test_keys_are_logged(base: Mapping[str, str], ssl: str, node: str) -> None:
    assert environment(base, KEYS, None) == {"SSLKEYLOGFILE": ssl, "NODE_OPTIONS": node}


def test_under_sudo_it_is_the_callers_environment() -> None:
    base = {
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SUDO_UID": "1000",
        "SUDO_GID": "1000",
        "SUDO_USER": "ann",
        "SUDO_COMMAND": "connspect",
        "PATH": "/bin",
    }
    given = environment(base, KEYS, Caller(1000, 1000, "ann", "/home/ann"))
    assert {name: given[name] for name in ("HOME", "USER", "LOGNAME", "PATH")} == {
        "HOME": "/home/ann",
        "USER": "ann",
        "LOGNAME": "ann",
        "PATH": "/bin",
    }
    assert not [name for name in given if name.startswith("SUDO_")]
    assert base["HOME"] == "/root"


@pytest.mark.parametrize(
    ("euid", "variables", "expected"),
    [
        (0, {}, None),
        (0, {"SUDO_UID": "0", "SUDO_GID": "0"}, None),
        (0, {"SUDO_UID": "x", "SUDO_GID": "0"}, None),
        (1000, {"SUDO_UID": "1001", "SUDO_GID": "1001"}, None),
        (0, {"SUDO_UID": "4000000", "SUDO_GID": "5"}, Caller(4_000_000, 5, None, None)),
    ],
)
def test_who_called_sudo(
    monkeypatch: pytest.MonkeyPatch, euid: int, variables: Mapping[str, str], expected: Caller | None
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: euid)
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert caller() == expected


@pytest.mark.parametrize(("waited", "status"), [(0, 0), (7 << 8, 7), (signal.SIGTERM, 143), (signal.SIGKILL, 137)])
def test_status(waited: int, status: int) -> None:
    assert exit_status(waited) == status


@pytest.mark.parametrize(
    ("name", "code", "status", "text"),
    [
        ("fetch", errno.ENOENT, 127, "fetch: command not found"),
        ("./fetch", errno.ENOENT, 127, "./fetch: No such file or directory"),
        ("./fetch", errno.EACCES, 126, "./fetch: Permission denied"),
    ],
)
def test_why_it_cannot_start(name: str, code: int, status: int, text: str) -> None:
    error = CannotStart(name, code)
    assert (error.exit_status, str(error)) == (status, text)
