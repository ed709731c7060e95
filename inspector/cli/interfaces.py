"""`connspect interfaces`: what can be watched, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.report.text import printable


def lines() -> Iterator[str]:
    """Name, state and addresses, in columns."""
    from inspector.sources.live import ANY, described_interfaces

    rows = [(one.name, one.state, ", ".join(one.addresses), one.description) for one in described_interfaces()]
    rows.append((ANY, "", "all of them", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        columns = [text.ljust(width) for text, width in zip(row, (*widths, 0), strict=True)]
        yield printable(
            "  ".join(column for column, width in zip(columns, (*widths, 1), strict=True) if width)
        ).rstrip()
