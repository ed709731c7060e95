"""A command line, run in this process: arguments in, status and both outputs back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspector.cli.main import main

CAPTURES = Path(__file__).parent.parent.parent / "captures"
NGINX = CAPTURES / "nginx-idle" / "client.pcapng"


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_arguments(*arguments: object) -> Ran:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run_arguments
