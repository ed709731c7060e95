"""What the screen asks of whoever captures: a narrow opening, so that it can be drawn without a capture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inspector.inspection import Inspection
from inspector.records.event import EventRecord


class Facts(NamedTuple):
    """What the head of the screen says."""

    interface: str
    filter: str
    seconds: float
    packets: int
    dropped: int | None
    """None: the system does not say."""


class Watched(Protocol):
    """A capture that goes on while it is looked at."""

    @property
    def ended(self) -> bool:
        """Whether it has ended, by itself or for an error: then there is nothing more to be drawn."""

    def facts(self) -> Facts: ...

    def news(self) -> Inspection | None:
        """What is known by now; None: nothing newer than what was handed out last."""

    def look_away(self, away: bool) -> None:
        """Nobody looks for a while: no news need be made."""

    def events(self, connection: int) -> tuple[Sequence[EventRecord], int]:
        """The events of a connection that are kept, and how many earlier ones are not."""

    def warnings(self) -> list[str]:
        """What was said since the last time about the capture itself."""

    def write(self, inspection: Inspection) -> str:
        """Write a report of this; its name. Raises UsageError."""
