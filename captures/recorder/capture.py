"""Packets of one interface into a pcapng file: dumpcap, and out of the file what would tell about the machine.

dumpcap writes the operating system, the processor and the build of itself into section and interface options. They
say nothing about the recording and differ on every machine: `scrub` leaves them out, byte for byte the rest stays.
"""

from __future__ import annotations

import gzip
import signal
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .network import Host

#: Where the keys of TLS connections go: into keys.log, into a block of the capture, or nowhere.
Keys = Literal["file", "block before", "block after", "none"]

#: What a recording of one port is: no ARP, no neighbour discovery.
DEFAULT_FILTER = "tcp"
#: The kernel's buffer: a download of 20 MiB on a busy machine fits.
_BUFFER_MIB = "64"
#: By how many seconds the clock of the second place is fast.
BEHIND_AHEAD_S = 90
_SECTION, _INTERFACE, _STATISTICS, _ENHANCED_PACKET, _SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
#: Secrets type: "TLSK", an NSS key log.
_KEY_LOG = 0x544C534B
_FIXED_BYTES = {_SECTION: 24, _INTERFACE: 16}
#: opt_comment, shb_hardware, shb_os (section), if_os, if_hardware (interface): draft-ietf-opsawg-pcapng sections 3-4.
_TELLING_OPTIONS = {_SECTION: {1, 2, 3}, _INTERFACE: {1, 12, 15}}


@dataclass(slots=True)
class Capture:
    """One run of dumpcap."""

    path: Path
    process: subprocess.Popen[str]
    start_ns: int
    """Real time when packets were surely being taken."""
    end_ns: int = 0
    messages: list[str] = field(default_factory=list)


def start(host: Host, interfaces: list[str], path: Path, packet_filter: str, snaplen: int | None) -> Capture:
    """Start to capture; returns when packets are being taken."""
    command = ["dumpcap", "-n", "-q", "-w", str(path)]
    for interface in interfaces:
        command += ["-i", interface, "-f", packet_filter, "-B", _BUFFER_MIB]
        if snaplen is not None:
            command += ["-s", str(snaplen)]
    process = subprocess.Popen(host.command(command), stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    messages = []
    for line in process.stderr:
        messages.append(line)
        if line.startswith("File:"):
            break
    else:
        raise RuntimeError("dumpcap did not start: " + "".join(messages))
    # It names the file before the first buffer is mapped.
    time.sleep(0.3)
    return Capture(path, process, time.time_ns(), messages=messages)


def stop(capture: Capture) -> None:
    """End the capture once the kernel has handed over its last packets.

    Raises:
        RuntimeError: packets were dropped: the recording is worth nothing.
    """
    time.sleep(0.3)
    capture.end_ns = time.time_ns()
    capture.process.send_signal(signal.SIGINT)
    _, rest = capture.process.communicate(timeout=20)
    # "Packets received/dropped on interface 'eth0': 84/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)"
    for line in rest.splitlines():
        if "received/dropped" in line and line.split("': ")[1].split("/")[1].split()[0] != "0":
            raise RuntimeError(f"packets were dropped: {line}")


def scrub(data: bytes) -> bytes:
    """A little-endian pcapng file without the options that tell about the machine, and without statistics blocks."""
    blocks, position = [], 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        block = data[position : position + length]
        position += length
        if kind in _FIXED_BYTES:
            block = _without_options(kind, block)
        if kind != _STATISTICS:
            blocks.append(block)
    return b"".join(blocks)


def _without_options(kind: int, block: bytes) -> bytes:
    fixed = _FIXED_BYTES[kind]
    kept, position = [block[8:fixed]], fixed
    while position < len(block) - 4:
        code, length = struct.unpack_from("<HH", block, position)
        option_end = position + 4 + (length + 3) // 4 * 4
        if code not in _TELLING_OPTIONS[kind]:
            kept.append(block[position:option_end])
        position = option_end
    body = b"".join(kept)
    total = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + total + body + total


def save(
    capture: Capture,
    folder: Path,
    compress: bool,
    key_log: str = "",
    keys: Keys = "file",
    leave_out: tuple[int, int] | None = None,
) -> Path:
    """Write the scrubbed capture into a scenario's folder as client.pcapng or client.pcapng.gz, and its keys.

    `leave_out` is which of the packets with at least so many bytes is missing: (0, 1000) the first of 1,000 bytes.
    """
    data = scrub(capture.path.read_bytes())
    if leave_out is not None:
        data = _without_packet(data, *leave_out)
    if key_log and keys == "file":
        (folder / "keys.log").write_text(key_log, encoding="ascii")
    elif key_log and keys != "none":
        data = _with_secrets(data, key_log.encode("ascii"), before=keys == "block before")
    return _write(data, folder / "client.pcapng", compress)


def save_behind(capture: Capture, folder: Path, compress: bool) -> Path:
    """Write the scrubbed capture of the second place as upstream.pcapng or upstream.pcapng.gz.

    Its clock is `BEHIND_AHEAD_S` fast.
    """
    moved = capture.path.with_name("moved.pcapng")
    # editcap's own section and interface options are scrubbed like dumpcap's.
    command = ["editcap", "-t", str(BEHIND_AHEAD_S), str(capture.path), str(moved)]
    subprocess.run(command, check=True, capture_output=True)
    return _write(scrub(moved.read_bytes()), folder / "upstream.pcapng", compress)


def _write(data: bytes, path: Path, compress: bool) -> Path:
    if not compress:
        path.write_bytes(data)
        return path
    path = path.with_name(f"{path.name}.gz")
    # No time of day in the gzip header: the same packets give the same file.
    path.write_bytes(gzip.compress(data, 9, mtime=0))
    return path


def _without_packet(data: bytes, which: int, least_bytes: int) -> bytes:
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        if kind == _ENHANCED_PACKET and struct.unpack_from("<I", data, position + 24)[0] >= least_bytes:
            if which == 0:
                return data[:position] + data[position + length :]
            which -= 1
        position += length
    raise RuntimeError("there is no such packet to leave out")


def _with_secrets(data: bytes, key_log: bytes, before: bool) -> bytes:
    """The file with a Decryption Secrets Block before the first packet or after the last."""
    position = 0 if before else len(data)
    while before:
        kind, length = struct.unpack_from("<II", data, position)
        if kind == _ENHANCED_PACKET:
            break
        position += length
    body = struct.pack("<II", _KEY_LOG, len(key_log)) + key_log + bytes(-len(key_log) % 4)
    total = struct.pack("<I", len(body) + 12)
    return data[:position] + struct.pack("<I", _SECRETS) + total + body + total + data[position:]


def count_packets(data: bytes) -> int:
    """Packets in a little-endian pcapng file as dumpcap writes it: its enhanced packet blocks."""
    count = position = 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        count += kind == _ENHANCED_PACKET
        position += length
    return count
