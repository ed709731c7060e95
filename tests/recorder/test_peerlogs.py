"""Frames out of servers' logs, from lines that nginx, nghttp and nghttpd wrote."""

from __future__ import annotations

from captures.recorder import frames
from captures.recorder.frames import Frame, Section
from captures.recorder.peerlogs import from_nghttp, from_nginx

NGINX = """
2026/11/24 01:40:42 [debug] 10319#10319: *1 accept: 10.0.0.2:49662 fd:5
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 send SETTINGS frame
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 frame type:4 f:0 l:12 sid:0
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 setting 3:100
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 setting 77:1
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 frame type:8 f:0 l:4 sid:0
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 WINDOW_UPDATE frame sid:0 window:33488897
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 frame type:1 f:25 l:29 sid:1
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 header: ":method: GET"
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 header: ":path: /a"
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 output header: ":status: 200"
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2:1 create HEADERS frame 000055AAEF06ECB8: len:104 fin:0
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2:1 HEADERS frame 000055AAEF06ECB8 was sent
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2:1 create DATA frame 000055AAEF06ECB8: len:6 flags:1
2026/11/24 01:40:42 [debug] 10319#10319: *1 http2 send GOAWAY frame: last sid 1, error 0
2026/11/24 01:40:43 [debug] 10319#10319: *2 accept: 10.0.0.2:49663 fd:5
2026/11/24 01:40:43 [debug] 10319#10319: *2 http process request line
"""

NGHTTPD = """\
[id=1] [  0.002] send SETTINGS frame <length=6, flags=0x00, stream_id=0>
          (niv=1)
          [SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]
[id=2] [  0.002] recv PING frame <length=8, flags=0x00, stream_id=0>
          (opaque_data=0102030405060708)
[id=1] [  0.003] recv (stream_id=1) :method: GET
[id=1] [  0.003] recv HEADERS frame <length=20, flags=0x05, stream_id=1>
          ; END_STREAM | END_HEADERS
[id=1] [  0.004] send HEADERS frame <length=30, flags=0x04, stream_id=1>
          ; END_HEADERS
          (padlen=0)
          ; First response header
          :status: 200
          content-length: 6
[id=1] [  0.004] send DATA frame <length=6, flags=0x01, stream_id=1>
          ; END_STREAM
[id=1] [  0.005] recv GOAWAY frame <length=8, flags=0x00, stream_id=0>
          (last_stream_id=0, error_code=NO_ERROR(0x00), opaque_data(0)=[])
"""


def test_nginx_tells_each_connection_with_http2() -> None:
    (told,) = from_nginx(NGINX.splitlines())
    assert told.peer == "10.0.0.2:49662"
    assert told.frames == [
        Frame("server", "SETTINGS", 0),
        Frame("client", "SETTINGS", 0, values={"MAX_CONCURRENT_STREAMS": 100, "0x4d": 1}),
        Frame("client", "WINDOW_UPDATE", 0, increment=33488897),
        Frame("client", "HEADERS", 1, end_stream=True),
        Frame("server", "HEADERS", 1),
        Frame("server", "DATA", 1, end_stream=True, body_bytes=6),
        Frame("server", "GOAWAY", 0, last_stream_id=1, error="NO_ERROR"),
    ]
    assert told.sections == [
        Section("client", "request", 1, [(":method", "GET"), (":path", "/a")]),
        Section("server", "response", 1, [(":status", "200")]),
    ]


def test_nghttpd_tells_by_connection() -> None:
    one, other = from_nghttp(NGHTTPD.splitlines(), "server")
    assert one.frames == [
        Frame("server", "SETTINGS", 0, values={"MAX_CONCURRENT_STREAMS": 100}),
        Frame("client", "HEADERS", 1, end_stream=True),
        Frame("server", "HEADERS", 1),
        Frame("server", "DATA", 1, end_stream=True, body_bytes=6),
        Frame("client", "GOAWAY", 0, last_stream_id=0, error="NO_ERROR"),
    ]
    assert other.frames == [Frame("client", "PING", 0, payload="0102030405060708")]
    assert one.sections == [
        Section("client", "request", 1, [(":method", "GET")]),
        Section("server", "response", 1, [(":status", "200"), ("content-length", "6")]),
    ]


def test_frames_in_the_words_of_the_report() -> None:
    (told,) = from_nginx(NGINX.splitlines())
    says = frames.connection(told.frames, whole=("client",))
    assert says["client"]["frames"] == {"exactly": {"SETTINGS": 1, "WINDOW_UPDATE": 1, "HEADERS": 1}}
    assert says["server"] == {"goaways": [{"last_stream_id": 1, "error": "NO_ERROR", "debug": ""}]}
    (exchange,) = frames.exchanges(told.frames, told.sections)
    assert exchange["request"]["target"] == "/a"
    assert exchange["response"]["body_bytes"] == 6
    assert exchange["complete"]
