"""What runs over UDP and is no tunnel: QUIC is told from the rest."""

from __future__ import annotations

import pytest

from tests.packets.decoding import decode
from tests.packets.packets import ethernet, ipv4, udp

INITIAL = bytes.fromhex("c3 00000001 08") + bytes(40)
SHORT = bytes.fromhex("45") + bytes(40)


@pytest.mark.parametrize(
    ("payload", "port", "reason"),
    [
        pytest.param(INITIAL, 443, "quic", id="initial"),
        pytest.param(SHORT, 443, "quic", id="short-header"),
        pytest.param(INITIAL, 8443, "quic", id="initial-on-another-port"),
        pytest.param(bytes.fromhex("c0 6b3343cf") + bytes(40), 8443, "quic", id="version-2"),
        pytest.param(bytes.fromhex("c0 ff00001d") + bytes(40), 8443, "quic", id="draft-29"),
        pytest.param(SHORT, 8443, "not_tcp", id="short-header-on-another-port"),
        pytest.param(bytes.fromhex("c0 12345678") + bytes(40), 8443, "not_tcp", id="unknown-version"),
        pytest.param(bytes.fromhex("16fefd") + bytes(40), 443, "not_tcp", id="dtls"),
        pytest.param(b"", 443, "not_tcp", id="empty"),
    ],
)
def test_quic_and_not(payload: bytes, port: int, reason: str) -> None:
    for ports in ({"dport": port}, {"sport": port, "dport": 50001}):
        decoded = decode([ethernet(ipv4(udp(payload, **ports), protocol=17))])
        assert decoded.segments == []
        assert decoded.skipped == {reason: 1}
