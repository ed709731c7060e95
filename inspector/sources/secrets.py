"""A look ahead in capture files for the TLS keys that they carry, which may lie behind the packets that need them.

Files that can be read twice are gone through a second time, from block to block, up to their ends. That is done only
when it is asked for, so a capture without TLS does not pay for it. Nothing is said about damage here: whoever reads
the packets comes to the same place.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Iterator
from itertools import repeat

from inspector.errors import CaptureError
from inspector.sources import pcapng_blocks as ng
from inspector.sources.open import STANDARD_INPUT, open_window
from inspector.sources.pcapng import MAX_SECRET_BYTES
from inspector.sources.source import TLS_KEY_LOG, Secret, SourceFile
from inspector.sources.window import Window

#: Bytes of a file that are gone through before those behind are let go of.
_SPAN = 1 << 20

_HEAD = 12
"""Type, length, and the byte-order magic where the block has one."""


def key_logs(secrets: Iterable[Secret]) -> Iterator[bytes]:
    """Those secrets that are TLS key logs."""
    return (secret.data for secret in secrets if secret.kind == TLS_KEY_LOG)


def key_logs_ahead(files: Iterable[SourceFile]) -> Iterator[bytes]:
    """All TLS key logs in those of the files that can be read twice."""
    for file in files:
        if file.format == "pcapng" and _is_regular(file.path):
            yield from key_logs(_secrets_in(file.path))


def _is_regular(path: str) -> bool:
    try:
        return path != STANDARD_INPUT and stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _secrets_in(path: str) -> Iterator[Secret]:
    try:
        window = open_window(path).window
    except (CaptureError, OSError, ValueError):
        return  # it has gone, or has changed, since it was opened for its packets
    try:
        yield from _secrets(window)
    finally:
        window.close()


def _secrets(window: Window) -> Iterator[Secret]:
    """The secrets of a pcapng file, up to MAX_SECRET_BYTES and to the first block that cannot be one."""
    order = None
    left = MAX_SECRET_BYTES
    at = 0
    while (at := _in_view(window, at, _HEAD)) >= 0:
        window.release(at)
        piece = window.data[at : at + _SPAN].data
        order = ng.BYTE_ORDERS.get(bytes(piece[8:12]), order) if _is_section(piece) else order
        if order is None:
            return
        kind, size = order.block.unpack_from(piece)
        size = ng.padded(size)
        if not ng.MIN_BLOCK <= size <= ng.MAX_BLOCK:
            return
        if kind == ng.DECRYPTION_SECRETS and ng.MIN_SIZE[kind] <= size <= left:
            at = _in_view(window, at, size)
            if at < 0:
                return
            block = window.data[at : at + size].tobytes()
            what, length = order.block.unpack_from(block, 8)
            left -= size
            yield Secret(what, block[16:-4][:length])
        at += size
        if kind != ng.DECRYPTION_SECRETS:
            at += _packets(window.data[at : at + _SPAN].data, order)


def _packets(piece: memoryview, order: ng.ByteOrder) -> int:
    """Bytes of Enhanced Packet Blocks at the start of the piece, up to any other block."""
    unpack = order.block.unpack_from
    start = 0
    try:
        for _ in repeat(None, len(piece) // ng.MIN_BLOCK):
            kind, size = unpack(piece, start)
            if kind != ng.ENHANCED_PACKET:
                break
            start += (size + 3) & -4
    except struct.error:
        pass  # past the end
    return start


def _is_section(piece: memoryview) -> bool:
    return bytes(piece[:4]) == b"\x0a\x0d\x0d\x0a"


def _in_view(window: Window, at: int, size: int) -> int:
    """Where the `size` bytes from index `at` on (which may lie ahead) are in view; -1: the file ends before."""
    while at + size > len(window.data):
        if window.ended:
            return -1
        done = min(at, len(window.data))
        at = at - done + window.forward(done)
    return at
