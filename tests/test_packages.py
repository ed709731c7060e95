"""What is installed: everything that the package reads is among its data."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "inspector"


def setup() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config


def test_every_file_that_is_no_module_is_package_data() -> None:
    there = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    patterns = re.split(r"[,\s]+", setup()["options.package_data"]["inspector"].strip())
    found = {pattern: {path for path in PACKAGE.glob(pattern) if path.is_file()} for pattern in patterns}
    assert all(found.values()), found
    left_out = there.difference(*found.values())
    # Beside a build script stands what a file that ships is made from.
    assert not [path for path in left_out if not (path.parent / "build.sh").exists()]


def test_every_package_has_its_marker() -> None:
    # `find:` finds packages, not folders of modules.
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_the_version_stands_in_one_place() -> None:
    assert setup()["metadata"]["version"] == "attr: inspector.version.__version__"
