"""Both legs of a proxy side by side, on one screen: what was said about the connection, and how each leg was used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.hops.legs import Hops, Legs, Reuse
from inspector.report import units
from inspector.report.findings import findings
from inspector.report.layout import Cell, Column, Screen, grid, hanging
from inspector.report.text import printable

_COLUMNS = (
    Column(""),
    Column(""),
    Column("client ↔ proxy", joint=", ", breaks=True),
    Column("proxy ↔ server", joint=", ", breaks=True),
    Column("", joint=", ", breaks=True),
)
#: Values of a field that are shown; JSON has all.
_SHOWN = 3


def hops_report(hops: Hops, screen: Screen) -> Iterator[str]:
    """The report, line by line, without line ends."""
    if hops.offset_ns is not None:
        yield from hanging(" ", _clocks(hops).split(" "), " ", screen)
    if not hops.legs:
        yield from hanging(" ", _nothing(hops).split(" "), " ", screen)
    for legs in hops.legs:
        yield ""
        yield from _of(legs, screen)
    if hops.unreadable:
        yield ""
        words = [*map(printable, hops.unreadable)]
        yield from hanging(" encrypted, not compared   ", words, ", ", screen)
    if hops.findings:
        yield ""
        yield from findings(hops.findings, screen)


def _clocks(hops: Hops) -> str:
    assert hops.offset_ns is not None
    ahead = -hops.offset_ns
    which = "first" if hops.turned else "second"
    turned = " (the captures were given with the server's side first)" if hops.turned else ""
    if abs(ahead) <= max(hops.offset_error_ns or 0, 1_000_000):
        return f"both captures have the same clock, within {units.duration(hops.offset_error_ns)}{turned}"
    word = "ahead of" if ahead > 0 else "behind"
    error = units.duration(hops.offset_error_ns)
    return f"the clock of the {which} capture is {units.duration(abs(ahead))} {word} the other's, ± {error}{turned}"


def _nothing(hops: Hops) -> str:
    text = "no request was found on both legs"
    if hops.unreadable:
        return f"{text}: what is encrypted cannot be compared without its keys (--keylog)"
    return f"{text}: capture both sides of the proxy, on its host with -i any or in two files"


def _of(legs: Legs, screen: Screen) -> Iterator[str]:
    asked = legs.pairs + legs.only_downstream
    by = " and ".join(printable(name) for name in legs.paired_by)
    counted = f"{legs.pairs:,} of {units.plural(asked, 'request')} on both legs, by {by}"
    title = f"{legs.downstream} → {legs.upstream}    {counted}"
    yield from (screen.bold(line) for line in hanging(" ", title.split(" "), " ", screen))
    if legs.only_downstream:
        yield f"   {units.plural(legs.only_downstream, 'request')} answered by the proxy itself, or not seen behind it"
    yield ""
    yield from grid(_COLUMNS, list(_rows(legs)), screen)


def _rows(legs: Legs) -> Iterator[list[Cell]]:
    message = ""
    for field in legs.fields:
        label = field.message if field.message != message else ""
        message = field.message
        verdicts = [word if len(field.verdicts) == 1 else units.times(word, n) for word, n in field.verdicts.items()]
        if set(field.verdicts) == {"passed on"}:
            verdicts = ["="]
        yield [[label], [field.field], _values(field.downstream), _values(field.upstream), verdicts]
    down, up = legs.downstream_reuse, legs.upstream_reuse
    yield [["connections"], [""], [_used(down)], [_used(up)], []]
    yield [["closed by"], [""], _closes(down), _closes(up), []]


def _values(counts: Mapping[str, int]) -> Cell:
    if not counts:
        return [units.UNKNOWN]
    shown = [units.times(printable(value), n) for value, n in list(counts.items())[:_SHOWN]]
    return shown if len(counts) <= _SHOWN else [*shown, f"{len(counts) - _SHOWN:,} more"]


def _used(reuse: Reuse) -> str:
    noun = "request" if reuse.per_connection == 1 else "requests"
    return f"{reuse.connections:,} with {reuse.per_connection:.3g} {noun} each"


def _closes(reuse: Reuse) -> Cell:
    return [units.times(who, n) for who, n in reuse.closed.items()]
