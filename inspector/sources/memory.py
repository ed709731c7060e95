"""Packets in memory as batches, and as a source: the same batches as from a file, without a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.packets.batch import BATCH_BOUNDARY, Interface, RawBatch
from inspector.sources.source import BATCH_ROWS, Problem, SourceFile

ETHERNET = 1


@dataclass(slots=True, frozen=True)
class Packet:
    """One packet as captured."""

    time_ns: int
    data: bytes
    length: int | None = None
    """Bytes on the wire, where more than `data`."""
    interface: int = 0


class MemorySource:
    """A Source of packets in memory; may be iterated again."""

    def __init__(
        self,
        packets: Sequence[Packet | tuple[int, bytes]],
        *,
        link_type: int = ETHERNET,
        interfaces: Sequence[Interface] | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        """`packets`: whole ones may be given as (time_ns, data). `interfaces`: one of `link_type`, unless given."""
        self._packets = [one if isinstance(one, Packet) else Packet(*one) for one in packets]
        self._interfaces = [Interface(link_type)] if interfaces is None else list(interfaces)
        self._batch_rows = batch_rows
        size = sum(len(packet.data) for packet in self._packets)
        link_types = list(dict.fromkeys(interface.link_type for interface in self._interfaces))
        self.files = [SourceFile("memory", "pcap", None, link_types, packets=len(self._packets), bytes=size)]
        self.problems: list[Problem] = []
        self.total_bytes = size
        self.position = 0

    def __enter__(self) -> MemorySource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to let go of."""

    def __iter__(self) -> Iterator[RawBatch]:
        self.position = 0
        done = 0
        while done < len(self._packets):
            rows = room(done, self._batch_rows)
            batch = batch_of(self._packets[done : done + rows], self._interfaces, done + 1)
            done += len(batch)
            self.position += len(batch.data)
            yield batch


def batch_of(packets: Sequence[Packet], interfaces: Sequence[Interface], first_packet: int) -> RawBatch:
    """Packets as one batch, the first of which has this number; no more than fit a batch (`room`)."""
    captured = np.array([len(packet.data) for packet in packets], dtype=np.int64)
    length = [len(packet.data) if packet.length is None else packet.length for packet in packets]
    return RawBatch(
        data=np.frombuffer(b"".join(packet.data for packet in packets), dtype=np.uint8),
        position=np.cumsum(captured) - captured,
        captured=captured,
        length=np.maximum(np.array(length, dtype=np.int64), captured),
        time_ns=np.array([packet.time_ns for packet in packets], dtype=np.int64),
        interface=np.array([packet.interface for packet in packets], dtype=np.uint16),
        interfaces=interfaces,
        first_packet=first_packet,
    )


def room(packets_before: int, most: int = BATCH_ROWS) -> int:
    """How many packets fit the next batch: it never spans a boundary."""
    return min(most, BATCH_BOUNDARY - packets_before % BATCH_BOUNDARY)
