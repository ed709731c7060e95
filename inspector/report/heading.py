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
    facts = [capture_name(capture), *capture_facts(capture), units.plural(connections, "connection")]
    yield from (screen.bold(line) for line in hanging("", facts, "    ", screen))
    if len(capture.files) > 1:
        for file in capture.files:
            yield f"  {_name(file.path)}    {units.plural(file.packets, 'packet')}"
    if skipped := skipped_words(capture):
        yield from hanging(" skipped   ", skipped, ", ", screen)
    for problem in capture.problems:
        yield from (screen.warn(line) for line in hanging(" ! ", problem_text(problem).split(" "), " ", screen))


def capture_name(capture: CaptureRecord) -> str:
    """The file's name, or how many there are."""
    return _name(capture.files[0].path) if len(capture.files) == 1 else units.plural(len(capture.files), "capture")


def capture_facts(capture: CaptureRecord) -> list[str]:
    """How many packets there were and were lost, and how long it took."""
    facts = [_packets(capture)]
    if capture.first_ns is not None and capture.last_ns is not None:
        facts.append(units.duration(capture.last_ns - capture.first_ns))
    return facts


def skipped_words(capture: CaptureRecord) -> list[str]:
    """Packets that are no TCP segments, by reason."""
    if capture.tcp_segments == capture.packets:
        return []
    return [f"{_REASONS.get(why, why.replace('_', ' '))} {n:,}" for why, n in capture.skipped.items() if n]


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
