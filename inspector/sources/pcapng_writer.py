"""Batches into pcapng files: one array a batch, written at once, so that keeping packets does not slow their reading.

Files follow one another as dumpcap's do (-b filesize, duration, files). Each begins with the interfaces that are known
by then and ends with what was lost. Keys are put in front of the packets when a file is closed, for that is where
Wireshark wants them, and by then they are known.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspector.packets.batch import I64, Interface, RawBatch
from inspector.sources import pcapng_blocks as ng
from inspector.sources.source import TLS_KEY_LOG, Dropped
from inspector.version import __version__

#: Key log text that is kept for embedding, in bytes; what is more is left out, newest first.
MAX_KEY_BYTES = 16 << 20

_BYTE_ORDER = 0x1A2B3C4D
_COMMENT, _APPLICATION, _FILTER = 1, 4, 11
_NANOSECONDS = 9
_EPB_HEAD, _EPB_TAIL = 28, 4
_HEAD = np.dtype([(name, "=u4") for name in ("kind", "size", "interface", "high", "low", "captured", "length")])


@dataclass(slots=True, frozen=True)
class Rotation:
    """When a file is full; None: never for that reason."""

    bytes: int | None = None
    seconds: float | None = None
    """Of capture time, since the file's first packet."""
    files: int | None = None
    """The oldest are removed when there are more."""

    def __bool__(self) -> bool:
        return self.bytes is not None or self.seconds is not None


class PcapngWriter:
    """Packets of one capture, to one file or to a row of them. All methods raise OSError."""

    def __init__(
        self,
        path: str,
        rotation: Rotation = Rotation(),
        *,
        snap_length: int | None = None,
        filter: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Opens the first file. `now`: seconds since the epoch, for the names of files in a row."""
        self.packets = 0
        self.paths: list[str] = []
        """Of all files that are there, oldest first."""
        self._path = Path(path)
        self._rotation = rotation
        self._snap_length = snap_length or 0
        self._filter = filter
        self._now = now
        self._count = 0
        self._keys = bytearray()
        self._size = self._described = 0
        self._first_ns: int | None = None
        self._open()

    def write(self, batch: RawBatch, dropped: Dropped | None = None) -> None:
        """Keep a batch's packets. `dropped`: what was lost so far, for files that end with this batch."""
        start, n = 0, len(batch)
        sizes = _EPB_HEAD + ng.padded(batch.captured) + _EPB_TAIL
        while start < n:
            stop = self._full_at(sizes, batch.time_ns, start)
            if stop == start:
                self.close(dropped)
                self._open()
                continue
            self._describe(batch.interfaces)
            self._write(_blocks(batch, slice(start, stop), sizes[start:stop]))
            self.packets += stop - start
            if self._first_ns is None:
                self._first_ns = int(batch.time_ns[start])
            start = stop
        self._file.flush()

    def add_keys(self, text: bytes) -> None:
        """Key log lines, to be embedded."""
        if len(self._keys) + len(text) <= MAX_KEY_BYTES:
            self._keys += text

    def close(self, dropped: Dropped | None) -> None:
        """End the file that is open."""
        if self._file.closed:
            return
        try:
            if self._described and dropped is not None:
                self._write(_statistics(dropped, self._now()))
        finally:
            self._file.close()
        if self._keys:
            self._embed()

    def _open(self) -> None:
        self._count += 1
        path = self._path
        if self._rotation:
            stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(self._now()))
            path = path.with_name(f"{path.stem}_{self._count:05}_{stamp}{path.suffix}")
        self._file = open(path, "wb")  # noqa: SIM115  # it stays open
        self.paths.append(str(path))
        self._size, self._described = 0, 0
        self._first_ns = None
        self._write(_section())
        while self._rotation.files is not None and len(self.paths) > self._rotation.files:
            with suppress(FileNotFoundError):
                os.unlink(self.paths.pop(0))

    def _full_at(self, sizes: I64, time_ns: I64, start: int) -> int:
        """How far the batch goes into the file that is open; a file takes at least one packet."""
        stop, is_new = len(sizes), self._first_ns is None
        if self._rotation.bytes is not None:
            # The file is full with the packet that reaches the limit, as with dumpcap.
            before = self._size + np.cumsum(sizes[start:]) - sizes[start:]
            stop = start + int(np.searchsorted(before, self._rotation.bytes))
        if self._rotation.seconds is not None:
            first_ns = int(time_ns[start]) if self._first_ns is None else self._first_ns
            late = np.flatnonzero(time_ns[start:] >= first_ns + round(self._rotation.seconds * 1e9))
            stop = min(stop, start + int(late[0])) if len(late) else stop
        return max(stop, start + 1) if is_new else stop

    def _describe(self, interfaces: Sequence[Interface]) -> None:
        for interface in interfaces[self._described :]:
            self._write(_interface(interface, self._snap_length, self._filter))
            self._described += 1

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._size += len(data)

    def _embed(self) -> None:
        """Write the file anew, with the keys behind the section's header."""
        path = self.paths[-1]
        partial = f"{path}.partial"
        try:
            with open(path, "rb") as old, open(partial, "xb") as new:
                new.write(old.read(len(_section())))
                new.write(_secrets(bytes(self._keys)))
                shutil.copyfileobj(old, new, 1 << 20)
            os.replace(partial, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)


def _blocks(batch: RawBatch, rows: slice, sizes: I64) -> memoryview:
    """Enhanced Packet Blocks of these rows (pcapng section 4.3)."""
    captured, time_ns = batch.captured[rows], batch.time_ns[rows].view(np.uint64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.zeros(int(ends[-1]), np.uint8)
    heads = np.empty(len(sizes), _HEAD)
    heads["kind"], heads["size"], heads["interface"] = ng.ENHANCED_PACKET, sizes, batch.interface[rows]
    heads["high"], heads["low"] = time_ns >> np.uint64(32), time_ns & np.uint64(0xFFFF_FFFF)
    heads["captured"], heads["length"] = captured, batch.length[rows]
    out[starts[:, None] + np.arange(_EPB_HEAD)] = heads.view(np.uint8).reshape(-1, _EPB_HEAD)
    out[ends[:, None] + np.arange(-_EPB_TAIL, 0)] = sizes.astype("=u4").view(np.uint8).reshape(-1, _EPB_TAIL)
    written, data = out.data, batch.data.data
    places = (starts + _EPB_HEAD).tolist()
    for to, at, size in zip(places, batch.position[rows].tolist(), captured.tolist(), strict=True):
        written[to : to + size] = data[at : at + size]
    return written


def _block(kind: int, body: bytes) -> bytes:
    size = ng.padded(len(body)) + ng.MIN_BLOCK
    return struct.pack("=II", kind, size) + body.ljust(size - ng.MIN_BLOCK, b"\0") + struct.pack("=I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("=HH", code, len(value)) + value.ljust(ng.padded(len(value)), b"\0")


_END = struct.pack("=HH", ng.OPTION_END, 0)


def _section() -> bytes:
    fixed = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(ng.SECTION_HEADER, fixed + _option(_APPLICATION, f"connspect {__version__}".encode()) + _END)


def _interface(interface: Interface, snap_length: int, filter: str | None) -> bytes:
    body = struct.pack("=HHI", interface.link_type, 0, snap_length)
    if interface.name:
        body += _option(ng.IF_NAME, interface.name.encode("utf-8", "surrogateescape"))
    body += _option(ng.IF_TSRESOL, bytes([_NANOSECONDS]))
    if filter:
        body += _option(_FILTER, b"\0" + filter.encode("utf-8", "surrogateescape"))
    return _block(ng.INTERFACE_DESCRIPTION, body + _END)


def _secrets(text: bytes) -> bytes:
    return _block(ng.DECRYPTION_SECRETS, struct.pack("=II", TLS_KEY_LOG, len(text)) + text)


def _statistics(dropped: Dropped, now: float) -> bytes:
    """What was lost; all interfaces share one ring, so that it stands with the first."""
    now_ns = int(now * 1e9)
    body = struct.pack("=III", 0, now_ns >> 32, now_ns & 0xFFFF_FFFF)
    words = []
    for count, code, who in (
        (dropped.interface, ng.ISB_IFDROP, "interface"),
        (dropped.kernel, ng.ISB_OSDROP, "system"),
    ):
        if count is not None:
            body += _option(code, struct.pack("=Q", count))
            words.append(f"{count} lost by the {who}")
    body += _option(_COMMENT, f"connspect: {' and '.join(words) or 'losses are not known'}".encode())
    return _block(ng.INTERFACE_STATISTICS, body + _END)
