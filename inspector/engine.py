"""The stages in order, on one screen: packets become columns, connections, events, records.

No I/O, no clock: the only inputs are batches and the times in them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from inspector.bounds import Bounds
from inspector.bytestream import FROM_CLIENT, Spent, StreamChunk
from inspector.endpoints import Endpoint
from inspector.events import Event
from inspector.findings.judge import judge
from inspector.inspection import Inspection
from inspector.packets.batch import BATCH_BOUNDARY, RawBatch
from inspector.packets.decode import PacketDecoder
from inspector.protocols.decoder import Emit, StreamDecoder, Switch, renumbered
from inspector.protocols.detect import H2C, HTTP1, TLS, Decoders, DetectingDecoder, decoder_for
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.http1.plain import read_plain
from inspector.protocols.tls.keylog import KeyLog
from inspector.records.builder import after_close, connection_record
from inspector.records.capture import CaptureRecord, History
from inspector.records.connection import Connection
from inspector.records.endpoint import EndpointRecord
from inspector.records.endpoints import FOLDED_AFTER, EndpointBook, Unfinished
from inspector.records.event import EventRecord
from inspector.records.exchanges import ExchangeBook
from inspector.records.going_on import GoingOn, going_on, lives
from inspector.records.log import EventLog
from inspector.records.long_book import LongBook
from inspector.records.resolved import ResolvedNames
from inspector.tcp.connection import Connection as TcpConnection
from inspector.tcp.tracker import Tracker
from inspector.tcp.whole_connection import Read

if TYPE_CHECKING:  # not everybody needs it
    from inspector.protocols.tls.waiting import WaitingRoom

#: Protocols by the names that ALPN has for them; others are told by their bytes.
_ALPN = {"http/1.0": HTTP1, "http/1.1": HTTP1, "h2": H2C}


#: Tunnels and TLS inside one another that are looked into; beyond it they stay closed. Each takes some of the stack.
MAX_LAYERS = 8


def decoders(keys: KeyLog | None = None, layers: int = 0) -> Decoders:
    """Who decodes what, by the name that detection gives it, inside `layers` others; protocols that carry others find
    them in a table of their own."""
    table: dict[str, Callable[[Emit], StreamDecoder]] = {}

    def inside(emit: Emit, switch: Switch) -> StreamDecoder | None:
        if switch.to == "connect" and layers < MAX_LAYERS:
            return DetectingDecoder(renumbered(emit, switch.first), decoders(keys, layers + 1))
        if switch.to == "h2c":
            return http2(renumbered(emit, switch.first), switch.http2_settings or "")
        if switch.to == "websocket":
            return websocket(emit)
        return None

    def http2(emit: Emit, upgrade: str | None = None) -> StreamDecoder:
        from inspector.protocols.http2.decoder import Http2Decoder  # not everybody needs it

        return Http2Decoder(emit, upgrade)

    def websocket(emit: Emit) -> StreamDecoder:
        from inspector.protocols.websocket import WebSocketDecoder  # not everybody needs it

        return WebSocketDecoder(emit)

    def inside_tls(emit: Emit, alpn: str | None) -> StreamDecoder:
        within = decoders(keys, layers + 1)
        make = within.get(_ALPN.get(alpn or "", ""))
        return make(emit) if make is not None else DetectingDecoder(emit, within)

    rooms: list[WaitingRoom] = []

    def tls(emit: Emit) -> StreamDecoder:
        from inspector.protocols.tls.decoder import TlsDecoder  # not everybody needs it

        decoder = TlsDecoder(emit, keys, inside_tls)
        if keys is None or not keys.growing:
            return decoder
        from inspector.protocols.tls.waiting import PatientTlsDecoder, WaitingRoom

        if not rooms:
            rooms.append(WaitingRoom())
        return PatientTlsDecoder(decoder, keys, rooms[0])

    table[H2C] = http2
    table[HTTP1] = lambda emit: Http1Decoder(emit, partial(inside, emit))
    if layers < MAX_LAYERS:
        table[TLS] = tls
    return table


#: Events of one connection that wait until it is known whether it is reported; when there are more, the oldest go.
EVENTS_HELD = 1 << 18


@dataclass(slots=True, frozen=True)
class Options:
    """What the caller wants to know, and of which connections."""

    select: Callable[[Connection], bool] | None = None
    """Which ended connections are reported; capture counts and ids never depend on it."""
    show_secrets: bool = False
    """Keep query strings and the like as they were sent."""
    events: bool = False
    """Keep the event log of selected connections (all, or those in `events_of`)."""
    events_of: frozenset[int] | None = None
    """Connection ids whose events are kept; None for all."""
    keys: KeyLog | None = None
    """TLS secrets; more may be added while packets are fed, before those that need them."""
    names: bool = True
    """Take server names from the traffic."""
    bounds: Bounds | None = None
    """What is kept of a capture without end; None: everything."""
    on_connection: Callable[[Connection], None] | None = None
    """Told of each selected connection once it has ended (2 s of capture time after its last close)."""
    on_event: Callable[[EventRecord], None] | None = None
    """Told of each event instead of keeping it, sorted by time and packet within a batch. What comes before a
    connection's roles are sure waits for them (log.EVENTS_WAITING). With `select`, events wait for their connection's
    end: it is asked of what has ended."""


class Inspector:
    """Feed it batches, then finish."""

    def __init__(self, options: Options = Options()) -> None:
        self.options = options
        self._decoder = PacketDecoder()
        self._decoders = decoders(options.keys)
        self._tracker = Tracker(self._open_stream, self._keep_log if options.events else None, self._read_whole)
        self._log = EventLog(options.show_secrets)
        self._endpoints = EndpointBook()
        history = None if options.bounds is None else History(options.bounds.history)
        self._capture = CaptureRecord([], 0, 0, {}, None, None, None, [], history)
        self._connections: dict[int, Connection] = {}
        self._events: list[EventRecord] = []
        self._held: dict[int, deque[EventRecord]] = {}
        """Events of connections of which is not known yet whether they are reported, by id."""
        self._verdicts: list[tuple[int, bool]] = []
        """Ids of connections of which that is known now, and whether they are."""
        self._anomalies: dict[str, int] = {}
        self._resolved = ResolvedNames()
        self._unfinished: dict[int, Unfinished] = {}
        """What the last snapshot said of connections that were not over, by id."""
        self._told_late: dict[int, None] = {}
        """Ids of connections whose late segments are no news: they were told of, or are of no interest. At most one a
        connection."""

    @property
    def capture(self) -> CaptureRecord:
        """What was read so far."""
        return self._capture

    @property
    def anomalies(self) -> Mapping[str, int]:
        """How often each was seen so far on selected connections that are over."""
        return self._anomalies

    @property
    def connections(self) -> int:
        """How many were seen so far."""
        return self._tracker.connections

    def feed(self, batch: RawBatch) -> None:
        """Take the next packets of the timeline."""
        self._count(batch)
        segments = self._decoder.decode(batch)
        for answer in segments.names:
            self._resolved.add(answer)
        self._capture.tcp_segments += len(segments)
        for reason, count in segments.skipped.items():
            self._capture.skipped[reason] = self._capture.skipped.get(reason, 0) + count
        for connection in self._tracker.feed(segments):
            self._record(connection)
        self._note_late()
        self._hand_on_events()
        if self.options.bounds is not None:
            self._let_go(self.options.bounds, batch)

    def last_packet_ns(self, of: Callable[[Endpoint, Endpoint], bool]) -> int:
        """When the last packet came of those connections that are not over and of which `of` their ends; 0: none."""
        return self._tracker.last_ns(of)

    def finish(self, complete: Callable[[CaptureRecord], None] | None = None) -> Inspection:
        """No more packets: close the books. `complete` adds to the capture's record what its source alone knows; it
        does so before findings are judged, which dropped packets weaken."""
        for connection in self._tracker.finish():
            self._record(connection)
        self._hand_on_events()
        if complete is not None:
            complete(self._capture)
        if self.options.bounds is not None:
            ended = [number for number, connection in self._connections.items() if connection.closed is not None]
            self._let_go_of(ended[: max(0, len(ended) - self.options.bounds.history)])
        endpoints = self._endpoints.records()
        connections = [connection for _, connection in sorted(self._connections.items())]
        inspection = Inspection(
            capture=self._capture,
            endpoints=endpoints,
            connections=connections,
            unlisted=self._endpoints.unlisted,
            anomalies=dict(sorted(self._anomalies.items())),
            events=sorted(self._events, key=_place),
        )
        self.judge(inspection)
        return inspection

    @staticmethod
    def judge(inspection: Inspection) -> None:
        """Conclude what can be concluded from an inspection, a snapshot too; its records are told."""
        capture, endpoints, connections = inspection.capture, inspection.endpoints, inspection.connections
        inspection.findings = judge(capture, endpoints, connections)
        if capture.history is not None and capture.history.connections:
            _without_pools(endpoints, connections)

    def snapshot(self) -> Inspection:
        """What is known so far, connections that are not over as they are now (without what became of their requests).

        Those of SYNs alone are in it only where the event log is kept; events and findings are not. Of what has not
        changed since the last snapshot, the records are the same objects; those of ended connections never change but
        for anomalies.
        """
        known, self._unfinished = self._unfinished, {}
        for connection in self._tracker.unfinished:
            before = known.get(connection.id)
            if before is None or before.record.last_packet != connection.last_packet or _waits(before.record):
                before = Unfinished(self._describe(connection, book := _book(connection), over=False), book)
            self._unfinished[connection.id] = before
        select = self.options.select
        unfinished = [one for one in self._unfinished.values() if select is None or select(one.record)]
        connections = [*self._connections.values(), *(one.record for one in unfinished)]
        return Inspection(
            capture=replace(self._capture, skipped=dict(self._capture.skipped)),
            endpoints=self._endpoints.so_far(unfinished),
            connections=sorted(connections, key=attrgetter("id")),
            unlisted=self._endpoints.unlisted,
            anomalies=dict(sorted(self._anomalies.items())),
        )

    def going_on(self) -> dict[tuple[str, int], GoingOn]:
        """Selected connections that are not over, counted by server."""
        select = self.options.select
        return going_on(
            connection
            for connection in self._tracker.unfinished
            if select is None or select(self._describe(connection, _book(connection), over=False))
        )

    def _count(self, batch: RawBatch) -> None:
        if not len(batch):
            return
        capture = self._capture
        capture.packets += len(batch)
        first, last = int(batch.time_ns.min()), int(batch.time_ns.max())
        capture.first_ns = first if capture.first_ns is None else min(first, capture.first_ns)
        capture.last_ns = last if capture.last_ns is None else max(last, capture.last_ns)

    # ---- from TCP to a protocol

    def _open_stream(self, connection: TcpConnection, start: StreamChunk | None) -> StreamDecoder:
        """The first payload of a connection: somebody must read it and keep the books."""
        show_secrets, bounds = self.options.show_secrets, self.options.bounds
        book = ExchangeBook(show_secrets) if bounds is None else LongBook(show_secrets, bounds)
        connection.book = book
        emit: Callable[[Event], None] = book.take
        if connection.log is not None:
            emit = partial(self._take_and_note, connection, book)
        return decoder_for(start, emit, self._decoders, partial(_roles_from_content, connection), connection.hand_over)

    def _read_whole(self, payload: Sequence[StreamChunk]) -> Read | None:
        """All payload of a short connection: mostly plain exchanges, which need no decoder."""
        bounds = self.options.bounds
        if bounds is not None and len(payload) > 2 * bounds.exchanges:
            return None
        book = ExchangeBook(self.options.show_secrets)
        read = read_plain(payload, book.take_plain)
        return None if read is None else Read(Spent(read[0]), book, read[1])

    def _take_and_note(self, connection: TcpConnection, book: ExchangeBook, event: Event) -> None:
        book.take(event)
        self._log.note(connection, event)

    def _keep_log(self, connection: TcpConnection) -> None:
        connection.log = partial(self._log.note, connection)

    # ---- from connections to records

    def _record(self, connection: TcpConnection) -> None:
        """A connection is over: make its record, count it, hand it on."""
        self._log.settle(connection)
        options, book = self.options, _book(connection)
        record = self._describe(connection, book)
        connection.sink = connection.book = None  # they refer back to the connection: it would be garbage in a circle
        if options.select is not None:
            selected = options.select(record)
            self._verdicts.append((record.id, selected))
            if not selected:
                self._told_late[record.id] = None
                return
        if connection.late:
            self._told_late[record.id] = None
        for anomaly in record.anomalies:
            self._anomalies[anomaly.code] = self._anomalies.get(anomaly.code, 0) + 1
        listed = self._endpoints.add(record, book)
        if not listed:
            return
        self._connections[record.id] = record
        if options.on_connection is not None:
            options.on_connection(record)

    def _describe(self, connection: TcpConnection, book: ExchangeBook | None, *, over: bool = True) -> Connection:
        """The record of a connection, as it is now."""
        options, sink = self.options, connection.sink
        record = connection_record(
            connection,
            None if sink is None else sink.protocol,
            book,
            names=options.names,
            show_secrets=options.show_secrets,
            capture_end_ns=connection.replaced_ns or self._capture.last_ns or connection.end_ns,
            over=over,
        )
        to_proxy = book is not None and book.to_proxy
        if record.name is None and options.names and not to_proxy:
            high, low, _ = connection.server
            record.name = self._resolved.name(high, low, connection.first_ns)
            record.name_from = None if record.name is None else "dns"
        return record

    def _note_late(self) -> None:
        """Segments of connections that are over: an anomaly of theirs, once, and in the totals."""
        for late in self._tracker.take_late():
            if late.connection in self._told_late:
                continue
            self._told_late[late.connection] = None
            anomaly = after_close(late.packet)
            self._anomalies[anomaly.code] = self._anomalies.get(anomaly.code, 0) + 1
            if late.connection in self._connections:
                self._connections[late.connection].anomalies.append(anomaly)

    # ---- a capture without end

    def _let_go(self, bounds: Bounds, batch: RawBatch) -> None:
        """Keep no more than `bounds`. Connections and endpoints are looked at where batches are always cut, so that
        it makes no difference where else they are."""
        history = self._capture.history
        assert history is not None
        if len(batch) and not (batch.first_packet + len(batch) - 1) % BATCH_BOUNDARY:
            for connection in self._tracker.let_go(bounds):
                self._record(connection)
            if self._endpoints.since_folded >= FOLDED_AFTER:
                # Of others than those selected nothing is known before they end.
                going_on = {} if self.options.select is not None else lives(self._tracker.unfinished)
                for connections in self._endpoints.fold(bounds, going_on):
                    history.endpoints += 1
                    history.endpoint_connections += connections
        self._let_go_of(_first(self._connections, len(self._connections) - bounds.history))
        for number in _first(self._told_late, len(self._told_late) - 2 * bounds.remembered):
            del self._told_late[number]
        gone = max(0, len(self._events) - bounds.events)
        del self._events[:gone]
        history.events += gone

    def _let_go_of(self, connections: Sequence[int]) -> None:
        """These ended connections are in the totals only."""
        for number in connections:
            del self._connections[number]
        assert self._capture.history is not None
        self._capture.history.connections += len(connections)

    def _hand_on_events(self) -> None:
        options = self.options
        verdicts, self._verdicts = self._verdicts, []
        if not options.events:
            return
        events = self._log.take()
        if options.events_of is not None:
            events = [event for event in events if event.connection in options.events_of]
        elif options.select is not None:
            events = self._of_selected(events, verdicts)
        if options.on_event is None:
            self._events += events
        else:
            for event in events:
                options.on_event(event)

    def _of_selected(self, events: Iterable[EventRecord], verdicts: Iterable[tuple[int, bool]]) -> list[EventRecord]:
        """The events that are reported as of now, by time and packet; others go or wait."""
        for event in events:
            self._held.setdefault(event.connection, deque(maxlen=EVENTS_HELD)).append(event)
        held = ((self._held.pop(number, ()), selected) for number, selected in verdicts)
        return sorted((event for some, selected in held if selected for event in some), key=_place)


def _place(event: EventRecord) -> tuple[int, int]:
    return event.time_ns, event.packet


def _without_pools(endpoints: Sequence[EndpointRecord], connections: Sequence[Connection]) -> None:
    """What a pool had needed is not known of endpoints of which not all connections are kept."""
    kept = Counter((connection.server.ip, connection.server.port) for connection in connections)
    for endpoint in endpoints:
        if kept[endpoint.ip, endpoint.port] < endpoint.connections:
            endpoint.pool = None


def _first(entries: dict[int, Any], count: int) -> list[int]:
    """The keys of the entries that were made first."""
    return list(islice(entries, max(0, count)))


def _waits(record: Connection) -> bool:
    """Whether one side has closed and waits for the other: for how long, each moment tells anew."""
    closed = record.closed
    return closed is not None and closed.reply is None and closed.half_closed_ns is not None


def _book(connection: TcpConnection) -> ExchangeBook | None:
    return connection.book if isinstance(connection.book, ExchangeBook) else None


def _roles_from_content(connection: TcpConnection, client_direction: int) -> bool:
    """The content says who the client is: that decides, unless the handshake had told. Whether they agree now."""
    if connection.role_from in ("syn", "syn-ack"):
        return client_direction == FROM_CLIENT
    if client_direction != FROM_CLIENT:
        connection.turn()
    connection.role_from = "content"
    return True
