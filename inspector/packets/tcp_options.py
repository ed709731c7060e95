"""TCP options of one segment, read when somebody asks: most segments' options nobody does.

Bytes that make no sense end the list and are said to be there; they never raise. Sources: RFC 9293 section 3.2 (layout,
maximum segment size), RFC 7323 (window scale, timestamps), RFC 2018 (SACK), RFC 7413 (Fast Open, its experimental form
in appendix A), RFC 8684 (Multipath TCP).
"""

from __future__ import annotations

from dataclasses import dataclass

_END, _NOP, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
_MPTCP, _FAST_OPEN, _EXPERIMENT = 30, 34, 254

#: What the experimental option starts with where it is Fast Open.
_FAST_OPEN_MAGIC = b"\xf9\x89"

#: Largest shift that a receiver applies (RFC 7323 section 2.3).
MAX_WINDOW_SCALE = 14


@dataclass(slots=True)
class TcpOptions:
    """What the options of one segment say; None where they do not say it."""

    mss: int | None = None
    """Maximum segment size, bytes."""
    window_scale: int | None = None
    """Shift of the window field: as used, at most 14."""
    sack_permitted: bool = False
    sack: tuple[tuple[int, int], ...] = ()
    """Left and right edges of the blocks received, as sequence numbers."""
    timestamps: tuple[int, int] | None = None
    """TSval and TSecr."""
    fast_open: bytes | None = None
    """Fast Open cookie; empty: a cookie is asked for."""
    mptcp: int | None = None
    """Subtype of the first Multipath TCP option (RFC 8684 section 8.2: 0 is MP_CAPABLE, 1 MP_JOIN)."""
    kinds: tuple[int, ...] = ()
    """Kind of every option but padding, in order."""
    damaged: bool = False
    """An option's length is impossible, or the capture cut it: what follows could not be read."""


def parse_tcp_options(data: bytes) -> TcpOptions:
    """Read the options area of a TCP header, or as much of it as was captured. Never raises."""
    options = TcpOptions()
    kinds: list[int] = []
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _NOP:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or at + length > len(data):
            options.damaged = True
            break
        kinds.append(data[at])
        _read(options, data[at], data[at + 2 : at + length])
        at += length
    options.kinds = tuple(kinds)
    return options


def _read(options: TcpOptions, kind: int, value: bytes) -> None:
    """Take one option; one whose length is not its kind's counts as not there."""
    if kind == _MSS and len(value) == 2:
        options.mss = int.from_bytes(value, "big")
    elif kind == _WINDOW_SCALE and len(value) == 1:
        options.window_scale = min(value[0], MAX_WINDOW_SCALE)
    elif kind == _SACK_PERMITTED and not value:
        options.sack_permitted = True
    elif kind == _SACK and len(value) % 8 == 0:
        edges = [int.from_bytes(value[i : i + 4], "big") for i in range(0, len(value), 4)]
        options.sack = tuple(zip(edges[::2], edges[1::2], strict=True))
    elif kind == _TIMESTAMPS and len(value) == 8:
        options.timestamps = (int.from_bytes(value[:4], "big"), int.from_bytes(value[4:], "big"))
    elif kind == _FAST_OPEN:
        options.fast_open = value
    elif kind == _EXPERIMENT and value[:2] == _FAST_OPEN_MAGIC:
        options.fast_open = value[2:]
    elif kind == _MPTCP and value and options.mptcp is None:
        options.mptcp = value[0] >> 4
