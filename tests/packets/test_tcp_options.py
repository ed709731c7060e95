"""TCP options: what each says, and that no bytes raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from inspector.packets.tcp_options import TcpOptions, parse_tcp_options


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", TcpOptions()),
        ("01010000", TcpOptions()),
        ("020405b4", TcpOptions(mss=1460, kinds=(2,))),
        ("030307", TcpOptions(window_scale=7, kinds=(3,))),
        ("0303ff", TcpOptions(window_scale=14, kinds=(3,))),
        ("0402", TcpOptions(sack_permitted=True, kinds=(4,))),
        ("050a0000000100000005", TcpOptions(sack=((1, 5),), kinds=(5,))),
        ("080a0000000100000002", TcpOptions(timestamps=(1, 2), kinds=(8,))),
        ("2202", TcpOptions(fast_open=b"", kinds=(34,))),
        ("2206aabbccdd", TcpOptions(fast_open=b"\xaa\xbb\xcc\xdd", kinds=(34,))),
        ("fe06f989aabb", TcpOptions(fast_open=b"\xaa\xbb", kinds=(254,))),
        ("fe041234", TcpOptions(kinds=(254,))),
        ("1e0c0181" + "00" * 8, TcpOptions(mptcp=0, kinds=(30,))),
        ("1e0c1000" + "00" * 8, TcpOptions(mptcp=1, kinds=(30,))),
        ("1304aabb", TcpOptions(kinds=(19,))),
        ("0203ff", TcpOptions(kinds=(2,))),
        ("020405b4010303070000", TcpOptions(mss=1460, window_scale=7, kinds=(2, 3))),
        ("00020405b4", TcpOptions()),
        ("0200", TcpOptions(damaged=True)),
        ("020405", TcpOptions(damaged=True)),
        ("0402ff", TcpOptions(sack_permitted=True, kinds=(4,), damaged=True)),
    ],
)
def test_what_options_say(data: str, expected: TcpOptions) -> None:
    assert parse_tcp_options(bytes.fromhex(data)) == expected


@given(st.binary(max_size=40))
def test_no_bytes_raise(data: bytes) -> None:
    options = parse_tcp_options(data)
    assert sum(2 for _ in options.kinds) <= len(data)


@given(st.integers(0, 65535), st.integers(0, 14), st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)))
def test_what_scapy_writes_is_read(mss: int, scale: int, stamps: tuple[int, int]) -> None:
    listed = [("MSS", mss), ("SAckOK", b""), ("Timestamp", stamps), ("NOP", None), ("WScale", scale)]
    options = parse_tcp_options(bytes(TCP(options=listed))[20:])
    assert options == TcpOptions(mss, scale, True, timestamps=stamps, kinds=(2, 4, 8, 3))
