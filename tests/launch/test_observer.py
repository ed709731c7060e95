"""What the kernel's program writes, read back."""

from __future__ import annotations

import struct

import pytest

from inspector.endpoints import Endpoint
from inspector.launch.claims import Claim, Moment
from inspector.launch.observer import claim_of

NOTHING = bytes(16)


def record(
    operation: int,
    family: int,
    local: tuple[bytes, bytes, int],
    remote: tuple[bytes, bytes, int],
    at_ns: int = 5,
) -> bytes:
    """struct bpf_sock_ops as the program copies it; an end is (IPv4 address, IPv6 address, port)."""
    ports = remote[2].to_bytes(4, "big") + struct.pack("=I", local[2])
    return (
        struct.pack("=II", operation, family)
        + remote[0]
        + local[0]
        + remote[1]
        + local[1]
        + ports
        + struct.pack("=Q", at_ns)
    )


V4 = ((bytes([10, 0, 0, 2]), NOTHING, 40_000), (bytes([10, 0, 0, 1]), NOTHING, 443))
#: The IPv4 fields of an IPv6 socket may hold anything.
V6 = ((b"\x7f\0\0\6", b"\xfd" + bytes(14) + b"\2", 40_000), (bytes(4), b"\xfd" + bytes(14) + b"\1", 443))
MAPPED = (
    (bytes([10, 0, 0, 2]), bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 2]), 40_000),
    (bytes([10, 0, 0, 1]), bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1]), 443),
)


@pytest.mark.parametrize(
    ("operation", "moment"), [(3, Moment.CONNECTS), (5, Moment.ACCEPTED), (10, Moment.CLOSED), (4, None), (11, None)]
)
def test_operations(operation: int, moment: Moment | None) -> None:
    claim = claim_of(record(operation, 2, *V4), epoch_ns=1000)
    if moment is None:
        assert claim is None
    else:
        assert claim == Claim(moment, Endpoint("10.0.0.2", 40_000), Endpoint("10.0.0.1", 443), 1005)


@pytest.mark.parametrize(
    ("family", "ends", "local", "remote"),
    [
        (2, V4, "10.0.0.2", "10.0.0.1"),
        (10, V6, "fd00::2", "fd00::1"),
        (10, MAPPED, "10.0.0.2", "10.0.0.1"),
    ],
)
def test_addresses_are_those_on_the_wire(
    family: int, ends: tuple[tuple[bytes, bytes, int], tuple[bytes, bytes, int]], local: str, remote: str
) -> None:
    claim = claim_of(record(3, family, *ends), epoch_ns=0)
    assert claim is not None
    assert (claim.local, claim.remote) == (Endpoint(local, 40_000), Endpoint(remote, 443))
