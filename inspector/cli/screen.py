"""`connspect live` on a terminal: the capture in a thread of its own, the screen in the main one.

The engine and all that feeds it stay in one thread, as without a screen; between two batches it hands out a snapshot.
The main thread has the keys: were it to feed the engine itself, each key would wait for a batch (40 ms and more) and a
rush of packets would leave it none; so Python hands over to it within its switch interval (5 ms). Snapshots take at
most a sixth of the capture's time, however much there is to see, and none is made while nobody looks.

Whatever ends it, the terminal is as it was before and the report is made: a signal ends the capture, and with it the
screen; an error in the engine or in the screen ends both, and is raised once there is a report.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inspector.cli.kept import KeptEvents
from inspector.errors import UsageError
from inspector.records.event import EventRecord
from inspector.report.json import json_report
from inspector.report.screen.watched import Facts
from inspector.sources.account import complete

if TYPE_CHECKING:
    from inspector.cli.judging import Judging
    from inspector.engine import Inspector
    from inspector.inspection import Inspection
    from inspector.sources.live import LiveSource

#: Seconds between two snapshots.
PACE = 0.5
#: The next snapshot waits for this many times as long as the last one took.
_PATIENCE = 5
#: Reports of the same second that get names of their own.
_MOST_NAMES = 100


def has_screen() -> bool:
    """Whether there is a terminal to draw on, and one to type at."""
    if os.environ.get("TERM", "") in ("dumb", "") and sys.platform != "win32":
        return False
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__))


class WatchedCapture:
    """A running capture as the screen sees it (report.screen.watched.Watched)."""

    def __init__(self, source: LiveSource, filter: str, judging: Judging) -> None:
        self._source = source
        self._filter = filter
        self._judging = judging
        self._began = time.monotonic()
        self._next = 0.0
        self._newest: Inspection | None = None
        self._handed: Inspection | None = None
        self._looked_at = True
        self._warnings: deque[str] = deque(maxlen=_MOST_NAMES)
        self.kept = KeptEvents()
        self.said: list[str] = []
        """All warnings, for when the terminal is as it was."""
        self.ended = False
        self.error: BaseException | None = None
        self.inspection: Inspection | None = None
        """The whole of it, once it has ended; what was known last, where it ended in an error."""

    # ---- in the capture's thread

    def run(self, capture: Callable[[], Inspection]) -> None:
        """Capture to the end."""
        try:
            self.inspection = capture()
        except BaseException as error:
            self.error = error
            self.inspection = self._newest
        finally:
            self.ended = True

    def after_batch(self, inspector: Inspector) -> None:
        """Make news of what is known, if it is time."""
        now = time.monotonic()
        if now < self._next or not self._looked_at:
            return
        inspection = inspector.snapshot()
        complete(self._source, inspection.capture)
        if self._judging.is_due(inspector):
            self._judging.judge(inspector, inspection)
        inspection.findings = self._judging.found
        self._newest = inspection
        self._next = now + max(PACE, _PATIENCE * (time.monotonic() - now))

    def warn(self, text: str) -> None:
        """Something is to be said while the screen is there."""
        self.said.append(text)
        self._warnings.append(text)

    # ---- in the screen's thread

    def facts(self) -> Facts:
        file = self._source.files[0]
        dropped = None if file.dropped is None else file.dropped.kernel
        return Facts(file.path, self._filter, time.monotonic() - self._began, file.packets, dropped)

    def news(self) -> Inspection | None:
        newest = self._newest
        if newest is self._handed:
            return None
        self._handed = newest
        return newest

    def look_away(self, away: bool) -> None:
        self._looked_at = not away

    def events(self, connection: int) -> tuple[Sequence[EventRecord], int]:
        return self.kept.of(connection)

    def warnings(self) -> list[str]:
        return [self._warnings.popleft() for _ in range(len(self._warnings))]

    def write(self, inspection: Inspection) -> str:
        """As JSON, to a new file in the working directory; it belongs to whom this process belongs to."""
        base = time.strftime("connspect-%Y%m%d-%H%M%S")
        for number in range(_MOST_NAMES):
            name = f"{base}{f'-{number}' if number else ''}.json"
            try:
                with open(name, "xb") as file:
                    for piece in json_report(inspection):
                        file.write(piece)
            except FileExistsError:
                continue
            except OSError as error:
                raise UsageError(f"cannot write {name}: {error.strerror or error}") from None
            return os.path.abspath(name)
        raise UsageError(f"cannot write {base}.json: there are {_MOST_NAMES} of them")


def show(
    watched: WatchedCapture, source: LiveSource, capture: Callable[[], Inspection], everything: bool
) -> Inspection:
    """Capture, and show it until it ends or somebody has seen enough; then all that was captured.

    An error of the engine or of the screen is kept in `watched.error`, unless there is nothing to report.
    """
    with _environment():
        from inspector.report.screen.app import LiveScreen

        driver = None
        if sys.platform != "win32":
            from inspector.report.screen.driver import TerminalDriver

            driver = TerminalDriver
        screen = LiveScreen(watched, show_everything=everything, driver_class=driver)
        thread = threading.Thread(target=watched.run, args=(capture,), name="capture", daemon=True)
        thread.start()
        try:
            screen.run()
        finally:
            source.stop()
        thread.join()
    watched.error = watched.error or screen.crash
    if watched.inspection is None:
        assert watched.error is not None
        raise watched.error
    return watched.inspection


@contextmanager
def _environment() -> Iterator[None]:
    """Textual takes NO_COLOR out of the environment, in which the report still looks for it."""
    before = os.environ.get("NO_COLOR")
    try:
        yield
    finally:
        if before is not None:
            os.environ["NO_COLOR"] = before
