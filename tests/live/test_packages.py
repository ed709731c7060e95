"""The packages, built from what is in the repository, installed in a fresh environment, and used there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from inspector.report.explain import kinds
from inspector.version import __version__

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent.parent
CAPTURE = ROOT / "captures" / "nginx-idle" / "client.pcapng"
#: What a package is built from.
SOURCES = (
    "inspector",
    "docs/connspect.1",
    "setup.cfg",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
)


def told(*command: str | Path) -> str:
    """What a command prints, run where nothing of the repository is."""
    ran = subprocess.run(list(map(str, command)), cwd="/", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sdist and wheel."""
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    told(sys.executable, "-m", "build", "--outdir", folder / "dist", source)
    return folder / "dist"


def test_both_are_as_an_index_wants_them(packages: Path) -> None:
    found = sorted(packages.iterdir())
    assert [path.name for path in found] == [
        f"connspect-{__version__}-py3-none-any.whl",
        f"connspect-{__version__}.tar.gz",
    ]
    told(sys.executable, "-m", "twine", "check", "--strict", *found)


def test_the_wheel_does_its_work_in_a_fresh_environment(packages: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    (wheel,) = packages.glob("*.whl")
    told(tmp_path / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    connspect = tmp_path / "bin" / "connspect"
    assert told(connspect, "--version").split()[-1] == __version__
    (endpoint,) = json.loads(told(connspect, "read", "-T", "json", CAPTURE))["endpoints"]
    assert endpoint["closed"]["server_fin"] == 6
    assert "closes idle connections after 7.00 s" in told(connspect, "read", CAPTURE)
    explained = told(connspect, "explain")
    assert all(kind.code in explained for kind in kinds())
    assert (tmp_path / "share" / "man" / "man1" / "connspect.1").read_text("utf-8").startswith(".TH CONNSPECT 1")
