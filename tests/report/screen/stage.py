"""A capture on a stage: talks are played to a real engine, and the screen is run without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from textual.pilot import Pilot

from inspector.engine import Inspector, Options
from inspector.errors import UsageError
from inspector.inspection import Inspection
from inspector.records.event import EventRecord
from inspector.report.screen.app import LiveScreen
from inspector.report.screen.watched import Facts
from inspector.sources.memory import MemorySource
from tests.tcp.playbook import Talk, merged


class Stage:
    """What the screen watches (report.screen.watched.Watched)."""

    def __init__(self) -> None:
        self._events: list[EventRecord] = []
        self._inspector = Inspector(Options(events=True, on_event=self._events.append))
        self._packets = 0
        self._news: Inspection | None = None
        self.ended = self.away = False
        self.said: list[str] = []
        self.written: list[Inspection] = []
        self.full_disk = False

    def play(self, *talks: Talk) -> None:
        """These talks are captured."""
        for batch in MemorySource(merged(*talks)):
            batch.first_packet += self._packets
            self._inspector.feed(batch)
            self._packets += len(batch)
        self.publish(self._inspector.snapshot())

    def publish(self, inspection: Inspection) -> None:
        self._news = inspection

    def facts(self) -> Facts:
        return Facts("eth0", "tcp port 80", 133.7, self._packets, 2)

    def news(self) -> Inspection | None:
        news, self._news = self._news, None
        return news

    def look_away(self, away: bool) -> None:
        self.away = away

    def events(self, connection: int) -> tuple[Sequence[EventRecord], int]:
        return [event for event in self._events if event.connection == connection], 0

    def warnings(self) -> list[str]:
        said, self.said = self.said, []
        return said

    def write(self, inspection: Inspection) -> str:
        if self.full_disk:
            raise UsageError("cannot write it: No space left on device")
        self.written.append(inspection)
        return "/home/her/connspect.json"


class Seen:
    """The screen, for who writes a test."""

    def __init__(self, app: LiveScreen, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> str:
        """Press keys; what is seen then."""
        await self.pilot.press(*keys)
        return await self.now()

    async def now(self) -> str:
        """What is seen, once it has been looked for news."""
        await self.pilot.pause()
        self.app._look()
        await self.pilot.pause()
        return "\n".join(strip.text.rstrip() for strip in self.app.screen._compositor.render_strips())


def on_screen(
    stage: Stage, scene: Callable[[Seen], Awaitable[None]], *, width: int = 120, height: int = 40
) -> LiveScreen:
    """Run the screen and play a scene to it."""
    app = LiveScreen(stage)

    async def run() -> None:
        async with app.run_test(size=(width, height)) as pilot:
            await scene(Seen(app, pilot))

    asyncio.run(run())
    return app
