"""`connspect check` as it is typed: what it says, and its exit status."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import CAPTURES, NGINX, Run

RACE = CAPTURES / "race-after" / "client.pcapng"


def test_limits_that_are_kept(run: Run) -> None:
    ran = run("check", NGINX, "--max-opened", "shop.test:8001=6", "--min-requests-per-connection", "3")
    assert (ran.status, ran.out, ran.err) == (0, "2 of 2 limits kept\n", "")


def test_a_limit_that_is_broken(run: Run) -> None:
    ran = run("check", NGINX, "--max-opened", "1", "--max-races", "0")
    assert ran.status == 1
    what = "10.0.0.1:8001: opened 6, at most 1 allowed (connections 0, 1, 2, 3, 4, 5)"
    broken, count = ran.out.splitlines()
    assert broken.split() == ["BROKEN", "max-opened", *what.split()]
    assert count == "1 of 2 limits kept"


def test_verbose_tells_what_was_kept(run: Run) -> None:
    ran = run("check", "-v", NGINX, "--max-races", "0")
    assert (
        ran.out == "kept    max-races                    10.0.0.1:8001: races 0, at most 0 allowed\n1 of 1 limit kept\n"
    )


def test_a_race(run: Run) -> None:
    ran = run("check", RACE, "--max-races", "0", "-T", "json")
    assert ran.status == 1
    told = json.loads(ran.out)
    assert told["kept"] is False
    (verdict,) = told["limits"]
    assert (verdict["limit"], verdict["actual"], verdict["connections"]) == ("max-races", 1, [0])


def test_a_broken_limit_wins_over_a_damaged_capture(run: Run, tmp_path: object) -> None:
    cut = f"{tmp_path}/cut.pcapng"
    with open(cut, "wb") as file:
        file.write(NGINX.read_bytes()[:-3])
    assert run("check", cut, "--max-opened", "6").status == 4
    assert run("check", cut, "--max-opened", "5").status == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "check: no limit was given; --max-opened HOST:PORT=N is one"),
        (("--max-opened", "shop.test"), "--max-opened shop.test: 'shop.test' is no number"),
        (("--forbid", "waring"), "--forbid waring: no such code or severity; there are "),
        (("--max-opened", "1", "-T", "ndjson"), "--format ndjson: check writes table and json"),
    ],
)
def test_what_cannot_be_checked(run: Run, arguments: tuple[str, ...], said: str) -> None:
    ran = run("check", NGINX, *arguments)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
