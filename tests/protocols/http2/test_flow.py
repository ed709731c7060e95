"""Flow control: windows that were used up, and for how long."""

from __future__ import annotations

from inspector.bytestream import FROM_SERVER
from inspector.events import WindowStalled
from inspector.protocols.http2.flow import STALL_TOLD_NS
from tests.protocols.http1.playbook import Conversation, Step, client, server, server_lost
from tests.protocols.http2.playbook import (
    GET,
    OK,
    PREFACE,
    SETTINGS,
    SETTINGS_ACK,
    account,
    data,
    headers,
    plain,
    played,
    reset,
    settings,
    window_update,
)

REQUEST, RESPONSE = headers(1, plain(GET), 0x5), headers(1, plain(OK))
#: The client allows 100 bytes a stream, and the server has acknowledged.
SMALL = (
    client(PREFACE + settings((4, 100)) + REQUEST),
    server(SETTINGS + SETTINGS_ACK + RESPONSE),
    client(SETTINGS_ACK),
)


def stalls(*steps: Step) -> tuple[int, Conversation]:
    conversation = played([*SMALL, *steps])
    return account(conversation.events).sides[FROM_SERVER].window_stalls_ns, conversation


def test_a_window_is_closed_from_the_data_that_used_it_up_to_the_credit() -> None:
    assert stalls(server(data(1, b"x" * 99)), server(data(1, b"x")), client(window_update(1, 50)))[0] == 1000
    assert stalls(server(data(1, b"x" * 99)), client(window_update(1, 50)))[0] == 0


def test_padding_counts() -> None:
    padded = data(1, b"\x27" + b"x" * 60 + b"\0" * 39, 0x8)
    assert stalls(server(padded), client(b""), client(window_update(1, 1)))[0] == 2000


def test_a_message_that_is_over_does_not_wait() -> None:
    assert stalls(server(data(1, b"x" * 100, 0x1)), client(window_update(1, 50)))[0] == 0


def test_a_stream_that_was_reset_waits_no_longer() -> None:
    assert stalls(server(data(1, b"x" * 100)), client(reset(1)), client(window_update(1, 50)))[0] == 1000


def test_two_windows_at_once_are_one_stall() -> None:
    second = client(headers(3, plain(GET), 0x5))
    answer = server(headers(3, plain(OK)) + data(3, b"y" * 100))
    credit = client(window_update(1, 9)), client(window_update(3, 9))
    assert stalls(second, server(data(1, b"x" * 100)), answer, *credit)[0] == 3000


def test_settings_that_are_acknowledged_open_windows_again() -> None:
    larger = client(settings((4, 200))), server(SETTINGS_ACK)
    assert stalls(server(data(1, b"x" * 100)), *larger)[0] == 2000
    assert stalls(server(data(1, b"x" * 100)), larger[0], client(b""), larger[1])[0] == 3000


def test_the_connections_window() -> None:
    full = [server(data(1, b"x" * 16_384)) for _ in range(3)] + [server(data(1, b"x" * 16_383))]
    steps = [
        client(PREFACE + settings((4, 1 << 20)) + REQUEST),
        server(SETTINGS + SETTINGS_ACK + RESPONSE),
        *full,
        client(window_update(0, 1)),
    ]
    conversation = played(steps)
    assert account(conversation.events).sides[FROM_SERVER].window_stalls_ns == 1000
    assert not [event for event in conversation.events if isinstance(event, WindowStalled)]


def test_long_stalls_are_told_one_by_one() -> None:
    waiting = [client(b"")] * (STALL_TOLD_NS // 1000 - 1)
    _, conversation = stalls(server(data(1, b"x" * 100)), *waiting, client(window_update(1, 1)))
    told = conversation.events[-1]
    assert told == WindowStalled(conversation.packet, conversation.packet * 1000, FROM_SERVER, 1, STALL_TOLD_NS)


def test_more_than_a_window_allows_shows_that_it_is_not_known() -> None:
    assert stalls(server(data(1, b"x" * 100)), server(data(1, b"x")), client(window_update(1, 500)))[0] == 0


def test_nothing_is_known_of_windows_behind_a_hole() -> None:
    assert stalls(server_lost(9), server(data(1, b"x" * 100)), client(window_update(1, 50)))[0] == 0
