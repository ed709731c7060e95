"""Write a workload as a classic pcap file, and beside it the truth as JSON. The same seed gives the same bytes.

`python -m bench.generate mixed OUT.pcap --count 400 --seed 7 --lossless`
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle
from pathlib import Path as FilePath
from random import Random
from typing import Any

from bench.conversation import Conversation, Truth
from bench.flood import write_flood
from bench.network import MILLISECOND, Path, Tap
from bench.wire import Host, write_pcap
from bench.workloads import REAL, WORKLOADS, Workload

START_NS = 1_795_361_858_000_000_000
"""22 November 2026, 15:37:38 UTC."""
SERVER_PORT = 80
_EPHEMERAL_PORTS = range(32_768, 61_000)
_CLIENT_MAC, _SERVER_MAC = bytes.fromhex("02c64e0528c8"), bytes.fromhex("02a0f21d0001")
_SERVER_TTL = 61

#: The workload that is no conversation.
FLOOD = "synflood"

#: How much of each is enough to measure: connections, requests, downloads of 10 MB, or SYNs.
DEFAULT_COUNTS = {"short": 20_000, "keep": 40_000, "bulk": 16, "mixed": 4_000, "idle": 500, FLOOD: 250_000}


def generate(name: str, out: FilePath, count: int, seed: int = 1, path: Path = REAL) -> dict[str, Any]:
    """Write workload `name` (a key of DEFAULT_COUNTS) to `out`, on that network path; returns the truth:

    `workload`, `count`, `seed`, `packets`, and `connections`: a list in order of their first packet (so the index is
    Wireshark's tcp.stream) of `client`, `server` {ip, port}, `opened`, `closed` {by, how, packet} or None, `packets`
    {client, server}, `first_packet`, `exchanges` [{request, response or None}]. Exchanges are as the programs wrote
    them: of a response that a RST cut short the capture may have less. Of a flood there is no list.
    """
    head = {"workload": name, "count": count, "seed": seed}
    if name == FLOOD:
        write_flood(out, count, seed, START_NS, _server(0, ipv6=False))
        return {**head, "packets": count}
    random = Random(seed)
    tap = Tap()
    truths = _play(WORKLOADS[name](count, random), path, tap, random)
    order = sorted(tap.packets)
    write_pcap(out, ((time_ns, frame) for time_ns, _, frame in order))
    numbers = [0] * len(order)
    for number, (_, serial, _) in enumerate(order, 1):
        numbers[serial] = number
    seen = [_numbered(truth, numbers) for truth in truths if truth.first_serial is not None]
    return {**head, "packets": len(order), "connections": sorted(seen, key=lambda facts: int(facts["first_packet"]))}


def _play(workload: Workload, path: Path, tap: Tap, random: Random) -> list[Truth]:
    """All workers, each as if it were alone: connections share nothing but the tap, where sorting interleaves them."""
    truths: list[Truth] = []
    workers = len(workload.workers)
    for worker, scripts in enumerate(workload.workers):
        ipv6 = workload.ipv6 and worker % 4 == 3
        ports = cycle(range(_EPHEMERAL_PORTS.start + worker, _EPHEMERAL_PORTS.stop, workers))
        clock_ns = START_NS + random.randrange(workload.scatter_start_ns)
        for script, port in zip(scripts, ports, strict=False):
            client = _client(worker % workload.client_hosts, port, ipv6=ipv6)
            conversation = Conversation(script, client, _server(worker % 2, ipv6=ipv6), path, tap, random, clock_ns)
            truths.append(conversation.run())
            clock_ns = conversation.end_ns + random.randrange(MILLISECOND)
    return truths


def _client(number: int, port: int, *, ipv6: bool) -> Host:
    return Host(f"2001:db8::1:{number + 1:x}" if ipv6 else f"10.0.1.{number + 1}", port, _CLIENT_MAC)


def _server(number: int, *, ipv6: bool) -> Host:
    ip = f"2001:db8::8:{number + 1:x}" if ipv6 else f"192.0.2.{number + 1}"
    return Host(ip, SERVER_PORT, _SERVER_MAC, _SERVER_TTL)


def _numbered(truth: Truth, numbers: list[int]) -> dict[str, Any]:
    """The facts of one connection with packet numbers in place of serials."""
    facts = dict(truth.facts)
    if truth.closing_serial is not None:
        facts["closed"] = {**facts["closed"], "packet": numbers[truth.closing_serial]}
    if truth.first_serial is not None:
        facts["first_packet"] = numbers[truth.first_serial]
    return facts


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate", description="Write a workload as a pcap file.")
    parser.add_argument("workload", choices=sorted(DEFAULT_COUNTS))
    parser.add_argument("out", type=FilePath, help="the capture; the truth goes beside it, as .json")
    parser.add_argument("--count", type=int, help="connections, requests (keep), downloads (bulk) or SYNs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lossless", action="store_true", help="nothing lost, doubled or out of order")
    options = parser.parse_args()
    path = Path() if options.lossless else REAL
    count = options.count or DEFAULT_COUNTS[options.workload]
    truth = generate(options.workload, options.out, count, options.seed, path)
    options.out.with_suffix(".json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: {truth['packets']} packets")


if __name__ == "__main__":
    main()
