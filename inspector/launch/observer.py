"""The kernel tells which connections a cgroup's sockets begin, accept and end: exact, however short they are.

A BPF program of type SOCK_OPS is attached to the cgroup. The kernel runs it for the TCP sockets that the cgroup's
processes made, when one sends its first SYN, when a handshake with a listening one is complete, and, because the
program asks for it, when its state changes. Each time it copies addresses, ports and the time into a ring buffer,
which is mapped into the process that reads packets: that needs no right any more once it is mapped.

Why not a mark on the socket, as `ip vrf exec` sets it: the mark is on outgoing packets only, and it may change their
route. Why not the sockets of /proc: they are polled, and a request may be over between two polls.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from inspector.endpoints import Endpoint
from inspector.launch import ebpf
from inspector.launch.assembler import R0, R1, R2, R3, R4, R6, R7, STACK, Assembler
from inspector.launch.claims import Claim, Moment

#: Bytes of the ring buffer: room for 14,000 claims, two for each connection, until the reader comes by.
RING_BYTES: Final = 1 << 20

# Members of `struct bpf_sock_ops`, the program's argument, by their offsets (linux/bpf.h).
_OP, _NEW_STATE, _FAMILY, _REMOTE_IP4, _LOCAL_IP4, _REMOTE_IP6, _LOCAL_IP6 = 0, 8, 20, 24, 28, 32, 48
_REMOTE_PORT, _LOCAL_PORT, _CALLBACKS = 64, 68, 84

# Its operations, a state, and the flag that asks for changes of state.
_TCP_CONNECT, _PASSIVE_ESTABLISHED, _STATE_CHANGED = 3, 5, 10
_CLOSE = 7
_STATE_CHANGES_WANTED = 1 << 2

# Helpers by number.
_MAP_LOOKUP, _KTIME, _CALLBACKS_SET, _RINGBUF_OUTPUT = 1, 5, 59, 130

#: What the program writes: operation, family, remote and local IPv4 address, remote and local IPv6 address, remote
#: port (network order), local port, CLOCK_MONOTONIC. In the order of the members that it copies.
_COPIED = (
    *(_OP, _FAMILY, _REMOTE_IP4, _LOCAL_IP4),
    *range(_REMOTE_IP6, _REMOTE_IP6 + 16, 4),
    *range(_LOCAL_IP6, _LOCAL_IP6 + 16, 4),
    *(_REMOTE_PORT, _LOCAL_PORT),
)
_RECORD = struct.Struct("=II4s4s16s16s4sIQ")
_MOMENTS = {_TCP_CONNECT: Moment.CONNECTS, _PASSIVE_ESTABLISHED: Moment.ACCEPTED, _STATE_CHANGED: Moment.CLOSED}
_AF_INET = 2

# The ring buffer's memory: the reader's position on a page of its own, the writer's on the next, then the data, twice
# in a row, so that a record never wraps (kernel/bpf/ringbuf.c). A record's header is its length with two flags.
_HEADER = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30


def program(ring: int, lost: int) -> bytes:
    """The SOCK_OPS program that writes to the ring buffer, and counts in `lost` what it has no room for."""
    record, key = -_RECORD.size, -_RECORD.size - 8
    code = Assembler()
    code.move(R6, R1)
    code.load32(R7, R6, _OP)
    code.jump_if_equal(R7, _TCP_CONNECT, "begins")
    code.jump_if_equal(R7, _PASSIVE_ESTABLISHED, "begins")
    code.jump_if_not_equal(R7, _STATE_CHANGED, "done")
    code.load32(R1, R6, _NEW_STATE)
    code.jump_if_not_equal(R1, _CLOSE, "done")
    code.jump("note")
    # Flags of other programs stay.
    code.label("begins")
    code.load32(R2, R6, _CALLBACKS)
    code.set_bits(R2, _STATE_CHANGES_WANTED)
    code.move(R1, R6)
    code.call(_CALLBACKS_SET)
    code.label("note")
    for at, member in enumerate(_COPIED):
        code.load32(R1, R6, member)
        code.store32(STACK, record + 4 * at, R1)
    code.call(_KTIME)
    code.store64(STACK, record + 4 * len(_COPIED), R0)
    code.load_map(R1, ring)
    code.move(R2, STACK)
    code.add(R2, record)
    code.set(R3, _RECORD.size)
    code.set(R4, 0)
    code.call(_RINGBUF_OUTPUT)
    code.jump_if_equal(R0, 0, "done")
    code.store32_number(STACK, key, 0)
    code.load_map(R1, lost)
    code.move(R2, STACK)
    code.add(R2, key)
    code.call(_MAP_LOOKUP)
    code.jump_if_equal(R0, 0, "done")
    code.set(R1, 1)
    code.atomic_add64(R0, 0, R1)
    # 1: nothing to object. The reply stays what it would be without us.
    code.label("done")
    code.set(R0, 1)
    code.exit()
    return code.assemble()


def claim_of(record: bytes, epoch_ns: int) -> Claim | None:
    """The claim that the program wrote as `record`; `epoch_ns` is the Unix time at which CLOCK_MONOTONIC was 0."""
    operation, family, remote4, local4, remote6, local6, remote_port, local_port, at_ns = _RECORD.unpack(record)
    moment = _MOMENTS.get(operation)
    if moment is None:
        return None
    if family == _AF_INET:
        remote, local = str(IPv4Address(remote4)), str(IPv4Address(local4))
    else:
        remote, local = _ip6_text(remote6), _ip6_text(local6)
    return Claim(
        moment, Endpoint(local, local_port), Endpoint(remote, int.from_bytes(remote_port, "big")), at_ns + epoch_ns
    )


def _ip6_text(packed: bytes) -> str:
    """An IPv6 socket may speak IPv4 (RFC 4291 section 2.5.5.2): what is on the wire is what counts."""
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


class KernelClaims:
    """The claims of one cgroup's sockets, as long as the observer is open.

    Made with rights (CAP_BPF and CAP_NET_ADMIN), by a process that then forks the reader. Raises OSError where the
    kernel does not have it.
    """

    def __init__(self, cgroup: int) -> None:
        """`cgroup` is a descriptor of the cgroup's directory."""
        opened: list[int] = []
        try:
            opened += [ring := ebpf.ring_buffer(RING_BYTES)]
            opened += [lost := ebpf.counter()]
            opened += [loaded := ebpf.load_socket_operations(program(ring, lost))]
            self._link = ebpf.attach_to_cgroup(loaded, cgroup)
            page = mmap.PAGESIZE
            readable = mmap.PROT_READ
            self._consumer = mmap.mmap(ring, page, mmap.MAP_SHARED, readable | mmap.PROT_WRITE)
            self._producer = mmap.mmap(ring, page + 2 * RING_BYTES, mmap.MAP_SHARED, readable, offset=page)
            self._lost = mmap.mmap(lost, page, mmap.MAP_SHARED, readable)
        finally:
            # The link holds the program, the program its maps, and so does their memory.
            for descriptor in opened:
                os.close(descriptor)

    def release(self) -> None:
        """In the reader: leave the program's life to the process that made it."""
        self.close()

    def close(self) -> None:
        """Detach the program; what it wrote can still be read. May be called again."""
        if self._link >= 0:
            os.close(self._link)
            self._link = -1

    @property
    def lost(self) -> int:
        """Claims that the ring buffer had no room for."""
        return _number(self._lost)

    def take(self) -> list[Claim]:
        """The claims since the last time."""
        epoch_ns = time.time_ns() - time.monotonic_ns()
        position = _number(self._consumer)
        end = _number(self._producer)
        claims: list[Claim] = []
        while position < end:
            at = mmap.PAGESIZE + position % RING_BYTES
            (header,) = struct.unpack_from("@I", self._producer, at)
            if header & _BUSY:
                break
            length = header & ~(_BUSY | _DISCARDED)
            if not header & _DISCARDED and length == _RECORD.size:
                claim = claim_of(self._producer[at + _HEADER : at + _HEADER + length], epoch_ns)
                if claim is not None:
                    claims.append(claim)
            position += -(-(length + _HEADER) // 8) * 8
        struct.pack_into("@Q", self._consumer, 0, position)
        return claims


def _number(memory: mmap.mmap) -> int:
    """The 64-bit number at the beginning of mapped memory, read in one piece: "=" would take it byte by byte."""
    (number,) = struct.unpack_from("@Q", memory, 0)
    return int(number)
