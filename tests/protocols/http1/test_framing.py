"""How a body ends: the steps of RFC 9112 section 6.3, one by one."""

from __future__ import annotations

import pytest

from inspector.protocols.http1.framing import Body, frame, length_of


@pytest.mark.parametrize(
    ("method", "status", "coding", "length", "body"),
    [
        ("HEAD", 200, "chunked", "5", Body.NONE),  # step 1
        ("HEAD", 404, None, None, Body.NONE),
        ("GET", 100, None, "5", Body.NONE),
        ("GET", 101, "chunked", None, Body.NONE),
        ("GET", 204, None, "5", Body.NONE),
        (None, 304, "chunked", None, Body.NONE),
        ("CONNECT", 200, "chunked", "5", Body.TUNNEL),  # step 2
        ("CONNECT", 299, None, None, Body.TUNNEL),
        ("CONNECT", 407, None, "5", Body.LENGTH),
        ("CONNECT", None, None, None, Body.NONE),
        ("POST", None, "chunked", "5", Body.CHUNKED),  # step 3
        ("GET", 200, "gzip", "5", Body.UNTIL_CLOSE),
        ("POST", None, "Chunked", None, Body.CHUNKED),  # step 4
        ("GET", 200, "gzip, chunked ", None, Body.CHUNKED),
        ("GET", 200, "chunked;a=b", None, Body.CHUNKED),
        ("GET", 200, "chunked, gzip", None, Body.UNTIL_CLOSE),
        ("POST", None, "gzip", None, Body.UNKNOWN),
        ("POST", None, "xchunked", "5", Body.UNKNOWN),
        ("POST", None, "identity", "5", Body.LENGTH),
        ("POST", None, "", None, Body.NONE),
        ("POST", None, None, "5, 6", Body.UNKNOWN),  # step 5
        ("GET", 200, None, "+5", Body.UNKNOWN),
        ("GET", 200, None, "5, 5", Body.LENGTH),  # step 6
        ("HEAD", None, None, "0", Body.LENGTH),
        ("GET", None, None, None, Body.NONE),  # step 7
        ("GET", 200, None, None, Body.UNTIL_CLOSE),  # step 8
        (None, 408, None, None, Body.UNTIL_CLOSE),
    ],
)
def test_steps(method: str | None, status: int | None, coding: str | None, length: str | None, body: Body) -> None:
    assert frame(method, status, coding, length) is body


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("0", 0),
        ("0005", 5),
        ("5, 5 ,5", 5),
        ("9223372036854775807", 2**63 - 1),
        ("0" * 100 + "7", 7),
        ("9223372036854775808", None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("1_0", None),
        ("0x5", None),
        ("5 5", None),
        ("5, 05", None),
        ("٥", None),
        ("²", None),
    ],
)
def test_content_length(value: str, length: int | None) -> None:
    assert length_of(value) == length
