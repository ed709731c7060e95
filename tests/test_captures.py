"""Every recording agrees with its truth; and no kind of fact in a truth can be altered without being noticed."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator

import jsonschema
import pytest

from tests.docs.proof import PAGE, page
from tests.expectations import EXPECTED, broken, findings_of
from tests.recordings import CAPTURES, NAMES, report_on, truth_of
from tests.report.test_json import closed_schema
from tests.truth import Json, differences, is_condition

VALIDATOR = jsonschema.Draft202012Validator(closed_schema())


@functools.cache
def recorded(name: str) -> tuple[Json, Json]:
    """Report and truth of a recording."""
    return report_on(CAPTURES / name), truth_of(CAPTURES / name)


def test_there_are_recordings() -> None:
    assert "nginx-idle" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_its_truth(name: str) -> None:
    report, truth = recorded(name)
    assert truth["facts"]
    assert differences(report, truth) == []


@functools.cache
def findings(name: str) -> list[Json]:
    """What `read` and `hops` conclude from a recording."""
    return findings_of(name, recorded(name)[0])


@pytest.mark.parametrize("name", NAMES)
def test_finds_what_was_configured(name: str) -> None:
    """What captures/expected.toml wants, nothing that it forbids, and nothing else above info."""
    assert broken(EXPECTED[name], findings(name)) == []


def test_the_page_of_proof_says_what_is_found_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(findings), "python -m tests.docs.proof writes it"


@pytest.mark.parametrize("name", [path.parent.name for path in sorted(CAPTURES.glob("*/upstream.pcapng*"))])
def test_second_capture_agrees_with_its_truth(name: str) -> None:
    """Of the server behind a proxy; its clock is 90 s fast."""
    report = report_on(CAPTURES / name, "upstream")
    truth = {"facts": truth_of(CAPTURES / name)["behind"]}
    assert truth["facts"]
    assert differences(report, truth) == []
    assert 85e9 < report["capture"]["first_ns"] - recorded(name)[0]["capture"]["first_ns"] < 95e9


@pytest.mark.parametrize("name", NAMES)
def test_adds_up(name: str) -> None:
    report, _ = recorded(name)
    capture = report["capture"]
    assert capture["packets"] == capture["tcp_segments"] + sum(capture["skipped"].values())
    assert capture["problems"] == []


@pytest.mark.parametrize("name", NAMES)
def test_is_valid(name: str) -> None:
    """By the schema, which has no room for fields that it does not name."""
    report, _ = recorded(name)
    VALIDATOR.validate(report)


@pytest.mark.parametrize("name", NAMES)
def test_an_altered_truth_is_noticed(name: str) -> None:
    report, truth = recorded(name)
    before = differences(report, truth)
    unnoticed = [where for where, altered in alterations(truth) if differences(report, altered) == before]
    assert unnoticed == []


def alterations(truth: Json) -> Iterator[tuple[str, Json]]:
    """For each kind of thing that the truth says, the truth with one of them altered.

    A kind is who said it, about what, and the path to it without positions in lists.
    """
    seen = set()
    for number, fact in enumerate(truth["facts"]):
        for path in leaves(fact["says"]):
            (about,) = fact["of"]
            kind = (fact["from"], about, tuple(step for step in path if isinstance(step, str)))
            if kind not in seen:
                seen.add(kind)
                yield f"{kind}", altered(truth, number, path)


def leaves(said: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths to all values and conditions."""
    steps: Iterator[tuple[str | int, Json]]
    if isinstance(said, dict) and said and not is_condition(said):
        steps = iter(said.items())
    elif isinstance(said, list) and said:
        steps = iter(enumerate(said))
    else:
        yield path
        return
    for step, value in steps:
        yield from leaves(value, (*path, step))


def altered(truth: Json, number: int, path: tuple[str | int, ...]) -> Json:
    """The truth with one leaf of one fact replaced by something else."""
    fact = copy.deepcopy(truth["facts"][number])
    holder = fact["says"]
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = something_else(holder[path[-1]])
    facts = list(truth["facts"])
    facts[number] = fact
    return truth | {"facts": facts}


def something_else(said: Json) -> Json:
    """A value or condition of the same form that the same report cannot meet."""
    if is_condition(said):
        return _another_condition(said)
    if isinstance(said, bool):
        return not said
    if isinstance(said, int | float):
        return said + 1
    if isinstance(said, str):
        return said + "x"
    # None, or an element of which nothing is said.
    return "something"


def _another_condition(said: Json) -> Json:
    if "about" in said:
        return said | {"about": said["about"] + 2 * said["within"] + 1}
    if "least" in said:
        return {"least": 10**18}
    if "most" in said:
        return {"most": -1}
    return {"exactly": said["exactly"] | {"x": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_tells_nothing_about_the_machine(name: str) -> None:
    for path in (CAPTURES / name).iterdir():
        if path.suffix in {".json", ".md"}:
            assert re.search(r"/(work|tmp|root|home|Users)/", path.read_text(encoding="utf-8")) is None
