"""A story's lines with what repeats summed up, so that what is different stands out.

Many alike small events are told by the first; of many alike exchanges in a row the first three and the last are told;
and where many HTTP/2 streams run side by side, so that no two stretches are alike, messages of which nothing is to be
said are counted instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from inspector.report import units
from inspector.report.lines import Line

#: Alike exchanges in a row that are all told; of more, the first three and the last.
TOLD_EXCHANGES = 6
#: Alike small events in a row (retransmissions, probes) that are all told.
TOLD_EVENTS = 3
#: HTTP/2 messages in a row that are all told; of more, the first and the last ones, and whatever is not ordinary.
TOLD_MESSAGES = 24
_FIRST_MESSAGES, _LAST_MESSAGES = 8, 4

_SMALL = frozenset(
    {"retransmission", "keep-alive-probe", "zero-window", "anomaly", "gap", "ping", "ping, not answered", "settings"}
    | {"window-stall"}
)
#: Small events with a beat.
_BEATS = frozenset({"ping", "ping, not answered", "keep-alive-probe"})
#: Acknowledgments, which the lines of what they acknowledge tell.
_TOLD_ELSEWHERE = frozenset({"ping-ack", "settings-ack"})


def summed_up(lines: list[Line]) -> list[Line]:
    """The same with what repeats summed up."""
    needed = [line for line in lines if line.shape not in _TOLD_ELSEWHERE]
    return list(_few_exchanges(_blocks(list(_few_messages(_few_events(needed))))))


def _few_events(lines: Iterable[Line]) -> Iterator[Line]:
    """Runs of alike small events become one line with their number."""
    for (shape, who), group in groupby(lines, key=lambda line: (line.shape, line.who)):
        run = list(group)
        if not (shape in _SMALL or shape.startswith("stream-reset")) or len(run) <= TOLD_EVENTS:
            yield from run
            continue
        first, last = run[0], run[-1]
        what = units.times(first.what.partition("  #")[0], len(run))
        remarks = [f"packets {first.packet} to {last.packet}", *_beat(run)]
        if shape == "ping, not answered":
            remarks.insert(0, "not answered")
        yield Line(first.time_ns, first.packet, who, what, remarks, shape)


def _beat(run: Sequence[Line]) -> list[str]:
    """How often something came that comes by a timer."""
    times = [line.time_ns for line in run if line.time_ns is not None]
    if run[0].shape not in _BEATS or len(times) < 2:
        return []
    between = sorted(later - earlier for earlier, later in pairwise(times))
    return [f"every {units.duration(between[len(between) // 2])}"]


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines cut before each request (and before silence that a request ends)."""
    blocks: list[list[Line]] = [[]]
    for line in lines:
        if line.asks and blocks[-1] and blocks[-1][-1].shape == "idle":
            blocks.append([blocks[-1].pop()])
        elif line.asks:
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _few_exchanges(blocks: Sequence[list[Line]]) -> Iterator[Line]:
    """Of many alike blocks in a row, the first three and the last, and how many there are between them."""
    for _, group in groupby(blocks, key=lambda block: [(line.who, line.shape) for line in block]):
        run = list(group)
        hidden = run[3:-1] if len(run) > TOLD_EXCHANGES else []
        shown = len(run) - len(hidden)
        for block in run[: 3 if hidden else shown]:
            yield from block
        if hidden:
            yield _between([line for block in hidden for line in block], f"{len(hidden):,} more like these")
            yield from run[-1]


def _few_messages(lines: Iterable[Line]) -> Iterator[Line]:
    """Of long stretches of HTTP/2 messages the beginning, the end, and what is not ordinary."""
    for is_message, group in groupby(lines, key=lambda line: line.stream is not None):
        run = list(group)
        if not is_message or len(run) <= TOLD_MESSAGES:
            yield from run
            continue
        yield from run[:_FIRST_MESSAGES]
        for ordinary, middle in groupby(run[_FIRST_MESSAGES:-_LAST_MESSAGES], key=lambda line: line.ordinary):
            if ordinary:
                hidden = list(middle)
                yield _between(hidden, _counted(hidden))
            else:
                yield from middle
        yield from run[-_LAST_MESSAGES:]


def _counted(hidden: Sequence[Line]) -> str:
    """Messages by what they are; their ends and trailers go without saying."""
    requests = sum(line.asks for line in hidden)
    responses = sum(line.is_response for line in hidden)
    told = [(requests, "more request"), (responses, "more response")]
    return " and ".join(units.plural(count, what) for count, what in told if count) or "their ends"


def _between(hidden: Sequence[Line], what: str) -> Line:
    first, last = hidden[0].packet, hidden[-1].packet
    where = f"packet {first}" if first == last else f"packets {first} to {last}"
    return Line(None, first, "", f"· {what}, {where} ·")
