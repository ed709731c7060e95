"""Copies that the capture made of one packet: seen on two interfaces, before and after a router, twice on a loopback.

A retransmission is another packet with the same bytes; a copy is the same packet. All of these must be equal: ends,
direction, seq, ack, flags, payload length, IP id and TCP checksum, close in time and in number. And there must be a
reason to be a copy: another interface or direction, another TTL, or on the same network an IP id that was really set,
for a sender gives each packet its own. An IP id that is not counted (0 as RFC 6864 allows, 1 as packet generators have
it) proves nothing on one interface with one TTL: that is a retransmission. Nor does an id under another VLAN tag: two
networks may carry the same addresses.

A 32-bit fingerprint is compared with those of the packets before, one lag at a time and only in slices where some
two are equal; what matches is compared in full. The last packets are carried over, so that batches do not show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import I64, U32
from .rows import Segments

#: A copy is looked for among this many TCP packets before.
WINDOW_PACKETS = 32

#: A copy comes within this many nanoseconds.
WINDOW_NS = 50_000_000

#: Odd and with bits all over, so that fields that move together do not cancel out.
_MULTIPLIERS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))

#: IP ids up to this are set without counting.
_UNCOUNTED_ID = 1

_EQUAL = (
    "src_hi",
    "src_lo",
    "dst_hi",
    "dst_lo",
    "src_port",
    "dst_port",
    "seq",
    "ack",
    "flags",
    "payload_length",
    "ip_id",
    "checksum",
)
_KEPT = (*_EQUAL, "ttl", "network", "time_ns", "channel")


class DuplicateWindow:
    """The last TCP packets of a capture, which the next ones may be copies of."""

    def __init__(self) -> None:
        self._fingerprint: U32 = np.zeros(0, np.uint32)
        self._tail: dict[str, NDArray[Any]] = {}

    def find(self, segments: Segments, time_ns: I64, channel: I64) -> NDArray[np.bool_]:
        """Which of these segments, the next of the capture in order, are copies of one before. shape (n,)

        `channel` tells interfaces apart, and directions where the link layer gives them. A packet is compared with
        copies too, so that a third sighting is found from the second.
        """
        fingerprint = _fingerprint(segments)
        joined = np.concatenate([self._fingerprint, fingerprint])
        before = len(self._fingerprint)
        copies = np.zeros(len(joined), np.bool_)
        columns = {name: getattr(segments, name) for name in (*_EQUAL, "ttl", "network")}
        columns["time_ns"], columns["channel"] = time_ns, channel
        in_order = np.sort(joined)
        if (in_order[1:] == in_order[:-1]).any():
            every = self._joined(columns)
            for lag in range(1, min(WINDOW_PACKETS, len(joined) - 1) + 1):
                later = np.flatnonzero(joined[lag:] == joined[:-lag]) + lag
                if len(later):
                    copies[later[_are_copies(every, later - lag, later)]] = True
        self._keep(joined, columns)
        return copies[before:]

    def _joined(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if not self._tail:
            return columns
        return {name: np.concatenate([self._tail[name], columns[name]]) for name in _KEPT}

    def _keep(self, joined: U32, columns: dict[str, NDArray[Any]]) -> None:
        if len(columns["seq"]) >= WINDOW_PACKETS:
            self._tail = {name: columns[name][-WINDOW_PACKETS:].copy() for name in _KEPT}
        else:
            self._tail = {name: values[-WINDOW_PACKETS:].copy() for name, values in self._joined(columns).items()}
        self._fingerprint = joined[-WINDOW_PACKETS:].copy()


def _fingerprint(segments: Segments) -> U32:
    """Numbers that are equal for copies, and seldom for others: the checksum covers ends, flags and payload."""
    fingerprint: U32 = segments.seq * _MULTIPLIERS[0]
    fingerprint ^= segments.ack * _MULTIPLIERS[1]
    fingerprint ^= segments.checksum * _MULTIPLIERS[2]
    fingerprint ^= segments.ip_id
    return fingerprint


def _are_copies(every: dict[str, NDArray[Any]], earlier: I64, later: I64) -> NDArray[np.bool_]:
    """Which of these pairs of rows are one packet."""
    same: NDArray[np.bool_] = np.ones(len(later), np.bool_)
    for name in _EQUAL:
        same &= every[name][earlier] == every[name][later]
    time_ns = every["time_ns"]
    same &= np.abs(time_ns[later] - time_ns[earlier]) <= WINDOW_NS
    reason = (every["ip_id"][later] > _UNCOUNTED_ID) & (every["network"][later] == every["network"][earlier])
    for name in ("channel", "ttl"):
        reason |= every[name][earlier] != every[name][later]
    same &= reason
    return same
