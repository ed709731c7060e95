"""The order of the layers, and what a command may load: setup.cfg has the contracts, import-linter checks them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parent.parent
CAPTURE = ROOT / "captures" / "nginx-idle" / "client.pcapng"


def test_imports_go_downward_only(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "setup.cfg"), cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def loaded_by(*arguments: str) -> set[str]:
    """The top-level packages that a command has loaded when it is done."""
    program = (
        "import sys; from inspector.cli.main import main; status = main(sys.argv[1:]);"
        "print(status, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    status, *modules = run.stderr.split()
    assert status == "0"
    return set(modules)


def test_help_loads_click_and_little_else() -> None:
    for arguments in (["--help"], ["read", "--help"]):
        assert not loaded_by(*arguments) & {"numpy", "scapy", "rich", "msgspec", "zstandard", "h2", "hpack"}


def test_a_plain_capture_needs_neither_scapy_nor_rich() -> None:
    loaded = loaded_by("read", str(CAPTURE))
    assert "numpy" in loaded
    assert not loaded & {"scapy", "rich", "jsonschema", "h2", "hpack"}
