"""Anomalies of one connection, with a bound: hostile frames cost nine bytes each, an anomaly a hundred times that."""

from __future__ import annotations

from inspector.bytestream import Arrival
from inspector.events import Anomaly
from inspector.protocols.decoder import Emit

#: Anomalies that are told of a connection's HTTP/2.
MAX_ANOMALIES = 256


class Oddities:
    """Tells anomalies, and stops when there are too many."""

    __slots__ = ("_count", "_emit", "_told")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._count = 0
        self._told: set[str] = set()

    def tell(self, arrival: Arrival, code: str, detail: str = "") -> None:
        """Something odd came with a packet."""
        self._count += 1
        if self._count < MAX_ANOMALIES:
            self._emit(Anomaly(*arrival, code, detail))
        elif self._count == MAX_ANOMALIES:
            self._emit(Anomaly(*arrival, "anomalies_omitted", "HTTP/2 has more"))

    def tell_once(self, arrival: Arrival, code: str, detail: str = "") -> None:
        """The same; told the first time only."""
        if code not in self._told:
            self._told.add(code)
            self.tell(arrival, code, detail)
