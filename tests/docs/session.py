"""A session with Python, as a program: statements in as JSON, what each prints out. Run by `tests.docs.examples`."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import redirect_stdout
from io import StringIO
from typing import Any


def printed(statement: str, names: dict[str, Any]) -> str:
    """What a statement prints, its value and its error among it, as the interactive interpreter shows them."""
    out = StringIO()
    with redirect_stdout(out):
        try:
            exec(compile(statement, "<stdin>", "single"), names)
        except Exception as error:
            lines = traceback.format_exception_only(error)
            out.write("Traceback (most recent call last):\n  ...\n" + "".join(lines))
    return out.getvalue()


if __name__ == "__main__":
    shared: dict[str, Any] = {"__name__": "__main__"}
    sessions = json.load(sys.stdin)
    json.dump([[printed(statement, shared) for statement in session] for session in sessions], sys.stdout)
