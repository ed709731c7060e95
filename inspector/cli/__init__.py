"""The command line: what a person types becomes options of the engine and a renderer; errors become one line.

Start-up counts: at import time nothing but click comes in; NumPy, the engine and the renderers are imported by the
command that needs them.
"""

from typing import Final

# Exit statuses beside 0 (reported) and those that errors.py gives its exceptions (2 wrong usage, 3 nothing read).

#: A limit of `check` is broken; wins over PARTLY_READ.
BROKEN: Final = 1
#: A report was written, but part of the input could not be read.
PARTLY_READ: Final = 4
#: Ctrl-C, as shells have it (128 + SIGINT).
INTERRUPTED: Final = 130
