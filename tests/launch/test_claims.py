"""Claims in, verdicts on connections out. Times are in milliseconds here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.endpoints import Endpoint
from inspector.launch import claims
from inspector.launch.claims import Claim, ClaimBook, Moment

OURS, SERVER = Endpoint("10.0.0.2", 40_000), Endpoint("10.0.0.1", 80)
MS = 1_000_000


def book(*told: tuple[Moment, int], local: Endpoint = OURS, remote: Endpoint = SERVER) -> ClaimBook:
    made = ClaimBook()
    made.add(Claim(moment, local, remote, at * MS) for moment, at in told)
    return made


def owns(of: ClaimBook, start: int, end: int, client: Endpoint = OURS, server: Endpoint = SERVER) -> bool:
    return of.owns(client, server, start * MS, end * MS)


def test_a_connection_that_the_command_begins_is_its_own() -> None:
    kept = book((Moment.CONNECTS, 1000), (Moment.CLOSED, 1005))
    assert owns(kept, 1000, 1006)
    assert kept.unmet() == 0
    assert kept.open == 0


def test_another_port_is_not() -> None:
    kept = book((Moment.CONNECTS, 1000))
    assert not owns(kept, 1000, 1006, client=Endpoint("10.0.0.2", 40_001))
    assert kept.unmet() == 1
    assert kept.open == 1


def test_strangers_on_the_same_4_tuple_before_and_after_are_not() -> None:
    kept = book((Moment.CONNECTS, 1000))
    assert not owns(kept, 900, 990)
    assert owns(kept, 1001, 1010)
    assert not owns(kept, 1020, 1030)


def test_the_4_tuple_used_twice_by_the_command() -> None:
    kept = book((Moment.CONNECTS, 1000), (Moment.CLOSED, 1001), (Moment.CONNECTS, 1002))
    assert owns(kept, 1000, 1001)
    assert owns(kept, 1002, 1003)
    assert not owns(kept, 1004, 1005)


def test_a_server_accepts_after_the_syn() -> None:
    kept = book((Moment.ACCEPTED, 3000), local=SERVER, remote=OURS)
    assert owns(kept, 1000, 4000)


def test_both_ends_are_the_commands() -> None:
    kept = book((Moment.CONNECTS, 1000))
    kept.add([Claim(Moment.ACCEPTED, SERVER, OURS, 1001 * MS)])
    assert kept.open == 2
    assert owns(kept, 1000, 1010)
    assert kept.unmet() == 0
    assert not owns(kept, 1020, 1030)


def test_a_capture_that_missed_the_beginning() -> None:
    """Roles may be the wrong way round then."""
    assert owns(book((Moment.CONNECTS, 1000)), 1500, 2000, client=SERVER, server=OURS)


def test_a_socket_that_was_seen_in_the_middle() -> None:
    kept = book((Moment.SEEN, 1000), (Moment.SEEN, 2000))
    assert owns(kept, 900, 2500)
    assert owns(kept, 1400, 1600)
    assert not owns(kept, 500, 900)
    assert not owns(kept, 2100, 2200)
    assert kept.unmet() == 0


def test_what_has_met_its_connection_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_CLAIMS", 3)
    kept = ClaimBook()
    for number in range(10):
        client = Endpoint("10.0.0.2", 40_000 + number)
        kept.add([Claim(Moment.CONNECTS, client, SERVER, number * MS)])
        assert owns(kept, number, number + 1, client=client)
    assert kept.forgotten == 0


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_CLAIMS", 3)
    clients = [Endpoint("10.0.0.2", 40_000 + number) for number in range(5)]
    kept = ClaimBook()
    kept.add(Claim(Moment.CONNECTS, client, SERVER, 1000 * MS) for client in clients)
    assert kept.forgotten == 2
    assert [owns(kept, 1000, 1001, client=client) for client in clients] == [False, False, True, True, True]


@given(st.lists(st.tuples(st.booleans(), st.integers(20, 60_000)), max_size=30))
def test_of_connections_one_after_the_other_exactly_the_own_ones(used: list[tuple[bool, int]]) -> None:
    """Whoever uses the 4-tuple when, as long as connections do not touch."""
    kept, start, expected, starts = ClaimBook(), 1_000_000, [], []
    for own, gap in used:
        start += gap
        starts.append(start)
        expected.append(own)
        if own:
            kept.add([Claim(Moment.CONNECTS, OURS, SERVER, start * MS)])
    assert [owns(kept, start, start + 10) for start in starts] == expected
    assert kept.unmet() == 0
