"""connspect's report against what the generator knows: connections, openings, closes, exchanges, packet by packet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest

from bench.generate import generate
from bench.network import Path
from bench.workloads import REAL
from tests.fuzz.target import run_capture

COUNTS = {"mixed": 120, "idle": 12, "keep": 250, "short": 80}
#: A copy that the network makes is told from one that the capture makes by nothing, so here it makes none.
LOSSY = replace(REAL, loss_before=0.005, loss_behind=0.005, reorder=0.01, duplicate=0)


def said(connection: dict[str, Any]) -> dict[str, Any]:
    """A connection of the report in the words of the truth."""
    closed = connection["closed"]
    return {
        "client": {key: connection["client"][key] for key in ("ip", "port")},
        "server": {key: connection["server"][key] for key in ("ip", "port")},
        "opened": connection["opened"]["how"],
        "closed": closed and {key: closed[key] for key in ("by", "how", "packet")},
        "packets": {side: connection[f"{side}_traffic"]["packets"] for side in ("client", "server")},
        "exchanges": [said_of_exchange(exchange) for exchange in connection["exchanges"]],
        "first_packet": connection["first_packet"],
    }


def said_of_exchange(exchange: dict[str, Any]) -> dict[str, Any]:
    request, response = exchange["request"], exchange["response"]
    asked = {key: request[key] for key in ("method", "target", "connection", "user_agent", "body_bytes")}
    answered = response and {key: response[key] for key in ("status", "connection", "body_bytes")}
    return {"request": asked, "response": answered}


def known(connection: dict[str, Any]) -> dict[str, Any]:
    """The truth without what the report says in other words."""
    exchanges = [
        {
            side: message and {key: value for key, value in message.items() if key != "version"}
            for side, message in exchange.items()
        }
        for exchange in connection["exchanges"]
    ]
    return {**connection, "exchanges": exchanges}


@pytest.mark.parametrize("path", [Path(), LOSSY], ids=["perfect", "lossy"])
@pytest.mark.parametrize("name", COUNTS)
def test_report_agrees_with_the_truth(name: str, path: Path, tmp_path: FilePath) -> None:
    out = tmp_path / f"{name}.pcap"
    truth = generate(name, out, COUNTS[name], seed=3, path=path)
    report = json.loads(run_capture(out, batch_rows=4096))
    assert report["capture"]["packets"] == report["capture"]["tcp_segments"] == truth["packets"]
    assert [said(connection) for connection in report["connections"]] == [known(each) for each in truth["connections"]]
