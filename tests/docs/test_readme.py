"""What the README shows is what the commands print."""

from __future__ import annotations

from tests.docs.readme import README, refreshed


def test_every_example_prints_what_the_page_shows() -> None:
    text = README.read_text("utf-8")
    assert text.count("$ connspect") >= 7
    assert refreshed(text) == text


def test_an_example_that_is_no_longer_true_is_found() -> None:
    page = "```console\n$ connspect --version\nconnspect, version 0.0.0\n```\n"
    assert refreshed(page) != page
