"""Limits as they are typed, and inspections that keep or break them."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.limits import LimitName, Verdict, Where, limit
from inspector.records.connection import End
from inspector.records.endpoint import Pool
from inspector.records.finding import Finding
from tests.report import samples


def finding(code: str, severity: Any, connections: list[int]) -> Finding:
    return Finding(
        *(code, severity, "10.0.0.1:8001", None, connections, "says so", "seen", {}, [], [], [], None, ""),
    )


def of_two_clients() -> Inspection:
    """Three connections of one client, one of another; all of one request to shop.test."""
    clients = ["10.0.0.2", "10.0.0.2", "10.0.0.2", "10.0.0.3"]
    connections = [samples.connection(id=i, client=End(ip, 40_000 + i)) for i, ip in enumerate(clients)]
    return samples.inspection(connections=connections, findings=[finding("keepalive-race", "problem", [2])])


def hold(name: LimitName, text: str, inspection: Inspection | None = None) -> list[Verdict]:
    return limit(name, text).hold(inspection or of_two_clients())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("shop.test:443=1", Where(None, "shop.test", 443)),
        ("SHOP.test:443=1", Where(None, "shop.test", 443)),
        ("[fd00::1]:8001=1", Where(None, "fd00::1", 8001)),
        ("10.0.0.2@10.0.0.1:80=1", Where("10.0.0.2", "10.0.0.1", 80)),
        ("*@*:80=1", Where("*", None, 80)),
        ("shop.test:*=1", Where(None, "shop.test", None)),
        ("1", Where()),
    ],
)
def test_where_a_limit_holds(text: str, where: Where) -> None:
    assert limit("max-opened", text).where == where


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "shop.test=1", "shop.test:=1", ":99999=1", "a:1=b"])
def test_what_is_no_limit_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="--max-opened"):
        limit("max-opened", text)


def test_avoidable_opens_are_not_counted_by_client() -> None:
    with pytest.raises(UsageError, match=r"leave 10\.0\.0\.2@ out"):
        limit("max-avoidable", "10.0.0.2@*:80=1")


def test_all_connections_of_an_endpoint_count() -> None:
    (verdict,) = hold("max-opened", "3")
    assert verdict == Verdict(
        *("max-opened", "10.0.0.1:8001", 3, 4, False, [0, 1, 2, 3]),
        "10.0.0.1:8001: opened 4, at most 3 allowed (connections 0, 1, 2, 3)",
    )
    assert hold("max-opened", "4")[0].kept


def test_one_client_or_each_client() -> None:
    assert [v.actual for v in hold("max-opened", "10.0.0.3@shop.test:8001=1")] == [1]
    assert [(v.where, v.actual, v.kept) for v in hold("max-opened", "*@shop.test:8001=2")] == [
        ("10.0.0.2@shop.test:8001", 3, False),
        ("10.0.0.3@shop.test:8001", 1, True),
    ]


def test_what_was_never_seen_breaks_a_limit_unless_it_is_0() -> None:
    (verdict,) = hold("max-opened", "shop.test:8002=5")
    assert not verdict.kept
    assert verdict.what == "max-opened: there is no connection of shop.test:8002"
    assert hold("max-opened", "shop.test:8002=0")[0].kept
    assert hold("forbid", "shop.test:8002=warning")[0].kept
    assert not hold("min-requests-per-connection", "shop.test:8002=0")[0].kept
    nothing = samples.inspection(connections=[], endpoints=[])
    assert hold("max-opened", "1", nothing)[0].kept


def test_requests_per_connection() -> None:
    assert hold("min-requests-per-connection", "1")[0].kept
    (verdict,) = hold("min-requests-per-connection", "1.5")
    assert (verdict.kept, verdict.actual) == (False, 1.0)


def test_what_is_encrypted_has_no_known_requests() -> None:
    secret = samples.inspection(connections=[samples.connection(protocol="tls", requests=None, exchanges=[])])
    (verdict,) = hold("min-requests-per-connection", "1", secret)
    assert (verdict.kept, verdict.actual) == (False, None)
    assert "not known" in verdict.what


def test_avoidable_opens_come_from_the_pool() -> None:
    inspection = of_two_clients()
    inspection.endpoints[0].pool = Pool(1, 3, 3, 180_000)
    assert not hold("max-avoidable", "2", inspection)[0].kept
    assert hold("max-avoidable", "shop.test:8001=3", inspection)[0].kept
    inspection.endpoints[0].pool = None
    assert not hold("max-avoidable", "2", inspection)[0].kept


def test_a_finding_is_forbidden_by_its_code_or_its_severity() -> None:
    for what in ("keepalive-race", "problem", "warning", "info"):
        (verdict,) = hold("forbid", what)
        assert (verdict.kept, verdict.actual, verdict.connections) == (False, 1, [2])
        assert "keepalive-race: says so" in verdict.what
    assert hold("forbid", "refused")[0].kept
    assert hold("forbid", "10.0.0.3@*:8001=problem")[0].kept
    assert not hold("forbid", "10.0.0.2@*:8001=problem")[0].kept


def test_a_finding_of_no_connection_is_its_endpoints() -> None:
    inspection = of_two_clients()
    inspection.findings = [finding("port-churn", "warning", [])]
    assert not hold("forbid", "*:8001=warning", inspection)[0].kept
