"""`--format html` on the command line: where the page goes, what is on it, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import CAPTURES, NGINX, Run
from tests.report.html.hostile import CONNECTION, SECRET, TARGET, hostile_capture
from tests.report.html.reading import PageReader, strings_of


def page(run: Run, *arguments: object) -> PageReader:
    ran = run("read", "-T", "html", *arguments)
    assert (ran.status, ran.err) == (0, "")
    return PageReader(ran.out)


def test_it_goes_to_standard_output_or_to_a_file(tmp_path: Path, run: Run) -> None:
    ran = run("read", "-T", "html", NGINX)
    assert ran.out.startswith("<!DOCTYPE html>\n")
    assert run("read", "-T", "html", "-o", tmp_path / "report.html", NGINX).out == ""
    assert (tmp_path / "report.html").read_text("utf-8") == ran.out


def test_stories_are_on_it_without_asking_for_events(run: Run) -> None:
    reader = page(run, NGINX)
    (whats,) = strings_of(reader.data, reader.data["stories"]["what"])
    assert len(reader.data["stories"]["row"]) == 6
    assert whats.count("GET /a") == 18
    assert page(run, "--events", "--connections", NGINX).data == reader.data


def test_selection_and_names(run: Run) -> None:
    everything = page(run, NGINX)
    assert page(run, "--port", "1", NGINX).data["connections"] == {}
    some = page(run, "--since", "8.0s", NGINX).data["connections"]["id"]
    assert 0 < len(some) < 6
    assert "shop.test" in everything.text
    # The name that the traffic tells is the authority of requests, not a label.
    nameless = page(run, "-n", NGINX)
    assert nameless.data["connections"]["name"] == [None] * 6
    assert "shop.test 10.0.0.1:8001" not in nameless.text


@pytest.mark.parametrize("options", [(), ("--show-secrets",)])
def test_secrets_are_shown_only_when_asked_for(options: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(hostile_capture())
    ran = run("read", "-T", "html", *options, path)
    assert (SECRET in ran.out) == bool(options)
    reader = PageReader(ran.out)
    assert any(TARGET in string for string in reader.data["strings"])
    assert CONNECTION.replace("\u202e", "")[:20] in reader.text
    assert "\u202e" not in ran.out


def test_a_damaged_capture_says_so_on_the_page(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "cut.pcapng"
    path.write_bytes(NGINX.read_bytes()[:-10])
    ran = run("read", "-T", "html", path)
    assert ran.status == 4
    assert "cut.pcapng" in ran.err
    assert "Problem: " in PageReader(ran.out).text


def test_several_files_are_filtered_by_addresses(run: Run) -> None:
    paths = [CAPTURES / name / "client.pcapng" for name in ("nginx-idle", "refused")]
    reader = page(run, *paths)
    assert reader.data["single"] is False
    assert all(str(path) in reader.text for path in paths)


def test_what_a_history_lets_go_of_is_said(run: Run) -> None:
    reader = page(run, "--history", "2", CAPTURES / "requests-get-loop" / "client.pcapng")
    assert "18 older connections are in the totals only" in reader.text
    assert reader.data["connections"]["id"] == [18, 19]
