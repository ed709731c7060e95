"""Instructions by their bytes, as RFC 9669 and the disassembly of clang's output have them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from inspector.launch.assembler import R0, R1, R2, R6, SIZE, STACK, Assembler
from inspector.launch.observer import program


def assembled(write: Callable[[Assembler], None], byteorder: str = "little") -> str:
    code = Assembler(byteorder)
    write(code)
    return code.assemble().hex(" ", SIZE)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda code: code.move(R6, R1), "bf16000000000000"),
        (lambda code: code.set(R0, 1), "b700000001000000"),
        (lambda code: code.add(R2, -72), "07020000b8ffffff"),
        (lambda code: code.set_bits(R2, 4), "4702000004000000"),
        (lambda code: code.load32(R1, R6, 64), "6161400000000000"),
        (lambda code: code.store32(STACK, -64, R1), "631ac0ff00000000"),
        (lambda code: code.store64(STACK, -8, R0), "7b0af8ff00000000"),
        (lambda code: code.store32_number(STACK, -4, 7), "620afcff07000000"),
        (lambda code: code.atomic_add64(R0, 0, R1), "db10000000000000"),
        (lambda code: code.load_map(R1, 5), "1811000005000000 0000000000000000"),
        (lambda code: code.call(130), "8500000082000000"),
        (lambda code: code.exit(), "9500000000000000"),
    ],
)
def test_instructions(write: Callable[[Assembler], None], expected: str) -> None:
    assert assembled(write) == expected


def test_big_endian_machines_have_the_registers_the_other_way_round() -> None:
    assert assembled(lambda code: code.load32(R1, R6, 64), "big") == "6116004000000000"


def test_jumps_count_instructions_from_the_next_one() -> None:
    def write(code: Assembler) -> None:
        code.jump_if_equal(R1, 3, "there")
        code.jump_if_not_equal(R1, 5, "there")
        code.load_map(R2, 1)
        code.jump("there")
        code.label("there")
        code.exit()

    jump_if_equal, jump_if_not_equal, _, _, jump, _ = assembled(write).split(" ")
    assert (jump_if_equal, jump_if_not_equal, jump) == ("1501040003000000", "5501030005000000", "0500000000000000")


def test_a_jump_to_nowhere_is_refused() -> None:
    with pytest.raises(KeyError):
        assembled(lambda code: code.jump("nowhere"))


def test_the_program_jumps_only_forward_and_writes_what_it_hands_over() -> None:
    """What the verifier checks as well, on machines where there is none to be asked."""
    code = program(ring=3, lost=4)
    instructions = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), SIZE)]
    jumps = [(at, offset) for at, (op, _, offset, _) in enumerate(instructions) if op in (0x05, 0x15, 0x55)]
    assert all(offset >= 0 and at + 1 + offset < len(instructions) for at, offset in jumps)
    written = {offset for op, registers, offset, _ in instructions if op == 0x63 and registers & 15 == STACK}
    assert written == set(range(-64, -8, 4))
    assert [number for op, _, _, number in instructions if op == 0x85] == [59, 5, 130, 1]
    assert instructions[-1][0] == 0x95
