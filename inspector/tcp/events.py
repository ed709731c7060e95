"""What TCP itself says for the event log. Made only for connections whose log is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "syn", "syn-ack", "established", "fin", "rst", "retransmission", "keep-alive-probe", "zero-window", "gap"
]


@dataclass(slots=True)
class SegmentNoted:
    """A segment that changed something, or a conclusion from one."""

    packet: int
    time_ns: int
    direction: int
    """FROM_CLIENT or FROM_SERVER, as roles are known at the time."""
    kind: Kind
    detail: str = ""
