"""`python -m bench day`: a day of 50 connections a second past the engine, on capture time: what it keeps of memory.

The day is made as it is read: columns of packets, tiled from one connection's frames, with ends, times and a few words
of the messages written over. Nearly every connection has a 4-tuple of its own, clients say hundreds of names and
thousands of User-Agents, some hold a connection for hours, and somebody scans ports all day: what could grow, does.
Frames have no valid checksums, which nobody looks at.
"""

from __future__ import annotations

import argparse
import gc
import resource
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.measure import MAXRSS_UNIT
from inspector.bounds import Bounds
from inspector.cli.live import COLLECTED_AFTER
from inspector.engine import Inspector, Options
from inspector.packets.batch import BATCH_BOUNDARY, Interface, RawBatch

#: Connections a second, and what may be resident at the most, in bytes.
RATE, LIMIT = 50, 300_000_000

_START_NS = 1_795_361_858_000_000_000
_SECOND = 1_000_000_000
_ETHERNET = 1
_SERVERS, _CLIENTS = 40, 20_000
_NAMES, _AGENTS = 500, 3_000
#: Connections made at a time, and rows of a batch.
_MADE, _ROWS = 4_096, 4_096
#: Bytes from one frame to the next.
_ROOM = 192
_IP, _TCP, _PAYLOAD = 14, 34, 54
#: The host whose ports are scanned: the first server.
_SCANNED = 0xC0000201
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16

_REQUEST = b"GET /a HTTP/1.1\r\nHost: h0000.example\r\nUser-Agent: agent/0000\r\n\r\n"
_RESPONSE = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
_AT_NAME, _AT_AGENT = _REQUEST.index(b"0000"), _REQUEST.rindex(b"0000")

#: Who sends, flags, payload, and how much of the connection's life has gone by, in thousandths.
Frame = tuple[str, int, bytes, int]
_FRAMES: tuple[Frame, ...] = (
    ("c", _SYN, b"", 0),
    ("s", _SYN | _ACK, b"", 1),
    ("c", _ACK, b"", 2),
    ("c", _ACK | _PSH, _REQUEST, 3),
    ("s", _ACK | _PSH, _RESPONSE, 10),
    ("c", _ACK, b"", 11),
    ("s", _ACK | _FIN, b"", 997),
    ("c", _ACK | _FIN, b"", 998),
    ("s", _ACK, b"", 999),
)
#: A scanned port: SYN, RST.
_SCAN: tuple[Frame, ...] = (("c", _SYN, b"", 0), ("s", _RST | _ACK, b"", 1))

Rows = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Packets = tuple[Rows, Numbers, Numbers]
"""Bytes, a row of _ROOM a packet; lengths; times."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happens."""

    connections: int
    rate: int = RATE
    """A second."""
    scans_every: int = 40
    """One connection in so many is a scanned port."""
    seed: int = 1


def batches(day: Day) -> Iterator[RawBatch]:
    """The day's packets by time, as a live source hands them out."""
    random = np.random.default_rng(day.seed)
    waiting: Packets = np.zeros((0, _ROOM), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64)
    packet, interfaces = 1, [Interface(_ETHERNET, "eth0")]
    for first in range(0, day.connections, _MADE):
        numbers = np.arange(first, min(first + _MADE, day.connections))
        made = _connections(numbers, day, random)
        rows = np.concatenate([waiting[0], made[0]])
        size = np.concatenate([waiting[1], made[1]])
        time_ns = np.concatenate([waiting[2], made[2]])
        order = np.argsort(time_ns, kind="stable")
        last = first + _MADE >= day.connections
        until = len(order) if last else int(np.searchsorted(time_ns[order], _begin_ns(day, numbers[-1:] + 1)[0]))
        start = 0
        while start < until:
            room = min(_ROWS, until - start, BATCH_BOUNDARY - (packet - 1) % BATCH_BOUNDARY)
            chosen = order[start : start + room]
            yield RawBatch(
                rows[chosen].reshape(-1), np.arange(len(chosen)) * _ROOM, size[chosen], size[chosen],
                time_ns[chosen], np.zeros(len(chosen), np.uint16), interfaces, packet,
            )  # fmt: skip
            start += len(chosen)
            packet += len(chosen)
        later = order[until:]
        waiting = rows[later], size[later], time_ns[later]


def _begin_ns(day: Day, number: Numbers) -> Numbers:
    return _START_NS + number * _SECOND // day.rate


def _connections(numbers: Numbers, day: Day, random: np.random.Generator) -> Packets:
    """Frames, their lengths and times, of these connections: some of them ports that are scanned."""
    scans = numbers % day.scans_every == 0
    talks, scanned = numbers[~scans], numbers[scans]
    parts = (
        _played(talks, _FRAMES, _SCANNED + talks % _SERVERS, np.full(len(talks), 80), day, random),
        _played(
            scanned, _SCAN, np.full(len(scanned), _SCANNED), 1024 + scanned // day.scans_every % 60_000, day, random
        ),
    )
    return (
        np.concatenate([rows for rows, _, _ in parts]),
        np.concatenate([size for _, size, _ in parts]),
        np.concatenate([time_ns for _, _, time_ns in parts]),
    )


def _played(
    numbers: Numbers, frames: Sequence[Frame], server: Numbers, port: Numbers, day: Day, random: np.random.Generator
) -> Packets:
    """The same frames for each of the connections, to its server and port."""
    n = len(numbers)
    ends = {"c": (0x0A000000 + random.integers(1, _CLIENTS, n), random.integers(1024, 65_536, n)), "s": (server, port)}
    rows = np.zeros((n, len(frames), _ROOM), np.uint8)
    offset = {"c": 999, "s": 4999}
    for at, (side, flags, payload, _) in enumerate(frames):
        other = "s" if side == "c" else "c"
        frame = _frame(payload, offset[side], offset[other], flags)
        rows[:, at, : len(frame)] = np.frombuffer(frame, np.uint8)
        for place, values, size in (
            (_IP + 4, numbers + at, 2),
            (_IP + 12, ends[side][0], 4),
            (_IP + 16, ends[other][0], 4),
            (_TCP, ends[side][1], 2),
            (_TCP + 2, ends[other][1], 2),
        ):
            _put(rows[:, at], place, values, size)
        if payload is _REQUEST:
            _digits(rows[:, at], _PAYLOAD + _AT_NAME, random.integers(0, _NAMES, n))
            _digits(rows[:, at], _PAYLOAD + _AT_AGENT, random.integers(0, _AGENTS, n))
        offset[side] += len(payload) + bool(flags & (_SYN | _FIN))
    sizes = np.array([_PAYLOAD + len(payload) for _, _, payload, _ in frames])
    share = np.array([share for *_, share in frames])
    # Most live for seconds, some for hours.
    life = np.minimum(random.lognormal(1.2, 1.5, n), 36_000) * _SECOND
    time_ns = _begin_ns(day, numbers)[:, None] + (life[:, None] * share / 1000).astype(np.int64)
    return rows.reshape(-1, _ROOM), np.tile(sizes, n), time_ns.reshape(-1)


def _frame(payload: bytes, seq: int, ack: int, flags: int) -> bytes:
    ethernet = bytes(12) + b"\x08\x00"
    ip = struct.pack(">BBHHHBBH8x", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0)
    tcp = struct.pack(">4xIIBBHHH", seq, ack if flags & _ACK else 0, 5 << 4, flags, 512, 0, 0)
    return ethernet + ip + tcp + payload


def _put(rows: Rows, at: int, values: Numbers, size: int) -> None:
    """Write big-endian numbers of `size` bytes over column `at`."""
    for place in range(size):
        rows[:, at + place] = values >> 8 * (size - 1 - place) & 0xFF


def _digits(rows: Rows, at: int, values: Numbers) -> None:
    for place in range(4):
        rows[:, at + place] = ord("0") + values // 10 ** (3 - place) % 10


def resident() -> int:
    """Bytes that this process had at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status: 1 when it took more memory than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench day", description=__doc__)
    parser.add_argument("--hours", type=float, default=24, help="how long the day is (24)")
    parser.add_argument("--rate", type=int, default=RATE, metavar="N", help=f"connections a second ({RATE})")
    parser.add_argument("--history", type=int, default=Bounds().history, metavar="N", help="as of connspect live")
    parser.add_argument("--everything", action="store_true", help="keep everything, as read does")
    options = parser.parse_args(arguments)
    day = Day(round(options.hours * 3600 * options.rate), options.rate)
    inspector = Inspector(Options(bounds=None if options.everything else Bounds(options.history)))
    gc.set_threshold(*COLLECTED_AFTER)
    began, cpu, due = time.perf_counter(), time.process_time(), 0.0
    print(f"{'hours':>6}{'connections':>13}{'resident MB':>13}")
    for batch in batches(day):
        inspector.feed(batch)
        hours = (int(batch.time_ns[-1]) - _START_NS) / 3600e9
        if hours >= due:
            due += options.hours / 12
            print(f"{hours:6.1f}{inspector.connections:13,}{resident() / 1e6:13,.0f}", flush=True)
    inspection = inspector.finish()
    peak = resident()
    capture, connections = inspection.capture, inspector.connections
    listed = sum(endpoint.connections for endpoint in inspection.endpoints)
    history = capture.history
    print(f"{connections:,} connections, {capture.packets:,} packets in {time.perf_counter() - began:,.0f} s")
    print(
        f"{(time.process_time() - cpu) / connections * 1e6:.0f} µs of processor time a connection, making it included"
    )
    print(f"listed: {len(inspection.connections):,} connections, {len(inspection.endpoints):,} endpoints of {listed:,}")
    print(f"let go: {history}")
    print(f"resident at the most: {peak / 1e6:,.0f} MB; the aim is {LIMIT / 1e6:,.0f} MB")
    return 1 if peak > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
