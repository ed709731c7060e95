"""The table of states is total; Zeek's words for both ends and its letters, each as Zeek's documentation has them."""

from __future__ import annotations

from itertools import product

import pytest

from inspector.tcp.states import NEXT, TRANSITIONS, EndState, History, Input, conn_state

INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = EndState


def test_the_table_has_an_answer_for_all_of_the_product() -> None:
    assert set(TRANSITIONS) == set(product(EndState, Input))
    for state, happened in product(EndState, Input):
        assert NEXT[state][happened] == TRANSITIONS[state, happened]


@pytest.mark.parametrize("state", EndState)
def test_what_ends_an_end(state: EndState) -> None:
    assert NEXT[state][Input.RST].state is RESET
    assert NEXT[state][Input.FIN].state is (RESET if state is RESET else CLOSED)


def test_a_peer_never_reopens_or_closes_an_end() -> None:
    opening = (SYN_SENT, SYN_ACK_SENT)
    for state in EndState:
        after = NEXT[state][Input.PEER_SEGMENT]
        assert after.state is (ESTABLISHED if state in opening else state)
        assert after.anomaly is None


def test_the_illegal_inputs_are_named() -> None:
    named = {(state.name, happened.name): after.anomaly for (state, happened), after in TRANSITIONS.items()}
    assert {key: anomaly for key, anomaly in named.items() if anomaly is not None} == {
        ("SYN_ACK_SENT", "SYN"): "syn_after_syn_ack",
        ("PARTIAL", "SYN"): "syn_inside_connection",
        ("CLOSED", "SYN"): "syn_inside_connection",
        ("RESET", "SYN"): "segment_after_rst",
        ("RESET", "SYN_ACK"): "segment_after_rst",
        ("RESET", "SEGMENT"): "segment_after_rst",
        ("RESET", "FIN"): "segment_after_rst",
    }


#: Rows: the client; columns: the server, in the order of EndState; OTH: none of Zeek's sentences fits.
#: A SYN or SYN-ACK met by RST is a rejected attempt; "established" ends are those that were seen to open or close.
WORDS = """
              INACTIVE  SYN_SENT  SYN_ACK_SENT  PARTIAL  ESTABLISHED  CLOSED  RESET
INACTIVE      OTH       OTH       OTH           OTH      OTH          SHR     RSTRH
SYN_SENT      S0        OTH       OTH           OTH      OTH          S3      REJ
SYN_ACK_SENT  OTH       OTH       OTH           OTH      OTH          S3      REJ
PARTIAL       OTH       OTH       OTH           OTH      OTH          SHR     RSTRH
ESTABLISHED   OTH       OTH       OTH           OTH      S1           S3      RSTR
CLOSED        SH        S2        S2            SH       S2           SF      RSTR
RESET         RSTOS0    RSTO      RSTO          RSTOS0   RSTO         RSTO    REJ
"""


@pytest.mark.parametrize("payload", [False, True])
def test_zeeks_word_for_every_pair_of_states(payload: bool) -> None:
    header, *rows = (line.split() for line in WORDS.strip().splitlines())
    expected = {(row[0], server): word for row in rows for server, word in zip(header, row[1:], strict=True)}
    assert len(expected) == len(EndState) ** 2
    if payload:
        expected["RESET", "RESET"] = "RSTR"  # both reset, after data: it was no refusal
    pairs = product(EndState, EndState)
    told = {(client.name, server.name): conn_state(client, server, payload) for client, server in pairs}
    assert told == expected


def test_most_letters_are_noted_once_a_direction() -> None:
    history = History()
    for letter in "SHADFRIQ" * 3:
        history.note(letter, 0)
        history.note(letter, 1)
    assert history.letters == "SsHhAaDdFfRrIiQq"


@pytest.mark.parametrize("letter", "TWG")
def test_some_letters_are_noted_at_powers_of_ten(letter: str) -> None:
    history, lengths = History(), []
    for _ in range(1000):
        history.note(letter, 1)
        lengths.append(len(history.letters))
    grew = [count for count in range(1, 1001) if lengths[count - 1] > (lengths[count - 2] if count > 1 else 0)]
    assert grew == [1, 10, 100, 1000]
    assert history.letters == letter.lower() * 4


def test_turning_swaps_the_letters_and_what_is_remembered() -> None:
    history = History()
    for _ in range(9):
        history.note("T", 0)
    history.note("D", 1)
    history.turn()
    assert history.letters == "^tD"
    history.note("D", 0)
    history.note("T", 1)
    history.note("D", 1)
    assert history.letters == "^tDtd", "the tenth retransmission is the server's now"
