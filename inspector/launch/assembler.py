"""BPF programs written as text would be: one call an instruction, jumps by name.

Only what launch/observer.py needs of the instruction set (RFC 9669). An instruction is eight bytes: opcode, two
registers of four bits, a 16-bit offset, a 32-bit number. Offsets of jumps count instructions from the next one on.
"""

from __future__ import annotations

import struct
import sys
from typing import Final

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
#: The stack, growing down from its end: 512 bytes, which must be written before they are read.
STACK = R10

_LOAD, _LOAD_IMMEDIATE, _STORE_NUMBER, _STORE, _JUMP, _ALU64 = 0x01, 0x00, 0x02, 0x03, 0x05, 0x07
_WORD, _DOUBLE = 0x00, 0x18
_MEMORY, _ATOMIC, _IMMEDIATE = 0x60, 0xC0, 0x00
_FROM_NUMBER, _FROM_REGISTER = 0x00, 0x08
_ADD, _OR, _MOVE = 0x00, 0x40, 0xB0
_ALWAYS, _EQUAL, _NOT_EQUAL, _CALL, _EXIT = 0x00, 0x10, 0x50, 0x80, 0x90
#: In the place of a source register: the number is the file descriptor of a map.
_PSEUDO_MAP_FD = 1

#: Bytes of an instruction.
SIZE: Final = 8


class Assembler:
    """Collects instructions; `assemble` gives their bytes in this machine's byte order."""

    def __init__(self, byteorder: str = sys.byteorder) -> None:
        self._little = byteorder == "little"
        self._code: list[tuple[int, int, int, int | str, int]] = []
        self._labels: dict[str, int] = {}

    def move(self, to: int, source: int) -> None:
        """to = source"""
        self._add(_ALU64 | _FROM_REGISTER | _MOVE, to, source)

    def set(self, to: int, number: int) -> None:
        """to = number"""
        self._add(_ALU64 | _FROM_NUMBER | _MOVE, to, number=number)

    def add(self, to: int, number: int) -> None:
        """to += number"""
        self._add(_ALU64 | _FROM_NUMBER | _ADD, to, number=number)

    def set_bits(self, to: int, number: int) -> None:
        """to |= number"""
        self._add(_ALU64 | _FROM_NUMBER | _OR, to, number=number)

    def load32(self, to: int, base: int, offset: int) -> None:
        """to = 32 bits at base + offset"""
        self._add(_LOAD | _WORD | _MEMORY, to, base, offset)

    def store32(self, base: int, offset: int, source: int) -> None:
        """32 bits at base + offset = source"""
        self._add(_STORE | _WORD | _MEMORY, base, source, offset)

    def store64(self, base: int, offset: int, source: int) -> None:
        """64 bits at base + offset = source"""
        self._add(_STORE | _DOUBLE | _MEMORY, base, source, offset)

    def store32_number(self, base: int, offset: int, number: int) -> None:
        """32 bits at base + offset = number"""
        self._add(_STORE_NUMBER | _WORD | _MEMORY, base, 0, offset, number)

    def atomic_add64(self, base: int, offset: int, source: int) -> None:
        """64 bits at base + offset += source, whoever else adds"""
        self._add(_STORE | _DOUBLE | _ATOMIC, base, source, offset, _ADD)

    def load_map(self, to: int, descriptor: int) -> None:
        """to = the map with this file descriptor (two instructions long)"""
        self._add(_LOAD_IMMEDIATE | _DOUBLE | _IMMEDIATE, to, _PSEUDO_MAP_FD, 0, descriptor)
        self._add(0)

    def jump(self, label: str) -> None:
        """Go to the label, which stands further down."""
        self._add(_JUMP | _ALWAYS, offset=label)

    def jump_if_equal(self, register: int, number: int, label: str) -> None:
        """if register == number: go to the label"""
        self._add(_JUMP | _FROM_NUMBER | _EQUAL, register, offset=label, number=number)

    def jump_if_not_equal(self, register: int, number: int, label: str) -> None:
        """if register != number: go to the label"""
        self._add(_JUMP | _FROM_NUMBER | _NOT_EQUAL, register, offset=label, number=number)

    def call(self, helper: int) -> None:
        """R0 = helper(R1 ... R5), by its number; R1 to R5 are lost"""
        self._add(_JUMP | _CALL, number=helper)

    def exit(self) -> None:
        """return R0"""
        self._add(_JUMP | _EXIT)

    def label(self, name: str) -> None:
        """Jumps to `name` come here."""
        self._labels[name] = len(self._code)

    def assemble(self) -> bytes:
        """The program; KeyError for a jump to nowhere."""
        return b"".join(self._encoded(at, *instruction) for at, instruction in enumerate(self._code))

    def _add(self, opcode: int, to: int = 0, source: int = 0, offset: int | str = 0, number: int = 0) -> None:
        self._code.append((opcode, to, source, offset, number))

    def _encoded(self, at: int, opcode: int, to: int, source: int, offset: int | str, number: int) -> bytes:
        if isinstance(offset, str):
            offset = self._labels[offset] - at - 1
        registers = to | source << 4 if self._little else to << 4 | source
        return struct.pack("<BBhi" if self._little else ">BBhi", opcode, registers, offset, number)
