"""What becomes of tests with the fixture where capturing is not permitted."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TEST = """
import pytest
from inspector.sources import live

@pytest.fixture(autouse=True)
def no_rights(monkeypatch):
    def refuse(names):
        raise live.NotPermittedError("capturing on lo needs rights that this process does not have")
    monkeypatch.setattr(live, "open_live", refuse)

def test_something(connspect):
    with connspect.watch(8000):
        pass
"""


def test_without_rights_a_test_fails_and_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*capturing on lo needs rights*sudo*--connspect-without-rights=skip*"])


def test_it_can_be_skipped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    pytester.runpytest_subprocess("--connspect-without-rights=skip").assert_outcomes(skipped=1)


def test_the_ini_file_decides_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    pytester.makeini("[pytest]\nconnspect_without_rights = skip\n")
    pytester.runpytest_subprocess("-rs").assert_outcomes(skipped=1)
