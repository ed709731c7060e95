"""What holds for every capture: nothing raises, everything adds up, and where sequence numbers begin does not show."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inspector.engine import Options
from inspector.records.connection import Anomaly
from inspector.sources.memory import Packet
from tests.tcp.conversations import Script, captures, disturbances, disturbed, noise, scripts
from tests.tcp.playbook import SERVER, inspect_packets

_ISNS = st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(0xFFFFFC00, 0xFFFFFFFF))


@settings(max_examples=100, deadline=None)
@given(st.one_of(noise(), captures()), st.booleans())
def test_everything_adds_up(packets: list[Packet], events: bool) -> None:
    """The laws are in `inspect_packets`; segments and packets are counted once, in one direction of one connection."""
    inspection = inspect_packets(packets, Options(events=events))
    counted = 0
    for connection in inspection.connections:
        client, server = connection.client_traffic, connection.server_traffic
        counted += client.packets + server.packets
        assert connection.first_packet <= connection.last_packet
        assert connection.opened.one_sided == (not client.packets or not server.packets)
        for side in (client, server):
            assert min(side.bytes, side.captured_bytes, side.missing_bytes, side.retransmitted_bytes) >= 0
        if connection.closed is not None:
            assert connection.first_packet <= connection.closed.packet <= connection.last_packet
            assert (connection.closed.reply is None) == (connection.closed.reply_packet is None)
    late = inspection.capture.tcp_segments - counted
    assert late >= 0
    assert (late > 0) == ("after_close" in inspection.anomalies)


@settings(max_examples=40, deadline=None)
@given(scripts(), _ISNS, _ISNS, disturbances())
def test_where_sequence_numbers_begin_does_not_show(
    script: Script, client_isn: int, server_isn: int, wrong: list[tuple[str, int, int]]
) -> None:
    assume(script.opening != "refused")  # its RST has the sequence number 0, whatever else has
    assume(script.play((client_isn, server_isn)).wire(SERVER) != 0)  # a RST there would look like a refusal

    def seen(isn: tuple[int, int]) -> object:
        inspection = inspect_packets(disturbed(script.play(isn).packets, wrong))
        for connection in inspection.connections:
            connection.anomalies = [Anomaly(odd.code, odd.packet, "") for odd in connection.anomalies]
        return inspection

    assert seen((client_isn, server_isn)) == seen((1000, 9000))
