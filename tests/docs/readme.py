"""The README's examples: each `$ connspect ...` in a console block, with what it prints, run in the project's folder.

`python -m tests.docs.readme` writes the outputs anew; the test says whether that would change anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"

_EXAMPLE = re.compile(r"```console\n\$ (connspect [^\n]*)\n.*?```", re.DOTALL)


def refreshed(text: str) -> str:
    """The page with the outputs that its commands have now."""
    return _EXAMPLE.sub(lambda match: f"```console\n$ {match[1]}\n{output(match[1])}```", text)


def output(command: str) -> str:
    """What a shell prints for a command line, errors included."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return ran.stdout.decode()


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text("utf-8")), "utf-8")
