"""The top of a report: what was read, how much of it is TCP, what was lost, skipped or damaged."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.records.capture import CaptureRecord, Dropped, Problem
from inspector.report import units
from inspector.report.layout import Screen, hanging
from inspector.report.text import printable

_REASONS = {
    "not_ip": "not IP",
    "not_tcp": "not TCP",
    "quic": "QUIC",
    "ip_fragment": "IP fragment",
    "icmp_error": "ICMP error about TCP",
}


def heading(capture: CaptureRecord, connections: int, screen: Screen) -> Iterator[str]:
    """The capture's line or lines; `connections` is the number of those reported."""
    names = [_name(file.path) for file in capture.files]
    title = names[0] if len(names) == 1 else units.plural(len(names), "capture")
    facts = [title, _packets(capture)]
    if capture.first_ns is not None and capture.last_ns is not None:
        facts.append(units.duration(capture.last_ns - capture.first_ns))
    facts.append(units.plural(connections, "connection"))
    yield from (screen.bold(line) for line in hanging("", facts, "    ", screen))
    if len(names) > 1:
        for name, file in zip(names, capture.files, strict=True):
            yield f"  {name}    {units.plural(file.packets, 'packet')}"
    if capture.tcp_segments < capture.packets:
        skipped = [f"{_REASONS.get(why, why.replace('_', ' '))} {n:,}" for why, n in capture.skipped.items() if n]
        yield from hanging(" skipped   ", skipped, ", ", screen)
    for problem in capture.problems:
        yield from (screen.warn(line) for line in hanging(" ! ", problem_text(problem).split(" "), " ", screen))


def problem_text(problem: Problem) -> str:
    """A problem of the input in one line: file, what, where."""
    where = "" if problem.offset is None else f", at byte {problem.offset:,}"
    last = "" if problem.packet is None else f", after packet {problem.packet:,}"
    return f"{_name(problem.file)}: {printable(problem.what)}{where}{last}"


def _name(path: str) -> str:
    return "standard input" if path == "-" else printable(path)


def _packets(capture: CaptureRecord) -> str:
    words = [units.plural(capture.packets, "packet")]
    if capture.packets:
        words.append(_share(capture))
    if capture.dropped is not None:
        words.append(_losses(capture.dropped))
    return ", ".join(words)


def _share(capture: CaptureRecord) -> str:
    if capture.tcp_segments == capture.packets:
        return "all TCP"
    return f"{capture.tcp_segments:,} TCP" if capture.tcp_segments else "none of them TCP"


def _losses(dropped: Dropped) -> str:
    lost = [
        f"{count:,} lost by the {where}"
        for count, where in ((dropped.kernel, "system"), (dropped.interface, "interface"))
        if count
    ]
    return " and ".join(lost) or "none lost"
