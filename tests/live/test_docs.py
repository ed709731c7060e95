"""The examples that need root's rights print what their pages show, but for the figures."""

from __future__ import annotations

import pytest

from tests.docs.examples import masked, refreshed
from tests.docs.pages import ROOT, blocks, pages

pytestmark = pytest.mark.live

PAGES = {
    str(page.relative_to(ROOT)): page
    for page in pages()
    if any(block.root for block in blocks(page.read_text("utf-8")))
}


@pytest.mark.parametrize("name", PAGES)
def test_every_example_prints_what_the_page_shows(name: str) -> None:
    text = PAGES[name].read_text("utf-8")
    assert masked(refreshed(text, root=True)) == masked(text), "python -m tests.docs.rewrite --root writes it anew"
