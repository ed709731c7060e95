"""The comparer itself, on reports made by hand: a part that agrees, and each way not to agree."""

from __future__ import annotations

import pytest

from tests.truth import Json, differences

CONNECTION = {
    "client": {"ip": "10.0.0.2", "port": 40001},
    "server": {"ip": "10.0.0.1", "port": 8001},
    "requests": 2,
    "closed": {"by": "server", "how": "fin", "idle_ns": 7_001_000_000, "simultaneous": False},
    "exchanges": [{"response": {"status": 200}}, {"response": None}],
}
REUSED = CONNECTION | {"requests": 1, "closed": None}
REPORT = {
    "capture": {"packets": 20},
    "endpoints": [
        {"ip": "10.0.0.1", "port": 8001, "opened": 2, "headers": {"connection": {"close": 1}}},
        {"ip": "fd00::1", "port": 80, "opened": 0, "headers": {}},
    ],
    "connections": [CONNECTION, REUSED],
}

CLIENT = {"client": "10.0.0.2:40001", "server": "10.0.0.1:8001"}
FIRST, SECOND = {"connection": CLIENT | {"nth": 1}}, {"connection": CLIENT | {"nth": 2}}
ENDPOINT = {"endpoint": "10.0.0.1:8001"}


def compare(of: Json, says: Json) -> list[str]:
    """Differences of one fact, without its source."""
    truth = {"facts": [{"from": "hand", "of": of, "says": says}]}
    return [line.removesuffix(", said by hand") for line in differences(REPORT, truth)]


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (FIRST, {"requests": 2, "closed": {"by": "server", "idle_ns": {"about": 7_000_000_000, "within": 2_000_000}}}),
        (FIRST, {"exchanges": [{"response": {"status": 200}}, {"response": None}]}),
        (FIRST, {"exchanges": [{}, {}]}),
        (SECOND, {"requests": 1, "closed": None}),
        (ENDPOINT, {"opened": {"least": 2}, "headers": {"connection": {"exactly": {"close": 1}}}}),
        (ENDPOINT, {"opened": {"most": 2}}),
        ({"endpoint": "[fd00::1]:80"}, {"opened": 0}),
        ({"report": "capture"}, {"packets": 20}),
    ],
)
def test_a_truth_that_agrees(of: Json, says: Json) -> None:
    assert compare(of, says) == []


@pytest.mark.parametrize(
    ("of", "says", "line"),
    [
        (FIRST, {"requests": 3}, "requests: 2 is not 3"),
        (FIRST, {"closed": None}, "is not None"),
        (SECOND, {"closed": {"by": "server"}}, "closed: None is no object"),
        (FIRST, {"closed": {"simultaneous": 0}}, "closed.simultaneous: False is not 0"),
        (FIRST, {"closed": {"idle_ns": {"about": 7e9, "within": 999_999}}}, "closed.idle_ns: 7001000000 is not"),
        (SECOND, {"closed": {"about": 0, "within": 9}}, "closed: None is not"),
        (FIRST, {"exchanges": [{}]}, "exchanges: 2 instead of 1 elements"),
        (FIRST, {"exchanges": [{"response": {"status": 404}}, {}]}, "exchanges[0].response.status: 200 is not 404"),
        (FIRST, {"requests": []}, "requests: no list instead of 0 elements"),
        (ENDPOINT, {"opened": {"least": 3}}, "opened: 2 is not"),
        (ENDPOINT, {"opened": {"most": 1}}, "opened: 2 is not"),
        (ENDPOINT, {"headers": {"connection": {"exactly": {}}}}, "headers.connection: {'close': 1} is not"),
        (ENDPOINT, {"opend": 2}, "opend: not in the report"),
        ({"connection": CLIENT | {"nth": 3}}, {}, "#3: 0 in the report"),
        ({"endpoint": "10.0.0.1:80"}, {}, "endpoint 10.0.0.1:80: 0 in the report"),
    ],
)
def test_a_truth_that_does_not(of: Json, says: Json, line: str) -> None:
    found = compare(of, says)
    assert len(found) == 1
    assert line in found[0]


def test_a_difference_names_who_said_it() -> None:
    truth = {"facts": [{"from": "nginx access log", "of": FIRST, "says": {"requests": 3}}]}
    assert differences(REPORT, truth) == [
        "connection 10.0.0.2:40001 -> 10.0.0.1:8001 #1 requests: 2 is not 3, said by nginx access log"
    ]
