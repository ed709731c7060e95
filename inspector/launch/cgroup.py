"""A cgroup (version 2) for one run: the command's processes and all that they start are in it, whatever they do.

It is made below the cgroup that we are in, so that limits and the session's life hold for the command as they would
without us. At the end, what still runs goes back there, and the cgroup goes. A lock on its directory says that its run
is still on: who finds one without (its run was killed outright) removes it. Version 2 may be mounted by itself or
beside version 1, anywhere; /proc/self/mountinfo says where. Where no mount is in sight (`ip netns exec` hides /sys), we
make one for ourselves that is in no directory.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "connspect-"
#: Tries to empty and remove a cgroup whose processes may be forking: 1 s in all.
_TRIES, _PAUSE_S = 100, 0.01

#: System calls, with the same numbers on all machines that Linux 5.2 runs on (alpha apart), and their arguments.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC = 1
_CONFIG_CREATE = 6

_OCTAL = re.compile(r"\\([0-7]{3})")


class Cgroup:
    """A cgroup of our own. Raises OSError where there is no version 2, or no right to make one."""

    def __init__(self, parent: Path | None = None) -> None:
        """`parent` is the directory to make it in, by default that of the cgroup that we are in."""
        self._parent = parent or _find_own()
        _sweep(self._parent)
        self.path = self._parent / f"{_PREFIX}{os.getpid()}"
        self.path.mkdir()
        try:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.path.rmdir()
            raise

    def enter(self) -> None:
        """Put the calling process in; what it starts from now on is in, too."""
        _move(0, self.path)

    def processes(self) -> list[int]:
        """Who is in it; none once it is gone."""
        try:
            return [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        except OSError:
            return []

    def release(self) -> None:
        """In another process: let go of the directory, whose lock is not ours."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def remove(self) -> None:
        """Send those who are left back to where they came from, and remove it. OSError where that fails."""
        for _ in range(_TRIES):
            for process in self.processes():
                with suppress(OSError):
                    _move(process, self._parent)
            try:
                self.path.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError as error:
                # Zombies, and children that were forked meanwhile.
                if error.errno != errno.EBUSY:
                    raise
            time.sleep(_PAUSE_S)
        else:
            raise OSError(errno.EBUSY, f"cannot remove {self.path}: processes are left in it")
        self.release()


class NotMountedError(OSError):
    """There is a cgroup v2 (its name is the error's `filename`), but no directory for it."""


def _find_own() -> Path:
    """The directory of our cgroup, by a mount of our own if there is no other."""
    try:
        return own_cgroup()
    except NotMountedError as error:
        if str(error.filename).startswith("/.."):
            raise
        # Held open for as long as we live: this path and those below it go through the descriptor.
        return Path(f"/proc/self/fd/{_mounted()}{error.filename}")


def _mounted() -> int:
    """A mount of cgroup v2 without a directory, as a file descriptor. Linux 5.2; OSError without CAP_SYS_ADMIN."""
    context = _call(_FSOPEN, b"cgroup2", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CONFIG_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _call(number: int, *arguments: bytes | int | None) -> int:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    result: int = syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def own_cgroup(proc: Path = Path("/proc/self")) -> Path:
    """The directory of the version 2 cgroup that this process is in. OSError: there is none, or it is out of sight."""
    ours = next(
        (line.removeprefix("0::") for line in (proc / "cgroup").read_text().splitlines() if line.startswith("0::")),
        None,
    )
    if ours is None:
        raise OSError(errno.ENOENT, "no cgroup v2")
    for mount, root in cgroup_mounts((proc / "mountinfo").read_text()):
        below = os.path.relpath(ours, root)
        if below != ".." and not below.startswith("../"):
            return Path(os.path.normpath(mount / below))
    raise NotMountedError(errno.ENOENT, f"cgroup v2 is not mounted where {ours} can be seen", ours)


def cgroup_mounts(mountinfo: str) -> list[tuple[Path, str]]:
    """Where cgroup v2 is mounted, and which cgroup is the root there (proc_pid_mountinfo(5))."""
    mounts = []
    for line in mountinfo.splitlines():
        here, separator, there = line.partition(" - ")
        fields = here.split(" ")
        if separator and len(fields) >= 6 and there.split(" ")[0] == "cgroup2":
            mounts.append((Path(_unescaped(fields[4])), _unescaped(fields[3])))
    return mounts


def _unescaped(field: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal numbers."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _move(process: int, to: Path) -> None:
    with open(to / "cgroup.procs", "wb", buffering=0) as file:
        file.write(str(process).encode())


def _sweep(parent: Path) -> None:
    """Remove what runs left behind that were killed outright."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.rmdir()
            finally:
                os.close(descriptor)
