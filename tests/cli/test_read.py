"""`connspect read` and `show` on captures that ship, and on input that is none."""

from __future__ import annotations

import gzip
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest

from tests.cli.conftest import CAPTURES, NGINX, Run
from tests.report.test_json import closed_schema

CONNSPECT = (sys.executable, "-m", "inspector")


def report(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("read", "-T", "json", *arguments)
    assert ran.status == 0, ran.err
    parsed: dict[str, Any] = json.loads(ran.out)
    return parsed


def test_the_table_is_the_default(run: Run) -> None:
    ran = run("read", NGINX)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[3].split()[:6] == ["shop.test", "10.0.0.1:8001", "http/1.1", "6", "0", "18"]
    assert "server FIN ×6" in lines[3]


@pytest.mark.parametrize("name", ["nginx-idle", "refused", "race-after", "pipelining", "mid-stream", "connect-tunnel"])
def test_json_is_valid_by_the_schema(name: str, run: Run) -> None:
    capture = next((CAPTURES / name).glob("*.pcapng*"))
    parsed = report(run, capture)
    jsonschema.validate(parsed, closed_schema(), jsonschema.Draft202012Validator)
    counted = parsed["capture"]
    assert counted["packets"] == counted["tcp_segments"] + sum(counted["skipped"].values())
    assert counted["files"][0]["path"] == str(capture)


def test_ndjson_has_the_same_records_as_json(run: Run) -> None:
    whole = report(run, NGINX)
    lines = [json.loads(line) for line in run("read", "-T", "ndjson", "--events", NGINX).out.splitlines()]
    by_type: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_type.setdefault(line.pop("type"), []).append(line)
    # What a connection is part of is only known later.
    without_findings = [connection | {"findings": []} for connection in whole["connections"]]
    assert sorted(by_type["connection"], key=lambda c: c["id"]) == without_findings
    assert {finding.pop("final") for finding in by_type["finding"]} == {True}
    assert by_type["finding"] == whole["findings"]
    assert by_type["endpoint"] == whole["endpoints"]
    assert by_type["capture"] == [whole["capture"]] == [lines[-1]]
    times = [(event["time_ns"], event["packet"]) for event in by_type["event"]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("nginx-h2-goaway", {"tls", "settings", "settings-ack", "goaway", "close-notify", "request", "response-end"}),
        ("envoy-h2-pings", {"ping", "ping-ack"}),
        ("h2-refused", {"stream-reset"}),
        ("h2-slow-reader", {"window-stall"}),
        ("tls-alerts", {"client-hello", "alert"}),
        ("grpc", {"trailers"}),
        ("websocket", {"upgrade", "websocket-close"}),
        ("proxy-protocol-2", {"proxy-header"}),
    ],
)
def test_events_of_every_layer_are_valid(name: str, kinds: set[str], run: Run) -> None:
    folder = CAPTURES / name
    keys = [word for path in folder.glob("keys.log") for word in ("--keylog", path)]
    ran = run("read", "-T", "ndjson", "--events", *keys, next(folder.glob("client.pcapng*")))
    lines = [json.loads(line) for line in ran.out.splitlines()]
    events = [line for line in lines if line.pop("type") == "event"]
    assert {event["event"] for event in events} >= kinds
    validator = jsonschema.Draft202012Validator({**closed_schema(), "$ref": "#/$defs/EventRecord"})
    assert not [event for event in events if not validator.is_valid(event)]


def test_without_events_no_event_is_written(run: Run) -> None:
    assert '"type":"event"' not in run("read", "-T", "ndjson", NGINX).out


def test_selection_changes_what_is_reported_not_what_was_counted(run: Run) -> None:
    whole, none = report(run, NGINX), report(run, "--port", "1", NGINX)
    assert none["capture"] == whole["capture"]
    assert (none["connections"], none["endpoints"]) == ([], [])
    client_port = whole["connections"][3]["client"]["port"]
    assert [c["id"] for c in report(run, "--port", client_port, NGINX)["connections"]] == [3]
    assert len(report(run, "--host", "SHOP.test", "--port", 8001, NGINX)["connections"]) == 6
    assert report(run, "--host", "10.0.0.3", NGINX)["connections"] == []


def test_since_counts_from_the_first_packet(run: Run) -> None:
    everything = report(run, NGINX)
    first_ns = everything["capture"]["first_ns"]
    late = [c["id"] for c in everything["connections"] if c["end_ns"] >= first_ns + 8_000_000_000]
    assert 0 < len(late) < 6
    assert [c["id"] for c in report(run, "--since", "8s", NGINX)["connections"]] == late
    early = [c["id"] for c in everything["connections"] if c["start_ns"] <= first_ns + 500_000_000]
    assert [c["id"] for c in report(run, "--until", "500ms", NGINX)["connections"]] == early


def test_without_names_there_are_none(run: Run) -> None:
    assert report(run, NGINX)["endpoints"][0]["name"] == "shop.test"
    assert report(run, "-n", NGINX)["endpoints"][0]["name"] is None


def test_show_tells_one_connection(run: Run) -> None:
    ran = run("show", NGINX, 3)
    assert ran.status == 0
    assert ran.out.startswith("connection 3   10.0.0.2:")
    assert ran.out.count("GET /a") == 3
    assert "· idle 7.00 s ·" in ran.out
    assert "closed first, idle 7.00 s" in ran.out


def test_show_names_the_ids_that_there_are(run: Run) -> None:
    ran = run("show", NGINX, 6)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"connspect: {NGINX}: no connection 6; there are 0 to 5\n"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_no_capture_is_one_line_and_status_3(tmp_path: Path, run: Run) -> None:
    for path, why in (
        (tmp_path / "missing.pcap", "no such file"),
        (tmp_path, "a directory"),
        (write(tmp_path / "empty.pcap", b""), "empty"),
        (write(tmp_path / "text.pcap", b"#!/bin/sh\n"), "not a pcap or pcapng file"),
    ):
        for command in (["read", path], ["show", path, 0]):
            ran = run(*command)
            assert (ran.status, ran.out) == (3, "")
            assert ran.err.startswith(f"connspect: {path}: {why}")
            assert ran.err.count("\n") == 1


def test_a_name_that_would_act_on_the_terminal_is_escaped(run: Run) -> None:
    ran = run("read", "no\x1b[31m\nsuch.pcap")
    assert ran.err == "connspect: no\\x1b[31m\\x0asuch.pcap: no such file\n"


def test_a_cut_capture_is_reported_up_to_there(tmp_path: Path, run: Run) -> None:
    cut = write(tmp_path / "cut.pcapng", NGINX.read_bytes()[:2_000])
    table = run("read", cut)
    assert table.status == 4
    assert f" ! {cut}: cut off" in table.out
    assert table.err.startswith(f"connspect: {cut}: cut off")
    parsed = json.loads(run("read", "-q", "-T", "json", cut).out)
    assert parsed["capture"]["problems"][0]["packet"] == parsed["capture"]["packets"] > 0
    assert run("show", "-q", cut, 0).status == 4


def test_several_files_are_one_timeline(tmp_path: Path, run: Run) -> None:
    packed = write(tmp_path / "again.pcapng.gz", gzip.compress((CAPTURES / "refused" / "client.pcapng").read_bytes()))
    parsed = report(run, NGINX, packed)
    assert [file["compression"] for file in parsed["capture"]["files"]] == [None, "gzip"]
    assert parsed["capture"]["packets"] == sum(file["packets"] for file in parsed["capture"]["files"])


def test_filters_of_findings_name_stream_numbers_of_a_single_file_only(run: Run) -> None:
    apache = CAPTURES / "apache-idle" / "client.pcapng"
    alone = [finding["filter"] for finding in report(run, NGINX)["findings"]]
    assert any("tcp.stream in {0..5}" in one for one in alone)
    both = [finding["filter"] for finding in report(run, NGINX, apache)["findings"]]
    assert not any("tcp.stream" in one for one in both)
    assert any("ip.addr == 10.0.0.1" in one for one in both)


def test_what_cannot_be_read_beside_what_can_is_a_problem(tmp_path: Path, run: Run) -> None:
    ran = run("read", "-T", "json", NGINX, tmp_path / "missing.pcap")
    assert ran.status == 4
    assert json.loads(ran.out)["capture"]["problems"][0]["what"] == "no such file"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no SIGPIPE on this system")
def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = subprocess.run([*CONNSPECT, "read", str(NGINX)], stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (ran.returncode, ran.stderr) == (-signal.SIGPIPE, b"")


def started(*arguments: str) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
    """connspect reading from a pipe that stays open, its output buffered as it usually is."""
    process = subprocess.Popen(
        [*CONNSPECT, "read", *arguments, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process, process.stdin, process.stdout


def first_event(process: subprocess.Popen[bytes], stdout: IO[bytes]) -> str:
    """The first line of the report; a report that does not come ends the test, not the patience."""
    ready, _, _ = select.select([stdout], [], [], 30)
    if not ready:
        process.kill()
    event: str = json.loads(stdout.readline())["event"]
    return event


def test_connections_of_a_stream_are_written_while_it_goes_on() -> None:
    process, stdin, stdout = started("-T", "ndjson", "--events")
    data = NGINX.read_bytes()
    stdin.write(data[:1_500])  # few packets: their lines must come although they fill no buffer
    stdin.flush()
    assert first_event(process, stdout) == "syn"
    stdin.write(data[1_500:])
    rest, _ = process.communicate()
    assert json.loads(rest.splitlines()[-1])["type"] == "capture"
    assert process.returncode == 0


def test_ctrl_c_reports_what_was_read() -> None:
    process, stdin, stdout = started("-T", "ndjson", "--events")
    stdin.write(NGINX.read_bytes()[:1_500])
    stdin.flush()
    assert first_event(process, stdout) == "syn"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    capture = json.loads(out.splitlines()[-1])
    assert process.returncode == 130
    assert capture["packets"] > 0
    assert [problem["what"] for problem in capture["problems"]] == ["interrupted: the rest was not read"]
    assert err.decode().endswith(f"interrupted: the rest was not read, after packet {capture['packets']}\n")


class TestOutput:
    def test_a_file_is_replaced_when_the_report_is_whole(self, tmp_path: Path, run: Run) -> None:
        path = write(tmp_path / "report.json", b"old")
        path.chmod(0o640)
        ran = run("read", "-T", "json", "-o", path, NGINX)
        assert (ran.status, ran.out) == (0, "")
        assert json.loads(path.read_bytes())["schema"] == 1
        assert path.stat().st_mode & 0o777 == 0o640
        assert list(tmp_path.iterdir()) == [path]

    def test_an_error_leaves_the_old_file(self, tmp_path: Path, run: Run) -> None:
        path = write(tmp_path / "report.json", b"old")
        assert run("read", "-T", "json", "-o", path, tmp_path / "missing").status == 3
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_link_is_followed(self, tmp_path: Path, run: Run) -> None:
        target, link = write(tmp_path / "target", b"old"), tmp_path / "link"
        link.symlink_to(target)
        assert run("read", "-o", link, NGINX).status == 0
        assert link.is_symlink()
        assert target.read_bytes() != b"old"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
    def test_a_device_is_written_into(self, run: Run) -> None:
        assert run("read", "-o", "/dev/null", NGINX).status == 0
        assert Path("/dev/null").is_char_device()
        ran = run("read", "-o", "/dev/full", NGINX)
        assert ran.status == 2
        assert ran.err == "connspect: cannot write /dev/full: No space left on device\n"

    def test_what_cannot_be_written_is_one_line(self, tmp_path: Path, run: Run) -> None:
        for path in (tmp_path, tmp_path / "missing" / "report"):
            ran = run("read", "-o", path, NGINX)
            assert (ran.status, ran.out) == (2, "")
            assert ran.err.startswith(f"connspect: cannot write {path}: ")
            assert ran.err.count("\n") == 1

    @pytest.mark.skipif(shutil.which("mkfifo") is None, reason="no named pipes on this system")
    def test_a_named_pipe_is_written_into(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        process = subprocess.Popen([*CONNSPECT, "read", "-o", str(pipe), str(NGINX)])
        assert b"10.0.0.1:8001" in pipe.read_bytes()
        assert process.wait() == 0


def test_a_history(run: Run) -> None:
    whole, last = (json.loads(run("read", "-T", "json", *more, NGINX).out) for more in ([], ["--history", 2]))
    assert [one["id"] for one in last["connections"]] == [one["id"] for one in whole["connections"][-2:]]
    assert last["endpoints"] == [{**one, "pool": None} for one in whole["endpoints"]]
    assert whole["capture"]["history"] is None
    gone = len(whole["connections"]) - 2
    assert last["capture"]["history"] == {
        "kept": 2,
        "connections": gone,
        "endpoints": 0,
        "endpoint_connections": 0,
        "events": 0,
    }
    table = run("read", "--history", 2, NGINX).out
    assert f" {gone} older connections are in the totals only: --history N keeps more than 2\n" in table
    assert "older connection" not in run("read", NGINX).out
