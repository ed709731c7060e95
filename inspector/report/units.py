"""Numbers for people: durations, sizes and counts, each with its unit, each written in one way everywhere.

A duration keeps two or three figures that matter. The limits lie where rounding would reach the next unit, so that no
"1000 ms" and no "60.0 s" comes out.
"""

from __future__ import annotations

_SECOND = 1_000_000_000

#: Below so many nanoseconds: the unit's nanoseconds, its name, decimals.
_LADDER = (
    (9_950, 1_000, "µs", 1),
    (9_995_000, 1_000_000, "ms", 2),
    (99_950_000, 1_000_000, "ms", 1),
    (999_500_000, 1_000_000, "ms", 0),
    (9_995_000_000, _SECOND, "s", 2),
    (59_950_000_000, _SECOND, "s", 1),
)
#: From a minute on, two whole units: seconds of the larger, of the smaller, their names.
_LONG = ((86_400, 3_600, "d", "h"), (3_600, 60, "h", "min"), (60, 1, "min", "s"))

_SIZES = ((999_500_000, 1_000_000_000, "GB"), (999_500, 1_000_000, "MB"), (9_999.5, 1_000, "kB"))

UNKNOWN = "–"


def duration(ns: int | None) -> str:
    """A duration in nanoseconds: "0.06 ms", "7.00 s", "2 min 3 s"; "–" when it is not known."""
    if ns is None:
        return UNKNOWN
    if ns <= 0:
        return "0 s" if ns == 0 else "-" + duration(-ns)
    for limit, unit, name, decimals in _LADDER:
        if ns < limit:
            return f"{ns / unit:.{decimals}f} {name}"
    return _long_duration(ns)


def _long_duration(ns: int) -> str:
    seconds = (ns + _SECOND // 2) // _SECOND
    large, small, large_name, small_name = next(row for row in _LONG if seconds >= row[0])
    whole, rest = divmod(seconds, large)
    return f"{whole:,} {large_name} {rest // small} {small_name}"


def spread(middle_ns: int | None, low_ns: int | None, high_ns: int | None) -> list[str]:
    """A typical duration and its range: ["7.00 s", "(7.00 – 7.01)"], or the first where all are written the same."""
    middle, low, high = duration(middle_ns), duration(low_ns), duration(high_ns)
    if middle == low == high:
        return [middle]
    if len({_unit(middle), _unit(low), _unit(high)}) == 1:
        low, high = low.split(" ")[0], high.split(" ")[0]
    return [middle, f"({low} – {high})"]


def _unit(text: str) -> str:
    """The unit of a duration that has only one; the whole text of one that has two."""
    number, _, unit = text.partition(" ")
    return number + unit if " " in unit else unit


def size(count: int) -> str:
    """A number of bytes: "1 byte", "6 bytes", "20.0 MB" (powers of ten)."""
    for limit, unit, name in _SIZES:
        if count >= limit:
            return f"{count / unit:,.1f} {name}"
    return plural(count, "byte")


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: "1 packet", "1,234 packets"."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def times(what: str, count: int) -> str:
    """How often something was seen: "server FIN ×6"."""
    return f"{what} ×{count:,}"


def since_start(ns: int) -> str:
    """A time within a connection, in seconds to the microsecond, grouped: "7.003 214"."""
    sign, micros = ("-" if ns < 0 else ""), (abs(ns) + 500) // 1_000
    return f"{sign}{micros // 1_000_000:,}.{micros // 1_000 % 1_000:03} {micros % 1_000:03}"
