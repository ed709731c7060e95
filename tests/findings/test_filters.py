"""Display filters: which connections they name, and how, so that a person can read them."""

from __future__ import annotations

from inspector.findings.case import Case, Scene
from inspector.findings.filters import display_filter
from inspector.records.connection import Connection, End
from tests.findings.cases import opened
from tests.report.samples import endpoint

ONE_FILE, SEVERAL = Scene(0, 0, True), Scene(0, 0, False)
FIN = "tcp.flags.fin == 1"


def numbered(*numbers: int) -> list[Connection]:
    """Connections with these ids, each from a port of its own."""
    connections = [opened((10 * n, 10 * n + 5), end_ms=10 * n + 6, client=End("10.0.0.2", 40_000 + n)) for n in numbers]
    for number, connection in zip(numbers, connections, strict=True):
        connection.id = number
    return connections


def shown(connections: list[Connection], of: list[Connection], scene: Scene = ONE_FILE, clause: str = FIN) -> str:
    return display_filter(Case(endpoint(), of, scene), connections, clause)


def test_streams_of_one_file_are_named_by_their_numbers() -> None:
    some = numbered(0, 1, 2, 7)
    assert shown(some, numbered(*range(9))) == "tcp.stream in {0..2, 7} && tcp.flags.fin == 1"


def test_alternatives_are_in_parentheses() -> None:
    some = numbered(3)
    assert shown(some, some, clause="http || http2") == "tcp.stream in {3} && (http || http2)"


def test_all_connections_of_an_endpoint_in_many_runs_are_named_by_its_address() -> None:
    apart = numbered(*range(0, 14, 2))
    assert shown(apart, apart) == "ip.addr == 10.0.0.1 && tcp.port == 8001 && tcp.flags.fin == 1"
    assert shown(apart[:6], apart[:6]) == "tcp.stream in {0, 2, 4, 6, 8, 10} && tcp.flags.fin == 1"


def test_some_of_many_runs_are_still_named_one_by_one() -> None:
    apart = numbered(*range(0, 16, 2))
    assert shown(apart[:7], apart) == "tcp.stream in {0, 2, 4, 6, 8, 10, 12} && tcp.flags.fin == 1"


def test_more_than_twenty_are_named_by_their_address() -> None:
    many = numbered(*range(21))
    assert shown(many, [*many, *numbered(30)]) == "ip.addr == 10.0.0.1 && tcp.port == 8001 && tcp.flags.fin == 1"


def test_streams_of_several_files_are_named_by_ports() -> None:
    some = numbered(0, 1)
    assert shown(some, numbered(0, 1, 2), SEVERAL) == (
        "ip.addr == 10.0.0.1 && tcp.port == 8001 && tcp.port in {40000, 40001} && tcp.flags.fin == 1"
    )
