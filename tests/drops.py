"""Recordings of which one packet is missing, and what of a report must not depend on it.

A packet is blanked, not taken out, so that the others keep their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from inspector.engine import Inspector, Options
from inspector.packets.batch import Interface
from inspector.packets.decode import PacketDecoder
from inspector.protocols.tls.keylog import KeyLog
from inspector.records.connection import Connection
from inspector.sources.memory import MemorySource, Packet
from inspector.sources.open import open_capture
from inspector.tcp.segment import FIN, RST, SYN

Json = dict[str, Any]

#: Larger recordings take too long to be read again for every packet.
MAX_FILE = 100_000


@dataclass
class Recording:
    """A capture in memory, and what is reported of all of it."""

    packets: list[Packet]
    interfaces: list[Interface]
    keys: bytes
    flags: dict[int, int]
    """TCP flags by packet number."""
    connections: dict[tuple[Any, ...], Json]

    def without(self, packet: int) -> dict[tuple[Any, ...], Json]:
        """The connections where packet number `packet` is not in the capture."""
        packets = list(self.packets)
        packets[packet - 1] = replace(packets[packet - 1], data=b"")
        return _connections(packets, self.interfaces, self.keys)

    def closes(self, packet: int) -> bool:
        """Whether a packet is a FIN or a RST."""
        return self.flags.get(packet, 0) & (FIN | RST) != 0

    def opens(self, packet: int) -> bool:
        """Whether a packet is a SYN."""
        return self.flags.get(packet, 0) & SYN != 0


@cache
def recording(path: Path) -> Recording:
    """A capture with its key log, read once."""
    packets: list[Packet] = []
    interfaces: list[Interface] = []
    flags: dict[int, int] = {}
    decoder = PacketDecoder()
    with open_capture([str(path)]) as source:
        for batch in source:
            interfaces = list(batch.interfaces)
            for at, captured, time_ns, length, interface in zip(
                *(c.tolist() for c in (batch.position, batch.captured, batch.time_ns, batch.length, batch.interface)),
                strict=True,
            ):
                packets.append(Packet(time_ns, bytes(batch.data[at : at + captured]), length, interface))
            columns = decoder.decode(batch)
            flags |= dict(zip(columns.packet.tolist(), columns.flags.tolist(), strict=True))
    log = path.with_name("keys.log")
    keys = log.read_bytes() if log.exists() else b""
    return Recording(packets, interfaces, keys, flags, _connections(packets, interfaces, keys))


def _connections(packets: list[Packet], interfaces: list[Interface], keys: bytes) -> dict[tuple[Any, ...], Json]:
    """Records by their ends and how many connections these had before, without the numbers that depend on others."""
    log = KeyLog()
    log.add_whole(keys)
    inspector = Inspector(Options(keys=log))
    for batch in MemorySource(packets, interfaces=interfaces):
        inspector.feed(batch)
    found: dict[tuple[Any, ...], Json] = {}
    for connection in inspector.finish().connections:
        ends = _ends(connection)
        nth = sum(known[:-1] == ends for known in found)
        record = to_builtins(connection)
        del record["id"], record["findings"]  # these are about others, too
        found[(*ends, nth)] = record
    return found


def _ends(connection: Connection) -> tuple[Any, ...]:
    """Both ends in an order that does not depend on who is the client: without its SYN that is a guess."""
    client, server = connection.client, connection.server
    return tuple(sorted([(client.ip, client.port), (server.ip, server.port)]))


def check(whole: Recording, packet: int) -> None:
    """What must hold where one packet is missing."""
    if whole.opens(packet):
        return  # without it there may be no connection, or another one
    cut = whole.without(packet)
    for ends, before in whole.connections.items():
        after = cut.get(ends)
        if after == before:
            continue
        assert after is not None, f"{ends} is gone"
        assert before["first_packet"] <= packet <= before["last_packet"], f"{ends} has nothing to do with it"
        if after["role_from"] == before["role_from"]:
            _check_before(before, after, packet, closes=whole.closes(packet))
            if before["opened"]["how"] != "mid-stream":
                _check_behind(before, after, packet)


def _packets(exchange: Json) -> list[int]:
    messages = [message for message in (exchange["request"], exchange["response"]) if message]
    return [message[name] for message in messages for name in ("packet", "end_packet") if message[name] is not None]


def _check_before(before: Json, after: Json, packet: int, *, closes: bool) -> None:
    """What was over before the packet is as it was."""
    for exchange in before["exchanges"]:
        if exchange["complete"] and max(_packets(exchange)) < packet and not closes:
            assert _told(after["exchanges"][exchange["index"]]) == _told(exchange)
    if before["http2"] is None:
        return
    for side in ("client", "server"):
        told, again = before["http2"][side], after["http2"] and after["http2"][side]
        for kind in ("settings", "goaways"):
            early = [frame for frame in told[kind] if frame["packet"] < packet]
            assert not early or [_frame(frame) for frame in again[kind][: len(early)]] == [_frame(f) for f in early]


def _told(exchange: Json) -> Json:
    """An exchange without what the end of its connection tells."""
    request = exchange["request"]
    return exchange | {"race": None, "request": request and request | {"acknowledged_bytes": None}}


def _frame(frame: Json) -> Json:
    """A frame without what the peer's answer tells."""
    return frame | {"ack_ns": None}


def _check_behind(before: Json, after: Json, packet: int) -> None:
    """Once a connection is established in all its layers, exchanges that begin behind the packet are found again."""
    exchanges = before["exchanges"]
    established = [
        max(_packets(exchange))
        for exchange in exchanges
        if exchange["complete"] and exchange["response"] and exchange["response"]["status"] >= 200
    ]
    tunnel = before["tunnel"] is not None
    layers = tunnel + (before["upgrade"] is not None)
    if len(established) <= layers or packet <= sorted(established)[layers]:
        return
    if before["tls"] is not None:
        for name in ("version", "sni", "alpn", "cipher", "resumed"):
            assert after["tls"][name] == before["tls"][name]
    assert (after["name"], after["protocol"]) == (before["name"], before["protocol"])
    reliable = after["http2"] is None or after["http2"]["headers_reliable"]
    found = [_content(exchange) for exchange in after["exchanges"]]
    for exchange in exchanges:
        if _is_behind(exchange, exchanges, packet) and not _depends_on_head(exchanges, packet):
            content = _content(exchange)
            assert content in found or (not reliable and any(_blurred(content, other) for other in found)), content
    if before["http2"] is not None:
        _check_frames_behind(before, after, packet)


def _is_behind(exchange: Json, exchanges: list[Json], packet: int) -> bool:
    """Whether an exchange began behind a packet: an earlier one ended no earlier than that, so that not even a part of
    this one's header section was in it."""
    earlier = (max(_packets(one)) for one in exchanges[: exchange["index"]])
    return packet < min(_packets(exchange)) and any(packet <= last for last in earlier)


def _depends_on_head(exchanges: list[Json], packet: int) -> bool:
    """Whether the packet brought a HEAD request, without which its response cannot be read."""
    return any(
        e["request"] and e["request"]["packet"] == packet and e["request"]["method"] == "HEAD" for e in exchanges
    )


def _check_frames_behind(before: Json, after: Json, packet: int) -> None:
    """SETTINGS, GOAWAY and PING of other packets are told, whatever became of header tables."""
    for side in ("client", "server"):
        goaways = [(g["last_stream_id"], g["error"]) for g in after["http2"][side]["goaways"]]
        for goaway in before["http2"][side]["goaways"]:
            if goaway["packet"] != packet:
                assert (goaway["last_stream_id"], goaway["error"]) in goaways
    pings = [(ping["from"], ping["payload"]) for ping in after["http2"]["pings"]]
    for ping in before["http2"]["pings"]:
        if ping["packet"] != packet:
            assert (ping["from"], ping["payload"]) in pings


def _content(exchange: Json) -> list[Any]:
    """What an exchange says, without packets and times."""
    request, response = exchange["request"] or {}, exchange["response"] or {}
    return [
        exchange["stream"],
        exchange["inside"],
        request.get("body_bytes"),
        response.get("body_bytes"),
        exchange["complete"],
        exchange["reset"],
        request.get("method"),
        request.get("target"),
        response.get("status"),
    ]


def _blurred(content: list[Any], other: list[Any]) -> bool:
    """Whether an exchange is another one, of which some fields are not known any more. A request that was recognised
    when its answer was over may not be known to its end."""
    same = [content[at] == other[at] for at in (0, 1, 3, 5)]
    ended = content[4] == other[4] or other[4] is False
    return all(same) and ended and all(b in (a, None) for a, b in zip(content[6:], other[6:], strict=True))
