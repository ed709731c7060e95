"""The screen as a person sees it: views, keys, panes, and what it does when there is no room or no end."""

from __future__ import annotations

import pytest

from inspector.records.finding import Finding
from inspector.report.screen.app import LEAST_HEIGHT, LEAST_WIDTH
from tests.report.screen.stage import Seen, Stage, on_screen
from tests.tcp.playbook import Talk

ASK = b"GET /%b HTTP/1.1\r\nHost: %b\r\n\r\n"


def _talks() -> list[Talk]:
    """Three connections to a shop, two to a bank, one that is refused."""
    talks = []
    for number, (server, name, path) in enumerate(
        [
            ("10.0.0.2:80", b"shop.example", b"a"),
            ("10.0.0.2:80", b"shop.example", b"b"),
            ("10.0.0.2:80", b"shop.example", b"c"),
            ("10.0.0.3:8080", b"bank.example", b"x"),
            ("10.0.0.3:8080", b"bank.example", b"y"),
        ]
    ):
        talk = Talk(f"10.0.0.1:{50000 + number}", server, start=number).handshake().exchange(ASK % (path, name))
        talks.append(talk if number in (2, 4) else talk.wait(3).close("server"))
    talks.append(Talk("10.0.0.1:50009", "10.0.0.4:9", start=9).c("SYN").s("RST ACK", seq=0))
    return talks


def _stage() -> Stage:
    stage = Stage()
    stage.play(*_talks())
    return stage


def _finding(severity: str, title: str) -> Finding:
    return Finding("some-code", severity, "10.0.0.2:80", None, [0], title, "", {}, [], [], [], None, "")  # type: ignore[arg-type]


def _row(seen: str, what: str) -> str:
    """The first line of a list that says so."""
    return next(line for line in seen.split("\n")[3:] if what in line)


def test_endpoints() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.now()
        head, where, titles, *_ = text.split("\n")
        assert head.startswith(" connspect  eth0  tcp port 80 ")
        assert "00:02:13" in head
        assert head.endswith("2 dropped  ? help  q quit")
        assert where == " 3 endpoints   sorted by opened ▼"
        assert " ".join(titles.split()) == "host:port protocol open opened▼ /s req/conn closed by idle at close last"
        shop = _row(text, "shop.example").split("  ")
        assert [cell.strip() for cell in shop if cell.strip()] == [
            *("shop.example 10.0.0.2:80", "http/1.1", "1", "3", "3.0", "1", "server FIN ×2", "3.00 s", "FIN server"),
        ]
        assert _row(text, "10.0.0.4:9").split()[-1] == "refused"
        assert text.index("shop.example 10") < text.index("bank.example 10") < text.index("10.0.0.4:9 ")

    on_screen(_stage(), scene)


def test_from_an_endpoint_to_a_story_and_back() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.press("down", "enter")
        assert text.split("\n")[1] == " bank.example 10.0.0.3:8080   2 connections   sorted by id ▼"
        assert [line.split()[0] for line in text.split("\n")[3:5]] == ["4", "3"]
        assert " open " in _row(text, "10.0.0.1:50004")
        assert "server FIN" in _row(text, "10.0.0.1:50003")
        assert "50000" not in text.split(" events ")[0]
        text = await seen.press("down", "enter")
        assert text.split("\n")[1] == " bank.example 10.0.0.3:8080 › connection 3"
        assert "10.0.0.1:50003 → 10.0.0.3:8080" in text
        assert "GET /x" in text
        assert "closed first, idle 3.00 s" in text
        text = await seen.press("escape")
        assert "2 connections" in text
        text = await seen.press("escape")
        assert "3 endpoints" in text

    on_screen(_stage(), scene)


def test_a_story_goes_on() -> None:
    stage = Stage()
    talk = Talk().handshake().exchange(ASK % (b"first", b"a.example"))
    stage.play(talk)

    async def scene(seen: Seen) -> None:
        text = await seen.press("enter", "enter")
        assert "GET /first" in text
        assert "  open\n" in text
        assert "capture ended" not in text
        before = len(talk.packets)
        talk.exchange(ASK % (b"second", b"a.example"))
        more = Talk()
        more.packets = talk.packets[before:]
        stage.play(more)
        seen.app._told_at -= 10
        text = await seen.now()
        assert "GET /first" in text
        assert "GET /second" in text

    on_screen(stage, scene)


def test_sort() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.press("r")
        assert "sorted by opened ▲" in text
        assert text.index("10.0.0.4:9 ") < text.index("bank.example 10") < text.index("shop.example 10")
        for _ in range(6):
            text = await seen.press("s")
        assert "sorted by host:port ▲" in text
        assert text.index("10.0.0.4:9 ") < text.index("bank.example 10") < text.index("shop.example 10")
        await seen.pilot.click("#endpoints", offset=(text.split("\n")[2].index("req/conn"), 0))
        text = await seen.now()
        assert "sorted by req/conn ▼" in text
        await seen.pilot.click("#endpoints", offset=(text.split("\n")[2].index("req/conn"), 0))
        assert "sorted by req/conn ▲" in await seen.now()

    on_screen(_stage(), scene)


def test_filter_as_you_type() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.press("slash", *"ban")
        assert " 1 of 3 endpoints   sorted by opened ▼   filter: ban" in text
        assert "shop.example 10" not in text
        text = await seen.press(*"k fin", "enter")
        assert "filter: bank fin" in text
        text = await seen.press("slash", *"zz")
        assert "nothing contains 'bank finzz'" in text
        text = await seen.press("escape")
        assert " 3 endpoints   sorted by opened ▼\n" in text
        text = await seen.press("slash", *"q s", "enter", "enter")
        assert not seen.app._exit, "letters that are typed are no keys"
        text = await seen.press("escape")
        assert " 3 endpoints " in text

    on_screen(_stage(), scene)


def test_the_cursor_stays_on_its_row_while_others_overtake() -> None:
    stage = _stage()

    async def scene(seen: Seen) -> None:
        await seen.press("down")
        busy = [Talk(f"10.0.0.1:{51000 + n}", "10.0.0.9:80", start=20 + n).handshake() for n in range(9)]
        stage.play(*busy)
        text = await seen.now()
        assert text.index("10.0.0.9:80") < text.index("shop.example 10")
        text = await seen.press("enter")
        assert text.split("\n")[1].startswith(" bank.example")

    on_screen(stage, scene)


def test_hold() -> None:
    stage = _stage()

    async def scene(seen: Seen) -> None:
        text = await seen.press("space")
        assert "DISPLAY HELD, capturing goes on" in text
        assert stage.away
        stage.play(Talk("10.0.0.1:50010", "10.0.0.9:80", start=30).handshake())
        text = await seen.now()
        assert "10.0.0.9:80" not in text
        text = await seen.press("space")
        assert "HELD" not in text
        assert "10.0.0.9:80" in text
        assert not stage.away

    on_screen(stage, scene)


def test_panes() -> None:
    stage = _stage()

    async def scene(seen: Seen) -> None:
        text = await seen.now()
        assert " events ───" in text
        assert "finding" not in text.rsplit("\n", 1)[0], "there are none"
        assert "shop.example:80    opened  10.0.0.1:50000  http/1.1" in text
        assert "bank.example:8080  closed  by server, FIN, after 1 request, idle 3.00 s" in text
        assert text.count("10.0.0.4:9         refused 10.0.0.1:50009") == 1
        assert " events ───" not in await seen.press("e")
        assert " events ───" in await seen.press("e")
        inspection = seen.app.board.inspection
        assert inspection is not None
        inspection.findings = [
            _finding("problem", "evil \x1b[31m title"),
            *(_finding("info", f"known {number}") for number in range(11)),
        ]
        text = await seen.now()
        assert " 12 findings ───" in text
        assert " !! 10.0.0.2:80  evil \\x1b[31m title" in text
        assert "known 7" in text
        assert "… and 3 more: F tells them all" in text
        text = await seen.press("F")
        assert text.split("\n")[1] == " findings, as they are now"
        assert "known 1 [some-code]" in text
        assert "\x1b" not in text
        assert "shop.example 10.0.0.2:80" in await seen.press("escape")
        assert "evil" not in await seen.press("f")

    on_screen(stage, scene, height=60)


def test_help_tells_all_keys() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.press("question_mark")
        assert text.split("\n")[1] == " help"
        for key in ("Enter", "Esc", "  s ", "  r ", "  / ", "  e ", "f  F", "space", "  w ", "  ? ", "q  Ctrl-C"):
            assert key in text
        text = await seen.press("escape")
        assert "3 endpoints" in text

    on_screen(_stage(), scene)


def test_write() -> None:
    stage = _stage()

    async def scene(seen: Seen) -> None:
        text = await seen.press("w")
        while "writing ..." in text:
            text = await seen.now()
        assert text.endswith(" written to /home/her/connspect.json")
        assert [len(inspection.connections) for inspection in stage.written] == [6]
        stage.full_disk = True
        text = await seen.press("w")
        while "writing ..." in text:
            text = await seen.now()
        assert text.endswith(" cannot write it: No space left on device")

    on_screen(stage, scene)


@pytest.mark.parametrize("size", [(LEAST_WIDTH - 1, 24), (80, LEAST_HEIGHT - 1), (1, 1)])
def test_too_small(size: tuple[int, int]) -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.now()
        assert text.startswith("terminal too small"[: size[0] - 1])
        assert "shop" not in text
        await seen.pilot.resize_terminal(120, 40)
        text = await seen.now()
        assert "too small" not in text
        assert "shop.example 10.0.0.2:80" in text

    on_screen(_stage(), scene, width=size[0], height=size[1])


@pytest.mark.parametrize(("width", "height"), [(LEAST_WIDTH, LEAST_HEIGHT), (80, 24), (200, 60)])
def test_it_fits(width: int, height: int) -> None:
    async def scene(seen: Seen) -> None:
        lines = (await seen.now()).split("\n")
        assert len(lines) == height
        assert max(map(len, lines)) <= width
        titles, shop = lines[2], _row("\n".join(lines), "shop.example")
        assert "shop.example:80" in shop or "shop.example 10.0.0.2:80" in shop
        for needed in ("open", "opened", "closed"):
            assert needed in titles
        assert ("last" in titles) == (width == 200)
        assert "server FIN ×2" in shop

    on_screen(_stage(), scene, width=width, height=height)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_leaving(key: str) -> None:
    async def scene(seen: Seen) -> None:
        await seen.press("slash") if key == "ctrl+c" else None
        await seen.pilot.press(key)
        await seen.pilot.pause()
        assert seen.app._exit

    assert on_screen(_stage(), scene).crash is None


def test_it_leaves_when_the_capture_ends() -> None:
    stage = _stage()

    async def scene(seen: Seen) -> None:
        await seen.now()
        stage.ended = True
        seen.app._look()
        assert seen.app._exit

    on_screen(stage, scene)


def test_warnings_are_shown_and_hostile_text_is_escaped() -> None:
    stage = Stage()
    stage.play(Talk().handshake().exchange(ASK % (b"a", b"e\x1bvil\xe2\x80\xaename.example")))
    stage.said = ["eth0 is \x1b down"]

    async def scene(seen: Seen) -> None:
        text = await seen.now()
        assert text.endswith(" eth0 is \\x1b down")
        assert "\x1b" not in text
        assert "\u202e" not in text
        text = await seen.press("enter", "enter")
        assert "GET /a" in text
        assert "\x1b" not in text

    on_screen(stage, scene)


def test_nothing_so_far() -> None:
    async def scene(seen: Seen) -> None:
        text = await seen.press("enter", "down", "s", "r")
        assert "0 endpoints" in text
        assert "no connection so far" in text
        assert "nothing to write" in await seen.press("w")

    on_screen(Stage(), scene)


def test_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stage = _stage()

    async def scene(seen: Seen) -> None:
        await seen.now()
        strips = [
            seen.app._filters[-1].apply(list(strip), seen.app.screen.background_colors[0])
            for strip in seen.app.screen._compositor.render_strips()
        ]
        styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
        assert {style.color.name for style in styles if style.color is not None} <= {"default"}
        assert any(style.reverse for style in styles), "the cursor is seen without colour"

    on_screen(stage, scene)
