"""The screen itself: three views one behind the other (endpoints, connections, a story), and panes below them.

Whoever captures is asked several times a second whether there is news; nothing waits for it and it waits for nothing.
What has changed is found by identity (board, rows), and only lines in sight are made. Colours are the terminal's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal, cast

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Resize
from textual.widgets import Input

from inspector.errors import ConnspectError
from inspector.inspection import Inspection
from inspector.records.connection import Connection
from inspector.report import units
from inspector.report.findings import findings
from inspector.report.layout import Screen
from inspector.report.screen.board import Board, Key, title
from inspector.report.screen.columns import connection_columns, endpoint_columns
from inspector.report.screen.listing import Listing
from inspector.report.screen.panes import (
    BOLD,
    DIM,
    LOUD,
    ODD,
    PLAIN,
    Pane,
    event_lines,
    finding_lines,
    head,
    help_lines,
    key_line,
)
from inspector.report.screen.text import Lines
from inspector.report.screen.watched import Watched
from inspector.report.story import story
from inspector.report.text import printable

#: Below this the screen says so and draws nothing else.
LEAST_WIDTH, LEAST_HEIGHT = 60, 12
#: Seconds between two looks for news, between two tellings of a story that goes on, and that a message stands.
_LOOK, _RETELL, _STANDS = 0.25, 1.0, 8.0

_View = Literal["endpoints", "connections", "text"]
#: The columns by which the lists are sorted at first: opened, and id.
_BY_OPENED, _BY_ID = 3, 0


class LiveScreen(App[None]):
    """Draws what is watched, until somebody has seen enough or it ends."""

    CSS = """
    Screen { background: ansi_default; color: ansi_default; layout: vertical; layers: base over; }
    Input, Input:focus { border: none; height: 1; padding: 0 1; background: ansi_default; color: ansi_default; }
    #small { layer: over; height: 100%; width: 100%; }
    """
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    #: All keys are the app's, so that keys that come at once (typed ahead, pasted, over a slow line) each find the view
    #: that the one before has led to. While a filter is typed, letters are its own (check_action).
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, action, show=False, priority=True)
        for keys, action in (
            ("ctrl+c,ctrl+q", "end"),
            ("escape", "back"),
            ("up", "step(-1)"),
            ("down", "step(1)"),
            ("pageup", "page(-1)"),
            ("pagedown", "page(1)"),
            ("k", "move(-1)"),
            ("j", "move(1)"),
            ("home,g", "move(-1000000000)"),
            ("end,G", "move(1000000000)"),
            ("enter", "choose"),
            ("q", "leave"),
            ("s", "sort"),
            ("r", "reverse"),
            ("slash", "filter"),
            ("e", "pane('events')"),
            ("f", "pane('findings')"),
            ("F", "findings"),
            ("space", "hold"),
            ("w", "write"),
            ("question_mark", "help"),
        )
    ]
    #: What keys do while a filter is typed.
    _WHILE_TYPING: ClassVar[frozenset[str]] = frozenset({"end", "back", "step", "page"})

    def __init__(
        self, watched: Watched, *, show_everything: bool = False, driver_class: type[Driver] | None = None
    ) -> None:
        """`show_everything`: stories sum nothing up."""
        super().__init__(driver_class=driver_class, ansi_color=True)
        self.animation_level = "none"
        self.board = Board()
        self.held = False
        self._watched = watched
        self._everything = show_everything
        self._view: _View = "endpoints"
        self._below_text: _View = "endpoints"
        """The view that a story or the help covers."""
        self._endpoint: Key | None = None
        self._story: int | None = None
        """The connection whose story is told; None while the text is another page."""
        self._page = ""
        """Which."""
        self._told: Connection | None = None
        """Its record as it was told last."""
        self._told_at = 0.0
        self._wanted = {"events": True, "findings": True}
        self._message = ("", PLAIN, 0.0)

    # ---- parts

    def compose(self) -> ComposeResult:
        yield Pane(id="head")
        yield Pane(id="where")
        yield Listing(endpoint_columns(), _BY_OPENED, empty="no connection so far", id="endpoints")
        yield Listing(connection_columns(), _BY_ID, empty="none of them is kept any longer", id="connections")
        yield Lines(id="text")
        yield Pane(id="findings")
        yield Pane(id="events")
        yield Input(id="filter", placeholder="show only what contains ...", select_on_focus=False)
        yield Pane(id="keys")
        yield Pane(id="small")

    def on_mount(self) -> None:
        self._endpoints: Listing[Any] = self.query_one("#endpoints", Listing)
        self._connections: Listing[Any] = self.query_one("#connections", Listing)
        self._text = self.query_one("#text", Lines)
        self._filter = self.query_one("#filter", Input)
        self._panes = {name: self.query_one(f"#{name}", Pane) for name in ("head", "where", "keys", "small")}
        self._below = {name: self.query_one(f"#{name}", Pane) for name in ("findings", "events")}
        self._filter.display = self._panes["small"].display = False
        self._go("endpoints")
        self.set_interval(_LOOK, self._look)
        self._look()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    # ---- news

    def _look(self) -> None:
        """Whether there is news, or nobody who could see it."""
        if self._watched.ended or self._hung_up():
            self.exit()
            return
        for warning in self._watched.warnings():
            self._say(warning, odd=True)
        news = None if self.held else self._watched.news()
        if news is not None:
            self.board.take(news, time.monotonic())
        self._draw()

    def _hung_up(self) -> bool:
        hung_up: Callable[[], bool] | None = getattr(self._driver, "hung_up", None)
        return hung_up is not None and hung_up()

    def _draw(self) -> None:
        """Everything, as it is now."""
        if self._is_small():
            return
        width = self.size.width
        board, inspection = self.board, self.board.inspection
        if self._view == "endpoints":
            self._endpoints.show(board.lines.items())
        elif self._view == "connections" and self._endpoint is not None:
            self._connections.show((one.id, one) for one in board.connections(self._endpoint))
        elif self._story is not None:
            self._tell(self._story)
        self._panes["head"].show([(head(self._watched.facts(), self.held, width), LOUD if self.held else BOLD)])
        self._panes["where"].show([(f" {self._where()}", DIM)])
        room = self.size.height
        found = finding_lines(inspection.findings, width, max(2, room // 6)) if inspection is not None else []
        self._below_shows("findings", found)
        self._below_shows("events", event_lines(list(board.happenings), width, max(3, min(room // 5, 12))))
        text, style, until = self._message
        said = text and time.monotonic() < until
        self._panes["keys"].show([(f" {text}", style) if said else (key_line(self._view, width), DIM)])

    def _below_shows(self, name: str, lines: list[Any]) -> None:
        pane, room = self._below[name], max(3, min(self.size.height // 5, 12)) + 1
        height = len(lines) if name == "findings" else room
        pane.display = bool(lines) and self._wanted[name]
        if pane.styles.height is None or pane.styles.height.value != height:
            pane.styles.height = max(1, height)
        pane.show(lines)

    def _is_small(self) -> bool:
        """Whether there is too little room; then that is all that is said."""
        width, height = self.size
        small = width < LEAST_WIDTH or height < LEAST_HEIGHT
        self._panes["small"].display = small
        if small:
            needed = f"terminal too small: {width}x{height}, needs {LEAST_WIDTH}x{LEAST_HEIGHT}"
            self._panes["small"].show([(needed, PLAIN)])
        return small

    def _where(self) -> str:
        """What the list shows, and how."""
        board = self.board
        if self._view == "text":
            if self._story is None:
                return self._page
            server = board.lines.get(self._endpoint) if self._endpoint is not None else None
            return f"{'' if server is None else printable(title(server.record)) + ' › '}connection {self._story}"
        listing = self._listing()
        shown, there = len(listing.rows.shown), len(listing.rows)
        count = f"{there:,}" if shown == there else f"{shown:,} of {there:,}"
        words = [f"{count} {'endpoint' if self._view == 'endpoints' else 'connection'}{'' if there == 1 else 's'}"]
        line = board.lines.get(self._endpoint) if self._endpoint is not None and self._view == "connections" else None
        if line is not None:
            words.insert(0, printable(title(line.record)))
            gone = line.record.connections - there
            if gone > 0:
                words.append(f"{gone:,} older ones are in the totals only")
        words.append(f"sorted by {listing.order}")
        if listing.rows.words:
            words.append(f"filter: {printable(' '.join(listing.rows.words))}")
        return "   ".join(words)

    # ---- views

    def _listing(self) -> Listing[Any]:
        return self._connections if self._view == "connections" else self._endpoints

    def _go(self, view: _View) -> None:
        self._view = view
        for name, part in (("endpoints", self._endpoints), ("connections", self._connections), ("text", self._text)):
            part.display = name == view
        self.set_focus(self._text if view == "text" else self._listing())

    @on(Listing.Chosen)
    def action_choose(self) -> None:
        key = None if self._view == "text" else self._listing().chosen
        if key is None:
            return
        if self._view == "endpoints":
            self._endpoint = cast(Key, key)
            self._connections.start_over()
            self._connections.filter("")
            self._go("connections")
        else:
            self._story, self._told = cast(int, key), None
            self._show_text()
        self._draw()

    def _show_text(self) -> None:
        if self._view != "text":
            self._below_text = self._view
        self._text.scroll_to(y=0, animate=False)
        self._go("text")

    def _tell(self, number: int) -> None:
        """The story of a connection, anew when there is more of it."""
        connection, now = self.board.connection(number), time.monotonic()
        width = max(LEAST_WIDTH, self._text.size.width or self.size.width) - 2
        if connection is None or connection is self._told or (self._told and now < self._told_at + _RETELL):
            return
        events, missing = self._watched.events(number)
        screen = Screen(width, colour=True)
        lines = list(story(connection, events, screen, self._everything, goes_on=True))
        if missing:
            lines.insert(2, screen.warn(f"  {units.plural(missing, 'earlier event')} no longer kept"))
        self._told, self._told_at = connection, now
        self._text.show(lines)

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self._filter.display or action in self._WHILE_TYPING

    def action_leave(self) -> None:
        self.exit()

    def action_end(self) -> None:
        self.exit()

    def action_move(self, lines: int) -> None:
        if self._view == "text":
            self._text.scroll_to(y=self._text.scroll_offset.y + lines, animate=False)
        else:
            self._listing().move(lines)

    def action_step(self, lines: int) -> None:
        self.action_move(lines)

    def action_page(self, pages: int) -> None:
        shown: Lines | Listing[Any] = self._text if self._view == "text" else self._listing()
        self.action_move(pages * max(1, shown.size.height - 2))

    async def action_back(self) -> None:
        if self._filter.display:
            self._filter.value = ""
            self._close_filter()
        elif self._view == "text":
            self._story = None
            self._go(self._below_text)
        elif self._listing().rows.words:
            self._listing().filter("")
        elif self._view == "connections":
            self._go("endpoints")
        self._draw()

    def action_sort(self) -> None:
        if self._view != "text":
            self._listing().sort_next()
            self._draw()

    def action_reverse(self) -> None:
        if self._view != "text":
            self._listing().sort_by(self._listing().rows.sorted_by)
            self._draw()

    def action_filter(self) -> None:
        if self._view != "text":
            self._filter.value = " ".join(self._listing().rows.words)
            self._filter.display, self._panes["keys"].display = True, False
            # At once: what is typed next belongs to it.
            self.set_focus(self._filter)

    @on(Input.Changed, "#filter")
    def _filter_changes(self, event: Input.Changed) -> None:
        if self._filter.display:
            self._listing().filter(event.value)
            self._draw()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self._listing().filter(self._filter.value)
        self._filter.display, self._panes["keys"].display = False, True
        self.set_focus(self._listing())
        self._draw()

    def action_pane(self, name: str) -> None:
        self._wanted[name] = not self._wanted[name]
        if name == "findings" and not (self.board.inspection and self.board.inspection.findings):
            self._say("no findings so far")
        self._draw()

    def action_hold(self) -> None:
        self.held = not self.held
        self._watched.look_away(self.held)
        self._look()

    def action_help(self) -> None:
        self._show_page("help", help_lines(self.size.width - 2))

    def action_findings(self) -> None:
        found = self.board.inspection.findings if self.board.inspection is not None else []
        lines = list(findings(found, Screen(self.size.width - 2, colour=True)))
        self._show_page("findings, as they are now", lines or [" no findings so far"])

    def _show_page(self, title: str, lines: list[str]) -> None:
        self._story, self._page = None, title
        self._text.show(lines)
        self._show_text()
        self._draw()

    def action_write(self) -> None:
        inspection = self.board.inspection
        if inspection is None:
            self._say("nothing to write so far")
        else:
            self._say("writing ...")
            threading.Thread(target=self._write, args=(inspection,), daemon=True).start()
        self._draw()

    def _write(self, inspection: Inspection) -> None:
        """In a thread of its own, for a large report takes its time; one of Textual's would need modules that a process
        without rights can perhaps no longer import."""
        try:
            said, odd = f"written to {self._watched.write(inspection)}", False
        except ConnspectError as error:
            said, odd = str(error), True
        self._say(said, odd=odd)

    def _say(self, text: str, *, odd: bool = False) -> None:
        """A message, in place of the keys for a while."""
        self._message = printable(text), ODD if odd else BOLD, time.monotonic() + _STANDS

    # ---- the end

    def _fatal_error(self) -> None:
        """Textual would print all local variables; who runs the screen has the exception (`crash`) and tells it."""
        self._close_messages_no_wait()

    @property
    def crash(self) -> Exception | None:
        """What went wrong in the screen itself."""
        return self._exception
