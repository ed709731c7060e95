"""Runs, ratios, verdicts and the table that shows them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from bench import __main__ as bench
from bench import captures, tools
from bench.figures import Verdict, verdicts
from bench.generate import generate
from bench.measure import Measurement, Run, RunError, alternate, run
from bench.tables import as_json, table

PYTHON = [sys.executable, "-S", "-c"]
MB = 1_000_000


def measured(tool: str, seconds: list[float], peak_mb: int, workload: str = "short") -> Measurement:
    return Measurement(workload, 1000, tool, [Run(each, each / 2, peak_mb * MB) for each in seconds])


def test_a_run_takes_time_and_memory() -> None:
    seen = run([*PYTHON, "import time; held = bytearray(150_000_000); time.sleep(0.1)"])
    assert 0.1 <= seen.seconds < 5
    assert 0 < seen.cpu_seconds < seen.seconds
    assert 150 * MB <= seen.peak_bytes < 400 * MB


def test_a_failing_run_says_why_in_one_line() -> None:
    with pytest.raises(RunError, match=r"exit status 3: the reason$"):
        run([*PYTHON, "import sys; print('first\\nthe reason', file=sys.stderr); sys.exit(3)"])


def test_tools_alternate_and_a_failed_one_is_not_run_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])"
    commands = {"a": [*PYTHON, note, "a"], "b": [*PYTHON, note + "; sys.exit(1)", "b"]}
    a, b = alternate("any", 5, commands, rounds=3)
    assert log.read_text() == "abaa"
    assert (len(a.runs), a.failure) == (3, None)
    assert b.runs == []
    assert b.failure


def test_the_measuring_process_stays_small() -> None:
    """The kernel adds what the parent had mapped before exec to the child's peak."""
    code = "import sys, bench.__main__; print([m for m in ('numpy', 'scapy', 'inspector') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(bench.__file__).parents[1]
    )
    assert done.stdout == "[]\n"


def test_ratios_are_of_medians_and_decide() -> None:
    tshark = measured("tshark", [4.0, 9.0, 4.2], 200)
    held = list(verdicts([measured("connspect", [1.0, 0.9, 7.0], 100), tshark]))
    assert [(verdict.what, verdict.measured, verdict.held) for verdict in held] == [
        ("times faster", 4.2, True),
        ("part of memory", 0.5, True),
    ]
    missed = list(verdicts([measured("connspect", [1.1], 101), tshark]))
    assert [verdict.held for verdict in missed] == [False, False]


def test_without_tshark_nothing_is_judged() -> None:
    found = list(verdicts([measured("connspect", [1.0], 10), measured("tcptrace", [1.0], 10)]))
    assert [verdict.held for verdict in found] == [None, None]


def test_other_workloads_and_other_tools_have_no_figure() -> None:
    assert list(verdicts([measured("connspect", [1.0], 10, "mixed"), measured("tshark", [1.0], 10, "mixed")])) == []


def test_our_failure_is_a_miss_and_theirs_is_not() -> None:
    ours = Measurement("short", 1000, "connspect", failure="connspect: exit status 1: no")
    theirs = Measurement("short", 1000, "tshark", failure="tshark: exit status 2: no")
    assert [verdict.held for verdict in verdicts([ours, theirs])] == [False]
    assert [verdict.held for verdict in verdicts([measured("connspect", [1.0], 10), theirs])] == [None, None]


def test_table_shows_every_figure() -> None:
    measurements = [measured("connspect", [0.5, 0.4, 0.6], 60), measured("tshark", [4.0], 200)]
    groups = [(measurements, list(verdicts(measurements))), ([], [Verdict("help", "connspect", "seconds", 0.25, 0.2)])]
    heading, ours, theirs, start = (line.split() for line in table(groups, markdown=False).splitlines())
    assert heading[:3] == ["workload", "packets", "tool"]
    assert ours[:8] == ["short", "1,000", "connspect", "0.500", "(0.400–0.600)", "0.250", "2,000", "60"]
    assert ours[8:] == ["8.00", "0.30", "≥", "4×,", "≤", "0.5", "of", "memory", "pass"]
    assert theirs == ["short", "1,000", "tshark", "4.000", "(4.000–4.000)", "2.000", "250", "200"]
    assert start == ["help", "connspect", "0.250", "≤", "0.2", "s", "MISS"]
    lines = table(groups, markdown=True).splitlines()
    assert {line.count("|") for line in lines} == {13}
    assert set(lines[1]) == set("|-: ")
    assert json.loads(json.dumps(as_json(groups)))["verdicts"][2]["held"] is False


def test_failure_is_shown_in_the_table() -> None:
    failed = [Measurement("short", 1000, "connspect", failure="no")]
    line = table([(failed, list(verdicts(failed)))], markdown=False).splitlines()[1]
    assert line.split() == ["short", "1,000", "connspect", "failed", "no", "failure", "MISS"]


def test_packets_are_counted_in_the_file(tmp_path: Path) -> None:
    truth = generate("short", tmp_path / "a.pcap", 3)
    assert captures.packets_of(tmp_path / "a.pcap") == truth["packets"] > 30


def test_recorded_workloads_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "_work", lambda: tmp_path)
    (tmp_path / "short.pcap.zst").write_bytes(zstandard.ZstdCompressor().compress(b"packets"))
    out = captures.recorded(tmp_path, "short")
    assert out is not None
    assert out.read_bytes() == b"packets"
    written = out.stat().st_mtime_ns
    assert captures.recorded(tmp_path, "short") == out
    assert out.stat().st_mtime_ns == written
    assert captures.recorded(tmp_path, "keep") is None


def test_absent_tools_are_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert tools.missing() == ["tshark", "tcptrace"]
    assert list(tools.commands(Path("a.pcap"))) == ["connspect", "connspect json"]


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 1", 1)])
def test_exit_status_says_whether_all_held(
    script: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "connspect"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setattr(tools, "connspect", lambda: str(command))
    assert bench.main(["help", "--quick", "--json", str(tmp_path / "out.json")]) == status
    assert ("MISS" in capsys.readouterr().out) == bool(status)
    assert len(json.loads((tmp_path / "out.json").read_text())["verdicts"]) == 1


def test_tshark_is_asked_for_http2_and_given_the_keys() -> None:
    h2c = tools.commands(Path("h2c.pcap"), http2_port=81)
    assert h2c[tools.JSON] == [tools.connspect(), "read", "-o", "/dev/null", "--format", "json", "h2c.pcap"]
    with_keys = tools.commands(Path("tlsh2.pcap"), keys=Path("tlsh2.keys"))
    assert with_keys[tools.TABLE][-3:] == ["--keylog", "tlsh2.keys", "tlsh2.pcap"]
    if tools.TSHARK in h2c:
        assert {"tcp.port==81,http2", "http2.type"} <= set(h2c[tools.TSHARK])
        assert "tls.keylog_file:tlsh2.keys" in with_keys[tools.TSHARK]
        assert "http2.type" not in tools.commands(Path("keep.pcap"))[tools.TSHARK]


def test_a_workload_that_is_only_recorded_may_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.measure("h2c", tmp_path, 1) == ([], [])
    assert bench.measure("tlsh2", None, 1) == ([], [])
    assert capsys.readouterr().err.count("there is no recording of it") == 2
