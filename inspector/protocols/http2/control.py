"""The frames that are about the connection: SETTINGS, PING, GOAWAY, WINDOW_UPDATE (RFC 9113 sections 6.5 to 6.9).

Each is told, and kept in the account; what a side was asked for takes effect on what it sends once it has acknowledged
(section 6.5.3). What the two sides may send beyond the defaults is never held against them before: announced is enough.
"""

from __future__ import annotations

from struct import iter_unpack

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival
from inspector.events import (
    Goaway,
    GoawayReceived,
    Http2Account,
    Ping,
    PingReceived,
    Settings,
    SettingsReceived,
)
from inspector.protocols.decoder import Emit
from inspector.protocols.http2.frames import ACK, DEFAULT_FRAME_SIZE, MAX_STREAM_ID, FrameType, error_name, setting_name
from inspector.protocols.http2.hpack import DEFAULT_TABLE_SIZE
from inspector.protocols.http2.oddities import Oddities
from inspector.protocols.http2.streams import Streams

#: SETTINGS and GOAWAY frames of a side that are kept, and PING frames of both: a beat of 15 s for four hours.
MAX_KEPT = 256
MAX_PINGS = 1024
#: Settings of one frame that are kept: the registry has nine, and peers invent some.
MAX_SETTINGS = 64
#: Bytes of a GOAWAY's debug data that are kept.
MAX_DEBUG = 1024

_PING_SIZE = 8
_MAX_FRAME_SIZE = (1 << 24) - 1


class Control:
    """What both sides said about the connection."""

    __slots__ = (
        *("_account", "_emit", "_odd", "_pings", "_stray_acks", "_streams", "_unacknowledged", "frame_size"),
        *("table_size",),
    )

    def __init__(self, emit: Emit, account: Http2Account, odd: Oddities, streams: Streams) -> None:
        self._emit = emit
        self._account = account
        self._odd = odd
        self._streams = streams
        self._unacknowledged: tuple[list[Settings], list[Settings]] = [], []
        """By direction, in order; at most MAX_KEPT."""
        self._pings: dict[tuple[int, bytes], list[Ping]] = {}
        """Unanswered ones by sender and payload; at most MAX_PINGS were ever entered."""
        self._stray_acks: dict[tuple[int, bytes], Arrival] = {}
        """The first answer to a PING that was not seen, by sender of that and payload; at most MAX_PINGS."""
        self.frame_size = [DEFAULT_FRAME_SIZE, DEFAULT_FRAME_SIZE]
        """By direction: the largest payload that its receiver ever announced to take."""
        self.table_size = [DEFAULT_TABLE_SIZE, DEFAULT_TABLE_SIZE]
        """By direction: the largest header table that its receiver allows."""

    def take(self, direction: int, kind: int, flags: int, stream_id: int, payload: bytes, arrival: Arrival) -> None:
        """A frame that carries nothing of a message, its stream being right for its type."""
        if kind == FrameType.WINDOW_UPDATE:
            self.window_update(direction, stream_id, payload, arrival)
        elif kind == FrameType.SETTINGS:
            self.settings(direction, flags, payload, arrival)
        elif kind == FrameType.PING:
            self.ping(direction, flags, payload, arrival)
        elif kind == FrameType.GOAWAY:
            self.goaway(direction, payload, arrival)
        elif kind == FrameType.RST_STREAM:
            if len(payload) == 4 and stream_id:
                self._streams.reset(direction, stream_id, error_name(int.from_bytes(payload, "big")), arrival)
            else:
                self._odd.tell(arrival, "bad_frame", f"RST_STREAM of {len(payload)} bytes on stream {stream_id}")

    def settings(self, direction: int, flags: int, payload: bytes, arrival: Arrival) -> None:
        """SETTINGS, or the acknowledgment of the peer's."""
        if flags & ACK:
            values: dict[str, int] = {}
            settings = Settings(*arrival, True, values, [])
            if payload:
                self._odd.tell(arrival, "bad_frame", "SETTINGS with ACK and values")
            self._acknowledge(direction, arrival)
        else:
            settings = self._read(payload, arrival)
            self._announce(direction, settings)
        self._keep(direction, settings, arrival)

    def misplaced_settings(self, direction: int, flags: int, payload: bytes, arrival: Arrival) -> None:
        """SETTINGS on a stream: told as sent, but the peer may not obey it (RFC 9113 section 6.5)."""
        settings = Settings(*arrival, True, {}, []) if flags & ACK else self._read(payload, arrival)
        self._keep(direction, settings, arrival)

    def _keep(self, direction: int, settings: Settings, arrival: Arrival) -> None:
        kept = self._account.sides[direction].settings
        if len(kept) < MAX_KEPT:
            kept.append(settings)
        else:
            self._odd.tell_once(arrival, "too_many_frames", f"more than {MAX_KEPT} SETTINGS of a side")
        self._emit(SettingsReceived(*arrival, direction, settings))

    def upgrade(self, payload: bytes, arrival: Arrival) -> None:
        """The client's HTTP2-Settings, which the server's 101 acknowledged (RFC 7540 section 3.2.1)."""
        self._announce(FROM_CLIENT, self._read(payload, arrival))
        self._acknowledge(FROM_SERVER, arrival)

    def _read(self, payload: bytes, arrival: Arrival) -> Settings:
        size = len(payload) // 6 * 6
        if size != len(payload):
            self._odd.tell(arrival, "bad_frame", f"SETTINGS of {len(payload)} bytes")
        settings = Settings(*arrival, False, {}, [])
        for identifier, value in iter_unpack(">HI", payload[:size]):
            if len(settings.order) == MAX_SETTINGS:
                self._odd.tell_once(arrival, "too_many_settings", f"{size // 6} in one frame")
                break
            name = setting_name(identifier)
            settings.order.append(name)
            settings.values[name] = value
        return settings

    def _announce(self, direction: int, settings: Settings) -> None:
        peer, get = 1 - direction, settings.values.get
        frame_size = min(get("MAX_FRAME_SIZE", 0), _MAX_FRAME_SIZE)
        self.frame_size[peer] = max(self.frame_size[peer], frame_size)
        self.table_size[peer] = max(self.table_size[peer], get("HEADER_TABLE_SIZE", 0))
        if direction == FROM_SERVER and "MAX_CONCURRENT_STREAMS" in settings.values:
            self._account.stream_limit = settings.values["MAX_CONCURRENT_STREAMS"]
        waiting = self._unacknowledged[direction]
        if len(waiting) < MAX_KEPT:
            waiting.append(settings)

    def _acknowledge(self, direction: int, arrival: Arrival) -> None:
        """A side has taken over the oldest SETTINGS of its peer."""
        waiting = self._unacknowledged[1 - direction]
        if not waiting:
            if not any(self._streams.lossy):
                self._odd.tell(arrival, "unexpected_frame", "SETTINGS with ACK, and none to acknowledge")
            return
        settings = waiting.pop(0)
        settings.acknowledged_ns = max(0, arrival[1] - settings.time_ns)
        size = settings.values.get("HEADER_TABLE_SIZE")
        if size is not None:
            self.table_size[direction] = max(size, *(each.values.get("HEADER_TABLE_SIZE", 0) for each in waiting), 0)
        initial = settings.values.get("INITIAL_WINDOW_SIZE")
        if initial is not None:
            self._streams.flows[direction].set_initial(initial, self._streams.open, *arrival)

    def ping(self, direction: int, flags: int, payload: bytes, arrival: Arrival) -> None:
        """PING, or the answer to one."""
        if len(payload) != _PING_SIZE:
            self._odd.tell(arrival, "bad_frame", f"PING of {len(payload)} bytes")
            return
        account, text = self._account, payload.hex()
        if not flags & ACK:
            account.sides[direction].pings += 1
            if len(account.pings) < MAX_PINGS:
                ping = Ping(direction, arrival[0], text, arrival[1])
                account.pings.append(ping)
                if not self._answered_before(ping, payload):
                    self._pings.setdefault((direction, payload), []).append(ping)
            self._emit(PingReceived(*arrival, direction, False, text, None))
            return
        waiting = self._pings.get((1 - direction, payload))
        round_trip: int | None = None
        if waiting:
            ping = waiting.pop(0)
            round_trip = ping.ack_ns = max(0, arrival[1] - ping.sent_ns)
            if not waiting:
                del self._pings[1 - direction, payload]
        elif len(self._stray_acks) < MAX_PINGS:
            self._stray_acks.setdefault((1 - direction, payload), arrival)
        self._emit(PingReceived(*arrival, direction, True, text, round_trip))

    def _answered_before(self, ping: Ping, payload: bytes) -> bool:
        """Whether the answer was told already: behind a hole a PING is recognised late, after what followed it."""
        answer = self._stray_acks.get((ping.direction, payload))
        if answer is None or answer[0] <= ping.packet:
            return False
        del self._stray_acks[ping.direction, payload]
        ping.ack_ns = max(0, answer[1] - ping.sent_ns)
        return True

    def goaway(self, direction: int, payload: bytes, arrival: Arrival) -> None:
        """GOAWAY: the last stream that is looked at, an error and debug data."""
        if len(payload) < 8:
            self._odd.tell(arrival, "bad_frame", f"GOAWAY of {len(payload)} bytes")
            return
        last = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
        error = error_name(int.from_bytes(payload[4:8], "big"))
        goaway = Goaway(*arrival, last, error, payload[8 : 8 + MAX_DEBUG].decode("latin-1"))
        kept = self._account.sides[direction].goaways
        if len(kept) < MAX_KEPT:
            kept.append(goaway)
            if direction == FROM_SERVER:
                self._streams.goaway(last)
        else:
            self._odd.tell_once(arrival, "too_many_frames", f"more than {MAX_KEPT} GOAWAY of a side")
        self._emit(GoawayReceived(*arrival, direction, goaway))

    def window_update(self, direction: int, stream_id: int, payload: bytes, arrival: Arrival) -> None:
        """WINDOW_UPDATE: credit for what the other side sends."""
        increment = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
        if len(payload) != 4 or not increment:
            self._odd.tell(arrival, "bad_frame", f"WINDOW_UPDATE of {len(payload)} bytes, increment {increment}")
            return
        side, flow = self._account.sides[direction], self._streams.flows[1 - direction]
        side.window_updates += 1
        if not stream_id:
            if side.first_window_update is None:
                side.first_window_update = increment
            flow.credit(increment, *arrival)
            return
        stream = self._streams.open.get(stream_id)
        if stream is not None:
            flow.stream_credit(stream, increment, *arrival)
        elif self._streams.never_opened(stream_id):
            self._odd.tell(arrival, "unexpected_frame", f"WINDOW_UPDATE on stream {stream_id}, which was not opened")
