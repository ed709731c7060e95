"""Real recordings with any one packet missing behind the handshake: what does not depend on it stays as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.engine import Inspector, Options
from inspector.protocols.tls.keylog import KeyLog
from inspector.records.connection import Connection
from inspector.sources.memory import MemorySource
from inspector.sources.open import open_capture
from tests.recordings import CAPTURES

#: Connections whose key log lies beside them: TLS 1.2 and 1.3, HTTP/1 and HTTP/2, with key updates.
RECORDED = ["tls12-ticket", "tls13-psk", "tls13-key-update", "tls13-retry", "tls-idle", "nghttpd-h2load", "curl-h2"]

Packet = tuple[int, bytes]


def packets_of(folder: Path) -> list[Packet]:
    """Time and bytes of each packet."""
    (capture,) = folder.glob("client.pcapng*")
    with open_capture([str(capture)]) as source:
        return [
            (int(time_ns), bytes(batch.data[position : position + size]))
            for batch in source
            for time_ns, position, size in zip(batch.time_ns, batch.position, batch.captured, strict=True)
        ]


def connections_of(packets: list[Packet], keys: KeyLog) -> list[Connection]:
    inspector = Inspector(Options(keys=keys))
    for batch in MemorySource(packets):
        inspector.feed(batch)
    return inspector.finish().connections


def messages_of(connection: Connection) -> Iterator[tuple[int, int, tuple[int | None, object]]]:
    """Packet with which each message was complete, its time, and the message: bytes of its body and what it says."""
    for exchange in connection.exchanges:
        for message in (exchange.request, exchange.response):
            if message is not None and message.end_packet is not None:
                says = message.target if message is exchange.request else message.status  # type: ignore[union-attr]
                yield message.end_packet, message.time_ns, (message.body_bytes, says)


@pytest.mark.parametrize("name", RECORDED)
def test_what_does_not_depend_on_a_packet_stays(name: str) -> None:
    folder = CAPTURES / name
    keys = KeyLog()
    keys.add_whole((folder / "keys.log").read_bytes())
    packets = packets_of(folder)
    whole = connections_of(packets, keys)
    assert sum(connection.responses or 0 for connection in whole) > 0
    compared = 0
    for missing in range(len(packets)):
        damaged = connections_of(packets[:missing] + packets[missing + 1 :], keys)
        assert len(damaged) == len(whole)
        for before, after in zip(whole, damaged, strict=True):
            assert before.tls is not None
            assert after.tls is not None
            first_message_ns = min(time_ns for _, time_ns, _ in messages_of(before))
            if before.start_ns <= packets[missing][0] < first_message_ns:
                continue  # all that follows depends on the handshake
            kept = Counter(message for packet, _, message in messages_of(before) if packet != missing + 1)
            if before.http2 is None:
                assert kept <= Counter(message for _, _, message in messages_of(after)), missing + 1
                compared += 1
            assert (after.tls.sni, after.tls.version) == (before.tls.sni, before.tls.version)
            assert after.tls.decrypted
    assert compared > 0 or whole[0].http2 is not None  # there, header tables depend on what came before
