"""Exchanges read from a program's own bytes, and the facts that follow from them."""

from __future__ import annotations

from captures.recorder import facts, transcript
from captures.recorder.observed import Account


def account(written: bytes, read: bytes) -> Account:
    """An account of a connection that carried these bytes."""
    return Account("10.0.0.2:40001", "10.0.0.1:8001", False, 0, written=written, read=read, received=len(read))


def test_requests_with_and_without_a_body() -> None:
    written = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nConnection: close\r\n\r\n"
    found = [(request.method, request.target) for request in transcript.requests(account(written, b""))]
    assert found == [("POST", "/a"), ("GET", "/b")]


def test_responses_are_framed_by_their_requests_method() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    found = list(transcript.responses(account(b"", head + head + b"hello"), ["HEAD", "GET"]))
    assert [response.body_bytes for response in found] == [0, 5]


def test_a_chunked_body_is_counted_without_its_framing() -> None:
    read = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nDigest: x\r\n\r\n"
    (response,) = transcript.responses(account(b"", read), ["GET"])
    assert response.body_bytes == 5


def test_a_response_that_was_cut_ends_the_transcript() -> None:
    read = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    assert list(transcript.responses(account(b"", read), ["GET", "GET"])) == []


def test_what_was_said_becomes_facts() -> None:
    written = b"GET /a HTTP/1.1\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
    read = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n"
    of_connection, of_endpoint = facts.from_transcripts([account(written, read)])
    answered, unanswered = of_connection["says"]["exchanges"]
    assert answered["response"]["keep_alive"] == {"timeout": 5, "max": 100}
    assert answered["response"]["connection"] is None
    assert unanswered == {"request": answered["request"] | {"target": "/b", "connection": None}}
    assert of_endpoint["says"]["headers"]["request"] == {"connection": {"exactly": {"keep-alive": 1}}}
