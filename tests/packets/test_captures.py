"""Real captures: the columns against Scapy's dissection, and against tshark's where it is installed.

The project's own captures are always walked. Those of others lie in a directory that CONNSPECT_CONFORMANCE names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.packets.decode import PacketDecoder
from inspector.sources.open import open_capture
from tests.packets.decoding import Segment, segments_of
from tests.packets.scapy_view import segment_of

_OWN = Path(__file__).parents[2] / "captures"
_CONFORMANCE = os.environ.get("CONNSPECT_CONFORMANCE")
_NO_CONFORMANCE = "CONNSPECT_CONFORMANCE names no directory with captures of others"
_SUFFIXES = {".pcap", ".pcapng"}

#: Segments of tshark's that are none here: end of the path, packet -> why.
_NO_SEGMENTS = {
    ("tests__drop-protocol-change__input.pcap", 7): "data offset 2: a header of 8 bytes, which no host accepts",
}

#: Segments compared of one capture: Scapy takes its time, and the later packets of a download are like its first.
_MOST = 1500

#: Captures in which Scapy finds no TCP where we do: end of the path -> why.
_UNKNOWN_TO_SCAPY = {"tests__filter__AH-IPcomp-IPv4.pcap": "it stops at the authentication header"}

#: Source, destination, ports, seq, ack, flags, payload length.
Row = tuple[str, str, int, int, int, int, int, int]

_FIELDS = (
    *("frame.number", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len"),
)


def _captures(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if _SUFFIXES & set(path.suffixes))


def _others() -> list[object]:
    if _CONFORMANCE is None:
        return [pytest.param(Path(), marks=pytest.mark.skip(reason=_NO_CONFORMANCE), id="none")]
    return [pytest.param(path, id=path.name) for path in _captures(Path(_CONFORMANCE) / "captures")]


def _all() -> list[object]:
    return [*(pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in _captures(_OWN)), *_others()]


@pytest.mark.parametrize("path", _all())
def test_columns_equal_scapys_dissection(path: Path) -> None:
    """Field by field; a payload that was cut as far as it goes."""
    decoder, unknown = PacketDecoder(), []
    for raw in open_capture([str(path)]):
        batch = decoder.decode(raw)
        assert len(raw) == len(batch) + sum(batch.skipped.values())
        for segment in segments_of(batch)[:_MOST]:
            row = segment.packet - raw.first_packet
            at, captured = int(raw.position[row]), int(raw.captured[row])
            link_type = raw.interfaces[int(raw.interface[row])].link_type
            theirs = segment_of(segment.packet, raw.data[at : at + captured].tobytes(), link_type, 0)
            if theirs is None:
                unknown.append(segment.packet)
            else:
                assert _comparable(segment) == _comparable(theirs, len(segment.payload))
    assert unknown == [] or path.name.split("+")[-1] in _UNKNOWN_TO_SCAPY


def _comparable(segment: Segment, captured: int | None = None) -> Segment:
    payload = segment.payload if captured is None else segment.payload[:captured]
    return replace(segment, network=0, payload=payload, payload_length=len(payload))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", _others())
def test_segments_equal_tsharks(path: Path) -> None:
    mine, duplicates = _mine(path)
    theirs = {
        number: row for number, row in _theirs(path).items() if (path.name.split("+")[-1], number) not in _NO_SEGMENTS
    }
    missing = theirs.keys() - mine.keys()
    assert {number: row for number, row in theirs.items() if number in mine} == mine
    assert len(missing) == duplicates


def _mine(path: Path) -> tuple[dict[int, Row], int]:
    decoder, rows, duplicates = PacketDecoder(), {}, 0
    for raw in open_capture([str(path)]):
        batch = decoder.decode(raw)
        duplicates += batch.skipped.get("duplicate", 0)
        for s in segments_of(batch):
            rows[s.packet] = (s.src, s.dst, s.src_port, s.dst_port, s.seq, s.ack, s.flags, s.payload_length)
    return rows, duplicates


def _theirs(path: Path) -> dict[int, Row]:
    """The first TCP layer of each packet with the IP layer in front of it, as tshark prints them."""
    fields = [argument for field in _FIELDS for argument in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp", "-T", "fields", "-E", "occurrence=a", *fields]
    rows = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        values = dict(zip(_FIELDS, (value.split(",") for value in line.split("\t")), strict=True))
        layers = values["frame.protocols"][0].split(":")
        front = layers[: layers.index("tcp")]
        if "icmp" in front or "icmpv6" in front:
            continue
        ip = [layer for layer in front if layer in ("ip", "ipv6")]
        src, dst = (values[f"{ip[-1]}.{end}"][ip.count(ip[-1]) - 1] for end in ("src", "dst"))
        ports = (int(values["tcp.srcport"][0]), int(values["tcp.dstport"][0]))
        numbers = (int(values["tcp.seq_raw"][0]), int(values["tcp.ack_raw"][0] or 0))
        flags, length = int(values["tcp.flags"][0] or "0", 16) & 0xFF, int(values["tcp.len"][0] or 0)
        rows[int(values["frame.number"][0])] = (src, dst, *ports, *numbers, flags, length)
    return rows
