"""Records cheap scenarios anew, with the kernel and the servers of this machine, and holds connspect against them.

They need no Python library beyond the standard one. Skipped without root or without the programs; says which.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from captures.recorder import scenarios, tools
from captures.recorder.cli import record
from captures.recorder.stage import SCENARIOS
from tests.recordings import report_on, truth_of
from tests.truth import differences

pytestmark = pytest.mark.live

NAMES = ("refused", "pipelining", "race-crossed", "curl-h2", "tls-suites")


@pytest.fixture(autouse=True)
def _can_record() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    install = tools.missing()
    if install:
        pytest.skip(f"programs are missing: {install}")
    scenarios.load()


def namespaces() -> set[str]:
    """Network namespaces that this process has made."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.startswith(f"cap{os.getpid()}-")}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_anew(name: str, tmp_path: Path) -> None:
    folder = record(SCENARIOS[name], Path(sys.executable), tmp_path)
    assert differences(report_on(folder), truth_of(folder)) == []
    assert namespaces() == set()


def test_what_was_begun_is_taken_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_data: bytes) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("captures.recorder.capture.scrub", fail)
    with pytest.raises(KeyboardInterrupt):
        record(SCENARIOS["refused"], Path(sys.executable), tmp_path)
    assert namespaces() == set()
    assert list(tmp_path.glob("*/truth.json")) == []
