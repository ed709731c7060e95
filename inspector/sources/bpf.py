"""Classic BPF programs for a packet socket: the default filter by hand, others as libpcap compiled them, made to fit.

libpcap compiles for one link type; a socket on all interfaces has several. So a filter is there twice: for Ethernet,
and for packets whose network header is found by the kernel (SKF_NET_OFF), which does for all link types. Which one runs
is decided for each packet by its interface's hardware type. In front stand conditions that no filter expression has:
which interfaces, and no packet twice on a loopback.

Sources: linux/Documentation/networking/filter.rst, linux/filter.h, linux/if_arp.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

#: What is captured unless something else is asked for. DNS answers only fill in names.
DEFAULT_FILTER = "tcp or udp port 53"

#: The most instructions that the kernel takes (BPF_MAXINSNS).
MAX_INSTRUCTIONS = 4096

#: Hardware types of interfaces whose packets start with an Ethernet header (ARPHRD_ETHER, ARPHRD_LOOPBACK).
ETHERNET_TYPES = (1, 772)

_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD = 0x30, 0x28, 0x20
_LOAD_HALF_INDIRECT = 0x48
_LOAD_HEADER_LENGTH = 0xB1
_JUMP, _JUMP_EQUAL, _JUMP_SET = 0x05, 0x15, 0x45
_AND, _RETURN = 0x54, 0x06

_ABSOLUTE = frozenset({_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD})
_RELATIVE_TO_PACKET = _ABSOLUTE | {0x40, 0x48, 0x50, _LOAD_HEADER_LENGTH}

#: Offsets from here on are counted from the network header (SKF_NET_OFF), or are no offsets (SKF_AD_OFF).
_NETWORK = 0xFFF0_0000
_ANCILLARY = 0xFFFF_F000
_PACKET_TYPE, _INTERFACE, _HARDWARE_TYPE = _ANCILLARY + 4, _ANCILLARY + 8, _ANCILLARY + 28

_OUTGOING = 4
_LOOPBACK = 772
_ETHERNET_HEADER = 14


class Instruction(NamedTuple):
    """One instruction: struct sock_filter."""

    code: int
    if_true: int
    """Instructions to step over when a comparison holds."""
    if_false: int
    k: int


Program = list[Instruction]


def packed(program: Program) -> bytes:
    """The program as the kernel reads it: an array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def default_program() -> Program:
    """`tcp or udp port 53` on packets that start with their IP header (LINKTYPE_RAW), as libpcap understands it:
    fragments of TCP pass, of UDP only first ones; of IPv6's extension headers only that of fragments is followed."""
    version_4, version_6, accept, reject = 4, 6, "accept", "reject"
    steps: list[tuple[str, int, int, str, str]] = [
        ("", _LOAD_BYTE, 0, "", ""),
        ("", _AND, 0xF0, "", ""),
        ("", _JUMP_EQUAL, version_4 << 4, "ipv4", ""),
        ("", _JUMP_EQUAL, version_6 << 4, "ipv6", reject),
        ("ipv4", _LOAD_BYTE, 9, "", ""),
        ("", _JUMP_EQUAL, 6, accept, ""),
        ("", _JUMP_EQUAL, 17, "", reject),
        ("", _LOAD_HALF, 6, "", ""),
        ("", _JUMP_SET, 0x1FFF, reject, ""),
        ("", _LOAD_HEADER_LENGTH, 0, "", ""),
        ("", _LOAD_HALF_INDIRECT, 0, "", ""),
        ("", _JUMP_EQUAL, 53, accept, ""),
        ("", _LOAD_HALF_INDIRECT, 2, "", ""),
        ("", _JUMP_EQUAL, 53, accept, reject),
        ("ipv6", _LOAD_BYTE, 6, "", ""),
        ("", _JUMP_EQUAL, 6, accept, ""),
        ("", _JUMP_EQUAL, 17, "udp6", ""),
        ("", _JUMP_EQUAL, 44, "", reject),
        ("", _LOAD_BYTE, 40, "", ""),
        ("", _JUMP_EQUAL, 6, accept, reject),
        ("udp6", _LOAD_HALF, 40, "", ""),
        ("", _JUMP_EQUAL, 53, accept, ""),
        ("", _LOAD_HALF, 42, "", ""),
        ("", _JUMP_EQUAL, 53, accept, reject),
        (accept, _RETURN, 1, "", ""),
        (reject, _RETURN, 0, "", ""),
    ]
    places = {label: at for at, (label, *_) in enumerate(steps) if label}
    return [
        Instruction(code, places[yes] - at - 1 if yes else 0, places[no] - at - 1 if no else 0, k)
        for at, (_, code, k, yes, no) in enumerate(steps)
    ]


def behind_ethernet(program: Program) -> Program:
    """A program for packets that start with their IP header, for packets that have an Ethernet header in front."""
    is_ip = [
        Instruction(_LOAD_HALF, 0, 0, 12),
        Instruction(_JUMP_EQUAL, 2, 0, 0x0800),
        Instruction(_JUMP_EQUAL, 1, 0, 0x86DD),
        Instruction(_RETURN, 0, 0, 0),
    ]
    return is_ip + _moved(program, _ETHERNET_HEADER)


def at_network_header(program: Program) -> Program:
    """The same for packets with any header in front: the kernel knows where the network header is."""
    return _moved(program, _NETWORK)


def _moved(program: Program, by: int) -> Program:
    return [
        one._replace(k=one.k + by) if one.code in _RELATIVE_TO_PACKET and one.k < _NETWORK else one for one in program
    ]


def socket_program(
    ethernet: Program | None,
    others: Program | None,
    *,
    interfaces: Sequence[int] = (),
    snap_length: int,
) -> Program:
    """What is attached to a socket: `ethernet` where packets have an Ethernet header, `others` everywhere else.

    A program that is None accepts nothing. `interfaces` are the indices of those that are listened to; none: all that
    the socket is bound to. What a loopback sends is left out, for it comes back. Raises ValueError where the kernel
    would not take so long a program.
    """
    ethernet = _snapped(ethernet, snap_length) if ethernet is not None else [Instruction(_RETURN, 0, 0, 0)]
    others = _snapped(others, snap_length) if others is not None else [Instruction(_RETURN, 0, 0, 0)]
    program = [
        Instruction(_LOAD_HALF, 0, 0, _HARDWARE_TYPE),
        Instruction(_JUMP_EQUAL, 0, 3, _LOOPBACK),
        Instruction(_LOAD_HALF, 0, 0, _PACKET_TYPE),
        Instruction(_JUMP_EQUAL, 0, 1, _OUTGOING),
        Instruction(_RETURN, 0, 0, 0),
    ]
    if interfaces:
        program.append(Instruction(_LOAD_WORD, 0, 0, _INTERFACE))
        # Each comparison is followed by a jump of its own: those of comparisons reach 255 instructions.
        for left, index in zip(range(len(interfaces) - 1, -1, -1), interfaces, strict=True):
            program += [Instruction(_JUMP_EQUAL, 0, 1, index), Instruction(_JUMP, 0, 0, 2 * left + 1)]
        program.append(Instruction(_RETURN, 0, 0, 0))
    program.append(Instruction(_LOAD_HALF, 0, 0, _HARDWARE_TYPE))
    for hardware_type in ETHERNET_TYPES:
        is_last = hardware_type == ETHERNET_TYPES[-1]
        over_others = len(others) + (0 if is_last else 2)
        program += [Instruction(_JUMP_EQUAL, 0, 1, hardware_type), Instruction(_JUMP, 0, 0, over_others)]
    program += others + ethernet
    if len(program) > MAX_INSTRUCTIONS:
        raise ValueError(f"{len(program)} instructions")
    return program


def everything() -> Program:
    """The program that accepts every packet."""
    return [Instruction(_RETURN, 0, 0, 1)]


def nothing() -> Program:
    """The program that accepts no packet."""
    return [Instruction(_RETURN, 0, 0, 0)]


def _snapped(program: Program, snap_length: int) -> Program:
    """What the program accepts it accepts up to this length: libpcap's programs have a length of their own."""
    return [one._replace(k=snap_length) if one.code == _RETURN and one.k else one for one in program]
