"""Strategies: captures of HTTP conversations with everything that happens to them, and captures of anything at all.

A conversation is drawn as an opening, some steps and a closing, and written as a Talk; the capture of several is then
disturbed, as captures are: packets lost, late, sent again, seen twice. `noise` draws segments without any sense, on few
tuples and near one another, so that they meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from inspector.sources.memory import Packet
from tests.tcp.playbook import CLIENT, FLAGS, MILLISECOND, REQUEST, SERVER, Talk, merged

#: Where the IP id lies in an untagged Ethernet frame with IPv4.
_IP_ID = slice(18, 20)

_ISNS = st.sampled_from([0, 1, 1000, 0x7FFFFFF0, 0xFFFFFF00, 0xFFFFFFF0, 0xFFFFFFFF])


_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _response(size: int) -> bytes:
    """A response with a body of tens of bytes."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"abcdefghij" * (size // 10)


def _download(talk: Talk, size: int, mss: int, ack_every: int) -> None:
    data = _response(size)
    talk.c(REQUEST)
    for number, start in enumerate(range(0, len(data), mss)):
        talk.s(data[start : start + mss])
        if number % ack_every == 0:
            talk.c("ACK")


def _upload(talk: Talk, size: int, cut: int) -> None:
    body = b"x" * size
    data = b"POST /up HTTP/1.1\r\nHost: b.example\r\nContent-Length: %d\r\n\r\n" % size + body
    talk.c(data[:cut]).s("ACK").c(data[cut:]).s(_response(0)).c("ACK")


def _crossing(talk: Talk) -> None:
    """Both sides send before they have the other's segment."""
    talk.c(REQUEST + REQUEST).s(_response(10)).c(REQUEST).s(_response(0)).s(_response(20)).s("ACK")


def _zero_window(talk: Talk) -> None:
    talk.c(REQUEST).s(_response(100)[:40]).c("ACK", window=0).s("ACK", at=39).c("ACK", window=0)
    talk.s(_response(100)[39:40], at=39).c("ACK", window=0).c("ACK").s(_response(100)[40:])


_STEPS: dict[str, Callable[[Talk], object]] = {
    "exchange": Talk.exchange,
    "download": lambda talk: _download(talk, 200, 30, 2),
    "long download": lambda talk: _download(talk, 600, 50, 4),
    "upload": lambda talk: _upload(talk, 40, 20),
    "crossing": _crossing,
    "zero window": _zero_window,
    "garbage": lambda talk: talk.c(b"\x00\x01\x02 not HTTP").s(b"\xff" * 9),
    "408": lambda talk: talk.s(_TIMEOUT).c("ACK"),
    "keep-alive": lambda talk: talk.wait(1).c("ACK", seq=talk.wire(CLIENT) - 1).s("ACK"),
    "keep-alive byte": lambda talk: talk.wait(1).c("ACK", b"\0", seq=talk.wire(CLIENT) - 1).s("ACK"),
    "acks": lambda talk: talk.c("ACK").s("ACK").c("ACK").c("ACK"),
    "far away": lambda talk: talk.s(b"forged", at=0x50000000),
    "odd reset": lambda talk: talk.s("RST", at=-0x50000000),
    "old reset": lambda talk: talk.s("RST", at=max(0, talk.sent(SERVER) - 30)),
    "unseen": lambda talk: talk.s(b"", lose=True).c(REQUEST, lose=True).s(_response(10), lose=True),
    "pause": lambda talk: talk.wait(2.5),
}


_OPENINGS: dict[str, Callable[[Talk], object]] = {
    "handshake": Talk.handshake,
    "repeated": lambda talk: talk.c("SYN").c("SYN", at=-1).s("SYN ACK").s("SYN ACK", at=-1).c("ACK"),
    "simultaneous": lambda talk: talk.c("SYN").s("SYN").c("SYN ACK", at=-1).s("SYN ACK", at=-1),
    "data in SYN": lambda talk: talk.c("SYN", REQUEST[:10]).s("SYN ACK").c(REQUEST[10:]).s(_response(0)),
    "SYN alone": lambda talk: talk.c("SYN").wait(1).c("SYN", at=-1),
    "refused": lambda talk: talk.c("SYN").s("RST ACK", seq=0),
    "middle": lambda talk: talk.c("SYN", lose=True).s("SYN ACK", lose=True).c("ACK", lose=True),
    "half-open": lambda talk: talk.c("SYN").s("SYN ACK"),
}

_CLOSINGS: dict[str, Callable[[Talk], object]] = {
    "open": lambda talk: talk,
    "client": lambda talk: talk.close("client"),
    "server": lambda talk: talk.close("server"),
    "with data": lambda talk: talk.s("FIN PSH ACK", _response(10)).c("FIN ACK").s("ACK"),
    "simultaneous": lambda talk: talk.c("FIN ACK").s("FIN ACK", ack=talk.wire(CLIENT) - 1).c("ACK").s("ACK"),
    "half": lambda talk: talk.c("FIN ACK").s("ACK").s(_response(30)).c("ACK").wait(1).s("FIN ACK").c("ACK"),
    "reset": lambda talk: talk.s("RST ACK"),
    "reset by client": lambda talk: talk.c("FIN ACK").s(_response(20)).c("RST"),
    "FIN again": lambda talk: talk.s("FIN ACK").s("FIN ACK", at=talk.sent(1) - 1).c("ACK").c("FIN ACK").s("ACK"),
}


@dataclass(slots=True, frozen=True)
class Script:
    """What happens in a conversation, whatever its sequence numbers are."""

    client: str
    start: float
    opening: str
    steps: list[str]
    closing: str

    def play(self, isn: tuple[int, int]) -> Talk:
        """The conversation, from these initial sequence numbers on."""
        talk = Talk(client=self.client, isn=isn, start=self.start)
        for do in (_OPENINGS[self.opening], *[_STEPS[step] for step in self.steps], _CLOSINGS[self.closing]):
            do(talk)
        return talk


def scripts() -> st.SearchStrategy[Script]:
    """Few clients and ports: tuples are used again."""
    return st.builds(
        Script,
        st.sampled_from(["10.0.0.1:40000", "10.0.0.1:40001", "10.0.0.3:40000"]),
        st.sampled_from([0.0, 0.0105, 0.5, 4.0, 9.0]),
        st.sampled_from(sorted(_OPENINGS)),
        st.lists(st.sampled_from(sorted(_STEPS)), max_size=4),
        st.sampled_from(sorted(_CLOSINGS)),
    )


def talks() -> st.SearchStrategy[Talk]:
    """One conversation."""
    return st.builds(Script.play, scripts(), st.tuples(_ISNS, _ISNS))


_DISTURBANCES = st.tuples(
    st.sampled_from(["lose", "late", "again", "twice", "cut"]), st.integers(0, 1000), st.integers(1, 12)
)


def disturbances() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """What goes wrong: (what, which packet, how far or how much)."""
    return st.lists(_DISTURBANCES, max_size=6)


def disturbed(packets: list[Packet], disturbances: list[tuple[str, int, int]]) -> list[Packet]:
    """A capture in which things went wrong; times stay in order."""
    times = [packet.time_ns for packet in packets]
    packets = list(packets)
    for what, at, much in disturbances:
        if not packets:
            break
        at %= len(packets)
        packet = packets[at]
        if what in ("lose", "late"):
            del packets[at]
        if what == "cut":
            packets[at] = replace(packet, data=packet.data[: max(54, len(packet.data) - much)], length=packet.length)
        elif what == "again":
            data = bytearray(packet.data)
            data[_IP_ID] = (7000 + at).to_bytes(2, "big")
            packets.insert(at + much, replace(packet, data=bytes(data)))
        elif what in ("late", "twice"):
            packets.insert(at + (much if what == "late" else 1), packet)
    times += [times[-1] + MILLISECOND * n for n in range(1, len(packets) - len(times) + 1)] if times else []
    return [replace(packet, time_ns=time) for packet, time in zip(packets, times, strict=False)]


def captures(most: int = 3) -> st.SearchStrategy[list[Packet]]:
    """Conversations, merged and disturbed."""
    return st.builds(
        lambda some, wrong: disturbed(merged(*some), wrong),
        st.lists(talks(), min_size=1, max_size=most),
        disturbances(),
    )


_ANY_FLAGS = st.one_of(
    st.sampled_from(["SYN", "SYN ACK", "ACK", "PSH ACK", "FIN ACK", "RST", "RST ACK", "SYN FIN", "FIN"]).map(
        lambda names: sum(FLAGS[name] for name in names.split())
    ),
    st.integers(0, 255),
)
_NUMBERS = st.one_of(
    st.integers(0, 40), st.integers(0xFFFFFFD8, 0xFFFFFFFF), st.sampled_from([0, 0x40000000, 0x7FFFFFFF, 0x80000000])
)
_CONTENTS = st.one_of(
    st.just(b""), st.just(b""), st.sampled_from([REQUEST, _response(0), _response(10), b"GET", b"\x16\x03\x01"]),
    st.binary(max_size=12),
)  # fmt: skip
_SEGMENTS = st.tuples(
    st.sampled_from([40000, 40001]), st.booleans(), _ANY_FLAGS, _NUMBERS, _NUMBERS, st.sampled_from([0, 512]),
    _CONTENTS, st.sampled_from([0.0, 0.001, 0.5, 2.5]), st.sampled_from([63, 64]), st.sampled_from([None, None, 7]),
    st.sampled_from([False, False, False, True]),
)  # fmt: skip


@st.composite
def noise(draw: st.DrawFn) -> list[Packet]:
    """Segments that no TCP sends, any flags, numbers and lengths, and errors about some of them, in time order."""
    clock = 0.0
    some: list[Talk] = []
    for port, reverse, flags, seq, ack, window, content, pause, ttl, vlan, unreachable in draw(
        st.lists(_SEGMENTS, max_size=25)
    ):
        clock += pause
        talk = Talk(client=f"10.0.0.1:{port}", start=clock, vlan=vlan)
        names = " ".join(name for name, bit in FLAGS.items() if flags & bit)
        (talk.s if reverse else talk.c)(names or "URG", content, seq=seq, ack=ack, window=window, ttl=ttl)
        if unreachable and vlan is None:
            talk.icmp()
        some.append(talk)
    return merged(*some)
