"""The capture itself: files, totals, what was skipped and what was damaged."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.records.field import says
from inspector.records.finding import Finding


class File(Struct):
    """One input."""

    path: Annotated[str, says("As given; - is standard input.")]
    format: Annotated[str, says("pcap, pcapng, or live: then the path names the interfaces.")]
    compression: Annotated[str | None, says("gzip, zstd, xz, lz4, or null.")]
    link_types: Annotated[list[int], says("LINKTYPE_ numbers of its interfaces.")]
    packets: Annotated[int, says("Packets read from it.")]
    bytes: Annotated[int, says("Bytes of the file that were read.")]


class Dropped(Struct):
    """Packets that the capturing system lost."""

    kernel: Annotated[int | None, says("Lost by the operating system.")]
    interface: Annotated[int | None, says("Lost by the interface.")]


class Problem(Struct):
    """A part of the input that could not be read."""

    file: Annotated[str, says("Which input.")]
    offset: Annotated[int | None, says("Byte offset in the (uncompressed) input where it begins.")]
    packet: Annotated[int | None, says("Last good packet before it.")]
    what: Annotated[str, says("What is wrong, for a person.")]


class History(Struct):
    """What was let go of in a capture without end: it is in the counts only."""

    kept: Annotated[int, says("Ended connections that are kept, the last ones.")]
    connections: Annotated[int, says("Ended connections that are in the counts of their endpoints only.")] = 0
    endpoints: Annotated[int, says("Endpoints that are no longer listed: those that were quiet longest.")] = 0
    endpoint_connections: Annotated[int, says("Their connections, which are counted here only.")] = 0
    events: Annotated[int, says("Events that are no longer in the event log.")] = 0


class CaptureRecord(Struct):
    """What was read. packets == tcp_segments + sum(skipped)."""

    files: Annotated[list[File], says("The inputs, as given.")]
    packets: Annotated[int, says("All packets.")]
    tcp_segments: Annotated[int, says("Packets that are TCP segments.")]
    skipped: Annotated[dict[str, int], says("The others, by reason.")]
    first_ns: Annotated[int | None, says("Time of the earliest packet, since the Unix epoch.")]
    last_ns: Annotated[int | None, says("Time of the latest packet, since the Unix epoch.")]
    dropped: Annotated[Dropped | None, says("Losses of the capturing system; null when it did not say.")]
    problems: Annotated[list[Problem], says("Damage, by file.")]
    history: Annotated[History | None, says("What a live capture let go of; null where everything is kept.")] = None


class Report(Struct):
    """The JSON report."""

    schema: Annotated[int, says("Version of this schema.")]
    version: Annotated[str, says("Version of connspect.")]
    capture: Annotated[CaptureRecord, says("What was read.")]
    endpoints: Annotated[list[EndpointRecord], says("By server ip and port.")]
    connections: Annotated[list[Connection], says("In order of their first packets.")]
    findings: Annotated[list[Finding], says("Conclusions with evidence, the most severe first.")]
    anomalies: Annotated[dict[str, int], says("How often each anomaly was seen.")]
