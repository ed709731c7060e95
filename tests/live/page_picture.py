"""Makes the README's picture of the page: `python -m tests.live.page_picture docs` (Chromium, Playwright)."""

from __future__ import annotations

import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.page import launched
from inspector.cli.main import main as connspect
from tests.recordings import CAPTURES

#: Threads that share a pool of two connections.
RECORDING = "captures/urllib3-pool-threads/client.pcapng.gz"
WIDTH, HEIGHT = 1120, 1100


def main(folder: Path) -> None:
    """Make it: the top of the page, as a window shows it in the light."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        report = Path(temporary) / "report.html"
        with chdir(CAPTURES.parent):
            connspect(["read", "-q", "-T", "html", "-o", str(report), RECORDING])
        browser = launched(driver)
        page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light").new_page()
        page.goto(report.as_uri())
        page.wait_for_timeout(500)
        page.screenshot(path=folder / "page.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
