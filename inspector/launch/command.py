"""The command as a process: what it finds in its environment, as whom it runs, and how its end becomes a status.

Its standard streams, process group, terminal and signal mask are the ones that it would have without us: it is forked
and executed in their place, as `env` and `time` do it.
"""

from __future__ import annotations

import errno
import os
import pwd
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from inspector.errors import ConnspectError

#: Exit statuses as env(1) and POSIX shells have them.
CANNOT_EXECUTE, NOT_FOUND = 126, 127
_BY_SIGNAL = 128


@dataclass(slots=True, frozen=True)
class Caller:
    """The user who called sudo, as whom the command is to run."""

    uid: int
    gid: int
    name: str | None
    """None for a user without an entry, as containers have them."""
    home: str | None

    def become(self) -> None:
        """Be this user for good."""
        if self.name is None:
            os.setgroups([self.gid])
        else:
            os.initgroups(self.name, self.gid)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


def caller() -> Caller | None:
    """Who called sudo; None when that was not how we were started, or it was root."""
    if os.geteuid() != 0:
        return None
    try:
        uid, gid = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    if uid <= 0 or gid < 0:
        return None
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return Caller(uid, gid, None, None)
    return Caller(uid, gid, user.pw_name, user.pw_dir)


def environment(base: Mapping[str, str], keys: str, user: Caller | None) -> dict[str, str]:
    """The command's environment: ours, the key log, and its user's where sudo has changed them.

    A key log that the caller had asked for stays.
    """
    variables = dict(base)
    keys = variables.setdefault("SSLKEYLOGFILE", keys)
    # Node does not look at SSLKEYLOGFILE. NODE_OPTIONS is split at blanks, but for those in double quotes.
    option = f"--tls-keylog={keys}"
    if " " in keys:
        option = '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'
    variables["NODE_OPTIONS"] = f"{variables.get('NODE_OPTIONS', '')} {option}".lstrip()
    if user is not None:
        whose = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
        variables.update({name: value for name, value in whose.items() if value is not None})
        for name in ("SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "SUDO_HOME", "MAIL"):
            variables.pop(name, None)
    return variables


class CannotStart(ConnspectError):  # noqa: N818  # what is wrong is the command
    """The command could not be executed; `exit_status` is the one that a shell would have."""

    def __init__(self, name: str, code: int) -> None:
        missing = code == errno.ENOENT
        super().__init__(f"{name}: {'command not found' if missing and '/' not in name else os.strerror(code)}")
        self.exit_status = NOT_FOUND if missing else CANNOT_EXECUTE


def start(
    command: Sequence[str],
    variables: Mapping[str, str],
    before: Iterable[Callable[[], None]],
    mask: Iterable[signal.Signals | int],
) -> int:
    """Start a command; its process. `before` is called in the new process, `mask` are the signals blocked there.

    Raises CannotStart.
    """
    told, tells = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        os.close(told)
        _be(command, variables, before, mask, tells)
    os.close(tells)
    with os.fdopen(told, "rb") as pipe:
        code = pipe.read()
    if code:
        os.waitpid(process, 0)
        raise CannotStart(command[0], int(code))
    return process


def _be(
    command: Sequence[str],
    variables: Mapping[str, str],
    before: Iterable[Callable[[], None]],
    mask: Iterable[signal.Signals | int],
    tells: int,
) -> NoReturn:
    """In the new process: become the command; the pipe closes when that went well, and has the error when not."""
    code = errno.EPERM
    try:
        for step in before:
            step()
        # Python ignores these; what the caller ignores besides stays ignored.
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _execute(command, variables)
    except OSError as error:
        code = error.errno or code
    finally:
        with suppress(OSError):
            os.write(tells, str(code).encode())
        os._exit(CANNOT_EXECUTE)


def _execute(command: Sequence[str], variables: Mapping[str, str]) -> None:
    """execvp(3), which lets a shell run what has no interpreter line."""
    try:
        os.execvpe(command[0], list(command), dict(variables))
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    found = command[0] if "/" in command[0] else _which(command[0], variables)
    os.execve("/bin/sh", ["/bin/sh", found, *command[1:]], dict(variables))


def _which(name: str, variables: Mapping[str, str]) -> str:
    for folder in os.get_exec_path(dict(variables)):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return name


def exit_status(waited: int) -> int:
    """What a shell's $? is for a status of waitpid: the command's own, or 128 and its signal."""
    code = os.waitstatus_to_exitcode(waited)
    return code if code >= 0 else _BY_SIGNAL - code
