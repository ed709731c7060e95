"""Numbers in the sentences of findings: the same everywhere. (Reports have columns, and units of their own.)"""

from __future__ import annotations


def seconds(ns: int) -> str:
    """A duration as people say it: 7.00 s, 350 ms, 0.06 ms."""
    if ns >= 60_000_000_000:
        minutes, rest = divmod(round(ns / 1e9), 60)
        return f"{minutes} min" if not rest else f"{minutes} min {rest} s"
    if ns >= 9_950_000_000:
        return f"{ns / 1e9:.1f} s"
    if ns >= 999_500_000:
        return f"{ns / 1e9:.2f} s"
    return f"{ns / 1e6:.0f} ms" if ns >= 9_950_000 else f"{ns / 1e6:.2f} ms"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """A number with its noun: 1 connection, 1,234 connections."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def of_all(part: int, whole: int) -> str:
    """How many of how many: 6 of 6."""
    return f"{part:,} of {whole:,}"


def about(least_ns: int, most_ns: int) -> str:
    """A duration that was measured several times: 7.00 s, or 5.51 s to 6.31 s where it differs."""
    least, most = seconds(least_ns), seconds(most_ns)
    return least if least == most else f"{least} to {most}"
