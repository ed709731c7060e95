"""What is left out of a capture file before it is published, and that the packets stay as they were."""

from __future__ import annotations

import struct
from pathlib import Path

from captures.recorder import capture
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


def test_secrets_come_before_the_packets_or_behind_them(tmp_path: Path) -> None:
    file = block(0x0A0D0D0A, SECTION_START + END) + block(1, INTERFACE_START + END) + PACKET
    raw = tmp_path / "raw"
    raw.write_bytes(file)
    run = capture.Capture(raw, process=None, start_ns=0)  # type: ignore[arg-type]
    secrets = block(10, b"KSLT" + struct.pack("<I", 6) + b"CLIENT" + bytes(2))
    saved = capture.save(run, tmp_path, compress=False, key_log="CLIENT", keys="block before")
    assert saved.read_bytes() == file[: -len(PACKET)] + secrets + PACKET
    saved = capture.save(run, tmp_path, compress=False, key_log="CLIENT", keys="block after")
    assert saved.read_bytes() == file + secrets
    assert not (tmp_path / "keys.log").exists()


def test_secrets_go_into_a_file_or_nowhere(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(PACKET)
    run = capture.Capture(raw, process=None, start_ns=0)  # type: ignore[arg-type]
    assert capture.save(run, tmp_path, compress=False, key_log="CLIENT", keys="none").read_bytes() == PACKET
    assert not (tmp_path / "keys.log").exists()
    assert capture.save(run, tmp_path, compress=False, key_log="CLIENT").read_bytes() == PACKET
    assert (tmp_path / "keys.log").read_text() == "CLIENT"
