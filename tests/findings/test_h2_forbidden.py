"""Fields about the connection inside HTTP/2: whose they are, and what became of the messages."""

from __future__ import annotations

from inspector.records.connection import Connection
from inspector.records.finding import Finding
from inspector.records.http2 import ForbiddenHeader
from tests.findings.cases import conclude_all
from tests.findings.http2_cases import h2, reset

WHERE = "10.0.0.1:8001"
CODE = "h2-forbidden-header"


def found(*connections: Connection) -> list[Finding]:
    return [finding for finding in conclude_all(*connections) if finding.code == CODE]


def fields(*packets: int, name: str = "connection") -> list[ForbiddenHeader]:
    return [ForbiddenHeader(packet, name) for packet in packets]


def test_field_of_a_client_in_every_request() -> None:
    (finding,) = found(h2((0, 1), (2, 3), (4, 5), end_ms=10, forbidden=fields(100, 101, 102)))
    assert finding.severity == "warning"
    assert finding.measured == {"header": "connection", "n": 3}
    assert finding.title == f"the client sends {WHERE} what HTTP/2 forbids: connection, 3 times"
    assert finding.how == "3 fields in 3 packets; 3 of 3 such requests were answered all the same"
    assert finding.filter == 'tcp.stream in {0} && http2.header.name == "connection"'
    assert [(evidence.packet, evidence.what) for evidence in finding.evidence] == [
        (100, "connection"), (101, "connection"), (102, "connection")
    ]  # fmt: skip


def test_request_that_was_reset_for_it() -> None:
    strict = h2((0, 1), (2, None), end_ms=10, forbidden=fields(101))
    reset(strict, 3, "server", "PROTOCOL_ERROR")
    (finding,) = found(strict)
    assert finding.how == "1 field in 1 packet; 0 of 1 such requests were answered all the same"


def test_several_fields_are_one_finding() -> None:
    both = fields(100, 101) + fields(100, name="keep-alive")
    (finding,) = found(h2((0, 1), (2, 3), end_ms=10, forbidden=both))
    assert finding.measured == {"header": "connection, keep-alive", "n": 3}
    assert finding.filter.endswith('(http2.header.name == "connection" || http2.header.name == "keep-alive")')


def test_field_of_a_server_is_the_server_s() -> None:
    (finding,) = found(h2((0, 1), end_ms=10, forbidden=fields(6)))
    assert finding.title == f"{WHERE} sends what HTTP/2 forbids: connection, 1 time"
    assert "answered" not in finding.how


def test_field_that_cannot_be_placed_blames_nobody() -> None:
    (finding,) = found(h2((0, 1), end_ms=10, forbidden=fields(77)))
    assert finding.title == f"one side at {WHERE} sends what HTTP/2 forbids: connection, 1 time"


def test_connections_of_one_fault_are_one_finding() -> None:
    (finding,) = found(*(h2((t, t + 1), end_ms=t + 2, forbidden=fields(100)) for t in (0, 10, 20)))
    assert finding.connections == [0, 1, 2]
    assert finding.measured["n"] == 3


def test_message_without_such_a_field_is_fine() -> None:
    assert found(h2((0, 1), end_ms=10)) == []
