"""What fuzzing, and leaving packets out of recordings, found in the HTTP/2 decoder; each as small as it gets."""

from __future__ import annotations

from inspector.events import Http2Started, SettingsReceived
from tests.protocols.http1.playbook import Conversation, Step, client, client_end, client_lost, server
from tests.protocols.http2.playbook import GET, OK, OPENING, SETTINGS_ACK, data, exchanged, headers, line, plain, played

#: A type that no registry has, and larger than is allowed: no frame.
NO_FRAME = b"\x00\xff\xff\x70" + bytes(5)


def crumbs(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def alike(*steps: Step) -> Conversation:
    """A conversation that is the same cut into bytes."""
    whole, cut = played(steps), played(steps, crumbs)
    assert cut.events == whole.events
    assert cut.decoder.application_packet == whole.decoder.application_packet
    return whole


def test_sight_may_be_lost_and_found_many_times_in_one_piece() -> None:
    """One loss inside the other took as many stack frames."""
    rows = 3000
    conversation = played([client((SETTINGS_ACK * 3 + NO_FRAME) * rows)])
    assert sum(isinstance(event, SettingsReceived) for event in conversation.events) == 3 * rows


def test_what_is_found_behind_half_a_preface_came_with_its_own_packet() -> None:
    conversation = alike(client(b"PRI *"), client(SETTINGS_ACK * 3))
    (started,) = [event for event in conversation.events if isinstance(event, Http2Started)]
    assert started.packet == 2


def test_a_header_block_that_is_stepped_over_is_an_exchanges_in_one_piece_too() -> None:
    huge = headers(1, bytes(1 << 20))
    conversation = alike(*OPENING, client(huge[:3000]))
    assert conversation.decoder.application_packet == len(OPENING) + 1


def test_frames_that_end_where_a_hole_begins_are_told() -> None:
    """A capture that begins in the middle: too few frames for a run, but what comes next is missing."""
    conversation = played([client(headers(3, plain(GET), 0x5)), client_lost(17), server(headers(3, plain(OK), 0x5))])
    assert [line(event) for event in conversation.events if not isinstance(event, Http2Started)][:2] == [
        "1: #0/3 > GET /",
        "1: #0/3 > end, 0 bytes",
    ]


def test_a_request_recognised_while_its_answer_goes_on_is_read_to_its_end() -> None:
    late = headers(5, plain(GET)), data(5, b"hello", 0x1), SETTINGS_ACK
    lines = exchanged(
        client_lost(9),
        client(late[0]),
        server(headers(5, plain(OK))),
        client(late[1] + late[2]),
        server(data(5, b"ok", 1)),
    )
    assert [text for text in lines if "#" in text] == [
        "6: #0/5 < 200 unsolicited",
        "5: #0/5 > GET /",
        "7: #0/5 > end, 5 bytes",
        "8: #0/5 < end, 2 bytes",
    ]


def test_a_late_request_belongs_to_the_stream_that_was_answered() -> None:
    """Not to one of the same number that begins with DATA behind a hole and has no exchange."""
    answer, late = headers(5, plain(OK), 0x5), headers(5, plain(GET))
    lines = exchanged(client_lost(9), server(answer), client(data(5, b"none") + SETTINGS_ACK * 2 + late), client_end())
    assert [text for text in lines if "#" in text] == [
        "5: #0/5 < 200 unsolicited",
        "5: #0/5 < end, 0 bytes",
        "6: #0/5 > GET /",
        "6: #0/5 > cut short, 0 bytes",
    ]
