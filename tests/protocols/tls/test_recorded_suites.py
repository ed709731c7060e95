"""What comes out of TLS is what OpenSSL's s_client and s_server put into it, under every suite that was recorded."""

from __future__ import annotations

import json

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending, StreamChunk
from inspector.packets.decode import PacketDecoder
from inspector.protocols.decoder import Emit
from inspector.protocols.tls.decoder import TlsDecoder
from inspector.protocols.tls.keylog import KeyLog
from inspector.sources.open import open_capture
from inspector.tcp.connection import Connection
from inspector.tcp.tracker import Tracker
from tests.recordings import CAPTURES

FOLDER = CAPTURES / "tls-suites"


class Plaintext:
    """Takes what is inside, as it is."""

    protocol = "unknown"
    application_packet = application_ns = None

    def __init__(self, emit: Emit) -> None:
        self.skip_until = [0, 0]
        self.said = [b"", b""]
        self.gaps = 0

    def data(self, chunk: StreamChunk) -> None:
        said = self.said[chunk.direction]
        assert chunk.offset == len(said)
        while len(said) < chunk.offset + chunk.length:
            said += bytes(chunk.view(len(said)))
        self.said[chunk.direction] = said

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        self.gaps += 1

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None: ...


def plaintext(batch_rows: int) -> dict[str, Plaintext]:
    """What was inside each connection, by the client's address."""
    keys = KeyLog()
    keys.add_whole((FOLDER / "keys.log").read_bytes())
    inside: dict[str, Plaintext] = {}

    def make_sink(connection: Connection, start: StreamChunk | None) -> TlsDecoder:
        found = inside[f"10.0.0.2:{connection.client[2]}"] = Plaintext(lambda event: None)
        return TlsDecoder(lambda event: None, keys, lambda emit, alpn: found)

    tracker, decoder = Tracker(make_sink), PacketDecoder()
    with open_capture([str(FOLDER / "client.pcapng.gz")], batch_rows=batch_rows) as source:
        for batch in source:
            tracker.feed(decoder.decode(batch))
        list(tracker.finish())
    return inside


@pytest.mark.parametrize("batch_rows", [1, 4096])
def test_both_directions_under_every_suite(batch_rows: int) -> None:
    payloads = json.loads((FOLDER / "payloads.json").read_text(encoding="utf-8"))
    opened = plaintext(batch_rows)
    assert len(payloads) == 31
    assert opened.keys() == payloads.keys()
    for client, payload in payloads.items():
        assert opened[client].said[FROM_CLIENT] == payload["client"].encode(), client
        assert opened[client].said[FROM_SERVER] == payload["server"].encode(), client
        assert opened[client].gaps == 0


def test_the_suites_are_those_that_were_asked_for() -> None:
    """One of each kind: the recording would not show it if OpenSSL had fallen back to another."""
    truth = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))
    told = [fact["says"]["tls"] for fact in truth["facts"]]
    ciphers = {tls["cipher"] for tls in told}
    assert {tls["version"] for tls in told} == {"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"}
    assert len(ciphers) == 21
    for kind in ("AES_128_GCM", "AES_256_GCM", "AES_128_CCM", "CCM_8", "CHACHA20_POLY1305", "AES_128_CBC", "NULL"):
        assert any(kind in cipher for cipher in ciphers)
