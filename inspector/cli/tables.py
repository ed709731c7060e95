"""Where the Parquet report goes: a folder, for it is several tables; and what is missing to write it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.inspection import Inspection


def folder_for(output: str | None) -> Path:
    """The folder named by -o. Raises UsageError where that is none, or the library is missing."""
    if output is None or output == "-":
        raise UsageError("--format parquet: several tables need a folder; name one with -o DIR")
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--format parquet: {output} is a file; name a folder with -o DIR")
    try:
        import pyarrow  # noqa: F401  # an extra: larger than all the rest
    except ImportError:
        raise UsageError("--format parquet: needs pyarrow: pip install 'connspect[parquet]'") from None
    return folder


def write_tables(inspection: Inspection, folder: Path) -> None:
    """Write the tables. Raises UsageError when that fails."""
    from inspector.report.parquet import write_parquet

    write_parquet(inspection, folder)
