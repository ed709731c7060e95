"""A SYN flood in columns: one frame as the template, and what differs from SYN to SYN written over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.endpoint import UNSCALED_WINDOW, Stack, syn_options
from bench.network import MICROSECOND
from bench.wire import SYN, Host, Route, write_pcap

_FILE_HEADER = 24
_IP = 16 + 14
_IP_CHECKSUM = _IP + 10
_IP_SOURCE_LOW = _IP + 14
_TCP = _IP + 20
_TCP_CHECKSUM = _TCP + 16
_PORTS_PER_ADDRESS = 50_000
_INTERVAL_US = 10

#: Where the attackers' addresses come from (RFC 2544): 65,535 of them, so 3 thousand million SYNs at most.
SOURCES = "198.18.0.0"


def write_flood(path: Path, count: int, seed: int, start_ns: int, server: Host) -> None:
    """Write a capture of `count` SYNs from as many pairs of address and port to `server` (IPv4), 10 µs apart."""
    frame = Route(Host(SOURCES, 0, b"\x02" + server.mac[1:]), server).frame(
        0, 0, SYN, UNSCALED_WINDOW, syn_options(Stack(), 0, 0), b""
    )
    write_pcap(path, [(start_ns, frame)])
    content = np.fromfile(path, np.uint8)
    header, template = content[:_FILE_HEADER], content[_FILE_HEADER:]
    rows = np.tile(template, (count, 1))
    number = np.arange(count, dtype=np.int64)
    time_us = start_ns // MICROSECOND + number * _INTERVAL_US
    rows[:, 0:8] = np.stack((time_us // 1_000_000, time_us % 1_000_000), axis=1).astype("<u4").view(np.uint8)
    sequence = np.random.default_rng(seed).integers(0, 1 << 32, count)
    _put(rows, _IP_SOURCE_LOW, number // _PORTS_PER_ADDRESS + 1, _IP_CHECKSUM, _TCP_CHECKSUM)
    _put(rows, _TCP, number % _PORTS_PER_ADDRESS + 1024, _TCP_CHECKSUM)
    _put(rows, _TCP + 4, sequence >> 16, _TCP_CHECKSUM)
    _put(rows, _TCP + 6, sequence & 0xFFFF, _TCP_CHECKSUM)
    with path.open("wb") as out:
        header.tofile(out)
        rows.tofile(out)


def _put(rows: NDArray[np.uint8], at: int, values: NDArray[np.int64], *checksums: int) -> None:
    """Write 16-bit values over zeros at column `at`, and mend the checksums (RFC 1624 section 3)."""
    rows[:, at : at + 2] = _bytes_of(values)
    for column in checksums:
        old = rows[:, column].astype(np.int64) << 8 | rows[:, column + 1]
        rows[:, column : column + 2] = _bytes_of(-(0xFFFF - old + values) % 0xFFFF)


def _bytes_of(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    return values.astype(">u2")[:, np.newaxis].view(np.uint8)
