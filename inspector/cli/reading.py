"""From captures to an Inspection: the loop that feeds the engine, and what the source has to say at its end.

Ctrl-C ends the reading, not the report: it takes effect between two batches, never inside the engine, and what was
read up to there is reported. A second one ends the program.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from inspector.cli.selection import Selection
from inspector.records.capture import Problem

if TYPE_CHECKING:
    from inspector.engine import Options
    from inspector.inspection import Inspection
    from inspector.packets.batch import RawBatch
    from inspector.sources.source import Source


def inspect(
    paths: Sequence[str],
    options: Options,
    *,
    keylogs: Sequence[str],
    warn: Callable[[str], None],
    on_batch: Callable[[], None],
    progress: bool,
) -> tuple[Inspection, bool]:
    """Read all packets of `paths`; also whether that was interrupted.

    `keylogs` are the paths of TLS key logs; `warn` is told what is wrong with them. `on_batch` is told that a batch
    has been processed. Raises CaptureError when nothing could be read.
    """
    from inspector.cli.progress import ReadingProgress
    from inspector.engine import Inspector
    from inspector.sources.account import complete
    from inspector.sources.keys import CapturedKeys, read_key_logs
    from inspector.sources.open import open_capture

    # Records refer to nothing that refers back, and the circle of a connection and its decoder is broken at its end:
    # there is nothing to collect, and looking for it all the time costs a tenth of a run.
    gc.disable()
    with open_capture(paths) as source:
        captured = CapturedKeys(source)
        read_key_logs(keylogs, captured.log, warn)
        inspector = Inspector(replace(options, keys=captured.log))
        interrupt = _Interrupt()
        bar = ReadingProgress(source, progress)
        try:
            for batch in interrupt.batches(source):
                if batch.first_packet == 1 and len(batch) and isinstance(options.select, Selection):
                    options.select.first_ns = int(batch.time_ns[0])
                captured.take()
                inspector.feed(batch)
                bar.update(batch.first_packet + len(batch) - 1)
                on_batch()
        finally:
            bar.stop()
        inspection = inspector.finish(partial(complete, source))
    if interrupt.came:
        last = inspection.capture.packets or None
        inspection.capture.problems.append(Problem(paths[-1], None, last, "interrupted: the rest was not read"))
    return inspection, interrupt.came


class _Interrupt:
    """Ctrl-C while batches are read."""

    def __init__(self) -> None:
        self.came = False
        self._waiting = False

    def batches(self, source: Source) -> Iterator[RawBatch]:
        """The source's batches, until it ends or Ctrl-C comes."""
        before = signal.signal(signal.SIGINT, self._note)
        try:
            iterator = iter(source)
            while (batch := self._next(iterator)) is not None:
                yield batch
        finally:
            signal.signal(signal.SIGINT, before)

    def _next(self, iterator: Iterator[RawBatch]) -> RawBatch | None:
        if self.came:
            return None
        try:
            self._waiting = True
            return next(iterator, None)
        except KeyboardInterrupt:
            return None
        finally:
            self._waiting = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.came = self.came, True
        if self._waiting or again:
            raise KeyboardInterrupt
