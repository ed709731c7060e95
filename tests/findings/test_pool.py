"""Requests in, the connections that a good pool would have needed out; and the laws of the replay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inspector.findings.pool import chains, one_at_a_time, pool_record, pool_uses, shared
from inspector.records.connection import Connection, End, Estimate, Opened
from tests.findings.cases import opened
from tests.report.samples import MS, START_NS, endpoint, http2

SECOND = 1_000 * MS

#: Jobs in small numbers, so that ends meet starts.
JOBS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda job: (job[0], job[0] + job[1])), max_size=7)
EXPIRIES = st.none() | st.integers(0, 8)


def figures(*connections: Connection, timeout_ms: int | None = None) -> tuple[int, int, int]:
    """Opened, needed, opened beside an idle one."""
    for number, connection in enumerate(connections):
        connection.id = number
    uses = pool_uses(connections, None if timeout_ms is None else timeout_ms * MS)
    return tuple(sum(getattr(use, name) for use in uses) for name in ("opened", "needed", "idle_at_open"))


# ---- what it says


def test_requests_one_after_another_need_one_connection() -> None:
    assert figures(*(opened((t, t + 5), end_ms=t + 6) for t in range(0, 200, 10))) == (20, 1, 0)


def test_requests_at_once_need_one_connection_each() -> None:
    assert figures(opened((0, 50), end_ms=60), opened((10, 40), end_ms=60)) == (2, 2, 0)


def test_open_beside_an_idle_connection_is_counted() -> None:
    assert figures(opened((0, 5), end_ms=500), opened((100, 105), end_ms=500)) == (2, 1, 1)


def test_connection_that_is_said_to_close_is_not_idle() -> None:
    first = opened((0, 5), end_ms=500, said="client connection-close")
    assert figures(first, opened((100, 105), end_ms=500)) == (2, 1, 0)


def test_connections_that_the_server_ended_were_needed() -> None:
    limited = [opened((t, t + 5), end_ms=t + 6, by="server", said="server connection-close") for t in (0, 10, 20)]
    assert figures(*limited, opened((30, 35), end_ms=40)) == (4, 4, 0)


def test_server_that_obeys_a_client_did_not_end_it() -> None:
    asked = [opened((t, t + 5), end_ms=t + 6, by="server", said="client connection-close") for t in (0, 10, 20)]
    assert figures(*asked) == (3, 1, 0)


def test_pool_gives_up_a_fifth_before_the_server_does() -> None:
    first, second = opened((0, 5), end_ms=3_005, by="server"), opened((2_406, 2_410), end_ms=2_420)
    assert figures(first, second, timeout_ms=3_000) == (2, 2, 1)
    assert figures(first, opened((2_405, 2_410), end_ms=2_420), timeout_ms=3_000) == (2, 1, 1)


def test_pool_gives_up_at_most_a_second_before_the_server_does() -> None:
    first = opened((0, 5), end_ms=60_005, by="server")
    assert figures(first, opened((59_005, 59_010), end_ms=59_020), timeout_ms=60_000) == (2, 1, 1)
    assert figures(first, opened((59_006, 59_010), end_ms=59_020), timeout_ms=60_000) == (2, 2, 1)


def test_idle_close_of_a_server_without_a_known_timer_was_needed() -> None:
    ended = [opened((t, t + 5), end_ms=t + 3_000, by="server") for t in (0, 4_000)]
    assert figures(*ended) == (2, 2, 0)


def test_what_idled_longer_than_a_pool_would_let_it_needs_no_more_than_was_opened() -> None:
    assert figures(opened((0, 5), (2_900, 2_905), end_ms=2_910), timeout_ms=3_000) == (1, 1, 0)
    twice = [opened((t, t + 5), (t + 2_900, t + 2_905), end_ms=t + 2_910) for t in (0, 1)]
    assert figures(*twice, timeout_ms=3_000) == (2, 2, 0)


def test_two_names_on_one_address_have_two_pools() -> None:
    assert figures(opened((0, 5), end_ms=900), opened((10, 15), end_ms=900, name="img.test")) == (2, 2, 0)


def test_two_clients_have_two_pools() -> None:
    assert figures(opened((0, 5), end_ms=900), opened((10, 15), end_ms=900, client=End("10.0.0.3", 5))) == (2, 2, 0)


def test_pipelined_requests_need_one_connection() -> None:
    assert figures(opened((0, 50), (1, 60), (2, 70), end_ms=90), opened((100, 105), end_ms=110)) == (2, 1, 0)


def test_streams_share_a_connection_up_to_the_limit() -> None:
    many = [opened((t, 50), end_ms=60, protocol="h2", http2=http2(stream_limit=2)) for t in range(5)]
    assert figures(*many) == (5, 3, 0)


def test_unused_connection_was_not_needed() -> None:
    assert figures(opened((0, 5), end_ms=900), opened(end_ms=20)) == (2, 1, 1)


def test_connection_from_before_the_capture_is_idle_but_not_opened() -> None:
    before = opened((0, 5), end_ms=900, opened=Opened("mid-stream", None, 0, None, False))
    assert figures(before, opened((10, 15), end_ms=900)) == (1, 1, 1)


def test_refused_connections_are_no_opens() -> None:
    refused = opened(end_ms=900, opened=Opened("refused", 1, 0, None, False))
    assert figures(refused, opened((10, 15), end_ms=900)) == (1, 1, 0)


def sealed(start_ms: int, end_ms: int, idle_ms: int) -> Connection:
    record = opened(end_ms=end_ms, protocol="tls", requests=None, estimate=Estimate(1, "records"))
    record.start_ns = START_NS + start_ms * MS
    assert record.closed is not None
    record.closed.idle_ns = idle_ms * MS
    return record


def test_encrypted_connection_is_busy_from_its_first_to_its_last_byte() -> None:
    assert figures(sealed(0, 20, 10), sealed(11, 30, 5)) == (2, 1, 1)
    assert figures(sealed(0, 20, 10), sealed(9, 30, 5)) == (2, 2, 0)


def test_endpoint_without_requests_has_no_pool() -> None:
    silent = opened(end_ms=20, protocol="none")
    assert pool_record(endpoint(), pool_uses([silent], None)) is None


def test_other_protocols_are_needed() -> None:
    assert figures(*(opened(end_ms=20, protocol="unknown") for _ in range(3))) == (3, 3, 0)


def test_handshake_time_is_that_of_the_avoidable_opens() -> None:
    uses = pool_uses([opened((t, t + 5), end_ms=t + 6) for t in (0, 10, 20)], None)
    pool = pool_record(endpoint(), uses)
    assert pool is not None
    assert (pool.connections_needed, pool.avoidable_opens, pool.handshake_ns_saved) == (1, 2, 2 * 60_000)


# ---- laws


def fewest(jobs: Sequence[tuple[int, int]], expiry: int | None) -> int:
    """By trying every way to let jobs take over from others."""
    links = [
        (i, j)
        for i, j in ((i, j) for i in range(len(jobs)) for j in range(len(jobs)))
        if jobs[i][1] <= jobs[j][0] and (expiry is None or jobs[j][0] - jobs[i][1] <= expiry)
    ]

    @cache
    def most(rest: int, taken: frozenset[int]) -> int:
        """Links that can be had of those from `rest` on; an end is linked once, and so is a start."""
        if rest == len(links):
            return 0
        end, start = links[rest]
        without = most(rest + 1, taken)
        if end in taken or ~start in taken:
            return without
        return max(without, 1 + most(rest + 1, taken | {end, ~start}))

    return len(jobs) - most(0, frozenset())


@given(JOBS, EXPIRIES)
def test_chains_are_the_fewest(jobs: list[tuple[int, int]], expiry: int | None) -> None:
    assert chains(jobs, expiry) == fewest(tuple(jobs), expiry)


@given(JOBS.filter(bool), EXPIRIES, st.randoms(use_true_random=False))
def test_order_in_which_jobs_are_given_is_nothing(jobs: list[tuple[int, int]], expiry: int | None, random: Any) -> None:
    mixed = random.sample(jobs, len(jobs))
    assert chains(mixed, expiry) == chains(jobs, expiry)
    assert shared(mixed, expiry, 2) == shared(jobs, expiry, 2)


@given(JOBS, st.integers(0, 8), st.integers(0, 8))
def test_patience_never_needs_more(jobs: list[tuple[int, int]], expiry: int, more: int) -> None:
    assert chains(jobs, expiry + more) <= chains(jobs, expiry)
    assert chains(jobs, None) <= chains(jobs, expiry + more)


@given(JOBS, JOBS)
def test_further_jobs_never_need_less(jobs: list[tuple[int, int]], more: list[tuple[int, int]]) -> None:
    assert chains(jobs + more, None) >= chains(jobs, None)


@given(JOBS)
def test_without_expiry_as_many_as_ran_at_once(jobs: list[tuple[int, int]]) -> None:
    at_once = max((sum(first <= start < last for first, last in jobs) for start, _ in jobs), default=0)
    assert chains(jobs, None) == shared(jobs, None, 1) == at_once
    assert shared(jobs, None, 3) == -(-at_once // 3)
    assert shared(jobs, None, None) == min(1, len(jobs))


@given(JOBS, EXPIRIES)
def test_one_stream_at_a_time_is_http_1(jobs: list[tuple[int, int]], expiry: int | None) -> None:
    assert shared(jobs, expiry, 1) == chains(jobs, expiry)


@given(JOBS.filter(bool))
def test_joined_jobs_do_not_overlap_and_leave_nothing_out(jobs: list[tuple[int, int]]) -> None:
    joined = one_at_a_time(jobs)
    assert not any(one[0] < other[1] and other[0] < one[1] for one, other in combinations(joined, 2))
    assert {t for first, last in jobs for t in range(first, last)} == {
        t for first, last in joined for t in range(first, last)
    }
    assert chains(joined, None) == 1


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 50), st.sampled_from(["client", "server"]))))
def test_never_needed_more_than_opened(runs: list[tuple[int, int, str]]) -> None:
    connections = [opened((t, t + long), end_ms=t + long + 1, by=by) for t, long, by in runs]
    for timeout_ms in (None, 500):
        total, needed, beside = figures(*connections, timeout_ms=timeout_ms)
        assert 0 <= needed <= total == len(runs)
        assert 0 <= beside <= total
        assert figures(*reversed(connections), timeout_ms=timeout_ms) == (total, needed, beside)
