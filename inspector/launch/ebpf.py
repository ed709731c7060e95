"""The bpf(2) system call, as far as launch/observer.py needs it: maps, a program, its link to a cgroup.

Through ctypes, because Python has no binding and one of our own would need a compiler. The attributes of each command
are the first members of `union bpf_attr` (linux/bpf.h); the kernel takes those that are missing for zero. What it
refuses is an OSError with the kernel's reason; on other systems, and on machines whose number of the call is not
known, that is ENOSYS. Descriptors are closed on exec by the kernel's own doing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

from inspector.launch import assembler

_NUMBERS = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "ppc64le": 361,
    "s390x": 351,
    "i686": 357,
    "armv7l": 386,
}
_MAP_CREATE, _PROG_LOAD, _LINK_CREATE = 0, 5, 28
_MAP_ARRAY, _MAP_RINGBUF = 2, 27
_MMAPABLE = 1 << 10
_PROG_SOCK_OPS = 13
_ATTACH_SOCK_OPS = 3

#: Bytes of the verifier's account of why it refused a program that are kept.
_LOG_BYTES = 65_536


def ring_buffer(size: int) -> int:
    """A ring buffer of `size` bytes (a power of two, at least a page), as a file descriptor. Linux 5.8."""
    return _bpf(_MAP_CREATE, struct.pack("=IIII", _MAP_RINGBUF, 0, 0, size))


def counter() -> int:
    """An array of one 64-bit number that can be mapped, as a file descriptor. Linux 5.5."""
    return _bpf(_MAP_CREATE, struct.pack("=IIIII", _MAP_ARRAY, 4, 8, 1, _MMAPABLE))


def load_socket_operations(program: bytes) -> int:
    """Have the kernel verify a BPF_PROG_TYPE_SOCK_OPS program; its file descriptor.

    The OSError of a program that the verifier refuses has the end of its account.
    """
    code = ctypes.create_string_buffer(program, len(program))
    license_ = ctypes.create_string_buffer(b"MIT")
    log = ctypes.create_string_buffer(_LOG_BYTES)
    head = (_PROG_SOCK_OPS, len(program) // assembler.SIZE, ctypes.addressof(code), ctypes.addressof(license_))
    plain = struct.pack("=IIQQ", *head)
    try:
        return _bpf(_PROG_LOAD, plain)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EINVAL):
            raise
        try:
            return _bpf(_PROG_LOAD, plain + struct.pack("=IIQ", 1, _LOG_BYTES, ctypes.addressof(log)))
        except OSError as again:
            account = log.value.decode(errors="replace").strip().splitlines()[-3:]
            raise OSError(again.errno, " | ".join([os.strerror(again.errno or 0), *account])) from None


def attach_to_cgroup(program: int, cgroup: int) -> int:
    """Run a program for the sockets of a cgroup, beside those of others, as long as the result is open. Linux 5.7."""
    return _bpf(_LINK_CREATE, struct.pack("=IIII", program, cgroup, _ATTACH_SOCK_OPS, 0))


def _bpf(command: int, attributes: bytes) -> int:
    number = _NUMBERS.get(platform.machine()) if sys.platform == "linux" else None
    if number is None or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, "bpf(2) is not known here")
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
