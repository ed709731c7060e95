"""What the code writes in the documentation is what it would write now; and the codes are one list everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.cli.main import main
from inspector.findings.families import FAMILIES
from inspector.findings.rules import rules
from inspector.hops.conclusions import HEADER_CHANGED
from inspector.report.explain import kinds
from tests.docs.generated import pages_with_parts, stale_pages, whole_pages, with_parts
from tests.docs.pages import DOCS, ROOT

RULES = {one.code for one in rules()} | {HEADER_CHANGED.code}


@pytest.mark.parametrize("path", whole_pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_that_the_code_writes_is_as_it_writes_it(path: Path) -> None:
    assert path.read_text("utf-8") == whole_pages()[path], "python -m tests.docs.rewrite writes it anew"


@pytest.mark.parametrize("path", pages_with_parts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_parts_of_a_page_that_the_code_writes(path: Path) -> None:
    text = path.read_text("utf-8")
    assert with_parts(path, text) == text, "python -m tests.docs.rewrite writes it anew"


def test_there_are_no_pages_of_findings_that_are_gone() -> None:
    assert not stale_pages()


# ---- one list of codes


def test_codes_are_unique() -> None:
    codes = [one.code for one in rules()]
    assert len(codes) == len(set(codes))


def test_explain_has_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert {kind.code for kind in kinds()} == RULES
    assert main(["explain"]) == 0
    findings, _, _ = capsys.readouterr().out.partition(" Behind a code")
    assert set(re.findall(r"^   ([a-z0-9-]+) ", findings, re.MULTILINE)) == RULES


def test_every_rule_is_about_something() -> None:
    assert {code for codes in FAMILIES.values() for code in codes} >= RULES


def test_the_contract_has_the_rules() -> None:
    (part,) = re.findall(r"begin: codes.*?end: codes", (DOCS / "contract.md").read_text("utf-8"), re.DOTALL)
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", part, re.MULTILINE)) == RULES


def test_each_rule_has_its_page_and_each_page_its_place() -> None:
    assert {path.stem for path in (DOCS / "findings").glob("*.md")} == RULES | {"index"}
    (index,) = re.findall(r"begin: findings.*?end: findings", (ROOT / "mkdocs.yml").read_text("utf-8"), re.DOTALL)
    assert set(re.findall(r"findings/([a-z0-9-]+)\.md", index)) == RULES


@pytest.mark.parametrize("code", sorted(RULES))
def test_figures_that_findings_measure_are_told(code: str) -> None:
    (kind,) = (kind for kind in kinds() if kind.code == code)
    page = (DOCS / "findings" / f"{code}.md").read_text("utf-8")
    assert all(f"| `{name}` |" in page for name in kind.measured.__struct_encode_fields__)
    assert all(text.rstrip().endswith(".") for text in (kind.meaning, kind.example, kind.advice))


# ---- the man page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not there")
def test_the_man_page_is_good_troff() -> None:
    ran = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", str(DOCS / "connspect.1")], capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
