"""`connspect explain` as it is typed: the list, one finding, a word that is none."""

from __future__ import annotations

import json
import re
from typing import Annotated, get_args

import pytest
from click.shell_completion import ShellComplete
from msgspec import Struct, structs

from inspector.cli.main import connspect
from inspector.findings.rule import FindingKind
from inspector.findings.rules import rule, rules
from inspector.records.field import says
from inspector.records.finding import Qualifier
from inspector.report.explain import explained, kind_named, kinds, listed
from inspector.report.layout import Screen
from tests.cli.conftest import Run

CODES = [kind.code for kind in kinds()]


def test_every_finding_has_its_line_under_what_it_is_about(run: Run) -> None:
    findings, _, behind = run("explain").out.partition(" Behind a code: what makes it less sure\n")
    lines = findings.splitlines()
    assert lines[:2] == [" Reuse", "   reuse                        always, for every endpoint with requests"]
    assert [line.split()[0] for line in lines if re.match(r"   [a-z]", line)] == CODES
    assert {line.split()[0] for line in behind.splitlines() if line.startswith("   ")} == {*get_args(Qualifier)}
    assert {one.code for one in rules()} | {"hop-header-changed"} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_one_finding_is_told_in_full(code: str, run: Run) -> None:
    kind, out = kind_named(code), run("explain", code).out
    assert out.startswith(f" {code}\n")
    for text in (kind.meaning, kind.when, kind.severity, kind.example, kind.advice):
        assert text in out
    for name in kind.measured.__struct_encode_fields__:
        assert re.search(rf"^ {{3}}(measured)? +{name} ", out, re.MULTILINE)
    for name in kind.thresholds.__struct_fields__:
        assert re.search(rf"^ {{3}}(thresholds)? +{name} +\S", out, re.MULTILINE)


class Measured(Struct):
    """What was measured."""

    silence_before_the_close_ns: Annotated[int, says("How long nothing came.")]
    kept_bytes: Annotated[int, says("What was kept meanwhile.")]
    n: Annotated[int, says("How often.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    near_ns: Annotated[int, says("So near is near.")] = 1_500_000_000
    part: Annotated[float, says("So much is most of it.")] = 0.5
    least: Annotated[int, says("So many are a habit.")] = 2_000


KIND = FindingKind(
    code="made-up",
    when="a test asks",
    severity="info",
    measured=Measured,
    thresholds=Thresholds(),
    meaning="Nothing.",
    example="This.",
    advice="Read on.",
)


def test_figures_have_their_units_and_thresholds_their_values() -> None:
    assert [*explained(KIND, Screen())][-7:] == [
        "   measured   silence_before_the_close_ns     ns  How long nothing came.",
        "              kept_bytes                   bytes  What was kept meanwhile.",
        "              n                                   How often.",
        "",
        "   thresholds near_ns  1.50 s  So near is near.",
        "              part        0.5  So much is most of it.",
        "              least     2,000  So many are a habit.",
    ]


def test_a_sentence_without_room_stands_below_its_figure() -> None:
    lines = [*explained(KIND, Screen(60))]
    at = lines.index("   measured   silence_before_the_close_ns     ns")
    assert lines[at + 1] == "                 How long nothing came."


def test_a_program_gets_the_same_with_types(run: Run) -> None:
    (told,) = json.loads(run("explain", "server-idle-timeout", "-T", "json").out)["findings"]
    kind = rule("server-idle-timeout")
    assert kind is not None
    assert told["meaning"] == kind.meaning
    assert told["family"] == "Timers and limits"
    assert told["measured"]["timeout_ns"]["unit"] == "ns"
    assert told["measured"]["n"] == {"description": "Closes that agree on it.", "type": "integer"}
    values = {name: one["value"] for name, one in told["thresholds"].items()}
    assert values == structs.asdict(kind.thresholds)
    everything = json.loads(run("explain", "-T", "json").out)
    assert [one["code"] for one in everything["findings"]] == CODES
    assert "$ref" not in json.dumps(everything)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_nothing_is_wider_than_the_screen(width: int) -> None:
    screen = Screen(width)
    pages = [listed(screen), *(explained(kind, screen) for kind in kinds())]
    assert max(len(line) for page in pages for line in page) <= width


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("client-never-reuse", "did you mean client-never-reuses?"),
        ("Server_Idle_Timeout", "did you mean server-idle-timeout?"),
        ("hop", "did you mean hop-header-changed?"),
        ("xyzzy", "'connspect explain' lists all"),
        ("\x1b[2J", "'connspect explain' lists all"),
    ],
)
def test_a_word_that_is_no_code_is_one_line(typed: str, hint: str, run: Run) -> None:
    ran = run("explain", typed)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("connspect: explain: there is no finding ")
    assert ran.err.endswith(f"; {hint}\n")
    assert "\x1b" not in ran.err


def test_what_stands_behind_a_code_is_told_too(run: Run) -> None:
    ran = run("explain", "few-samples")
    line = "connspect: explain: few-samples is no finding: it stands behind one, and says that it was seen once\n"
    assert (ran.status, ran.err) == (2, line)


def test_other_formats_are_refused(run: Run) -> None:
    assert run("explain", "-T", "ndjson").err == "connspect: --format ndjson: explain writes table and json\n"


def test_a_shell_completes_codes() -> None:
    complete = ShellComplete(connspect, {}, "connspect", "_CONNSPECT_COMPLETE")
    assert [item.value for item in complete.get_completions(["explain"], "client-a")] == ["client-asked-close"]
