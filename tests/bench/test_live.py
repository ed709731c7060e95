"""What each tool says about what it saw."""

from __future__ import annotations

import pytest

from bench.live import CONNSPECT, CONNSPECT_NDJSON, SCAPY, TCPDUMP, Heard, table, understood

DUMPED = """tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes
119310 packets captured
120000 packets received by filter
690 packets dropped by kernel
"""


def test_each_tool_in_its_words() -> None:
    assert understood(TCPDUMP, "", DUMPED, "") == (119_310, 690)
    assert understood(SCAPY, "18952\n", "listening\n", "") == (18_952, None)
    assert understood(CONNSPECT, "", "", "eth0    120,000 packets, all TCP, none lost    3 s") == (120_000, 0)
    assert understood(CONNSPECT, "", "", "eth0    12 packets, all TCP, 3,000 lost by the system") == (12, 3000)
    lines = '{"type":"endpoint"}\n{"type":"capture","packets":7,"dropped":{"kernel":2,"interface":null}}\n'
    assert understood(CONNSPECT_NDJSON, "", "", lines) == (7, 2)


@pytest.mark.parametrize("tool", [TCPDUMP, CONNSPECT])
def test_a_tool_that_says_nothing(tool: str) -> None:
    with pytest.raises(ValueError, match="went wrong"):
        understood(tool, "", "it went wrong", "it went wrong")


def test_the_table() -> None:
    runs = {CONNSPECT: [Heard(100, 100, 0, 0.0004, 0.05, 10.0)], TCPDUMP: [Heard(100, 90, 10, 0.00018, 0.0, 10.0)]}
    header, connspect, tcpdump, last = table(runs)
    assert connspect.split()[-5:] == ["0.0%", "0", "0.00", "4.00", "0.05"]
    assert tcpdump.split()[-5:] == ["10.0%", "10", "0.00", "2.00", "0.00"]
    assert "takes 2.0 times tcpdump's CPU time a packet, 252.0 times with its report" in last
    assert len(header) == len(connspect)
