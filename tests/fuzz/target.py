"""One input through the whole path, and what must be true of it whatever the bytes were.

An exception that escapes is a failure, but for CaptureError, which is how an unreadable input is told. The other
checks: everything counted adds up, columns point into their buffer, reports can be written and read back, and neither
how a capture is cut into batches nor how a stream is cut into chunks shows in the result.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from itertools import accumulate, chain, groupby, zip_longest
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import msgspec
import numpy as np

from inspector.bytestream import Ending, Piece, Pieces
from inspector.engine import Inspector, Options, decoders
from inspector.errors import CaptureError
from inspector.events import Event
from inspector.inspection import Inspection
from inspector.packets.batch import PacketBatch, RawBatch
from inspector.packets.decode import PacketDecoder
from inspector.protocols.decoder import Emit, StreamDecoder
from inspector.protocols.detect import H2C, TLS
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.tls.keylog import KeyLog
from inspector.protocols.websocket import WebSocketDecoder
from inspector.records.capture import Report
from inspector.records.event import EventRecord
from inspector.report.html.data import page_data
from inspector.report.html.page import embedded_json
from inspector.report.json import json_report
from inspector.report.layout import Screen
from inspector.report.story import story
from inspector.report.table import View, table
from inspector.sources.open import open_capture
from inspector.sources.source import BATCH_ROWS
from tests.fuzz import streams
from tests.fuzz.inputs import CAPTURE, STREAM, Input
from tests.recordings import CAPTURES

#: Rows of the batches that a capture is read in a second time: few where that does not take long, and odd.
FEW_ROWS, MORE_ROWS = 7, 61
#: Bytes of a capture from which on a batch has more rows.
LARGE_CAPTURE = 5_000
#: Connections of a capture whose story is written.
STORIES = 5
#: Bytes of a chunk when a stream is told a second time.
OTHER_CHUNK = 3
#: The same for a large stream, and from how many bytes on it is one.
LARGE_CHUNK, LARGE_STREAM = 97, 20_000
#: What a decoder may keep in the end, whatever it was told; a stream has half a million bytes at most.
MAX_RETAINED = 4_000_000
_STYLE = re.compile("\x1b\\[[0-9;]*m")
NARROW, WIDE = Screen(width=80, colour=True), Screen()


class CheckError(Exception):
    """Something that must be true of every input is not; `str()` says what."""


def examine(tried: Input, path: Path) -> None:
    """Put one input through everything; `path` is a file that holds a capture's content already.
    Raises CheckError, or whatever escaped."""
    if tried.kind == CAPTURE:
        examine_capture(path)
    else:
        examine_stream(streams.decode(tried.content), tried.kind)


def examine_capture(path: Path) -> None:
    """Read, decode, inspect and report one capture, twice, in batches of different sizes."""
    other_rows = FEW_ROWS if path.stat().st_size < LARGE_CAPTURE else MORE_ROWS
    try:
        rows = zip_longest(_columns(path, BATCH_ROWS), _columns(path, other_rows))
        require(all(one == other for one, other in rows), "segments do not depend on batches")
    except CaptureError as error:
        require("\n" not in str(error), "a CaptureError is one line")
        return
    inspection = inspect_capture(path, BATCH_ROWS)
    _check_texts(inspection)
    report, other = b"".join(json_report(inspection)), run_capture(path, other_rows)
    difference = _difference(msgspec.json.decode(report), msgspec.json.decode(other), "report")
    require(difference is None, f"the report does not depend on batches: {difference}")
    _check_report(msgspec.json.decode(report, type=Report))


def run_capture(path: Path, batch_rows: int) -> bytes:
    """The JSON report on a capture. Raises CaptureError."""
    return b"".join(json_report(inspect_capture(path, batch_rows)))


def inspect_capture(path: Path, batch_rows: int) -> Inspection:
    """What the engine learns from a capture, events and all. Raises CaptureError."""
    inspector = Inspector(Options(events=True, keys=recorded_keys()))
    with open_capture([str(path)], batch_rows=batch_rows) as source:
        for batch in source:
            inspector.feed(batch)
        return inspector.finish()


def require(holds: bool, what: str) -> None:
    """Raise CheckError unless it holds."""
    if not holds:
        raise CheckError(what)


def _difference(one: Any, other: Any, where: str) -> str | None:
    """The first place where two JSON values differ; None: they are equal."""
    if one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        places = ((one[key], other[key], f"{where}.{key}") for key in one)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        places = ((*pair, f"{where}[{index}]") for index, pair in enumerate(zip(one, other, strict=True)))
    else:
        return f"{where}\n{one!r:.300} against {other!r:.300}"
    return next(filter(None, (_difference(*place) for place in places)))


def _columns(path: Path, batch_rows: int) -> Iterator[tuple[Any, ...]]:
    """Every segment as values that can be compared."""
    decoder = PacketDecoder()
    with open_capture([str(path)], batch_rows=batch_rows) as source:
        expected = 1
        for raw in source:
            require(raw.first_packet == expected, "packets are numbered without holes")
            expected += len(raw)
            _check_raw(raw)
            batch = decoder.decode(raw)
            require(len(raw) == len(batch) + sum(batch.skipped.values()), "packets == segments + skipped")
            _check_batch(raw, batch)
            yield from _rows(batch)


def _check_raw(raw: RawBatch) -> None:
    require(bool((raw.position >= 0).all() and (raw.captured >= 0).all()), "records lie behind the buffer's start")
    require(bool((raw.position + raw.captured <= len(raw.data)).all()), "records lie inside the buffer")
    require(bool((raw.length >= raw.captured).all()), "a packet is at least as long as what was captured of it")
    require(bool((raw.interface < len(raw.interfaces)).all()) or not len(raw), "every interface is known")


def _check_batch(raw: RawBatch, batch: PacketBatch) -> None:
    end = batch.payload_position + batch.payload_captured
    require(bool((batch.payload_captured >= 0).all()), "captured payload is not negative")
    require(bool((batch.payload_captured <= batch.payload_length).all()), "captured payload is part of the payload")
    require(bool(((end <= len(batch.data)) | (batch.payload_captured == 0)).all()), "payload lies inside the buffer")
    options_end = batch.options_position + batch.options_length
    require(
        bool(((options_end <= len(batch.data)) | (batch.options_length == 0)).all()), "options lie inside the buffer"
    )
    require(bool((np.diff(batch.packet) > 0).all()), "segments are in capture order")
    if len(batch):
        last = raw.first_packet + len(raw) - 1
        require(raw.first_packet <= batch.packet[0] and int(batch.packet[-1]) <= last, "segments are of this batch")


def _rows(batch: PacketBatch) -> Iterator[tuple[Any, ...]]:
    fields = (
        batch.packet, batch.time_ns, batch.src_hi, batch.src_lo, batch.dst_hi, batch.dst_lo, batch.src_port,
        batch.dst_port, batch.seq, batch.ack, batch.flags, batch.window, batch.payload_length, batch.ttl, batch.ip_id,
        batch.checksum, batch.network, batch.interface,
    )  # fmt: skip
    places = zip(
        batch.payload_position.tolist(),
        batch.payload_captured.tolist(),
        batch.options_position.tolist(),
        batch.options_length.tolist(),
        strict=True,
    )
    for values, (at, size, options_at, options_size) in zip(
        zip(*(column.tolist() for column in fields), strict=True), places, strict=True
    ):
        payload = batch.data[at : at + size].tobytes()
        yield *values, payload, batch.data[options_at : options_at + options_size].tobytes()


def _check_texts(inspection: Inspection) -> None:
    """The table and the stories of the first connections can be written and are safe to print."""
    for screen in (NARROW, WIDE):
        views = [table(inspection, View(screen, connections=True, events=True, everything=True))]
        for connection in inspection.connections[:STORIES]:
            events = [event for event in inspection.events if event.connection == connection.id]
            views.append(story(connection, events, screen, everything=False))
        for line in chain.from_iterable(views):
            plain = _STYLE.sub("", line) if screen.colour else line
            require(plain.isprintable(), "text is escaped")
    _check_page(inspection)


def _check_page(inspection: Inspection) -> None:
    """The page's data can be made, with the stories of the first connections, and has text that is safe to show."""
    told: dict[int, list[EventRecord]] = {connection.id: [] for connection in inspection.connections[:STORIES]}
    for event in inspection.events:
        if event.connection in told:
            told[event.connection].append(event)

    def events_of(number: int) -> tuple[list[EventRecord], int]:
        return told.get(number, []), 0

    page = page_data(inspection, events_of)
    require(all(text.isprintable() for text in page.columns["strings"]), "text of the page is escaped")
    require(len(page.columns["stories"]["row"]) <= len(told), "only connections with events have stories")
    encoded = embedded_json(page.columns)
    require(not set(b"<>&") & set(encoded), "no markup begins in the page's data")
    require(all(last >= 0 for last in page.columns["exchanges"]["finish"]), "exchanges end after they began")


def _check_report(report: Report) -> None:
    capture = report.capture
    require(capture.packets == capture.tcp_segments + sum(capture.skipped.values()), "packets == segments + skipped")
    require("internal_error" not in report.anomalies, "no decoder failed")
    ids = [connection.id for connection in report.connections]
    require(ids == sorted(set(ids)), "connections are listed by id")
    for endpoint in report.endpoints:
        counted = endpoint.opened + endpoint.already_open + endpoint.half_open
        require(endpoint.connections == counted + endpoint.refused + endpoint.unanswered, "openings add up")
        closed = endpoint.closed
        ended = closed.client_fin + closed.client_rst + closed.server_fin + closed.server_rst
        require(counted == ended + endpoint.still_open, "closes add up")


@cache
def _key_logs() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(CAPTURES.glob("*/keys.log")))


def recorded_keys() -> KeyLog:
    """The keys of all recordings."""
    keys = KeyLog()
    keys.add_whole(_key_logs())
    return keys


def examine_stream(steps: list[streams.Step], kind: str = STREAM) -> None:
    """Tell a decoder the same in whole pieces, in crumbs, and in chunks of many packets: what it says is the same."""
    size = sum(len(step.data) for step in steps)
    crumb = OTHER_CHUNK if size < LARGE_STREAM else LARGE_CHUNK
    whole, crumbs, together = Told(kind), Told(kind), Told(kind)
    for packet, step in enumerate(steps, 1):
        whole.tell(step, packet)
        crumbs.tell(step, packet, crumb)
    for packet, run in _runs(steps):
        if len(run) == 1:
            together.tell(run[0], packet)
        else:
            together.tell_together(run, packet)
    for told, how in ((crumbs, "crumbs"), (together, "chunks of many packets")):
        if whole.events != told.events:
            raise CheckError(f"events do not depend on chunks: {_first_difference(whole.events, told.events, how)}")
        require(whole.last() == told.last(), f"protocol and application bytes do not depend on chunks: {how}")
    kept = retained(whole.decoder, whole.events)
    require(kept < MAX_RETAINED, f"a decoder keeps no more than {MAX_RETAINED} bytes: {kept} from {size}")


def _first_difference(whole: list[Event], other: list[Event], how: str) -> str:
    pairs = zip_longest(whole, other)
    one, two = next((one, two) for one, two in pairs if one != two)
    return f"{type(one).__name__} against {type(two).__name__}\n{one} in whole, {two} in {how}"


def _runs(steps: list[streams.Step]) -> Iterator[tuple[int, list[streams.Step]]]:
    """Steps, those of one direction's data that follow one another together; each with the first one's number."""
    packet = 1
    for _, group in groupby(steps, key=lambda step: (step.what, step.direction) if step.what == streams.DATA else step):
        run = list(group)
        if run[0].what == streams.DATA:
            yield packet, run
        else:
            yield from ((packet + at, [step]) for at, step in enumerate(run))
        packet += len(run)


class Told:
    """A decoder, and what it said."""

    def __init__(self, kind: str) -> None:
        self.events: list[Event] = []
        self.keys = KeyLog()
        self.decoder = _maker(kind, self.keys)(self.events.append)
        self._offsets = [0, 0]

    def last(self) -> tuple[object, ...]:
        """What the decoder says in the end."""
        return self.decoder.protocol, self.decoder.application_packet, self.decoder.application_ns

    def tell(self, step: streams.Step, packet: int, chunk: int | None = None) -> None:
        """One step, in pieces of `chunk` bytes."""
        time_ns = packet * 1_000_000
        direction = step.direction
        if step.what == streams.KEYS:
            self.keys.add(step.data)
        elif step.what == streams.END:
            self.decoder.end(direction, Ending(step.ending), packet, time_ns)
        elif step.what == streams.GAP:
            self.decoder.gap(direction, self._offsets[direction], step.length, packet, time_ns)
            self._offsets[direction] += step.length
        else:
            for start in range(0, len(step.data), chunk or len(step.data)):
                piece = step.data[start : start + (chunk or len(step.data))]
                self.decoder.data(Piece(direction, self._offsets[direction], piece, packet, time_ns))
                self._offsets[direction] += len(piece)

    def tell_together(self, steps: list[streams.Step], packet: int) -> None:
        """Data of one direction, packet by packet, in one chunk; the first packet is `packet`."""
        direction = steps[0].direction
        data = [step.data for step in steps]
        ends = list(accumulate(map(len, data), initial=self._offsets[direction]))
        self._offsets[direction] = ends.pop()
        packets = range(packet, packet + len(data))
        self.decoder.data(Pieces(direction, ends, data, packets, [each * 1_000_000 for each in packets]))


def _maker(kind: str, keys: KeyLog) -> Callable[[Emit], StreamDecoder]:
    if kind == STREAM:
        return Http1Decoder
    return WebSocketDecoder if kind == "websocket" else decoders(keys)[{"tls": TLS, "http2": H2C}[kind]]


def retained(decoder: StreamDecoder, events: list[Event]) -> int:
    """Bytes of all objects that only the decoder keeps, its events not counted."""
    seen = {id(events)}
    waiting: list[object] = [decoder]
    size = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | BuiltinFunctionType | KeyLog | Enum):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return size
