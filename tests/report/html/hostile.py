"""A capture in which everything that a client and a server may choose tries to be markup, a script, or a secret."""

from __future__ import annotations

from tests.sources.forge import pcap
from tests.tcp.playbook import Talk, merged, opened

#: Where a browser would run it, this is set.
MARKER = "window.wasRun=1"
TARGET = f"/</script><script>{MARKER}</script><img/src=x/onerror={MARKER}>"
HOST = f"<svg/onload={MARKER}>"
CONNECTION = f"--><!--<script>{MARKER}//\u202e"
SECRET = "hunter2"


def hostile_talk() -> Talk:
    """One connection with two requests, closed by the server after idle."""
    request = f"GET {TARGET}?token={SECRET} HTTP/1.1\r\nHost: {HOST}\r\nConnection: {CONNECTION}\r\n\r\n".encode()
    response = f"HTTP/1.1 200 {TARGET}\r\nServer: {HOST}\r\nConnection: {CONNECTION}\r\nContent-Length: 2\r\n\r\nok"
    talk = opened().exchange(request, response.encode()).exchange(request, response.encode())
    return talk.wait(3).close("server")


def hostile_capture() -> bytes:
    """It as a pcap file."""
    return pcap([(packet.time_ns, packet.data) for packet in merged(hostile_talk())])
