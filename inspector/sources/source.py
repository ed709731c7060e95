"""What a source of packets is: batches to iterate over, and what there is to say about where they came from.

Files, a live capture and the tests' packets in memory all look like this to the engine. Problems belong to the
source, not to a file, because a file that could not be opened is a problem too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from inspector.packets.batch import RawBatch

#: Rows of a batch, at most. Many rows spread the cost of a NumPy call; this many still fit the second-level cache.
BATCH_ROWS = 16_384

#: Bytes of a batch, at most, unless one packet alone is larger: what a reader keeps resident at a time.
BATCH_BYTES = 8 << 20


@dataclass(slots=True, frozen=True)
class Problem:
    """A part of the input that could not be read, or not as it was meant."""

    file: str
    """Path as given; "-" for standard input."""
    offset: int | None
    """Byte offset in the (uncompressed) file where the trouble starts; None where the file could not be opened."""
    packet: int | None
    """Number on the timeline of the file's last packet before it; None: there was none."""
    what: str
    """One line for a person."""


#: Secrets Type of a TLS key log (pcapng section 4.7).
TLS_KEY_LOG = 0x544C534B


@dataclass(slots=True, frozen=True)
class Secret:
    """A Decryption Secrets Block, kept for those who can read it (pcapng section 4.7)."""

    kind: int
    """Secrets Type, such as TLS_KEY_LOG."""
    data: bytes


@dataclass(slots=True, frozen=True)
class Dropped:
    """Packets that the capture lost, as its Interface Statistics Blocks say; None: they do not say."""

    kernel: int | None
    """isb_osdrop: dropped by the operating system."""
    interface: int | None
    """isb_ifdrop: dropped by the interface. dumpcap also counts here what libpcap's buffer had no room for."""


@dataclass(slots=True)
class SourceFile:
    """One input file, or standard input; the counts grow while the source is iterated."""

    path: str
    """As given; "-" for standard input."""
    format: str
    """"pcap", "pcapng" or "live"."""
    compression: str | None
    """None, "gzip", "zstd", "xz" or "lz4"."""
    link_types: list[int]
    """LINKTYPE_ numbers of its interfaces, each once, in order of appearance."""
    packets: int = 0
    bytes: int = 0
    """Bytes read of the file as it is stored: compressed ones, where it is compressed."""
    secrets: list[Secret] = field(default_factory=list)
    """Those among what was read so far, which is read before the packets behind it are handed out."""
    dropped: Dropped | None = None


class Source(Protocol):
    """Packets of one timeline, as batches of at most BATCH_ROWS rows that never span a multiple of BATCH_BOUNDARY.

    A batch's bytes are valid until the next one is asked for.
    """

    @property
    def files(self) -> list[SourceFile]: ...

    @property
    def problems(self) -> list[Problem]: ...

    @property
    def total_bytes(self) -> int | None:
        """Stored bytes that there are to read; None: unknown (a pipe)."""

    @property
    def position(self) -> int:
        """Stored bytes that were read so far."""

    def __iter__(self) -> Iterator[RawBatch]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *exception: object) -> None: ...

    def close(self) -> None:
        """Let go of files and memory; no batch may be asked for afterwards."""
