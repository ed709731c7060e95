"""Keys that come after their packets: what is told then is what would have been told with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.bytestream import FROM_CLIENT
from inspector.events import Event
from inspector.protocols.decoder import Emit, StreamDecoder
from inspector.protocols.http1.decoder import Http1Decoder
from inspector.protocols.tls import waiting
from inspector.protocols.tls.decoder import TlsDecoder
from inspector.protocols.tls.keylog import KeyLog
from inspector.protocols.tls.waiting import PatientTlsDecoder, WaitingRoom
from tests.protocols.http1 import playbook as http1
from tests.protocols.http1.playbook import Step, client, client_end, client_lost, server, server_end
from tests.protocols.tls.forge import Keys12, Keys13
from tests.protocols.tls.playbook import Cutter, handshake_12, handshake_13, line, played

GET = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Patient(http1.Conversation):
    """A decoder that waits, and its key log."""

    def __init__(self, room: WaitingRoom | None = None) -> None:
        self.keys = KeyLog(growing=True)
        self.room = room or WaitingRoom()
        super().__init__(self._make)

    def _make(self, emit: Emit) -> StreamDecoder:
        def inside(emit: Emit, alpn: str | None) -> StreamDecoder:
            return Http1Decoder(emit)

        self.inner = TlsDecoder(emit, self.keys, inside)
        return PatientTlsDecoder(self.inner, self.keys, self.room)

    def lines(self) -> list[str]:
        return [line(event) for event in self.events]


def story(version: int) -> tuple[list[Step], bytes]:
    keys = Keys13() if version == 13 else Keys12()
    steps = handshake_13(keys) if isinstance(keys, Keys13) else handshake_12(keys)
    for _ in range(3):
        steps += [client(keys.client.data(GET)), server(keys.server.data(OK))]
    return steps, keys.log()


def with_keys(steps: list[Step], log: bytes) -> list[str]:
    return played(*steps, keylog=log).lines()


@pytest.mark.parametrize("version", [12, 13])
@given(before=st.integers(1, 8), size=st.integers(20, 4000))
def test_the_same_is_told_later(version: int, before: int, size: int) -> None:
    steps, log = story(version)
    steps += [client_end(), server_end()]
    conversation = Patient()
    cut = Cutter(size)
    conversation.play(steps[:before], cut)
    assert len(conversation.lines()) <= 2
    conversation.keys.add_whole(log)
    conversation.play(steps[before:], cut)
    assert conversation.lines() == with_keys(steps, log)
    assert conversation.inner.account.decrypted is True
    assert conversation.room.held == 0


def test_keys_that_are_there_hold_up_nothing() -> None:
    steps, log = story(13)
    conversation = Patient()
    conversation.keys.add_whole(log)
    told: list[list[Event]] = []
    for step in steps:
        conversation.play([step])
        told.append(list(conversation.events))
    assert [len(events) for events in told] == [
        len(played(*steps[: at + 1], keylog=log).events) for at in range(len(steps))
    ]


def test_some_labels_are_not_enough() -> None:
    steps, log = story(13)
    conversation = Patient()
    first, *others = log.splitlines(keepends=True)
    conversation.keys.add_whole(first)
    conversation.play(steps[:-1])
    assert len(conversation.lines()) == 2
    conversation.keys.add_whole(b"".join(others))
    conversation.play(steps[-1:])
    assert conversation.lines() == with_keys(steps, log)


def test_at_the_first_close_the_last_byte_has_to_be_known() -> None:
    """TCP asks when it sees the FIN: keys that have come by then are used, others never."""
    steps, log = story(13)
    conversation = Patient()
    conversation.play(steps)
    conversation.keys.add_whole(log)
    assert conversation.decoder.application_packet == 11
    assert conversation.lines() == with_keys(steps, log)
    without = Patient()
    without.play(steps)
    assert without.decoder.application_packet == 11
    assert without.lines() == with_keys(steps, b"")
    assert without.inner.account.decrypted is False


@pytest.mark.parametrize("bound", ["MAX_WAITING", "MAX_WAITING_IN_ALL", "MAX_WAIT_NS"])
def test_who_waits_too_long_goes_on_without(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, bound, 3000 if bound == "MAX_WAIT_NS" else 700)
    steps, log = story(13)
    conversation = Patient()
    conversation.play(steps[:-1])
    assert "4: established after 3" in conversation.lines()
    assert conversation.room.held == 0
    conversation.keys.add_whole(log)
    conversation.play(steps[-1:])  # what is read again is what comes now
    assert any(told.startswith("11: ") and "< 200" in told for told in conversation.lines())
    assert not any("GET" in told for told in conversation.lines())


def test_holes_wait_in_their_place() -> None:
    steps, log = story(13)
    steps.insert(6, client_lost(100))
    conversation = Patient()
    conversation.play(steps[:8])
    conversation.keys.add_whole(log)
    conversation.play(steps[8:])
    assert conversation.lines() == with_keys(steps, log)


def test_without_a_hello_nobody_waits() -> None:
    steps, _ = story(13)
    conversation = Patient()
    conversation.play(steps[4:])
    assert conversation.room.held == 0
    assert conversation.inner.application_packet is not None
    assert conversation.offsets[FROM_CLIENT] > 0
