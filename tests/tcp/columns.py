"""Batches of columns made by hand, for tests below the packets: each row says what is not as in all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from inspector.packets.batch import IPV4_HIGH, PacketBatch

#: (address high, address low, port), as in the columns.
End = tuple[int, int, int]

MILLISECOND = 1_000_000
CLIENT: End = (IPV4_HIGH, 0x0A000001, 40000)
SERVER: End = (IPV4_HIGH, 0x0A000002, 80)


class Row(TypedDict, total=False):
    """A segment. Without anything: an ACK from CLIENT to SERVER."""

    source: End
    target: End
    flags: int
    seq: int
    ack: int
    window: int
    length: int
    captured: int
    ttl: int
    network: int


def batch_of(rows: Sequence[Row], *, rows_alike: int = 0, first_packet: int = 1) -> PacketBatch:
    """The rows as a batch, a millisecond apart; or `rows_alike` plain ones, to be filled in by columns."""
    n = len(rows) or rows_alike
    filled = [*rows, *[Row()] * (n - len(rows))]
    ends = [(row.get("source", CLIENT), row.get("target", SERVER)) for row in filled]
    length = np.array([row.get("length", 0) for row in filled], np.int64)
    packet = np.arange(first_packet, first_packet + n, dtype=np.int64)

    def column(name: str, default: int, dtype: type[np.generic]) -> NDArray[Any]:
        return np.array([row.get(name, default) for row in filled], dtype)

    return PacketBatch(
        data=np.zeros(max(int(length.sum()), 1), np.uint8),
        packet=packet,
        time_ns=packet * MILLISECOND,
        src_hi=np.array([source[0] for source, _ in ends], np.uint64),
        src_lo=np.array([source[1] for source, _ in ends], np.uint64),
        dst_hi=np.array([target[0] for _, target in ends], np.uint64),
        dst_lo=np.array([target[1] for _, target in ends], np.uint64),
        src_port=np.array([source[2] for source, _ in ends], np.uint16),
        dst_port=np.array([target[2] for _, target in ends], np.uint16),
        seq=column("seq", 0, np.uint32),
        ack=column("ack", 0, np.uint32),
        flags=column("flags", 16, np.uint8),
        window=column("window", 512, np.uint16),
        payload_length=length,
        payload_position=np.cumsum(length) - length,
        payload_captured=np.array([row.get("captured", row.get("length", 0)) for row in filled], np.int64),
        options_position=np.zeros(n, np.int64),
        options_length=np.zeros(n, np.int64),
        ttl=column("ttl", 64, np.uint8),
        ip_id=np.zeros(n, np.uint16),
        checksum=np.zeros(n, np.uint16),
        network=column("network", 0, np.int64),
        interface=np.zeros(n, np.uint16),
        end_packet=first_packet + n - 1,
        end_ns=(first_packet + n - 1) * MILLISECOND,
    )
