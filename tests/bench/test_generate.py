"""The generator's captures are what they claim to be: checked with a reader of its own and Scapy's checksums."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from bench.generate import DEFAULT_COUNTS, generate
from bench.network import Path
from bench.wire import ACK, FIN, RST, SYN

PERFECT = Path()
LOSSY = Path(loss_before=0.02, loss_behind=0.02, reorder=0.02, duplicate=0.01)
SMALL = {"short": 30, "keep": 300, "bulk": 1, "mixed": 48, "idle": 8, "synflood": 500}


class Seen(NamedTuple):
    source: tuple[str, int]
    destination: tuple[str, int]
    seq: int
    ack: int
    flags: int
    payload: bytes


def read(path: FilePath) -> list[tuple[int, bytes]]:
    content, position, packets = path.read_bytes(), 24, []
    while position < len(content):
        seconds, microseconds, captured, length = struct.unpack_from("<IIII", content, position)
        assert captured == length
        packets.append((seconds * 1_000_000 + microseconds, content[position + 16 : position + 16 + captured]))
        position += 16 + captured
    return packets


def decode(frame: bytes) -> Seen:
    """Ethernet, IPv4 without options, TCP."""
    total, ttl_protocol = struct.unpack_from(">H4xH", frame, 16)
    assert ttl_protocol & 0xFF == 6
    assert total == len(frame) - 14
    sport, dport, seq, ack, offset, flags = struct.unpack_from(">HHIIBB", frame, 34)
    hosts = [".".join(map(str, frame[at : at + 4])) for at in (26, 30)]
    return Seen((hosts[0], sport), (hosts[1], dport), seq, ack, flags, frame[34 + (offset >> 4) * 4 :])


def made(name: str, tmp_path: FilePath, path: Path = PERFECT, seed: int = 1) -> tuple[FilePath, dict[str, Any]]:
    out = tmp_path / f"{name}-{seed}.pcap"
    return out, generate(name, out, SMALL[name], seed, path)


def test_every_workload_has_a_size_to_measure() -> None:
    assert set(DEFAULT_COUNTS) == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_bytes(name: str, tmp_path: FilePath) -> None:
    count = 100 if name == "synflood" else 2
    captures = []
    for number, seed in enumerate((7, 7, 8)):
        out = tmp_path / f"{number}.pcap"
        generate(name, out, 1 if name == "bulk" else count, seed, LOSSY)
        captures.append(out.read_bytes())
    assert captures[0] == captures[1]
    assert captures[0] != captures[2]


@pytest.mark.parametrize("name", ["mixed", "synflood"])
def test_checksums_are_those_that_scapy_computes(name: str, tmp_path: FilePath) -> None:
    out, _ = made(name, tmp_path, LOSSY)
    for _, frame in read(out)[:300]:
        packet = Ether(frame)
        del packet[TCP].chksum
        if IP in packet:
            del packet[IP].chksum
        assert bytes(packet) == frame


@pytest.mark.parametrize("name", ["short", "keep", "mixed", "idle"])
def test_capture_is_in_time_order_and_connections_interleave(name: str, tmp_path: FilePath) -> None:
    out, truth = made(name, tmp_path, LOSSY)
    packets = read(out)
    assert len(packets) == truth["packets"]
    times = [time for time, _ in packets]
    assert times == sorted(times)
    firsts = [connection["first_packet"] for connection in truth["connections"]]
    assert firsts == sorted(firsts)
    assert sum(sum(connection["packets"].values()) for connection in truth["connections"]) == len(packets)


def test_one_connection_reads_like_one(tmp_path: FilePath) -> None:
    out = tmp_path / "one.pcap"
    truth = generate("short", out, 1)
    segments = [decode(frame) for _, frame in read(out)]
    client, server = ("10.0.1.1", 32768), ("192.0.2.1", 80)
    opening = [(segment.source, segment.flags) for segment in segments[:4]]
    assert opening == [(client, SYN), (server, SYN | ACK), (client, ACK), (client, ACK | 0x08)]
    assert segments[3].payload.startswith(b"GET /small-0.html HTTP/1.0\r\nHost: bench.example\r\n")
    answer = b"".join(segment.payload for segment in segments if segment.source == server)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert len(answer.split(b"\r\n\r\n", 1)[1]) == 1376
    fins = [(number, segment.source) for number, segment in enumerate(segments, 1) if segment.flags & FIN]
    assert [source for _, source in fins] == [server, client]
    assert not any(segment.flags & RST for segment in segments)
    [connection] = truth["connections"]
    assert connection["closed"] == {"by": "server", "how": "fin", "packet": fins[0][0]}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_is_sent_again(seed: int, tmp_path: FilePath) -> None:
    """Everything delivered passed the tap: the captured bytes of a direction, put together, are the whole stream."""
    _, truth = made("short", tmp_path, LOSSY, seed)
    segments = [decode(frame) for _, frame in read(tmp_path / f"short-{seed}.pcap")]
    streams: dict[tuple[tuple[str, int], tuple[str, int]], dict[int, bytes]] = {}
    copies = 0
    for segment in segments:
        pieces = streams.setdefault((segment.source, segment.destination), {})
        copies += bool(segment.payload) and segment.seq in pieces
        pieces[segment.seq] = max(segment.payload, pieces.get(segment.seq, b""), key=len)
    assert copies, "this much loss retransmits something"
    for connection in truth["connections"]:
        client, server = ((connection[side]["ip"], connection[side]["port"]) for side in ("client", "server"))
        asked = b"".join(piece for _, piece in sorted(streams[client, server].items()))
        answered = b"".join(piece for _, piece in sorted(streams[server, client].items()))
        assert asked.startswith(b"GET ")
        assert asked.endswith(b"\r\n\r\n")
        assert len(answered.split(b"\r\n\r\n", 1)[1]) == 1376


def test_mixed_has_every_kind(tmp_path: FilePath) -> None:
    _, truth = made("mixed", tmp_path)
    connections = truth["connections"]
    assert len(connections) == SMALL["mixed"]
    assert {connection["opened"] for connection in connections} >= {"handshake"}
    closed = Counter((c["closed"]["by"], c["closed"]["how"]) if c["closed"] else None for c in connections)
    assert {("client", "fin"), ("server", "fin"), None} <= set(closed)
    assert any(how == "rst" for _, how in filter(None, closed))
    assert {":" in connection["client"]["ip"] for connection in connections} == {True, False}
    exchanges = [exchange for connection in connections for exchange in connection["exchanges"]]
    assert {exchange["request"]["method"] for exchange in exchanges} == {"GET", "HEAD", "POST", "DELETE"}
    assert any(exchange["response"] is None for exchange in exchanges)


def test_pipelined_requests_are_all_answered_before_the_close(tmp_path: FilePath) -> None:
    out, truth = made("mixed", tmp_path)
    connection = next(c for c in truth["connections"] if len(c["exchanges"]) == 5 and ":" not in c["client"]["ip"])
    assert {exchange["request"]["target"] for exchange in connection["exchanges"]} == {f"/pipe/{n}" for n in range(5)}
    client = connection["client"]["ip"], connection["client"]["port"]
    segments = [decode(frame) for _, frame in read(out) if frame[12:14] == b"\x08\0"]
    asked = next(segment.payload for segment in segments if segment.source == client and segment.payload)
    assert asked.count(b"GET /pipe/") == 5
    answers = [segment for segment in segments if segment.destination == client and segment.payload]
    assert b"".join(segment.payload for segment in answers).count(b"HTTP/1.1 200 OK") == 5
    fin = next(place for place, each in enumerate(segments) if each.source == client and each.flags & FIN)
    assert all(segments.index(answer) < fin for answer in answers)


def test_idle_is_idle(tmp_path: FilePath) -> None:
    """Every fourth closes after 15 s by the client; half of the server's FINs come after 75 s and stay alone."""
    out, truth = made("idle", tmp_path)
    times = [time for time, _ in read(out)]
    assert times[-1] - times[0] > 75_000_000
    closed = Counter(c["closed"]["by"] if c["closed"] else None for c in truth["connections"])
    assert closed == {"server": 4, "client": 2, None: 2}


def test_a_slow_reader_shuts_its_window(tmp_path: FilePath) -> None:
    out, _ = made("bulk", tmp_path)
    windows = Counter(
        (segment.source[1], struct.unpack_from(">H", frame, 48)[0])
        for _, frame in read(out)
        if len(frame) < 100 and (segment := decode(frame)).source[1] != 80
    )
    assert any(window == 0 for _, window in windows)


def test_flood_is_distinct_and_unanswered(tmp_path: FilePath) -> None:
    out, truth = made("synflood", tmp_path)
    segments = [decode(frame) for _, frame in read(out)]
    assert len(segments) == truth["packets"] == len({segment.source for segment in segments}) == 500
    assert {segment.flags for segment in segments} == {SYN}
    assert {segment.destination for segment in segments} == {("192.0.2.1", 80)}
    assert len({segment.seq for segment in segments}) > 490
