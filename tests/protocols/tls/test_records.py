"""The record layer: bytes in, records out; and how it finds back after what is missing or makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.bytestream import FROM_SERVER, Piece
from inspector.protocols.tls.records import FOREVER, MAX_FRAGMENT, RecordReader
from tests.protocols.tls.forge import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, record


class Reading:
    """A reader, what it was told and what it says, as lines."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.reader = RecordReader(FROM_SERVER)
        self.told: list[str] = []
        self.wanted = wanted
        self.offset = 0
        self.packet = 0

    def data(self, data: bytes, size: int | None = None) -> None:
        """One packet, in pieces of `size` bytes."""
        self.packet += 1
        for at in range(0, len(data), size or len(data)):
            part = memoryview(data[at : at + (size or len(data))])
            self.reader.data(Piece(FROM_SERVER, self.offset, part, self.packet, self.packet * 1000), self)
            self.offset += len(part)

    def gap(self, length: int) -> None:
        self.packet += 1
        self.reader.gap(self.offset, length, self.packet, self.packet * 1000, self)
        self.offset += length

    def end(self) -> None:
        self.packet += 1
        self.reader.end(self.packet, self.packet * 1000, self)

    # What the reader tells

    def wants(self, direction: int, content_type: int) -> bool:
        assert direction == FROM_SERVER
        return self.wanted

    def record(
        self,
        direction: int,
        content_type: int,
        version: int,
        start: int,
        length: int,
        fragment: memoryview | bytes | bytearray | None,
        packet: int,
        time_ns: int,
    ) -> None:
        assert (direction, time_ns) == (FROM_SERVER, packet * 1000)
        assert fragment is None or len(fragment) == length
        body = "" if fragment is None else f" {bytes(fragment[:5]).decode('latin-1')}"
        self.told.append(f"{packet}: {content_type} at {start}, {length}{body}")

    def cut_record(
        self, direction: int, content_type: int, start: int, length: int, part: bytes, packet: int, time_ns: int
    ) -> None:
        self.told.append(f"{packet}: cut {content_type} at {start}, {len(part)} of {length}")

    def lost(self, direction: int, start: int, stop: int, packet: int, time_ns: int, *, found: bool) -> None:
        self.told.append(f"{packet}: lost {start} to {stop}" + ("" if found else ", for good"))

    def odd(self, direction: int, *, first: bool, packet: int, time_ns: int) -> None:
        self.told.append(f"{packet}: odd" + (" from the first byte" if first else ""))


HELLO = record(HANDSHAKE, b"hello")
DATA = record(APPLICATION_DATA, b"x" * 100)


def test_records_one_behind_the_other() -> None:
    reading = Reading()
    reading.data(HELLO + record(CHANGE_CIPHER_SPEC, b"\1") + DATA[:50])
    reading.data(DATA[50:])
    assert reading.told == ["1: 22 at 0, 5 hello", "1: 20 at 10, 1 \1", "2: 23 at 16, 100 xxxxx"]


def test_bodies_that_nobody_wants_are_not_needed() -> None:
    reading = Reading(wanted=False)
    reading.data(HELLO + DATA[:7])
    assert reading.told == ["1: 22 at 0, 5"]
    assert reading.reader.skip_until == reading.offset + 98
    assert reading.reader.inside
    reading.data(DATA[7:])
    assert reading.told[1:] == ["2: 23 at 10, 100"]
    assert not reading.reader.inside


def test_a_hole_in_a_body_that_nobody_wants_costs_nothing() -> None:
    reading = Reading(wanted=False)
    reading.data(DATA[:7])
    reading.gap(50)
    reading.data(DATA[57:] + HELLO)
    reading.data(DATA[:7])
    reading.gap(98)
    reading.data(HELLO)
    assert reading.told == [
        "3: 23 at 0, 100",
        "3: 22 at 105, 5",
        "5: 23 at 115, 100",
        "6: 22 at 220, 5",
    ]


def test_a_hole_in_a_body_costs_the_record() -> None:
    reading = Reading()
    reading.data(HELLO[:7])
    reading.gap(2)
    reading.data(HELLO[9:] + HELLO)
    assert reading.told == ["3: cut 22 at 0, 2 of 5", "3: 22 at 10, 5 hello"]


def test_behind_a_hole_one_header_is_enough() -> None:
    reading = Reading()
    reading.data(DATA[:7])
    reading.gap(500)
    reading.data(HELLO[:4])
    reading.data(HELLO[4:])
    assert reading.told == ["2: cut 23 at 0, 2 of 100", "3: lost 105 to 507", "4: 22 at 507, 5 hello"]


def test_elsewhere_a_header_needs_another_one_behind_it() -> None:
    reading = Reading()
    reading.gap(10)
    reading.data(b"\x17\3\3\0\4 no." + HELLO)
    reading.data(HELLO)
    assert reading.told == ["2: lost 0 to 10", "2: 23 at 10, 4  no.", "2: 22 at 19, 5 hello", "3: 22 at 29, 5 hello"]
    reading.gap(10)
    reading.data(b"?\x17\3\3\0\4 no,?" + HELLO + HELLO[:3])
    assert reading.told[4:] == []
    reading.data(HELLO[3:])
    assert reading.told[4:] == ["5: lost 39 to 60", "5: 22 at 60, 5 hello", "6: 22 at 70, 5 hello"]


def test_a_record_that_ends_with_the_direction_is_one() -> None:
    reading = Reading()
    reading.gap(10)
    reading.data(b"??" + HELLO)
    assert reading.told == []
    reading.end()
    assert reading.told == ["2: lost 0 to 12", "2: 22 at 12, 5 hello"]


def test_what_is_never_found_again() -> None:
    reading = Reading()
    reading.data(HELLO)
    reading.gap(10)
    reading.data(b"?" * 50_000)
    assert len(reading.reader._held) <= 2
    reading.end()
    assert reading.told == ["1: 22 at 0, 5 hello", "4: lost 10 to 50020, for good"]


def test_bytes_that_are_no_record() -> None:
    reading = Reading()
    reading.data(HELLO + b"#!" + HELLO + HELLO)
    assert reading.told == ["1: 22 at 0, 5 hello", "1: odd", "1: lost 10 to 12", *reading.told[3:]]
    assert reading.told[3:] == ["1: 22 at 12, 5 hello", "1: 22 at 22, 5 hello"]
    reading = Reading()
    reading.data(b"HTTP/1.1 400 Bad Request\r\n")
    assert reading.told == ["1: odd from the first byte"]


@pytest.mark.parametrize(("length", "odd"), [(MAX_FRAGMENT, False), (MAX_FRAGMENT + 1, True)])
def test_the_longest_body(length: int, odd: bool) -> None:
    reading = Reading(wanted=False)
    reading.data(b"\x17\3\3" + length.to_bytes(2, "big") + b"....")
    assert reading.told == (["1: odd from the first byte"] if odd else [])


def test_an_end_inside_a_record() -> None:
    for wanted in (True, False):
        reading = Reading(wanted=wanted)
        reading.data(DATA[:55])
        reading.end()
        assert reading.told == [f"2: cut 23 at 0, {50 if wanted else 0} of 100"]


def test_closed_it_reads_nothing() -> None:
    reading = Reading()
    reading.reader.close()
    reading.data(HELLO)
    reading.gap(5)
    reading.end()
    assert reading.told == []
    assert reading.reader.skip_until == FOREVER


def test_a_search_holds_no_more_than_two_records() -> None:
    reading = Reading()
    reading.gap(1)
    candidate = b"?\x17\3\3" + MAX_FRAGMENT.to_bytes(2, "big")
    for _ in range(20):
        reading.data(candidate + bytes(MAX_FRAGMENT), 1000)
        assert len(reading.reader._held) <= MAX_FRAGMENT + 5 + 4096


def test_many_short_findings_in_one_piece_do_not_nest() -> None:
    reading = Reading()
    reading.data((record(ALERT, b"a") + record(ALERT, b"b") + b"#") * 5000)
    assert len([line for line in reading.told if "21 at" in line]) == 10_000


pieces = st.sampled_from([HELLO, DATA, record(ALERT, b"\1\0"), b"#", b"\x17\3", b"\x16\3\1\0\3abc", DATA[:60]])


@settings(max_examples=200)
@given(st.lists(st.one_of(pieces, st.integers(1, 200)), max_size=12), st.integers(1, 7), st.booleans())
def test_cutting_changes_nothing(told: list[bytes | int], size: int, wanted: bool) -> None:
    whole, crumbs = Reading(wanted=wanted), Reading(wanted=wanted)
    for step in told:
        if isinstance(step, int):
            whole.gap(step)
            crumbs.gap(step)
        else:
            whole.data(step)
            crumbs.data(step, size)
    whole.end()
    crumbs.end()
    assert crumbs.told == whole.told
