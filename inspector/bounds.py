"""How much is kept of a capture without end: every number in one place.

A capture file bounds itself, so that `read` keeps everything and every figure is exact. What watches interfaces keeps
what is going on, and of what is over as much as stands here; the rest is in the counts only, and how much that is, is
counted. Bounds that hold for every capture (reassembly, fragments, header tables) stand with what they bound.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Bounds:
    """What is kept; beyond it the oldest goes, unless it says otherwise."""

    history: int = 10_000
    """Records of ended connections."""
    exchanges: int = 1_000
    """Exchanges of one connection: the last ones."""
    events: int = 100_000
    """Events of the log, where it is kept."""
    following: int = 100_000
    """Connections that are followed until they end. Beyond it those that were quiet longest count as still open, and
    if they go on they are new ones."""
    unanswered: int = 50_000
    """SYNs that may yet be answered; beyond it the oldest count as unanswered."""
    remembered: int = 50_000
    """4-tuples of ended connections, by which late segments are known; twice as many now and then."""
    endpoints: int = 10_000
    """Endpoints that are listed; beyond it first those go that never answered, then those that were quiet longest."""
    listed: int = 100
    """Clients, names, and header values of one kind of an endpoint: the most frequent; others are added up as "…"."""
    measured: int = 256
    """Durations of one kind of an endpoint that are kept as they are; of more, the median is within 0.5 %."""
    counted: int = 1_000
    """Different numbers of requests per connection; of more, three figures are kept."""
    secrets: int = 32_768
    """TLS secrets of each kind."""
