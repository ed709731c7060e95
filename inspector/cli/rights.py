"""What a live capture may do: rights that are missing are named with their remedy, those that are there are given up.

Only opening the socket needs rights. Once it is open, a process that was started through sudo becomes the user who
called it, for good, and one that has capabilities loses them: nothing that comes from the network is ever read with
more rights than its user has. A process of root's own (a container, a root shell) stays what it is.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import shlex
import struct
import sys
from collections.abc import Mapping

from inspector.errors import CaptureError

#: What is imported when a packet asks for it, and may lie where only root can read.
_LATER = (
    "inspector.engine",
    "inspector.packets.fallback",
    "inspector.protocols.http2.decoder",
    "inspector.protocols.tls.decoder",
    "inspector.protocols.tls.protection",
    "inspector.protocols.tls.waiting",
    "inspector.cli.judging",
    "inspector.cli.keeping",
    "inspector.sources.keys",
    "inspector.cli.progress",
    "inspector.cli.read",
    "inspector.cli.reading",
    "inspector.cli.screen",
    "inspector.report.json",
    "inspector.report.ndjson",
    "inspector.report.screen.app",
    "inspector.report.screen.driver",
    "inspector.report.table",
    "scapy.layers.dns",
    "encodings.idna",
)

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x2008_0522
#: Capabilities that the kernel may have, now and later: asking for one that it has not is refused, and that is all.
_CAPABILITIES = 64


def remedy(arguments: list[str] | None = None) -> str:
    """What to type to be allowed to capture; `arguments`: the command line as it was given."""
    if not sys.platform.startswith("linux"):
        return "run it as administrator"
    command = shlex.join(_as_typed(sys.argv if arguments is None else arguments))
    python = shlex.quote(os.path.realpath(sys.executable))
    return (
        f"run 'sudo {command}'; or, once, 'sudo setcap cap_net_raw+ep {python}', "
        "but then whatever this Python runs, whoever runs it, may capture"
    )


def _read_rules() -> None:
    """What findings are made of: files of their own, and data."""
    from inspector.findings.catalogue import products
    from inspector.findings.rules import rules

    rules()
    products("server")


def _as_typed(arguments: list[str]) -> list[str]:
    """The command line with what sudo cannot find by itself: its PATH is another one."""
    program, *rest = arguments
    if os.path.basename(program) == "__main__.py":
        return [sys.executable, "-m", os.path.basename(os.path.dirname(program)), *rest]
    return [os.path.abspath(program) if os.path.exists(program) else program, *rest]


def drop(environment: Mapping[str, str] | None = None) -> None:
    """Give up all rights beyond the calling user's. Raises CaptureError where that does not succeed.

    To be called while there is no other thread: capabilities belong to threads.
    """
    if not sys.platform.startswith("linux"):
        return
    caller = _caller(os.environ if environment is None else environment)
    if os.geteuid() == 0 and caller is None:
        return
    if caller is not None and not _may_import(caller):
        from inspector.packets import fallback

        for module in (*_LATER, *fallback.SCAPY_MODULES):
            importlib.import_module(module)
        _read_rules()
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if caller is not None:
        uid, gid, groups = caller
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    libc.capset(header, ctypes.create_string_buffer(struct.pack("=6I", *(0,) * 6)))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _check(caller)


def _may_import(caller: tuple[int, int, list[int]]) -> bool:
    """Whether the calling user can read this program, its libraries and Python's: root's own may lie in root's home."""
    before = os.getgroups()
    os.setgroups(caller[2])
    os.setegid(caller[1])
    os.seteuid(caller[0])
    try:
        specs = (importlib.util.find_spec(name) for name in ("encodings", "inspector", "numpy", "scapy", "click"))
        return all(spec is None or os.access(spec.origin or "/", os.R_OK, effective_ids=True) for spec in specs)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def _caller(environment: Mapping[str, str]) -> tuple[int, int, list[int]] | None:
    """User, group and groups of whoever called sudo; None: nobody did, or root."""
    try:
        uid, gid = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    if os.geteuid() != 0 or uid <= 0 or gid < 0:
        return None
    import pwd  # not everywhere

    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # a user without an entry, as containers have them
        groups = [gid]
    return uid, gid, groups


def _check(caller: tuple[int, int, list[int]] | None) -> None:
    """Believe the kernel, not the calls."""
    # UTF-8 is built in, other encodings are modules, which may be out of reach by now.
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    held = any(int(status.get(name, "0"), 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
    is_caller = caller is None or set(status["Uid"].split()) == {str(caller[0])}
    if held or not is_caller:
        raise CaptureError("the rights of the capture could not be given up, so nothing was read")
