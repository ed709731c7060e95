"""How long to go on once the command has ended: until what it left behind is quiet, but not for ever."""

from __future__ import annotations

_SECOND = 1_000_000_000

#: After its end, the last segments still come, and TIME_WAIT answers them.
GRACE_NS = 300_000_000
#: Where processes or connections are left: nothing has moved for so long.
QUIET_NS = 2 * _SECOND
#: Where something always moves: so long after the end of the command.
LINGER_NS = 30 * _SECOND


def is_over(now_ns: int, ended_ns: int, last_ns: int, left: bool) -> bool:
    """Whether to report: of a command that ended at `ended_ns`, when something last moved at `last_ns`.

    `left`: there are processes or open connections of it.
    """
    if now_ns - ended_ns >= LINGER_NS:
        return True
    return now_ns - max(last_ns, ended_ns) >= (QUIET_NS if left else GRACE_NS)
