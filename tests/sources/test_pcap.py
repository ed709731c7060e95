"""Classic pcap, bit by bit."""

from __future__ import annotations

import struct

import pytest

from inspector.errors import CaptureError
from tests.sources.conftest import Read
from tests.sources.forge import Seen, pcap_header, pcap_record


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_byte_orders_and_resolutions(read: Read, order: str, magic: int, unit_ns: int) -> None:
    data = pcap_header(order, magic, link=113)
    data += pcap_record(b"abc", 5, 7, order=order, length=60) + pcap_record(b"", 0xFFFFFFFF, 999_999, order=order)
    packets, problems, source = read(data)
    assert packets == [
        Seen(1, 5_000_000_000 + 7 * unit_ns, b"abc", 60, 113),
        Seen(2, 0xFFFFFFFF * 10**9 + 999_999 * unit_ns, b"", 0, 113),
    ]
    assert not problems
    (file,) = source.files
    assert (file.format, file.compression, file.link_types, file.packets, file.bytes) == (
        "pcap",
        None,
        [113],
        2,
        len(data),
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_kuznetzov_records_have_24_byte_headers(read: Read, order: str) -> None:
    patch = struct.pack(order + "IHBx", 3, 0x0800, 4)
    data = pcap_header(order, 0xA1B2CD34)
    data += pcap_record(b"one", 1, order=order, patch=patch) + pcap_record(b"two", 2, order=order, patch=patch)
    packets, problems, _ = read(data)
    assert [packet.data for packet in packets] == [b"one", b"two"]
    assert not problems


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(0x1C0001AC, 1), (0x1C0001AB, 1000)])
def test_ixia_files_have_28_byte_headers(read: Read, order: str, magic: int, unit_ns: int) -> None:
    record = pcap_record(b"abc", 1, 2, order=order)
    packets, problems, _ = read(pcap_header(order, magic) + struct.pack(order + "I", len(record)) + record)
    assert packets == [Seen(1, 10**9 + 2 * unit_ns, b"abc", 3, 1)]
    assert not problems


@pytest.mark.parametrize("version", [(2, 2), (543, 0)])
def test_old_versions_have_the_original_length_first(read: Read, version: tuple[int, int]) -> None:
    record = struct.pack("<IIII", 1, 0, 60, 3) + b"abc"
    packets, problems, _ = read(pcap_header(version=version) + record + record)
    assert packets == [Seen(number, 10**9, b"abc", 60, 1) for number in (1, 2)]
    assert not problems


def test_version_2_3_has_either_order(read: Read) -> None:
    data = pcap_header(version=(2, 3))
    data += struct.pack("<IIII", 1, 0, 60, 3) + b"abc" + struct.pack("<IIII", 1, 0, 3, 60) + b"def"
    packets, problems, _ = read(data)
    assert [(packet.data, packet.length) for packet in packets] == [(b"abc", 60), (b"def", 60)]
    assert not problems


def test_upper_bits_of_the_link_type_are_the_check_sequence(read: Read) -> None:
    packets, _, source = read(pcap_header(link=0x2400_0001) + pcap_record(b"abc"))
    assert packets[0].link_type == 1
    assert source.files[0].link_types == [1]


def test_more_captured_than_sent_or_than_the_snap_length_is_kept(read: Read) -> None:
    packets, problems, _ = read(pcap_header() + pcap_record(bytes(70_000), length=5) + pcap_record(b"x"))
    assert [(len(packet.data), packet.length) for packet in packets] == [(70_000, 70_000), (1, 1)]
    assert not problems


def test_a_file_without_packets_is_a_capture(read: Read) -> None:
    packets, problems, source = read(pcap_header())
    assert packets == []
    assert problems == []
    assert source.files[0].packets == 0


def test_cut_in_a_packet_names_offset_and_last_packet(read: Read) -> None:
    good = pcap_header() + pcap_record(b"abc")
    packets, (problem,), _ = read(good + pcap_record(b"def")[:-1])
    assert [packet.data for packet in packets] == [b"abc"]
    assert (problem.offset, problem.packet) == (len(good), 1)
    assert "cut off" in problem.what


def test_absurd_length_ends_the_file(read: Read) -> None:
    good = pcap_header() + pcap_record(b"abc")
    packets, (problem,), _ = read(good + pcap_record(b"", captured=262_145) + pcap_record(b"def"))
    assert [packet.data for packet in packets] == [b"abc"]
    assert (problem.offset, problem.packet) == (len(good), 1)
    assert "262145 bytes" in problem.what


def test_usb_and_dbus_packets_may_be_larger(read: Read) -> None:
    large = bytes(9 << 20)  # more than a batch has, too
    packets, problems, _ = read(pcap_header(link=249) + pcap_record(large) + pcap_record(b"x"))
    assert [packet.data for packet in packets] == [large, b"x"]
    assert not problems


@pytest.mark.parametrize("data", [pcap_header()[:-1], pcap_header(magic=0x1C0001AC)])
def test_cut_in_the_file_header_is_no_capture(read: Read, data: bytes) -> None:
    with pytest.raises(CaptureError, match="cut off inside the file header"):
        read(data)


def test_unknown_version_is_no_capture(read: Read) -> None:
    with pytest.raises(CaptureError, match=r"version 1\.0"):
        read(pcap_header(version=(1, 0)))
