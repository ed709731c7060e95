"""pcapng, block by block."""

from __future__ import annotations

import pytest

from inspector.errors import CaptureError
from inspector.sources import pcapng
from inspector.sources.pcapng_blocks import MAX_TIME_NS
from inspector.sources.source import Dropped, Secret
from tests.sources.conftest import Read
from tests.sources.forge import DSB, EPB, IDB, NRB, SHB, Pcapng, Seen

IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFRECV, ISB_IFDROP, ISB_OSDROP = 4, 5, 7

SECOND = 10**9


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("length", [-1, 1 << 20])
def test_packets_of_both_byte_orders(read: Read, order: str, length: int) -> None:
    data = Pcapng().section(order, length=length).interface(113).enhanced(b"abcde", 1_500_000, length=60).data
    packets, problems, source = read(data)
    assert packets == [Seen(1, 1_500_000_000, b"abcde", 60, 113)]
    assert not problems
    (file,) = source.files
    assert (file.format, file.link_types, file.packets, file.bytes) == ("pcapng", [113], 1, len(data))
    assert file.dropped is None
    assert file.secrets == []


def test_several_sections_each_with_their_own_order_and_interfaces(read: Read) -> None:
    file = Pcapng().section("<").interface(1).interface(101).enhanced(b"a", 1, 1)
    file.section(">", version=(1, 2)).interface(113).enhanced(b"b", 2, 0)
    packets, problems, source = read(file.data)
    assert packets == [Seen(1, 1000, b"a", 1, 101), Seen(2, 2000, b"b", 1, 113)]
    assert not problems
    assert source.files[0].link_types == [1, 101, 113]


@pytest.mark.parametrize(
    ("resolution", "ticks", "time_ns"),
    [
        (0, 3, 3 * SECOND),
        (3, 1_500, 1_500_000_000),
        (9, 1_500_000_001, 1_500_000_001),
        (12, 1_500_999, 1_500),
        (0x80, 3, 3 * SECOND),
        (0x80 | 10, 1024 + 1, SECOND + 976_562),
        (0x80 | 32, (5 << 32) + (1 << 31), 5 * SECOND + SECOND // 2),
        (0x80 | 63, 1 << 62, SECOND // 2),
        (127, 2**64 - 1, 0),
        (0, 2**64 - 1, MAX_TIME_NS // SECOND * SECOND),
        (0x80, 2**64 - 1, MAX_TIME_NS),
    ],
)
def test_time_resolutions(read: Read, resolution: int, ticks: int, time_ns: int) -> None:
    file = Pcapng().section().interface(1, (IF_TSRESOL, bytes([resolution]))).enhanced(b"", ticks)
    packets, problems, _ = read(file.data)
    assert [packet.time_ns for packet in packets] == [time_ns]
    assert not problems


@pytest.mark.parametrize(("offset", "time_ns"), [(100, 100 * SECOND + 1000), (-100, -100 * SECOND + 1000)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_time_offset(read: Read, order: str, offset: int, time_ns: int) -> None:
    eight = offset.to_bytes(8, "little" if order == "<" else "big", signed=True)
    packets, _, _ = read(Pcapng().section(order).interface(1, (IF_TSOFFSET, eight)).enhanced(b"", 1).data)
    assert [packet.time_ns for packet in packets] == [time_ns]


def test_an_absurd_time_offset_does_not_overflow(read: Read) -> None:
    far = (2**63 - 1).to_bytes(8, "little")
    packets, problems, _ = read(Pcapng().section().interface(1, (IF_TSOFFSET, far)).enhanced(b"", 2**64 - 1).data)
    assert packets[0].time_ns > MAX_TIME_NS
    assert not problems


def test_interfaces_with_different_clocks_in_one_run(read: Read) -> None:
    file = Pcapng().section().interface(1, (IF_TSRESOL, b"\x09")).interface(101, (IF_TSRESOL, b"\x03"))
    file.enhanced(b"a", 5, 0).enhanced(b"b", 5, 1).enhanced(b"c", 6, 0)
    packets, _, _ = read(file.data)
    assert [(packet.time_ns, packet.link_type) for packet in packets] == [(5, 1), (5_000_000, 101), (6, 1)]


def test_interface_name(read: Read) -> None:
    _, _, source = read(Pcapng().section().interface(1, (1, b"comment"), (IF_NAME, b"eth0"), (0, b"")).data)
    assert [interface.name for interface in source.interfaces] == ["eth0"]


def test_an_option_that_sticks_out_ends_the_options(read: Read) -> None:
    file = Pcapng().section().interface(1, (IF_NAME, b"eth0")).enhanced(b"x")
    packets, problems, source = read(file.data.replace(b"\x02\x00\x04\x00eth0", b"\x02\x00\xff\x00eth0"))
    assert [interface.name for interface in source.interfaces] == [None]
    assert [packet.data for packet in packets] == [b"x"]
    assert not problems


def test_simple_packets_take_the_time_before_and_this_is_said_once(read: Read) -> None:
    file = Pcapng().section().interface(1, snap_length=4).enhanced(b"abcd", 7)
    offset = len(file.data)
    file.simple(b"efgh", length=60).simple(b"i").enhanced(b"j", 9).simple(b"k")
    packets, (problem,), _ = read(file.data)
    assert [(packet.time_ns, packet.data, packet.length) for packet in packets] == [
        (7000, b"abcd", 4),
        (7000, b"efgh", 60),
        (7000, b"i", 1),
        (9000, b"j", 1),
        (9000, b"k", 1),
    ]
    assert (problem.offset, problem.packet) == (offset, 1)
    assert "no time" in problem.what


@pytest.mark.parametrize("order", ["<", ">"])
def test_obsolete_packets(read: Read, order: str) -> None:
    file = Pcapng().section(order).interface(1).interface(113).obsolete(b"ab", 1 << 33, 1).enhanced(b"c", 1)
    packets, problems, _ = read(file.data)
    assert packets == [Seen(1, (1 << 33) * 1000, b"ab", 2, 113), Seen(2, 1000, b"c", 1, 1)]
    assert not problems


def test_what_is_no_packet_is_skipped(read: Read) -> None:
    file = Pcapng().section().block(0x99, b"before the interface").interface(1).block(NRB, b"names").enhanced(b"a")
    file.block(0xBAD, b"custom").block(0x80000001, b"").enhanced(b"b", options=b"\x01\x00\x04\x00note")
    file.block(0x40000BAD, b"last")
    packets, problems, _ = read(file.data)
    assert [packet.data for packet in packets] == [b"a", b"b"]
    assert not problems


def test_lengths_without_the_padding_are_understood(read: Read) -> None:
    file = Pcapng().section().interface().block(EPB, bytes(12) + b"\x01\0\0\0\x01\0\0\0" + b"a", size=33).enhanced(b"b")
    packets, problems, _ = read(file.data)
    assert [packet.data for packet in packets] == [b"a", b"b"]
    assert not problems


def test_the_last_statistics_of_an_interface_hold(read: Read) -> None:
    file = Pcapng().section().interface().interface().interface()
    file.statistics(0, (ISB_IFRECV, file.count(100)), (ISB_IFDROP, file.count(3)), (ISB_OSDROP, file.count(1)))
    file.enhanced(b"a")
    file.statistics(0, (ISB_IFDROP, file.count(5)), (ISB_OSDROP, file.count(2)))
    file.statistics(1, (ISB_OSDROP, file.count(10)))
    file.statistics(9, (ISB_OSDROP, file.count(1_000)))  # no such interface
    packets, problems, source = read(file.data)
    assert len(packets) == 1
    assert source.files[0].dropped == Dropped(kernel=12, interface=5)
    assert not problems


def test_drops_that_are_not_said_are_not_zero(read: Read) -> None:
    file = Pcapng().section().interface()
    _, _, source = read(file.statistics(0, (ISB_IFDROP, file.count(0))).data)
    assert source.files[0].dropped == Dropped(kernel=None, interface=0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_secrets_are_kept(read: Read, order: str) -> None:
    file = Pcapng().section(order).secrets(0x544C534B, b"CLIENT_RANDOM x").interface().enhanced(b"a").secrets(7, b"")
    packets, problems, source = read(file.data)
    assert source.files[0].secrets == [Secret(0x544C534B, b"CLIENT_RANDOM x"), Secret(7, b"")]
    assert len(packets) == 1
    assert not problems


def test_secrets_beyond_the_bound_are_named_not_kept(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "MAX_SECRET_BYTES", 10)
    file = Pcapng().section().interface().enhanced(b"a").secrets(1, b"12345678").secrets(1, b"123").secrets(1, b"456")
    packets, (problem,), source = read(file.enhanced(b"b").data)
    assert source.files[0].secrets == [Secret(1, b"12345678")]
    assert problem.packet == 1
    assert "secrets" in problem.what
    assert len(packets) == 2


START = Pcapng().section().interface().enhanced(b"good").data


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (Pcapng().enhanced(b"x", interface=1), "interface that the file does not describe"),
        (Pcapng().enhanced(b"x", captured=5), "no room"),
        (Pcapng().enhanced(bytes(262_148)), "more bytes than a packet can have"),
        (Pcapng().simple(b"x", length=5), "no room"),
        (Pcapng().block(EPB, bytes(40), trailer=99), "ends with length 99"),
        (Pcapng().block(EPB, bytes(40), size=8), "claims 8 bytes"),
        (Pcapng().block(EPB, bytes(40), size=1 << 30), "claims 1073741824 bytes"),
        (Pcapng().block(0x99, bytes(40), size=0), "claims 0 bytes"),
        (Pcapng().block(0x99, bytes(8), trailer=99), "ends with length 99"),
        (Pcapng().block(IDB, b""), "claims 12 bytes"),
        (Pcapng().block(DSB, b""), "claims 12 bytes"),
        (Pcapng().block(SHB, bytes(16)), "byte-order magic"),
        (Pcapng().section(version=(2, 0)), "version 2.0"),
    ],
)
def test_a_damaged_block_ends_the_file(read: Read, bad: Pcapng, what: str) -> None:
    packets, (problem,), _ = read(START + bad.data + Pcapng().enhanced(b"lost").data)
    assert [packet.data for packet in packets] == [b"good"]
    assert (problem.offset, problem.packet) == (len(START), 1)
    assert what in problem.what


def test_statistics_behind_damage_do_not_count(read: Read) -> None:
    file = Pcapng().enhanced(b"x", interface=1)
    _, problems, source = read(START + file.statistics(0, (ISB_OSDROP, file.count(9))).data)
    assert len(problems) == 1
    assert source.files[0].dropped is None


def test_cut_in_a_block(read: Read) -> None:
    packets, (problem,), _ = read(START + Pcapng().enhanced(b"x").data[:-1])
    assert [packet.data for packet in packets] == [b"good"]
    assert (problem.offset, problem.packet) == (len(START), 1)
    assert "cut off" in problem.what


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (Pcapng().section().data[:-1], "cut off inside the file header"),
        (Pcapng().section().data[:8], "cut off inside the file header"),
        (Pcapng().block(SHB, bytes(16)).data, "byte-order magic"),
        (Pcapng().section(version=(3, 1)).data, "version 3.1"),
    ],
)
def test_a_broken_first_section_is_no_capture(read: Read, data: bytes, what: str) -> None:
    with pytest.raises(CaptureError, match=what):
        read(data)


def test_a_first_section_header_with_options(read: Read) -> None:
    head = b"\x4d\x3c\x2b\x1a\x01\x00\x00\x00" + b"\xff" * 8
    file = Pcapng().block(SHB, head + b"\x04\x00\x09\x00connspect\0\0\0").interface().enhanced(b"x")
    packets, problems, _ = read(file.data)
    assert len(packets) == 1
    assert not problems
