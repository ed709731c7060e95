"""Header sections: bytes in, fields out."""

from __future__ import annotations

import pytest

from inspector.events import RequestFields, ResponseFields
from inspector.protocols.http1.framing import Body
from inspector.protocols.http1.head import REMEMBERED_SIZE, parse_request, parse_response


def request(head: bytes) -> RequestFields:
    parsed = parse_request(head)
    assert parsed is not None
    return parsed.fields


def response(head: bytes, method: str | None = "GET") -> ResponseFields:
    parsed = parse_response(head, method)
    assert parsed is not None
    return parsed.fields


def test_a_request_with_everything() -> None:
    assert request(
        b"POST /a?b HTTP/1.1\r\n"
        b"Host: example.com:8080\r\n"
        b"CONNECTION: keep-alive, Upgrade\r\n"
        b"keep-alive: timeout=5\r\n"
        b"Proxy-Connection: close\r\n"
        b"Upgrade: h2c\r\n"
        b"TE: trailers\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n"
        b"User-Agent: curl/8\r\n"
        b"X-Request-ID: 17\r\n"
        b"Traceparent: 00-a-b-01\r\n"
        b"Cookie: secret\r\n\r\n"
    ) == RequestFields(
        method="POST",
        target="/a?b",
        authority="example.com:8080",
        version="HTTP/1.1",
        connection="keep-alive, Upgrade",
        keep_alive="timeout=5",
        proxy_connection="close",
        upgrade="h2c",
        te="trailers",
        transfer_encoding="chunked",
        content_length=5,
        user_agent="curl/8",
        x_request_id="17",
        traceparent="00-a-b-01",
        persistent=True,
    )


def test_a_response_with_everything() -> None:
    assert response(
        b"HTTP/1.1 200 All right\r\n"
        b"Connection: close\r\n"
        b"Keep-Alive: timeout=5, max=100\r\n"
        b"Transfer-Encoding: gzip, chunked\r\n"
        b"Content-Length: 5\r\n"
        b"Server: nginx\r\n"
        b"Via: 1.1 a\r\nVia: 1.0 b\r\n"
        b'Alt-Svc: h3=":443"\r\n'
        b"X-Request-Id: 17\r\n"
        b"Set-Cookie: secret\r\n\r\n"
    ) == ResponseFields(
        status=200,
        reason="All right",
        version="HTTP/1.1",
        connection="close",
        keep_alive="timeout=5, max=100",
        keep_alive_timeout=5,
        keep_alive_max=100,
        transfer_encoding="gzip, chunked",
        content_length=5,
        server="nginx",
        via="1.1 a, 1.0 b",
        alt_svc='h3=":443"',
        x_request_id="17",
        persistent=False,
    )


def test_other_fields_are_not_taken_for_named_ones() -> None:
    fields = request(
        b"GET /Host: HTTP/1.1\r\n"
        b"X-Connection: close\r\nConnection-Info: close\r\nAccept: a\r\n Connection: close\r\nHosts: b\r\n\r\n"
    )
    assert (fields.connection, fields.authority, fields.target) == (None, None, "/Host:")


@pytest.mark.parametrize(
    ("head", "connection"),
    [
        (b"GET / HTTP/1.1\nConnection:close\nX: y\n\n", "close"),
        (b"GET / HTTP/1.1\r\nConnection : \t close \t\r\n\r\n", "close"),
        (b"GET / HTTP/1.1\r\nConnection:\r\n keep-alive,\r\n\tTE\r\nX: y\r\n\r\n", "keep-alive, TE"),
        (b"GET / HTTP/1.1\r\nConnection: a\r\nconnection: b\r\n\r\n", "a, b"),
        (b"GET / HTTP/1.1\r\nConnection:\r\n\r\n", ""),
        (b"GET / HTTP/1.1\r\n Connection: close\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nConnection: \xe9\x85\r\n\r\n", "\xe9\x85"),
    ],
)
def test_how_a_field_may_be_written(head: bytes, connection: str | None) -> None:
    assert request(head).connection == connection


@pytest.mark.parametrize(
    ("line", "method", "target", "authority"),
    [
        (b"GET / HTTP/1.1", "GET", "/", "host"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", "host"),
        (b"fetch.it! /a HTTP/1.1", "fetch.it!", "/a", "host"),
        (b"GET http://user:pw@other:81/a@b HTTP/1.1", "GET", "http://user:pw@other:81/a@b", "other:81"),
        (b"GET http:///a HTTP/1.1", "GET", "http:///a", "host"),
        (b"CONNECT [::1]:443 HTTP/1.1", "CONNECT", "[::1]:443", "[::1]:443"),
        (b"CONNECT mail:25 / HTTP/1.0", "CONNECT", "mail:25 /", "mail:25"),
        (b"GET /a b  c HTTP/1.0 HTTP/1.1", "GET", "/a b  c HTTP/1.0", "host"),
        (b"GET \t /a\t HTTP/1.1 ", "GET", "/a", "host"),
    ],
)
def test_request_lines(line: bytes, method: str, target: str, authority: str) -> None:
    fields = request(line + b"\r\nHost: host\r\n\r\n")
    assert (fields.method, fields.target, fields.authority) == (method, target, authority)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /",
        b"GET HTTP/1.1",
        b"GET/ HTTP/1.1",
        b"GET /HTTP/1.1",
        b"GET / HTTP/1.",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.1x",
        b"G(T / HTTP/1.1",
        b" GET / HTTP/1.1",
        b"HTTP/1.1 200 OK",
        b"A" + b" " * 60_000,
    ],
)
def test_what_is_no_request_line(line: bytes) -> None:
    assert parse_request(line + b"\r\n\r\n") is None


@pytest.mark.parametrize(
    ("line", "version", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", "HTTP/1.1", 200, "OK"),
        (b"HTTP/1.0 404", "HTTP/1.0", 404, ""),
        (b"HTTP/1.7  999 ", "HTTP/1.7", 999, ""),
        (b"HTTP/1.1 200 \xc3\xa4 b ", "HTTP/1.1", 200, "\xc3\xa4 b"),
    ],
)
def test_status_lines(line: bytes, version: str, status: int, reason: str) -> None:
    fields = response(line + b"\r\n\r\n")
    assert (fields.version, fields.status, fields.reason) == (version, status, reason)


@pytest.mark.parametrize("line", [b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/2.0 200 OK", b"ICY 200 OK", b"HTTP/1.1200"])
def test_what_is_no_status_line(line: bytes) -> None:
    assert parse_response(line + b"\r\n\r\n", "GET") is None


@pytest.mark.parametrize(
    ("version", "connection", "persistent"),
    [
        (b"1.1", None, True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"TE", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Keep-Alive, CLOSE", False),
        (b"1.1", b"closed", True),
        (b"1.2", None, True),
        (b"1.0", None, False),
        (b"1.0", b"keep-alive", True),
        (b"1.0", b"TE, Keep-ALIVE", True),
        (b"1.0", b"keep-alive, close", False),
        (b"1.0", b"TE", False),
    ],
)
def test_persistence(version: bytes, connection: bytes | None, persistent: bool) -> None:
    field = b"" if connection is None else b"Connection: " + connection + b"\r\n"
    fields = field + b"Proxy-Connection: close\r\nContent-Length: 0\r\n\r\n"
    assert request(b"GET / HTTP/" + version + b"\r\n" + fields).persistent is persistent
    assert response(b"HTTP/" + version + b" 200 OK\r\n" + fields).persistent is persistent


def test_a_body_until_close_is_not_persistent_and_that_depends_on_the_request() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"
    assert response(head, "GET").persistent is False
    assert response(head, "HEAD").persistent is True
    assert response(head, None).persistent is False


@pytest.mark.parametrize(
    ("value", "timeout", "most"),
    [
        (b"timeout=5, max=100", 5, 100),
        (b"Timeout = 5,MAX=7", 5, 7),
        (b"timeout=5", 5, None),
        (b"300", None, None),
        (b"timeout=-1, max=x", None, None),
        (b'timeout="5", max=99999999999999999999', None, None),
        (b"timeout=\xb2", None, None),
    ],
)
def test_keep_alive_parameters(value: bytes, timeout: int | None, most: int | None) -> None:
    fields = response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: " + value + b"\r\n\r\n")
    assert (fields.keep_alive_timeout, fields.keep_alive_max) == (timeout, most)


def test_equal_heads_give_one_object_and_long_ones_are_not_kept() -> None:
    head = b"GET / HTTP/1.1\r\nHost: remembered\r\n\r\n"
    assert parse_request(head) is parse_request(bytes(bytearray(head)))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert parse_response(answer, "GET") is parse_response(bytes(bytearray(answer)), "GET")
    assert parse_response(answer, "GET") is not parse_response(answer, "HEAD")
    long = b"GET / HTTP/1.1\r\nCookie: " + b"a" * REMEMBERED_SIZE + b"\r\n\r\n"
    assert parse_request(long) == parse_request(long)
    assert parse_request(long) is not parse_request(long)


def test_what_follows_is_told_with_the_fields() -> None:
    upgrade = parse_response(b"HTTP/1.1 101 X\r\nUpgrade: WebSocket, h2c\r\n\r\n", "GET")
    assert upgrade is not None
    assert (upgrade.upgrade, upgrade.body, upgrade.anomaly) == ("websocket", Body.NONE, None)
    bad = parse_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n")
    assert bad is not None
    assert (bad.body, bad.anomaly) == (Body.UNKNOWN, "unknown_transfer_encoding")
