"""The page in a browser: Debian's Chromium, driven by Playwright. It asks nobody for anything, and does what it says.

What is drawn on the timeline is read from its pixels: lanes are where script/lanes.js puts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.generate import generate
from bench.page import CHROMIUM, launched
from inspector.cli.main import main
from tests.recordings import CAPTURES
from tests.report.html.hostile import CONNECTION, HOST, MARKER, TARGET, hostile_capture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route

pytestmark = pytest.mark.live

RECORDINGS = ("nginx-idle", "requests-get-loop", "envoy-h2-drain", "race-after", "urllib3-pool-threads")

#: Heights of script/lanes.js: the ruler, a server's head, a lane.
RULER, HEAD, LANE = 24, 24, 18
#: Of http/1.1, of text and marks, and of races in page.css, in the light.
BLUE, DARK, VERMILION = [0, 114, 178], [28, 33, 38], [213, 94, 0]

#: Where a lane has pixels of a colour, right of its label: [from, to] for each run of columns.
_RUNS = """([top, colour]) => {
  const canvas = document.getElementById("lines");
  const copy = new OffscreenCanvas(canvas.width, 18);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, -top);
  const pixels = context.getImageData(0, 0, canvas.width, 18).data;
  const isThere = (x, y) => colour.every((value, channel) => pixels[4 * (y * canvas.width + x) + channel] === value);
  const runs = [];
  for (let x = 180; x < canvas.width; x++) {
    if (!Array.from({ length: 18 }, (_, y) => y).some((y) => isThere(x, y))) continue;
    const last = runs[runs.length - 1];
    if (last && x - last[1] < 3) last[1] = x;
    else runs.push([x, x]);
  }
  return runs;
}"""


#: How many boxes stand one above the other halfway through a lane, by the runs of a colour from top to bottom.
_LAYERS = """([top, colour, share]) => {
  const canvas = document.getElementById("lines");
  const context = new OffscreenCanvas(1, 18).getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, -Math.round(176 + share * (canvas.width - 202)), -top);
  const pixels = context.getImageData(0, 0, 1, 18).data;
  let runs = 0, was = false;
  for (let y = 0; y < 18; y++) {
    const is = colour.every((value, channel) => pixels[4 * y + channel] === value);
    if (is && !was) runs += 1;
    was = is;
  }
  return runs;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"programs are missing: chromium ({CHROMIUM})")
    with playwright.sync_playwright() as driver:
        started = launched(driver)
        yield started
        started.close()


@dataclass
class Opened:
    """A page that is open, and what went wrong with it."""

    page: Page
    trouble: list[str] = field(default_factory=list)

    def count(self) -> str:
        return self.page.locator("#count").inner_text()

    def settled(self) -> None:
        """Whatever is to be drawn, is."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def runs(self, lane: int, colour: list[int]) -> list[list[int]]:
        """Where a lane of the first server has pixels of a colour, from left to right."""
        self.settled()
        found: list[list[int]] = self.page.evaluate(_RUNS, [RULER + HEAD + lane * LANE, colour])
        return found

    def pixels(self, lane: int) -> int:
        """Columns with http/1.1's colour in a lane of the first server."""
        return sum(to - begin + 1 for begin, to in self.runs(lane, BLUE))

    def click_lane(self, lane: int) -> None:
        timeline = self.page.locator("#timeline")
        timeline.scroll_into_view_if_needed()
        box = timeline.bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + 300, box["y"] + 1 + RULER + HEAD + lane * LANE + LANE / 2)


def write(capture: Path, folder: Path, *options: str) -> Path:
    keys = [argument for log in capture.parent.glob("keys.log") for argument in ("--keylog", str(log))]
    output = folder / "report.html"
    assert main(["read", "-q", "-T", "html", "-o", str(output), *keys, *options, str(capture)]) == 0
    return output


def recorded(name: str) -> Path:
    (capture,) = (CAPTURES / name).glob("client.pcapng*")
    return capture


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[type[Show]]:
    Show.browser, Show.folder = browser, tmp_path
    Show.opened = []
    yield Show
    for opened in Show.opened:
        opened.settled()
        assert opened.trouble == []
        opened.page.context.close()


class Show:
    """Opens pages; at the end of a test none of them may have had any trouble."""

    browser: Browser
    folder: Path
    opened: list[Opened]

    @classmethod
    def capture(cls, capture: Path, *, scheme: str = "light", width: int = 1280, height: int = 800) -> Opened:
        return cls.file(write(capture, cls.folder), scheme=scheme, width=width, height=height)

    @classmethod
    def file(cls, path: Path, *, scheme: str = "light", width: int = 1280, height: int = 800) -> Opened:
        context = cls.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        opened = Opened(context.new_page())

        def refuse(route: Route, request: Request) -> None:
            if request.url == path.as_uri():
                route.continue_()
            else:
                opened.trouble.append(f"asks for {request.url}")
                route.abort()

        def note(message: ConsoleMessage) -> None:
            opened.trouble.append(f"{message.type}: {message.text}")

        context.route("**/*", refuse)
        opened.page.on("console", note)
        opened.page.on("pageerror", lambda error: opened.trouble.append(f"error: {error}"))
        opened.page.goto(path.as_uri())
        opened.settled()
        cls.opened.append(opened)
        return opened


Pages = type[Show]


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize(("scheme", "width", "height"), [("light", 1280, 800), ("dark", 390, 844)])
def test_a_page_opens_without_trouble(name: str, scheme: str, width: int, height: int, show: Pages) -> None:
    opened = show.capture(recorded(name), scheme=scheme, width=width, height=height)
    page = opened.page
    assert page.locator("h1").inner_text().endswith(recorded(name).name)
    # Nothing sticks out: no scrolling to the side, whatever the width.
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#rows .row").count() > 0
    assert page.evaluate("document.getElementById('lines').width") > 300
    opened.click_lane(0)
    assert page.locator("#story").is_visible()
    assert page.locator("#story tr").count() > 4


def test_marks_stand_where_something_happened(show: Pages) -> None:
    """Three PINGs, two GOAWAYs, the close; and a request behind a close."""
    left, right = 176, 26
    span_ns = 4_662_488_000
    drawn = show.capture(recorded("envoy-h2-pings"))
    width = drawn.page.evaluate("document.getElementById('lines').width") - left - right
    seconds = (1.056258, 2.057532, 3.054790, 3.608409, 4.009288, 4.557987)
    expected = [left + (at * 1e9 / span_ns + 0.015) / 1.03 * width for at in seconds]
    middles = [(begin + to + 1) / 2 for begin, to in drawn.runs(0, DARK)]
    assert middles == pytest.approx(expected, abs=2)
    race = show.capture(recorded("race-after"))
    mark, close = race.runs(0, VERMILION), race.runs(0, DARK)
    assert close[-1][1] < mark[0][0] < mark[-1][1] < close[-1][1] + 20
    quiet = show.capture(recorded("nginx-idle"))
    assert [len(quiet.runs(lane, DARK)) for lane in range(6)] == [1] * 6
    assert quiet.runs(0, VERMILION) == []


def test_streams_at_the_same_time_are_set_apart(show: Pages) -> None:
    """A box that waits has its colour along its upper and its lower edge."""
    green, lane = [0, 158, 115], RULER + HEAD
    limited = show.capture(recorded("h2-limited"))
    # At first one, with the connection's line below it; then two at a time, by the server's limit.
    assert [limited.page.evaluate(_LAYERS, [lane, green, share]) for share in (0.1, 0.3, 0.7)] == [3, 4, 4]
    pool = show.capture(recorded("urllib3-pool-threads"))
    assert pool.page.evaluate(_LAYERS, [lane, BLUE, 0.1]) == 2


def test_a_finding_shows_its_connections(show: Pages) -> None:
    opened = show.capture(recorded("urllib3-pool-threads"))
    kept, thrown = opened.pixels(0), opened.pixels(2)
    assert kept > 50
    assert thrown > 20
    button = opened.page.get_by_role("button", name="Show 30 connections")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    # Two connections were kept: they stand back, and leave the list.
    assert opened.count() == "30 of 32 connections"
    assert opened.pixels(0) == 0
    assert opened.pixels(2) > 20
    assert opened.page.locator("#table").get_attribute("aria-rowcount") == "31"
    assert opened.page.locator("#rows .row").first.inner_text().split()[0] == "2"
    button.click()
    assert opened.count() == "32 connections"
    assert opened.pixels(0) == kept


def test_a_filter_chooses(show: Pages) -> None:
    opened = show.capture(recorded("urllib3-pool-threads"))
    search = opened.page.locator("#search")
    search.fill("#31 client")
    assert opened.count() == "1 of 32 connections"
    opened.settled()
    assert opened.page.locator("#rows .row").count() == 1
    search.fill("server FIN")
    assert opened.count() == "0 of 32 connections"
    assert "No connection matches" in opened.page.locator("#rows").inner_text()
    search.press("Escape")
    assert opened.count() == "32 connections"
    # Without connections there were no distributions, above the button.
    opened.page.locator("#distributions").wait_for()
    opened.page.get_by_role("button", name="Show connections to 10.0.0.1:8001").click()
    assert opened.count() == "32 connections"
    assert search.input_value() == "10.0.0.1:8001"


#: What is below every picture: of its boxes and lines, and of the strip above it.
BOX, PALE = "request under way", "request under way, pale until its response began"
LINE, UNSEEN = "no request under way: handshakes, later idle", "open, no request seen"
BEGINS, TAIL = "first packet: the handshake begins", "after the close, until the last packet"
STRIP = "strip above: how many were open; framed: the part below"


@pytest.mark.parametrize(
    ("name", "legend"),
    [
        ("urllib3-pool-threads", ["http/1.1", PALE, LINE, BEGINS, TAIL, "closed by client, FIN", STRIP]),
        ("envoy-h2-drain", ["h2", PALE, LINE, BEGINS, TAIL, "closed by server, FIN", "GOAWAY by server", STRIP]),
        (
            "races-after",
            ["http/1.1", PALE, LINE, BEGINS, TAIL, "closed by server, FIN", "request that met the close", STRIP],
        ),
        ("unanswered", ["nothing sent", LINE, BEGINS, "never opened: unanswered or half-open", STRIP]),
    ],
)
def test_the_legend_has_the_marks_of_this_page(name: str, legend: list[str], show: Pages) -> None:
    assert show.capture(recorded(name)).page.locator("#legend li").all_inner_texts() == legend


def test_the_legend_has_what_occurs_rarely(show: Pages) -> None:
    def legend(name: str) -> list[str]:
        return show.capture(recorded(name)).page.locator("#legend li").all_inner_texts()

    assert "requests at the same time" in legend("h2-limited")
    assert "without a tick: open before the capture" in legend("mid-stream")
    closed = legend("tls-no-keys")
    assert UNSEEN in closed
    assert not {BOX, PALE, LINE} & set(closed)


@pytest.mark.parametrize("name", RECORDINGS)
def test_all_of_the_capture_is_shown_at_first(name: str, show: Pages) -> None:
    page = show.capture(recorded(name)).page
    span = page.locator(".facts span").nth(1).inner_text()
    assert page.locator("#window").inner_text().startswith(f"{span} shown, ")


def test_zoom_and_move(show: Pages) -> None:
    opened = show.capture(recorded("nginx-idle"))
    page, shown = opened.page, opened.page.locator("#window")
    assert shown.inner_text().startswith("8.46 s shown, at most 6 open at once")
    page.get_by_role("button", name="Zoom in").click()
    opened.settled()
    assert shown.inner_text().startswith("5.23 s shown")
    page.locator("#timeline").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    opened.settled()
    assert shown.inner_text().startswith("1.88 s shown")
    whole = opened.pixels(0)
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    # All the way to the right, the first connection is over.
    assert opened.pixels(0) < whole
    page.keyboard.press("0")
    opened.settled()
    assert shown.inner_text().startswith("8.46 s shown")
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 600, box["y"] + 60)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    opened.settled()
    assert shown.inner_text().startswith("3.2")


def test_the_strip_above_chooses_a_part(show: Pages) -> None:
    opened = show.capture(recorded("nginx-idle"))
    page = opened.page
    page.locator("#overview").scroll_into_view_if_needed()
    box = page.locator("#overview").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 400, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 20, steps=4)
    page.mouse.up()
    opened.settled()
    part, unit = page.locator("#window").inner_text().split()[:2]
    assert unit == "ms"
    assert float(part) == pytest.approx(8_710 * 100 / 1_030, rel=0.05)


def test_a_story_by_pointer_and_by_keys(show: Pages) -> None:
    opened = show.capture(recorded("race-after"))
    page, story = opened.page, opened.page.locator("#story")
    opened.click_lane(0)
    told = story.inner_text()
    for words in ("GET /a", "· idle 1.00 s ·", "closed first, idle 1.00 s", "sent after the close had arrived"):
        assert words in told
    page.keyboard.press("Escape")
    assert not story.is_visible()
    page.locator("#timeline").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#told").inner_text().startswith("#0 10.0.0.2:36615 → shop.test 10.0.0.1:8001")
    page.keyboard.press("Enter")
    assert story.is_visible()
    page.get_by_role("button", name="Close the story").click()
    assert page.evaluate("document.activeElement.id") == "timeline"
    page.locator("#table").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert story.is_visible()


def test_how_a_story_is_opened_is_said(show: Pages) -> None:
    page = show.capture(recorded("race-after")).page
    for section in ("#picture", "#connections"):
        hint = page.locator(f"{section} .hint")
        assert hint.is_visible()
        assert "Click a " in hint.inner_text()
        assert "Enter tells its story" in hint.inner_text()


@pytest.mark.parametrize(
    ("width", "height"), [(390, 844), (700, 900), (999, 700), (1000, 700), (1280, 800), (1800, 900)]
)
def test_a_story_leaves_its_connection_in_sight(width: int, height: int, show: Pages) -> None:
    opened = show.capture(recorded("nginx-proxy-before"), width=width, height=height)
    page, story = opened.page, opened.page.locator("#story")
    bar = page.locator("#bar").bounding_box()
    for lane in (2, 12):
        opened.click_lane(lane)
        opened.settled()
        told, timeline = story.bounding_box(), page.locator("#timeline").bounding_box()
        assert bar is not None
        assert told is not None
        assert timeline is not None
        scrolled = page.evaluate("document.getElementById('timeline').scrollTop")
        top = timeline["y"] + 1 + RULER + HEAD + lane * LANE - scrolled
        lowest = told["y"] if told["x"] == 0 else height
        assert bar["height"] <= top < top + LANE <= lowest
        assert told["x"] == 0 or timeline["x"] + timeline["width"] <= told["x"]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.keyboard.press("Escape")
        opened.settled()
    page.locator("#rows .row").nth(9).click()
    row, told = page.locator("#rows .row").nth(9).bounding_box(), story.bounding_box()
    assert row is not None
    assert told is not None
    assert row["y"] + row["height"] <= (told["y"] if told["x"] == 0 else height)


def test_a_duration_is_the_same_wherever_it_stands(show: Pages) -> None:
    opened = show.capture(recorded("urllib3-pool-threads"))
    page = opened.page
    listed = page.locator("#rows .row").first.locator("> :nth-child(9)").inner_text()
    assert listed == "281 ms"
    opened.click_lane(0)
    assert f"for {listed}, to its last packet" in page.locator("#story").inner_text()
    assert f"for {listed}, to its last packet" in page.locator("#told").inner_text()


@pytest.mark.parametrize("width", [390, 480, 700, 701, 999, 1000, 1280])
def test_distributions_are_there_from_the_first(width: int, show: Pages) -> None:
    page = show.capture(recorded("urllib3-pool-threads"), width=width).page
    # No waiting: they are drawn with the rest.
    assert page.locator("#distributions").is_visible()
    assert page.locator("#charts .axis").all_inner_texts() == [
        "idle before the close, logarithmic (1, 2, 5, 10 …)",
        "requests",
        "time of the handshake",
    ]
    drawn = [box.bounding_box() for box in page.locator("#charts canvas").all()]
    assert [box is not None and box["width"] > 250 and box["x"] + box["width"] <= width for box in drawn] == [True] * 3
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_what_a_code_means_is_folded_below_its_finding(show: Pages) -> None:
    page = show.capture(recorded("urllib3-pool-threads")).page
    kind = page.locator(".finding .kind")
    meaning = kind.locator("p")
    assert not meaning.is_visible()
    kind.locator("summary").press("Enter")
    assert meaning.inner_text().startswith("More requests run at once than the client's pool keeps connections.")


def test_keys_go_through_the_page_from_top_to_bottom(show: Pages) -> None:
    page = show.capture(recorded("urllib3-pool-threads")).page
    name = "document.activeElement.id || document.activeElement.textContent.trim()"
    order = []
    for _ in range(13):
        page.keyboard.press("Tab")
        order.append(page.evaluate(name))
    assert order[:3] == ["To the picture", "Copy", "Show 30 connections"]
    assert order[3:9] == ["What pool-overflow means", "search", "zoom-in", "zoom-out", "zoom-all", "timeline"]
    assert order[10:] == ["10.0.0.1:8001", "table", "id"]


def test_findings_and_servers_are_there_without_scripts(show: Pages) -> None:
    path = write(recorded("races-after"), show.folder)
    context = show.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    text = page.locator("body").inner_text()
    for words in (
        "4 requests to shop.test 10.0.0.1:8001 were lost",
        "need scripts (JavaScript), which are off here",
        "server FIN ×4",
    ):
        assert words in text, words
    for idle in ("#bar", "#drawing", "#distributions", "#connections", ".show >> nth=0", ".copy >> nth=0"):
        assert not page.locator(idle).is_visible(), idle
    page.locator(".kind summary").first.click()
    assert page.locator(".kind p").first.is_visible()
    context.close()


def test_what_is_below_the_pointer_is_told(show: Pages) -> None:
    opened = show.capture(recorded("nginx-idle"))
    page = opened.page
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 192, box["y"] + 1 + RULER + HEAD + LANE / 2)
    told = page.locator("#hover").inner_text()
    assert told.startswith("#0 10.0.0.2:38738 → shop.test 10.0.0.1:8001")
    assert "GET /a → 200" in told
    assert "idle 7.00 s" in told


def test_the_list_is_sorted(show: Pages) -> None:
    opened = show.capture(recorded("urllib3-pool-threads"))
    head = opened.page.locator("#heads").get_by_role("columnheader", name="requests")
    head.get_by_role("button").click()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    cells = opened.page.locator("#rows .row > :nth-child(6)").all_inner_texts()
    assert cells[:3] == ["5", "5", "1"]


def test_a_filter_for_wireshark_is_copied(show: Pages) -> None:
    opened = show.capture(recorded("nginx-idle"))
    page = opened.page
    button = page.get_by_role("button", name="Copy this Wireshark filter").first
    button.click()
    page.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
    page.locator("#search").focus()
    page.keyboard.press("Control+v")
    assert page.locator("#search").input_value().startswith("tcp.stream in {0..5} && tcp.flags.fin == 1")


def test_paper_has_light_colours_and_the_whole_list(show: Pages) -> None:
    opened = show.capture(recorded("urllib3-pool-threads"), scheme="dark")
    page = opened.page
    before = opened.pixels(0)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert before == 0
    assert opened.pixels(0) > 50
    assert page.locator("#rows .row").count() == 32
    assert not page.locator("#bar").is_visible()
    # What is folded cannot be unfolded there; the distributions stand in a row.
    assert not page.locator(".kind").first.is_visible()
    charts = [box.bounding_box() for box in page.locator("#charts .chart").all()]
    assert len(charts) == 3
    assert len({box["y"] for box in charts if box is not None}) == 1
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.pixels(0) == 0


def test_hostile_text_is_shown_as_text(show: Pages) -> None:
    capture = show.folder / "hostile.pcap"
    capture.write_bytes(hostile_capture())
    opened = show.capture(capture)
    page = opened.page
    elements = page.evaluate("document.querySelectorAll('script, img, svg, iframe, object, embed').length")
    opened.click_lane(0)
    page.mouse.move(10, 10)
    told = page.locator("#story").inner_text()
    assert f"GET {TARGET}" in told
    assert CONNECTION.replace("\u202e", "")[:20] in told
    assert HOST.lower() in page.locator("#rows").inner_text()
    page.keyboard.press("Escape")
    page.locator("#search").fill(MARKER)
    assert opened.count() == "1 connection"
    assert page.evaluate("window.wasRun") is None
    assert page.evaluate("document.querySelectorAll('script, img, svg, iframe, object, embed').length") == elements


def test_twenty_thousand_connections(show: Pages) -> None:
    capture = show.folder / "many.pcap"
    generate("short", capture, 20_000)
    opened = show.capture(capture)
    page = opened.page
    assert opened.count() == "20,000 connections"
    # The list has what is in sight, the picture says what it does not tell apart.
    assert page.locator("#rows .row").count() < 60
    assert "connections too short for marks" in page.locator("#window").inner_text()
    page.locator("#table").focus()
    page.keyboard.press("End")
    opened.settled()
    assert page.locator("#rows .row").last.inner_text().split()[0] == "19999"
    page.keyboard.press("Enter")
    assert page.locator("#story").is_visible()
    page.get_by_role("button", name="Zoom to it").click()
    opened.settled()
    assert " ms shown" in page.locator("#window").inner_text()
    page.keyboard.press("Escape")
    page.locator("#search").fill("#12345 ")
    assert opened.count() == "1 of 20,000 connections"
    # A pixel is many connections wide: how many were open at once is not counted in pixels.
    assert main(["read", "-q", "-T", "json", "-o", str(show.folder / "report.json"), str(capture)]) == 0
    endpoints = json.loads((show.folder / "report.json").read_text("utf-8"))["endpoints"]
    page.get_by_role("button", name="Whole capture").click()
    for endpoint in endpoints:
        page.locator("#search").fill(f"{endpoint['ip']}:80")
        opened.settled()
        assert opened.count() == "10,000 of 20,000 connections"
        most = f"at most {endpoint['max_open_at_once']} open at once"
        assert most in page.locator("#window").inner_text()
