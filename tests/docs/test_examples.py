"""What the pages show is what their examples print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import is_run, masked, refreshed
from tests.docs.pages import ROOT, TYPED, blocks, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
WITH_EXAMPLES = {
    name: page
    for name, page in PAGES.items()
    if any(is_run(block) and not block.root for block in blocks(page.read_text("utf-8")))
}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_every_example_prints_what_the_page_shows(name: str) -> None:
    text = PAGES[name].read_text("utf-8")
    assert refreshed(text) == text, "python -m tests.docs.rewrite writes it anew"


@pytest.mark.parametrize("name", PAGES)
def test_what_is_not_run_says_why(name: str) -> None:
    for block in blocks(PAGES[name].read_text("utf-8")):
        if block.language in TYPED and block.language not in ("console", "pycon"):
            assert block.reason or block.file, block.body


def test_the_pages_have_examples() -> None:
    assert {"README.md", "docs/index.md", "docs/reference/python.md"} <= set(WITH_EXAMPLES)
    assert len(WITH_EXAMPLES) >= 10


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ connspect --version\nconnspect, version 0.0.0\n```\n",
        "```console\n$ connspect --version\n```\n",
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```pycon\n>>> def one():\n...     return 1\n>>> one()\n2\n```\n",
    ],
)
def test_an_example_that_is_no_longer_true_is_found(page: str) -> None:
    assert refreshed(page) != page


@pytest.mark.parametrize(
    "page",
    [
        "```console\n$ echo one\none\n$ echo two \\\n  three\ntwo three\n```\n",
        "```console\n$ echo kept > file\n```\n\n```console\n$ cat file; ls\nkept\ncaptures\nfile\n```\n",
        "```pycon\n>>> text = 'a'\n```\n\n```pycon\n>>> text\n'a'\n>>> 1 / 0\nTraceback (most recent call last):\n"
        "  ...\nZeroDivisionError: division by zero\n```\n",
        "<!-- not run: no such thing -->\n```console\n$ nonesuch\nis left alone\n```\n",
        "<!-- root: it needs it -->\n```console\n$ exit 1\nis left alone here\n```\n",
        "<!-- file: one.py -->\n```python\nprint(1)\n```\n\n```console\n$ python one.py\n1\n```\n",
        "<!-- needs: nonesuch -->\n```console\n$ nonesuch\nis left alone\n```\n",
    ],
)
def test_an_example_that_is_true_stays_as_it_is(page: str) -> None:
    assert refreshed(page) == page


def test_the_working_folder_is_not_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refreshed("```console\n$ touch there\n```\n")
    assert not any(tmp_path.iterdir())


def test_figures_of_another_run_are_not_compared() -> None:
    one, other = "took 1.53 ms (0.99 – 1.60) of 2 s", "took 812 µs  of 2 s"
    assert masked(one) == masked(other)
    assert masked(one) != masked("took no time of 2 s")
