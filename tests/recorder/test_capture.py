"""What is left out of a capture file before it is published, and that the packets stay as they were."""

from __future__ import annotations

import struct

from captures.recorder.capture import count_packets, scrub

COMMENT, HARDWARE, SYSTEM, APPLICATION = 1, 2, 3, 4
NAME, RESOLUTION, INTERFACE_SYSTEM = 2, 9, 12


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


END = option(0, b"")
SECTION_START = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
INTERFACE_START = struct.pack("<HHI", 1, 0, 262144)
PACKET = block(6, struct.pack("<IIIII", 0, 1, 2, 4, 4) + b"abcd")


def test_what_tells_about_the_machine_is_left_out() -> None:
    told = option(COMMENT, b"made at home") + option(HARDWARE, b"a processor") + option(SYSTEM, b"a system")
    section = block(0x0A0D0D0A, SECTION_START + told + option(APPLICATION, b"dumpcap") + END)
    names = option(NAME, b"eth0") + option(RESOLUTION, b"\x09")
    interface = block(1, INTERFACE_START + names + option(INTERFACE_SYSTEM, b"a system") + END)
    statistics = block(5, bytes(12))
    scrubbed = scrub(section + interface + PACKET + statistics)
    assert scrubbed == (
        block(0x0A0D0D0A, SECTION_START + option(APPLICATION, b"dumpcap") + END)
        + block(1, INTERFACE_START + names + END)
        + PACKET
    )
    assert count_packets(scrubbed) == 1
