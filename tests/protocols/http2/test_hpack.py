"""Header compression: RFC 7541's own examples, hpack as the peer, and what an observer makes of less than all."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hpack import Decoder, Encoder
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from inspector.protocols.http2 import hpack
from inspector.protocols.http2.hpack import (
    MAX_LIST_SIZE,
    MAX_TABLE_SIZE,
    STATIC,
    Field,
    Table,
    first_table,
    lost_table,
    read_block,
)
from inspector.protocols.http2.huffman import huffman_text

CUSTOM = ("custom-key", "custom-header")


def blocks(*texts: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


@dataclass
class Example:
    """One of RFC 7541 appendix C's sequences: each block, its fields, and the table's size behind it."""

    name: str
    blocks: list[bytes]
    fields: list[list[Field]]
    sizes: list[int]
    limit: int = 4096


GETS: list[list[Field]] = [
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
]
DATES = "Mon, 21 Oct 2013 20:13:21 GMT", "Mon, 21 Oct 2013 20:13:22 GMT"
RESPONSES: list[list[Field]] = [
    [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", DATES[0]),
        ("location", "https://www.example.com"),
    ],
    [
        (":status", "307"),
        ("cache-control", "private"),
        ("date", DATES[0]),
        ("location", "https://www.example.com"),
    ],
    [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", DATES[1]),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
]

EXAMPLES = [
    Example("C.2.1", blocks("400a637573746f6d2d6b65790d637573746f6d2d686561646572"), [[CUSTOM]], [55]),
    Example("C.2.2", blocks("040c2f73616d706c652f70617468"), [[(":path", "/sample/path")]], [0]),
    Example("C.2.3", blocks("100870617373776f726406736563726574"), [[("password", "secret")]], [0]),
    Example("C.2.4", blocks("82"), [[(":method", "GET")]], [0]),
    Example(
        "C.3",
        blocks(
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ),
        GETS,
        [57, 110, 164],
    ),
    Example(
        "C.4",
        blocks(
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ),
        GETS,
        [57, 110, 164],
    ),
    Example(
        "C.5",
        blocks(
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f"
            "7777772e6578616d706c652e636f6d",
            "4803333037c1c0bf",
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b42"
            "5a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        ),
        RESPONSES,
        [222, 222, 215],
        limit=256,
    ),
    Example(
        "C.6",
        blocks(
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af2708"
            "7f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ),
        RESPONSES,
        [222, 222, 215],
        limit=256,
    ),
]


def limited(limit: int) -> Table:
    return Table((), 0, limit, False)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples_of_the_rfc(example: Example) -> None:
    table = limited(example.limit)
    for block, fields, size in zip(example.blocks, example.fields, example.sizes, strict=True):
        read = read_block(table, block)
        assert read.fields == fields
        assert (read.known, read.broken, read.too_large) == (True, None, False)
        table = read.table
        assert table.size == size


def test_the_static_table() -> None:
    assert [(name.decode(), value.decode()) for name, value in HeaderTable.STATIC_TABLE] == list(STATIC[1:])


class TestHuffman:
    encoder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

    @given(st.binary(max_size=80))
    def test_what_was_encoded(self, data: bytes) -> None:
        assert huffman_text(self.encoder.encode(data)) == data.decode("latin-1")

    def test_every_byte(self) -> None:
        data = bytes(range(256))
        assert huffman_text(self.encoder.encode(data)) == data.decode("latin-1")

    @pytest.mark.parametrize(
        "data",
        [
            b"\xff\xff\xff\xff",  # EOS
            b"\x1f\xff",  # more padding than a byte
            b"\x00",  # padding that is not EOS's: "0" is 00000, then 000
            b"\xfe",
        ],
    )
    def test_broken_codes(self, data: bytes) -> None:
        assert huffman_text(data) is None

    @given(st.binary(max_size=60))
    def test_it_agrees_with_hpack_on_anything(self, data: bytes) -> None:
        text = huffman_text(data)
        assert text is None or self.encoder.encode(text.encode("latin-1")) == data


names = st.sampled_from(["a", "cache-control", "x-y", ":path", "cookie"]) | st.text("abc-", min_size=1, max_size=9)
values = st.text(st.characters(max_codepoint=255), max_size=40)
sections = st.lists(st.tuples(names, values, st.booleans()), max_size=8)


@given(st.lists(st.tuples(sections, st.booleans(), st.none() | st.sampled_from([0, 40, 100, 4096, 8192])), max_size=8))
def test_whatever_hpack_encodes(sent: list[tuple[list[tuple[str, str, bool]], bool, int | None]]) -> None:
    encoder, peer, table = Encoder(), Decoder(max_header_list_size=1 << 20), first_table()
    peer.max_allowed_table_size = 8192
    for fields, huffman, size in sent:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(
            [(name.encode("latin-1"), value.encode("latin-1"), never) for name, value, never in fields], huffman
        )
        wanted = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in peer.decode(block, raw=True)]
        read = read_block(table, block)
        assert read.fields == wanted
        assert read.broken is None
        table = read.table
        assert table.size == sum(32 + len(name or "") + len(value or "") for name, value in table.entries)


class TestTables:
    def test_a_block_that_changes_nothing_leaves_the_same_table(self) -> None:
        table = read_block(first_table(), EXAMPLES[0].blocks[0]).table
        assert table is not first_table()
        assert read_block(table, b"\xbe\x82").table is table
        nothing_kept = read_block(first_table(), b"\x20").table
        assert read_block(nothing_kept, EXAMPLES[0].blocks[0]).table is nothing_kept

    def test_an_entry_larger_than_the_table_empties_it(self) -> None:
        table = read_block(limited(60), EXAMPLES[0].blocks[0]).table
        assert table.size == 55
        read = read_block(table, b"\x40\x01a\x7f\x00" + b"x" * 127 + b"\xbe")
        assert read.broken == "index 62 is beyond the table"

    def test_the_largest_size_update_is_told(self) -> None:
        read = read_block(first_table(), b"\x20\x3f\xe1\x1f\x82")
        assert (read.largest_update, read.table.limit, read.broken) == (4096, 4096, None)
        assert read_block(first_table(), b"\x82\x20").broken == "table size update behind a field"

    def test_a_table_is_bounded_whatever_the_peer_keeps(self) -> None:
        table = read_block(first_table(), b"\x3f\xe1\xff\x3f").table
        assert table.limit == 0xFFFFF + 1
        entry = b"\x40\x01a\x7f\xe9\x06" + b"x" * 1000
        for _ in range(70):
            table = read_block(table, entry).table
        assert MAX_TABLE_SIZE - 1033 < table.size <= MAX_TABLE_SIZE
        beyond = 62 + len(table.entries)
        read = read_block(table, bytes((0x80 | beyond,)))
        assert read.fields == [(None, None)]
        assert (read.known, read.broken) == (False, None)


class TestLoss:
    def test_what_a_lost_table_still_tells(self) -> None:
        read = read_block(lost_table(), b"\x82\xbe\x40\x01a\x01b\xbe\x7f\x00\x01c")
        assert read.fields == [(":method", "GET"), (None, None), ("a", "b"), ("a", "b"), (None, "c")]
        assert (read.known, read.broken) == (False, None)
        assert read_block(read.table, b"\xbf\xbe").fields == [("a", "b"), (None, "c")]

    def test_a_table_that_was_emptied_is_known_again(self) -> None:
        read = read_block(lost_table(), b"\x20\x3f\xe1\x1f\x82")
        assert not read.table.lost
        assert read_block(read.table, b"\xbe").broken is not None

    @given(st.lists(sections, min_size=2, max_size=6), st.data())
    def test_what_is_told_after_a_loss_is_true(
        self, sent: list[list[tuple[str, str, bool]]], draw: st.DataObject
    ) -> None:
        encoder = Encoder()
        plain = [[(name, value) for name, value, _ in fields] for fields in sent]
        encoded = [encoder.encode([(n.encode("latin-1"), v.encode("latin-1")) for n, v in each]) for each in plain]
        missed = draw.draw(st.integers(0, len(sent) - 1))
        table = lost_table()
        for fields, block in list(zip(plain, encoded, strict=True))[missed:]:
            read = read_block(table, block)
            table = read.table
            assert len(read.fields) == len(fields)
            for (name, value), (true_name, true_value) in zip(read.fields, fields, strict=True):
                assert name in (None, true_name.lower())
                assert value in (None, true_value)


class TestBroken:
    @pytest.mark.parametrize(
        ("block", "why"),
        [
            (b"\x80", "index 0"),
            (b"\xff\xff\xff\xff\xff\xff\x01", "a number without end"),
            (b"\xff", "it is cut off"),
            (b"\x40\x05ab", "it is cut off"),
            (b"\x40\x01a", "it is cut off"),
        ],
    )
    def test_what_cannot_be_read_further(self, block: bytes, why: str) -> None:
        read = read_block(first_table(), b"\x82" + block)
        assert read.fields == [(":method", "GET")]
        assert (read.broken, read.known, read.table) == (why, False, lost_table())

    def test_a_broken_string_costs_itself(self) -> None:
        read = read_block(first_table(), b"\x40\x01a\x82\xff\xff\x83\xbe")
        assert read.fields == [("a", None), (":method", "POST"), ("a", None)]
        assert (read.broken, read.known) == ("Huffman code", False)

    def test_a_bomb_is_not_unfolded(self) -> None:
        bomb = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 200_000
        read = read_block(first_table(), bomb)
        assert (read.too_large, read.known, read.broken) == (True, False, None)
        assert len(read.fields) == MAX_LIST_SIZE // (4000 + 33)
        assert read_block(read.table, b"\xbe").fields == [("a", "x" * 4000)]

    @given(st.binary(max_size=200), st.booleans())
    def test_random_blocks_never_raise(self, block: bytes, lost: bool) -> None:
        read = read_block(lost_table() if lost else first_table(), block)
        assert not read.known or not [field for field in read.fields if None in field]
        assert read.table.size <= hpack.MAX_TABLE_SIZE
