"""The handbook builds without a warning, and what is built loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

#: Attributes by which a browser loads something; `a` only leads there.
LOADED = {"src", "srcset", "poster", "data", "action", "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stderr
    return folder


class Loads(HTMLParser):
    """What a page's elements load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in LOADED and value and elsewhere(value)]

    handle_startendtag = handle_starttag


def elsewhere(address: str) -> bool:
    return bool(re.match(r"\s*(\w+:)?//", address))


def loads(page: str) -> list[str]:
    parser = Loads()
    parser.feed(page)
    return parser.found


def test_every_page_is_there(site: Path) -> None:
    made = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert made <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert not [load for page in site.rglob("*.html") for load in loads(page.read_text("utf-8"))]
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")]+)", sheet.read_text("utf-8"))
        assert not [address for address in addresses if elsewhere(address)]


def test_what_the_theme_loads_for_diagrams_and_repositories_is_not_used(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert 'class="mermaid"' not in text
        assert 'data-md-component="source"' not in text


def test_what_is_loaded_would_be_found() -> None:
    assert loads('<link href="https://fonts.test/x.css"><a href="https://a.test">') == ["https://fonts.test/x.css"]
    assert loads('<script src="//cdn.test/x.js"></script><img src="a.svg">') == ["//cdn.test/x.js"]
