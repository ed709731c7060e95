"""The machine that the kernel has for classic BPF, for programs that no kernel is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inspector.sources.bpf import Instruction, Program

NETWORK, ANCILLARY = 0xFFF0_0000, 0xFFFF_F000


def run(program: Program, packet: bytes, *, network_at: int, ancillary: Callable[[int], int]) -> int:
    """Interpret a program: bytes of the packet that it accepts.

    `ancillary` gives what the kernel knows of the packet, by offset from SKF_AD_OFF.
    """
    accumulator = index = at = 0
    memory = [0] * 16
    while True:
        one = program[at]
        at += 1
        kind, size = one.code & 7, {0x00: 4, 0x08: 2, 0x10: 1}.get(one.code & 0x18, 0)
        if kind in (0, 1) and (one.code & 0xE0) in (0x20, 0x40, 0xA0):
            where = one.k + (index if one.code & 0xE0 == 0x40 else 0)
            if where >= ANCILLARY:
                accumulator = ancillary(where - ANCILLARY)
                continue
            where = where - NETWORK + network_at if where >= NETWORK else where
            if where + size > len(packet):
                return 0
            value = int.from_bytes(packet[where : where + size], "big")
            if kind == 1:
                index = 4 * (value & 0x0F)
            else:
                accumulator = value
        elif kind == 0:
            accumulator = {0x00: one.k, 0x60: memory[one.k & 15], 0x80: len(packet)}[one.code & 0xE0]
        elif kind == 1:
            index = {0x00: one.k, 0x60: memory[one.k & 15], 0x80: len(packet)}[one.code & 0xE0]
        elif kind in (2, 3):
            memory[one.k] = accumulator if kind == 2 else index
        elif kind == 4:
            accumulator = _calculated(one.code & 0xF0, accumulator, index if one.code & 8 else one.k)
        elif kind == 5:
            at += _step(one, accumulator, index)
        elif kind == 6:
            return accumulator if one.code & 0x18 == 0x10 else one.k
        elif one.code & 0xF8:
            accumulator = index
        else:
            index = accumulator


def _calculated(operation: int, left: int, right: int) -> int:
    results: Iterable[tuple[int, Callable[[], int]]] = (
        (0x00, lambda: left + right),
        (0x10, lambda: left - right),
        (0x20, lambda: left * right),
        (0x30, lambda: left // right if right else 0),
        (0x40, lambda: left | right),
        (0x50, lambda: left & right),
        (0x60, lambda: left << right),
        (0x70, lambda: left >> right),
        (0x80, lambda: -left),
        (0x90, lambda: left % right if right else 0),
        (0xA0, lambda: left ^ right),
    )
    return dict(results)[operation]() & 0xFFFF_FFFF


def _step(one: Instruction, accumulator: int, index: int) -> int:
    right = index if one.code & 8 else one.k
    holds = {
        0x10: accumulator == right,
        0x20: accumulator > right,
        0x30: accumulator >= right,
        0x40: bool(accumulator & right),
    }
    operation = one.code & 0xF0
    return one.k if not operation else one.if_true if holds[operation] else one.if_false
