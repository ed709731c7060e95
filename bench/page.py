"""`python -m bench page`: how large the page of many connections is, how soon it is open, and whether it stays smooth.

The page of a generated workload is opened in Chromium (Debian's, without a graphics card) by Playwright; each round in
a new window. A frame's time is from one to the next while the picture scrolls and zooms and while the list scrolls, one
step a frame: a screen that draws 60 a second needs 17 ms.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import captures
from inspector.cli.main import main as connspect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

CONNECTIONS = 20_000
#: Seconds in which it has to be open.
REQUIRED = 3.0
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)

_DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
#: Milliseconds of each frame, in order of length.
_FRAMES = """async (what) => {
  const timeline = document.getElementById("timeline"), list = document.getElementById("table");
  const always = {ctrlKey: true, clientX: 700, bubbles: true, cancelable: true};
  const wheel = (deltaY) => new WheelEvent("wheel", {...always, deltaY});
  const acts = {
    "picture scrolls": () => { timeline.scrollTop += 180; },
    "picture zooms": (i) => { timeline.dispatchEvent(wheel(i < 30 ? -60 : 60)); },
    "list scrolls": () => { list.scrollTop += 520; },
  };
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 60; i++) {
    acts[what](i);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames.sort((a, b) => a - b);
}"""


def launched(driver: Playwright) -> Browser:
    """A browser without a window."""
    return driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS))


def opened(browser: Browser, path: Path) -> tuple[float, Page]:
    """Seconds until the page is drawn, and the page."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    started = time.perf_counter()
    page.goto(path.as_uri())
    page.evaluate(_DRAWN)
    return time.perf_counter() - started, page


def measure(browser: Browser, path: Path, rounds: int) -> float:
    """Print what one page came to; the median of the seconds until it was open."""
    seconds = []
    for _ in range(rounds):
        taken, page = opened(browser, path)
        seconds.append(taken)
        page.context.close()
    spread = f"({min(seconds):.2f} – {max(seconds):.2f})"
    print(f"  {path.stat().st_size / 1e6:.1f} MB, open in {median(seconds):.2f} s {spread}")
    _, page = opened(browser, path)
    for what in ("picture scrolls", "picture zooms", "list scrolls"):
        frames = page.evaluate(_FRAMES, what)
        print(f"  {what:<16} {median(frames):5.1f} ms a frame, 95 % within {frames[56]:.1f}, longest {frames[-1]:.1f}")
    page.context.close()
    return median(seconds)


def main(arguments: list[str]) -> int:
    """The command line; 1 when a page takes too long to open."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m bench page", description=__doc__)
    parser.add_argument("--count", type=int, default=CONNECTIONS, help=f"connections, {CONNECTIONS} unless given")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    late = False
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = launched(driver)
        for workload in ("short", "mixed"):
            path, capture = Path(folder) / f"{workload}.html", captures.generated(workload, options.count)
            started = time.perf_counter()
            connspect(["read", "-q", "-T", "html", "-o", str(path), str(capture)])
            print(f"{workload}, {options.count:,} connections, written in {time.perf_counter() - started:.1f} s")
            late |= measure(browser, path, options.rounds) > REQUIRED
        browser.close()
    return int(late)
