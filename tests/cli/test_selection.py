"""Which connections are reported, and how points in time are typed."""

from __future__ import annotations

import click
import pytest

from inspector.cli.moments import Moment, moment
from inspector.cli.selection import Selection, canonical_host
from tests.report import samples
from tests.report.samples import SECOND, START_NS

CONTEXT = click.Context(click.Command("read"))
SINCE = click.Option(["--since"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1.5s", Moment(1_500_000_000, relative=True)),
        ("20ms", Moment(20_000_000, relative=True)),
        ("0.000001s", Moment(1_000, relative=True)),
        ("2min", Moment(120 * SECOND, relative=True)),
        ("1h", Moment(3_600 * SECOND, relative=True)),
        ("1777636800", Moment(START_NS, relative=False)),
        ("1777636800.123456789", Moment(START_NS + 123_456_789, relative=False)),
        ("2026-05-01T12:00:00Z", Moment(START_NS, relative=False)),
        ("2026-05-01 12:00", Moment(START_NS, relative=False)),
        ("2026-05-01T14:00:00.5+02:00", Moment(START_NS + 500_000_000, relative=False)),
    ],
)
def test_points_in_time(typed: str, meant: Moment) -> None:
    assert moment(CONTEXT, SINCE, typed) == meant


@pytest.mark.parametrize("typed", ["", "soon", "-1s", "1.5 s", "12:00", "1e9", "1d", "2026-13-01"])
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        moment(CONTEXT, SINCE, typed)


def selection(
    *hosts: str, ports: frozenset[int] = frozenset(), since: Moment | None = None, until: Moment | None = None
) -> Selection:
    return Selection(frozenset(map(canonical_host, hosts)), ports, since, until, first_ns=START_NS - SECOND)


@pytest.mark.parametrize(
    ("chosen", "reported"),
    [
        (selection("10.0.0.1"), True),
        (selection("10.0.0.2"), True),
        (selection("10.0.0.3"), False),
        (selection("10.0.0.3", "shop.test"), True),
        (selection("Shop.Test."), True),
        (selection("test"), False),
        (selection("further.test"), True),
        (selection(ports=frozenset([8001])), True),
        (selection(ports=frozenset([46184])), True),
        (selection(ports=frozenset([80])), False),
        (selection("shop.test", ports=frozenset([80])), False),
        (selection(since=Moment(8 * SECOND, True)), True),
        (selection(since=Moment(9 * SECOND, True)), False),
        (selection(until=Moment(1 * SECOND, True)), True),
        (selection(until=Moment(SECOND // 2, True)), False),
        (selection(since=Moment(START_NS + SECOND, False), until=Moment(START_NS + 2 * SECOND, False)), True),
    ],
)
def test_a_connection_is_reported_when_all_conditions_hold(chosen: Selection, reported: bool) -> None:
    assert bool(chosen)
    assert chosen(samples.connection(names=["further.test"])) is reported


def test_no_condition_is_no_selection() -> None:
    assert not selection()


def test_addresses_are_compared_in_one_form() -> None:
    assert canonical_host("[2001:DB8::0:1]") == "2001:db8::1"
    assert canonical_host("SHOP.test.") == "shop.test"
