"""`connspect hops` as it is typed, on recordings of proxies: what was configured there is in captures/expected.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CAPTURES, NGINX, Run

EXPECTED: dict[str, dict[str, Any]] = {
    name: scenario["hops"]
    for name, scenario in tomllib.loads((CAPTURES / "expected.toml").read_text("utf-8")).items()
    if "hops" in scenario
}


def captures(name: str) -> list[Path]:
    """The recording's captures, the client's side first."""
    files = [next((CAPTURES / name).glob("client.pcapng*")), *(CAPTURES / name).glob("upstream.pcapng*")]
    keys = CAPTURES / name / "keys.log"
    return [*files, *([Path("--keylog"), keys] if keys.exists() else [])]


def told(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("hops", *arguments, "-T", "json")
    assert ran.status == 0, ran.err
    parsed: dict[str, Any] = json.loads(ran.out)
    return parsed


@pytest.mark.parametrize("name", EXPECTED)
def test_what_each_leg_said_and_how_it_was_used(name: str, run: Run) -> None:
    result, expected = told(run, *captures(name)), EXPECTED[name]
    (legs,) = [one for one in result["legs"] if one["upstream"] == expected["upstream"]["endpoint"]]
    for leg in ("downstream", "upstream"):
        truth = expected[leg]
        assert legs[leg] == truth["endpoint"]
        assert {**seen(legs, leg), **asked(truth)} == seen(legs, leg)


def seen(legs: dict[str, Any], leg: str) -> dict[str, Any]:
    """One leg in expected.toml's words: the value that all messages have, "" where none has one."""
    reuse = legs[f"{leg}_reuse"]
    fields = {(one["message"], one["field"]): one[leg] for one in legs["fields"]}
    names = {
        "version": ("request", "version"),
        "connection": ("request", "Connection"),
        "response_connection": ("response", "Connection"),
        "response_keep_alive": ("response", "Keep-Alive"),
    }
    said = {name: ", ".join(fields.get(key, {})) for name, key in names.items()}
    return {**said, "opened": reuse["opened"], "requests": reuse["requests"]}


def asked(truth: dict[str, Any]) -> dict[str, Any]:
    """What the truth says of a leg that hops has a word for."""
    words = ("version", "connection", "response_connection", "response_keep_alive", "opened", "requests")
    return {word: truth[word] for word in words if word in truth}


@pytest.mark.parametrize("name", [name for name, hops in EXPECTED.items() if "clock_offset_ns" in hops])
@pytest.mark.parametrize("turned", [False, True])
def test_clocks_that_differ(name: str, turned: bool, run: Run) -> None:
    first, second, *keys = captures(name)
    result = told(run, *([second, first] if turned else [first, second]), *keys)
    assert result["turned"] is turned
    assert abs(result["offset_ns"] + EXPECTED[name]["clock_offset_ns"]) < 5_000_000
    assert result["offset_error_ns"] < 5_000_000


def test_a_proxy_that_asks_with_close_is_said_to_cost(run: Run) -> None:
    ran = run("hops", *captures("proxy-close"))
    assert ran.status == 0
    assert "10.0.0.254:8001 → 10.0.1.1:8002    3 of 3 requests on both legs, by method and target" in ran.out
    assert "opens a connection to 10.0.1.1:8002 for each request: it asks with Connection: close" in ran.out
    assert "nginx proxy_http_version 1.0" in ran.out


def test_a_proxy_that_keeps_its_connections_costs_nothing(run: Run) -> None:
    (finding,) = told(run, *captures("proxy-keepalive"))["findings"]
    assert finding["severity"] == "info"
    assert "no connection is lost by it" in finding["title"]


def test_a_capture_without_a_proxy(run: Run) -> None:
    ran = run("hops", NGINX)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(" no request was found on both legs: capture both sides of the proxy, on its host ")


def test_what_is_encrypted_is_said(run: Run) -> None:
    ran = run("hops", CAPTURES / "tls-no-keys" / "client.pcapng")
    assert "what is encrypted cannot be compared without its keys (--keylog)" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((NGINX, NGINX, NGINX), "hops: one capture with both legs, or two: one of each leg"),
        ((NGINX, "-T", "ndjson"), "--format ndjson: hops writes table and json"),
    ],
)
def test_what_cannot_be_compared(arguments: tuple[object, ...], said: str, run: Run) -> None:
    ran = run("hops", *arguments)
    assert ran.status == 2
    assert ran.err == f"connspect: {said}\n"
