"""Points in time as typed: --since 1.5s, --until 2026-05-01T12:00:00Z, --since 1714564800.

A number with a unit counts from the first packet, a bare number is seconds since the Unix epoch (as the JSON report
has, divided by 10^9), everything else is ISO 8601, in UTC where it names no zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import click

_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ns|us|ms|s|min|h)?")
_UNITS = {"ns": 1, "us": 1_000, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3_600 * 10**9}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, frozen=True)
class Moment:
    """A point in time, absolute or counted from the first packet."""

    ns: int
    """Nanoseconds since the Unix epoch, or since the first packet."""
    relative: bool

    def absolute_ns(self, first_ns: int) -> int:
        """Nanoseconds since the Unix epoch, of a capture whose first packet came at `first_ns`."""
        return self.ns + first_ns if self.relative else self.ns


def moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Moment | None:
    """The callback of an option that takes a point in time."""
    if value is None:
        return None
    if number := _NUMBER.fullmatch(value):
        return Moment(int(Decimal(number[1]) * _UNITS[number[2] or "s"]), relative=number[2] is not None)
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        hint = "write 1.5s (after the first packet), 2026-05-01T12:00:00Z or 1777636800.25"
        raise click.BadParameter(f"{value!r} is no time; {hint}", ctx, parameter) from None
    since_epoch = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return Moment(since_epoch // timedelta(microseconds=1) * 1_000, relative=False)
