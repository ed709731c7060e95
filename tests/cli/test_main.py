"""Help, usage errors, and the options that the contract promises on every command."""

from __future__ import annotations

import json

import pytest

from inspector.cli.main import connspect
from inspector.version import __version__
from tests.cli.conftest import NGINX, Run

CONTRACT_OPTIONS = (
    *("--format", "table", "--output", "-", "--host", "a.test", "--port", "80", "--since", "1s", "--until", "2s"),
    *("--connections", "--events", "-n", "--jobs", "1", "--show-secrets", "--quiet", "--verbose"),
    *("--keylog", str(NGINX)),
)
SHORT_OPTIONS = ("-T", "table", "-o", "-", "-n", "-j", "1", "-q", "-v")


@pytest.mark.parametrize("options", [CONTRACT_OPTIONS, SHORT_OPTIONS])
def test_commands_take_the_contracts_options(options: tuple[str, ...], run: Run) -> None:
    assert run("read", *options, NGINX).status == 0
    assert run("show", *options, NGINX, 0).status == 0
    assert run("explain", *options, "reuse").status == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rea", "x.pcap"], "connspect: No such command 'rea'"),
        (["read"], "connspect read: Missing argument 'CAPTURE...'; 'connspect read --help' tells more"),
        (["read", "--bogus", "x.pcap"], "connspect read: No such option"),
        (
            ["read", "--since", "soon", "x.pcap"],
            "connspect read: Invalid value for '--since': 'soon' is no time; write",
        ),
        (["read", "--port", "http", "x.pcap"], "connspect read: Invalid value for '--port'"),
        ([str(NGINX)], f"connspect: {NGINX} is a file: did you mean 'connspect read {NGINX}'?"),
        (["read", "-T", "parquet", "x.pcap"], "connspect: --format parquet: several tables need a folder; name one"),
        (["read", "-j", "2", "x.pcap"], "connspect: --jobs 2: not built yet"),
        (["read", "--events", "-T", "json", "x.pcap"], "connspect: --events: the JSON report has no event log"),
        (["show", "-T", "json", str(NGINX), "0"], "connspect: --format json: show writes text"),
    ],
)
def test_a_usage_error_is_one_line(arguments: list[str], line: str, run: Run) -> None:
    ran = run(*arguments)
    assert ran.status == 2
    assert ran.err.startswith(line)
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_a_near_miss_gets_a_suggestion(run: Run) -> None:
    assert "--format" in run("read", "--formt", "json", "x.pcap").err


def test_help_is_the_answer_to_nothing(run: Run) -> None:
    bare, asked = run(), run("--help")
    assert bare.status == asked.status == 0
    assert bare.out == asked.out
    assert "connspect read capture.pcapng" in bare.out


@pytest.mark.parametrize("command", list(connspect.commands))
def test_every_command_has_a_page(command: str, run: Run) -> None:
    ran = run(command, "--help")
    assert ran.status == 0
    assert ran.out.startswith(f"Usage: connspect {command}")


def test_options_stand_under_headings(run: Run) -> None:
    page = run("read", "--help").out
    headings = [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["What is written:", "Which connections are reported:", "How it is read:", "Other:"]


@pytest.mark.parametrize(
    ("command", "told", "not_told"),
    [
        ("read", ["[table|json|ndjson|html|parquet]", "(parquet: a folder)", "--connections", "--host"], []),
        ("show", ["--keylog", "--verbose"], ["--format", "parquet", "--events", "--host", "--since"]),
        ("live", ["[table|json|ndjson|html]", "--events"], ["parquet", "--jobs"]),
        ("run", ["[table|json|ndjson|html]", "--events"], ["parquet", "--jobs"]),
        ("hops", ["[table|json]", "--host"], ["--connections", "--events", "--verbose"]),
        ("check", ["[table|json]", "--verbose"], ["--connections", "--events", "--show-secrets"]),
        ("explain", ["[table|json]", "--output"], ["--keylog", "--host", "--quiet", "--history"]),
    ],
)
def test_help_has_the_options_that_mean_something(command: str, told: list[str], not_told: list[str], run: Run) -> None:
    page = " ".join(run(command, "--help").out.split())
    assert [word for word in told if word not in page] == []
    assert [word for word in not_told if word in page] == []


def test_version(run: Run) -> None:
    assert run("--version").out.split()[-1] == __version__


def test_schema_is_json(run: Run) -> None:
    ran = run("schema")
    assert ran.status == 0
    assert json.loads(ran.out)["$ref"] == "#/$defs/Report"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_call_connspect_back(shell: str, run: Run) -> None:
    ran = run("completion", shell)
    assert ran.status == 0
    assert "_CONNSPECT_COMPLETE" in ran.out
