"""The chunked coding: cut anywhere, the same counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.protocols.http1.chunked import MAX_LINE, MAX_TRAILER, ChunkedBody, Part


def run(data: bytes, cuts: frozenset[int] = frozenset()) -> tuple[Part, int, int, bytes]:
    """Bytes taken, the state, body bytes and the unfinished line after `data`, delivered in pieces."""
    body = ChunkedBody()
    taken = 0
    for end in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        while taken < end and body.part not in (Part.DONE, Part.BROKEN):
            if body.remaining:
                count = min(body.remaining, end - taken)
                body.skip(count)
                taken += count
            else:
                taken += body.read(data[taken:end])
    return body.part, taken, body.body_bytes, body.line


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"0\r\n\r\n", 0),
        (b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n", 9),
        (b"4\nWiki\n0\n\n", 4),
        (b'4;a="\r";b\r\nWiki\r\n0;c\r\nX: y\r\nZ: 0\r\n\r\n', 4),
        (b" 00A \r\n0123456789\r\n000\r\n\r\n", 10),
    ],
)
def test_whole_bodies_leave_what_follows(data: bytes, size: int) -> None:
    assert run(data + b"HTTP/1.1 200 OK\r\n") == (Part.DONE, len(data), size, b"")


@pytest.mark.parametrize(
    "line", [b"g\r\n", b"\r\n", b"-1\r\n", b"0x5\r\n", b"5 5\r\n", b"8000000000000000\r\n", b"f" * 17 + b"\n"]
)
def test_bad_sizes_break_it(line: bytes) -> None:
    assert run(b"1\r\na\r\n" + line + b"more") == (Part.BROKEN, 6 + len(line), 1, line)


def test_data_longer_than_its_size_breaks_it() -> None:
    assert run(b"1\r\nab\r\n0\r\n\r\n") == (Part.BROKEN, 7, 1, b"b\r\n")


def test_the_largest_size() -> None:
    assert run(b"7FFFFFFFFFFFFFFF\r\nabc") == (Part.DATA, 21, 3, b"")


def test_lines_and_trailers_are_bounded() -> None:
    assert run(b"1" + b" " * MAX_LINE)[:2] == (Part.BROKEN, MAX_LINE)
    trailer = b"X: " + b"y" * 1000 + b"\r\n"
    part, taken, _, _ = run(b"0\r\n" + trailer * (MAX_TRAILER // len(trailer) + 2))
    assert part is Part.BROKEN
    assert MAX_TRAILER < taken <= MAX_TRAILER + len(trailer) + 3


pieces = st.lists(
    st.sampled_from(
        [b"5\r\nhello\r\n", b"a;x\n0123456789\n", b"0\r\n", b"X: y\r\n", b"\r\n", b"zz", b"1\r\nab\r\n", b"\xff"]
    )
)


@given(pieces, st.frozensets(st.integers(1, 60)))
def test_cutting_changes_nothing(parts: list[bytes], cuts: frozenset[int]) -> None:
    data = b"".join(parts)
    assert run(data, cuts) == run(data)
